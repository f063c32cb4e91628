"""The terms of a workroom: what holds now, what changes when, what is proposed, every version, two side by side.

Rule 1: nothing is decided here: the buttons post entries, as those on the timeline do.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.errors import NotSignedIn
from app.domain.matters import SILENCE, TAKING_BACK, Matter
from app.domain.money import Money
from app.domain.record import Entry
from app.domain.terms import Milestone, Terms, TermsInForce, terms_at, terms_of
from app.domain.timerange import local_day
from app.domain.workrooms import Member, RoomInfo, RoomState, Side
from app.services.access import room_info
from app.services.terms import terms_of_room
from app.views.matters import AnswerButton, buttons, who_must_act
from app.views.money import money_text
from app.views.names import first_name, name_of
from app.views.rendering import page
from app.views.terms import (
    ComparedLine,
    TermsLine,
    changed_words,
    coming_lines,
    compared_lines,
    day_words,
    held_words,
    room_terms,
    terms_lines,
)
from app.web.middleware import resources_of
from app.web.parts import looking_at


@dataclass(frozen=True)
class Proposal:
    """Terms that wait for an answer, beside those that hold."""

    matter: Matter
    by: str
    waits_for: str
    means: str
    lines: list[ComparedLine]
    buttons: list[AnswerButton]
    restricted: bool

    @property
    def may_counter(self) -> bool:
        """Whether the reader is who answers, and so may propose something else."""
        return any(button.kind not in TAKING_BACK for button in self.buttons)


@dataclass(frozen=True)
class ListedVersion:
    """A version in the list of all."""

    terms: Terms
    changed: str


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side."""

    before: Terms
    after: Terms
    lines: list[ComparedLine]


@dataclass(frozen=True)
class Shown:
    """The terms of one freelancer."""

    member: Member
    held: TermsInForce | None
    lines: list[TermsLine]
    coming: list[ComparedLine]
    proposals: list[Proposal]
    milestones: list[Milestone]
    versions: list[ListedVersion]
    comparison: Comparison | None


async def show_terms(request: Request) -> Response:
    """`GET /rooms/<room>/terms?of=p2&before=1&after=2`"""
    looking = await looking_at(request)
    room, member = looking.room, looking.member
    found = await terms_of_room(looking.resources, looking.actor, room.id)
    freelancers = room.on_side(Side.FREELANCER)
    asked = request.query_params.get("of", "")
    mine = [each for each in freelancers if each.by == asked] or [each for each in freelancers if each.by == member.by]
    whose = next(iter([*mine, *freelancers]), None)
    shown = None
    if whose is not None:
        versions = found.versions.get(whose.by, [])
        held = terms_at(versions, looking.resources.clock.record_now())
        shown = Shown(
            member=whose,
            held=held,
            lines=terms_lines(held_words(held), room)[1:] if held else [],
            coming=coming_lines(versions, held, room) if held else [],
            proposals=[
                made
                for matter, entry in found.open
                if (made := _proposal(matter, entry, room, member, whose, held)) is not None
            ],
            milestones=[m for m in found.milestones if m.member == whose.by],
            versions=_listed(versions, room),
            comparison=_comparison(request, versions, room),
        )
    html = page(
        "terms/terms.html",
        request=request,
        actor=looking.actor,
        room=room,
        member=member,
        freelancers=freelancers,
        shown=shown,
        may_propose=member.side is not Side.MEDIATOR and room.state is not RoomState.CLOSED,
        may_ask_work_view=_may_ask_work_view(member, room, shown),
        silence=SILENCE["terms.proposed"],
        name=lambda by: name_of(room, by),
        first=lambda by: first_name(room, by),
        day_words=day_words,
        cid=secrets.token_hex(16),
        authors=found.authors,
        money=lambda amount_minor, currency: money_text(Money(amount_minor, currency)),
        week_begins=_week_begins(shown),
    )
    return HTMLResponse(html)


def _proposal(
    matter: Matter, entry: Entry, room: RoomInfo, reader: Member, whose: Member, held: TermsInForce | None
) -> Proposal | None:
    if entry.body is None or entry.body["member"] != whose.by:
        return None
    proposed = terms_of(entry.body)
    if held is not None:
        lines = compared_lines(held_words(held), proposed, room)
    else:
        lines = [ComparedLine(line.label, None, line.value) for line in terms_lines(proposed, room)]
    theirs = [
        button
        for button in buttons(matter, room)
        if reader.side.value == button.for_side and button.for_member in ("", reader.by)
    ]
    if reader.side is Side.FREELANCER and matter.side == reader.side and matter.by != reader.by:
        theirs = [button for button in theirs if button.kind not in TAKING_BACK]
    return Proposal(
        matter,
        matter.by,
        who_must_act(matter, room),
        SILENCE[matter.kind].means,
        lines[1:],
        theirs,
        proposed.restricted,
    )  # the first line names the freelancer, as the page does


def _listed(versions: list[Terms], room: RoomInfo) -> list[ListedVersion]:
    """Return all versions, the newest first, each with what it changed."""
    made = []
    for number, version in enumerate(versions):
        before = versions[number - 1].what if number else None
        made.append(ListedVersion(version, changed_words(before, version.what, room)))
    return made[::-1]


def _comparison(request: Request, versions: list[Terms], room: RoomInfo) -> Comparison | None:
    """Return the two versions of the address, or the last two."""
    if len(versions) < 2:
        return None
    by_number = {str(version.version): version for version in versions}
    before = by_number.get(request.query_params.get("before", ""), versions[-2])
    after = by_number.get(request.query_params.get("after", ""), versions[-1])
    return Comparison(before, after, compared_lines(before.what, after.what, room)[1:])


def _may_ask_work_view(member: Member, room: RoomInfo, shown: Shown | None) -> bool:
    has_terms_without = shown is not None and shown.held is not None and not shown.held.what.work_view
    return member.side is Side.CLIENT and room.state is RoomState.ACTIVE and has_terms_without


def _week_begins(shown: Shown | None) -> str:
    """Return the day on which the next week begins, in words, as the page names it."""
    if shown is None or shown.held is None:
        return ""
    week = shown.held.week
    return day_words(str(local_day(week.to_at, ZoneInfo(week.time_zone))))


async def show_terms_json(request: Request) -> Response:
    """`GET /api/rooms/<room>/terms`"""
    if request.state.actor is None:
        raise NotSignedIn("Send a bearer token: `Authorization: Bearer …`.")
    resources, room = resources_of(request), request.path_params["room"]
    found = await terms_of_room(resources, request.state.actor, room)
    info = await room_info(resources, room)
    answer: Any = room_terms(found.versions, found.milestones, found.open, info, resources.clock.record_now())
    return Response(msgspec.json.encode(answer), media_type="application/json")


routes = [Route("/rooms/{room}/terms", show_terms)]
api_routes = [Route("/api/rooms/{room}/terms", show_terms_json)]
