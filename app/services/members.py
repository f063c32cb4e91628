"""Members by agreement (rule 1.9): proposed by one side, approved by the other, invited by the first, joined.

Rule 1: an approved proposal is one seat. Its invitation works once; a new one replaces the one before.
Rule 2: who joins sits where the proposal said, whatever name they have; `member.joined` commits account, name, side.
Rule 3: a mediator reads only while a dispute is open; until then the workroom is shown, and closed to them.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.accounts import INVITATION_MS
from app.domain.errors import Conflict, Forbidden, LinkSpent, NotFound, RoomClosed
from app.domain.matters import Matter, MatterState
from app.domain.record import Entry
from app.domain.workrooms import Member, RoomInfo, RoomState, Side
from app.services.access import Actor, member_of, read_room_info, room_info
from app.services.links import add_link, digest_of
from app.services.resources import Resources
from app.services.verification import require_verified
from app.storage import matters as matter_rows
from app.storage import members as rows
from app.storage import record as record_rows
from app.storage.members import SeatRow
from app.storage.writer import Tx

PROPOSED = "member.proposed"
PROPOSALS_MAX = 100  # the newest
MEMBERS_MAX = 50  # of one room; a larger circle is another room


class Proposal(Struct, frozen=True):
    """Somebody who was proposed, how that stands, and the seat, once there was an invitation.

    `may_invite`: for the reader, who stands on the side that proposed them.
    """

    entry: Entry
    matter: Matter
    seat: SeatRow | None
    joined: Member | None
    may_invite: bool


class Membership(Struct, frozen=True):
    """Who is in a room since when, by pseudonym, and who was proposed, the newest first."""

    room: RoomInfo
    member: Member
    joined_at: dict[str, int]
    proposals: list[Proposal]


async def membership(resources: Resources, actor: Actor, room: str) -> Membership:
    """Return who is in a room, and who may join it.

    Raises:
        NotFound: if the actor is no member.
    """
    member = await member_of(resources, actor, room)
    info = await room_info(resources, room)
    async with resources.database.read() as conn:
        joined_at = await rows.select_joined(conn, room)
        entries = await record_rows.select_of_kinds(conn, room, (PROPOSED,), PROPOSALS_MAX)
        standing = await matter_rows.select_matters(conn, room, [entry.seq for entry in entries])
        seats = await rows.select_seats(conn, room)
    proposals = [
        _proposal(info, member, entry, standing[entry.seq], seats.get(entry.seq))
        for entry in reversed(entries)
        if entry.seq in standing
    ]
    return Membership(info, member, joined_at, proposals)


def _proposal(info: RoomInfo, member: Member, entry: Entry, matter: Matter, seat: SeatRow | None) -> Proposal:
    joined = info.member_of(seat.taken_by) if seat is not None and seat.taken_by is not None else None
    is_open = matter.state is MatterState.ACCEPTED and joined is None and info.state is not RoomState.CLOSED
    return Proposal(entry, matter, seat, joined, is_open and matter.side == member.side.value)


async def invite_approved(resources: Resources, actor: Actor, room: str, seq: int) -> str:
    """Return the address of an invitation for somebody whom both sides agreed on; earlier ones open nothing any more.

    Raises:
        NotFound: if there is no such proposal, or the actor is no member.
        Forbidden: if the other side proposed them, or nobody agreed yet.
        Conflict: if they have joined, or the room is full.
        AddressUnconfirmed: if the actor's address is not verified.
        RoomClosed: if the room is closed.
    """
    member = await member_of(resources, actor, room)
    now = resources.clock.real_now()

    async def work(tx: Tx) -> str:
        info = await read_room_info(tx.conn, room)
        if info.state is RoomState.CLOSED:
            raise RoomClosed()
        matter = (await matter_rows.select_matters(tx.conn, room, [seq])).get(seq)
        if matter is None or matter.kind != PROPOSED:
            raise NotFound("There is no such proposal in this workroom.")
        if matter.side != member.side.value:
            raise Forbidden(f"The {matter.side}’s side proposed them and sends the invitation.")
        if matter.state is not MatterState.ACCEPTED:
            raise Forbidden("The other side has to agree first. Then you can make an invitation.")
        seat = (await rows.select_seats(tx.conn, room)).get(seq)
        if seat is not None and seat.taken_by is not None:
            raise Conflict("They have joined already. Propose another person to invite one more.")
        _check_room_for_one(info)
        await require_verified(tx.conn, actor)
        entry = (await record_rows.select_entries(tx.conn, room, [seq]))[seq]
        side = Side((entry.body or {}).get("side", matter.side))
        secret = await add_link(
            tx, resources, "invitation", INVITATION_MS, room=room, side=side.value, invited_by=member.account
        )
        await rows.upsert_seat(
            tx.conn, SeatRow(room, seq, side.value, digest_of(secret), member.by, now, now + INVITATION_MS)
        )
        return secret

    secret = await resources.database.writer.run(work, rooms=(room,))
    return f"{resources.settings.base_url}/invitation/{secret}"


def _check_room_for_one(info: RoomInfo) -> None:
    if len(info.members) >= MEMBERS_MAX:
        raise Conflict(f"A workroom has at most {MEMBERS_MAX} members.")


async def check_seat(tx: Tx, info: RoomInfo, side: Side, token: str, account: str, now: int) -> None:
    """Check that an invitation still lets one join, and take the seat that it is for, in the transaction of the join.

    An invitation without a seat is for the side on which nobody stands yet.

    Raises:
        LinkSpent: if a newer invitation replaced it, or somebody else took the seat.
        Conflict: if that side is taken, and more join by agreement only.
        RoomClosed: if the room was closed meanwhile.
    """
    if info.state is RoomState.CLOSED:
        raise RoomClosed()
    _check_room_for_one(info)
    seat = await rows.select_seat_by_token(tx.conn, digest_of(token))
    if seat is not None:
        if not await rows.update_seat_taken(tx.conn, seat.room, seat.seq, account, now):
            raise LinkSpent()
    elif info.on_side(side) or side is Side.MEDIATOR:
        raise Conflict(f"This workroom has a {side.value} already. More join when both sides have agreed on them.")


async def is_replaced(resources: Resources, token: str, room: str, side: Side) -> bool:
    """Whether an invitation has no seat (any more) and its side is taken: what its page says before it is used."""
    info = await room_info(resources, room)
    async with resources.database.read() as conn:
        seat = await rows.select_seat_by_token(conn, digest_of(token))
    return seat is None and (bool(info.on_side(side)) or side is Side.MEDIATOR)
