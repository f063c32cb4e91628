"""Tables of confidentiality: who downloaded the content of restricted entries (rule 6.4); files have their own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table

from app.storage.tables.columns import instant, metadata

entry_views = Table(
    "entry_views",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    instant("first_at"),
    instant("viewed_at"),
    Column("times", Integer, nullable=False),
)
