"""Home: the workrooms of a member, what is unread in them, who works now; and the page about this server."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.policy import POLICY_TEXT, POLICY_VERSION, policy_digest
from app.domain.record import Entry
from app.domain.workrooms import RoomInfo
from app.services import jobs, record, workrooms, workview
from app.views.presence import last_html, who_html
from app.views.rendering import page
from app.views.sentences import sentence
from app.views.trackers import now_html
from app.web.middleware import actor_of, resources_of
from app.web.parts import others

ROOMS_WITH_WORDS = 20  # rooms whose last words are shown


async def show_home(request: Request) -> Response:
    """`GET /`: my workrooms; who is not signed in signs in first."""
    if request.state.actor is None:
        return RedirectResponse("/sign-in", 303)
    resources, actor = resources_of(request), actor_of(request)
    summaries = await workrooms.my_rooms(resources, actor)
    states = await workview.tracker_states(resources, [s.info for s in summaries])
    words = await record.last_words(resources, [s.info.id for s in summaries[:ROOMS_WITH_WORDS]])
    rooms: list[dict[str, Any]] = []
    for summary in summaries:
        info = summary.info
        framed = next((t for t in states.get(info.id, []) if t.on and t.last_frame_seq is not None), None)
        rooms.append(
            {
                "info": info,
                "member": summary.member,
                "unread": summary.unread,
                "others": others(info, summary.member),
                "frame": framed.last_frame_seq if framed else None,
                "frame_by": framed.by if framed else "",
                "last": _last_html(words.get(info.id), info),
                "who": who_html(info, ()),
                "pills": [now_html(state, info) for state in states.get(info.id, [])],
            }
        )
    html = page(
        "home.html",
        request=request,
        actor=actor,
        rooms=rooms,
        waiting=[room for room in rooms if room["unread"]],
        jobs_waiting=await jobs.waiting_for(resources, actor),
        working=sum(state.on and not state.silent for listed in states.values() for state in listed),
        mediated=await workrooms.mediated_rooms(resources, actor),
        sockets=[(s.info.id, s.head) for s in summaries],
    )
    return HTMLResponse(html)


def _last_html(entry: Entry | None, room: RoomInfo) -> Markup:
    """Return the last thing that a person said, as the socket sends it."""
    if entry is None:
        return Markup("")
    said = last_html(sentence(entry, room), entry.at, room.time_zone)
    return Markup('<span data-by="{}" data-seq="{}">{}</span>').format(entry.by, entry.seq, said)


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


routes = [Route("/", show_home), Route("/about", show_about)]
