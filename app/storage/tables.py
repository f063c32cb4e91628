"""Tables, once for SQLite and PostgreSQL. Instants are integer Unix milliseconds; digests and salts are raw bytes.

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
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _instant(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


# Accounts

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("password_hash", String(200), nullable=True),  # null until one is set
    Column("operator", Boolean, nullable=False, default=False),
    _instant("created_at"),
)

sessions = Table(  # of browsers
    "sessions",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("user_agent", String(200), nullable=False),
    Column("address", String(60), nullable=False),
    _instant("created_at"),
    _instant("seen_at"),
    _instant("expires_at"),
)

tokens = Table(  # bearer tokens of programs, device tokens of trackers
    "tokens",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("purpose", String(10), nullable=False),  # "api" or "device"
    Column("label", String(80), nullable=False),
    _instant("created_at"),
    _instant("seen_at", nullable=True),
)

links = Table(  # one-time links
    "links",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("purpose", String(12), nullable=False),  # "sign_in", "invitation", "pairing"
    Column("account", ForeignKey("accounts.id"), nullable=True),  # whom it signs in; else who took or confirmed it
    Column("room", String(26), nullable=True),
    Column("side", String(10), nullable=True),
    Column("invited_by", String(26), nullable=True),
    Column("label", String(80), nullable=True),
    Column("code", String(9), nullable=True, index=True),  # what a person types to pair a device
    _instant("created_at"),
    _instant("expires_at"),
    _instant("used_at", nullable=True),
)

# Workrooms and their record

rooms = Table(
    "rooms",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("title", String(120), nullable=False),
    Column("time_zone", String(60), nullable=False),
    Column("work_view", Boolean, nullable=False),
    Column("demo", Boolean, nullable=False),
    _instant("opened_at"),
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
    _instant("joined_at"),
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
    _instant("at"),
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
    _instant("at"),  # of the last entry: time never goes back within a room
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
    _instant("signed_at"),
)

# Work View

work_sessions = Table(
    "work_sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("room", ForeignKey("rooms.id"), nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("device", String(80), nullable=False),
    Column("comment", String(500), nullable=False),
    Column("work_view", Boolean, nullable=False),
    _instant("started_at"),
    _instant("stretch_at", nullable=True),  # where the present stretch of documented time began
    _instant("last_tick_at", nullable=True),  # the end of the last tick
    _instant("ended_at", nullable=True),
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
    _instant("taken_at"),
    Column("media", String(10), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=True),  # null once erased
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("at_stop", Boolean, nullable=False),
    Column("mark", String(12), nullable=True),  # why its moment is not confirmed
    Column("state", String(10), nullable=False),  # "stored", "ready", "unreadable", "replaced", "deleted"
    Column("seq", BigInteger, nullable=False),  # of frame.taken
    _instant("stored_at"),
    _instant("erased_at", nullable=True),  # when the blobs were gone
)
Index("ix_frames_room_account_segment", frames.c.room, frames.c.account, frames.c.segment)
Index("uq_frames_room_seq", frames.c.room, frames.c.seq, unique=True)
Index("ix_frames_state_erased_at", frames.c.state, frames.c.erased_at)

frame_views = Table(  # who looked at a full-size frame (rule 2.14)
    "frame_views",
    metadata,
    Column("frame", ForeignKey("frames.id"), primary_key=True),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    _instant("viewed_at"),
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
    _instant("amended_at", nullable=True),  # when the last entry about it was written
    Column("dirty", Boolean, nullable=False),  # something changed since
    Column("written", LargeBinary, nullable=True),  # what that entry said, so that the same is not said twice
)
Index("ix_hours_dirty_hour", hours.c.dirty, hours.c.hour)
