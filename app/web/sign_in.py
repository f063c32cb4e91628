"""Pages of signing in and out: password, second factor, one-time link, and what was typed before.

Rule 1: everything works as a plain form; a refused form comes back with what was typed, but never a password.
Rule 2: a GET changes nothing: a link is spent by the button on its page, so that previews of mail programs spend none.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import LinkSpent, NotSignedIn, WorkroomError
from app.services import accounts, second_factor
from app.services.accounts import SESSION_COOKIE
from app.web.errors import status_of
from app.web.expired import continue_page, encoded, kept_of, sign_in_page
from app.web.forms import account_page, client_of, field, safe_path, signed_in
from app.web.middleware import clear_session_cookie, resources_of


async def show_sign_in(request: Request) -> Response:
    """The sign-in page; who is signed in goes on to where they wanted to go."""
    target = safe_path(request.query_params.get("next", ""))
    if request.state.actor is not None:
        return RedirectResponse(target, 303)
    return _sign_in_page(request, target)


async def sign_in(request: Request) -> Response:
    """Sign in with address and password."""
    form = await request.form()
    email, target, kept = field(form, "email"), safe_path(field(form, "next")), kept_of(form)
    try:
        signed = await accounts.sign_in(resources_of(request), email, field(form, "password"), client_of(request))
    except WorkroomError as error:
        if kept is not None:
            return sign_in_page(request, error, kept=kept, email=email, status=status_of(error))
        return _sign_in_page(request, target, email, error)
    return signed_in(request, signed, target, kept)


async def go_on(request: Request) -> Response:
    """Who has signed in elsewhere, in another tab or by a link, goes on with what was typed."""
    kept = kept_of(await request.form())
    if kept is None:
        return RedirectResponse("/", 303)
    if request.state.actor is None:
        return sign_in_page(request, NotSignedIn("This browser is not signed in yet."), kept=kept)
    return continue_page(request, request.state.actor, kept)


async def show_code(request: Request) -> Response:
    """The page that asks for the code of the second factor."""
    target = safe_path(request.query_params.get("next", ""))
    try:
        await second_factor.waiting_session(resources_of(request), request.cookies.get(SESSION_COOKIE, ""))
    except NotSignedIn:
        return RedirectResponse("/sign-in" if request.state.actor is None else target, 303)
    return account_page(request, "code", actor=None, next=target, kept_json="")


async def give_code(request: Request) -> Response:
    """Open the session that waits for its code."""
    form = await request.form()
    target, kept, token = safe_path(field(form, "next")), kept_of(form), request.cookies.get(SESSION_COOKIE, "")
    try:
        credential = await second_factor.open_waiting(resources_of(request), token, field(form, "code"))
    except NotSignedIn as error:
        if request.state.actor is not None:  # the code was given in another tab
            return RedirectResponse(target, 303)
        return sign_in_page(request, error, kept=kept)
    except WorkroomError as error:
        return account_page(request, "code", error, actor=None, next=target, kept_json=encoded(kept))
    if kept is not None:
        return continue_page(request, credential.actor, kept)
    return RedirectResponse(target, 303)


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
    return account_page(request, "link", token=token)


async def use_link(request: Request) -> Response:
    """Sign in with a one-time link."""
    token = request.path_params["token"]
    return signed_in(request, await accounts.sign_in_with_link(resources_of(request), token, client_of(request)), "/")


routes = [
    Route("/sign-in", show_sign_in, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-in/code", show_code, methods=["GET"]),
    Route("/sign-in/code", give_code, methods=["POST"]),
    Route("/sign-in/continue", go_on, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/link/{token}", show_link, methods=["GET"]),
    Route("/link/{token}", use_link, methods=["POST"]),
]


def _sign_in_page(request: Request, target: str, email: str = "", error: WorkroomError | None = None) -> Response:
    settings = resources_of(request).settings
    return account_page(
        request, "sign_in", error, next=target, email=email, kept=None, kept_json="", open_sign_up=settings.open_sign_up
    )
