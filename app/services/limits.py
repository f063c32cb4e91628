"""Limits per day: how much of what an account may make until the next midnight in UTC (rule 1.1).

Rule 1: what was made is counted in the tables themselves, inside the unit that makes one more.
Rule 2: the account is held until the commit, so that two units, on whatever node, count one after another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs import DAILY_MAX, Limited, check_daily, day_start
from app.services.access import Actor
from app.services.resources import Resources
from app.storage.blocks import count_reports_since
from app.storage.jobs import count_invitations_since, count_jobs_since, count_openings_since, lock_account
from app.storage.proposals import count_proposals_since
from app.storage.writer import Tx

_COUNTED: dict[Limited, Callable[[AsyncConnection, str, int], Awaitable[int]]] = {
    Limited.JOBS: count_jobs_since,
    Limited.PROPOSALS: count_proposals_since,
    Limited.INVITATIONS: count_invitations_since,
    Limited.ROOMS: count_openings_since,
    Limited.REPORTS: count_reports_since,
}


async def take(tx: Tx, account: str, what: Limited) -> None:
    """Check, inside a unit of work, that the account may make one more today.

    Raises:
        TooMany: saying when it is possible again.
    """
    await lock_account(tx.conn, account)
    check_daily(what, await _COUNTED[what](tx.conn, account, day_start(tx.now)), tx.now)


async def left_today(resources: Resources, actor: Actor, what: Limited) -> int:
    """Return how many more the actor may make today."""
    async with resources.database.read() as conn:
        made = await _COUNTED[what](conn, actor.account, day_start(resources.clock.record_now()))
    return max(0, DAILY_MAX[what] - made)
