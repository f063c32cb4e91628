"""What the pages of accounts share: a page with the status of its error, fields, who asks from where.

Rule 1: nothing is decided here; services refuse, pages show.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.domain.errors import Malformed, WorkroomError
from app.services.accounts import Client, SignedIn
from app.views.rendering import page
from app.web.errors import retry_headers, status_of
from app.web.expired import Kept, continue_page, encoded
from app.web.middleware import resources_of, set_session_cookie

FIELD_CHARS_MAX = 1_000  # no field of these forms is longer; the services have narrower limits
NO_STORE = {"cache-control": "no-store"}  # of pages that show a secret


def account_page(request: Request, template: str, error: WorkroomError | None = None, **context: Any) -> Response:
    """Return a page of accounts, with the status of the error that it tells."""
    status = 200 if error is None else status_of(error)
    actor = context.pop("actor", request.state.actor)
    html = page(f"accounts/{template}.html", request=request, actor=actor, error=error, **context)
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))


def signed_in(request: Request, signed: SignedIn, target: str, kept: Kept | None = None) -> Response:
    """Set the cookie of a new session, and lead on: to the second factor, to what was typed before, or to `target`."""
    if signed.awaits_factor:
        response = account_page(request, "code", actor=None, next=target, kept_json=encoded(kept))
    elif kept is not None:
        response = continue_page(request, signed.credential.actor, kept)
    else:
        response = RedirectResponse(target, 303)
    set_session_cookie(response, resources_of(request).settings, signed.token)
    return response


def client_of(request: Request) -> Client:
    """Return where a request comes from."""
    address = request.client.host if request.client is not None else ""
    return Client(address, request.headers.get("user-agent", ""))


def field(form: FormData, name: str) -> str:
    """Return a field of a form; empty if it is not there.

    Raises:
        Malformed: if it is too long, or no text.
    """
    value = form.get(name, "")
    if not isinstance(value, str) or len(value) > FIELD_CHARS_MAX or "\0" in value:
        raise Malformed("This field is too long, or no text.", field=name)
    return value


async def posted(request: Request, name: str, *, otherwise: str | None = None) -> str:
    """Return a field of a JSON object or of a form: what a program posts.

    Raises:
        Malformed: if it is missing and there is no `otherwise`, too long, or no text.
    """
    value: Any
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            value = msgspec.json.decode(await request.body(), type=dict[str, Any]).get(name)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Malformed("The request is no JSON object.") from None
    else:
        value = field(await request.form(), name)
    if value in (None, "") and otherwise is not None:
        return otherwise
    if not isinstance(value, str) or not 1 <= len(value) <= FIELD_CHARS_MAX or "\0" in value:
        raise Malformed(f"`{name}` must be a text.", field=name)
    return value


def safe_path(target: str) -> str:
    """Return a path on this server, never another one's address."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return "/"
