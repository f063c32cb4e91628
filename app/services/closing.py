"""Closing one's account (rule 8.1): the person goes, the record stays.

Rule 1: refused while a workroom is active; there is work in it that others rely on.
Rule 2: sessions, tokens, devices, links and the second factor end at once; the address is free again.
Rule 3: in records the pseudonym and the name that was committed stay.
"""

from __future__ import annotations

from sqlalchemy import select

from app.domain.accounts import CLOSED_HOST
from app.domain.errors import StillActive
from app.domain.workrooms import RoomState
from app.services.access import Actor
from app.services.accounts import publish_revoked
from app.services.jobs import leave_jobs
from app.services.recovery import check_present_password
from app.services.resources import Resources
from app.storage import accounts as rows
from app.storage.mail import delete_mails_to
from app.storage.notices import delete_notices_of
from app.storage.second_factors import delete_factor
from app.storage.tables import members, rooms
from app.storage.writer import Tx

CLOSED_NAME = "Closed account"
_NAMED_MAX = 5  # workrooms named in the refusal


async def close_account(resources: Resources, actor: Actor, present: str) -> None:
    """Close one's account, for ever.

    Raises:
        WrongPassword: if the present password is another.
        StillActive: naming the workrooms that are active.
    """
    account = await check_present_password(resources, actor, present)
    now = resources.clock.real_now()

    async def close(tx: Tx) -> list[str]:
        await _check_no_work(tx, account.id)
        await rows.update_account(
            tx.conn,
            account.id,
            email=f"{account.id}{CLOSED_HOST}",
            name=CLOSED_NAME,
            password_hash=None,
            operator=False,
            verified_at=None,
            factor_at=None,
            closed_at=now,
        )
        await leave_jobs(tx, account.id)
        await delete_factor(tx.conn, account.id)
        await delete_mails_to(tx.conn, account.email)
        await delete_notices_of(tx.conn, account.id)
        await rows.delete_links_of(tx.conn, account.id, "sign_in", "recovery", "address", "pairing")
        return [
            *await rows.delete_sessions_of(tx.conn, account.id),
            *await rows.delete_tokens_of(tx.conn, account.id),
        ]

    publish_revoked(resources, await resources.database.writer.run(close))


async def _check_no_work(tx: Tx, account: str) -> None:
    query = (
        select(rooms.c.title)
        .join(members, members.c.room == rooms.c.id)
        .where(members.c.account == account, rooms.c.state == RoomState.ACTIVE.value)
        .order_by(rooms.c.opened_at)
        .limit(_NAMED_MAX + 1)
    )
    active = list((await tx.conn.execute(query)).scalars())
    if active:
        named = ", ".join(f"“{title}”" for title in active[:_NAMED_MAX])
        raise StillActive(f"Close your active workrooms first: {named}{' and more' if active[_NAMED_MAX:] else ''}.")
