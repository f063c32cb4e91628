"""Rows of accounts, browser sessions, tokens and one-time links.

Rule 1: functions here decide nothing and never commit; callers pass a connection, and the instant where one is stored.
Rule 2: of every secret only its SHA-256 is stored; a database that leaks signs nobody in.
Rule 3: a link is taken by one UPDATE that names its unused state, so that two takers cannot both succeed.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Column, Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import accounts, links, sessions, tokens


class AccountRow(msgspec.Struct, frozen=True):
    """An account. `password_hash` is None until a password is set."""

    id: str
    email: str
    name: str
    password_hash: str | None
    operator: bool
    created_at: int
    verified_at: int | None = None  # since when the address is known to be the owner's: a mailed link, or the operator
    factor_at: int | None = None  # since when a second factor is asked for
    closed_at: int | None = None


class SessionRow(msgspec.Struct, frozen=True):
    """A signed-in browser."""

    id: str
    account: str
    user_agent: str
    address: str
    created_at: int
    seen_at: int
    expires_at: int
    awaits_factor: bool = False


class TokenRow(msgspec.Struct, frozen=True):
    """A bearer token: `purpose` is "api" (a program) or "device" (a tracker)."""

    id: str
    account: str
    purpose: str
    label: str
    created_at: int
    seen_at: int | None


class LinkRow(msgspec.Struct, frozen=True):
    """A one-time link: `purpose` is "sign_in", "invitation", "pairing", "sign_up", "recovery" or "address"."""

    token_hash: bytes
    purpose: str
    account: str | None
    room: str | None
    side: str | None
    invited_by: str | None
    label: str | None
    code: str | None
    created_at: int
    expires_at: int
    used_at: int | None
    email: str | None = None


_ACCOUNT: tuple[Column[Any], ...] = tuple(accounts.c[name] for name in AccountRow.__struct_fields__)
_SESSION: tuple[Column[Any], ...] = tuple(sessions.c[name] for name in SessionRow.__struct_fields__)
_TOKEN: tuple[Column[Any], ...] = tuple(tokens.c[name] for name in TokenRow.__struct_fields__)
_LINK: tuple[Column[Any], ...] = tuple(links.c[name] for name in LinkRow.__struct_fields__)


# Accounts


async def insert_account(conn: AsyncConnection, row: AccountRow) -> None:
    """Insert an account; the caller has looked that the address is free, and the unique key is the backstop."""
    await conn.execute(insert(accounts).values(**msgspec.structs.asdict(row)))


async def select_account(conn: AsyncConnection, account: str) -> AccountRow | None:
    """Return the account with this id."""
    return _account((await conn.execute(select(*_ACCOUNT).where(accounts.c.id == account))).first())


async def select_account_by_email(conn: AsyncConnection, email: str) -> AccountRow | None:
    """Return the account with this address, which is compared in lower case."""
    return _account((await conn.execute(select(*_ACCOUNT).where(accounts.c.email == email))).first())


async def update_account(conn: AsyncConnection, account: str, **values: Any) -> None:
    """Change an account."""
    await conn.execute(update(accounts).where(accounts.c.id == account).values(**values))


async def update_password(conn: AsyncConnection, account: str, password_hash: str | None) -> None:
    """Set the hash of a password, or take the password away."""
    await conn.execute(update(accounts).where(accounts.c.id == account).values(password_hash=password_hash))


# Sessions


async def insert_session(conn: AsyncConnection, row: SessionRow, token_hash: bytes) -> None:
    """Insert the session of a browser, and drop those of the account that are over."""
    await conn.execute(
        delete(sessions).where(sessions.c.account == row.account, sessions.c.expires_at < row.created_at)
    )
    await conn.execute(insert(sessions).values(token_hash=token_hash, **msgspec.structs.asdict(row)))


async def select_session(conn: AsyncConnection, token_hash: bytes, now: int) -> tuple[SessionRow, AccountRow] | None:
    """Return the live session behind a cookie, with its account."""
    query = (
        select(*_SESSION, *_ACCOUNT)
        .join(accounts, accounts.c.id == sessions.c.account)
        .where(sessions.c.token_hash == token_hash, sessions.c.expires_at > now)
    )
    found = (await conn.execute(query)).first()
    if found is None:
        return None
    return SessionRow(*found[: len(_SESSION)]), AccountRow(*found[len(_SESSION) :])


async def select_sessions_of(conn: AsyncConnection, account: str, now: int) -> list[SessionRow]:
    """Return the live sessions of an account, the one used last first."""
    query = (
        select(*_SESSION)
        .where(sessions.c.account == account, sessions.c.expires_at > now, sessions.c.awaits_factor.is_(False))
        .order_by(sessions.c.seen_at.desc(), sessions.c.id)
    )
    return [SessionRow(*row) for row in await conn.execute(query)]


async def update_session_seen(conn: AsyncConnection, session: str, seen_at: int, expires_at: int) -> None:
    """Note that a session was used, which also prolongs it."""
    await conn.execute(update(sessions).where(sessions.c.id == session).values(seen_at=seen_at, expires_at=expires_at))


async def update_session_confirmed(conn: AsyncConnection, session: str, now: int, expires_at: int) -> bool:
    """Open a session that waited for the second factor; return whether it still did."""
    statement = (
        update(sessions)
        .where(sessions.c.id == session, sessions.c.awaits_factor.is_(True), sessions.c.expires_at > now)
        .values(awaits_factor=False, expires_at=expires_at, seen_at=now)
    )
    return (await conn.execute(statement)).rowcount == 1


async def delete_session(conn: AsyncConnection, account: str, session: str) -> bool:
    """Delete a session of an account; return whether there was one."""
    statement = delete(sessions).where(sessions.c.id == session, sessions.c.account == account)
    return (await conn.execute(statement)).rowcount == 1


async def delete_sessions_of(conn: AsyncConnection, account: str, but: str | None = None) -> list[str]:
    """Delete the sessions of an account, but one; return the ids of those that went."""
    query = select(sessions.c.id).where(sessions.c.account == account)
    if but is not None:
        query = query.where(sessions.c.id != but)
    gone = list((await conn.execute(query)).scalars())
    if gone:
        await conn.execute(delete(sessions).where(sessions.c.id.in_(gone)))
    return gone


# Tokens


async def insert_token(conn: AsyncConnection, row: TokenRow, token_hash: bytes) -> None:
    """Insert a bearer token."""
    await conn.execute(insert(tokens).values(token_hash=token_hash, **msgspec.structs.asdict(row)))


async def select_token(conn: AsyncConnection, token_hash: bytes) -> tuple[TokenRow, AccountRow] | None:
    """Return a token with its account."""
    query = (
        select(*_TOKEN, *_ACCOUNT)
        .join(accounts, accounts.c.id == tokens.c.account)
        .where(tokens.c.token_hash == token_hash)
    )
    found = (await conn.execute(query)).first()
    if found is None:
        return None
    return TokenRow(*found[: len(_TOKEN)]), AccountRow(*found[len(_TOKEN) :])


async def select_tokens_of(conn: AsyncConnection, account: str) -> list[TokenRow]:
    """Return the tokens of an account, the newest first."""
    query = select(*_TOKEN).where(tokens.c.account == account).order_by(tokens.c.created_at.desc(), tokens.c.id)
    return [TokenRow(*row) for row in await conn.execute(query)]


async def update_token_seen(conn: AsyncConnection, token: str, seen_at: int) -> None:
    """Note that a token was used."""
    await conn.execute(update(tokens).where(tokens.c.id == token).values(seen_at=seen_at))


async def delete_token(conn: AsyncConnection, account: str, token: str) -> bool:
    """Delete a token of an account; return whether there was one."""
    statement = delete(tokens).where(tokens.c.id == token, tokens.c.account == account)
    return (await conn.execute(statement)).rowcount == 1


async def delete_tokens_of(conn: AsyncConnection, account: str, but: str | None = None) -> list[str]:
    """Delete the tokens and devices of an account, but one; return the ids of those that went."""
    query = select(tokens.c.id).where(tokens.c.account == account)
    if but is not None:
        query = query.where(tokens.c.id != but)
    gone = list((await conn.execute(query)).scalars())
    if gone:
        await conn.execute(delete(tokens).where(tokens.c.id.in_(gone)))
    return gone


# One-time links


async def insert_link(conn: AsyncConnection, row: LinkRow) -> None:
    """Insert a one-time link, and drop those that nobody can use any more."""
    await conn.execute(delete(links).where(links.c.expires_at < row.created_at))
    await conn.execute(insert(links).values(**msgspec.structs.asdict(row)))


async def select_link(conn: AsyncConnection, token_hash: bytes, purpose: str) -> LinkRow | None:
    """Return a link, used or not."""
    query = select(*_LINK).where(links.c.token_hash == token_hash, links.c.purpose == purpose)
    found = (await conn.execute(query)).first()
    return None if found is None else LinkRow(*found)


async def select_pairing(conn: AsyncConnection, code: str, now: int) -> LinkRow | None:
    """Return the pairing that waits for this code."""
    query = select(*_LINK).where(
        links.c.code == code,
        links.c.purpose == "pairing",
        links.c.expires_at > now,
        links.c.account.is_(None),
        links.c.used_at.is_(None),
    )
    found = (await conn.execute(query)).first()
    return None if found is None else LinkRow(*found)


async def count_pairings(conn: AsyncConnection, now: int) -> int:
    """Return how many pairings wait for their code."""
    query = select(func.count()).where(
        links.c.purpose == "pairing", links.c.expires_at > now, links.c.used_at.is_(None)
    )
    return int((await conn.execute(query)).scalar_one())


async def update_link_used(conn: AsyncConnection, token_hash: bytes, now: int, account: str | None = None) -> bool:
    """Take an unused, unexpired link, for `account` where one is given; return whether it was still there to take."""
    taken: dict[str, Any] = {"used_at": now}
    if account is not None:
        taken["account"] = account
    statement = (
        update(links)
        .where(links.c.token_hash == token_hash, links.c.used_at.is_(None), links.c.expires_at > now)
        .values(**taken)
    )
    return (await conn.execute(statement)).rowcount == 1


async def update_pairing_account(conn: AsyncConnection, token_hash: bytes, account: str) -> bool:
    """Confirm a pairing for an account; return whether it still waited."""
    statement = (
        update(links)
        .where(links.c.token_hash == token_hash, links.c.used_at.is_(None), links.c.account.is_(None))
        .values(account=account)
    )
    return (await conn.execute(statement)).rowcount == 1


async def count_links_mailed(conn: AsyncConnection, email: str, purpose: str, now: int) -> int:
    """Return how many links for a purpose that were mailed to an address can still be used."""
    query = select(func.count()).where(
        links.c.email == email, links.c.purpose == purpose, links.c.expires_at > now, links.c.used_at.is_(None)
    )
    return int((await conn.execute(query)).scalar_one())


async def delete_links_of(conn: AsyncConnection, account: str, *purposes: str) -> None:
    """Delete the links of an account for some purposes: after a reset the older ones no longer open it."""
    await conn.execute(delete(links).where(links.c.account == account, links.c.purpose.in_(purposes)))


async def delete_links_mailed(conn: AsyncConnection, email: str, purpose: str) -> None:
    """Delete the links for a purpose that were mailed to an address."""
    await conn.execute(delete(links).where(links.c.email == email, links.c.purpose == purpose))


def _account(row: Row[*tuple[Any, ...]] | None) -> AccountRow | None:
    return None if row is None else AccountRow(*row)
