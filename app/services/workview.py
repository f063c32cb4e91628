"""Work View: what pages and sockets show of tracked time: cells, a day, a week, what trackers do now.

Rule 1: a segment belongs to the day in which it starts; totals are of the zone that the room agreed on, whatever zone
a page is shown in (rule 2.2).
Rule 2: a day has every UTC hour window that touches it; cells of the neighbouring days say so.
Rule 3: the number of queries does not grow with what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from app.domain.errors import NotFound
from app.domain.live import Appended, Cell, TrackerState
from app.domain.timerange import (
    HOUR_MS,
    day_bounds,
    hour_of_segment,
    instant_of,
    local_day,
    segment_of,
    segment_start,
    segments_of_hour,
)
from app.domain.workrooms import Member, RoomInfo, Side, checked_time_zone
from app.services.access import Actor, member_of, room_info
from app.services.frames import frame_file, looks
from app.services.hours import HourWritten, close_due_hours
from app.services.resources import Resources
from app.services.seeds import reveal_seeds
from app.services.segments import BySegments, read_cells, read_tracker_states, segments_of_days
from app.services.tracking import stop_silent
from app.storage.tracking import SegmentRow, select_segments
from app.storage.workview import select_closed_hours

__all__ = [
    "DayTotal", "DayView", "HourView", "HourWritten", "cells", "close_due_hours", "day", "frame_file", "live_state",
    "looks", "reveal_due_seeds", "reveal_seeds", "stop_silent", "tracker_states", "with_cells",
]  # fmt: skip

SNAPSHOT_HOURS = 2  # what a viewer gets after joining: this hour and the one before
DAYS_OF_WEEK = 7

reveal_due_seeds = reveal_seeds


class HourView(msgspec.Struct, frozen=True):
    """A row of the day: a UTC hour window with its five cells. `in_day` says which of them belong to the day."""

    hour: int
    starts_at: int
    cells: tuple[Cell, ...]
    in_day: tuple[bool, ...]
    closed: bool

    @property
    def documented_ms(self) -> int:
        """Documented time of the cells that belong to the day."""
        return sum(cell.documented_ms for cell, belongs in zip(self.cells, self.in_day, strict=True) if belongs)

    @property
    def tracked_ms(self) -> int:
        """Tracked, undocumented time of the cells that belong to the day."""
        return sum(cell.tracked_ms for cell, belongs in zip(self.cells, self.in_day, strict=True) if belongs)

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in this hour."""
        return all(cell.state.value == "empty" for cell in self.cells)


class DayTotal(msgspec.Struct, frozen=True):
    """A day of the week strip, in the agreed zone."""

    day: date
    documented_ms: int
    tracked_ms: int


class DayView(msgspec.Struct, frozen=True):
    """A freelancer's day in `zone`; the totals and the week are in the zone that the room agreed on."""

    room: RoomInfo
    freelancer: Member
    day: date
    zone: str
    hours: tuple[HourView, ...]
    total: DayTotal
    week: tuple[DayTotal, ...]
    tracker: TrackerState | None

    @property
    def week_ms(self) -> int:
        """All time of the week."""
        return sum(day.documented_ms + day.tracked_ms for day in self.week)


async def cells(resources: Resources, room: str, by_segments: BySegments) -> list[Cell]:
    """Return the cells of segments, for callers that have asked for access."""
    info = await room_info(resources, room)
    async with resources.database.read() as conn:
        return await read_cells(conn, info, by_segments, resources.clock.record_now())


async def day(
    resources: Resources,
    actor: Actor,
    room: str,
    freelancer: str | None = None,
    on: date | None = None,
    zone: str | None = None,
) -> DayView:
    """Return a day of a freelancer (by pseudonym; the room's first without one), today in the agreed zone without one.

    Raises:
        NotFound: if the actor is no member, or there is no such freelancer or day.
        Malformed: if there is no such zone.
    """
    await member_of(resources, actor, room)
    info = await room_info(resources, room)
    member = _freelancer(info, freelancer)
    zone = checked_time_zone(zone) if zone else info.time_zone
    shown, agreed = ZoneInfo(zone), ZoneInfo(info.time_zone)
    now = resources.clock.record_now()
    on = on or local_day(now, agreed)
    if not date(1971, 1, 1) <= on <= date(9000, 1, 1):  # what segments and weeks can be computed for
        raise NotFound()
    start, end = day_bounds(on, shown)
    listed = range(start // HOUR_MS, (end - 1) // HOUR_MS + 1)
    monday = on - timedelta(days=on.weekday())
    week_first, week_last = segments_of_days(monday, DAYS_OF_WEEK, agreed)
    numbers = [number for hour in listed for number in segments_of_hour(hour)]
    async with resources.database.read() as conn:
        found = {cell.segment: cell for cell in await read_cells(conn, info, {member.by: numbers}, now)}
        closed = await select_closed_hours(conn, room, member.account, listed[0], listed[-1])
        times = await select_segments(conn, room, [member.account], range(week_first, week_last + 1))
        states = await read_tracker_states(conn, [info], now, resources.trackers, resources.clock.real_now())
    rows = tuple(
        HourView(
            hour=hour,
            starts_at=hour * HOUR_MS,
            cells=tuple(found[number] for number in segments_of_hour(hour)),
            in_day=tuple(start <= segment_start(number) < end for number in segments_of_hour(hour)),
            closed=hour in closed,
        )
        for hour in listed
    )
    week = _week(monday, times, agreed)
    tracker = next((state for state in states[room] if state.by == member.by), None)
    return DayView(info, member, on, zone, rows, week[on.weekday()], week, tracker)


def _freelancer(info: RoomInfo, by: str | None) -> Member:
    on_side = info.on_side(Side.FREELANCER)
    found = next((member for member in on_side if by in (None, member.by)), None)
    if found is None:
        raise NotFound()
    return found


def _week(monday: date, times: Iterable[SegmentRow], zone: ZoneInfo) -> tuple[DayTotal, ...]:
    documented, tracked = [0] * DAYS_OF_WEEK, [0] * DAYS_OF_WEEK
    for row in times:
        if not row.deleted:
            index = (local_day(segment_start(row.segment), zone) - monday).days
            documented[index] += row.documented_ms
            tracked[index] += row.tracked_ms
    return tuple(
        DayTotal(monday + timedelta(days=index), documented[index], tracked[index]) for index in range(DAYS_OF_WEEK)
    )


async def weeks(resources: Resources, actor: Actor, room: str) -> dict[str, tuple[DayTotal, ...]]:
    """Return the days of this week, in the agreed zone, of each freelancer by pseudonym. One query.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    info = await room_info(resources, room)
    zone = ZoneInfo(info.time_zone)
    today = local_day(resources.clock.record_now(), zone)
    monday = today - timedelta(days=today.weekday())
    first, last = segments_of_days(monday, DAYS_OF_WEEK, zone)
    freelancers = {member.account: member.by for member in info.on_side(Side.FREELANCER)}
    async with resources.database.read() as conn:
        times = await select_segments(conn, room, list(freelancers), range(first, last + 1))
    return {
        by: _week(monday, [row for row in times if row.account == account], zone) for account, by in freelancers.items()
    }


async def tracker_states(resources: Resources, rooms: Sequence[RoomInfo]) -> dict[str, list[TrackerState]]:
    """Return, by room, what each freelancer's tracker does now. Three queries, however many rooms."""
    async with resources.database.read() as conn:
        return await read_tracker_states(
            conn, rooms, resources.clock.record_now(), resources.trackers, resources.clock.real_now()
        )


async def live_state(resources: Resources, info: RoomInfo) -> tuple[list[TrackerState], list[Cell]]:
    """Return what a viewer gets after joining: every tracker's state, and the cells of the last two hours."""
    now = resources.clock.record_now()
    last = segment_of(now)
    first = segments_of_hour(hour_of_segment(last) - SNAPSHOT_HOURS + 1)[0]
    wanted = {member.by: range(first, last + 1) for member in info.on_side(Side.FREELANCER)}
    async with resources.database.read() as conn:
        states = await read_tracker_states(conn, [info], now, resources.trackers, resources.clock.real_now())
        return states[info.id], await read_cells(conn, info, wanted, now)


async def with_cells(resources: Resources, info: RoomInfo, events: Sequence[Appended]) -> list[Appended]:
    """Return old entries with the cells that they changed, as these are now: a replay shows what a page does."""
    wanted: dict[str, set[int]] = {}
    of_event = [_changed(event) for event in events]
    for by, numbers in of_event:
        if numbers:
            wanted.setdefault(by, set()).update(numbers)
    if not wanted:
        return list(events)
    async with resources.database.read() as conn:
        found = {
            (cell.by, cell.segment): cell for cell in await read_cells(conn, info, wanted, resources.clock.record_now())
        }
    return [
        msgspec.structs.replace(event, cells=tuple(found[by, number] for number in numbers if (by, number) in found))
        if numbers
        else event
        for event, (by, numbers) in zip(events, of_event, strict=True)
    ]


def _changed(event: Appended) -> tuple[str, Sequence[int]]:
    """Return whose segments an entry changed. What was erased says nothing; its tombstone does."""
    entry = event.entry
    body = entry.body
    if body is None:
        return entry.by, ()
    match entry.kind:
        case "frame.taken" | "frame.replaced" | "frame.unreadable" | "frame.deleted":
            return body["member"], (body["segment"],)
        case "hour.closed" | "hour.amended":
            return body["member"], [segment["segment"] for segment in body["segments"]]
        case "comment":
            return entry.by, range(body["from_segment"], body["to_segment"] + 1)
        case "tracking.discarded":
            start, end = (instant_of(datetime.fromisoformat(body[name])) for name in ("start", "end"))
            return body["member"], range(segment_of(start), segment_of(end - 1) + 1)
    return entry.by, ()
