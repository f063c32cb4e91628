"""Handovers as pages: how one stands, and the secret itself, once (rule 1.10).

Rule 1: only a POST shows a secret: what a browser or a mail program fetches ahead spends none.
Rule 2: the page that shows it is stored nowhere.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.errors import AlreadyAnswered, WorkroomError
from app.services import handovers
from app.views.rendering import page
from app.web.errors import retry_headers, status_of
from app.web.parts import Looking, looking_at

NO_STORE = {"cache-control": "no-store"}


async def show_handover(request: Request) -> Response:
    """`GET /rooms/<room>/handovers/<seq>`: who may look, until when, or when it was shown."""
    return await _page(request, await looking_at(request))


async def receive(request: Request) -> Response:
    """`POST /rooms/<room>/handovers/<seq>`: the secret, once."""
    looking = await looking_at(request)
    seq = request.path_params["seq"]
    try:
        secret = await handovers.receive(looking.resources, looking.actor, looking.room.id, seq)
    except AlreadyAnswered as error:  # the page says when, and by whom
        return await _page(request, looking, error)
    return await _page(request, looking, secret=secret)


async def _page(
    request: Request, looking: Looking, error: WorkroomError | None = None, secret: str | None = None
) -> Response:
    entry, matter = await handovers.handover(
        looking.resources, looking.actor, looking.room.id, request.path_params["seq"]
    )
    members = looking.room.members
    html = page(
        "handovers/handover.html",
        request=request,
        actor=looking.actor,
        room=looking.room,
        member=looking.member,
        matter=matter,
        sender=members[entry.by].name,
        receiver=members[matter.asked].name if matter.asked in members else matter.asked,
        secret=secret,
        error=error,
    )
    status = 200 if error is None else status_of(error)
    return HTMLResponse(html, status, NO_STORE | (retry_headers(error, status) if error is not None else {}))


routes = [
    Route("/rooms/{room}/handovers/{seq:int}", show_handover, methods=["GET"]),
    Route("/rooms/{room}/handovers/{seq:int}", receive, methods=["POST"]),
]
