"""What the pages of workrooms share: who looks, the list of rooms, the head of the page, a new entry from a form.

Rule 1: nothing is decided here; services refuse, pages show.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from app.domain.errors import Malformed, NotFound, WorkroomError
from app.domain.files import FILES_PER_ENTRY_MAX
from app.domain.live import TrackerState
from app.domain.matters import ANSWERS
from app.domain.timerange import segment_of
from app.domain.workrooms import Member, RoomInfo, Side
from app.services import record, uploads, workrooms, workview
from app.services.access import Actor, member_of, room_info
from app.services.resources import Resources
from app.services.workrooms import RoomSummary
from app.storage.files import UploadRow
from app.views.compose import offers
from app.views.files import ref_of
from app.views.names import first_name
from app.views.presence import who_html
from app.views.trackers import now_html, tracker_html
from app.web.middleware import actor_of, resources_of
from app.web.multipart import PostedForm, is_multipart, read_form

ROOMS_LISTED_MAX = 30  # at the side, those with the latest entries; home has them all
SEGMENTS_OFFERED = 60  # half a day of segments to choose from when one comments on time


@dataclass(frozen=True)
class Draft:
    """What a person has typed, and the files that have arrived with it: kept when the entry is refused.

    `problem` is why one of the files was not taken.
    """

    text: str = ""
    kind: str = "message"
    ref: int | None = None
    uploads: tuple[UploadRow, ...] = ()
    problem: WorkroomError | None = None
    restricted: bool = False


@dataclass(frozen=True)
class Looking:
    """Who looks at which room."""

    resources: Resources
    actor: Actor
    room: RoomInfo
    member: Member


@dataclass(frozen=True)
class ListedRoom:
    """A room in the list at the side."""

    info: RoomInfo
    others: str
    unread: int
    tracking: str  # "on", "silent", or "" while nobody tracks


async def looking_at(request: Request) -> Looking:
    """Return who looks at the room of the address.

    Raises:
        NotSignedIn, NotFound: if nobody, or no member, does.
    """
    resources, actor = resources_of(request), actor_of(request)
    member = await member_of(resources, actor, request.path_params["room"])
    return Looking(resources, actor, await room_info(resources, member.room), member)


def others(room: RoomInfo, member: Member) -> str:
    """Return the names of the other members."""
    return ", ".join(m.name for m in room.members.values() if m.by != member.by) or "nobody else yet"


def listed_rooms(summaries: Sequence[RoomSummary], states: Mapping[str, Sequence[TrackerState]]) -> list[ListedRoom]:
    """Return the rooms of the list at the side."""
    return [
        ListedRoom(s.info, others(s.info, s.member), s.unread, _tracking(states.get(s.info.id, ()))) for s in summaries
    ]


def _tracking(states: Sequence[TrackerState]) -> str:
    if any(t.on and not t.silent for t in states):
        return "on"
    return "silent" if any(t.on for t in states) else ""


async def room_context(looking: Looking, summaries: Sequence[RoomSummary]) -> dict[str, Any]:
    """Return what every page of a room shows around its content."""
    room, member = looking.room, looking.member
    states = await workview.tracker_states(looking.resources, [s.info for s in summaries])
    here = states.get(room.id, [])
    return {
        "room": room,
        "member": member,
        "rooms": listed_rooms(summaries, states),
        "rooms_more": len(summaries) >= ROOMS_LISTED_MAX,
        "who": who_html(room, (member.by,)),
        "pills": [now_html(state, room) for state in here],
        "trackers": [tracker_html(state, room) for state in here],
    }


def composer_context(
    looking: Looking, draft: Draft | None = None, problem: str = "", *, pays: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what the form for a new entry shows. `pays`: of each freelancer's terms, where known."""
    room, member = looking.room, looking.member
    other = Side.FREELANCER if member.side is Side.CLIENT else Side.CLIENT
    names = [first_name(room, m.by) for m in room.on_side(other)]
    last = segment_of(looking.resources.clock.record_now())
    return {
        "cid": secrets.token_hex(16),
        "other": " and ".join(names) or "the record",
        "draft": draft or Draft(),
        "problem": problem,
        "offers": offers(room, member, pays),
        "segments": list(range(last - SEGMENTS_OFFERED, last + 1))[::-1],
    }


async def posted_draft(request: Request) -> tuple[Draft, dict[str, Any], str | None, str]:
    """Return what a form for a new entry holds: the draft, the body, its `cid`, and where to go next.

    Raises:
        Malformed: if a number is none.
    """
    form = await posted_form(request)

    def field(name: str) -> str:
        value = form.get(name, "")
        return value if isinstance(value, str) else ""

    def number(name: str) -> int | None:
        return number_of(field(name), name)

    kind = field("kind") or "message"
    sent = await uploads_of(request, form)
    problem = form.problem if isinstance(form, PostedForm) else None
    text, ref = field("text").replace("\r\n", "\n"), None if kind == "comment" else number("ref")
    restricted = bool(field("restricted")) and kind != "comment"  # which has no such mark
    draft = Draft(text, kind, ref, sent, problem, restricted)
    words = text if text.strip() or not sent or kind in ANSWERS else _only_files(len(sent))
    body: dict[str, Any] = {"text": words} if words or kind not in ANSWERS else {}
    if sent:
        body["files"] = [ref_of(row) for row in sent]
    if restricted:
        body["restricted"] = True
    if kind == "comment":
        body |= {"from_segment": number("from_segment"), "to_segment": number("to_segment")}
    return draft, body, field("cid") or None, field("next")


def _only_files(count: int) -> str:
    """Return the text of an entry that brings only files; no name of theirs, for a file may be restricted."""
    return "See the attached file." if count == 1 else f"See the {count} attached files."


def number_of(text: str, name: str) -> int | None:
    """Return the whole number that was typed into the field `name`; None for nothing.

    Raises:
        Malformed: if it is none.
    """
    text = text.strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 15:
        raise Malformed(f"`{name}` must be a whole number.", field=name)
    return int(text)


async def posted_form(request: Request) -> PostedForm | FormData:
    """Return a posted form; the files in it are uploads by now."""
    if not is_multipart(request):
        return await request.form()
    looking = await looking_at(request)

    async def store(name: str, pieces: AsyncIterator[bytes]) -> UploadRow:
        return await uploads.receive_whole(looking.resources, looking.actor, looking.room.id, name, pieces)

    return await read_form(request, store)


async def uploads_of(request: Request, form: PostedForm | FormData) -> tuple[UploadRow, ...]:
    """Return the files that go with an entry: those that were kept from a refused form, and those that came now."""
    kept = [upload for upload in form.getlist("upload") if isinstance(upload, str)][:FILES_PER_ENTRY_MAX]
    looking = await looking_at(request) if kept else None
    found = [await _kept_upload(looking, upload) for upload in kept] if looking is not None else []
    came = form.files if isinstance(form, PostedForm) else []
    return tuple([row for row in found if row is not None] + came)


async def _kept_upload(looking: Looking, upload: str) -> UploadRow | None:
    try:
        return await uploads.completed(looking.resources, looking.actor, looking.room.id, upload)
    except NotFound:
        return None  # swept since, or never there


async def add_entry(looking: Looking, draft: Draft, body: dict[str, Any], cid: str | None) -> int:
    """Append what a form holds; return its seq.

    Raises:
        WorkroomError: whatever refuses it, or refused one of its files.
    """
    if draft.problem is not None:
        raise draft.problem
    entry = await record.append(looking.resources, looking.actor, looking.room.id, draft.kind, body, draft.ref, cid)
    return entry.seq


async def my_rooms(looking: Looking) -> tuple[list[RoomSummary], RoomSummary]:
    """Return the rooms that the list at the side shows, and the one looked at."""
    summaries = await workrooms.my_rooms(
        looking.resources, looking.actor, latest=ROOMS_LISTED_MAX, room=looking.room.id
    )
    return summaries, next(s for s in summaries if s.info.id == looking.room.id)


def safe_path(target: str, otherwise: str) -> str:
    """Return a path on this server, never another one's address."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return otherwise
