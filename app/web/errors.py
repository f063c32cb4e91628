"""Errors over HTTP: each refusal has one status, and is told as a page, as JSON or as a way to sign in.

Rule 1: the status follows from the class; `STATUSES` is the only place that knows.
Rule 2: an error that is no refusal says nothing but that it was logged, and under which id.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from app.domain import errors
from app.domain.errors import NotSignedIn, SecondFactorRequired, TooMany, WorkroomError
from app.views.rendering import page

STATUSES: dict[type[WorkroomError], int] = {
    errors.NotSignedIn: 401,
    errors.SecondFactorRequired: 403,
    errors.AddressUnconfirmed: 403,
    errors.SignUpClosed: 403,
    errors.StillActive: 409,
    errors.Forbidden: 403,
    errors.NotMember: 403,
    errors.NotFound: 404,
    errors.UnknownSession: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.AccountExists: 409,
    errors.RoomClosed: 409,
    errors.AlreadyAnswered: 409,
    errors.OthersToAnswer: 403,
    errors.RecordRewound: 409,
    errors.SegmentTaken: 409,
    errors.SegmentDeleted: 409,
    errors.LinkSpent: 410,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.Busy: 503,
    errors.Unavailable: 503,
    errors.PairingPending: 400,  # RFC 8628 section 3.5 answers all three with 400
    errors.PairingDenied: 400,
    errors.PairingExpired: 400,
}
REFUSED = 422  # every other refusal: the request was understood, and is wrong
_ROUTER_REFUSALS = {404: errors.NotFound, 405: errors.MethodNotAllowed, 413: errors.TooLarge}
UNAVAILABLE_SECONDS = 5  # a full disk or a database that is away is rarely mended sooner

_TITLES = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not like this",
    409: "That does not go together",
    410: "This link is spent",
    413: "Too large",
    422: "Something is missing or wrong",
    429: "Slow down",
    500: "Something went wrong here",
    503: "Not at the moment",
}


def status_of(error: WorkroomError) -> int:
    """Return the status of a refusal; of one without code, 500."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return 500 if error.code == WorkroomError.code else REFUSED


def error_response(request: Request, error: WorkroomError | None) -> Response:
    """Return the answer to a request that was refused, or that failed (None)."""
    error = error or WorkroomError()
    status = status_of(error)
    headers = retry_headers(error, status)
    if wants_json(request):
        return json_error(error, status, headers)
    if isinstance(error, SecondFactorRequired):
        return _to("/settings/second-factor", request)
    if isinstance(error, NotSignedIn):
        return _to_sign_in(request)
    return _page(request, status, str(error), headers)


def json_error(error: WorkroomError, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return `{"error": {"code", "message", "field"}}`."""
    told = {"code": error.code, "message": str(error), "field": error.field}
    return JSONResponse({"error": told}, status, headers)


def retry_headers(error: WorkroomError, status: int) -> dict[str, str]:
    """Return Retry-After where it is worth trying again."""
    if isinstance(error, TooMany):
        return {"retry-after": str(error.retry_after_seconds)}
    return {"retry-after": str(UNAVAILABLE_SECONDS)} if status == 503 else {}


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such address, no such method; or a form that cannot be read."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    refusal = _ROUTER_REFUSALS.get(error.status_code, errors.Malformed)()
    if wants_json(request):
        return json_error(refusal, error.status_code, headers)
    return _page(request, error.status_code, str(refusal), headers)


def wants_json(request: Request) -> bool:
    """Whether a program asks: by the address, or by what it accepts."""
    if request.url.path.startswith(("/api/", "/pair/", "/devices/")):  # nothing below these is a page
        return True
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _to_sign_in(request: Request) -> Response:
    """Return to where one was after signing in; a form that was posted begins again at its page."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"/sign-in?next={quote(path)}" if request.method in ("GET", "HEAD") and path != "/" else "/sign-in"
    return _to(target, request)


def _to(target: str, request: Request) -> Response:
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"hx-redirect": target})
    return RedirectResponse(target, 303)


def _page(request: Request, status: int, sentence: str, headers: dict[str, str]) -> Response:
    html = page(
        "error.html",
        request=request,
        actor=getattr(request.state, "actor", None),
        status=status,
        title=_TITLES.get(status, "Not possible"),
        message=sentence,
        request_id=getattr(request.state, "request_id", ""),
    )
    return HTMLResponse(html, status, headers)
