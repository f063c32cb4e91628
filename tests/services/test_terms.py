"""Terms, milestones, deliveries, delays and vacations as services see them, on both databases."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.domain.errors import Forbidden, InvalidBody, NotFound, OthersToAnswer
from app.domain.jobs import JobState
from app.domain.live import Appended, RoomChanged
from app.domain.matters import MatterState
from app.domain.record import Entry
from app.domain.terms import Milestone, MilestoneState, TermsInForce
from app.domain.timerange import DAY_MS
from app.domain.workrooms import RoomState, Side
from app.services import absences, jobs, matters, proposals, record, terms, workrooms
from app.services.access import Actor, room_info
from app.services.clock import ManualClock
from app.services.proposals import NewProposal
from app.services.resources import Resources
from app.services.writing import answer_silences
from tests.agreements import agree, build_working, write
from tests.bodies import day, fixed_terms, hourly_terms
from tests.builders import Pair, build_account, build_pair
from tests.published import Published


async def held(resources: Resources, pair: Pair, moment: int, member: str = "p2") -> TermsInForce:
    found = await terms.terms_at(resources, pair.room, member, moment)
    assert found is not None
    return found


async def state_of(resources: Resources, entry: Entry) -> MatterState:
    return (await matters.states_of(resources, entry.room, [entry]))[entry.seq].state


async def listed(resources: Resources, pair: Pair) -> dict[str, Milestone]:
    return {m.key: m for m in (await terms.terms_of_room(resources, pair.client, pair.room)).milestones}


async def refused(resources: Resources, actor: Actor, room: str, kind: str, ref: int | None = None, **body: Any) -> str:
    """Write what must be refused for a field; return which. Nothing is written."""
    before = (await record.page(resources, actor, room, limit=1)).head
    with pytest.raises((InvalidBody, Forbidden)) as caught:
        await write(resources, actor, room, kind, ref, **body)
    assert (await record.page(resources, actor, room, limit=1)).head == before
    return caught.value.field or ""


# Terms


async def test_the_first_terms_begin_the_work_and_hold_at_once(
    resources: Resources, clock: ManualClock, published: Published
) -> None:
    pair = await build_pair(resources)
    assert await terms.terms_at(resources, pair.room, "p2", clock.now) is None
    accepted = await agree(resources, pair, time_zone="Asia/Tokyo", work_view=False)
    info = await room_info(resources, pair.room)
    assert (info.state, info.time_zone, info.work_view) == (RoomState.ACTIVE, "Asia/Tokyo", False)
    assert [event.info for event in published.of(RoomChanged)] == [info]
    assert [entry.seq for entry in published.entries("room.activated")] == [accepted.seq + 1]
    now = await held(resources, pair, clock.now)
    assert (now.time_zone, now.weekly_limit_hours, now.what.rate_minor) == ("Asia/Tokyo", 20, 4550)
    assert (now.terms.version, now.terms.seq, now.terms.accepted_seq) == (1, accepted.ref, accepted.seq)
    assert await terms.terms_at(resources, pair.room, "p2", accepted.at - 1) is None


async def test_of_later_terms_the_rate_holds_at_once_and_zone_and_limit_from_monday(
    resources: Resources, clock: ManualClock, published: Published
) -> None:
    pair = await build_working(resources, time_zone="UTC", weekly_limit_hours=20)
    await agree(resources, pair, time_zone="Europe/Lisbon", weekly_limit_hours=30, rate_minor=5000, work_view=False)
    now = await held(resources, pair, clock.now)
    assert (now.what.rate_minor, now.what.work_view) == (5000, False)
    assert (now.time_zone, now.weekly_limit_hours) == ("UTC", 20)
    info = await room_info(resources, pair.room)
    assert (info.time_zone, info.work_view) == ("UTC", False)
    monday = now.week.to_at
    later = await held(resources, pair, monday)
    assert (later.time_zone, later.weekly_limit_hours, later.week.monday) == ("Europe/Lisbon", 30, date(2026, 9, 28))
    published.events.clear()
    clock.now = monday - 1
    assert await terms.apply_due_terms(resources) == 0
    clock.now = monday
    assert await terms.apply_due_terms(resources) == 1
    assert await terms.apply_due_terms(resources) == 0
    assert [event.info.time_zone for event in published.of(RoomChanged)] == ["Europe/Lisbon"]
    assert (await room_info(resources, pair.room)).time_zone == "Europe/Lisbon"


async def test_every_version_is_kept_with_both_its_entries(resources: Resources) -> None:
    pair = await build_working(resources)
    second = await agree(resources, pair, rate_minor=5000)
    versions = await terms.versions_of(resources, pair.freelancer, pair.room, "p2")
    assert [(v.version, v.what.rate_minor) for v in versions] == [(1, 4550), (2, 5000)]
    assert (versions[1].seq, versions[1].accepted_seq) == (second.ref, second.seq)
    stranger = await build_account(resources, "Sam Stone")
    with pytest.raises(NotFound):
        await terms.versions_of(resources, stranger, pair.room, "p2")


async def test_a_newer_proposal_of_the_same_side_takes_the_place_of_the_older(
    resources: Resources, published: Published
) -> None:
    pair = await build_pair(resources)
    first = await write(resources, pair.client, pair.room, "terms.proposed")
    counter = await write(resources, pair.freelancer, pair.room, "terms.proposed", rate_minor=6000)
    assert await state_of(resources, first) is MatterState.OPEN  # a counter-proposal leaves it
    second = await write(resources, pair.client, pair.room, "terms.proposed", rate_minor=5000)
    assert await state_of(resources, first) is MatterState.WITHDRAWN
    assert await state_of(resources, counter) is MatterState.OPEN
    (told,) = [event for event in published.of(Appended) if event.entry.seq == second.seq]
    assert {m.seq: m.state for m in told.matters} == {
        first.seq: MatterState.WITHDRAWN, second.seq: MatterState.OPEN,
    }  # fmt: skip
    accepted = await write(resources, pair.client, pair.room, "terms.accepted", counter.seq)
    assert await state_of(resources, second) is MatterState.WITHDRAWN
    (told,) = [event for event in published.of(Appended) if event.entry.seq == accepted.seq]
    assert {m.seq: m.state for m in told.matters} == {
        counter.seq: MatterState.ACCEPTED, second.seq: MatterState.WITHDRAWN,
    }  # fmt: skip
    assert (await held(resources, pair, accepted.at)).what.rate_minor == 6000


async def test_proposals_are_about_a_freelancer_of_the_room(resources: Resources) -> None:
    pair = await build_pair(resources)
    other = await build_account(resources, "Bo Lind")
    await workrooms.join(resources, other.account, pair.room, Side.FREELANCER)  # p3
    for kind in ("terms.proposed", "milestone.proposed", "work_view.requested"):
        if kind == "terms.proposed":
            assert await refused(resources, pair.client, pair.room, kind, member="p1") == "body.member"
            assert await refused(resources, pair.client, pair.room, kind, member="p9") == "body.member"
            assert await refused(resources, other, pair.room, kind, member="p2") == "body.member"
    assert await refused(resources, pair.client, pair.room, "terms.proposed", currency="XYZ") == "body.currency"
    mine = await write(resources, other, pair.room, "terms.proposed", member="p3")
    with pytest.raises(OthersToAnswer):
        await write(resources, pair.freelancer, pair.room, "terms.withdrawn", mine.seq)
    await write(resources, other, pair.room, "terms.withdrawn", mine.seq)


async def test_a_second_freelancer_has_terms_of_their_own_and_the_room_keeps_its_zone(
    resources: Resources, clock: ManualClock
) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon", work_view=False)
    other = await build_account(resources, "Bo Lind")
    await workrooms.join(resources, other.account, pair.room, Side.FREELANCER)
    body = hourly_terms(member="p3", time_zone="Asia/Tokyo")
    proposed = await record.append(resources, pair.client, pair.room, "terms.proposed", body)
    with pytest.raises(OthersToAnswer):
        await write(resources, pair.freelancer, pair.room, "terms.accepted", proposed.seq)
    await write(resources, other, pair.room, "terms.accepted", proposed.seq)
    info = await room_info(resources, pair.room)
    assert (info.time_zone, info.work_view) == ("Europe/Lisbon", True)
    assert (await held(resources, pair, clock.now, "p3")).time_zone == "Asia/Tokyo"
    assert (await held(resources, pair, clock.now, "p2")).time_zone == "Europe/Lisbon"
    clock.now += 8 * DAY_MS
    assert await terms.apply_due_terms(resources) == 0


async def test_terms_that_nobody_answers_lapse_and_change_nothing(resources: Resources, clock: ManualClock) -> None:
    pair = await build_pair(resources)
    proposed = await write(resources, pair.client, pair.room, "terms.proposed")
    clock.now += 14 * DAY_MS
    assert await answer_silences(resources) == 1
    assert await state_of(resources, proposed) is MatterState.DECLINED
    assert (await room_info(resources, pair.room)).state is RoomState.NEGOTIATING


async def test_an_award_is_told_to_the_other_workrooms_of_the_job(resources: Resources) -> None:
    client, ana, bo = [await build_account(resources, name) for name in ("Dana Keller", "Ana Novak", "Bo Lind")]
    form = {
        "title": "Harbour map", "description": "A map of all berths.", "pay": "hourly", "currency": "EUR", "low": "40",
        "high": "60", "visible_to": "everybody", "time_zone": "UTC", "skills": "maps",
    }  # fmt: skip
    job = await jobs.post_job(resources, client, jobs.offer_of(resources, form))
    opened = []
    for actor in (ana, bo):
        typed = NewProposal(text="I have made two of these.", amount="48", soon="week", version=1)
        sent = await proposals.send_proposal(resources, actor, job, typed)
        opened.append(await proposals.open_messages(resources, client, sent))
    first, second = opened
    await agree(resources, Pair(first, client, ana))
    told = (await record.page(resources, bo, second, limit=1)).entries[0]
    assert (told.kind, told.by) == ("room.job_awarded", "sys")
    assert (await jobs.job_view(resources, client, job)).job.state is JobState.AWARDED
    await agree(resources, Pair(first, client, ana), rate_minor=5000)
    assert (await record.page(resources, bo, second, limit=1)).head == told.seq


# Work View


async def test_work_view_is_asked_for_and_accepted_with_one_click(resources: Resources) -> None:
    pair = await build_working(resources, work_view=False)
    asked = await write(resources, pair.client, pair.room, "work_view.requested")
    assert await refused(resources, pair.client, pair.room, "work_view.requested") == "body.member"
    accepted = await write(resources, pair.freelancer, pair.room, "work_view.accepted", asked.seq)
    now = await held(resources, pair, accepted.at)
    assert (now.what.work_view, now.terms.version, now.terms.seq) == (True, 2, asked.seq)
    assert (await room_info(resources, pair.room)).work_view
    assert await refused(resources, pair.client, pair.room, "work_view.requested") == "body.member"


async def test_declining_work_view_changes_nothing(resources: Resources) -> None:
    pair = await build_working(resources, work_view=False)
    before = await room_info(resources, pair.room)
    asked = await write(resources, pair.client, pair.room, "work_view.requested")
    declined = await write(resources, pair.freelancer, pair.room, "work_view.declined", asked.seq)
    assert (await held(resources, pair, declined.at)).terms.version == 1
    assert await room_info(resources, pair.room) == before


async def test_before_there_are_terms_work_view_is_asked_for_in_them(resources: Resources) -> None:
    pair = await build_pair(resources)
    assert await refused(resources, pair.client, pair.room, "work_view.requested") == "body.member"


# Milestones and deliveries


async def test_a_milestone_is_proposed_and_accepted_into_the_terms(resources: Resources) -> None:
    pair = await build_working(resources, pay="fixed")
    asked = await write(resources, pair.freelancer, pair.room, "milestone.proposed")
    accepted = await write(resources, pair.client, pair.room, "milestone.accepted", asked.seq)
    now = await held(resources, pair, accepted.at)
    assert ([m.key for m in now.what.milestones], now.terms.seq) == (["m1", "m2", "m3"], asked.seq)
    stored = await listed(resources, pair)
    assert (stored["m3"].seq, stored["m3"].state, stored["m3"].amount_minor) == (
        accepted.seq, MilestoneState.AGREED, 50_000,
    )  # fmt: skip
    assert stored["m1"].seq < asked.seq  # what did not change keeps its entry
    assert await refused(resources, pair.client, pair.room, "milestone.proposed", key="m9") == "body.key"
    changed = await write(resources, pair.client, pair.room, "milestone.proposed", key="m1", name="Design, all of it")
    await write(resources, pair.freelancer, pair.room, "milestone.accepted", changed.seq)
    assert (await listed(resources, pair))["m1"].name == "Design, all of it"


async def test_milestones_belong_to_a_fixed_price(resources: Resources) -> None:
    pair = await build_working(resources)
    assert await refused(resources, pair.client, pair.room, "milestone.proposed") == "body.member"


async def test_of_two_proposals_for_a_milestone_one_is_accepted(resources: Resources) -> None:
    pair = await build_working(resources, pay="fixed")
    mine = await write(resources, pair.client, pair.room, "milestone.proposed", name="Map")
    theirs = await write(resources, pair.freelancer, pair.room, "milestone.proposed", name="Map and list")
    newer = await write(resources, pair.client, pair.room, "milestone.proposed", name="Map again")
    other = await write(resources, pair.client, pair.room, "milestone.proposed", key="m2")
    assert await state_of(resources, mine) is MatterState.WITHDRAWN
    await write(resources, pair.client, pair.room, "milestone.accepted", theirs.seq)
    states = [await state_of(resources, entry) for entry in (theirs, newer, other)]
    assert states == [MatterState.ACCEPTED, MatterState.WITHDRAWN, MatterState.OPEN]


async def test_a_milestone_goes_from_agreed_to_accepted_by_its_deliveries(resources: Resources) -> None:
    pair = await build_working(resources, pay="fixed")
    room, ana, dana = pair.room, pair.freelancer, pair.client
    first = await write(resources, ana, room, "deliverable", milestone="m1")
    assert (await listed(resources, pair))["m1"].state is MilestoneState.DELIVERED
    assert await refused(resources, ana, room, "deliverable", milestone="m1") == "body.milestone"
    await write(resources, dana, room, "deliverable.changes_requested", first.seq)
    assert (await listed(resources, pair))["m1"].state is MilestoneState.AGREED
    again = await write(resources, ana, room, "deliverable", milestone="m1")
    accepted = await write(resources, dana, room, "deliverable.accepted", again.seq)
    stored = (await listed(resources, pair))["m1"]
    assert (stored.state, stored.seq) == (MilestoneState.ACCEPTED, accepted.seq)
    assert await refused(resources, ana, room, "deliverable", milestone="m1") == "body.milestone"
    assert await refused(resources, ana, room, "deliverable", milestone="m7") == "body.milestone"
    assert await refused(resources, dana, room, "milestone.proposed", key="m1") == "body.key"


async def test_a_delivery_that_nobody_answers_is_accepted(resources: Resources, clock: ManualClock) -> None:
    pair = await build_working(resources, pay="fixed")
    await write(resources, pair.freelancer, pair.room, "deliverable", milestone="m1")
    clock.now += 14 * DAY_MS
    assert await answer_silences(resources) == 1
    assert (await listed(resources, pair))["m1"].state is MilestoneState.ACCEPTED


async def test_what_was_delivered_stands_in_new_terms(resources: Resources) -> None:
    pair = await build_working(resources, pay="fixed")
    cheaper = fixed_terms()["milestones"]
    cheaper[0] = {**cheaper[0], "amount_minor": 1}
    early = await record.append(resources, pair.client, pair.room, "terms.proposed", fixed_terms(milestones=cheaper))
    await write(resources, pair.freelancer, pair.room, "deliverable", milestone="m1")
    again = {"pay": "fixed", "currency": "EUR", "time_zone": "UTC", "work_view": False}
    with pytest.raises(InvalidBody) as caught:
        await record.append(
            resources, pair.freelancer, pair.room, "terms.proposed",
            {"member": "p2", **again, "milestones": cheaper},
        )  # fmt: skip
    assert caught.value.field == "body.milestones.0.amount_minor"
    assert await refused(resources, pair.freelancer, pair.room, "terms.accepted", early.seq) == (
        "milestones.0.amount_minor"
    )
    assert await state_of(resources, early) is MatterState.OPEN
    kept = fixed_terms(time_zone="UTC")
    kept["milestones"][1] = {**kept["milestones"][1], "amount_minor": 5}
    proposed = await record.append(resources, pair.client, pair.room, "terms.proposed", kept)
    await write(resources, pair.freelancer, pair.room, "terms.accepted", proposed.seq)
    stored = await listed(resources, pair)
    assert (stored["m1"].state, stored["m2"].amount_minor) == (MilestoneState.DELIVERED, 5)


# Delays


async def test_an_accepted_delay_moves_the_dates_that_it_names(resources: Resources) -> None:
    pair = await build_working(resources, pay="fixed")
    moves = [{"milestone": "m1", "due_on": day(20)}, {"milestone": "m2", "due_on": day(50)}]
    asked = await write(resources, pair.freelancer, pair.room, "delay", moves=moves)
    await write(resources, pair.freelancer, pair.room, "deliverable", milestone="m1")
    accepted = await write(resources, pair.client, pair.room, "delay.accepted", asked.seq)
    now = await held(resources, pair, accepted.at)
    assert [m.due_on for m in now.what.milestones] == [day(20), day(50)]
    assert (now.terms.version, now.terms.seq) == (2, asked.seq)
    stored = await listed(resources, pair)
    assert {key: m.due_on for key, m in stored.items()} == {"m1": day(20), "m2": day(50)}
    assert stored["m1"].state is MilestoneState.DELIVERED


async def test_a_delay_names_milestones_that_can_be_late(resources: Resources) -> None:
    pair = await build_working(resources, pay="fixed")
    made = await write(resources, pair.freelancer, pair.room, "deliverable", milestone="m1")
    late = [{"milestone": "m1", "due_on": day(20)}]
    asked = await write(resources, pair.freelancer, pair.room, "delay", moves=late)
    await write(resources, pair.client, pair.room, "deliverable.accepted", made.seq)
    assert await refused(resources, pair.freelancer, pair.room, "delay", moves=late) == "body.moves.0.milestone"
    none = [{"milestone": "m8", "due_on": day(20)}]
    assert await refused(resources, pair.client, pair.room, "delay", moves=none) == "body.moves.0.milestone"
    accepted = await write(resources, pair.client, pair.room, "delay.accepted", asked.seq)
    assert (await held(resources, pair, accepted.at)).terms.version == 1  # it was accepted meanwhile: nothing moves


async def test_a_delay_moves_dates_later_and_never_into_the_past(resources: Resources, clock: ManualClock) -> None:
    pair = await build_working(resources, pay="fixed")
    for due_on in (day(13), day(14), day(-1)):
        moves = [{"milestone": "m2", "due_on": day(50)}, {"milestone": "m1", "due_on": due_on}]
        assert await refused(resources, pair.freelancer, pair.room, "delay", moves=moves) == "body.moves.1.due_on"
    clock.now += 20 * DAY_MS  # the first milestone is late by now
    late = [{"milestone": "m1", "due_on": day(16)}]
    assert await refused(resources, pair.freelancer, pair.room, "delay", moves=late) == "body.moves.0.due_on"
    await write(resources, pair.freelancer, pair.room, "delay", moves=[{"milestone": "m1", "due_on": day(21)}])


async def test_new_dates_of_milestones_lie_not_in_the_past_and_old_ones_may(
    resources: Resources, clock: ManualClock
) -> None:
    pair = await build_pair(resources)
    past = fixed_terms()["milestones"]
    past[1]["due_on"] = day(-1)
    refusal = await refused(resources, pair.client, pair.room, "terms.proposed", pay="fixed", **_fixed(past))
    assert refusal == "body.milestones.1.due_on"
    await agree(resources, pair, pay="fixed")
    clock.now += 20 * DAY_MS
    named: dict[str, Any] = {"key": "m1", "name": "Design, all of it"}
    await write(resources, pair.client, pair.room, "milestone.proposed", **named, due_on=day(14))
    assert (
        await refused(resources, pair.client, pair.room, "milestone.proposed", **named, due_on=day(15)) == "body.due_on"
    )
    assert await refused(resources, pair.client, pair.room, "milestone.proposed", due_on=day(19)) == "body.due_on"
    await write(resources, pair.client, pair.room, "milestone.proposed", due_on=day(20))
    await record.append(resources, pair.client, pair.room, "terms.proposed", fixed_terms(text="The rest stands."))


def _fixed(milestones: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what `hourly_terms` needs changed to be terms at a fixed price."""
    changed = {"rate_minor": None, "weekly_limit_hours": None, "manual_time": False, "blur_max": 0}
    return {**changed, "milestones": milestones}


async def test_a_delay_of_the_client_s_moves_dates_too_and_silence_leaves_them(
    resources: Resources, clock: ManualClock
) -> None:
    pair = await build_working(resources, pay="fixed")
    late = [{"milestone": "m2", "due_on": day(60)}]
    asked = await write(resources, pair.client, pair.room, "delay", moves=late)
    await write(resources, pair.freelancer, pair.room, "delay.accepted", asked.seq)
    assert (await listed(resources, pair))["m2"].due_on == day(60)
    later = [{"milestone": "m2", "due_on": day(90)}]
    await write(resources, pair.freelancer, pair.room, "delay", moves=later)
    clock.now += 5 * DAY_MS
    assert await answer_silences(resources) == 1
    assert (await listed(resources, pair))["m2"].due_on == day(60)


# Vacations


async def test_a_vacation_is_whole_days_of_the_room_from_today_on(resources: Resources, clock: ManualClock) -> None:
    pair = await build_working(resources, time_zone="America/New_York")
    assert await refused(resources, pair.client, pair.room, "availability", from_on=day(-1)) == "body.from_on"
    first = await write(resources, pair.client, pair.room, "availability", from_on=day(0), until_on=day(0))
    second = await write(resources, pair.freelancer, pair.room, "availability", from_on=day(40), until_on=day(42))
    found = await absences.of(resources, pair.client, pair.room)
    assert [(a.by, a.seq, str(a.from_on), str(a.until_on)) for a in found] == [
        ("p1", first.seq, day(0), day(0)), ("p2", second.seq, day(40), day(42)),
    ]  # fmt: skip
    assert found[0].to_at - found[0].from_at == DAY_MS
    with pytest.raises(NotFound):
        await absences.of(resources, await build_account(resources, "Sam Stone"), pair.room)
