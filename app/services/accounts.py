"""Accounts: who signs in, with what, and what they are signed in with.

Rule 1: a wrong address takes as long as a wrong password, and looks like one.
Rule 2: what is revoked is published as AccessRevoked after the commit, so that its sockets close.
Rule 3: where an account has a second factor, a session begins by waiting for it, and opens nothing until then.
Rule 4: an operator without a second factor reaches the page that sets it up, and nothing else (rule 8.1); in the demo,
    whose sign-in links are printed, a banner asks for it instead.
Rule 5: all times here are of the real clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from app.domain.accounts import (
    FACTOR_WAIT_MS,
    NAME_CHARS_MAX,
    SESSION_MS,
    SIGN_IN_LINK_MS,
    checked_email,
    checked_name,
)
from app.domain.errors import (
    AccountExists,
    Busy,
    LinkSpent,
    NotFound,
    NotSignedIn,
    SecondFactorRequired,
    Unavailable,
    WrongPassword,
)
from app.domain.ids import id_from_bytes
from app.domain.live import AccessRevoked
from app.domain.timerange import MINUTE_MS
from app.services.access import Actor
from app.services.clock import PacedClock
from app.services.links import SECRET_CHARS_MAX, digest_of, insert_link, new_secret, open_link, take_link
from app.services.passwords import hash_password, try_password
from app.services.resources import Resources
from app.services.verification import require_verified
from app.storage import accounts as rows
from app.storage.accounts import AccountRow, SessionRow, TokenRow
from app.storage.writer import Tx

SESSION_COOKIE = "workroom_session"
SEEN_EVERY_MS = 5 * MINUTE_MS  # how exact "last used" is; a write per request would be waste
TOKEN_PREFIXES = {"api": "wr_api_", "device": "wr_dev_"}


class Credential(msgspec.Struct, frozen=True):
    """What a request is signed in with. `id` is what AccessRevoked names.

    `lacks_factor`: an operator who has to set up a second factor, and in the demo is only asked to (rule 4).
    """

    id: str
    actor: Actor
    lacks_factor: bool = False
    unconfirmed: bool = False  # the address: a banner asks for it


class SignedIn(msgspec.Struct, frozen=True):
    """A new session: `token` goes into the cookie and is never shown again. `awaits_factor`: the code comes next."""

    token: str
    credential: Credential
    awaits_factor: bool = False


class Client(msgspec.Struct, frozen=True):
    """Where a session comes from, as the list of sessions shows it."""

    address: str = ""
    user_agent: str = ""


# Accounts and passwords


async def create_account(
    resources: Resources, email: str, name: str, password: str | None = None, *, operator: bool = False
) -> Actor:
    """Create an account in the operator's name, who vouches for its address; without a password it is opened by a link.

    Raises:
        Malformed: naming the field.
        AccountExists: if the address has one.
    """
    row = await new_account(resources, email, name, password, operator=operator, verified=True)

    async def insert(tx: Tx) -> None:
        await insert_account(tx, row)

    await resources.database.writer.run(insert)
    return actor_of(row)


async def account_of_email(resources: Resources, email: str) -> Actor:
    """Return the account with this address.

    Raises:
        NotFound: if there is none.
    """
    async with resources.database.read() as conn:
        row = await rows.select_account_by_email(conn, checked_email(email))
    if row is None:
        raise NotFound(f"There is no account with the address {email.strip()}. Create it first.", field="email")
    return actor_of(row)


async def own_account(resources: Resources, actor: Actor) -> AccountRow:
    """Return one's account as it is stored; NotSignedIn if it is gone."""
    async with resources.database.read() as conn:
        row = await rows.select_account(conn, actor.account)
    if row is None or row.closed_at is not None:
        raise NotSignedIn()
    return row


# Signing in and out


async def sign_in(resources: Resources, email: str, password: str, client: Client) -> SignedIn:
    """Open a session with a password.

    Raises:
        WrongPassword: if address or password is wrong; the two look alike.
        TooMany: after too many attempts for this address or account in 15 minutes.
    """
    email = email.strip().lower()
    async with resources.database.read() as conn:
        row = await rows.select_account_by_email(conn, email)
    hashed = row.password_hash if row is not None else None
    keys = (f"address {client.address}", f"account {email[:NAME_CHARS_MAX]}")
    await try_password(resources, keys, hashed, password, WrongPassword(field="password"))
    assert row is not None, "a password was verified"

    async def insert(tx: Tx) -> SignedIn:
        return await open_session(tx, resources, row, client)

    return await resources.database.writer.run(insert)


async def sign_in_with_link(resources: Resources, token: str, client: Client) -> SignedIn:
    """Open a session with a one-time sign-in link, which is spent by it.

    Raises:
        LinkSpent: if it was used before, is older than 24 hours, or never was.
    """

    async def take(tx: Tx) -> SignedIn:
        link = await take_link(tx, resources, token, "sign_in")
        account = await rows.select_account(tx.conn, link.account or "")
        assert account is not None, "the foreign key of a link"
        return await open_session(tx, resources, account, client)

    return await resources.database.writer.run(take)


async def link_is_open(resources: Resources, token: str) -> bool:
    """Whether a sign-in link can still be used: what its page shows before it is spent."""
    with contextlib.suppress(LinkSpent):
        await open_link(resources, token, "sign_in")
        return True
    return False


async def sign_out(resources: Resources, credential: Credential) -> None:
    """End the session that a request came with."""
    await revoke_session(resources, credential.actor, credential.id)


# Who a request is from


async def credential_of_session(resources: Resources, token: str) -> Credential:
    """Return who holds the cookie with this token; using it prolongs the session.

    Raises:
        NotSignedIn: if there is no such session, it is over, or it waits for the second factor.
        SecondFactorRequired: carrying the credential (rule 4).
    """
    if not token or len(token) > SECRET_CHARS_MAX:
        raise NotSignedIn()
    now = resources.clock.real_now()
    async with resources.database.read() as conn:
        found = await rows.select_session(conn, digest_of(token), now)
    if found is None:
        raise NotSignedIn()
    session, account = found
    if session.awaits_factor:
        raise NotSignedIn()
    if session.seen_at + SEEN_EVERY_MS < now:

        async def seen(tx: Tx) -> None:
            await rows.update_session_seen(tx.conn, session.id, now, now + SESSION_MS)

        await _note_use(resources, seen)
    lacks_factor = account.operator and account.factor_at is None
    credential = Credential(session.id, actor_of(account), lacks_factor, account.verified_at is None)
    if credential.lacks_factor and not isinstance(resources.clock, PacedClock):
        raise SecondFactorRequired(credential)
    return credential


async def credential_of_token(resources: Resources, token: str, purpose: str) -> Credential:
    """Return who holds a bearer token made for `purpose` ("api" or "device").

    Raises:
        NotSignedIn: if there is no such token, or it is for something else.
    """
    if not token.startswith(TOKEN_PREFIXES[purpose]) or len(token) > SECRET_CHARS_MAX:
        raise NotSignedIn("This token does not open this address. Make one for it in the settings.")
    now = resources.clock.real_now()
    async with resources.database.read() as conn:
        found = await rows.select_token(conn, digest_of(token))
    if found is None or found[0].purpose != purpose:
        raise NotSignedIn("This token was revoked, or never was. Make a new one in the settings.")
    row, account = found
    if (row.seen_at or 0) + SEEN_EVERY_MS < now:

        async def seen(tx: Tx) -> None:
            await rows.update_token_seen(tx.conn, row.id, now)

        await _note_use(resources, seen)
    return Credential(row.id, actor_of(account))


async def actor_of_session(resources: Resources, token: str) -> Actor:
    """Return the actor of `credential_of_session`."""
    return (await credential_of_session(resources, token)).actor


async def actor_of_token(resources: Resources, token: str, purpose: str) -> Actor:
    """Return the actor of `credential_of_token`."""
    return (await credential_of_token(resources, token, purpose)).actor


# Sessions and tokens


async def sessions_of(resources: Resources, actor: Actor) -> list[SessionRow]:
    """Return one's live sessions, the one used last first."""
    async with resources.database.read() as conn:
        return await rows.select_sessions_of(conn, actor.account, resources.clock.real_now())


async def revoke_session(resources: Resources, actor: Actor, session: str) -> None:
    """End one of one's sessions; its sockets close.

    Raises:
        NotFound: if one has no such session.
    """

    async def delete(tx: Tx) -> bool:
        return await rows.delete_session(tx.conn, actor.account, session)

    if not await resources.database.writer.run(delete):
        raise NotFound("There is no such session on your account. It may be over already.")
    publish_revoked(resources, [session])


async def end_other_sessions(resources: Resources, credential: Credential) -> int:
    """End all one's sessions but the one that asks; return how many there were."""

    async def delete(tx: Tx) -> list[str]:
        return await rows.delete_sessions_of(tx.conn, credential.actor.account, but=credential.id)

    gone = await resources.database.writer.run(delete)
    publish_revoked(resources, gone)
    return len(gone)


async def tokens_of(resources: Resources, actor: Actor) -> list[TokenRow]:
    """Return one's tokens and devices, the newest first."""
    async with resources.database.read() as conn:
        return await rows.select_tokens_of(conn, actor.account)


async def new_token(resources: Resources, actor: Actor, purpose: str, label: str) -> str:
    """Return a new bearer token for a program ("api") or a tracker ("device"); it is shown only now.

    Raises:
        AddressUnconfirmed: for a program, if the address is not verified; who was invited may track time before.
    """
    secret = new_secret(resources, TOKEN_PREFIXES[purpose])

    async def insert(tx: Tx) -> None:
        if purpose == "api":
            await require_verified(tx.conn, actor)
        await insert_token(tx, resources, actor.account, purpose, label, secret)

    await resources.database.writer.run(insert)
    return secret


async def revoke_token(resources: Resources, actor: Actor, token: str) -> None:
    """Revoke one of one's tokens or devices, by its id; its sockets close.

    Raises:
        NotFound: if one has no such token.
    """

    async def delete(tx: Tx) -> bool:
        return await rows.delete_token(tx.conn, actor.account, token)

    if not await resources.database.writer.run(delete):
        raise NotFound("There is no such token on your account. It may be revoked already.")
    publish_revoked(resources, [token])


# One-time links


async def new_link(resources: Resources, actor: Actor) -> str:
    """Return the address of a sign-in link for an account: it works once, within 24 hours."""
    secret = await insert_link(resources, "sign_in", SIGN_IN_LINK_MS, account=actor.account)
    return f"{resources.settings.base_url}/link/{secret}"


async def insert_token(tx: Tx, resources: Resources, account: str, purpose: str, label: str, secret: str) -> str:
    """Insert a bearer token; return its id."""
    row = TokenRow(
        id=id_from_bytes(resources.random_bytes(16)),
        account=account,
        purpose=purpose,
        label=" ".join(label.split())[:NAME_CHARS_MAX] or purpose,
        created_at=resources.clock.real_now(),
        seen_at=None,
    )
    await rows.insert_token(tx.conn, row, digest_of(secret))
    return row.id


def actor_of(row: AccountRow) -> Actor:
    """Return who acts where this account does."""
    return Actor(account=row.id, name=row.name, email=row.email, operator=row.operator)


async def new_account(
    resources: Resources,
    email: str,
    name: str,
    password: str | None,
    *,
    operator: bool = False,
    verified: bool = False,
) -> AccountRow:
    """Return the row of a new account, checked, its password hashed; nothing is stored yet."""
    email, name = checked_email(email), checked_name(name)
    now = resources.clock.real_now()
    return AccountRow(
        id=id_from_bytes(resources.random_bytes(16)),
        email=email,
        name=name,
        password_hash=None if password is None else await hash_password(password),
        operator=operator,
        created_at=now,
        verified_at=now if verified else None,
    )


async def insert_account(tx: Tx, row: AccountRow) -> None:
    """Store an account; AccountExists if its address has one."""
    if await rows.select_account_by_email(tx.conn, row.email) is not None:
        raise AccountExists(field="email")
    await rows.insert_account(tx.conn, row)


async def open_session(tx: Tx, resources: Resources, account: AccountRow, client: Client) -> SignedIn:
    """Insert a session of an account in a transaction; it waits for the second factor where there is one (rule 3)."""
    now, secret = resources.clock.real_now(), new_secret(resources)
    awaits_factor = account.factor_at is not None
    session = SessionRow(
        id=id_from_bytes(resources.random_bytes(16)),
        account=account.id,
        user_agent=client.user_agent[:200],
        address=client.address[:60],
        created_at=now,
        seen_at=now,
        expires_at=now + (FACTOR_WAIT_MS if awaits_factor else SESSION_MS),
        awaits_factor=awaits_factor,
    )
    await rows.insert_session(tx.conn, session, digest_of(secret))
    return SignedIn(secret, Credential(session.id, actor_of(account)), awaits_factor)


async def _note_use(resources: Resources, work: Callable[[Tx], Awaitable[None]]) -> None:
    with contextlib.suppress(Busy, Unavailable):  # a full disk does not keep people from reading
        await resources.database.writer.run(work)


def publish_revoked(resources: Resources, credentials: Sequence[str]) -> None:
    """Let the sockets of sessions and tokens that ended close."""
    if credentials:
        resources.publish([AccessRevoked(credential) for credential in credentials])
