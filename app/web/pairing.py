"""Pairing: a tracker on a computer by the code that it shows, or this browser by one button (rule 8.2).

Rule 1: a person confirms; a GET changes nothing.
Rule 2: the token of a browser is given to the page once, to a session of a browser and to no program.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.accounts import NAME_CHARS_MAX
from app.domain.errors import NotFound, TooMany, WorkroomError
from app.services import accounts, pairing
from app.views.browsers import browser_name
from app.web.errors import retry_headers, status_of
from app.web.forms import NO_STORE, account_page, client_of, field, posted
from app.web.middleware import actor_of, resources_of

CODE_CHARS_MAX = 20


async def show_pair(request: Request) -> Response:
    """Type the tracker's code; with a code in the address, confirm the device."""
    actor = actor_of(request)
    typed = request.query_params.get("code", "")[:CODE_CHARS_MAX]
    if not typed:
        return account_page(request, "pair", code="", device=None, outcome=None)
    try:
        device = await pairing.waiting_device(resources_of(request), actor, typed)
    except (NotFound, TooMany) as error:
        return account_page(request, "pair", error, code=typed, device=None, outcome=None)
    return account_page(request, "pair", code=typed, device=device, outcome=None)


async def answer_pair(request: Request) -> Response:
    """Confirm or decline the device that waits for a code."""
    actor = actor_of(request)
    form = await request.form()
    typed, answered = field(form, "code")[:CODE_CHARS_MAX], field(form, "answer")
    if answered not in ("confirm", "decline"):
        return RedirectResponse(f"/pair?code={quote(typed)}", 303)
    try:
        device = await pairing.answer(resources_of(request), actor, typed, confirmed=answered == "confirm")
    except (NotFound, TooMany) as error:
        return account_page(request, "pair", error, code=typed, device=None, outcome=None)
    return account_page(request, "pair", code="", device=device, outcome=answered)


async def start_pairing(request: Request) -> Response:
    """For the tracker: begin. Takes `{"device": name}` as JSON or as a form."""
    device = await posted(request, "device")
    started = await pairing.start(resources_of(request), device, client_of(request).address)
    return JSONResponse(msgspec.to_builtins(started), headers=NO_STORE)


async def poll_pairing(request: Request) -> Response:
    """For the tracker: ask for the token. Takes `{"device_code"}`; refusals have RFC 8628's form, section 3.5."""
    device_code = await posted(request, "device_code")
    try:
        paired = await pairing.fetch(resources_of(request), device_code)
    except WorkroomError as error:
        told = {"error": error.code, "error_description": str(error)}
        status = status_of(error)
        return JSONResponse(told, status, {**NO_STORE, **retry_headers(error, status)})
    return JSONResponse(msgspec.to_builtins(paired), headers=NO_STORE)


async def pair_browser(request: Request) -> Response:
    """`POST /devices/browser`: make this browser a tracker; the page gets a device token, once."""
    actor = actor_of(request)
    label = await posted(request, "label", otherwise=browser_name(request.headers.get("user-agent", "")))
    token = await accounts.new_token(resources_of(request), actor, "device", label)
    told = {"token": token, "token_type": "Bearer", "account": actor.account, "label": label[:NAME_CHARS_MAX]}
    return JSONResponse(told, 201, NO_STORE)


routes = [
    Route("/pair", show_pair, methods=["GET"]),
    Route("/pair", answer_pair, methods=["POST"]),
    Route("/pair/start", start_pairing, methods=["POST"]),
    Route("/pair/token", poll_pairing, methods=["POST"]),
    Route("/devices/browser", pair_browser, methods=["POST"]),
]
