"""Tables, once for SQLite and PostgreSQL; one module per noun. The storage and the services import them from here."""

from app.storage.tables.accounts import accounts, links, sessions, tokens
from app.storage.tables.columns import metadata
from app.storage.tables.workrooms import (
    checkpoints,
    disclosures,
    entries,
    erasures,
    members,
    room_heads,
    rooms,
)
from app.storage.tables.workview import (
    discards,
    frame_views,
    frames,
    hours,
    seeds,
    segments,
    ticks,
    time_comments,
    work_sessions,
)

__all__ = [
    "accounts",
    "checkpoints",
    "discards",
    "disclosures",
    "entries",
    "erasures",
    "frame_views",
    "frames",
    "from",
    "here",
    "hours",
    "links",
    "members",
    "metadata",
    "room_heads",
    "rooms",
    "seeds",
    "segments",
    "sessions",
    "them",
    "ticks",
    "time_comments",
    "tokens",
    "work_sessions",
]
