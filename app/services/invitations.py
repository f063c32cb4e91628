"""Invitations: how two people who know each other come to share a workroom (rule 1.1).

Rule 1: an invitation works once, within 14 days; its taker may repeat it, if something failed before they had joined.
Rule 2: a signed-in account joins by it; a new one signs up by it, and is asked by mail to confirm its address; before,
    it can use that workroom and no more (app/services/verification.py).
"""

from __future__ import annotations

import msgspec

from app.domain.accounts import INVITATION_MS, checked_email
from app.domain.errors import Conflict, Forbidden, LinkSpent
from app.domain.workrooms import Member, RoomInfo, Side
from app.services import mail, members, workrooms
from app.services.access import Actor, member_of, room_info
from app.services.accounts import (
    Client,
    SignedIn,
    actor_of,
    insert_account,
    new_account,
    open_session,
)
from app.services.addresses import ask_address
from app.services.links import digest_of, insert_link
from app.services.passwords import count_attempt, forget_attempt
from app.services.resources import Resources
from app.services.verification import require_verified
from app.storage import accounts as rows
from app.storage.accounts import LinkRow
from app.storage.writer import Tx


class Invitation(msgspec.Struct, frozen=True):
    """What an invitation says before it is taken."""

    room: RoomInfo
    side: Side
    invited_by: str  # a name


async def invite(resources: Resources, actor: Actor, room: str, side: Side) -> str:
    """Return the address of an invitation into a workroom: it works once, within 14 days.

    Raises:
        NotFound: if the actor is no member of the room.
        AddressUnconfirmed: if the actor's address is not verified.
        Conflict: if that side is taken; more members join by agreement of both sides (rule 1.9).
    """
    await member_of(resources, actor, room)
    info = await room_info(resources, room)
    if info.on_side(side):
        raise Conflict(f"This workroom has a {side} already.")
    async with resources.database.read() as conn:
        await require_verified(conn, actor)
    secret = await insert_link(
        resources, "invitation", INVITATION_MS, room=room, side=side.value, invited_by=actor.account
    )
    return f"{resources.settings.base_url}/invitation/{secret}"


async def invitation(resources: Resources, token: str, actor: Actor | None = None) -> Invitation:
    """Return what an invitation is for.

    Raises:
        LinkSpent: if somebody else took it, it is older than 14 days, or never was.
    """
    link = await _open_invitation(resources, token, actor)
    assert link.room is not None and link.side is not None, "an invitation names room and side"
    async with resources.database.read() as conn:
        inviter = await rows.select_account(conn, link.invited_by or "")
    return Invitation(
        await room_info(resources, link.room), Side(link.side), inviter.name if inviter is not None else ""
    )


async def accept_invitation(resources: Resources, actor: Actor, token: str) -> Member:
    """Join the workroom of an invitation. The taker may repeat it, if something failed between taking and joining.

    Raises:
        LinkSpent: as `invitation` does.
        Forbidden: if the actor is in that workroom already.
        AddressUnconfirmed: if the actor signed up by another invitation, and the address is not verified.
        Conflict: if somebody else stands on that side by now.
    """
    link = await _open_invitation(resources, token, actor)
    assert link.room is not None and link.side is not None, "an invitation names room and side"
    side = Side(link.side)
    present = (await room_info(resources, link.room)).member_of(actor.account)
    if present is not None:
        if link.account != actor.account:
            raise Forbidden(f"You are the {present.side} of this workroom: send this link to whom it is for.")
        return present
    now = resources.clock.real_now()

    async def take(tx: Tx, info: RoomInfo) -> None:
        if link.account != actor.account:  # else this is the invitation by which they signed up
            await require_verified(tx.conn, actor)
        if link.used_at is None and not await rows.update_link_used(tx.conn, link.token_hash, now, actor.account):
            raise LinkSpent()
        await members.check_seat(tx, info, side, token, actor.account, now)

    return await workrooms.join(resources, actor.account, link.room, side, first=take)


async def sign_up_with_invitation(
    resources: Resources, token: str, name: str, email: str, password: str, client: Client
) -> tuple[SignedIn, Member]:
    """Create an account by an invitation, sign it in and join its workroom.

    Raises:
        LinkSpent: as `invitation` does.
        Malformed: naming the field.
        AccountExists: if the address has an account: sign in with it instead.
        TooMany: after too many attempts by this link, from one place, or with one address.
    """
    link = await _open_invitation(resources, token, None)
    assert link.room is not None and link.side is not None, "an invitation names room and side"
    if await members.is_replaced(resources, token, link.room, Side(link.side)):
        raise LinkSpent()
    keys = (f"invited {client.address}", f"invited {digest_of(token).hex()}", f"invited {checked_email(email)}")
    count_attempt(resources, keys)  # it tells whether an address has an account
    account = await new_account(resources, email, name, password)
    now = resources.clock.real_now()

    async def insert(tx: Tx) -> SignedIn:
        await insert_account(tx, account)
        if not await rows.update_link_used(tx.conn, digest_of(token), now, account.id):
            raise LinkSpent()
        await ask_address(tx, resources, account)
        return await open_session(tx, resources, account, client)

    signed = await resources.database.writer.run(insert)
    forget_attempt(resources, keys)
    await mail.hint(resources)
    return signed, await accept_invitation(resources, actor_of(account), token)


async def _open_invitation(resources: Resources, token: str, actor: Actor | None) -> LinkRow:
    async with resources.database.read() as conn:
        link = await rows.select_link(conn, digest_of(token), "invitation")
    if link is None or link.expires_at <= resources.clock.real_now():
        raise LinkSpent()
    if link.used_at is not None and (actor is None or link.account != actor.account):
        raise LinkSpent()
    return link
