"""The edge of HTTP: request id, security headers, body limit, same-origin check, who acts; and every error's answer.

Rule 1: pure ASGI, so that nothing is buffered and a disconnect is seen.
Rule 2: an unsafe method with a cookie must come from our own pages: Sec-Fetch-Site and Origin are checked instead of
form tokens. A program with a bearer token sends neither.
Rule 3: what is no refusal is logged once, with the request's id, and answered with 500 and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.config import Settings
from app.domain.errors import Forbidden, NotFound, NotSignedIn, SecondFactorRequired, TooLarge, WorkroomError
from app.services import accounts, notices
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Credential
from app.services.resources import Resources
from app.web.errors import error_response, wants_json
from app.web.expired import Posted, expired_response, is_form
from app.web.multipart import files_bytes_max

BODY_BYTES_MAX = 1024 * 1024  # a text has 32 KiB; files and frames have limits and ways of their own
COOKIE_SECONDS = 400 * 86_400  # what browsers allow at most; the session itself ends in the database
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# What an operator without a second factor reaches: the page that sets it up, the way out, and what is nobody's.
_WITHOUT_FACTOR = ("/settings/second-factor", "/sign-out", "/about")
_NOBODY = ("/static/", "/healthz", "/favicon.ico")  # paths that ask for nobody

log = structlog.get_logger()


def security_headers(settings: Settings) -> dict[str, str]:
    """Return the headers that every response carries unless it sets its own."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "font-src": "'self'",
        "connect-src": "'self'",  # with the sockets of this host (CSP 3, section 6.7.2.8)
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), display-capture=(self)",
        "cache-control": "private, no-cache",  # pages hold what only a member may see; static files set their own
    }
    if settings.base_url.startswith("https://"):
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


class Edge:
    """The one middleware of ours. Puts `request_id`, `credential`, `actor` (or None) and how many `notices` are unread
    into `request.state`."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._headers = security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; sockets and the lifespan pass untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state.update(request_id=request_id, credential=None, actor=None, lacks_factor=False, notices=0)
        state["unconfirmed"] = False  # the address of the account
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = request_id
            await send(message)

        request = Request(scope)
        posted: Posted | None = None
        error: WorkroomError | None
        try:
            if "\0" in scope["path"]:  # names nothing, and PostgreSQL cannot even be asked for it
                raise NotFound()
            check_same_origin(request.method, request.headers, self._settings)
            limited = _limited(request, receive)
            await _find_actor(request)
            if request.method == "POST" and request.state.actor is None and is_form(request):
                limited = posted = Posted(limited)
            await self._app(scope, limited, send_with_headers)
            return
        except ClientDisconnect:
            return
        except WorkroomError as refusal:
            error = refusal
        except Exception as bug:  # the edge: nothing of it may reach the client
            log.error("request failed", request_id=request_id, path=scope["path"], exc_info=bug)
            error = None
        if started:
            return
        if posted is not None and isinstance(error, NotSignedIn) and not wants_json(request):
            answer = await expired_response(Request(scope, posted.again))
        else:
            answer = error_response(request, error)
        await answer(scope, receive, send_with_headers)


def check_same_origin(method: str, headers: Mapping[str, str], settings: Settings) -> None:
    """Check that an unsafe request does not come from another site (rule 2).

    Raises:
        Forbidden: if the browser says that it does.
    """
    if method not in _UNSAFE or headers.get("authorization", "").lower().startswith("bearer "):
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site not in (None, "same-origin", "none") or (
        origin is not None and not is_own_origin(origin, headers.get("host", ""), settings)
    ):
        raise Forbidden("This request came from another site. Open the page here and try again.")


def is_own_origin(origin: str, host: str, settings: Settings) -> bool:
    """Whether an Origin header names this server: its address, or the host asked for where none was set."""
    if origin == settings.base_url:
        return True
    parts = urlsplit(origin)
    return not settings.url and parts.scheme in ("http", "https") and parts.netloc == host


def set_session_cookie(response: Response, settings: Settings, token: str) -> None:
    """Sign the browser in: the cookie is out of reach for scripts and for other sites' posts."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        path="/",
        secure=settings.base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, settings: Settings) -> None:
    """Sign the browser out."""
    response.delete_cookie(
        SESSION_COOKIE,
        path="/",
        secure=settings.base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def resources_of(connection: HTTPConnection) -> Resources:
    """Return the resources that the composition root put into the application's state."""
    resources = connection.app.state.resources
    assert isinstance(resources, Resources)
    return resources


def credential_of(request: Request) -> Credential:
    """Return what the request is signed in with.

    Raises:
        NotSignedIn: if with nothing.
    """
    credential = request.state.credential
    if credential is None:
        raise NotSignedIn()
    assert isinstance(credential, Credential)
    return credential


def actor_of(request: Request) -> Actor:
    """Return who acts.

    Raises:
        NotSignedIn: if nobody does.
    """
    return credential_of(request).actor


async def _find_actor(request: Request) -> None:
    """Resolve the bearer token of a program, or else the session cookie."""
    path = request.url.path
    if path.startswith(_NOBODY):
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if path.startswith("/api/") and scheme.lower() == "bearer":
        # A program is told what is wrong with its token; a browser whose session is over just is not signed in.
        credential = await accounts.credential_of_token(resources_of(request), token.strip(), "api")
    elif cookie := request.cookies.get(SESSION_COOKIE):
        try:
            credential = await accounts.credential_of_session(resources_of(request), cookie)
        except SecondFactorRequired as required:
            if not path.startswith(_WITHOUT_FACTOR):
                raise
            assert isinstance(required.credential, Credential)
            credential = required.credential
        except NotSignedIn:
            return
    else:
        return
    request.state.credential = credential
    request.state.actor = credential.actor
    request.state.lacks_factor = credential.lacks_factor
    request.state.unconfirmed = credential.unconfirmed
    if "text/html" in request.headers.get("accept", ""):  # a page, which shows how much there is to be told
        request.state.notices = await notices.unread(resources_of(request), credential.actor.account)


def _limited(request: Request, receive: Receive) -> Receive:
    """Return `receive` with a limit on the body.

    Raises:
        TooLarge: at once, if the length that is announced is over it; else when the body is.
    """
    announced = request.headers.get("content-length", "0")
    most = files_bytes_max(request) or BODY_BYTES_MAX
    too_large = TooLarge(f"This is too large: a request may have {most // 2**20} MiB.")
    if not announced.isdecimal() or int(announced) > most:
        raise too_large
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > most:
                raise too_large
        return message

    return receive_limited
