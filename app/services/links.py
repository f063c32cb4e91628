"""Secrets and one-time links: to sign in, to sign up, to recover an account, to confirm an address, to join.

Rule 1: every secret is 32 random bytes, given out once; the database holds its SHA-256 (rule 8.1).
Rule 2: a link works once and not for ever; whoever takes it names its unused state in one UPDATE.
"""

from __future__ import annotations

from hashlib import sha256

from app.domain.errors import LinkSpent
from app.domain.record import base64url
from app.services.resources import Resources
from app.storage import accounts as rows
from app.storage.accounts import LinkRow
from app.storage.writer import Tx

SECRET_BYTES = 32
SECRET_CHARS_MAX = 80  # longer ones are none of ours


def new_secret(resources: Resources, prefix: str = "") -> str:
    """Return a secret of 32 random bytes as text."""
    return prefix + base64url(resources.random_bytes(SECRET_BYTES))


def digest_of(secret: str) -> bytes:
    """Return what the database holds of a secret."""
    return sha256(secret.encode("utf-8", "replace")).digest()


async def add_link(
    tx: Tx,
    resources: Resources,
    purpose: str,
    lifetime_ms: int,
    *,
    account: str | None = None,
    room: str | None = None,
    side: str | None = None,
    invited_by: str | None = None,
    email: str | None = None,
) -> str:
    """Store a one-time link in a transaction and return its secret, which is kept as a digest only."""
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
        email=email,
    )
    await rows.insert_link(tx.conn, link)
    return secret


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
    """Store a one-time link and return its secret."""

    async def insert(tx: Tx) -> str:
        return await add_link(
            tx, resources, purpose, lifetime_ms, account=account, room=room, side=side, invited_by=invited_by
        )

    return await resources.database.writer.run(insert)


async def open_link(resources: Resources, token: str, purpose: str) -> LinkRow:
    """Return a link that can still be used: what its page shows before it is spent.

    Raises:
        LinkSpent: if it was used before, is too old, or never was.
    """
    async with resources.database.read() as conn:
        link = await rows.select_link(conn, digest_of(token), purpose)
    if link is None or link.used_at is not None or link.expires_at <= resources.clock.real_now():
        raise LinkSpent()
    return link


async def take_link(tx: Tx, resources: Resources, token: str, purpose: str, account: str | None = None) -> LinkRow:
    """Spend a link in a transaction.

    Raises:
        LinkSpent: as `open_link` does.
    """
    digest = digest_of(token)
    link = await rows.select_link(tx.conn, digest, purpose)
    if link is None or not await rows.update_link_used(tx.conn, digest, resources.clock.real_now(), account):
        raise LinkSpent()
    return link
