"""Rows of matters and of the absences that stop their clocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.matters import Matter, MatterState
from app.storage.tables import absences, matters


def matter_of(row: Any) -> Matter:
    """Return the matter of a row."""
    return Matter(
        row.room, row.seq, row.kind, row.by, row.side, row.asked, MatterState(row.state), row.asked_at, row.due_at,
        row.answer_seq, row.answered_by, row.answered_at, row.title,
    )  # fmt: skip


async def insert_matter(conn: AsyncConnection, matter: Matter, days: int | None) -> None:
    """Store a matter that was just asked."""
    await conn.execute(
        insert(matters).values(
            room=matter.room, seq=matter.seq, kind=matter.kind, by=matter.by, side=matter.side, asked=matter.asked,
            title=matter.title, state=matter.state.value, asked_at=matter.asked_at, days=days, due_at=matter.due_at,
        )
    )  # fmt: skip


async def select_matters(conn: AsyncConnection, room: str, seqs: Collection[int]) -> dict[int, Matter]:
    """Return the matters with these seqs."""
    query = select(matters).where(matters.c.room == room, matters.c.seq.in_(list(seqs)))
    return {row.seq: matter_of(row) for row in await conn.execute(query)}


async def update_answered(conn: AsyncConnection, matter: Matter) -> None:
    """Store the answer that a matter got."""
    await conn.execute(
        update(matters)
        .where(matters.c.room == matter.room, matters.c.seq == matter.seq)
        .values(
            state=matter.state.value,
            answer_seq=matter.answer_seq,
            answered_by=matter.answered_by,
            answered_at=matter.answered_at,
        )
    )


async def update_withdrawn(conn: AsyncConnection, changed: Sequence[Matter]) -> None:
    """Store that these matters were taken back, or gave way to another, each by the entry that it names."""
    if changed:
        query = (
            update(matters)
            .where(matters.c.room == bindparam("_room"), matters.c.seq == bindparam("_seq"))
            .values(
                state=MatterState.WITHDRAWN.value,
                answer_seq=bindparam("_answer"),
                answered_by=bindparam("_by"),
                answered_at=bindparam("_at"),
            )
        )
        await conn.execute(
            query,
            [
                {"_room": m.room, "_seq": m.seq, "_answer": m.answer_seq, "_by": m.answered_by, "_at": m.answered_at}
                for m in changed
            ],
        )


async def update_lapsed(conn: AsyncConnection, room: str, seq: int, at: int) -> None:
    """Let everything lapse that waits in a room, by the entry `seq` that closes it."""
    await conn.execute(
        update(matters)
        .where(matters.c.room == room, matters.c.state == MatterState.OPEN.value)
        .values(state=MatterState.EXPIRED.value, answer_seq=seq, answered_by="sys", answered_at=at)
    )


async def select_open_in_room(conn: AsyncConnection, room: str) -> list[tuple[Matter, int | None]]:
    """Return a room's open matters, oldest first, each with the days until silence answers."""
    query = select(matters).where(matters.c.room == room, matters.c.state == MatterState.OPEN.value)
    return [(matter_of(row), row.days) for row in await conn.execute(query.order_by(matters.c.seq))]


async def select_recent(conn: AsyncConnection, room: str, limit: int) -> list[Matter]:
    """Return a room's newest matters, whatever their state, newest first."""
    query = select(matters).where(matters.c.room == room).order_by(matters.c.seq.desc()).limit(limit)
    return [matter_of(row) for row in await conn.execute(query)]


async def select_open(conn: AsyncConnection, rooms: Collection[str], limit: int) -> list[Matter]:
    """Return the open matters of rooms, the most urgent first."""
    query = select(matters).where(matters.c.room.in_(list(rooms)), matters.c.state == MatterState.OPEN.value)
    ordered = query.order_by(matters.c.due_at.is_(None), matters.c.due_at, matters.c.asked_at).limit(limit)
    return [matter_of(row) for row in await conn.execute(ordered)]


async def select_waiting(conn: AsyncConnection, places: Iterable[tuple[str, str, str]], limit: int) -> list[Matter]:
    """Return open matters in these places, (room, side, pseudonym), that wait for that side or that member, the most
    urgent first."""
    listed = list(places)
    if not listed:
        return []
    asked = [(room, side) for room, side, _ in listed] + [(room, by) for room, _, by in listed]
    query = select(matters).where(
        matters.c.room.in_([room for room, _, _ in listed]),
        matters.c.state == MatterState.OPEN.value,
        tuple_(matters.c.room, matters.c.asked).in_(asked),
    )
    ordered = query.order_by(matters.c.due_at.is_(None), matters.c.due_at, matters.c.asked_at).limit(limit)
    return [matter_of(row) for row in await conn.execute(ordered)]


async def select_asked_by(conn: AsyncConnection, places: Iterable[tuple[str, str]], limit: int) -> list[Matter]:
    """Return open matters that these members, (room, side), asked: what others have yet to answer."""
    listed = list(places)
    if not listed:
        return []
    query = select(matters).where(
        matters.c.room.in_([room for room, _ in listed]),
        matters.c.state == MatterState.OPEN.value,
        tuple_(matters.c.room, matters.c.side).in_(listed),
    )
    return [matter_of(row) for row in await conn.execute(query.order_by(matters.c.asked_at).limit(limit))]


async def select_due(conn: AsyncConnection, now: int, limit: int) -> list[Matter]:
    """Return open matters whose silence has lasted until `now`."""
    query = select(matters).where(matters.c.state == MatterState.OPEN.value, matters.c.due_at <= now)
    return [matter_of(row) for row in await conn.execute(query.order_by(matters.c.due_at).limit(limit))]


async def update_due(conn: AsyncConnection, changed: Sequence[Matter]) -> None:
    """Store when silence answers these matters now."""
    if changed:
        query = (
            update(matters)
            .where(matters.c.room == bindparam("_room"), matters.c.seq == bindparam("_seq"))
            .values(due_at=bindparam("_due"))
        )
        await conn.execute(query, [{"_room": m.room, "_seq": m.seq, "_due": m.due_at} for m in changed])


async def insert_absence(conn: AsyncConnection, room: str, seq: int, by: str, from_at: int, until_at: int) -> None:
    """Store a vacation."""
    await conn.execute(insert(absences).values(room=room, seq=seq, by=by, from_at=from_at, until_at=until_at))


async def select_absences(
    conn: AsyncConnection, room: str, members: Collection[str], since: int
) -> dict[str, list[tuple[int, int]]]:
    """Return the vacations of members that end after `since`, by pseudonym."""
    found: dict[str, list[tuple[int, int]]] = {by: [] for by in members}
    query = select(absences).where(
        absences.c.room == room, absences.c.by.in_(list(members)), absences.c.until_at > since
    )
    for row in await conn.execute(query.order_by(absences.c.from_at)):
        found[row.by].append((row.from_at, row.until_at))
    return found
