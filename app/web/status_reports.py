"""The status reports of a workroom, week by week: a page and JSON (rule 5.4)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.errors import NotSignedIn
from app.domain.workrooms import RoomState, Side
from app.services import status_reports
from app.views.rendering import page
from app.views.status_reports import reports_json, shown_due, shown_reports
from app.web.middleware import resources_of
from app.web.parts import looking_at, my_rooms, room_context


async def show_reports(request: Request) -> Response:
    """`GET /rooms/<room>/reports`: what was reported on which week, what is missing, what is due next."""
    looking = await looking_at(request)
    found = await status_reports.reports_of(looking.resources, looking.actor, looking.room.id)
    summaries, summary = await my_rooms(looking)
    context = {
        **await room_context(looking, summaries),
        "reports": shown_reports(found),
        "due": [shown_due(found, due) for due in found.due],
        "writes": looking.member.side is Side.FREELANCER and looking.room.state is RoomState.ACTIVE,
        "head": summary.head,
    }
    part = "hx-request" in request.headers
    template = "status_reports/_list.html" if part else "status_reports/list.html"
    return HTMLResponse(page(template, request=request, actor=looking.actor, **context))


async def list_reports(request: Request) -> Response:
    """`GET /api/rooms/<room>/reports`"""
    if request.state.actor is None:
        raise NotSignedIn("Send a bearer token: `Authorization: Bearer …`.")
    room = request.path_params["room"]
    found = await status_reports.reports_of(resources_of(request), request.state.actor, room)
    return Response(msgspec.json.encode(reports_json(found)), media_type="application/json")


routes = [Route("/rooms/{room}/reports", show_reports)]
api_routes = [Route("/api/rooms/{room}/reports", list_reports)]
