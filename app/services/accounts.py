"""Accounts: who signs in, with what, and what they are signed in with.

Rule 1: passwords are argon2id (RFC 9106), hashed in a thread; a wrong address takes as long as a wrong password.
Rule 2: every secret is 32 random bytes, given out once; the database holds its SHA-256 (rule 8.1).
Rule 3: what is revoked is published as AccessRevoked after the commit, so that its sockets close.
Rule 4: all times here are of the real clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.domain.accounts import (
    NAME_CHARS_MAX,
    PASSWORD_CHARS_MAX,
    SESSION_MS,
    SIGN_IN_LINK_MS,
    checked_email,
    checked_name,
    checked_password,
)
from app.domain.errors import AccountExists, Busy, LinkSpent, NotFound, NotSignedIn, Unavailable, WrongPassword
from app.domain.ids import id_from_bytes
from app.domain.live import AccessRevoked
from app.domain.record import base64url
from app.domain.timerange import MINUTE_MS
from app.services.access import Actor
from app.services.resources import Resources
from app.storage import accounts as rows
from app.storage.accounts import AccountRow, LinkRow, SessionRow, TokenRow
from app.storage.writer import Tx

SESSION_COOKIE = "workroom_session"
SECRET_BYTES = 32
SEEN_EVERY_MS = 5 * MINUTE_MS  # how exact "last used" is; a write per request would be waste
TOKEN_PREFIXES = {"api": "wr_api_", "device": "wr_dev_"}
SECRET_CHARS_MAX = 80  # longer ones are none of ours

_hasher = PasswordHasher()  # RFC 9106's second recommendation: 64 MiB, 3 passes, 4 lanes; about 60 ms
_NO_PASSWORD = _hasher.hash("no account has this one")  # verified for unknown addresses (rule 1)


class Credential(msgspec.Struct, frozen=True):
    """What a request is signed in with. `id` is what AccessRevoked names."""

    id: str
    actor: Actor


class SignedIn(msgspec.Struct, frozen=True):
    """A new session: `token` goes into the cookie and is never shown again."""

    token: str
    credential: Credential


class Client(msgspec.Struct, frozen=True):
    """Where a session comes from, as the list of sessions shows it."""

    address: str = ""
    user_agent: str = ""


# Accounts and passwords


async def create_account(
    resources: Resources, email: str, name: str, password: str | None = None, *, operator: bool = False
) -> Actor:
    """Create an account; without a password it is opened by a sign-in link.

    Raises:
        Malformed: naming the field.
        AccountExists: if the address has one.
    """
    row = await new_account(resources, email, name, password, operator=operator)

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


async def has_password(resources: Resources, actor: Actor) -> bool:
    """Whether the account has a password, so that a change of it needs the present one."""
    async with resources.database.read() as conn:
        row = await rows.select_account(conn, actor.account)
    return row is not None and row.password_hash is not None


async def set_password(
    resources: Resources, actor: Actor, new: str, present: str = "", *, session: str | None = None
) -> None:
    """Set the password of one's account; all its other sessions end.

    Raises:
        Malformed: if the new one is too short or too long.
        WrongPassword: if there is a present one and it is another.
        TooMany: after too many attempts.
    """
    hashed = await _hash(checked_password(new))
    async with resources.database.read() as conn:
        row = await rows.select_account(conn, actor.account)
    if row is None:
        raise NotSignedIn()
    if row.password_hash is not None:
        keys = (f"password {actor.account}",)
        await _try_password(resources, keys, row.password_hash, present, WrongPassword(_PRESENT, field="present"))

    async def update(tx: Tx) -> list[str]:
        await rows.update_password(tx.conn, actor.account, hashed)
        return await rows.delete_sessions_of(tx.conn, actor.account, but=session)

    _revoked(resources, await resources.database.writer.run(update))


async def reset_account(resources: Resources, email: str) -> str:
    """Take password, sessions and older links away from an account whose owner lost them; return a sign-in link.

    Raises:
        NotFound: if no account has this address.
    """
    actor = await account_of_email(resources, email)

    async def update(tx: Tx) -> list[str]:
        await rows.update_password(tx.conn, actor.account, None)
        await rows.delete_sign_in_links_of(tx.conn, actor.account)
        return await rows.delete_sessions_of(tx.conn, actor.account)

    _revoked(resources, await resources.database.writer.run(update))
    return await new_link(resources, actor)


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
    await _try_password(resources, keys, hashed, password, WrongPassword(field="password"))
    assert row is not None, "a password was verified"
    return await _open_session(resources, row, client)


async def sign_in_with_link(resources: Resources, token: str, client: Client) -> SignedIn:
    """Open a session with a one-time sign-in link, which is spent by it.

    Raises:
        LinkSpent: if it was used before, is older than 24 hours, or never was.
    """
    now = resources.clock.real_now()
    digest = digest_of(token)
    session, secret = new_session(resources, client)

    async def take(tx: Tx) -> AccountRow:
        link = await rows.select_link(tx.conn, digest, "sign_in")
        if link is None or link.account is None or not await rows.update_link_used(tx.conn, digest, now):
            raise LinkSpent()
        account = await rows.select_account(tx.conn, link.account)
        assert account is not None, "the foreign key of a link"
        await rows.insert_session(tx.conn, msgspec.structs.replace(session, account=account.id), digest_of(secret))
        return account

    account = await resources.database.writer.run(take)
    return SignedIn(secret, Credential(session.id, actor_of(account)))


async def link_is_open(resources: Resources, token: str) -> bool:
    """Whether a sign-in link can still be used: what its page shows before it is spent."""
    async with resources.database.read() as conn:
        link = await rows.select_link(conn, digest_of(token), "sign_in")
    return link is not None and link.used_at is None and link.expires_at > resources.clock.real_now()


async def sign_out(resources: Resources, credential: Credential) -> None:
    """End the session that a request came with."""
    await revoke_session(resources, credential.actor, credential.id)


# Who a request is from


async def credential_of_session(resources: Resources, token: str) -> Credential:
    """Return who holds the cookie with this token; using it prolongs the session.

    Raises:
        NotSignedIn: if there is no such session, or it is over.
    """
    if not token or len(token) > SECRET_CHARS_MAX:
        raise NotSignedIn()
    now = resources.clock.real_now()
    async with resources.database.read() as conn:
        found = await rows.select_session(conn, digest_of(token), now)
    if found is None:
        raise NotSignedIn()
    session, account = found
    if session.seen_at + SEEN_EVERY_MS < now:

        async def seen(tx: Tx) -> None:
            await rows.update_session_seen(tx.conn, session.id, now, now + SESSION_MS)

        await _note_use(resources, seen)
    return Credential(session.id, actor_of(account))


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


# Sessions and tokens, listed and revoked


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
    _revoked(resources, [session])


async def tokens_of(resources: Resources, actor: Actor) -> list[TokenRow]:
    """Return one's tokens and devices, the newest first."""
    async with resources.database.read() as conn:
        return await rows.select_tokens_of(conn, actor.account)


async def new_token(resources: Resources, actor: Actor, purpose: str, label: str) -> str:
    """Return a new bearer token for a program ("api") or a tracker ("device"); it is shown only now."""
    secret = new_secret(resources, TOKEN_PREFIXES[purpose])

    async def insert(tx: Tx) -> None:
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
    _revoked(resources, [token])


# One-time links


async def new_link(resources: Resources, actor: Actor) -> str:
    """Return the address of a sign-in link for an account: it works once, within 24 hours."""
    secret = await insert_link(resources, "sign_in", SIGN_IN_LINK_MS, account=actor.account)
    return f"{resources.settings.base_url}/link/{secret}"


# Parts


def new_secret(resources: Resources, prefix: str = "") -> str:
    """Return a secret of 32 random bytes as text."""
    return prefix + base64url(resources.random_bytes(SECRET_BYTES))


def digest_of(secret: str) -> bytes:
    """Return what the database holds of a secret."""
    return sha256(secret.encode("utf-8", "replace")).digest()


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


_PRESENT = "The present password is wrong. Nothing was changed."


def actor_of(row: AccountRow) -> Actor:
    """Return who acts where this account does."""
    return Actor(account=row.id, name=row.name, email=row.email, operator=row.operator)


async def _hash(password: str) -> str:
    return await asyncio.to_thread(_hasher.hash, password)


def _verified(hashed: str | None, password: str) -> bool:
    try:
        return _hasher.verify(hashed or _NO_PASSWORD, password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


async def _try_password(
    resources: Resources, keys: Sequence[str], hashed: str | None, password: str, refusal: WrongPassword
) -> None:
    """Verify a password, counting failures under `keys`, of which the last is the account."""
    now = resources.clock.real_now()
    throttle = resources.throttle
    for key in keys:
        throttle.check(key, now)
    for key in keys:  # counted before the await, so that parallel attempts count too
        throttle.count(key, now)
    if len(password) > PASSWORD_CHARS_MAX or not await asyncio.to_thread(_verified, hashed, password):
        raise refusal
    *others, own = keys
    throttle.forget(own)
    for key in others:  # an attacker with an account of their own does not clear the address by it
        throttle.uncount(key)


async def new_account(
    resources: Resources, email: str, name: str, password: str | None, *, operator: bool = False
) -> AccountRow:
    """Return the row of a new account, checked, its password hashed; nothing is stored yet."""
    email, name = checked_email(email), checked_name(name)
    return AccountRow(
        id=id_from_bytes(resources.random_bytes(16)),
        email=email,
        name=name,
        password_hash=None if password is None else await _hash(checked_password(password)),
        operator=operator,
        created_at=resources.clock.real_now(),
    )


async def insert_account(tx: Tx, row: AccountRow) -> None:
    """Store an account; AccountExists if its address has one."""
    if await rows.select_account_by_email(tx.conn, row.email) is not None:
        raise AccountExists(field="email")
    await rows.insert_account(tx.conn, row)


def new_session(resources: Resources, client: Client, account: str = "") -> tuple[SessionRow, str]:
    """Return a new browser session and the secret that its cookie carries; nothing is stored yet."""
    now = resources.clock.real_now()
    session = SessionRow(
        id=id_from_bytes(resources.random_bytes(16)),
        account=account,
        user_agent=client.user_agent[:200],
        address=client.address[:60],
        created_at=now,
        seen_at=now,
        expires_at=now + SESSION_MS,
    )
    return session, new_secret(resources)


async def _open_session(resources: Resources, account: AccountRow, client: Client) -> SignedIn:
    session, secret = new_session(resources, client, account.id)

    async def insert(tx: Tx) -> None:
        await rows.insert_session(tx.conn, session, digest_of(secret))

    await resources.database.writer.run(insert)
    return SignedIn(secret, Credential(session.id, actor_of(account)))


async def insert_link(
    resources: Resources,
    purpose: str,
    lifetime_ms: int,
    *,
    account: str | None = None,
    room: str | None = None,
    side: str | None = None,
    invited_by: str | None = None,
) -> str:
    """Store a one-time link and return its secret, which is kept as a digest only."""
    secret = new_secret(resources)
    now = resources.clock.real_now()
    link = LinkRow(
        token_hash=digest_of(secret),
        purpose=purpose,
        account=account,
        room=room,
        side=side,
        invited_by=invited_by,
        label=None,
        code=None,
        created_at=now,
        expires_at=now + lifetime_ms,
        used_at=None,
    )

    async def insert(tx: Tx) -> None:
        await rows.insert_link(tx.conn, link)

    await resources.database.writer.run(insert)
    return secret


async def _note_use(resources: Resources, work: Callable[[Tx], Awaitable[None]]) -> None:
    with contextlib.suppress(Busy, Unavailable):  # a full disk does not keep people from reading
        await resources.database.writer.run(work)


def _revoked(resources: Resources, credentials: Sequence[str]) -> None:
    if credentials:
        resources.publish([AccessRevoked(credential) for credential in credentials])
