"""Tables of status reports: which week has which, and what the worker does next. Reports of abuse are in `jobs`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table

from app.storage.tables.columns import instant, metadata

status_reports = Table(
    "status_reports",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("member", String(8), primary_key=True),
    Column("week_on", String(10), primary_key=True),
    Column("seq", BigInteger, nullable=True),  # of the report that counts
    Column("late", Boolean, nullable=False),
    Column("missing_seq", BigInteger, nullable=True),  # of the entry that says that there was none in time
)

report_turns = Table(  # one row a freelancer with terms in an active room
    "report_turns",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("member", String(8), primary_key=True),
    Column("week_on", String(10), nullable=False),
    Column("reminds", Boolean, nullable=False),
    instant("next_at"),
)
Index("ix_report_turns_next_at", report_turns.c.next_at)
