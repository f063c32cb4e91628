"""Home: what waits for whom, the workrooms of a member, who works now; and the page about this server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.policy import POLICY_TEXT, POLICY_VERSION, policy_digest
from app.domain.workrooms import RoomState
from app.services import home, workrooms
from app.services.home import HomeRoom, Waits
from app.services.workrooms import RoomSummary
from app.views.home import doing_html, last_words_html, shown_matter, shown_report
from app.views.presence import who_html
from app.views.rendering import page
from app.web.middleware import actor_of, resources_of
from app.web.parts import others

SHOWN_MAX = 20  # of what waits, in each list
UNREAD_SHOWN_MAX = 5  # the workrooms below show the rest


async def show_home(request: Request) -> Response:
    """`GET /`: my workrooms and what waits; who is not signed in signs in first."""
    if request.state.actor is None:
        return RedirectResponse("/sign-in", 303)
    resources, actor = resources_of(request), actor_of(request)
    found = await home.home_of(resources, actor)
    html = page(
        "home.html",
        request=request,
        actor=actor,
        rooms=[_room(room) for room in found.rooms],
        closed=[_listed(summary) for summary in found.closed],
        working=sum(state.on and not state.silent for room in found.rooms for state in room.trackers),
        week_ms=sum(room.week_ms for room in found.rooms),
        mediated=await workrooms.mediated_rooms(resources, actor),
        sockets=[(room.summary.info.id, room.summary.head) for room in found.rooms],
        **_waits([room.summary for room in found.rooms], found.waits),
    )
    return HTMLResponse(html)


async def show_waiting(request: Request) -> Response:
    """`GET /waiting`: what waits for whom, without a page around it; a browser that asks for a page gets it all."""
    if "hx-request" not in request.headers:
        return RedirectResponse("/", 303)
    summaries, waits = await home.waits_of(resources_of(request), actor_of(request))
    return HTMLResponse(page("_waiting.html", **_waits(summaries, waits)))


def _waits(summaries: Sequence[RoomSummary], waits: Waits) -> dict[str, Any]:
    unread = [summary for summary in summaries if summary.unread]
    return {
        "mine": [shown_matter(matter, waits.infos[matter.room]) for matter in waits.mine[:SHOWN_MAX]],
        "mine_more": max(0, len(waits.mine) - SHOWN_MAX),
        "theirs": [shown_matter(matter, waits.infos[matter.room]) for matter in waits.theirs[:SHOWN_MAX]],
        "theirs_more": max(0, len(waits.theirs) - SHOWN_MAX),
        "reports": [shown_report(report) for report in waits.reports[:SHOWN_MAX]],
        "unread": [
            {"info": s.info, "unread": s.unread, "others": others(s.info, s.member)} for s in unread[:UNREAD_SHOWN_MAX]
        ],
        "unread_more": max(0, len(unread) - UNREAD_SHOWN_MAX),
        "jobs_waiting": waits.jobs,
    }


class _Room(Struct, frozen=True):
    """A workroom as the page lists it: attributes, since a template reads those of 200 rooms faster than keys."""

    id: str
    title: str
    zone: str
    by: str
    side: str
    others: str
    unread: int
    last_at: int
    demo: bool
    negotiating: bool
    last: Markup | str = ""
    who: Markup | str = ""
    doing: Sequence[Markup] = ()
    week_ms: int = 0
    frame: int | None = None
    frame_by: str = ""


def _listed(summary: RoomSummary) -> _Room:
    info, member = summary.info, summary.member
    return _Room(
        info.id, info.title, info.time_zone, member.by, member.side.value, others(info, member), summary.unread,
        summary.last_at, info.demo, info.state is RoomState.NEGOTIATING,
    )  # fmt: skip


def _room(room: HomeRoom) -> _Room:
    info = room.summary.info
    framed = next((t for t in room.trackers if t.on and t.last_frame_seq is not None), None)
    return structs.replace(
        _listed(room.summary),
        last=last_words_html(room.last, info),
        who=who_html(info, ()),
        doing=[doing_html(state, info) for state in room.trackers],
        week_ms=room.week_ms,
        frame=framed.last_frame_seq if framed else None,
        frame_by=framed.by if framed else "",
    )


async def show_about(request: Request) -> Response:
    """`GET /about`: who runs this server, and the policy that joining a workroom accepts."""
    html = page(
        "about.html",
        request=request,
        actor=request.state.actor,
        operator=resources_of(request).settings.operator,
        version=POLICY_VERSION,
        digest=policy_digest(),
        paragraphs=[line for line in POLICY_TEXT.split("\n") if line],
    )
    return HTMLResponse(html)


routes = [Route("/", show_home), Route("/waiting", show_waiting), Route("/about", show_about)]
