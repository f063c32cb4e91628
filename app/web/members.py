"""Members as pages: who is here since when, who was proposed, inviting them, and closing the workroom (rules 1.2, 1.9).

Rule 1: an invitation is shown once; a new one makes the one before useless.
Rule 2: closing asks once more, and says what it means.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.bodies.fields import NOTE_CHARS_MAX
from app.domain.errors import InvalidBody, WorkroomError
from app.domain.transcripts import CHANNELS
from app.domain.workrooms import PARTIES, RoomState, Side
from app.services import matters, members, room_closing, transcripts
from app.services.members import Proposal
from app.views.matters import WORDS, who_must_act
from app.views.rendering import page
from app.web.errors import status_of
from app.web.parts import Looking, looking_at

DONE = {"elsewhere": "That is noted. You are asked once a week at most."}


async def show_members(request: Request) -> Response:
    """`GET /rooms/<room>/members`"""
    looking = await looking_at(request)
    found = await members.membership(looking.resources, looking.actor, looking.room.id)
    html = page(
        "members/members.html",
        **_around(request, looking),
        joined_at=found.joined_at,
        proposals=found.proposals,
        words=WORDS,
        who=lambda proposal: _waits_for(proposal, looking),
        now=looking.resources.clock.real_now(),
        empty=[side for side in PARTIES if not looking.room.on_side(side)],
        channels=CHANNELS,
        chosen=await transcripts.elsewhere(looking.resources, looking.actor, looking.room.id),
        done=DONE.get(request.query_params.get("done", ""), ""),
    )
    return HTMLResponse(html)


def _waits_for(proposal: Proposal, looking: Looking) -> str:
    return who_must_act(proposal.matter, looking.room)


async def invite_approved(request: Request) -> Response:
    """`POST /rooms/<room>/members/<seq>/invitation`: a link for somebody whom both sides agreed on; shown once."""
    looking = await looking_at(request)
    seq = request.path_params["seq"]
    link = await members.invite_approved(looking.resources, looking.actor, looking.room.id, seq)
    found = await members.membership(looking.resources, looking.actor, looking.room.id)
    proposal = next(each for each in found.proposals if each.entry.seq == seq)
    html = page("members/invited.html", **_around(request, looking), proposal=proposal, link=link)
    return HTMLResponse(html, headers={"cache-control": "no-store"})


async def show_close(request: Request) -> Response:
    """`GET /rooms/<room>/close`: what closing means, and the button."""
    return await _close_page(request, await looking_at(request))


async def close(request: Request) -> Response:
    """`POST /rooms/<room>/close`"""
    looking = await looking_at(request)
    form = await request.form()
    reason, sure = form.get("reason", ""), form.get("sure", "")
    reason = reason.replace("\r\n", "\n").strip() if isinstance(reason, str) else ""
    try:
        if not sure:
            raise InvalidBody("Tick that you want to close it: nobody can open it again.", field="sure")
        if len(reason) > NOTE_CHARS_MAX:
            raise InvalidBody(f"The reason may have {NOTE_CHARS_MAX:,} characters. Shorten it.", field="reason")
        await room_closing.close_room(looking.resources, looking.actor, looking.room.id, reason or None)
    except WorkroomError as error:
        return await _close_page(request, looking, reason, bool(sure), error)
    return RedirectResponse(f"/rooms/{looking.room.id}", 303)


async def _close_page(
    request: Request, looking: Looking, reason: str = "", sure: bool = False, error: WorkroomError | None = None
) -> Response:
    waiting = await matters.matters_of(looking.resources, looking.actor, looking.room.id)
    html = page(
        "members/close.html",
        **_around(request, looking),
        reason=reason,
        sure=sure,
        error=error,
        waiting=len(waiting),
        secrets=sum(matter.kind == "handover" for matter in waiting),
    )
    return HTMLResponse(html, 200 if error is None else status_of(error))


def _around(request: Request, looking: Looking) -> dict[str, Any]:
    return {
        "request": request,
        "actor": looking.actor,
        "room": looking.room,
        "member": looking.member,
        "closed": looking.room.state is RoomState.CLOSED,
        "mediator": Side.MEDIATOR,
    }


routes = [
    Route("/rooms/{room}/members", show_members),
    Route("/rooms/{room}/members/{seq:int}/invitation", invite_approved, methods=["POST"]),
    Route("/rooms/{room}/close", show_close, methods=["GET"]),
    Route("/rooms/{room}/close", close, methods=["POST"]),
]
