"""The settings: who one is, how one signs in, where one is signed in, and the way out.

Rule 1: each section is a form of its own; a refused one comes back with its sentence beside the field.
Rule 2: a secret is shown on the page that answers its making, and on no later one.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from app.domain.errors import AddressUnconfirmed, Malformed, WorkroomError, WrongCode
from app.domain.timerange import datetime_of
from app.services import accounts, addresses, closing, recovery, second_factor
from app.services.export import export_account
from app.services.mail import folder_note
from app.views.browsers import browser_name, is_phone
from app.views.qr import qr_svg
from app.web.forms import NO_STORE, account_page, field
from app.web.middleware import actor_of, clear_session_cookie, credential_of, resources_of

_DONE = {
    "name": "Your name is changed. Records keep the name under which you joined.",
    "address": "A link was mailed to the address. It counts once you open the link.",
    "password": "Your password is set. All other sessions were ended; tokens and trackers go on.",
    "password-tokens": "Your password is set. All other sessions, all tokens and all trackers were ended.",
    "recovered": "Your password is set. All tokens and trackers were ended: pair your tracker again.",
    "session": "The session was ended.",
    "sessions": "All other sessions were ended.",
    "token": "The token was revoked.",
    "factor-off": "The second factor is off.",
}
_MAILED = ("address",)


async def show_settings(request: Request) -> Response:
    """Everything of one's own account."""
    actor_of(request)
    return await _settings_page(request)


async def change_name(request: Request) -> Response:
    """Change one's name."""
    actor = actor_of(request)
    name = field(await request.form(), "name")
    try:
        await addresses.change_name(resources_of(request), actor, name)
    except WorkroomError as error:
        return await _settings_page(request, error, form="name", typed={"name": name})
    return _done("name")


async def change_address(request: Request) -> Response:
    """Have a link mailed to another address."""
    actor = actor_of(request)
    form = await request.form()
    email = field(form, "email")
    try:
        await addresses.change_address(resources_of(request), actor, email, field(form, "present"))
    except WorkroomError as error:
        return await _settings_page(request, error, form="address", typed={"email": email})
    return _done("address")


async def confirm_again(request: Request) -> Response:
    """Have the link that confirms the present address mailed once more."""
    await addresses.confirm_again(resources_of(request), actor_of(request))
    return _done("address")


async def change_password(request: Request) -> Response:
    """Set a password; all other sessions end, and where the box is ticked also tokens and trackers."""
    credential = credential_of(request)
    form = await request.form()
    end_tokens = field(form, "end_tokens") == "yes"
    try:
        await recovery.set_password(
            resources_of(request), credential.actor, field(form, "password"), field(form, "present"),
            session=credential.id, end_tokens=end_tokens,
        )  # fmt: skip
    except WorkroomError as error:
        return await _settings_page(request, error, form="password", typed={"end_tokens": "yes" if end_tokens else ""})
    return _done("password-tokens" if end_tokens else "password")


# Sessions, devices, tokens


async def revoke_session(request: Request) -> Response:
    """End one of one's sessions; ending this one signs out."""
    credential = credential_of(request)
    session = request.path_params["id"]
    await accounts.revoke_session(resources_of(request), credential.actor, session)
    return _done("session", "sessions") if session != credential.id else _signed_out(request)


async def revoke_other_sessions(request: Request) -> Response:
    """End all one's sessions but this one."""
    await accounts.end_other_sessions(resources_of(request), credential_of(request))
    return _done("sessions")


async def make_token(request: Request) -> Response:
    """Make a token for a program; this page shows it, and no later one does."""
    actor = actor_of(request)
    label = field(await request.form(), "label")
    if not label.strip():
        error = Malformed("Name the program that will use it.", field="label")
        return await _settings_page(request, error, form="token")
    try:
        token = await accounts.new_token(resources_of(request), actor, "api", label)
    except AddressUnconfirmed as error:
        return await _settings_page(request, error, form="token")
    return await _settings_page(request, new_token=token)


async def revoke_token(request: Request) -> Response:
    """Revoke a token or a device."""
    await accounts.revoke_token(resources_of(request), actor_of(request), request.path_params["id"])
    return _done("token", "devices")


# The second factor


async def show_factor(request: Request) -> Response:
    """How the second factor stands; while it is set up, the code for the app."""
    actor_of(request)
    return await _factor_page(request)


async def begin_factor(request: Request) -> Response:
    """Draw a new secret."""
    await second_factor.begin(resources_of(request), actor_of(request))
    return RedirectResponse("/settings/second-factor", 303)


async def confirm_factor(request: Request) -> Response:
    """Switch it on by a first code; this page shows the recovery codes, and no later one does."""
    code = field(await request.form(), "code")
    try:
        codes = await second_factor.confirm(resources_of(request), credential_of(request), code)
    except WorkroomError as error:
        return await _factor_page(request, error, form="confirm")
    request.state.lacks_factor = False
    return await _factor_page(request, codes=codes)


async def renew_codes(request: Request) -> Response:
    """Make new recovery codes; the old ones no longer work."""
    code = field(await request.form(), "code")
    try:
        codes = await second_factor.new_recovery_codes(resources_of(request), actor_of(request), code)
    except WorkroomError as error:
        return await _factor_page(request, error, form="codes")
    return await _factor_page(request, codes=codes)


async def switch_factor_off(request: Request) -> Response:
    """Switch it off."""
    code = field(await request.form(), "code")
    try:
        await second_factor.switch_off(resources_of(request), actor_of(request), code)
    except WorkroomError as error:
        return await _factor_page(request, error, form="off")
    return _done("factor-off", "second-factor")


# Export and closing


async def export(request: Request) -> Response:
    """Download what the server keeps of one's account."""
    resources = resources_of(request)
    pieces = await export_account(resources, actor_of(request))
    name = f"workroom-account-{datetime_of(resources.clock.real_now()):%Y-%m-%d}.zip"
    headers = {**NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


async def show_close(request: Request) -> Response:
    """What closing an account means, before it is done."""
    return await _close_page(request)


async def close(request: Request) -> Response:
    """Close one's account."""
    actor = actor_of(request)
    form = await request.form()
    if field(form, "sure") != "yes":
        return await _close_page(request, Malformed("Tick the box if you mean it.", field="sure"))
    try:
        await closing.close_account(resources_of(request), actor, field(form, "present"))
    except WorkroomError as error:
        return await _close_page(request, error)
    response = account_page(request, "closed", actor=None)
    clear_session_cookie(response, resources_of(request).settings)
    return response


routes = [
    Route("/settings", show_settings, methods=["GET"]),
    Route("/settings/name", change_name, methods=["POST"]),
    Route("/settings/address", change_address, methods=["POST"]),
    Route("/settings/address/again", confirm_again, methods=["POST"]),
    Route("/settings/password", change_password, methods=["POST"]),
    Route("/settings/sessions/others/revoke", revoke_other_sessions, methods=["POST"]),
    Route("/settings/sessions/{id}/revoke", revoke_session, methods=["POST"]),
    Route("/settings/tokens", make_token, methods=["POST"]),
    Route("/settings/tokens/{id}/revoke", revoke_token, methods=["POST"]),
    Route("/settings/second-factor", show_factor, methods=["GET"]),
    Route("/settings/second-factor/begin", begin_factor, methods=["POST"]),
    Route("/settings/second-factor/confirm", confirm_factor, methods=["POST"]),
    Route("/settings/second-factor/codes", renew_codes, methods=["POST"]),
    Route("/settings/second-factor/off", switch_factor_off, methods=["POST"]),
    Route("/settings/export", export, methods=["GET"]),
    Route("/settings/close", show_close, methods=["GET"]),
    Route("/settings/close", close, methods=["POST"]),
]


# Parts


def _done(what: str, section: str = "") -> Response:
    return RedirectResponse(f"/settings?done={what}{f'#{section}' if section else ''}", 303)


def _signed_out(request: Request) -> Response:
    response = RedirectResponse("/sign-in", 303)
    clear_session_cookie(response, resources_of(request).settings)
    return response


async def _settings_page(
    request: Request,
    error: WorkroomError | None = None,
    *,
    form: str = "",
    typed: dict[str, str] | None = None,
    new_token: str = "",
) -> Response:
    resources, credential = resources_of(request), credential_of(request)
    listed = await accounts.tokens_of(resources, credential.actor)
    sessions = await accounts.sessions_of(resources, credential.actor)
    done = request.query_params.get("done", "")
    response = account_page(
        request,
        "settings",
        error,
        form=form,
        typed=typed or {},
        account=await accounts.own_account(resources, credential.actor),
        browser=browser_name,
        is_phone=is_phone,
        sessions=sorted(sessions, key=lambda session: session.id != credential.id),
        present=credential.id,
        devices=[token for token in listed if token.purpose == "device"],
        tokens=[token for token in listed if token.purpose == "api"],
        new_token=new_token,
        done=_DONE.get(done, ""),
        note=folder_note(resources) if done in _MAILED else "",
    )
    if new_token:
        response.headers["cache-control"] = "no-store"
    return response


async def _factor_page(
    request: Request, error: WorkroomError | None = None, *, form: str = "", codes: list[str] | None = None
) -> Response:
    resources, actor = resources_of(request), actor_of(request)
    try:
        factor = await second_factor.factor_of(resources, actor)
    except WrongCode as unreadable:  # begun under another key: it is begun again
        factor, error = second_factor.Factor(None, 0, None), unreadable
    context: dict[str, Any] = {"factor": factor, "codes": codes or [], "form": form, "qr": ""}
    if factor.set_up is not None:
        context["qr"] = qr_svg(factor.set_up.uri, "QR code for an authenticator app")
    response = account_page(request, "second_factor", error, **context)
    response.headers["cache-control"] = "no-store"
    return response


async def _close_page(request: Request, error: WorkroomError | None = None) -> Response:
    account = await accounts.own_account(resources_of(request), actor_of(request))
    return account_page(request, "close", error, has_password=account.password_hash is not None)
