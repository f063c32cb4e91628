"""Workrooms: open one, join one, list one's own.

Rule 1: seq 0 of a room is `room.opened`; it names the verifier key and the pseudonyms (docs/record.md).
Rule 2: who joins accepts the policy: `member.joined` and `policy.accepted` are one commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from msgspec import Struct, structs
from sqlalchemy import func, insert, or_, select, update

from app.domain.bodies.fields import EntryBody
from app.domain.bodies.system import (
    MemberJoined,
    OpenedMember,
    PolicyAccepted,
    RoomActivated,
    RoomOpened,
)  # fmt: skip
from app.domain.events import body_of
from app.domain.ids import id_from_bytes
from app.domain.live import RoomChanged
from app.domain.policy import POLICY_VERSION, policy_digest
from app.domain.record import Draft
from app.domain.workrooms import (
    READING_SIDES,
    RECORD_FORMAT,
    SYSTEM,
    WRITTEN_BY_PEOPLE,
    Member,
    RoomInfo,
    RoomState,
    Side,
    checked_time_zone,
    checked_title,
)
from app.services.access import Actor, read_room_info, remember_room
from app.services.resources import Resources
from app.storage.tables import accounts, entries, members, room_heads, rooms
from app.storage.writer import Tx

MEDIATED_MAX = 100  # shown on the first page; nobody mediates more at a time


class RoomSummary(Struct, frozen=True):
    """A workroom in its member's list. `unread` counts what others wrote behind `seen`."""

    info: RoomInfo
    member: Member
    head: int
    seen: int
    unread: int
    last_at: int


async def open_room(
    resources: Resources,
    client: str | None,
    freelancer: str | None,
    title: str,
    *,
    time_zone: str = "UTC",
    work_view: bool = True,
    demo: bool = False,
    job: str | None = None,
) -> str:
    """Open a workroom for accounts (by id) on both sides, or on one whose other side is invited; return its id.

    `job` is the job that it came from.

    Raises:
        Malformed: for a title or time zone that cannot be.
    """

    async def work(tx: Tx) -> RoomInfo:
        return await open_room_in(
            tx, resources, client, freelancer, title, time_zone=time_zone, work_view=work_view, demo=demo, job=job
        )

    info = await resources.database.writer.run(work)
    remember_room(resources, info)
    return info.id


async def open_room_in(
    tx: Tx,
    resources: Resources,
    client: str | None,
    freelancer: str | None,
    title: str,
    *,
    time_zone: str = "UTC",
    work_view: bool = True,
    demo: bool = False,
    job: str | None = None,
) -> RoomInfo:
    """Open a workroom as a part of a unit of work, whose caller remembers the room after the commit.

    Raises:
        Malformed: for a title or time zone that cannot be.
    """
    title, time_zone = checked_title(title), checked_time_zone(time_zone)
    room = id_from_bytes(resources.random_bytes(16))
    joining = [
        (account, side)
        for account, side in ((client, Side.CLIENT), (freelancer, Side.FREELANCER))
        if account is not None
    ]
    opened = RoomOpened(
        format=RECORD_FORMAT,
        title=title,
        operator=resources.settings.operator,
        verifier_key=resources.signer.verifier_key(room),
        time_zone=time_zone,
        work_view=work_view,
        members=[OpenedMember(f"p{n}", side.value) for n, (_, side) in enumerate(joining, start=1)],
        demo=demo,
    )
    await tx.conn.execute(
        insert(rooms).values(
            id=room, title=title, time_zone=time_zone, work_view=work_view, demo=demo, opened_at=tx.now, job=job
        )
    )
    await tx.open_record(room)
    await _append_event(tx, room, opened)
    info = RoomInfo(room, title, time_zone, work_view, demo, tx.now, {}, job=job)
    for account, side in joining:
        info = await _join(tx, info, account, side)
    return info


async def join(
    resources: Resources,
    account: str,
    room: str,
    side: Side,
    *,
    first: Callable[[Tx, RoomInfo], Awaitable[None]] | None = None,
) -> Member:
    """Make an account a member of a room; one that is keeps its place. `first` may refuse it, in the same commit.

    Raises:
        NotFound: if there is no such room.
    """

    async def work(tx: Tx) -> RoomInfo:
        info = await read_room_info(tx.conn, room)
        if info.member_of(account) is not None:
            return info
        if first is not None:
            await first(tx, info)
        joined = await _join(tx, info, account, side)
        tx.after_commit(RoomChanged(joined))
        return joined

    info = await resources.database.writer.run(work, rooms=(room,))
    remember_room(resources, info)
    member = info.member_of(account)
    assert member is not None
    return member


async def activate(tx: Tx, info: RoomInfo) -> RoomInfo:
    """Begin the work in a room that was negotiating, in the transaction that accepts its first terms."""
    if info.state is not RoomState.NEGOTIATING:
        return info
    await _append_event(tx, info.id, RoomActivated())
    return await change_room(tx, structs.replace(info, state=RoomState.ACTIVE))


async def change_room(tx: Tx, info: RoomInfo) -> RoomInfo:
    """Store what changed about a room, and tell everybody who keeps it."""
    await tx.conn.execute(
        update(rooms)
        .where(rooms.c.id == info.id)
        .values(state=info.state.value, time_zone=info.time_zone, work_view=info.work_view, closed_at=info.closed_at)
    )
    tx.after_commit(RoomChanged(info))
    return info


UNREAD_MAX = 1_000  # counted to here, in as many rows twice over; pages show more than 999 as "999+"
_last_unseen = (
    select(entries.c.kind, entries.c.by)
    .where(entries.c.room == members.c.room, entries.c.seq > members.c.seen_seq)
    .order_by(entries.c.seq.desc())
    .limit(2 * UNREAD_MAX)
    .correlate(members)
    .subquery()
)
_counted = (
    select(_last_unseen.c.kind)
    .where(_last_unseen.c.kind.in_(WRITTEN_BY_PEOPLE), _last_unseen.c.by != members.c.by)
    .limit(UNREAD_MAX)
    .correlate(members)
    .subquery()
)
_unread = select(func.count()).select_from(_counted).correlate(members).scalar_subquery()


async def count_unread(resources: Resources, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return how many entries by others are unread, for pairs of account and room. One query."""
    query = select(members.c.account, members.c.room, _unread.label("unread")).where(
        members.c.account.in_({account for account, _ in pairs}),
        members.c.room.in_({room for _, room in pairs}),
        members.c.side.in_(READING_SIDES),
    )
    async with resources.database.read() as connection:
        counted = {(row.account, row.room): row.unread for row in await connection.execute(query)}
    return {pair: counted[pair] for pair in pairs if pair in counted}


async def my_rooms(
    resources: Resources, actor: Actor, *, latest: int | None = None, room: str | None = None
) -> list[RoomSummary]:
    """Return the workrooms that the actor may read, the one with the latest entry first. Three queries, however many
    rooms. `latest` of them are enough, with `room` wherever it stands."""
    query = (
        select(rooms, members.c.seen_seq, room_heads.c.size, room_heads.c.at, _unread.label("unread"))
        .select_from(
            members.join(rooms, rooms.c.id == members.c.room).join(room_heads, room_heads.c.room == rooms.c.id)
        )
        .where(members.c.account == actor.account, members.c.side.in_(READING_SIDES))
        .order_by(room_heads.c.at.desc())
    )
    if latest is not None:
        newest = (
            select(members.c.room)
            .join(room_heads, room_heads.c.room == members.c.room)
            .where(members.c.account == actor.account)
            .order_by(room_heads.c.at.desc())
            .limit(latest)
            .subquery()
        )
        query = query.where(or_(members.c.room.in_(select(newest.c.room)), members.c.room == room))
    async with resources.database.read() as connection:
        listed = (await connection.execute(query)).all()
        people = await connection.execute(
            select(members)
            .where(members.c.room.in_([row.id for row in listed]))
            .order_by(members.c.joined_at, members.c.by)
        )
        by_room: dict[str, dict[str, Member]] = {}
        for row in people:
            by_room.setdefault(row.room, {})[row.by] = Member(row.room, row.account, row.by, Side(row.side), row.name)
    summaries = []
    for row in listed:
        info = RoomInfo(
            row.id,
            row.title,
            row.time_zone,
            row.work_view,
            row.demo,
            row.opened_at,
            by_room.get(row.id, {}),
            RoomState(row.state),
            row.job,
            row.closed_at,
        )
        member = info.member_of(actor.account)
        assert member is not None
        summaries.append(RoomSummary(info, member, row.size - 1, row.seen_seq, row.unread, row.at))
    return summaries


async def mediated_rooms(resources: Resources, actor: Actor) -> list[tuple[str, str]]:
    """Return id and title of the workrooms that name the actor as mediator: they open while a dispute is open."""
    query = (
        select(rooms.c.id, rooms.c.title)
        .join(members, members.c.room == rooms.c.id)
        .where(members.c.account == actor.account, members.c.side.not_in(READING_SIDES))
        .order_by(rooms.c.opened_at.desc())
        .limit(MEDIATED_MAX)
    )
    async with resources.database.read() as connection:
        return [(row.id, row.title) for row in await connection.execute(query)]


async def _join(tx: Tx, info: RoomInfo, account: str, side: Side) -> RoomInfo:
    name = await tx.conn.scalar(select(accounts.c.name).where(accounts.c.id == account))
    assert name is not None
    member = Member(info.id, account, f"p{len(info.members) + 1}", side, name)
    await tx.conn.execute(
        insert(members).values(
            room=info.id, account=account, by=member.by, side=side.value, name=name, seen_seq=-1, joined_at=tx.now
        )
    )
    await _append_event(tx, info.id, MemberJoined(member.by, account, name, side.value))
    await _append_event(tx, info.id, PolicyAccepted(member.by, POLICY_VERSION, policy_digest()), by=member.by)
    return structs.replace(info, members={**info.members, member.by: member})


async def _append_event(tx: Tx, room: str, event: EntryBody, by: str = SYSTEM) -> None:
    kind, body = body_of(event)
    await tx.append(Draft(room, kind, by, body))
