"""The JSON API of members, of handovers and of closing (docs/protocol.md, "JSON API").

Rule 1: the same services as the pages; nothing is decided here.
Rule 2: an answer that holds a secret is stored nowhere.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotSignedIn
from app.services import handovers, members, room_closing
from app.services.access import Actor
from app.services.resources import Resources
from app.web.middleware import resources_of
from app.web.openapi import AppendedEntry, CloseRoom, MadeInvitation, ReceivedSecret

NO_STORE = {"cache-control": "no-store"}


async def close_room(request: Request) -> Response:
    """`POST /api/rooms/<id>/close`"""
    resources, actor = _context(request)
    body = await request.body()
    try:
        asked = msgspec.json.decode(body, type=CloseRoom) if body else CloseRoom()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body must be a JSON object with `reason`, or empty: {error}.") from None
    room = request.path_params["room"]
    entry = await room_closing.close_room(resources, actor, room, asked.reason)
    return _json(AppendedEntry(room, entry.seq, None), 201)


async def invite_member(request: Request) -> Response:
    """`POST /api/rooms/<id>/members/<seq>/invitation`"""
    resources, actor = _context(request)
    place = request.path_params
    link = await members.invite_approved(resources, actor, place["room"], place["seq"])
    return _json(MadeInvitation(link), 201)


async def receive_handover(request: Request) -> Response:
    """`POST /api/rooms/<id>/handovers/<seq>`"""
    resources, actor = _context(request)
    place = request.path_params
    return _json(ReceivedSecret(await handovers.receive(resources, actor, place["room"], place["seq"])), 200)


def _context(request: Request) -> tuple[Resources, Actor]:
    actor: Actor | None = request.state.actor
    if actor is None:
        raise NotSignedIn("Send a bearer token: `Authorization: Bearer …`.")
    return resources_of(request), actor


def _json(answer: msgspec.Struct, status: int) -> Response:
    return Response(msgspec.json.encode(answer), status, NO_STORE, media_type="application/json")


api_routes = [
    Route("/api/rooms/{room}/close", close_room, methods=["POST"]),
    Route("/api/rooms/{room}/members/{seq:int}/invitation", invite_member, methods=["POST"]),
    Route("/api/rooms/{room}/handovers/{seq:int}", receive_handover, methods=["POST"]),
]
