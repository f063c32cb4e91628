"""Pages on which an account begins or is recovered: sign-up, recovery, address, invitation.

Rule 1: everything works as a plain form; a refused form comes back with what was typed, but never a password.
Rule 2: a GET changes nothing: a link is spent by the button on its page, so that previews of mail programs spend none.
Rule 3: whether an address has an account is said to nobody but the address (app/services/addresses.py).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import LinkSpent, SignUpClosed, WorkroomError
from app.domain.policy import POLICY_TEXT
from app.domain.workrooms import Member, may_read
from app.services import addresses, invitations, recovery
from app.services.mail import folder_note
from app.web.forms import account_page, client_of, field, signed_in
from app.web.middleware import actor_of, resources_of

# Signing up


async def show_sign_up(request: Request) -> Response:
    """Type an address; the link that is mailed there begins the account."""
    if request.state.actor is not None:
        return RedirectResponse("/", 303)
    if not resources_of(request).settings.open_sign_up:
        raise SignUpClosed()
    return account_page(request, "sign_up", email="")


async def ask_sign_up(request: Request) -> Response:
    """Have the link mailed; the answer is the same for every address."""
    email = field(await request.form(), "email")
    try:
        await addresses.ask_sign_up(resources_of(request), email, client_of(request))
    except SignUpClosed:
        raise
    except WorkroomError as error:
        return account_page(request, "sign_up", error, email=email)
    return _mailed(request, email, "open your account", "/sign-up")


async def show_begin(request: Request) -> Response:
    """Choose name and password for a verified address."""
    token = request.path_params["token"]
    email = await addresses.signing_up(resources_of(request), token)
    return account_page(request, "begin", token=token, email=email, name="")


async def begin(request: Request) -> Response:
    """Begin the account and sign in."""
    token = request.path_params["token"]
    resources = resources_of(request)
    form = await request.form()
    name = field(form, "name")
    try:
        signed = await addresses.sign_up(resources, token, name, field(form, "password"), client_of(request))
    except LinkSpent:
        raise
    except WorkroomError as error:
        email = await addresses.signing_up(resources, token)
        return account_page(request, "begin", error, token=token, email=email, name=name)
    return signed_in(request, signed, "/")


# Recovery


async def show_recover(request: Request) -> Response:
    """Type the address of an account whose password is lost."""
    return account_page(request, "recover", email=request.query_params.get("email", "")[:254])


async def ask_recovery(request: Request) -> Response:
    """Have the link mailed; the answer is the same for every address."""
    email = field(await request.form(), "email")
    try:
        await recovery.ask_recovery(resources_of(request), email, client_of(request))
    except WorkroomError as error:
        return account_page(request, "recover", error, email=email)
    return _mailed(request, email, "set a new password", "/recover")


async def show_new_password(request: Request) -> Response:
    """Choose a new password behind a recovery link."""
    token = request.path_params["token"]
    email = await recovery.recovering(resources_of(request), token)
    can_keep = await recovery.can_keep(resources_of(request), token)
    return account_page(request, "new_password", token=token, email=email, keep=False, can_keep=can_keep)


async def set_new_password(request: Request) -> Response:
    """Set the new password and sign in."""
    token = request.path_params["token"]
    resources = resources_of(request)
    form = await request.form()
    keep = field(form, "keep") == "yes"
    try:
        signed = await recovery.recover(resources, token, field(form, "password"), client_of(request), keep=keep)
    except LinkSpent:
        raise
    except WorkroomError as error:
        email = await recovery.recovering(resources, token)
        can_keep = await recovery.can_keep(resources, token)
        return account_page(request, "new_password", error, token=token, email=email, keep=keep, can_keep=can_keep)
    return signed_in(request, signed, "/settings?done=recovered")


# Addresses


async def show_address(request: Request) -> Response:
    """The page behind a link that verifies an address: one button."""
    token = request.path_params["token"]
    email = await addresses.confirming(resources_of(request), token)
    return account_page(request, "address", token=token, email=email, confirmed=False)


async def confirm_address(request: Request) -> Response:
    """Verify the address."""
    token = request.path_params["token"]
    email = await addresses.confirm_address(resources_of(request), token)
    return account_page(request, "address", token=token, email=email, confirmed=True)


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
        return RedirectResponse(_joined(member, token), 303)
    form = await request.form()
    name, email = field(form, "name"), field(form, "email")
    try:
        signed, member = await invitations.sign_up_with_invitation(
            resources, token, name, email, field(form, "password"), client_of(request)
        )
    except LinkSpent:
        raise
    except WorkroomError as error:
        return await _invitation_page(request, token, error, name=name, email=email)
    return signed_in(request, signed, _joined(member, token))


async def show_mediator(request: Request) -> Response:
    """What a mediator who has joined may do: wait, until a dispute opens the workroom to them."""
    taken = await invitations.invitation(resources_of(request), request.path_params["token"], actor_of(request))
    if may_read(taken.side):
        return RedirectResponse(f"/rooms/{taken.room.id}", 303)
    return account_page(request, "mediator", invitation=taken)


routes = [
    Route("/sign-up", show_sign_up, methods=["GET"]),
    Route("/sign-up", ask_sign_up, methods=["POST"]),
    Route("/sign-up/{token}", show_begin, methods=["GET"]),
    Route("/sign-up/{token}", begin, methods=["POST"]),
    Route("/recover", show_recover, methods=["GET"]),
    Route("/recover", ask_recovery, methods=["POST"]),
    Route("/recover/{token}", show_new_password, methods=["GET"]),
    Route("/recover/{token}", set_new_password, methods=["POST"]),
    Route("/address/{token}", show_address, methods=["GET"]),
    Route("/address/{token}", confirm_address, methods=["POST"]),
    Route("/invitation/{token}", show_invitation, methods=["GET"]),
    Route("/invitation/{token}", take_invitation, methods=["POST"]),
    Route("/invitation/{token}/mediator", show_mediator, methods=["GET"]),
]


# Parts


def _joined(member: Member, token: str) -> str:
    """Return where somebody who has joined goes: into the workroom, if it is open to them."""
    return f"/rooms/{member.room}" if may_read(member.side) else f"/invitation/{token}/mediator"


def _mailed(request: Request, email: str, purpose: str, again: str) -> Response:
    note = folder_note(resources_of(request))
    return account_page(request, "mailed", email=email.strip(), purpose=purpose, again=again, note=note)


async def _invitation_page(
    request: Request, token: str, error: WorkroomError | None, *, name: str, email: str
) -> Response:
    shown = await invitations.invitation(resources_of(request), token, request.state.actor)
    return account_page(
        request, "invitation", error, token=token, invitation=shown, name=name, email=email, policy=POLICY_TEXT
    )
