"""Rows of status reports, and of the worker's turns to remind and to find one missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import and_, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.status_reports import Turn
from app.domain.terms import Terms, terms_of
from app.domain.workrooms import RoomState
from app.storage.tables import report_turns, rooms, status_reports, terms
from app.storage.tracking import upsert


class ReportRow(msgspec.Struct, frozen=True):
    """The report of a freelancer on a week. `seq` is of the one that counts, `missing_seq` of the entry that missed
    it."""

    room: str
    member: str
    week_on: str
    seq: int | None = None
    late: bool = False
    missing_seq: int | None = None


class TurnRow(msgspec.Struct, frozen=True):
    """What the worker does next about the reports of a freelancer."""

    room: str
    member: str
    turn: Turn


_REPORT = tuple(status_reports.c[name] for name in ReportRow.__struct_fields__)


async def select_reports(conn: AsyncConnection, room: str, limit: int) -> list[ReportRow]:
    """Return the reports of a room, and what is missing, the newest week first."""
    query = select(*_REPORT).where(status_reports.c.room == room)
    ordered = query.order_by(status_reports.c.week_on.desc(), status_reports.c.member).limit(limit)
    return [ReportRow(*row) for row in await conn.execute(ordered)]


async def select_report(conn: AsyncConnection, room: str, member: str, week_on: str) -> ReportRow | None:
    """Return what is known of a week of a freelancer."""
    row = (
        await conn.execute(
            select(*_REPORT).where(
                status_reports.c.room == room, status_reports.c.member == member, status_reports.c.week_on == week_on
            )
        )
    ).first()
    return None if row is None else ReportRow(*row)


async def select_weeks(
    conn: AsyncConnection, places: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str, str], ReportRow]:
    """Return the reports at these rooms, members and weeks."""
    if not places:
        return {}
    key = tuple_(status_reports.c.room, status_reports.c.member, status_reports.c.week_on)
    found = [ReportRow(*row) for row in await conn.execute(select(*_REPORT).where(key.in_(list(places))))]
    return {(row.room, row.member, row.week_on): row for row in found}


async def upsert_report(conn: AsyncConnection, row: ReportRow) -> None:
    """Store what is known of a week."""
    statement = upsert(conn, status_reports).values(**msgspec.to_builtins(row))
    changed = {name: statement.excluded[name] for name in ("seq", "late", "missing_seq")}
    await conn.execute(statement.on_conflict_do_update(index_elements=["room", "member", "week_on"], set_=changed))


# Turns


def _turn(row: Any) -> TurnRow:
    return TurnRow(row.room, row.member, Turn(date.fromisoformat(row.week_on), row.next_at, row.reminds))


async def select_without_turn(conn: AsyncConnection, limit: int) -> list[tuple[str, str]]:
    """Return the freelancers (room, pseudonym) with terms in active rooms for whom no turn is planned."""
    query = (
        select(terms.c.room, terms.c.member)
        .select_from(
            terms.join(rooms, rooms.c.id == terms.c.room).outerjoin(
                report_turns, and_(report_turns.c.room == terms.c.room, report_turns.c.member == terms.c.member)
            )
        )
        .where(terms.c.version == 1, rooms.c.state == RoomState.ACTIVE.value, report_turns.c.room.is_(None))
        .limit(limit)
    )
    return [(row.room, row.member) for row in await conn.execute(query)]


async def select_turns_due(conn: AsyncConnection, now: int, limit: int) -> list[TurnRow]:
    """Return the turns that are due, the longest waiting first."""
    query = select(report_turns).where(report_turns.c.next_at <= now).order_by(report_turns.c.next_at).limit(limit)
    return [_turn(row) for row in await conn.execute(query)]


async def select_turns(conn: AsyncConnection, places: Iterable[tuple[str, str]]) -> list[TurnRow]:
    """Return the turns of freelancers (room, pseudonym)."""
    listed = list(places)
    if not listed:
        return []
    key = tuple_(report_turns.c.room, report_turns.c.member)
    return [_turn(row) for row in await conn.execute(select(report_turns).where(key.in_(listed)))]


async def insert_turn(conn: AsyncConnection, row: TurnRow) -> None:
    """Plan the first turn of a freelancer, unless it is planned."""
    await conn.execute(upsert(conn, report_turns).values(**_values(row)).on_conflict_do_nothing())


async def update_turn(conn: AsyncConnection, before: TurnRow, after: Turn) -> bool:
    """Plan the turn that follows; return whether no other worker has done it."""
    statement = (
        update(report_turns)
        .where(
            report_turns.c.room == before.room,
            report_turns.c.member == before.member,
            report_turns.c.week_on == before.turn.monday.isoformat(),
            report_turns.c.next_at == before.turn.at,
            report_turns.c.reminds == before.turn.reminds,
        )
        .values(week_on=after.monday.isoformat(), next_at=after.at, reminds=after.reminds)
    )
    return (await conn.execute(statement)).rowcount == 1


async def delete_turn(conn: AsyncConnection, row: TurnRow) -> None:
    """Plan nothing more: the room is not active."""
    await conn.execute(delete(report_turns).where(report_turns.c.room == row.room, report_turns.c.member == row.member))


def _values(row: TurnRow) -> dict[str, Any]:
    turn = row.turn
    return {
        "room": row.room, "member": row.member, "week_on": turn.monday.isoformat(), "reminds": turn.reminds,
        "next_at": turn.at,
    }  # fmt: skip


async def select_versions_of(
    conn: AsyncConnection, places: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[Terms]]:
    """Return the versions of the terms of several freelancers (room, pseudonym), in order."""
    query = select(terms).where(tuple_(terms.c.room, terms.c.member).in_(list(places)))
    found: dict[tuple[str, str], list[Terms]] = {}
    for row in await conn.execute(query.order_by(terms.c.room, terms.c.member, terms.c.version)):
        what = terms_of(msgspec.json.decode(row.body))
        version = Terms(row.room, row.member, row.version, row.seq, row.accepted_seq, row.accepted_at, what)
        found.setdefault((row.room, row.member), []).append(version)
    return found
