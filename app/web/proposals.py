"""Forms and pages of proposals: send, withdraw, compare, decline, open the messages; and a workroom without a job.

Rule 1: a refused form comes back on the page it stood on, with everything that was typed and how things stand now.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import Conflict, NotFound, WorkroomError
from app.domain.jobs import NOTE_CHARS_MAX, choice
from app.domain.workrooms import Side, checked_time_zone
from app.services import jobs, proposals
from app.services.access import room_info
from app.services.proposals import NewProposal
from app.views import jobs as views
from app.views.rendering import HUES, page
from app.views.text import rich_text
from app.web.errors import retry_headers, status_of
from app.web.jobs import done_of, form_fields, job_page, number_of
from app.web.middleware import actor_of, resources_of


async def send_proposal(request: Request) -> Response:
    """`POST /jobs/<job>/proposals`."""
    form = await form_fields(request)
    job = request.path_params["job"]
    typed = NewProposal(
        text=form.get("text", ""),
        amount=form.get("amount", ""),
        soon=form.get("soon", ""),
        version=number_of(form.get("version", ""), 0),
    )
    try:
        await proposals.send_proposal(resources_of(request), actor_of(request), job, typed)
    except NotFound:
        raise
    except WorkroomError as error:
        return await job_page(request, error, form, about="proposal")
    return RedirectResponse(f"/jobs/{job}?done=sent", 303)


async def withdraw_proposal(request: Request) -> Response:
    """`POST /proposals/<proposal>/withdraw`."""
    proposal = request.path_params["proposal"]
    try:
        job = await proposals.withdraw_proposal(resources_of(request), actor_of(request), proposal)
    except Conflict as error:
        job = (await form_fields(request)).get("job", "")
        return await job_page(request, error, job=job)
    return RedirectResponse(f"/jobs/{job}?done=withdrawn", 303)


async def list_proposals(request: Request) -> Response:
    """`GET /jobs/<job>/proposals`: the proposals for one's own job, side by side."""
    return await _proposals_page(request, request.path_params["job"])


async def decline_proposal(request: Request) -> Response:
    """`POST /proposals/<proposal>/decline`, with a word if there is one."""
    form = await form_fields(request)
    proposal = request.path_params["proposal"]
    try:
        job = await proposals.decline_proposal(resources_of(request), actor_of(request), proposal, form.get("note", ""))
    except NotFound:
        raise
    except WorkroomError as error:
        return await _proposals_page(request, form.get("job", ""), error, proposal, form.get("note", ""))
    return RedirectResponse(f"/jobs/{job}/proposals?done=declined", 303)


async def open_messages(request: Request) -> Response:
    """`POST /proposals/<proposal>/open`: to the workroom of the two, which is opened by this."""
    proposal = request.path_params["proposal"]
    try:
        room = await proposals.open_messages(resources_of(request), actor_of(request), proposal)
    except NotFound:
        raise
    except WorkroomError as error:
        return await _proposals_page(request, (await form_fields(request)).get("job", ""), error, proposal)
    return RedirectResponse(f"/rooms/{room}", 303)


# A workroom without a job


async def show_start(request: Request) -> Response:
    """`GET /start`: the form of a workroom for two who know each other."""
    actor_of(request)
    return _start_page(request, {"title": "", "side": "", "time_zone": "UTC", "work_view": "on"})


async def start_room(request: Request) -> Response:
    """`POST /start`: open the workroom, and show the link for the other side."""
    resources, actor = resources_of(request), actor_of(request)
    form = await form_fields(request)
    try:
        side = choice(Side, form.get("side", ""), "side", "Choose whether you are the client or the freelancer.")
        room, link = await proposals.start_room(
            resources,
            actor,
            form.get("key", ""),
            form.get("title", ""),
            side,
            time_zone=checked_time_zone(form.get("time_zone", "").strip()),
            work_view=form.get("work_view") == "on",
        )
    except WorkroomError as error:
        return _start_page(request, form, error)
    other = Side.FREELANCER if side is Side.CLIENT else Side.CLIENT
    info = await room_info(resources, room)
    html = page("invited.html", request=request, actor=actor, room=info, side=other, link=link)
    return HTMLResponse(html, headers={"cache-control": "no-store"})


routes = [
    Route("/jobs/{job}/proposals", list_proposals, methods=["GET"]),
    Route("/jobs/{job}/proposals", send_proposal, methods=["POST"]),
    Route("/proposals/{proposal}/withdraw", withdraw_proposal, methods=["POST"]),
    Route("/proposals/{proposal}/decline", decline_proposal, methods=["POST"]),
    Route("/proposals/{proposal}/open", open_messages, methods=["POST"]),
    Route("/start", show_start, methods=["GET"]),
    Route("/start", start_room, methods=["POST"]),
]


# Parts


async def _proposals_page(
    request: Request, job: str, error: WorkroomError | None = None, proposal: str = "", note: str = ""
) -> Response:
    """Return the proposals of a job as they stand; `error` and `note` are of one of them."""
    found = await proposals.proposals_for(resources_of(request), actor_of(request), job)
    cards: list[dict[str, Any]] = [
        {
            "row": listed.proposal,
            "name": listed.freelancer_name,
            "text": rich_text(listed.proposal.text),
            "amount": views.amount_of(listed.proposal, found.job.offer),
            "soon": views.SOON[listed.proposal.soon],
            "state": views.PROPOSAL_STATES[listed.proposal.state],
            "hue": int.from_bytes(listed.proposal.freelancer[-3:].encode()) % HUES,
        }
        for listed in found.proposals
    ]
    status = 200 if error is None else status_of(error)
    html = page(
        "jobs/proposals.html",
        request=request,
        actor=request.state.actor,
        error=error,
        wrong=proposal,
        note=note,
        note_chars_max=NOTE_CHARS_MAX,
        job=found.job,
        job_states=views.JOB_STATES,
        pay=views.pay_text(found.job.offer),
        cards=cards,
        done=done_of(request),
    )
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))


def _start_page(request: Request, typed: dict[str, str], error: WorkroomError | None = None) -> Response:
    status = 200 if error is None else status_of(error)
    html = page(
        "jobs/start.html",
        request=request,
        actor=request.state.actor,
        error=error,
        typed={name: typed.get(name, "") for name in ("title", "side", "time_zone", "work_view")},
        key=typed.get("key") or jobs.new_id(resources_of(request)),
        zones=views.ZONES,
    )
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))
