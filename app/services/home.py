"""Home: what waits for whom, and how one's workrooms stand, read at once for the first page (rule 1.5).

Rule 1: a fixed number of queries, however many workrooms; nothing is read in a loop.
Rule 2: a workroom that is closed is listed, and nothing more is looked up for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.live import TrackerState
from app.domain.matters import Matter
from app.domain.record import Entry
from app.domain.timerange import DAY_MS, local_day
from app.domain.workrooms import WRITTEN_BY_PEOPLE, RoomInfo, RoomState, Side
from app.services import jobs, workrooms
from app.services.access import Actor
from app.services.resources import Resources
from app.services.segments import segments_of_days
from app.services.status_reports import due_soon
from app.services.workrooms import RoomSummary
from app.storage import matters as matter_rows
from app.storage import tracking as tracking_rows
from app.storage.frames import select_last_frame_seqs
from app.storage.record import select_last_of_kinds

ROOMS_WITH_WORDS = 20  # rooms whose last words are shown
MATTERS_MAX = 400  # read for one page; nobody works off more at once
REPORT_SOON_MS = 2 * DAY_MS


class DueReport(Struct, frozen=True):
    """A status report that the reader has yet to send."""

    info: RoomInfo
    monday: date
    due_at: int


class Waits(Struct, frozen=True):
    """What waits for the reader, the most urgent first, and what waits for others because of the reader."""

    infos: dict[str, RoomInfo]
    mine: list[Matter]
    theirs: list[Matter]
    reports: list[DueReport]
    jobs: jobs.Waiting


class HomeRoom(Struct, frozen=True):
    """A workroom on the first page: who works in it, this week's milliseconds, its last words, its last frame."""

    summary: RoomSummary
    trackers: list[TrackerState]
    week_ms: int
    last: Entry | None


class Home(Struct, frozen=True):
    """The first page: open workrooms, the one with the latest entry first, those that are closed, and what waits."""

    rooms: list[HomeRoom]
    closed: list[RoomSummary]
    waits: Waits


async def home_of(resources: Resources, actor: Actor) -> Home:
    """Return the first page of an account."""
    summaries = await workrooms.my_rooms(resources, actor)
    listed = [summary for summary in summaries if summary.info.state is not RoomState.CLOSED]
    waiting = await jobs.waiting_for(resources, actor)
    now = resources.clock.record_now()
    async with resources.database.read() as conn:
        words = await _last_words(conn, listed)
        trackers = await _trackers(resources, conn, listed)
        weeks = await _weeks(conn, listed, now)
        waits = await _waits(conn, listed, waiting, now)
    rooms = [
        HomeRoom(
            summary,
            trackers.get(summary.info.id, []),
            sum(weeks.get((summary.info.id, account), 0) for account in _counted(summary)),
            words.get(summary.info.id),
        )
        for summary in listed
    ]
    closed = [summary for summary in summaries if summary.info.state is RoomState.CLOSED]
    return Home(rooms, closed, waits)


async def waits_of(resources: Resources, actor: Actor) -> tuple[list[RoomSummary], Waits]:
    """Return the actor's open workrooms, and what waits for whom in them."""
    summaries = await workrooms.my_rooms(resources, actor)
    listed = [summary for summary in summaries if summary.info.state is not RoomState.CLOSED]
    waiting = await jobs.waiting_for(resources, actor)
    async with resources.database.read() as conn:
        return listed, await _waits(conn, listed, waiting, resources.clock.record_now())


async def _waits(conn: AsyncConnection, listed: Sequence[RoomSummary], waiting: jobs.Waiting, now: int) -> Waits:
    infos = {summary.info.id: summary.info for summary in listed}
    members = {summary.info.id: summary.member for summary in listed}
    found = await matter_rows.select_open(conn, list(infos), MATTERS_MAX) if infos else []
    mine, theirs = [], []
    for matter in found:
        member = members[matter.room]
        if matter.asked in (member.by, member.side.value):
            mine.append(matter)
        elif matter.side == member.side.value:
            theirs.append(matter)
    due = await due_soon(conn, list(members.values()), now, REPORT_SOON_MS)
    reports = [DueReport(infos[room], monday, at) for room, monday, at in sorted(due, key=lambda each: each[2])]
    return Waits(infos, mine, theirs, reports, waiting)


async def _last_words(conn: AsyncConnection, listed: Sequence[RoomSummary]) -> dict[str, Entry]:
    rooms = [summary.info.id for summary in listed[:ROOMS_WITH_WORDS]]
    return await select_last_of_kinds(conn, rooms, WRITTEN_BY_PEOPLE) if rooms else {}


async def _trackers(
    resources: Resources, conn: AsyncConnection, listed: Sequence[RoomSummary]
) -> dict[str, list[TrackerState]]:
    """Return what trackers do that are on; the rest of the freelancers are off."""
    infos = {summary.info.id: summary.info for summary in listed}
    sessions = await tracking_rows.select_open_sessions_of_rooms(conn, list(infos)) if infos else []
    seqs = await select_last_frame_seqs(conn, {session.room for session in sessions}) if sessions else {}
    on = {(session.room, session.account): session for session in reversed(sessions)}  # the last one started counts
    real_now = resources.clock.real_now()
    states: dict[str, list[TrackerState]] = {}
    for info in infos.values():
        for member in info.on_side(Side.FREELANCER):
            session = on.get((info.id, member.account))
            if session is None:
                states.setdefault(info.id, []).append(TrackerState(member.by, on=False))
                continue
            states.setdefault(info.id, []).append(
                TrackerState(
                    by=member.by,
                    on=True,
                    silent=resources.trackers.is_silent(session.id, real_now),
                    session=session.id,
                    since=session.started_at,
                    comment=session.comment,
                    work_view=session.work_view,
                    last_frame_seq=seqs.get((info.id, member.account)),
                )
            )
    return states


async def _weeks(conn: AsyncConnection, listed: Sequence[RoomSummary], now: int) -> dict[tuple[str, str], int]:
    """Return this week's milliseconds, in the agreed zone, by room and account."""
    by_zone: dict[str, list[str]] = {}
    for summary in listed:
        by_zone.setdefault(summary.info.time_zone, []).append(summary.info.id)
    ranges = []
    for name, rooms in by_zone.items():
        zone = ZoneInfo(name)
        today = local_day(now, zone)
        ranges.append((rooms, *segments_of_days(today - timedelta(days=today.weekday()), 7, zone)))
    return await tracking_rows.select_totals(conn, ranges) if ranges else {}


def _counted(summary: RoomSummary) -> list[str]:
    """Return whose hours a member is shown: a freelancer's own, a client's freelancers'."""
    if summary.member.side is Side.FREELANCER:
        return [summary.member.account]
    return [member.account for member in summary.info.on_side(Side.FREELANCER)]
