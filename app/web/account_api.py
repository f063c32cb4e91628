"""The JSON API of one's account: what the settings do, for programs (docs/protocol.md, "JSON API").

Rule 1: the same services as the pages; nothing is decided here.
Rule 2: what needs the present password on the page needs it here.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.domain.errors import Forbidden, Malformed
from app.domain.timerange import instant_text
from app.services import accounts, addresses, recovery, second_factor
from app.services.export import export_account
from app.web import account_schemas as schemas
from app.web.forms import NO_STORE
from app.web.middleware import actor_of, credential_of, resources_of

_Body = TypeVar("_Body", bound=msgspec.Struct)


async def show_account(request: Request) -> Response:
    """`GET /api/account`"""
    resources, actor = resources_of(request), actor_of(request)
    account = await accounts.own_account(resources, actor)
    factor = await second_factor.factor_of(resources, actor)
    shown = schemas.Account(
        id=account.id,
        name=account.name,
        email=account.email,
        email_verified=account.verified_at is not None,
        has_password=account.password_hash is not None,
        second_factor=factor.on_since is not None,
        recovery_codes_left=factor.codes_left,
        operator=account.operator,
        created_at=instant_text(account.created_at),
    )
    return _json(shown)


async def change_name(request: Request) -> Response:
    """`POST /api/account/name`"""
    wanted = await _body(request, schemas.NewName)
    await addresses.change_name(resources_of(request), actor_of(request), wanted.name)
    return _json(schemas.Done())


async def change_address(request: Request) -> Response:
    """`POST /api/account/address`"""
    wanted = await _body(request, schemas.NewAddress)
    await _check_has_password(request)
    await addresses.change_address(resources_of(request), actor_of(request), wanted.email, wanted.present_password)
    return _json(schemas.Done(), 202)


async def change_password(request: Request) -> Response:
    """`POST /api/account/password`"""
    credential = credential_of(request)
    wanted = await _body(request, schemas.NewPassword)
    await _check_has_password(request)
    await recovery.set_password(
        resources_of(request), credential.actor, wanted.password, wanted.present_password, session=credential.id,
        end_tokens=wanted.end_tokens,
    )  # fmt: skip
    return _json(schemas.Done())


async def list_sessions(request: Request) -> Response:
    """`GET /api/account/sessions`"""
    credential = credential_of(request)
    shown = [
        schemas.ListedSession(
            id=row.id,
            user_agent=row.user_agent,
            address=row.address,
            created_at=instant_text(row.created_at),
            seen_at=instant_text(row.seen_at),
            present=row.id == credential.id,
        )
        for row in await accounts.sessions_of(resources_of(request), credential.actor)
    ]
    return _json(schemas.Sessions(shown))


async def revoke_session(request: Request) -> Response:
    """`POST /api/account/sessions/<id>/revoke`"""
    await accounts.revoke_session(resources_of(request), actor_of(request), request.path_params["id"])
    return _json(schemas.Done())


async def revoke_other_sessions(request: Request) -> Response:
    """`POST /api/account/sessions/others/revoke`"""
    await accounts.end_other_sessions(resources_of(request), credential_of(request))
    return _json(schemas.Done())


async def list_tokens(request: Request) -> Response:
    """`GET /api/account/tokens`"""
    shown = [
        schemas.ListedToken(
            id=row.id,
            purpose=row.purpose,
            label=row.label,
            created_at=instant_text(row.created_at),
            seen_at=None if row.seen_at is None else instant_text(row.seen_at),
        )
        for row in await accounts.tokens_of(resources_of(request), actor_of(request))
    ]
    return _json(schemas.Tokens(shown))


async def make_token(request: Request) -> Response:
    """`POST /api/account/tokens`"""
    wanted = await _body(request, schemas.NewToken)
    if not wanted.label.strip():
        raise Malformed("Name the program that will use it.", field="label")
    token = await accounts.new_token(resources_of(request), actor_of(request), wanted.purpose, wanted.label)
    return _json(schemas.MadeToken(token), 201)


async def revoke_token(request: Request) -> Response:
    """`POST /api/account/tokens/<id>/revoke`"""
    await accounts.revoke_token(resources_of(request), actor_of(request), request.path_params["id"])
    return _json(schemas.Done())


async def export(request: Request) -> Response:
    """`GET /api/account/export`"""
    pieces = await export_account(resources_of(request), actor_of(request))
    return StreamingResponse(pieces, media_type="application/zip", headers=NO_STORE)


api_routes = [
    Route("/api/account", show_account),
    Route("/api/account/name", change_name, methods=["POST"]),
    Route("/api/account/address", change_address, methods=["POST"]),
    Route("/api/account/password", change_password, methods=["POST"]),
    Route("/api/account/sessions", list_sessions),
    Route("/api/account/sessions/others/revoke", revoke_other_sessions, methods=["POST"]),
    Route("/api/account/sessions/{id}/revoke", revoke_session, methods=["POST"]),
    Route("/api/account/tokens", list_tokens),
    Route("/api/account/tokens", make_token, methods=["POST"]),
    Route("/api/account/tokens/{id}/revoke", revoke_token, methods=["POST"]),
    Route("/api/account/export", export),
]


async def _check_has_password(request: Request) -> None:
    """Check that there is a present password to ask for: a token alone takes no account over (rule 2)."""
    if (await accounts.own_account(resources_of(request), actor_of(request))).password_hash is None:
        raise Forbidden("This account has no password yet. Set one in the settings first.")


async def _body(request: Request, schema: type[_Body]) -> _Body:
    actor_of(request)  # who is not signed in is told that first
    try:
        return msgspec.json.decode(await request.body(), type=schema)
    except msgspec.ValidationError as error:
        raise Malformed(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("The body must be a JSON object.") from None


def _json(told: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, NO_STORE, "application/json")
