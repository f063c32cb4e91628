"""Search: the page of one workroom, the page of all one's workrooms, and the API.

Rule 1: what the box says and what the controls beside it say hold together; a link to a page finds the same again.
Rule 2: what cannot be searched is said beside its field, with everything that was typed still there.
Rule 3: the page works without script; with it, results follow while one types.
"""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotSignedIn
from app.domain.search import Query, day_of, parse
from app.domain.workrooms import WRITTEN_BY_PEOPLE, RoomInfo
from app.services import search
from app.services.access import Actor
from app.services.search import Found, parsed_cursor
from app.views.rendering import page
from app.views.search import kind_groups, result_json, result_of
from app.web.errors import status_of
from app.web.middleware import actor_of, resources_of
from app.web.parts import looking_at


class Typed(Struct, frozen=True):
    """What the form holds, as it was typed."""

    q: str = ""
    kind: str = ""
    person: str = ""
    after: str = ""
    before: str = ""

    @property
    def address(self) -> str:
        """The part of the address that asks the same again."""
        return urlencode({name: value for name, value in structs.asdict(self).items() if value})


def typed_query(typed: Typed) -> Query:
    """Return the query of the box and of the controls beside it.

    Raises:
        Malformed: naming the field that cannot be searched for.
    """
    query = parse(typed.q)
    if typed.kind:
        if typed.kind not in WRITTEN_BY_PEOPLE:
            raise Malformed("Nobody writes entries of this kind. Choose another.", field="kind")
        query = structs.replace(query, kinds=(typed.kind,))
    if typed.person.strip():
        query = structs.replace(query, people=(typed.person.strip(),))
    after, before = _day(typed.after, "after"), _day(typed.before, "before")
    query = structs.replace(
        query,
        after=max(filter(None, (query.after, after)), default=None),
        before=min(filter(None, (query.before, before)), default=None),
    )
    if query.after and query.before and query.before <= query.after:
        raise Malformed("The second day must be later than the first.", field="before")
    return query


def _day(text: str, field: str) -> date | None:
    if not text.strip():
        return None
    day = day_of(text.strip())
    if day is None:
        raise Malformed("Write the day like 2026-11-19.", field=field)
    return day


async def search_all(request: Request) -> Response:
    """`GET /search`: over all workrooms of who asks."""
    return await _search(request, None, actor_of(request))


async def search_room(request: Request) -> Response:
    """`GET /rooms/<room>/search`: in one workroom."""
    looking = await looking_at(request)
    return await _search(request, looking.room, looking.actor)


async def _search(request: Request, room: RoomInfo | None, actor: Actor) -> Response:
    asked = request.query_params
    typed = Typed(*(asked.get(name, "") for name in Typed.__struct_fields__))
    is_part = request.headers.get("hx-request") == "true"
    query, problem, found = Query(), None, None
    try:
        query = typed_query(typed)
        more = parsed_cursor(asked["more"]) if asked.get("more") else None
        if not query.is_empty:
            found = await search.search(
                resources_of(request), actor, query, room=room.id if room is not None else None, more=more
            )
    except Malformed as error:
        problem = error
    path = f"/rooms/{room.id}/search" if room is not None else "/search"
    html = page(
        "search/_results.html" if is_part else "search/search.html",
        request=request,
        actor=actor,
        room=room,
        path=path,
        typed=typed,
        problem=problem,
        results=[result_of(hit.entry, hit.info, query) for hit in found.hits] if found is not None else [],
        found=found,
        is_first=found is None or "more" not in asked,
        more=_address(path, typed, found),
        kinds=kind_groups(),
    )
    return HTMLResponse(html, 200 if problem is None or is_part else status_of(problem), {"vary": "hx-request"})


def _address(path: str, typed: Typed, found: Found | None) -> str:
    """Return where the results go on, "" at their end."""
    if found is None or found.more is None:
        return ""
    return f"{path}?{typed.address}&{urlencode({'more': str(found.more)})}"


async def search_api(request: Request) -> Response:
    """`GET /api/search?q=&room=&more=&limit=`: the same for programs; filters are part of `q`."""
    actor: Actor | None = request.state.actor
    if actor is None:
        raise NotSignedIn("Send a bearer token: `Authorization: Bearer …`.")
    asked = request.query_params
    limit = asked.get("limit", str(search.RESULTS_DEFAULT))
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit[:9]) <= search.RESULTS_MAX:
        raise Malformed(f"`limit` must lie between 1 and {search.RESULTS_MAX}.", field="limit")
    query = parse(asked.get("q", ""))
    found = await search.search(
        resources_of(request),
        actor,
        query,
        room=asked.get("room"),
        more=parsed_cursor(asked["more"]) if asked.get("more") else None,
        limit=int(limit),
    )
    answer: dict[str, Any] = {
        "results": [result_json(hit.entry, hit.info, query) for hit in found.hits],
        "more": str(found.more) if found.more is not None else None,
    }
    return Response(msgspec.json.encode(answer), media_type="application/json")


routes = [Route("/search", search_all), Route("/rooms/{room}/search", search_room)]
api_routes = [Route("/api/search", search_api)]
