"""Rows of frames, and of who looked at them. The pictures themselves lie in `blobs.py`.

Rule 1: a segment is held by at most one frame that is stored or ready; a replaced one no longer counts.
Rule 2: a deleted or replaced frame keeps its row without digest; `erased_at` says when its blobs were gone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import Column

from app.storage.tables import accounts, frame_views, frames, members
from app.storage.tracking import among, upsert

STORED, READY, UNREADABLE, REPLACED, DELETED = "stored", "ready", "unreadable", "replaced", "deleted"
SHOWN = (STORED, READY)  # states in which a frame holds its segment and its picture can be seen


class FrameRow(msgspec.Struct, frozen=True):
    """A frame of `size` bytes. `sha256` is None once erased; `seq` is that of its `frame.taken`."""

    id: str
    room: str
    account: str
    session: str
    segment: int
    taken_at: int
    media: str
    size: int
    sha256: bytes | None
    width: int
    height: int
    at_stop: bool
    mark: str | None
    state: str
    seq: int
    stored_at: int
    erased_at: int | None = None


class FrameViewRow(msgspec.Struct, frozen=True):
    """Who looked at a full-size frame: when last, and how often (rule 2.14)."""

    frame: str
    account: str
    name: str
    viewed_at: int
    times: int


_FRAME: tuple[Column[Any], ...] = tuple(
    frames.c["bytes" if name == "size" else name] for name in FrameRow.__struct_fields__
)


async def insert_frame(conn: AsyncConnection, row: FrameRow) -> None:
    """Insert a frame; its id is new, or the database refuses."""
    values = msgspec.structs.asdict(row)
    await conn.execute(frames.insert().values(bytes=values.pop("size"), **values))


async def select_frame(conn: AsyncConnection, frame: str) -> FrameRow | None:
    """Return the frame with this id."""
    found = (await conn.execute(select(*_FRAME).where(frames.c.id == frame))).first()
    return None if found is None else FrameRow(*found)


async def select_frame_by_seq(conn: AsyncConnection, room: str, seq: int) -> FrameRow | None:
    """Return the frame whose `frame.taken` has this seq."""
    query = select(*_FRAME).where(frames.c.room == room, frames.c.seq == seq)
    found = (await conn.execute(query)).first()
    return None if found is None else FrameRow(*found)


async def select_frames(
    conn: AsyncConnection, room: str, account_ids: Collection[str], numbers: Collection[int]
) -> list[FrameRow]:
    """Return the frames of segments, but replaced ones, in the order in which they came."""
    query = (
        select(*_FRAME)
        .where(
            frames.c.room == room,
            frames.c.account.in_(account_ids),
            among(frames.c.segment, numbers),
            frames.c.state != REPLACED,
        )
        .order_by(frames.c.seq)
    )
    return [FrameRow(*row) for row in await conn.execute(query)]


async def select_frames_or_one(
    conn: AsyncConnection, room: str, account: str, segment: int, frame: str
) -> list[FrameRow]:
    """Return the frames of a segment, but replaced ones, and the frame with this id, wherever it is."""
    of_segment = and_(
        frames.c.room == room, frames.c.account == account, frames.c.segment == segment, frames.c.state != REPLACED
    )
    query = select(*_FRAME).where(or_(frames.c.id == frame, of_segment))
    return [FrameRow(*row) for row in await conn.execute(query)]


async def select_frame_states(conn: AsyncConnection, room: str, seqs: Collection[int]) -> dict[int, str]:
    """Return the states of the frames whose `frame.taken` have these seqs."""
    query = select(frames.c.seq, frames.c.state).where(frames.c.room == room, frames.c.seq.in_(seqs))
    return {row.seq: row.state for row in await conn.execute(query)}


async def select_last_frame_seqs(conn: AsyncConnection, rooms: Collection[str]) -> dict[tuple[str, str], int]:
    """Return, by room and account, the seq of the last frame whose thumbnail is there."""
    newest = (
        select(frames.c.seq)
        .where(frames.c.room == members.c.room, frames.c.account == members.c.account, frames.c.state == READY)
        .order_by(frames.c.segment.desc())
        .limit(1)
        .correlate(members)
        .scalar_subquery()
    )
    query = select(members.c.room, members.c.account, newest.label("seq")).where(
        members.c.room.in_(rooms), members.c.side == "freelancer"
    )
    return {(row.room, row.account): row.seq for row in await conn.execute(query) if row.seq is not None}


async def select_frames_in_state(conn: AsyncConnection, state: str, limit: int) -> list[FrameRow]:
    """Return frames in a state whose blobs are not erased, the oldest first."""
    query = (
        select(*_FRAME)
        .where(frames.c.state == state, frames.c.erased_at.is_(None))
        .order_by(frames.c.stored_at)
        .limit(limit)
    )
    return [FrameRow(*row) for row in await conn.execute(query)]


async def update_frame_state(conn: AsyncConnection, frame: str, present: str, state: str) -> bool:
    """Bring a frame from one state to another; return whether it was in the first."""
    values: dict[str, Any] = {"state": state}
    if state in (REPLACED, DELETED):
        values["sha256"] = None
    statement = update(frames).where(frames.c.id == frame, frames.c.state == present).values(**values)
    return (await conn.execute(statement)).rowcount == 1


async def update_frames_erased(conn: AsyncConnection, ids: Collection[str], now: int) -> None:
    """Note that the blobs of frames are gone."""
    await conn.execute(update(frames).where(frames.c.id.in_(ids)).values(erased_at=now))


# Views


async def upsert_frame_view(conn: AsyncConnection, frame: str, account: str, now: int) -> None:
    """Count a look at a full-size frame."""
    statement = upsert(conn, frame_views).values(frame=frame, account=account, viewed_at=now, times=1)
    statement = statement.on_conflict_do_update(
        index_elements=["frame", "account"], set_={"viewed_at": now, "times": frame_views.c.times + 1}
    )
    await conn.execute(statement)


async def select_frame_views(conn: AsyncConnection, frame: str) -> list[FrameViewRow]:
    """Return who looked at a frame, the last look first."""
    query = (
        select(
            frame_views.c.frame, frame_views.c.account, accounts.c.name, frame_views.c.viewed_at, frame_views.c.times
        )
        .join(accounts, accounts.c.id == frame_views.c.account)
        .where(frame_views.c.frame == frame)
        .order_by(frame_views.c.viewed_at.desc())
    )
    return [FrameViewRow(*row) for row in await conn.execute(query)]
