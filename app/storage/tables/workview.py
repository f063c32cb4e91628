"""Tables of Work View: sessions, ticks, frames, hours."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from app.storage.tables.columns import instant, metadata

work_sessions = Table(
    "work_sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("room", ForeignKey("rooms.id"), nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("device", String(80), nullable=False),
    Column("comment", String(500), nullable=False),
    Column("work_view", Boolean, nullable=False),
    instant("started_at"),
    instant("stretch_at", nullable=True),  # where the present stretch of documented time began
    instant("last_tick_at", nullable=True),  # the end of the last tick
    instant("ended_at", nullable=True),
    Column("ended_by", String(10), nullable=True),  # the reason in tracking.stopped, or "unheard": the device was away
    Column("seq", BigInteger, nullable=False),  # of tracking.started
)
Index(
    "ix_work_sessions_room_account_started_at",
    work_sessions.c.room,
    work_sessions.c.account,
    work_sessions.c.started_at,
)
Index("ix_work_sessions_account_ended_at", work_sessions.c.account, work_sessions.c.ended_at)
Index("ix_work_sessions_ended_at_last_tick_at", work_sessions.c.ended_at, work_sessions.c.last_tick_at)

ticks = Table(
    "ticks",
    metadata,
    Column("session", ForeignKey("work_sessions.id"), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, primary_key=True, autoincrement=False),
    Column("documented", Boolean, nullable=False),
    Column("room", String(26), nullable=False),
    Column("account", String(26), nullable=False),
    Column("segment", BigInteger, nullable=False),
)
Index("ix_ticks_account_segment", ticks.c.account, ticks.c.segment)  # of all rooms: overlaps are found by it

discards = Table(  # stretches that the freelancer took off
    "discards",
    metadata,
    Column("session", ForeignKey("work_sessions.id"), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, primary_key=True, autoincrement=False),
    Column("room", String(26), nullable=False),
    Column("account", String(26), nullable=False),
)
Index("ix_discards_account_start", discards.c.account, discards.c.start)

segments = Table(  # what ticks and discards add up to; computed anew from them whenever they change
    "segments",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("segment", BigInteger, primary_key=True, autoincrement=False),
    Column("documented_ms", Integer, nullable=False),
    Column("tracked_ms", Integer, nullable=False),
    Column("overlap_ms", Integer, nullable=False),  # counts in another room, whose session started first
    Column("waiting", Boolean, nullable=False),  # its frame is still in the tracker
    Column("deleted", Boolean, nullable=False),  # with its frame (rule 2.9): counts nothing
)

time_comments = Table(  # which segments a `comment` entry is about; its text lies in the record
    "time_comments",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("by", String(8), nullable=False),
    Column("from_segment", BigInteger, nullable=False),
    Column("to_segment", BigInteger, nullable=False),
)
Index(
    "ix_time_comments_room_by_to_segment",
    time_comments.c.room,
    time_comments.c.by,
    time_comments.c.to_segment,
)

frames = Table(
    "frames",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("room", ForeignKey("rooms.id"), nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("session", String(36), nullable=False),
    Column("segment", BigInteger, nullable=False),
    instant("taken_at"),
    Column("media", String(10), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=True),  # null once erased
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("at_stop", Boolean, nullable=False),
    Column("mark", String(12), nullable=True),  # why its moment is not confirmed
    Column("state", String(10), nullable=False),  # "stored", "ready", "unreadable", "replaced", "deleted"
    Column("seq", BigInteger, nullable=False),  # of frame.taken
    instant("stored_at"),
    instant("erased_at", nullable=True),  # when the blobs were gone
)
Index("ix_frames_room_account_segment", frames.c.room, frames.c.account, frames.c.segment)
Index("uq_frames_room_seq", frames.c.room, frames.c.seq, unique=True)
Index("ix_frames_state_erased_at", frames.c.state, frames.c.erased_at)

frame_views = Table(  # who looked at a full-size frame (rule 2.14)
    "frame_views",
    metadata,
    Column("frame", ForeignKey("frames.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    instant("viewed_at"),
    Column("times", Integer, nullable=False),
)

seeds = Table(
    "seeds",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("seed", LargeBinary(32), nullable=False),
    Column("revealed_seq", BigInteger, nullable=True),
)
Index("ix_seeds_revealed_seq_day", seeds.c.revealed_seq, seeds.c.day)

hours = Table(  # hour windows that have ticks
    "hours",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("closed_seq", BigInteger, nullable=True),
    instant("amended_at", nullable=True),  # when the last entry about it was written
    Column("dirty", Boolean, nullable=False),  # something changed since
    Column("written", LargeBinary, nullable=True),  # what that entry said, so that the same is not said twice
)
Index("ix_hours_dirty_hour", hours.c.dirty, hours.c.hour)
