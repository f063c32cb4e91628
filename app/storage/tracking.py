"""Rows of tracking: work sessions, ticks, discards, seeds, and what ticks add up to in each segment.

Rule 1: a tick or a discard that is there already stays as it is: repeats change nothing (rule 2.4).
Rule 2: `segments` holds nothing that could not be computed anew from ticks and discards, but for two flags.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import Column, Table

from app.storage.tables import discards, members, seeds, segments, ticks, work_sessions

PARAMETERS_MAX = 500  # of one IN list; SQLite takes 32,766 and PostgreSQL 65,535, neither plans so many well


class SessionRow(msgspec.Struct, frozen=True):
    """A work session. `ended_by` is the reason of its end, None while it is open; instants are Unix milliseconds."""

    id: str
    room: str
    account: str
    device: str
    comment: str
    work_view: bool
    started_at: int
    stretch_at: int | None
    last_tick_at: int | None
    ended_at: int | None
    ended_by: str | None
    seq: int


class TickRow(msgspec.Struct, frozen=True):
    """A tick with the beginning of its session."""

    session: str
    room: str
    account: str
    segment: int
    start: int
    end: int
    documented: bool
    started_at: int


class DiscardRow(msgspec.Struct, frozen=True):
    room: str
    account: str
    start: int
    end: int


class SegmentRow(msgspec.Struct, frozen=True):
    """The time of a segment in a room, by class."""

    room: str
    account: str
    segment: int
    documented_ms: int = 0
    tracked_ms: int = 0
    overlap_ms: int = 0
    waiting: bool = False
    deleted: bool = False


class SeedRow(msgspec.Struct, frozen=True):
    room: str
    account: str
    day: str
    seed: bytes
    revealed_seq: int | None = None


_SESSION: tuple[Column[Any], ...] = tuple(work_sessions.c[name] for name in SessionRow.__struct_fields__)
_SEGMENT: tuple[Column[Any], ...] = tuple(segments.c[name] for name in SegmentRow.__struct_fields__)
_SEED: tuple[Column[Any], ...] = tuple(seeds.c[name] for name in SeedRow.__struct_fields__)


def upsert(conn: AsyncConnection, table: Table) -> Any:
    """Return an INSERT that can say what happens on a conflict, in the words of this database."""
    return postgresql_insert(table) if conn.dialect.name == "postgresql" else sqlite_insert(table)


def among(column: Column[int], numbers: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `numbers`: a range where they follow each other."""
    first, last = min(numbers, default=0), max(numbers, default=-1)
    if last - first + 1 == len(set(numbers)) or len(numbers) > PARAMETERS_MAX:
        return column.between(first, last)
    return column.in_(sorted(set(numbers)))


# Sessions


async def insert_session(conn: AsyncConnection, row: SessionRow) -> None:
    """Insert a session; its id is new, or the database refuses."""
    await conn.execute(work_sessions.insert().values(**msgspec.structs.asdict(row)))


async def select_session(conn: AsyncConnection, session: str) -> SessionRow | None:
    """Return the session with this id."""
    return _session((await conn.execute(select(*_SESSION).where(work_sessions.c.id == session))).first())


async def select_open_sessions(conn: AsyncConnection, account: str) -> list[SessionRow]:
    """Return the sessions of an account that have not ended, the one started last first."""
    query = (
        select(*_SESSION)
        .where(work_sessions.c.account == account, work_sessions.c.ended_at.is_(None))
        .order_by(work_sessions.c.started_at.desc(), work_sessions.c.id.desc())
    )
    return [SessionRow(*row) for row in await conn.execute(query)]


async def select_open_sessions_of_rooms(conn: AsyncConnection, rooms: Collection[str]) -> list[SessionRow]:
    """Return the open sessions of several rooms, the one started last first."""
    query = (
        select(*_SESSION)
        .where(work_sessions.c.room.in_(rooms), work_sessions.c.ended_at.is_(None))
        .order_by(work_sessions.c.started_at.desc(), work_sessions.c.id.desc())
    )
    return [SessionRow(*row) for row in await conn.execute(query)]


async def select_all_open_sessions(conn: AsyncConnection) -> list[tuple[str, str]]:
    """Return id and room of every open session."""
    query = select(work_sessions.c.id, work_sessions.c.room).where(work_sessions.c.ended_at.is_(None))
    return [(row.id, row.room) for row in await conn.execute(query)]


async def select_freelancer_rooms(conn: AsyncConnection, account: str) -> list[str]:
    """Return the rooms where an account is a freelancer, in the order in which it joined them."""
    query = (
        select(members.c.room)
        .where(members.c.account == account, members.c.side == "freelancer")
        .order_by(members.c.joined_at, members.c.room)
    )
    return list((await conn.execute(query)).scalars())


async def select_open_sessions_of_room(conn: AsyncConnection, room: str) -> list[SessionRow]:
    """Return the sessions of a room that run."""
    c = work_sessions.c
    query = select(*_SESSION).where(c.room == room, c.ended_at.is_(None)).order_by(c.started_at)
    return [SessionRow(*row) for row in await conn.execute(query)]


async def select_unheard_sessions(conn: AsyncConnection, before: int, limit: int) -> list[SessionRow]:
    """Return open sessions that have ticked last, or began without a tick, before an instant."""
    c = work_sessions.c
    query = (
        select(*_SESSION)
        .where(
            c.ended_at.is_(None),
            or_(c.last_tick_at < before, and_(c.last_tick_at.is_(None), c.started_at < before)),
        )
        .order_by(c.started_at)
        .limit(limit)
    )
    return [SessionRow(*row) for row in await conn.execute(query)]


async def select_commented_sessions(
    conn: AsyncConnection, room: str, accounts: Collection[str], start: int, end: int
) -> list[SessionRow]:
    """Return the sessions that began with a comment and touch `[start, end)`, the first one first."""
    c = work_sessions.c
    query = (
        select(*_SESSION)
        .where(
            c.room == room,
            c.account.in_(accounts),
            c.started_at < end,
            c.comment != "",
            or_(c.ended_at.is_(None), c.ended_at > start),
        )
        .order_by(c.started_at)
    )
    return [SessionRow(*row) for row in await conn.execute(query)]


async def update_session(conn: AsyncConnection, session: str, **values: Any) -> None:
    """Set columns of a session."""
    await conn.execute(update(work_sessions).where(work_sessions.c.id == session).values(**values))


# Ticks and discards


async def insert_ticks(conn: AsyncConnection, rows: Sequence[TickRow]) -> None:
    """Insert ticks, but those that are there."""
    values = [{k: v for k, v in msgspec.structs.asdict(row).items() if k != "started_at"} for row in rows]
    if values:
        await conn.execute(upsert(conn, ticks).on_conflict_do_nothing(), values)


async def select_ticks(conn: AsyncConnection, accounts: Collection[str], numbers: Collection[int]) -> list[TickRow]:
    """Return the ticks of accounts in segments, in all their rooms."""
    query = (
        select(
            ticks.c.session,
            ticks.c.room,
            ticks.c.account,
            ticks.c.segment,
            ticks.c.start,
            ticks.c.end,
            ticks.c.documented,
            work_sessions.c.started_at,
        )
        .join(work_sessions, work_sessions.c.id == ticks.c.session)
        .where(ticks.c.account.in_(accounts), among(ticks.c.segment, numbers))
    )
    return [TickRow(*row) for row in await conn.execute(query)]


async def insert_discard(conn: AsyncConnection, session: SessionRow, start: int, end: int) -> bool:
    """Insert a stretch that the freelancer took off; return whether it is new."""
    values = {"session": session.id, "room": session.room, "account": session.account, "start": start, "end": end}
    statement = upsert(conn, discards).values(**values).on_conflict_do_nothing().returning(discards.c.session)
    return (await conn.execute(statement)).first() is not None


async def select_discards(conn: AsyncConnection, accounts: Collection[str], start: int, end: int) -> list[DiscardRow]:
    """Return what accounts took off within `[start, end)`, in all their rooms."""
    query = select(discards.c.room, discards.c.account, discards.c.start, discards.c.end).where(
        discards.c.account.in_(accounts), discards.c.start < end, discards.c.end > start
    )
    return [DiscardRow(*row) for row in await conn.execute(query)]


# Segments


async def select_segments(
    conn: AsyncConnection, room: str, accounts: Collection[str], numbers: Collection[int]
) -> list[SegmentRow]:
    """Return what is known of segments of a room."""
    query = select(*_SEGMENT).where(
        segments.c.room == room, segments.c.account.in_(accounts), among(segments.c.segment, numbers)
    )
    return [SegmentRow(*row) for row in await conn.execute(query)]


async def select_waiting(conn: AsyncConnection, room: str, account: str) -> set[int]:
    """Return the segments whose frame is still in the tracker, as it said last."""
    query = select(segments.c.segment).where(
        segments.c.room == room, segments.c.account == account, segments.c.waiting.is_(True)
    )
    return set((await conn.execute(query)).scalars())


async def upsert_segment_times(conn: AsyncConnection, rows: Sequence[SegmentRow]) -> None:
    """Store the times of segments; the flags of those that are there stay."""
    statement = upsert(conn, segments)
    statement = statement.on_conflict_do_update(
        index_elements=["room", "account", "segment"],
        set_={name: statement.excluded[name] for name in ("documented_ms", "tracked_ms", "overlap_ms")},
    )
    if rows:
        await conn.execute(statement, [msgspec.structs.asdict(row) for row in rows])


async def upsert_segment_flag(
    conn: AsyncConnection, room: str, account: str, numbers: Iterable[int], flag: str, value: bool
) -> None:
    """Set `waiting` or `deleted` of segments."""
    rows = [
        msgspec.structs.asdict(SegmentRow(room, account, number)) | {flag: value} for number in sorted(set(numbers))
    ]
    statement = upsert(conn, segments)
    statement = statement.on_conflict_do_update(
        index_elements=["room", "account", "segment"], set_={flag: statement.excluded[flag]}
    )
    if rows:
        await conn.execute(statement, rows)


async def select_totals(
    conn: AsyncConnection, ranges: Iterable[tuple[Collection[str], int, int]]
) -> dict[tuple[str, str], int]:
    """Return the milliseconds by room and account: of each set of rooms, those in segments from first to last."""
    wanted = [
        and_(segments.c.room.in_(rooms), segments.c.segment.between(first, last)) for rooms, first, last in ranges
    ]
    query = (
        select(
            segments.c.room, segments.c.account, func.sum(segments.c.documented_ms + segments.c.tracked_ms).label("ms")
        )
        .where(or_(*wanted), segments.c.deleted.is_(False))
        .group_by(segments.c.room, segments.c.account)
    )
    return {(row.room, row.account): int(row.ms) for row in await conn.execute(query)}


# Seeds


async def select_seeds(conn: AsyncConnection, account: str, days: Collection[str]) -> list[SeedRow]:
    """Return the seeds of an account, in all its rooms, for some days."""
    query = select(*_SEED).where(seeds.c.account == account, seeds.c.day.in_(days)).order_by(seeds.c.day)
    return [SeedRow(*row) for row in await conn.execute(query)]


async def select_seed(conn: AsyncConnection, room: str, account: str, day: str) -> bytes | None:
    """Return the seed of a day."""
    query = select(seeds.c.seed).where(seeds.c.room == room, seeds.c.account == account, seeds.c.day == day)
    return (await conn.execute(query)).scalar()


async def insert_seeds(conn: AsyncConnection, rows: Sequence[SeedRow]) -> None:
    """Insert seeds."""
    await conn.execute(seeds.insert(), [msgspec.structs.asdict(row) for row in rows])


async def select_seeds_to_reveal(conn: AsyncConnection, before: str, limit: int) -> list[SeedRow]:
    """Return seeds of days before `before` that are still secret, the oldest first."""
    query = (
        select(*_SEED)
        .where(seeds.c.revealed_seq.is_(None), seeds.c.day < before)
        .order_by(seeds.c.day, seeds.c.room, seeds.c.account)
        .limit(limit)
    )
    return [SeedRow(*row) for row in await conn.execute(query)]


async def update_seed_revealed(conn: AsyncConnection, row: SeedRow, seq: int) -> bool:
    """Note the entry that reveals a seed; return whether it was still secret."""
    statement = (
        update(seeds)
        .where(
            seeds.c.room == row.room,
            seeds.c.account == row.account,
            seeds.c.day == row.day,
            seeds.c.revealed_seq.is_(None),
        )
        .values(revealed_seq=seq)
    )
    return (await conn.execute(statement)).rowcount == 1


def _session(row: Row[*tuple[Any, ...]] | None) -> SessionRow | None:
    return None if row is None else SessionRow(*row)
