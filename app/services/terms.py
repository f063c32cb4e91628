"""Terms: propose, accept, ask for Work View; what holds at a moment, and every version (rules 1.2, 2.1, 4.4).

Rule 1: whatever changes what is agreed (terms, a milestone, a delay, Work View) is a new version: `terms_at` is the
single truth.
Rule 2: a newer proposal of the same side for the same freelancer takes the place of its open one; of two sides'
proposals the one that is accepted closes the other. A counter-proposal is a proposal.
Rule 3: a workroom shows the time zone of the freelancer whose terms began it: at once for the first, from the next week
for later ones (`apply_due_terms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct, structs

from app.domain import terms as domain
from app.domain.bodies.agreements import TermsProposed
from app.domain.errors import Forbidden, InvalidBody, OthersToAnswer, WorkroomError
from app.domain.matters import Matter
from app.domain.money import DECIMALS
from app.domain.record import Body, Entry
from app.domain.terms import (
    Milestone,
    MilestoneState,
    Terms,
    TermsInForce,
    check_stands,
    next_week_at,
    terms_of,
)
from app.domain.timerange import local_day
from app.domain.workrooms import RoomState, Side
from app.services import jobs, matters, workrooms
from app.services.access import Actor, member_of, read_room_info
from app.services.effects import Writing
from app.services.resources import Resources
from app.storage import matters as matter_rows
from app.storage import record as entry_rows
from app.storage import terms as rows
from app.storage.writer import Tx

ROOMS_AT_ONCE = 100  # in one sweep; the next one goes on

log = structlog.get_logger()


class TermsOfRoom(Struct, frozen=True):
    """Everything about the terms of a room: versions by freelancer, milestones, proposals that are open.

    `authors` are the pseudonyms behind the entries that versions come from and were accepted by.
    """

    versions: dict[str, list[Terms]]
    milestones: list[Milestone]
    open: list[tuple[Matter, Entry]]
    authors: dict[int, str] = {}

    @property
    def pays(self) -> dict[str, str]:
        """What the last terms of each freelancer say of the pay."""
        return {member: versions[-1].what.pay for member, versions in self.versions.items() if versions}


# Reading


async def terms_at(resources: Resources, room: str, member: str, moment: int) -> TermsInForce | None:
    """Return what holds for a freelancer of a room at a moment; None before their first terms."""
    async with resources.database.read() as conn:
        return domain.terms_at(await rows.select_versions(conn, room, member), moment)


async def versions_of(resources: Resources, actor: Actor, room: str, member: str) -> list[Terms]:
    """Return the accepted versions of a freelancer's terms, in order.

    Raises:
        NotFound: if the actor is no member of the room.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        return await rows.select_versions(conn, room, member)


async def terms_of_room(resources: Resources, actor: Actor, room: str) -> TermsOfRoom:
    """Return everything about the terms of a room.

    Raises:
        NotFound: if the actor is no member of it.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        versions = await rows.select_room_versions(conn, room)
        milestones = await rows.select_milestones(conn, room)
        waiting = [m for m, _ in await matter_rows.select_open_in_room(conn, room) if m.kind == "terms.proposed"]
        found = await entry_rows.select_entries(conn, room, [m.seq for m in waiting])
        named = {seq for listed in versions.values() for v in listed for seq in (v.seq, v.accepted_seq)}
        authors = await rows.select_authors(conn, room, named)
    return TermsOfRoom(versions, milestones, [(m, found[m.seq]) for m in waiting], authors)


# Effects


async def on_proposed(writing: Writing) -> None:
    """Check a proposal against the room; it takes the place of an open one of the same side."""
    body, tx, room = writing.body, writing.tx, writing.info.id
    check_for_freelancer(writing)
    if body["currency"] not in DECIMALS:
        raise InvalidBody("There is no such currency. Use its three letters, like EUR or USD.", field="body.currency")
    versions = await rows.select_versions(tx.conn, room, body["member"])
    milestones = await rows.select_milestones(tx.conn, room, body["member"])
    check_stands(versions[-1].what if versions else None, terms_of(body), milestones, "body.")
    due = {m.key: m.due_on for m in milestones}
    named = enumerate(body.get("milestones", []))
    check_dates(writing, [(f"body.milestones.{n}.due_on", m["due_on"], due.get(m["key"])) for n, m in named])
    side = writing.info.members[writing.entry.by].side.value
    older = [m for m in await open_about(tx, room, writing.entry, body["member"]) if m.side == side]
    await matters.give_way(tx, older, writing.entry)


async def on_accepted(writing: Writing) -> None:
    """Let a version hold from now on; the first one begins the work, and awards the job that the room came from."""
    matter, tx = answered(writing), writing.tx
    what = terms_of(await asked_body(writing))
    others = [m for m in await open_about(tx, matter.room, writing.entry, what.member) if m.seq != matter.seq]
    begins = await add_version(writing, what, matter.seq)
    await matters.give_way(tx, others, writing.entry)
    if begins and writing.info.job is not None:
        await jobs.on_award(tx, writing.resources, writing.info.job, matter.room)


async def on_withdrawn(writing: Writing) -> None:
    """Let a freelancer take back their own proposal only, of the several that one side may have."""
    check_own(writing)


async def on_work_view_requested(writing: Writing) -> None:
    """Ask for Work View where there are terms without it, once (rule 2.1)."""
    check_for_freelancer(writing)
    member = writing.body["member"]
    versions = await rows.select_versions(writing.tx.conn, writing.info.id, member)
    if not versions:
        raise InvalidBody("There are no terms yet: ask for Work View in those that you propose.", field="body.member")
    if versions[-1].what.work_view:
        raise InvalidBody("Work View is part of the terms already.", field="body.member")
    waiting = await open_about(writing.tx, writing.info.id, writing.entry, member)
    if waiting:
        raise InvalidBody(f"You asked already: entry {waiting[0].seq} waits for an answer.", field="body.member")


async def on_work_view_accepted(writing: Writing) -> None:
    """Make Work View part of the terms from now on: a new version, else as the last."""
    matter = answered(writing)
    versions = await rows.select_versions(writing.tx.conn, matter.room, matter.asked)
    if versions and not versions[-1].what.work_view:
        await add_version(writing, structs.replace(versions[-1].what, work_view=True), matter.seq)


# What effects share


def check_for_freelancer(writing: Writing) -> None:
    """Check the freelancer that a body is about: one of this room, and a freelancer speaks only for themselves.

    Raises:
        InvalidBody, Forbidden: naming the field.
    """
    named = writing.info.members.get(writing.body["member"])
    if named is None or named.side is not Side.FREELANCER:
        raise InvalidBody("Choose a freelancer of this workroom.", field="body.member")
    author = writing.info.members[writing.entry.by]
    if author.side is Side.FREELANCER and author.by != named.by:
        raise Forbidden("You can propose this for yourself, not for another freelancer.", field="body.member")


def check_dates(writing: Writing, dates: Iterable[tuple[str, str, str | None]]) -> None:
    """Check days on which something is due: field, day, and the day that stands now. What stands may have passed.

    Raises:
        InvalidBody: naming the first that is new and lies before today, in the workroom's zone.
    """
    today = local_day(writing.entry.at, ZoneInfo(writing.info.time_zone)).isoformat()
    for field, day, standing in dates:
        if day < today and day != standing:
            raise InvalidBody(f"This day has passed: choose today, {today}, or a later one.", field=field)


def check_own(writing: Writing) -> None:
    """Check that a freelancer takes back what is their own.

    Raises:
        OthersToAnswer: if it is another freelancer's.
    """
    if answered(writing).side == Side.FREELANCER and answered(writing).by != writing.entry.by:
        raise OthersToAnswer()


def answered(writing: Writing) -> Matter:
    """Return the matter that an answer is about; effects of answers have one."""
    assert writing.matter is not None
    return writing.matter


async def asked_body(writing: Writing) -> Body:
    """Return the body of the entry that an answer is about.

    Raises:
        InvalidBody: if it was erased: nobody can agree to what nobody can read.
    """
    seq = answered(writing).seq
    asked = (await entry_rows.select_entries(writing.tx.conn, writing.info.id, [seq]))[seq]
    if asked.body is None:
        raise InvalidBody("The content of this entry was erased. Propose anew.", field="ref")
    return asked.body


async def open_about(tx: Tx, room: str, entry: Entry, freelancer: str) -> list[Matter]:
    """Return the open matters about a freelancer of the kind that `entry` asks or answers, but for its own."""
    kind = entry.kind.rsplit(".", 1)[0]
    return [
        matter
        for matter, _ in await matter_rows.select_open_in_room(tx.conn, room)
        if matter.seq != entry.seq and matter.kind.rsplit(".", 1)[0] == kind and freelancer_of(matter) == freelancer
    ]


def freelancer_of(matter: Matter) -> str:
    """Return the freelancer that a matter is about, where it is about one: its author, or whom the client named."""
    return matter.by if matter.side == Side.FREELANCER else matter.asked


async def add_version(writing: Writing, what: TermsProposed, seq: int) -> bool:
    """Store terms that the entry of `writing` accepts, `seq` being what it answers; return whether work begins.

    Raises:
        InvalidBody: if what was delivered or accepted would change.
        Forbidden: if there are too many versions.
    """
    tx, info, entry = writing.tx, writing.info, writing.entry
    every = await rows.select_room_versions(tx.conn, info.id)
    versions = every.get(what.member, [])
    if len(versions) >= rows.VERSIONS_MAX:
        raise Forbidden(f"These terms were changed {rows.VERSIONS_MAX:,} times. Go on in a new workroom.", field="ref")
    stored = await rows.select_milestones(tx.conn, info.id, what.member)
    check_stands(versions[-1].what if versions else None, what, stored, "")
    week_at = next_week_at(versions, entry.at) if versions else entry.at
    number = len(versions) + 1
    version = Terms(info.id, what.member, number, seq, entry.seq, entry.at, what, week_at)
    await rows.insert_version(tx.conn, version, zone_applied=not versions)
    await rows.replace_milestones(tx.conn, info.id, what.member, _milestones(stored, version))
    return await _tell_room(writing, {**every, what.member: [*versions, version]})


def _milestones(stored: Sequence[Milestone], version: Terms) -> list[Milestone]:
    """Return the milestones that stand with a version: what was delivered or accepted stays, also beside it."""
    present = {milestone.key: milestone for milestone in stored}
    listed = []
    for position, named in enumerate(version.what.milestones):
        made = Milestone(
            version.member, named.key, position, named.name, named.amount_minor, version.what.currency, named.due_on,
            MilestoneState.AGREED, version.accepted_seq,
        )  # fmt: skip
        old = present.pop(named.key, None)
        if old is not None and structs.replace(old, position=position, state=made.state, seq=made.seq) == made:
            made = structs.replace(made, seq=old.seq)
        listed.append(structs.replace(made, state=old.state) if old is not None else made)
    return [*listed, *(old for old in present.values() if old.state is not MilestoneState.AGREED)]


async def _tell_room(writing: Writing, versions: dict[str, list[Terms]]) -> bool:
    """Give the room what its terms say at once; return whether its work begins with them."""
    info = writing.info
    changed = structs.replace(info, work_view=any(listed[-1].what.work_view for listed in versions.values()))
    begins = sum(len(listed) for listed in versions.values()) == 1
    if begins:
        (first,) = next(iter(versions.values()))
        changed = structs.replace(changed, time_zone=first.what.time_zone)
    if begins and info.state is RoomState.NEGOTIATING:
        await workrooms.activate(writing.tx, changed)
    elif changed != info:
        await workrooms.change_room(writing.tx, changed)
    return begins


# The worker


async def apply_due_terms(resources: Resources) -> int:
    """Let workrooms show the time zone that their terms have since this week; return how many changed."""
    async with resources.database.read() as conn:
        due = await rows.select_rooms_due(conn, resources.clock.record_now(), ROOMS_AT_ONCE)
    done = 0
    for room in due:
        try:
            done += await _apply_due(resources, room)
        except WorkroomError as error:
            log.warning("terms not applied", room=room, code=error.code)
    return done


async def _apply_due(resources: Resources, room: str) -> bool:
    async def work(tx: Tx) -> bool:
        info = await read_room_info(tx.conn, room)
        versions = min((await rows.select_room_versions(tx.conn, room)).values(), key=_began)
        await rows.update_applied(tx.conn, room, tx.now)
        held = domain.terms_at(versions, tx.now)
        if held is None or held.time_zone == info.time_zone:
            return False
        await workrooms.change_room(tx, structs.replace(info, time_zone=held.time_zone))
        return True

    return await resources.database.writer.run(work, rooms=(room,))


def _began(versions: Sequence[Terms]) -> int:
    return versions[0].accepted_seq
