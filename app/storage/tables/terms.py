"""Tables of terms: the versions that were accepted, and the milestones as they stand."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, false

from app.storage.tables.columns import instant, metadata

terms = Table(  # accepted versions, never changed
    "terms",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("member", String(8), primary_key=True),  # the freelancer
    Column("version", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 …
    Column("seq", BigInteger, nullable=False),  # of the proposal, or of what else changed them
    Column("accepted_seq", BigInteger, nullable=False),
    instant("accepted_at"),
    Column("body", LargeBinary, nullable=False),  # the whole version, canonical JSON of a `terms.proposed`
    instant("week_at", nullable=True),  # when its time zone and weekly limit begin to hold
    Column("zone_applied", Boolean, nullable=False, server_default=false()),  # the room shows its time zone
)
Index("ix_terms_week_at", terms.c.zone_applied, terms.c.week_at)

milestones = Table(
    "milestones",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("member", String(8), primary_key=True),
    Column("key", String(5), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("due_on", String(10), nullable=False),
    Column("state", String(20), nullable=False),  # "agreed", "delivered", "accepted"
    Column("seq", BigInteger, nullable=False),  # of the entry that set it last
)
Index("ix_milestones_room_state", milestones.c.room, milestones.c.state)
