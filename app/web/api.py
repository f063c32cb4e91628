"""The JSON API: what the pages do, for programs with a bearer token (docs/protocol.md, "JSON API").

Rule 1: the same services as the pages; nothing is decided here.
Rule 2: a wrong request names the field that is wrong.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, TypeGuard

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotSignedIn
from app.domain.timerange import instant_text
from app.services import record, workrooms
from app.services.access import Actor, member_of, room_info
from app.services.checkpoints import latest_checkpoint
from app.services.resources import Resources
from app.views.entries import entry_json
from app.web.openapi import NewEntry, openapi_document

ENTRIES_LIMIT_DEFAULT = 1000


async def list_rooms(request: Request) -> Response:
    """`GET /api/rooms`"""
    resources, actor = _context(request)
    rooms = [
        {
            "id": summary.info.id,
            "title": summary.info.title,
            "head": summary.head,
            "seen": summary.seen,
            "unread": summary.unread,
            "by": summary.member.by,
            "side": summary.member.side,
        }
        for summary in await workrooms.my_rooms(resources, actor)
    ]
    return _json({"rooms": rooms})


async def show_room(request: Request) -> Response:
    """`GET /api/rooms/<id>`"""
    resources, actor = _context(request)
    room = request.path_params["room"]
    member = await member_of(resources, actor, room)
    info = await room_info(resources, room)
    page = await record.page(resources, actor, room, limit=1)
    members = {m.by: {"name": m.name, "side": m.side} for m in info.members.values()}
    return _json(
        {
            "id": info.id,
            "title": info.title,
            "time_zone": info.time_zone,
            "work_view": info.work_view,
            "demo": info.demo,
            "opened_at": instant_text(info.opened_at),
            "members": members,
            "by": member.by,
            "head": page.head,
        }
    )


async def list_entries(request: Request) -> Response:
    """`GET /api/rooms/<id>/entries?after=N&limit=1000`"""
    resources, actor = _context(request)
    after = _integer(request, "after", -1)
    limit = _integer(request, "limit", ENTRIES_LIMIT_DEFAULT, least=1, most=record.PAGE_ENTRIES_MAX)
    page = await record.page(resources, actor, request.path_params["room"], after=after, limit=limit)
    return _json({"entries": [entry_json(entry) for entry in page.entries], "head": page.head})


async def add_entry(request: Request) -> Response:
    """`POST /api/rooms/<id>/entries`"""
    resources, actor = _context(request)
    try:
        new = msgspec.json.decode(await request.body(), type=NewEntry)
    except msgspec.ValidationError as error:
        raise Malformed(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("The body must be a JSON object.") from None
    room = request.path_params["room"]
    entry = await record.append(resources, actor, room, new.kind, new.body, new.ref, new.cid)
    return _json({"room": room, "seq": entry.seq, "cid": new.cid}, status=201)


async def show_checkpoint(request: Request) -> Response:
    """`GET /api/rooms/<id>/checkpoint`"""
    resources, actor = _context(request)
    return PlainTextResponse((await latest_checkpoint(resources, actor, request.path_params["room"])).decode())


async def show_receipt(request: Request) -> Response:
    """`GET /api/rooms/<id>/entries/<seq>/receipt`"""
    resources, actor = _context(request)
    room, seq = request.path_params["room"], request.path_params["seq"]
    text = await record.receipt(resources, actor, room, seq)
    name = f'attachment; filename="{room}-{seq}.tlog-proof"'
    return PlainTextResponse(text, headers={"content-disposition": name})


async def show_disclosure(request: Request) -> Response:
    """`GET /api/rooms/<id>/entries/<seq>/disclosure`"""
    resources, actor = _context(request)
    room, seq = request.path_params["room"], request.path_params["seq"]
    content = await record.disclosure(resources, actor, room, seq)
    name = f'attachment; filename="{room}-{seq}.disclosure.json"'
    headers = {"content-disposition": name, "cache-control": "no-store"}
    return Response(content, media_type="application/json", headers=headers)


async def show_consistency(request: Request) -> Response:
    """`GET /api/rooms/<id>/consistency?from=&to=`"""
    resources, actor = _context(request)
    size1, size2 = _integer(request, "from", None), _integer(request, "to", None)
    proof = await record.consistency(resources, actor, request.path_params["room"], size1, size2)
    return _json({"from": size1, "to": size2, "proof": [b64encode(value).decode() for value in proof]})


async def openapi(request: Request) -> Response:
    """`GET /api/openapi.json`"""
    return _json(openapi_document([route for route in request.app.routes if _is_api(route)]))


def _is_api(route: object) -> TypeGuard[Route]:
    return isinstance(route, Route) and route.path.startswith("/api/")


def _context(request: Request) -> tuple[Resources, Actor]:
    actor: Actor | None = request.state.actor
    if actor is None:
        raise NotSignedIn("Send a bearer token: `Authorization: Bearer …`.")
    resources: Resources = request.app.state.resources
    return resources, actor


def _integer(request: Request, name: str, default: int | None, *, least: int = -1, most: int = 2**53 - 1) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        value = int(text or "")
    except ValueError:
        raise Malformed(f"`{name}` must be a whole number.", field=name) from None
    if not least <= value <= most:
        raise Malformed(f"`{name}` must lie between {least} and {most}.", field=name)
    return value


def _json(data: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(data), status, media_type="application/json")


API_ROUTES = [
    Route("/api/openapi.json", openapi),
    Route("/api/rooms", list_rooms),
    Route("/api/rooms/{room}", show_room),
    Route("/api/rooms/{room}/entries", list_entries),
    Route("/api/rooms/{room}/entries", add_entry, methods=["POST"]),
    Route("/api/rooms/{room}/entries/{seq:int}/receipt", show_receipt),
    Route("/api/rooms/{room}/entries/{seq:int}/disclosure", show_disclosure),
    Route("/api/rooms/{room}/checkpoint", show_checkpoint),
    Route("/api/rooms/{room}/consistency", show_consistency),
]
