"""Tables of matters: entries that need an answer, and the absences that stop their clocks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table

from app.storage.tables.columns import instant, metadata

matters = Table(
    "matters",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # of the entry that asks
    Column("kind", String(40), nullable=False),
    Column("by", String(8), nullable=False),
    Column("side", String(10), nullable=False),  # of who asks
    Column("asked", String(10), nullable=False),  # the side that must answer, or one member's pseudonym
    Column("title", String(200), nullable=False),  # what the lists of waiting matters show; "" where it is restricted
    Column("state", String(20), nullable=False),
    instant("asked_at"),
    Column("days", BigInteger, nullable=True),  # until silence answers, vacations apart
    instant("due_at", nullable=True),
    Column("answer_seq", BigInteger, nullable=True),
    Column("answered_by", String(8), nullable=True),
    instant("answered_at", nullable=True),
)
Index("ix_matters_state_due_at", matters.c.state, matters.c.due_at)
Index("ix_matters_room_state", matters.c.room, matters.c.state)

absences = Table(  # vacations that members announced
    "absences",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # of the `availability` entry
    Column("by", String(8), nullable=False),
    instant("from_at"),
    instant("until_at"),  # the first instant after it
)
