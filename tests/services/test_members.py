"""Members by agreement (rule 1.9): proposed, approved, invited once, joined; each freelancer has hours of their own."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import Conflict, Forbidden, LinkSpent, NotFound, RoomClosed, WorkroomError
from app.domain.live import RoomChanged
from app.domain.search import Query, Term
from app.domain.workrooms import Side
from app.services import (
    accounts,
    invitations,
    members,
    record,
    room_closing,
    search,
    tracking,
    workrooms,
    workview,
)
from app.services.access import Actor
from app.services.accounts import Client
from app.services.clock import ManualClock
from app.services.indexing import index_missed
from app.services.resources import Resources
from tests.builders import Pair, build_account, build_pair
from tests.published import Published
from tests.work import MINUTE, Shift

WEEK_MS = 7 * 86_400_000


@pytest.fixture
async def pair(resources: Resources) -> Pair:
    return await build_pair(resources)


async def propose(resources: Resources, pair: Pair, side: str = "freelancer", name: str = "Ben Ode") -> int:
    body = {"name": name, "side": side}
    return (await record.append(resources, pair.client, pair.room, "member.proposed", body)).seq


async def approve(resources: Resources, pair: Pair, seq: int) -> None:
    await record.append(resources, pair.freelancer, pair.room, "member.approved", {}, seq)


async def agreed(resources: Resources, pair: Pair, side: str = "freelancer", name: str = "Ben Ode") -> int:
    seq = await propose(resources, pair, side, name)
    await approve(resources, pair, seq)
    return seq


async def token_for(resources: Resources, pair: Pair, seq: int) -> str:
    return (await members.invite_approved(resources, pair.client, pair.room, seq)).rsplit("/", 1)[1]


async def join(resources: Resources, pair: Pair, side: str, name: str = "Ben Ode") -> Actor:
    seq = await agreed(resources, pair, side, name)
    actor = await build_account(resources, name)
    await invitations.accept_invitation(resources, actor, await token_for(resources, pair, seq))
    return actor


async def test_whom_both_sides_agreed_on_joins_and_the_record_says_who_stands_behind_the_pseudonym(
    resources: Resources, pair: Pair, published: Published
) -> None:
    seq = await agreed(resources, pair)
    token = await token_for(resources, pair, seq)
    shown = await invitations.invitation(resources, token)
    assert (shown.side, shown.invited_by) == (Side.FREELANCER, "Dana Keller")
    ben = await build_account(resources, "Ben Ode")
    member = await invitations.accept_invitation(resources, ben, token)
    assert (member.by, member.side) == ("p3", Side.FREELANCER)
    joined, policy = (await record.page(resources, pair.client, pair.room, limit=2)).entries
    assert joined.body == {"member": "p3", "account": ben.account, "name": "Ben Ode", "side": "freelancer"}
    assert (policy.kind, policy.by) == ("policy.accepted", "p3")
    assert [event for event in published.events if isinstance(event, RoomChanged)][-1].info.member_of(ben.account)
    found = await members.membership(resources, pair.client, pair.room)
    assert [p.joined.name for p in found.proposals if p.joined] == ["Ben Ode"] and set(found.joined_at) == {
        "p1",
        "p2",
        "p3",
    }
    first = (await record.page(resources, ben, pair.room, after=-1)).entries[0]
    assert first.kind == "room.opened", "a member sees the record from the start"


async def test_nobody_is_invited_before_the_other_side_agrees_nor_by_the_side_that_did_not_propose(
    resources: Resources, pair: Pair
) -> None:
    seq = await propose(resources, pair)
    with pytest.raises(Forbidden, match="has to agree first"):
        await members.invite_approved(resources, pair.client, pair.room, seq)
    await approve(resources, pair, seq)
    with pytest.raises(Forbidden, match="client’s side proposed"):
        await members.invite_approved(resources, pair.freelancer, pair.room, seq)
    with pytest.raises(NotFound):
        await members.invite_approved(resources, pair.client, pair.room, 0)
    with pytest.raises(NotFound):
        await members.invite_approved(resources, await build_account(resources, "Eve Adams"), pair.room, seq)


async def test_a_declined_proposal_invites_nobody(resources: Resources, pair: Pair) -> None:
    seq = await propose(resources, pair)
    await record.append(resources, pair.freelancer, pair.room, "member.declined", {}, seq)
    with pytest.raises(Forbidden):
        await members.invite_approved(resources, pair.client, pair.room, seq)


async def test_an_invitation_works_once_and_a_new_one_replaces_it(resources: Resources, pair: Pair) -> None:
    seq = await agreed(resources, pair)
    first, second = await token_for(resources, pair, seq), await token_for(resources, pair, seq)
    ben, eve = await build_account(resources, "Ben Ode"), await build_account(resources, "Eve Adams")
    with pytest.raises(WorkroomError):
        await invitations.accept_invitation(resources, eve, first)
    member = await invitations.accept_invitation(resources, ben, second)
    assert (await invitations.accept_invitation(resources, ben, second)) == member, "a repeat is the same"
    with pytest.raises(LinkSpent):
        await invitations.accept_invitation(resources, eve, second)
    with pytest.raises(Conflict, match="joined already"):
        await members.invite_approved(resources, pair.client, pair.room, seq)


async def test_of_two_who_take_an_invitation_at_once_one_joins(resources: Resources, pair: Pair) -> None:
    token = await token_for(resources, pair, await agreed(resources, pair))
    people = [await build_account(resources, name) for name in ("Ben Ode", "Eve Adams")]
    outcomes = await asyncio.gather(
        *(invitations.accept_invitation(resources, each, token) for each in people), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LinkSpent", "Member"]
    assert len((await members.membership(resources, pair.client, pair.room)).room.members) == 3


async def test_an_expired_or_replaced_invitation_makes_no_account(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    seq = await agreed(resources, pair)
    replaced = await token_for(resources, pair, seq)
    token = await token_for(resources, pair, seq)
    for spent in (replaced, token):
        if spent is token:
            clock.now += 15 * 86_400_000
        with pytest.raises(LinkSpent):
            await invitations.sign_up_with_invitation(
                resources, spent, "Ben Ode", "ben@example.org", "a long enough one", Client("", "")
            )
        with pytest.raises(NotFound):
            await accounts.account_of_email(resources, "ben@example.org")


async def test_a_member_cannot_take_the_place_of_another(resources: Resources, pair: Pair) -> None:
    token = await token_for(resources, pair, await agreed(resources, pair))
    with pytest.raises(Forbidden, match="send this link to whom it is for"):
        await invitations.accept_invitation(resources, pair.client, token)


async def test_a_second_link_for_an_empty_side_adds_nobody_once_the_side_is_taken(resources: Resources) -> None:
    dana = await build_account(resources, "Dana Keller")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    tokens = [(await invitations.invite(resources, dana, room, Side.FREELANCER)).rsplit("/", 1)[1] for _ in range(2)]
    ben, eve = await build_account(resources, "Ben Ode"), await build_account(resources, "Eve Adams")
    await invitations.accept_invitation(resources, ben, tokens[0])
    with pytest.raises(Conflict, match="both sides have agreed"):
        await invitations.accept_invitation(resources, eve, tokens[1])


async def test_a_closed_workroom_takes_nobody(resources: Resources, pair: Pair) -> None:
    seq = await agreed(resources, pair)
    token = await token_for(resources, pair, seq)
    await room_closing.close_room(resources, pair.client, pair.room)
    with pytest.raises(RoomClosed):
        await members.invite_approved(resources, pair.client, pair.room, seq)
    with pytest.raises(RoomClosed):
        await invitations.accept_invitation(resources, await build_account(resources, "Ben Ode"), token)


async def test_a_mediator_reads_nothing_while_there_is_no_dispute(resources: Resources, pair: Pair) -> None:
    await record.append(resources, pair.client, pair.room, "message", {"text": "between the two of us"})
    mara = await join(resources, pair, "mediator", "Mara Lind")
    await index_missed(resources)
    for reading in (
        record.page(resources, mara, pair.room),
        record.entry(resources, mara, pair.room, 0),
        record.disclosure(resources, mara, pair.room, 0),
        record.receipt(resources, mara, pair.room, 0),
        workview.weeks(resources, mara, pair.room),
        members.membership(resources, mara, pair.room),
        record.append(resources, mara, pair.room, "message", {"text": "hello"}),
        room_closing.close_room(resources, mara, pair.room),
        invitations.invite(resources, mara, pair.room, Side.CLIENT),
    ):
        with pytest.raises(Forbidden, match="mediator of this workroom"):
            await reading
    assert await workrooms.my_rooms(resources, mara) == []
    assert await workrooms.mediated_rooms(resources, mara) == [(pair.room, "Harbour booking site")]
    assert (await search.search(resources, mara, Query((Term(("between",)),)))).hits == []
    assert await workrooms.count_unread(resources, [(mara.account, pair.room)]) == {}


async def test_a_second_freelancer_has_hours_of_their_own(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    ben = await join(resources, pair, "freelancer")
    for actor, minutes in ((pair.freelancer, 5), (ben, 3)):
        shift = await Shift(resources, actor, pair.room, clock).start("at work")
        await shift.work(minutes * MINUTE)
        await shift.frame()
        await shift.stop()
    weeks = await workview.weeks(resources, pair.client, pair.room)
    worked = {by: sum(day.documented_ms for day in days) for by, days in weeks.items()}
    assert worked == {"p2": 5 * MINUTE, "p3": 3 * MINUTE}
    clock.now += 2 * 3_600_000
    await workview.close_due_hours(resources)
    closed = [
        entry.body
        for entry in (await record.page(resources, pair.client, pair.room, limit=50)).entries
        if entry.kind == "hour.closed"
    ]
    assert {body["member"] for body in closed if body} == {"p2", "p3"}
    mine = (await tracking.hello(resources, ben)).rooms
    assert [info.id for info in mine] == [pair.room]


async def test_either_person_of_a_side_answers_for_it_and_none_answers_its_own(
    resources: Resources, pair: Pair
) -> None:
    tom = await join(resources, pair, "client", "Tom Berg")
    seq = (
        await record.append(resources, tom, pair.room, "disclosure.requested", {"to": "A board", "text": "May I?"})
    ).seq
    with pytest.raises(WorkroomError, match="not for you to answer"):
        await record.append(resources, pair.client, pair.room, "disclosure.approved", {}, seq)
    await record.append(resources, pair.freelancer, pair.room, "disclosure.approved", {}, seq)
