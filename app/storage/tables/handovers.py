"""Table of handovers: a key for each sealed secret. It goes with the secret, and what it sealed opens never again.

The bytes of a small table can be destroyed at once; on PostgreSQL those of a dead row of a large one cannot.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, UniqueConstraint

from app.storage.tables.columns import metadata

handover_keys = Table(
    "handover_keys",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("by", String(8), nullable=False),
    Column("cid", String(64), nullable=True),
    Column("key", LargeBinary(32), nullable=False),
    UniqueConstraint("room", "by", "cid"),
)
