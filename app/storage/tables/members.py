"""Tables of members: those whom both sides agreed on and who are invited, and where a member talks besides."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table

from app.storage.tables.columns import instant, metadata

seats = Table(  # one an approved `member.proposed`, from its first invitation on (rule 1.9)
    "seats",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # of the `member.proposed`
    Column("side", String(10), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),  # of its present link; a new one replaces it
    Column("invited_by", String(8), nullable=False),
    instant("invited_at"),
    instant("expires_at"),  # by the real clock, like links
    Column("taken_by", ForeignKey("accounts.id"), nullable=True),
    instant("taken_at", nullable=True),
)

elsewhere = Table(  # where a member also talks with the other side, and when they were last asked about it (rule 1.7)
    "elsewhere",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("channels", String(40), nullable=False),  # of "email", "chat", "phone", with spaces; "" asks nothing
    instant("since"),
    instant("answered_at", nullable=True),
)
