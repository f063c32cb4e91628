"""Tables of workrooms and their record.

Rule 1: `entries` accepts INSERT only; `guards.py` holds the triggers that enforce it.
Rule 2: everything that can be erased lies in `disclosures`, apart from its entry.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
)

from app.storage.tables.columns import instant, metadata

rooms = Table(
    "rooms",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("title", String(120), nullable=False),
    Column("time_zone", String(60), nullable=False),
    Column("work_view", Boolean, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("state", String(12), nullable=False, server_default="negotiating"),
    Column("job", String(26), nullable=True, index=True),  # the job that it came from
    instant("opened_at"),
    instant("closed_at", nullable=True),
)

members = Table(
    "members",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("by", String(8), nullable=False),
    Column("side", String(10), nullable=False),
    Column("name", String(80), nullable=False),  # as committed by member.joined
    Column("seen_seq", BigInteger, nullable=False, default=-1),
    instant("joined_at"),
    UniqueConstraint("room", "by"),
)
Index("ix_members_account", members.c.account)

entries = Table(
    "entries",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("by", String(8), nullable=False),
    instant("at"),
    Column("ref", BigInteger, nullable=True),
    Column("cid", String(64), nullable=True),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
)
Index("uq_entries_cid_room_by", entries.c.cid, entries.c.room, entries.c.by, unique=True)
Index("ix_entries_room_kind_seq", entries.c.room, entries.c.kind, entries.c.seq)

disclosures = Table(  # salt and body; the row goes when the content is erased
    "disclosures",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON
)

erasures = Table(  # which entry erased which
    "erasures",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("tombstone", BigInteger, nullable=False),
)

room_heads = Table(
    "room_heads",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("peaks", LargeBinary, nullable=False),  # the compact range, 32 bytes each
    instant("at"),  # of the last entry: time never goes back within a room
    Column("closed", Boolean, nullable=False, server_default=false()),  # people add nothing more
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
    instant("signed_at"),
)
