"""Access: who acts, and in which rooms. The only way in: every other service asks here first.

Rule 1: "not a member" and "no such room" look alike.
Rule 2: what is cached of a room is replaced by the commit that changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Forbidden, NotFound
from app.domain.ids import is_room_id
from app.domain.workrooms import PARTIES, WRITTEN_BY_PEOPLE, Member, RoomInfo, RoomState, Side, may_read, may_write
from app.services.resources import Resources
from app.storage.tables import members, rooms

ROOMS_CACHED_MAX = 20_000
MEDIATOR_WAITS = "You are the mediator of this workroom. It opens to you while a dispute is open; there is none now."


@dataclass(frozen=True, slots=True)
class Actor:
    """The account on whose behalf something is done."""

    account: str
    name: str
    email: str
    operator: bool = False


async def room_info(resources: Resources, room: str) -> RoomInfo:
    """Return what every page of a room needs, without asking who wants it.

    Raises:
        NotFound: if there is no such room.
    """
    info = resources.rooms.get(room)
    if info is not None:
        return info
    if not is_room_id(room):
        raise NotFound()
    async with resources.database.read() as connection:
        info = await read_room_info(connection, room)
    remember_room(resources, info)
    return info


async def read_room_info(connection: AsyncConnection, room: str) -> RoomInfo:
    """Read a room and its members on a connection that is open.

    Raises:
        NotFound: if there is no such room.
    """
    row = (await connection.execute(select(rooms).where(rooms.c.id == room))).first()
    if row is None:
        raise NotFound()
    listed = await connection.execute(
        select(members).where(members.c.room == room).order_by(members.c.joined_at, members.c.by)
    )
    return RoomInfo(
        id=row.id,
        title=row.title,
        time_zone=row.time_zone,
        work_view=row.work_view,
        demo=row.demo,
        opened_at=row.opened_at,
        members={m.by: Member(room, m.account, m.by, Side(m.side), m.name) for m in listed},
        state=RoomState(row.state),
        job=row.job,
        closed_at=row.closed_at,
    )


def remember_room(resources: Resources, info: RoomInfo) -> None:
    """Keep what was read or changed; the oldest goes when there are too many."""
    while len(resources.rooms) >= ROOMS_CACHED_MAX:
        resources.rooms.pop(next(iter(resources.rooms)))
    resources.rooms[info.id] = info


async def member_of(resources: Resources, actor: Actor, room: str) -> Member:
    """Return the actor's membership of a room.

    Raises:
        NotFound: if there is no such room, or the actor is no member of it.
        Forbidden: if the actor is its mediator, and no dispute is open.
    """
    member = (await room_info(resources, room)).member_of(actor.account)
    if member is None:
        raise NotFound()
    if not may_read(member.side):
        raise Forbidden(MEDIATOR_WAITS)
    return member


def known_member_of(resources: Resources, actor: Actor, room: str) -> Member | None:
    """Return the actor's membership if the room is cached: for callers that cannot await."""
    info = resources.rooms.get(room)
    member = info.member_of(actor.account) if info is not None else None
    return member if member is not None and may_read(member.side) else None


def check_may_write(member: Member, kind: str) -> None:
    """Check the table of who may do what.

    Raises:
        Forbidden: if the member's side may not write entries of this kind.
    """
    if not may_write(Side(member.side), kind):
        if kind not in WRITTEN_BY_PEOPLE:
            raise Forbidden("People do not write entries of this kind; the server does, when it happens.", field="kind")
        sides = " or ".join(f"the {side}" for side in PARTIES if may_write(side, kind))
        raise Forbidden(f"This is for {sides} to do.", field="kind")
