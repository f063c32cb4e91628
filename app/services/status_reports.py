"""Status reports: what a report does, what is listed, and the worker's reminder and finding that one is missing (5.4).

Rule 1: one report for a freelancer and week counts; a later one takes its place, and both stand in the record.
Rule 2: the worker goes from turn to turn: remind on Saturday, look after Sunday, and so on; each turn is taken once,
whoever takes it, and a server that was away catches up week by week.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.bodies.system import ReportMissing
from app.domain.errors import Forbidden, InvalidBody, WorkroomError
from app.domain.events import body_of
from app.domain.notices import Reason
from app.domain.record import Draft, Entry
from app.domain.status_reports import (
    Turn,
    at_of,
    check_reported_week,
    due_at,
    first_turn,
    is_late,
    needs_report,
    next_turn,
    remind_at,
    week_of,
)
from app.domain.terms import Milestone, Terms, Week, week_at
from app.domain.timerange import MINUTE_MS
from app.domain.workrooms import SYSTEM, Member, RoomInfo, RoomState, Side
from app.services import notices
from app.services.access import Actor, member_of, read_room_info, room_info
from app.services.effects import Writing
from app.services.resources import Resources
from app.storage import notices as notice_rows
from app.storage import record as entry_rows
from app.storage import status_reports as rows
from app.storage import terms as terms_rows
from app.storage.matters import select_absences
from app.storage.status_reports import ReportRow, TurnRow
from app.storage.writer import Tx

WEEKS_SHOWN_MAX = 104  # two years of one freelancer
TURNS_AT_ONCE = 200
ROUNDS_MAX = 20  # a sweep ends, and the next one goes on

log = structlog.get_logger()


class Report(Struct, frozen=True):
    """A week of a freelancer: its report, or that it is missing."""

    member: Member
    monday: date
    late: bool
    entry: Entry | None
    missing_seq: int | None


class Due(Struct, frozen=True):
    """The next report of a freelancer: on the week that began on `monday`, due at `at`. `sent` is its seq, if it is
    there already."""

    member: Member
    monday: date
    at: int
    sent: int | None


class Reports(Struct, frozen=True):
    """The reports of a workroom, the newest week first, the milestones that they tell of, and what is due next."""

    info: RoomInfo
    listed: list[Report]
    milestones: dict[str, dict[str, Milestone]]
    due: list[Due]


async def on_status_report(writing: Writing) -> None:
    """Take a report as the one that counts for its week.

    Raises:
        InvalidBody: naming the week, if it is neither this one nor the last, or a milestone that is none.
        Forbidden: if there are no terms with its author.
    """
    tx, entry = writing.tx, writing.entry
    versions = await terms_rows.select_versions(tx.conn, entry.room, entry.by)
    if not versions:
        raise Forbidden("Agree on terms first: one side proposes them, the other accepts.", field="kind")
    monday = date.fromisoformat(writing.field("week_on"))
    week = check_reported_week(versions, monday, entry.at)
    keys = {milestone.key for milestone in await terms_rows.select_milestones(tx.conn, entry.room, entry.by)}
    _check_milestones(writing, keys)
    known = await rows.select_report(tx.conn, entry.room, entry.by, monday.isoformat())
    first_late = is_late(week, entry.at) and (known is None or known.seq is None or known.late)
    missing = known.missing_seq if known is not None else None
    await rows.upsert_report(
        tx.conn, ReportRow(entry.room, entry.by, monday.isoformat(), entry.seq, first_late, missing)
    )
    touched = await notice_rows.update_settled(
        tx.conn, entry.room, -1, (Reason.REPORT_DUE,), writing.resources.clock.real_now(), monday.toordinal()
    )
    await notices.publish_counts(tx, touched)


def _check_milestones(writing: Writing, keys: Collection[str]) -> None:
    for number, progress in enumerate(writing.field("progress", [])):
        if progress["milestone"] not in keys:
            raise InvalidBody(
                f"There is no milestone `{progress['milestone']}` in your terms.",
                field=f"body.progress.{number}.milestone",
            )
    for number, key in enumerate(writing.field("asks_release", [])):
        if key not in keys:
            raise InvalidBody(f"There is no milestone `{key}` in your terms.", field=f"body.asks_release.{number}")


# Reading


async def reports_of(resources: Resources, actor: Actor, room: str) -> Reports:
    """Return the reports of a workroom.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    info = await room_info(resources, room)
    now = resources.clock.record_now()
    async with resources.database.read() as conn:
        known = await rows.select_reports(conn, room, WEEKS_SHOWN_MAX)
        seqs = [row.seq for row in known if row.seq is not None]
        entries = await entry_rows.select_entries(conn, room, seqs) if seqs else {}
        versions = await terms_rows.select_room_versions(conn, room)
        milestones: dict[str, dict[str, Milestone]] = {}
        for milestone in await terms_rows.select_milestones(conn, room):
            milestones.setdefault(milestone.member, {})[milestone.key] = milestone
        absences = await select_absences(conn, room, list(versions), now) if versions else {}
    listed = [
        Report(
            info.members[row.member],
            date.fromisoformat(row.week_on),
            row.late,
            entries.get(row.seq) if row.seq is not None else None,
            row.missing_seq,
        )
        for row in known
    ]
    sent = {(row.member, row.week_on): row.seq for row in known if row.seq is not None}
    due = [_next_due(info.members[by], of, absences.get(by, []), sent, now) for by, of in versions.items()]
    return Reports(info, listed, milestones, due if info.state is RoomState.ACTIVE else [])


def _next_due(
    member: Member,
    versions: list[Terms],
    away: list[tuple[int, int]],
    sent: Mapping[tuple[str, str], int],
    now: int,
) -> Due:
    """Return the first week, from this one on, that needs a report; a vacation of months is not looked through."""
    week = week_at(versions, now)
    for _ in range(8):
        if needs_report(versions, week, away):
            break
        week = week_at(versions, week.to_at)
    return Due(member, week.monday, due_at(week), sent.get((member.by, week.monday.isoformat())))


async def weeks_to_report(resources: Resources, actor: Actor, room: str) -> list[Week]:
    """Return the weeks that the actor can report on, the likeliest first: the last one while its report is missing.

    Raises:
        NotFound: if the actor is no member.
    """
    member = await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        versions = await terms_rows.select_versions(conn, room, member.by)
        present = week_at(versions, resources.clock.record_now())
        last = week_at(versions, present.from_at - 1)
        known = await rows.select_report(conn, room, member.by, last.monday.isoformat())
    if known is not None and known.seq is None and known.missing_seq is not None:
        return [last, present]
    return [present, last]


async def due_soon(
    conn: AsyncConnection, members: Collection[Member], now: int, within_ms: int
) -> list[tuple[str, date, int]]:
    """Return the reports that these freelancers have yet to send soon: room, Monday, and when it is due. Two queries
    at most."""
    places = [(member.room, member.by) for member in members if member.side is Side.FREELANCER]
    turns = [row for row in await rows.select_turns(conn, places) if row.turn.at <= now + within_ms]
    soon = [row for row in turns if not row.turn.reminds]  # the reminder went out: the rest of the week is left
    known = await rows.select_weeks(conn, [(r.room, r.member, r.turn.monday.isoformat()) for r in soon])
    sent = {place for place, row in known.items() if row.seq is not None}
    return [
        (row.room, row.turn.monday, row.turn.at - MINUTE_MS)
        for row in soon
        if (row.room, row.member, row.turn.monday.isoformat()) not in sent
    ]


# The worker


async def take_turns(resources: Resources) -> int:
    """Remind of reports that are due, and write down those that are missing; return how many turns were taken."""
    await _plan(resources)
    done = 0
    for _ in range(ROUNDS_MAX):
        now = resources.clock.record_now()
        async with resources.database.read() as conn:
            due = await rows.select_turns_due(conn, now, TURNS_AT_ONCE)
        for row in due:
            try:
                await _take(resources, row)
                done += 1
            except WorkroomError as error:
                log.warning("status report not looked after", room=row.room, code=error.code)
        if len(due) == 0 or resources.clock.record_now() < now:
            break
    return done


async def _plan(resources: Resources) -> None:
    """Plan the first turn of every freelancer whose terms were accepted lately."""
    async with resources.database.read() as conn:
        new = await rows.select_without_turn(conn, TURNS_AT_ONCE)
        listed = await rows.select_versions_of(conn, new) if new else {}

    async def work(tx: Tx) -> None:
        for (room, member), versions in listed.items():
            await rows.insert_turn(tx.conn, TurnRow(room, member, first_turn(versions, versions[0].accepted_at)))

    if new:
        await resources.database.writer.run(work)


async def _take(resources: Resources, row: TurnRow) -> None:
    async def work(tx: Tx) -> None:
        info = await read_room_info(tx.conn, row.room)
        if info.state is not RoomState.ACTIVE:
            await rows.delete_turn(tx.conn, row)
            return
        versions = await terms_rows.select_versions(tx.conn, row.room, row.member)
        turn = row.turn
        planned = at_of(versions, turn)
        if planned > tx.now:  # the zone changed since
            await rows.update_turn(tx.conn, row, Turn(turn.monday, planned, turn.reminds))
            return
        if not await rows.update_turn(tx.conn, row, next_turn(versions, turn)):
            return  # another worker has taken it
        week = week_of(versions, turn.monday)
        known = await rows.select_report(tx.conn, row.room, row.member, turn.monday.isoformat())
        if known is not None and (known.seq is not None or known.missing_seq is not None):
            return
        away = (await select_absences(tx.conn, row.room, [row.member], week.from_at))[row.member]
        if not needs_report(versions, week, away):
            return
        if not turn.reminds:
            await _miss(tx, resources, info, row.member, week)
        elif remind_at(week) <= tx.now < due_at(week):
            wanted = {info.members[row.member].account: Reason.REPORT_DUE}
            await notices.tell(tx, resources, info, wanted, -1, turn.monday.toordinal())

    await resources.database.writer.run(work, rooms=(row.room,))


async def _miss(tx: Tx, resources: Resources, info: RoomInfo, by: str, week: Week) -> None:
    monday = week.monday
    kind, body = body_of(ReportMissing(by, monday.isoformat()))
    entry = await tx.append(Draft(info.id, kind, SYSTEM, body))
    await rows.upsert_report(tx.conn, ReportRow(info.id, by, monday.isoformat(), missing_seq=entry.seq))
    due = await notice_rows.update_settled(
        tx.conn, info.id, -1, (Reason.REPORT_DUE,), resources.clock.real_now(), monday.toordinal()
    )
    await notices.publish_counts(tx, due)
    wanted = {m.account: Reason.REPORT_MISSING for m in info.members.values() if m.by == by or m.side is Side.CLIENT}
    await notices.tell(tx, resources, info, wanted, entry.seq)
