"""Rows of Work View: hour windows, and which segments a comment is about.

Rule 1: an hour window has a row as soon as a tick lies in it; `dirty` says that its entry is due (rule 2.11).
Rule 2: the text of a comment lies in the record alone, so that an erasure reaches it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import Column

from app.storage.tables import disclosures, hours, time_comments, work_sessions
from app.storage.tracking import upsert


class HourRow(msgspec.Struct, frozen=True):
    """An hour window of a freelancer. `written` is what its last entry said."""

    room: str
    account: str
    hour: int
    closed_seq: int | None = None
    amended_at: int | None = None
    dirty: bool = True
    written: bytes | None = None


class CommentRow(msgspec.Struct, frozen=True):
    """A comment on a run of segments, both ends included. `text` is empty once erased."""

    by: str
    from_segment: int
    to_segment: int
    seq: int
    text: str


_HOUR: tuple[Column[Any], ...] = tuple(hours.c[name] for name in HourRow.__struct_fields__)


async def upsert_hours_dirty(conn: AsyncConnection, room: str, account: str, numbers: Iterable[int]) -> None:
    """Make hour windows due; those without a row get one."""
    rows = [msgspec.structs.asdict(HourRow(room, account, hour)) for hour in sorted(set(numbers))]
    statement = upsert(conn, hours).on_conflict_do_update(
        index_elements=["room", "account", "hour"], set_={"dirty": True}
    )
    if rows:
        await conn.execute(statement, rows)


async def update_hours_dirty(conn: AsyncConnection, room: str, account: str, first: int, last: int) -> None:
    """Make those hour windows from first to last due that have a row."""
    await conn.execute(
        update(hours)
        .where(hours.c.room == room, hours.c.account == account, hours.c.hour.between(first, last))
        .values(dirty=True)
    )


async def select_due_hours(conn: AsyncConnection, before: int, amended_before: int, limit: int) -> list[HourRow]:
    """Return changed hour windows before the hour `before`: not closed yet, or last amended before an instant."""
    query = (
        select(*_HOUR)
        .where(
            hours.c.dirty.is_(True),
            hours.c.hour < before,
            or_(hours.c.closed_seq.is_(None), hours.c.amended_at <= amended_before),
        )
        .order_by(hours.c.hour, hours.c.room, hours.c.account)
        .limit(limit)
    )
    return [HourRow(*row) for row in await conn.execute(query)]


async def select_hours(conn: AsyncConnection, room: str, keys: Collection[tuple[str, int]]) -> list[HourRow]:
    """Return the hour windows with these accounts and hours."""
    query = (
        select(*_HOUR)
        .where(hours.c.room == room, tuple_(hours.c.account, hours.c.hour).in_(keys))
        .order_by(hours.c.hour, hours.c.account)
    )
    return [HourRow(*row) for row in await conn.execute(query)]


async def select_closed_hours(conn: AsyncConnection, room: str, account: str, first: int, last: int) -> set[int]:
    """Return which of the hour windows from first to last are closed."""
    query = select(hours.c.hour).where(
        hours.c.room == room,
        hours.c.account == account,
        hours.c.hour.between(first, last),
        hours.c.closed_seq.is_not(None),
    )
    return set((await conn.execute(query)).scalars())


async def update_hours_written(conn: AsyncConnection, rows: Sequence[HourRow]) -> None:
    """Store what became of hour windows."""
    statement = (
        update(hours)
        .where(
            hours.c.room == bindparam("_room"),
            hours.c.account == bindparam("_account"),
            hours.c.hour == bindparam("_hour"),
        )
        .values({name: bindparam(f"_{name}") for name in ("closed_seq", "amended_at", "dirty", "written")})
    )
    if rows:
        values = [{f"_{name}": value for name, value in msgspec.structs.asdict(row).items()} for row in rows]
        await conn.execute(statement, values)


async def select_last_ticks(conn: AsyncConnection, room: str, accounts: Collection[str]) -> dict[str, int]:
    """Return, by account, the end of its last tick in a room."""
    query = select(work_sessions.c.account, work_sessions.c.last_tick_at).where(
        work_sessions.c.room == room,
        work_sessions.c.account.in_(accounts),
        work_sessions.c.last_tick_at.is_not(None),
    )
    last: dict[str, int] = {}
    for row in await conn.execute(query):
        last[row.account] = max(last.get(row.account, 0), row.last_tick_at)
    return last


# Comments


async def insert_comment(conn: AsyncConnection, room: str, seq: int, by: str, first: int, last: int) -> None:
    """Note which segments a `comment` entry is about."""
    await conn.execute(time_comments.insert().values(room=room, seq=seq, by=by, from_segment=first, to_segment=last))


async def select_comments(
    conn: AsyncConnection, room: str, bys: Collection[str], first: int, last: int
) -> list[CommentRow]:
    """Return the comments that touch segments from first to last, in the order in which they were written."""
    c = time_comments.c
    query = (
        select(c.by, c.from_segment, c.to_segment, c.seq, disclosures.c.body)
        .outerjoin(disclosures, and_(disclosures.c.room == c.room, disclosures.c.seq == c.seq))
        .where(c.room == room, c.by.in_(bys), c.to_segment >= first, c.from_segment <= last)
        .order_by(c.seq)
    )
    return [
        CommentRow(
            row.by, row.from_segment, row.to_segment, row.seq,
            msgspec.json.decode(row.body)["text"] if row.body is not None else "",
        )
        for row in await conn.execute(query)
    ]  # fmt: skip
