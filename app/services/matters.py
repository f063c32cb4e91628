"""Matters: what an entry asks, what its answer does, whose turn it is, and what silence says in the end.

Rule 1: an answer is checked and stored in the transaction that appends it, under the lock of its room: of two at once,
one counts and the other is told how the matter stands.
Rule 2: a vacation that is announced moves the dates of what waits for that member, live.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct, structs

from app.domain.errors import InvalidBody
from app.domain.live import Appended
from app.domain.matters import (
    ANSWERS,
    DELIVERY_DAYS,
    SILENCE,
    TRANSITIONS,
    Matter,
    MatterState,
    due_at,
    next_state,
    shared_absence,
)
from app.domain.record import Body, Entry
from app.domain.workrooms import Member, RoomInfo, Side
from app.services.access import Actor, member_of
from app.services.resources import Resources
from app.storage import matters as rows
from app.storage.writer import Tx

MOVING = frozenset({"availability", "room.closed"})  # what changes matters that it does not name
MOVED_MAX = 50  # the newest of a room: those that a page may show
WAITING_MAX = 200  # shown on the home page; nobody works off more at once


class Waiting(Struct, frozen=True):
    """What waits: for the reader (`mine`), and for others because of the reader (`theirs`). The most urgent first."""

    mine: list[Matter]
    theirs: list[Matter]


def asked_of(kind: str, body: Body, member: Member) -> str:
    """Return who must answer an entry of `member`: the other side, or the one freelancer or receiver it names."""
    if kind == "handover":
        return str(body["to"])
    if member.side is Side.CLIENT and "member" in body:
        return str(body["member"])
    return member.side.other.value


def title_of(kind: str, body: Body) -> str:
    """Return what lists show of a matter; "" where the entry is restricted."""
    if body.get("restricted"):
        return ""
    return str(body.get("title") or body.get("label") or body.get("name") or body.get("to") or "")[:200]


def days_of(resources: Resources, kind: str) -> int | None:
    """Return after how many days silence answers a matter of this kind, vacations apart; None for never."""
    if kind == "deliverable" and resources.settings.delivery_days != DELIVERY_DAYS:
        return resources.settings.delivery_days
    return SILENCE[kind].days


async def ask(tx: Tx, resources: Resources, info: RoomInfo, member: Member, entry: Entry) -> None:
    """Note that an entry needs an answer, if its kind does."""
    if entry.kind not in TRANSITIONS or entry.body is None:
        return
    asked, days = asked_of(entry.kind, entry.body, member), days_of(resources, entry.kind)
    away = await _away(tx, info, asked, entry.at)
    matter = Matter(
        entry.room, entry.seq, entry.kind, entry.by, member.side.value, asked, MatterState.OPEN, entry.at,
        due_at(entry.at, days, away), title=title_of(entry.kind, entry.body),
    )  # fmt: skip
    await rows.insert_matter(tx.conn, matter, days)
    tx.publish_with(entry, matters=(matter,))


async def check_answer(tx: Tx, member: Member, kind: str, ref: int) -> Matter:
    """Return the matter that an answer is about, as the answer leaves it, but for the answer's seq.

    Raises:
        InvalidBody: if the entry it names asks nothing of that kind.
        AlreadyAnswered, OthersToAnswer: if it is not open, or not for this member to answer.
    """
    matter = (await rows.select_matters(tx.conn, member.room, [ref])).get(ref)
    if matter is None:
        raise InvalidBody(
            "This entry does not wait for an answer. Name the number of the one that this answers.", field="ref"
        )
    return structs.replace(matter, state=next_state(matter, kind, member.by, member.side.value))


async def answer(tx: Tx, answered: Matter, entry: Entry) -> Matter:
    """Store an answer that was checked and appended; return the matter as it stands now."""
    settled = structs.replace(answered, answer_seq=entry.seq, answered_by=entry.by, answered_at=entry.at)
    await rows.update_answered(tx.conn, settled)
    tx.publish_with(entry, matters=(settled,))
    return settled


async def give_way(tx: Tx, replaced: Sequence[Matter], entry: Entry) -> None:
    """Close open matters that gave way to `entry`: a newer proposal of the same side, or the acceptance of another."""
    closed = [
        structs.replace(
            matter, state=MatterState.WITHDRAWN, answer_seq=entry.seq, answered_by=entry.by, answered_at=entry.at
        )
        for matter in replaced
    ]
    await rows.update_withdrawn(tx.conn, closed)
    tx.publish_with(entry, matters=closed)


async def move_due_dates(tx: Tx, info: RoomInfo, entry: Entry, by: str) -> None:
    """Give the clocks of what waits for a member the new vacation that `entry` announces."""
    side = info.members[by].side.value
    changed = []
    for matter, days in await rows.select_open_in_room(tx.conn, info.id):
        if matter.asked in (by, side):
            due = due_at(matter.asked_at, days, await _away(tx, info, matter.asked, matter.asked_at))
            if due != matter.due_at:
                changed.append(structs.replace(matter, due_at=due))
    await rows.update_due(tx.conn, changed)
    tx.publish_with(entry, matters=changed)


async def waiting_for(resources: Resources, actor: Actor, infos: Collection[RoomInfo]) -> Waiting:
    """Return what waits for the actor and for others in these rooms, of which they are a member. Two queries."""
    members = [member for info in infos if (member := info.member_of(actor.account)) is not None]
    async with resources.database.read() as connection:
        mine = await rows.select_waiting(connection, [(m.room, m.side.value, m.by) for m in members], WAITING_MAX)
        theirs = await rows.select_asked_by(connection, [(m.room, m.side.value) for m in members], WAITING_MAX)
    return Waiting(mine, theirs)


async def matters_of(resources: Resources, actor: Actor, room: str) -> list[Matter]:
    """Return a room's open matters, oldest first.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        return [matter for matter, _ in await rows.select_open_in_room(connection, room)]


async def states_of(resources: Resources, room: str, entries: Sequence[Entry]) -> dict[int, Matter]:
    """Return the matters among these entries, and those that they answer; for callers that have asked for access."""
    wanted = {entry.seq for entry in entries if entry.kind in TRANSITIONS}
    if not wanted:
        return {}
    async with resources.database.read() as connection:
        return await rows.select_matters(connection, room, wanted)


async def with_matters(resources: Resources, info: RoomInfo, events: Sequence[Appended]) -> list[Appended]:
    """Return old entries with the matters that they changed, as these are now: a replay shows what a page does."""
    wanted = {event.entry.seq for event in events if event.entry.kind in TRANSITIONS}
    wanted |= {event.entry.ref for event in events if event.entry.kind in ANSWERS and event.entry.ref is not None}
    moves = any(event.entry.kind in MOVING for event in events)
    if not wanted and not moves:
        return list(events)
    async with resources.database.read() as connection:
        found = await rows.select_matters(connection, info.id, wanted) if wanted else {}
        every = await rows.select_recent(connection, info.id, MOVED_MAX) if moves else []
    told = []
    for event in events:
        entry = event.entry
        places = (entry.seq, entry.ref) if entry.kind in ANSWERS else (entry.seq,)
        changed = every if entry.kind in MOVING else [found[seq] for seq in places if seq in found]
        told.append(structs.replace(event, matters=tuple(changed)) if changed else event)
    return told


async def _away(tx: Tx, info: RoomInfo, asked: str, since: int) -> list[tuple[int, int]]:
    """Return when everybody who must act is on vacation, from `since` on."""
    members = [asked] if asked in info.members else [m.by for m in info.members.values() if m.side.value == asked]
    if not members:
        return []
    found = await rows.select_absences(tx.conn, info.id, members, since)
    return shared_absence([found[by] for by in members])
