"""Pages of accounts: sign in and out, one-time links, invitations, settings, pairing.

Rule 1: everything works as a plain form; a refused form comes back with what was typed, but never a password.
Rule 2: a GET changes nothing: a link is spent by the button on its page, so that previews of mail programs spend none.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import LinkSpent, Malformed, NotFound, TooMany, WorkroomError
from app.domain.policy import POLICY_TEXT
from app.services import accounts, invitations, pairing
from app.services.accounts import Client
from app.views.rendering import page
from app.web.errors import retry_headers, status_of
from app.web.middleware import actor_of, clear_session_cookie, credential_of, resources_of, set_session_cookie

FIELD_CHARS_MAX = 1_000  # no field of these forms is longer; the services have narrower limits


# Signing in and out


async def show_sign_in(request: Request) -> Response:
    """The sign-in page; who is signed in goes on to where they wanted to go."""
    target = _safe_path(request.query_params.get("next", ""))
    if request.state.actor is not None:
        return RedirectResponse(target, 303)
    return _page(request, "sign_in", next=target, email="")


async def sign_in(request: Request) -> Response:
    """Sign in with address and password."""
    form = await request.form()
    email, target = _field(form, "email"), _safe_path(_field(form, "next"))
    try:
        signed = await accounts.sign_in(resources_of(request), email, _field(form, "password"), _client(request))
    except WorkroomError as error:
        return _page(request, "sign_in", error, next=target, email=email)
    return _signed_in(request, signed.token, target)


async def sign_out(request: Request) -> Response:
    """End this browser's session."""
    resources = resources_of(request)
    if request.state.credential is not None:
        await accounts.sign_out(resources, request.state.credential)
    response = RedirectResponse("/sign-in", 303)
    clear_session_cookie(response, resources.settings)
    return response


async def show_link(request: Request) -> Response:
    """The page of a one-time sign-in link: one button."""
    token = request.path_params["token"]
    if not await accounts.link_is_open(resources_of(request), token):
        raise LinkSpent()
    return _page(request, "link", token=token)


async def use_link(request: Request) -> Response:
    """Sign in with a one-time link."""
    token = request.path_params["token"]
    signed = await accounts.sign_in_with_link(resources_of(request), token, _client(request))
    return _signed_in(request, signed.token, "/")


# Invitations


async def show_invitation(request: Request) -> Response:
    """What an invitation is for, and the way to take it: one button, or the form to sign up."""
    token = request.path_params["token"]
    return await _invitation_page(request, token, None, name="", email="")


async def take_invitation(request: Request) -> Response:
    """Join the invitation's workroom; who has no account signs up by the same form."""
    token = request.path_params["token"]
    resources = resources_of(request)
    if request.state.actor is not None:
        member = await invitations.accept_invitation(resources, request.state.actor, token)
        return RedirectResponse(f"/rooms/{member.room}", 303)
    form = await request.form()
    name, email = _field(form, "name"), _field(form, "email")
    try:
        signed, member = await invitations.sign_up_with_invitation(
            resources, token, name, email, _field(form, "password"), _client(request)
        )
    except LinkSpent:
        raise
    except WorkroomError as error:
        return await _invitation_page(request, token, error, name=name, email=email)
    return _signed_in(request, signed.token, f"/rooms/{member.room}")


# Settings


async def show_settings(request: Request) -> Response:
    """Password, sessions, devices and tokens of one's own account."""
    actor_of(request)
    return await _settings_page(request)


async def change_password(request: Request) -> Response:
    """Set a password; all other sessions end."""
    credential = credential_of(request)
    form = await request.form()
    try:
        await accounts.set_password(
            resources_of(request),
            credential.actor,
            _field(form, "password"),
            _field(form, "present"),
            session=credential.id,
        )
    except WorkroomError as error:
        return await _settings_page(request, error)
    return RedirectResponse("/settings?done=password", 303)


async def revoke_session(request: Request) -> Response:
    """End one of one's sessions; ending this one signs out."""
    credential = credential_of(request)
    session = request.path_params["id"]
    await accounts.revoke_session(resources_of(request), credential.actor, session)
    if session != credential.id:
        return RedirectResponse("/settings?done=session", 303)
    response = RedirectResponse("/sign-in", 303)
    clear_session_cookie(response, resources_of(request).settings)
    return response


async def make_token(request: Request) -> Response:
    """Make a token for a program; this page shows it, and no later one does."""
    actor = actor_of(request)
    label = _field(await request.form(), "label")
    if not label.strip():
        return await _settings_page(request, Malformed("Name the program that will use it.", field="label"))
    token = await accounts.new_token(resources_of(request), actor, "api", label)
    return await _settings_page(request, new_token=token)


async def revoke_token(request: Request) -> Response:
    """Revoke a token or a device."""
    await accounts.revoke_token(resources_of(request), actor_of(request), request.path_params["id"])
    return RedirectResponse("/settings?done=token", 303)


# Pairing a tracker


async def show_pair(request: Request) -> Response:
    """Type the tracker's code; with a code in the address, confirm the device."""
    actor = actor_of(request)
    typed = request.query_params.get("code", "")[:20]
    if not typed:
        return _page(request, "pair", code="", device=None, outcome=None)
    try:
        device = await pairing.waiting_device(resources_of(request), actor, typed)
    except (NotFound, TooMany) as error:
        return _page(request, "pair", error, code=typed, device=None, outcome=None)
    return _page(request, "pair", code=typed, device=device, outcome=None)


async def answer_pair(request: Request) -> Response:
    """Confirm or decline the device that waits for a code."""
    actor = actor_of(request)
    form = await request.form()
    typed, answered = _field(form, "code")[:20], _field(form, "answer")
    if answered not in ("confirm", "decline"):
        return RedirectResponse(f"/pair?code={quote(typed)}", 303)
    try:
        device = await pairing.answer(resources_of(request), actor, typed, confirmed=answered == "confirm")
    except (NotFound, TooMany) as error:
        return _page(request, "pair", error, code=typed, device=None, outcome=None)
    return _page(request, "pair", code="", device=device, outcome=answered)


async def start_pairing(request: Request) -> Response:
    """For the tracker: begin. Takes `{"device": name}` as JSON or as a form."""
    device = await _posted(request, "device")
    started = await pairing.start(resources_of(request), device, _client(request).address)
    return JSONResponse(msgspec.to_builtins(started), headers={"cache-control": "no-store"})


async def poll_pairing(request: Request) -> Response:
    """For the tracker: ask for the token. Takes `{"device_code"}`; refusals have RFC 8628's form, section 3.5."""
    device_code = await _posted(request, "device_code")
    try:
        paired = await pairing.fetch(resources_of(request), device_code)
    except WorkroomError as error:
        told = {"error": error.code, "error_description": str(error)}
        status = status_of(error)
        return JSONResponse(told, status, {"cache-control": "no-store", **retry_headers(error, status)})
    return JSONResponse(msgspec.to_builtins(paired), headers={"cache-control": "no-store"})


# What a User-Agent header holds, and what people call it; the first that fits, since most claim to be others too.
_BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "CriOS/": "Chrome", "Safari/": "Safari"
}  # fmt: skip
_SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS X": "macOS",
    "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def browser_name(user_agent: str) -> str:
    """Return what people call a browser, like "Firefox on Linux"; an unknown one by its own words."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or user_agent[:60] or "A browser that did not say which"


routes = [
    Route("/sign-in", show_sign_in, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/link/{token}", show_link, methods=["GET"]),
    Route("/link/{token}", use_link, methods=["POST"]),
    Route("/invitation/{token}", show_invitation, methods=["GET"]),
    Route("/invitation/{token}", take_invitation, methods=["POST"]),
    Route("/settings", show_settings, methods=["GET"]),
    Route("/settings/password", change_password, methods=["POST"]),
    Route("/settings/sessions/{id}/revoke", revoke_session, methods=["POST"]),
    Route("/settings/tokens", make_token, methods=["POST"]),
    Route("/settings/tokens/{id}/revoke", revoke_token, methods=["POST"]),
    Route("/pair", show_pair, methods=["GET"]),
    Route("/pair", answer_pair, methods=["POST"]),
    Route("/pair/start", start_pairing, methods=["POST"]),
    Route("/pair/token", poll_pairing, methods=["POST"]),
]


# Parts


def _page(request: Request, template: str, error: WorkroomError | None = None, **context: Any) -> Response:
    """Return a page of accounts, with the status of the error that it tells."""
    status = 200 if error is None else status_of(error)
    html = page(f"accounts/{template}.html", request=request, actor=request.state.actor, error=error, **context)
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))


async def _invitation_page(
    request: Request, token: str, error: WorkroomError | None, *, name: str, email: str
) -> Response:
    shown = await invitations.invitation(resources_of(request), token, request.state.actor)
    return _page(
        request, "invitation", error, token=token, invitation=shown, name=name, email=email, policy=POLICY_TEXT
    )


_DONE = {
    "password": "Your password is set. All other sessions were ended.",
    "session": "The session was ended.",
    "token": "The token was revoked.",
}


async def _settings_page(request: Request, error: WorkroomError | None = None, *, new_token: str = "") -> Response:
    resources, credential = resources_of(request), credential_of(request)
    listed = await accounts.tokens_of(resources, credential.actor)
    return _page(
        request,
        "settings",
        error,
        has_password=await accounts.has_password(resources, credential.actor),
        browser=browser_name,
        sessions=await accounts.sessions_of(resources, credential.actor),
        present=credential.id,
        devices=[token for token in listed if token.purpose == "device"],
        tokens=[token for token in listed if token.purpose == "api"],
        new_token=new_token,
        done=_DONE.get(request.query_params.get("done", ""), ""),
    )


def _signed_in(request: Request, token: str, target: str) -> Response:
    response = RedirectResponse(target, 303)
    set_session_cookie(response, resources_of(request).settings, token)
    return response


def _client(request: Request) -> Client:
    address = request.client.host if request.client is not None else ""
    return Client(address, request.headers.get("user-agent", ""))


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str) or len(value) > FIELD_CHARS_MAX or "\0" in value:
        raise Malformed("This field is too long, or no text.", field=name)
    return value


async def _posted(request: Request, name: str) -> str:
    """Return a field of a JSON object or of a form: what a program posts."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            value = msgspec.json.decode(await request.body(), type=dict[str, Any]).get(name)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("The request is no JSON object.") from None
    else:
        value = _field(await request.form(), name)
    if not isinstance(value, str) or not 1 <= len(value) <= FIELD_CHARS_MAX or "\0" in value:
        raise Malformed(f"`{name}` must be a text.", field=name)
    return value


def _safe_path(target: str) -> str:
    """Return a path on this server, never another one's address."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and "\n" not in target and "\r" not in target:
        return target
    return "/"
