"""Verification: what an account may do only once its address is known to be its owner's (rule 8.1).

Rule 1: who signed up by an invitation works in that workroom at once, trackers and all; until the address is confirmed
    there are no tokens for programs, no jobs, proposals, invitations or other workrooms.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import AddressUnconfirmed
from app.services.access import Actor
from app.storage.accounts import select_account


async def require_verified(conn: AsyncConnection, actor: Actor) -> None:
    """Check that the actor's address is verified.

    Raises:
        AddressUnconfirmed: if it is not.
    """
    account = await select_account(conn, actor.account)
    if account is None or account.verified_at is None:
        raise AddressUnconfirmed()
