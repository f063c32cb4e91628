"""The page of notices, how they are mailed, and the one-click way to end the mails.

Rule 1: a GET changes nothing: what is read is marked by a button, or by looking at the entry itself.
Rule 2: ending the mails needs no signing in: the address proves who asks (RFC 8058).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import WorkroomError
from app.services import notices
from app.services.mail import folder_note
from app.views.jobs import ZONES
from app.views.notices import shown_notice
from app.views.rendering import page
from app.web.errors import status_of
from app.web.forms import field
from app.web.middleware import actor_of, resources_of


async def show_notices(request: Request) -> Response:
    """`GET /notices`: what one was told of, the newest first."""
    actor = actor_of(request)
    listed = [shown_notice(notice) for notice in await notices.my_notices(resources_of(request), actor)]
    part = "hx-request" in request.headers
    template = "notices/_list.html" if part else "notices/list.html"
    unread = sum(not notice.is_read for notice in listed)
    return HTMLResponse(page(template, request=request, actor=actor, notices=listed, unread=unread))


async def mark_read(request: Request) -> Response:
    """`POST /notices/read` and `POST /notices/<id>/read`: one notice was read, or all."""
    await notices.mark_read(resources_of(request), actor_of(request), request.path_params.get("notice"))
    return RedirectResponse("/notices", 303)


async def show_settings(request: Request) -> Response:
    """`GET /settings/notices`: what is mailed, and when."""
    chosen = await notices.my_settings(resources_of(request), actor_of(request))
    typed: dict[str, object] = {
        "at_once": chosen.at_once,
        "digest": chosen.digest.value,
        "hour": str(chosen.hour),
        "time_zone": chosen.time_zone,
    }
    return _settings_page(request, typed, done="done" in request.query_params)


async def change_settings(request: Request) -> Response:
    """`POST /settings/notices`"""
    form = await request.form()
    typed = {name: field(form, name) for name in ("digest", "hour", "time_zone")}
    at_once = field(form, "at_once") == "on"
    try:
        await notices.choose(
            resources_of(request), actor_of(request),
            at_once=at_once, digest=typed["digest"], hour=typed["hour"], zone=typed["time_zone"],
        )  # fmt: skip
    except WorkroomError as error:
        return _settings_page(request, {**typed, "at_once": at_once}, error)
    return RedirectResponse("/settings/notices?done", 303)


def _settings_page(
    request: Request, typed: dict[str, object], error: WorkroomError | None = None, done: bool = False
) -> Response:
    html = page(
        "notices/settings.html",
        request=request,
        actor=actor_of(request),
        typed=typed,
        error=error,
        done=done,
        zones=ZONES,
        note=folder_note(resources_of(request)),
    )
    return HTMLResponse(html, 200 if error is None else status_of(error))


async def show_unsubscribe(request: Request) -> Response:
    """`GET /unsubscribe/<token>`: one button."""
    token = request.path_params["token"]
    notices.account_of_token(resources_of(request), token)
    return _unsubscribe_page(request, token, done=False)


async def unsubscribe(request: Request) -> Response:
    """`POST /unsubscribe/<token>`: from that button, or from a mail program (RFC 8058)."""
    token = request.path_params["token"]
    await notices.unsubscribe(resources_of(request), token)
    return _unsubscribe_page(request, token, done=True)


def _unsubscribe_page(request: Request, token: str, done: bool) -> Response:
    actor = request.state.actor
    return HTMLResponse(page("notices/unsubscribe.html", request=request, actor=actor, token=token, done=done))


routes = [
    Route("/notices", show_notices, methods=["GET"]),
    Route("/notices/read", mark_read, methods=["POST"]),
    Route("/notices/{notice}/read", mark_read, methods=["POST"]),
    Route("/settings/notices", show_settings, methods=["GET"]),
    Route("/settings/notices", change_settings, methods=["POST"]),
    Route("/unsubscribe/{token}", show_unsubscribe, methods=["GET"]),
    Route("/unsubscribe/{token}", unsubscribe, methods=["POST"]),
]
