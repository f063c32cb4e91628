"""Work View: the day of a room, one frame large, pictures and thumbnails, deleting one's own frame.

Rule 1: the table shows every hour window of the day; empty ones are folded.
Rule 2: the clock of the page is chosen (agreed, mine, UTC); totals stay in the agreed zone.
Rule 3: pictures are members' only and kept by no browser and no proxy, so that a deleted one is gone.
Rule 4: of an erased frame the page knows what its tombstone says: whose it was and of which segment, not the moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotFound
from app.domain.live import Cell, CellState
from app.domain.record import Body, Entry
from app.domain.timerange import (
    HOUR_MS,
    datetime_of,
    instant_of,
    local_day,
    segment_end,
    segment_of,
    segment_start,
)
from app.domain.workrooms import WRITTEN_BY_PEOPLE, RoomInfo, Side, checked_time_zone
from app.services import frames, record, terms, workview
from app.services.workview import DayView, HourView
from app.views.cells import MARKS, WORDS, cells_html, total_html
from app.views.entries import entry_rows
from app.views.names import first_name
from app.views.rendering import page
from app.web.parts import Looking, composer_context, looking_at, my_rooms, room_context

CHAT_SHOWN = 25
CHAT_SEARCHED = 200
COLUMN_PIXELS = 40  # the height of a day in the week strip
COLUMN_FULL_MS = 10 * HOUR_MS
FRAME_NOTES_SHOWN = 50
FRAME_CHAT_AMONG = 40  # entries on either side of a frame that are searched for what was said in its minutes


@dataclass
class HourRow:
    """A row of the table."""

    start: int
    cells: list[Markup]
    total: Markup
    other: bool


@dataclass
class HourGroup:
    """Rows that stand together: hours with time, or a run of empty ones that is folded."""

    folded: bool
    from_at: int
    to_at: int
    rows: list[HourRow] = field(default_factory=list)


@dataclass
class DayTable:
    """The table of one freelancer."""

    by: str
    name: str
    groups: list[HourGroup]


@dataclass(frozen=True)
class Zone:
    """The clock that was chosen for the page."""

    choice: str
    name: str
    query: str


async def show_day(request: Request) -> Response:
    """`GET /rooms/<room>/work-view?day=&zone=`: a day of every freelancer of the room."""
    looking = await looking_at(request)
    resources, actor, room = looking.resources, looking.actor, looking.room
    zone = _zone(request, room)
    now = resources.clock.record_now()
    on = _day(request, zone) or local_day(now, ZoneInfo(room.time_zone))
    summaries, summary = await my_rooms(looking)
    days, around, chat, agreed = await asyncio.gather(
        _days(looking, on, zone),
        room_context(looking, summaries),
        _chat(looking),
        terms.terms_of_room(resources, actor, room.id),
    )
    documented = sum(d.total.documented_ms for d in days)
    context: dict[str, Any] = {
        **around,
        **composer_context(looking, pays=agreed.pays),
        **_day_context(on, zone, room),
        "tables": [DayTable(d.freelancer.by, d.freelancer.name, hour_groups(d, now)) for d in days],
        "documented_ms": documented,
        "total_ms": documented + sum(d.total.tracked_ms for d in days),
        "week": _week(days, on, local_day(now, ZoneInfo(room.time_zone))),
        "week_total_ms": sum(d.week_ms for d in days),
        "head": summary.head,
        "now": now,
        "chat": chat,
    }
    return HTMLResponse(page("workview.html", request=request, actor=actor, **context))


async def _days(looking: Looking, on: date, zone: Zone) -> list[DayView]:
    resources, actor, room = looking.resources, looking.actor, looking.room
    return [
        await workview.day(resources, actor, room.id, member.by, on, zone.name)
        for member in room.on_side(Side.FREELANCER)
    ]


def hour_groups(day: DayView, now: int) -> list[HourGroup]:
    """Return the rows of a day; empty hours next to each other are one fold, the present hour is never folded."""
    groups: list[HourGroup] = []
    for hour in day.hours:
        folded = hour.is_empty and not hour.starts_at <= now < hour.starts_at + HOUR_MS
        if not groups or groups[-1].folded != folded:
            groups.append(HourGroup(folded, hour.starts_at, 0))
        groups[-1].to_at = hour.starts_at + HOUR_MS
        groups[-1].rows.append(_hour_row(day, hour))
    return groups


def _hour_row(day: DayView, hour: HourView) -> HourRow:
    room, by = day.room, day.freelancer.by
    total = total_html(room.id, by, hour.hour, hour.documented_ms, hour.tracked_ms, hour.closed)
    return HourRow(hour.starts_at, cells_html(hour.cells, room, hour.in_day), total, not any(hour.in_day))


def _zone(request: Request, room: RoomInfo) -> Zone:
    choice, mine = request.query_params.get("zone", "agreed"), request.query_params.get("mine", "")
    if choice == "utc":
        return Zone("utc", "UTC", "&zone=utc")
    if choice == "mine" and mine:
        return Zone("mine", checked_time_zone(mine), f"&zone=mine&mine={quote(mine, safe='')}")
    return Zone("agreed", room.time_zone, "")


def _day(request: Request, zone: Zone) -> date | None:
    """Return the day that the address names, by date or by an instant in it."""
    try:
        if text := request.query_params.get("day"):
            return date.fromisoformat(text)
        if text := request.query_params.get("at"):
            return local_day(instant_of(datetime_of(0).fromisoformat(text)), ZoneInfo(zone.name))
    except (ValueError, TypeError, OverflowError):
        raise Malformed("This is no day. Write it like 2026-11-19.", field="day") from None
    return None


def _day_context(on: date, zone: Zone, room: RoomInfo) -> dict[str, Any]:
    label = room.time_zone.rsplit("/", 1)[-1].replace("_", " ")
    choices = [("agreed", label)] if room.time_zone == "UTC" else [("agreed", label), ("utc", "UTC")]
    return {
        "day": on.isoformat(),
        "day_name": f"{on:%A} {on.day} {on:%B}",
        "previous": (on - timedelta(days=1)).isoformat(),
        "next": (on + timedelta(days=1)).isoformat(),
        "zone_shown": zone.name,
        "zone_choice": zone.choice,
        "zone_label": label,
        "zone_query": zone.query,
        "zone_choices": [choices[0], ("mine", "My time"), *choices[1:]],
    }


def _week(days: list[DayView], on: date, today: date) -> list[dict[str, Any]]:
    monday = on - timedelta(days=on.weekday())
    made = []
    for index in range(7):
        listed = [day.week[index] for day in days]
        documented, tracked = sum(d.documented_ms for d in listed), sum(d.tracked_ms for d in listed)
        that = monday + timedelta(days=index)
        made.append(
            {
                "day": that.isoformat(),
                "label": f"{that:%a} {that.day}",
                "total_ms": documented + tracked,
                "high": _pixels(documented),
                "tall": _pixels(documented + tracked),
                "today": that == today,
            }
        )
    return made


def _pixels(milliseconds: int) -> int:
    return min(COLUMN_PIXELS, -(-milliseconds * COLUMN_PIXELS // COLUMN_FULL_MS))


async def _chat(looking: Looking) -> list[Markup]:
    found = await record.page(looking.resources, looking.actor, looking.room.id, limit=CHAT_SEARCHED)
    said = [entry for entry in found.entries if entry.kind in WRITTEN_BY_PEOPLE]
    return await _said_rows(looking, said[-CHAT_SHOWN:])


async def _said_rows(looking: Looking, said: list[Entry]) -> list[Markup]:
    later = await record.later(looking.resources, looking.room.id, said)
    return entry_rows(said, looking.room, corrections=later.corrections, matters=later.matters)


# One frame


@dataclass(frozen=True)
class Taken:
    """Whose a frame is and when it was taken, Unix ms; an erased one has no moment any more."""

    by: str
    segment: int
    at: int | None


async def show_frame(request: Request) -> Response:
    """`GET /rooms/<room>/frames/<seq>`: one frame, large, with its segment and what was said; a part for the dialog."""
    looking = await looking_at(request)
    resources, actor, room = looking.resources, looking.actor, looking.room
    entry = await record.entry(resources, actor, room.id, request.path_params["seq"])
    if entry.kind != "frame.taken":
        raise NotFound()
    taken = await _taken(looking, entry)
    context = {
        "room": room,
        "member": looking.member,
        "frame": await _frame(looking, entry, taken),
        "name": first_name(room, taken.by),
        "notes": await _said_rows(looking, await record.notes(resources, actor, room.id, entry.seq, FRAME_NOTES_SHOWN)),
        "chat": await _said_meanwhile(looking, entry, taken.segment),
        "cid": composer_context(looking)["cid"],
    }
    template = "_frame.html" if "hx-request" in request.headers else "frame.html"
    return HTMLResponse(page(template, request=request, actor=actor, **context))


async def _taken(looking: Looking, entry: Entry) -> Taken:
    if entry.body is not None:
        return Taken(entry.body["member"], entry.body["segment"], _taken_at(entry.body))
    assert entry.erased is not None, "only a tombstone takes a body away"
    tombstone = await record.entry(looking.resources, looking.actor, looking.room.id, entry.erased)
    assert tombstone.body is not None, "tombstones are not erased"
    return Taken(tombstone.body["member"], tombstone.body["segment"], None)


def _taken_at(body: Body) -> int:
    return instant_of(datetime_of(0).fromisoformat(body["taken_at"]))


async def _frame(looking: Looking, entry: Entry, taken: Taken) -> dict[str, Any]:
    """Return what the page of a frame shows, with its neighbours of the same day."""
    by, room = taken.by, looking.room
    shown: dict[str, Any] = {
        "seq": entry.seq,
        "by": by,
        "taken_at": taken.at,
        "previous": None,
        "next": None,
        "state": "deleted",
        "word": "The picture was erased",
        "comment": "",
        "mark_word": "",
        "width": None,
        "height": None,
        "segment": taken.segment,
        "counted_ms": 0,
        "tracked_ms": 0,
        "pictured": False,
        "frame_id": None,
    }
    if by in room.members:
        on = local_day(segment_start(taken.segment), ZoneInfo(room.time_zone))
        day = await workview.day(looking.resources, looking.actor, room.id, by, on)
        cells = [cell for hour in day.hours for cell in hour.cells]
        pictured = [cell.frame_seq for cell in cells if cell.frame_seq is not None and _is_shown(cell)]
        shown["previous"] = max((seq for seq in pictured if seq < entry.seq), default=None)
        shown["next"] = min((seq for seq in pictured if seq > entry.seq), default=None)
        if entry.body is not None:
            shown |= _of_cell(next((cell for cell in cells if cell.frame_seq == entry.seq), None), entry.body, room)
        elif cell := next((cell for cell in cells if cell.segment == taken.segment), None):
            shown |= _counted(cell)  # a later frame may hold the segment, and then its time counts
    shown["segment_at"] = segment_start(shown["segment"])
    shown["segment_end"] = segment_end(shown["segment"])
    return shown


def _is_shown(cell: Cell) -> bool:
    return cell.state in (CellState.READY, CellState.STORED)


def _counted(cell: Cell) -> dict[str, Any]:
    return {
        "comment": cell.comment,
        "counted_ms": cell.documented_ms + cell.tracked_ms,
        "tracked_ms": cell.tracked_ms,
    }


def _of_cell(cell: Cell | None, body: Body, room: RoomInfo) -> dict[str, Any]:
    known = {"width": body["width"], "height": body["height"]}
    if cell is None:
        return known
    return {
        **known,
        **_counted(cell),
        "state": cell.state.value,
        "word": WORDS[cell.state][1].format(name=first_name(room, cell.by)),
        "mark_word": MARKS.get(cell.mark or "", ""),
        "pictured": _is_shown(cell),
        "frame_id": cell.frame_id,
    }


async def _said_meanwhile(looking: Looking, entry: Entry, segment: int) -> list[Markup]:
    """Return what people wrote in the frame's segment, without the notes on the frame itself."""
    found = await record.page(
        looking.resources,
        looking.actor,
        looking.room.id,
        after=entry.seq - FRAME_CHAT_AMONG,
        limit=2 * FRAME_CHAT_AMONG,
    )
    said = [
        e
        for e in found.entries
        if e.kind in WRITTEN_BY_PEOPLE and segment_of(e.at) == segment and not _is_note(e, entry)
    ]
    return await _said_rows(looking, said)


def _is_note(entry: Entry, frame: Entry) -> bool:
    return entry.kind == "feedback" and entry.ref == frame.seq


async def delete_frame(request: Request) -> Response:
    """`POST /rooms/<room>/frames/<seq>/delete`: the freelancer deletes their own frame."""
    looking = await looking_at(request)
    resources, actor, room = looking.resources, looking.actor, looking.room
    entry = await record.entry(resources, actor, room.id, request.path_params["seq"])
    if entry.kind != "frame.taken" or entry.body is None:
        raise NotFound()
    await frames.delete(resources, actor, entry.body["frame"])
    on = local_day(_taken_at(entry.body), ZoneInfo(room.time_zone))
    return RedirectResponse(f"/rooms/{room.id}/work-view?day={on.isoformat()}", 303)


async def show_image(request: Request) -> Response:
    """`GET /rooms/<room>/frames/<seq>/image`: the full-size picture; looking at it is logged."""
    return await _picture(request, thumbnail=False)


async def show_thumbnail(request: Request) -> Response:
    """`GET /rooms/<room>/frames/<seq>/thumbnail`; one that is still to come is a drawing for pages."""
    try:
        return await _picture(request, thumbnail=True)
    except NotFound:
        looking = await looking_at(request)
        is_program = request.url.path.startswith("/api/")
        if is_program or not await frames.is_shown(looking.resources, looking.room.id, request.path_params["seq"]):
            raise
        return Response(_placeholder(), media_type="image/svg+xml", headers={"cache-control": "no-store"})


def _placeholder() -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="480" height="270" viewBox="0 0 480 270">'
        '<rect width="480" height="270" fill="#8884"/><g fill="none" stroke="#888" stroke-width="6">'
        '<rect x="195" y="95" width="90" height="80" rx="10"/><path d="m195 160 30-30 60 45"/></g></svg>'
    )


async def _picture(request: Request, *, thumbnail: bool) -> Response:
    looking = await looking_at(request)
    seq = request.path_params["seq"]
    file = await frames.frame_file(looking.resources, looking.actor, looking.room.id, seq, thumbnail=thumbnail)
    try:
        picture = await asyncio.to_thread(file.path.read_bytes)  # 4 MiB at most
    except FileNotFoundError:  # erased since
        raise NotFound() from None
    return Response(picture, media_type=file.media, headers={"cache-control": "no-store"})


routes = [
    Route("/rooms/{room}/work-view", show_day),
    Route("/rooms/{room}/frames/{seq:int}", show_frame),
    Route("/rooms/{room}/frames/{seq:int}/image", show_image),
    Route("/rooms/{room}/frames/{seq:int}/thumbnail", show_thumbnail),
    Route("/rooms/{room}/frames/{seq:int}/delete", delete_frame, methods=["POST"]),
]

api_routes = [
    Route("/api/rooms/{room}/frames/{seq:int}/image", show_image),
    Route("/api/rooms/{room}/frames/{seq:int}/thumbnail", show_thumbnail),
]
