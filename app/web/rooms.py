"""The workroom: its timeline, "Load earlier", a new entry without script, permalinks, receipts, invitations.

Rule 1: a page holds the last entries, or those around one; only a page that reaches the end is live.
Rule 2: it opens at the first unread entry.
Rule 3: what was typed comes back with every refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import NotFound, WorkroomError
from app.domain.matters import ANSWERS
from app.domain.record import Entry
from app.domain.timerange import local_day
from app.domain.workrooms import PARTIES, WRITTEN_BY_PEOPLE, RoomInfo, Side
from app.services import invitations, record, transcripts
from app.services.reading import seen_by
from app.services.resources import Resources
from app.services.workrooms import RoomSummary
from app.views.entries import entry_row, entry_rows
from app.views.presence import seen_html
from app.views.rendering import day_text, page
from app.views.sentences import sentence
from app.web.errors import error_response, status_of, wants_json
from app.web.parts import (
    Draft,
    Looking,
    add_entry,
    composer_context,
    looking_at,
    my_rooms,
    posted_draft,
    room_context,
    safe_path,
)
from app.web.side import side_context

ENTRIES_SHOWN = 100
ENTRIES_SHOWN_MAX = 300  # as many rows as a page holds live
READ_BEFORE_UNREAD = 20  # rows above the first unread one, to remember what it was about


@dataclass(frozen=True)
class ShownRow:
    """A row with the lines that stand above it."""

    html: Markup
    day: str | None
    unread: int | None


async def shown_rows(
    resources: Resources, entries: Sequence[Entry], room: RoomInfo, summary: RoomSummary | None = None
) -> list[ShownRow]:
    """Return the rows of a page with its day lines and, for `summary`, the line above the first unread entry."""
    later = await record.later(resources, room.id, entries)
    rows = entry_rows(entries, room, later.frames, later.corrections, later.matters)
    zone = ZoneInfo(room.time_zone)
    made, last_day, told = [], None, summary is None or summary.unread == 0
    for entry, html in zip(entries, rows, strict=True):
        day = local_day(entry.at, zone)
        unread = None
        if not told and summary is not None and _is_news(entry, summary):
            unread, told = summary.unread, True
        made.append(ShownRow(html, day_text(entry.at, room.time_zone) if day != last_day else None, unread))
        last_day = day
    return made


def _is_news(entry: Entry, summary: RoomSummary) -> bool:
    return entry.seq > summary.seen and entry.by != summary.member.by and entry.kind in WRITTEN_BY_PEOPLE


async def show_room(request: Request) -> Response:
    """`GET /rooms/<room>`: the end of the timeline; `?before=` and `?around=` show an earlier part."""
    looking = await looking_at(request)
    return HTMLResponse(await _room_html(request, looking, _asked_draft(request)))


def _asked_draft(request: Request) -> Draft | None:
    """Return an answer to the entry that `?answer=` names, or a correction of the one of `?correct=`."""
    for name, kind in (("answer", "message"), ("correct", "correction")):
        if (ref := _number(request, name)) is not None:
            return Draft(kind=kind, ref=ref)
    return None


async def _room_html(request: Request, looking: Looking, draft: Draft | None = None, problem: str = "") -> str:
    room = looking.room
    summaries, summary = await my_rooms(looking)
    (entries, head), around, seen, side = await asyncio.gather(
        _entries(request, looking, summary),
        room_context(looking, summaries),
        seen_by(looking.resources, looking.actor, room.id),
        side_context(looking),
    )
    at_end = not entries or entries[-1].seq >= head
    context: dict[str, Any] = {
        **around,
        **side,
        **composer_context(looking, draft, problem, pays=side["pays"]),
        "rows": await shown_rows(looking.resources, entries, room, summary),
        "earlier": entries[0].seq if entries and entries[0].seq > 0 else None,
        "head": entries[-1].seq if entries else -1,
        "at_end": at_end,
        "seen": summary.seen,
        "seen_marks": _seen_marks(looking, seen, head),
        "quote": await _quote(looking, draft),
        "question": await transcripts.question_for(looking.resources, looking.actor, room.id),
    }
    return page("room.html", request=request, actor=looking.actor, **context)


def _seen_marks(looking: Looking, seen: Mapping[str, int], head: int) -> list[Markup]:
    """Return the marks of the others who have read everything; a mediator leaves none."""
    others = [m.by for m in looking.room.members.values() if m.side in PARTIES and m.by != looking.member.by]
    return [seen_html(looking.room, by, seen[by]) for by in others if seen.get(by, -1) >= head]


async def _quote(looking: Looking, draft: Draft | None) -> str:
    """Return the entry that a draft is about, in a sentence; nothing if there is none."""
    if draft is None or draft.ref is None:
        return ""
    try:
        return sentence(await record.entry(looking.resources, looking.actor, looking.room.id, draft.ref), looking.room)
    except NotFound:
        return ""  # its number was mistyped: the refusal says so


async def _entries(request: Request, looking: Looking, summary: RoomSummary) -> tuple[list[Entry], int]:
    resources, actor, room = looking.resources, looking.actor, looking.room.id
    before, around = _number(request, "before"), _number(request, "around")
    if before is not None:
        found = await record.page(resources, actor, room, before=before, limit=ENTRIES_SHOWN)
    elif around is not None and around < summary.head - ENTRIES_SHOWN:
        found = await record.page(resources, actor, room, after=around - ENTRIES_SHOWN // 2, limit=ENTRIES_SHOWN)
    else:
        unread = summary.head - summary.seen + READ_BEFORE_UNREAD if summary.unread else 0
        limit = max(ENTRIES_SHOWN, min(unread, ENTRIES_SHOWN_MAX))
        found = await record.page(resources, actor, room, limit=limit)
    return found.entries, found.head


async def load_earlier(request: Request) -> Response:
    """`GET /rooms/<room>/earlier?before=`: the rows above, without a page around them."""
    looking = await looking_at(request)
    before = _number(request, "before")
    if before is None:
        raise NotFound()
    room = looking.room
    found = (await record.page(looking.resources, looking.actor, room.id, before=before, limit=ENTRIES_SHOWN)).entries
    earlier = found[0].seq if found and found[0].seq > 0 else None
    rows = await shown_rows(looking.resources, found, room)
    return HTMLResponse(page("_entries.html", room=room, rows=rows, earlier=earlier))


async def post_entry(request: Request) -> Response:
    """`POST /rooms/<room>/entries`: a new entry from a form; a program that asks for JSON gets JSON."""
    looking = await looking_at(request)
    draft, problem = Draft(), None
    try:
        draft, body, cid, target = await posted_draft(request)
        seq = await add_entry(looking, draft, body, cid)
    except WorkroomError as error:
        if wants_json(request):
            return error_response(request, error)
        problem = error
    if problem is not None:
        shown = Draft() if draft.kind in ANSWERS else draft  # a button was pressed: there is nothing to type again
        if problem.field == "body.restricted":
            shown = replace(shown, restricted=True)  # to send it again agrees
        return HTMLResponse(await _room_html(request, looking, shown, str(problem)), status_of(problem))
    if wants_json(request):
        return JSONResponse({"seq": seq}, 201)
    room = looking.room.id
    return RedirectResponse(safe_path(target, f"/rooms/{room}#e-{room}-{seq}"), 303)


async def show_entry(request: Request) -> Response:
    """`GET /rooms/<room>/entries/<seq>`: a permalink; it leads to the entry in its timeline."""
    looking = await looking_at(request)
    room, seq = looking.room.id, request.path_params["seq"]
    await record.entry(looking.resources, looking.actor, room, seq)
    return RedirectResponse(f"/rooms/{room}?around={seq}#e-{room}-{seq}", 303)


async def show_receipt(request: Request) -> Response:
    """`GET /rooms/<room>/entries/<seq>/receipt`: what proves an entry, to read or to download."""
    looking = await looking_at(request)
    room, seq = looking.room, request.path_params["seq"]
    entry = await record.entry(looking.resources, looking.actor, room.id, seq)
    receipt = await record.receipt(looking.resources, looking.actor, room.id, seq)
    if "download" in request.query_params:
        name = f'attachment; filename="entry-{seq}.tlog-proof"'
        return PlainTextResponse(receipt, headers={"content-disposition": name})
    html = page(
        "receipt.html",
        request=request,
        actor=looking.actor,
        room=room,
        entry=entry,
        row=entry_row(entry, room),
        answerable=entry.kind in WRITTEN_BY_PEOPLE and looking.member.side in PARTIES and room.state.value != "closed",
        own=entry.by == looking.member.by,
        receipt=receipt,
        key=looking.resources.signer.verifier_key(room.id),
    )
    return HTMLResponse(html)


async def download_disclosure(request: Request) -> Response:
    """`GET /rooms/<room>/entries/<seq>/disclosure`: the content of an entry as its leaf commits to it."""
    looking = await looking_at(request)
    seq = request.path_params["seq"]
    content = await record.disclosure(looking.resources, looking.actor, looking.room.id, seq)
    headers = {
        "content-disposition": f'attachment; filename="entry-{seq}.disclosure.json"',
        "cache-control": "no-store",  # an erased content must not come back from a cache
    }
    return Response(content, media_type="application/json", headers=headers)


async def make_invitation(request: Request) -> Response:
    """`POST /rooms/<room>/invitations`: a link for the side that nobody stands on; it is shown once."""
    looking = await looking_at(request)
    side = next((side for side in PARTIES if not looking.room.on_side(side)), Side.FREELANCER)
    link = await invitations.invite(looking.resources, looking.actor, looking.room.id, side)
    html = page("invited.html", request=request, actor=looking.actor, room=looking.room, side=side, link=link)
    return HTMLResponse(html, headers={"cache-control": "no-store"})


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) <= 15 else None


routes = [
    Route("/rooms/{room}", show_room),
    Route("/rooms/{room}/earlier", load_earlier),
    Route("/rooms/{room}/entries", post_entry, methods=["POST"]),
    Route("/rooms/{room}/entries/{seq:int}", show_entry),
    Route("/rooms/{room}/entries/{seq:int}/receipt", show_receipt),
    Route("/rooms/{room}/entries/{seq:int}/disclosure", download_disclosure),
    Route("/rooms/{room}/invitations", make_invitation, methods=["POST"]),
]
