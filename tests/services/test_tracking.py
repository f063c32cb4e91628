"""Sessions, ticks and seeds as trackers report them, on both databases."""

from __future__ import annotations

import uuid
from hashlib import sha256

import pytest

from app.domain.errors import (
    ClockSkew,
    Conflict,
    Malformed,
    NotMember,
    OutsideSession,
    UnknownSession,
)
from app.domain.live import Cell, CellChanged, CellState, TrackerChanged
from app.domain.record import base64url_bytes
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS, instant_text, segment_of, segment_start, utc_day
from app.services import record, tracking, workview
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.services.ticks import TickReport
from tests.builders import Pair, build_pair
from tests.published import Published
from tests.work import MINUTE, Shift


@pytest.fixture
async def pair(resources: Resources, clock: ManualClock) -> Pair:
    clock.now = segment_start(segment_of(clock.now))  # stories begin with a segment
    return await build_pair(resources)


async def cell_of(resources: Resources, pair: Pair, at: int) -> Cell:
    (cell,) = await workview.cells(resources, pair.room, {"p2": [segment_of(at)]})
    return cell


# Seeds


async def test_seeds_are_committed_before_they_are_given_out(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    welcome = await tracking.hello(resources, pair.freelancer)
    assert [info.id for info in welcome.rooms] == [pair.room]
    given = welcome.seeds[pair.room]
    assert list(given) == [utc_day(clock.now + n * DAY_MS) for n in range(14)]
    (entry,) = published.entries("tracking.seeds")
    assert entry.body is not None and entry.body["member"] == "p2"
    for commitment in entry.body["seeds"]:
        assert base64url_bytes(commitment["sha256"]) == sha256(given[commitment["day"]]).digest()


async def test_a_second_hello_draws_nothing_anew(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    first = await tracking.hello(resources, pair.freelancer)
    assert await tracking.hello(resources, pair.freelancer) == first
    clock.now += DAY_MS
    later = await tracking.hello(resources, pair.freelancer)
    assert len(later.seeds[pair.room]) == 14
    assert {**first.seeds[pair.room], **later.seeds[pair.room]}.items() >= first.seeds[pair.room].items()
    assert [len(e.body["seeds"]) for e in published.entries("tracking.seeds") if e.body] == [14, 1]


async def test_a_client_gets_no_seeds(resources: Resources, pair: Pair) -> None:
    welcome = await tracking.hello(resources, pair.client)
    assert (welcome.rooms, welcome.seeds) == ([], {})


async def test_a_seed_is_revealed_once_when_its_day_is_over(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    given = (await tracking.hello(resources, pair.freelancer)).seeds[pair.room]
    assert await workview.reveal_seeds(resources) == 0
    clock.now += 2 * DAY_MS
    assert await workview.reveal_seeds(resources) == 2
    assert await workview.reveal_seeds(resources) == 0
    revealed = {
        e.body["day"]: base64url_bytes(e.body["seed"]) for e in published.entries("tracking.seed_revealed") if e.body
    }
    assert revealed == {day: given[day] for day in list(given)[:2]}


# Sessions


async def test_a_repeated_start_writes_nothing_twice(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start("Booking form")
    await shift.start("Booking form")
    (entry,) = published.entries("tracking.started")
    assert entry.body == {
        "member": "p2", "session": shift.id, "device": "desk", "at": instant_text(clock.now),
        "work_view": True, "comment": "Booking form",
    }  # fmt: skip
    (event,) = published.of(TrackerChanged)
    assert (event.state.by, event.state.on, event.state.comment) == ("p2", True, "Booking form")


async def test_only_a_freelancer_of_the_room_can_start(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    for actor, room in ((pair.client, pair.room), (pair.freelancer, "0" * 26), (pair.freelancer, "no room")):
        with pytest.raises(NotMember):
            await Shift(resources, actor, room, clock).start()


async def test_a_start_in_the_future_is_refused_and_one_in_the_past_is_not(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    shift = Shift(resources, pair.freelancer, pair.room, clock)
    with pytest.raises(ClockSkew):
        await shift.start(at=clock.now + 3 * MINUTE)
    await shift.start(at=clock.now - 7 * DAY_MS)


async def test_a_session_id_that_is_taken_is_a_conflict(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    other = await build_pair(resources, "Second job")
    taken = Shift(resources, pair.freelancer, other.room, clock)
    taken.id = shift.id
    with pytest.raises(Conflict):
        await taken.start()


async def test_starting_elsewhere_stops_the_first_session(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    first = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await first.work(5 * MINUTE)
    other = await build_pair(resources, "Second job")
    await Shift(resources, pair.freelancer, other.room, clock).start()
    (stopped,) = published.entries("tracking.stopped")
    assert stopped.room == pair.room
    assert stopped.body == {
        "member": "p2", "session": first.id, "at": instant_text(clock.now), "reason": "elsewhere",
    }  # fmt: skip
    states = {event.room: event.state.on for event in published.of(TrackerChanged)}
    assert states == {pair.room: False, other.room: True}
    with pytest.raises(OutsideSession):
        await tracking.tick(resources, pair.freelancer, first.id, clock.now, clock.now + MINUTE, True)


async def test_a_stop_comes_twice_and_counts_once(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await shift.work(3 * MINUTE)
    await shift.stop()
    await shift.stop(clock.now + MINUTE)
    (entry,) = published.entries("tracking.stopped")
    assert entry.body is not None and (entry.body["reason"], entry.body["at"]) == ("stopped", instant_text(shift.at))


async def test_a_session_without_a_tick_for_a_day_is_stopped_at_its_last_one_and_goes_on_if_more_come(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await shift.work(10 * MINUTE)
    last = shift.at
    assert await workview.stop_silent(resources) == 0
    clock.now += 3 * DAY_MS
    assert await workview.stop_silent(resources) == 1
    assert await workview.stop_silent(resources) == 0
    (stopped,) = published.entries("tracking.stopped")
    assert stopped.body is not None and (stopped.body["reason"], stopped.body["at"]) == ("silent", instant_text(last))
    await shift.work(5 * MINUTE, keep_clock=True)  # it was offline, and comes back with what it stored
    await shift.stop()
    (resumed,) = published.entries("tracking.resumed")
    assert resumed.body is not None and (resumed.body["at"], resumed.body["gap_ms"]) == (instant_text(last), 0)
    assert [e.body["reason"] for e in published.entries("tracking.stopped") if e.body] == ["silent", "stopped"]
    assert (await cell_of(resources, pair, last)).documented_ms == 12 * MINUTE


async def test_work_view_is_switched_once_however_often_it_is_said(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    for _ in range(2):
        await tracking.work_view(resources, pair.freelancer, shift.id, False, clock.now)
        await tracking.work_view(resources, pair.freelancer, shift.id, True, clock.now + 1_000)
    assert [entry.body["on"] for entry in published.entries("tracking.work_view") if entry.body] == [False, True]
    assert published.of(TrackerChanged)[-1].state.work_view


# Ticks


async def test_ticks_fill_the_cell_live_and_by_class(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start("Booking form")
    start = clock.now
    await shift.work(4 * MINUTE)
    await shift.work(3 * MINUTE, documented=False)
    cell = await cell_of(resources, pair, start)
    assert (cell.state, cell.documented_ms, cell.tracked_ms) == (CellState.RUNNING, 4 * MINUTE, 3 * MINUTE)
    assert cell.comment == "Booking form"
    assert published.of(CellChanged)[-1].cell == cell
    assert published.of(TrackerChanged)[-1].state.today_ms == 7 * MINUTE
    assert published.entries("tracking.paused") == []


async def test_a_repeated_tick_counts_once(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    start = clock.now
    for _ in range(3):
        await tracking.tick(resources, pair.freelancer, shift.id, start, start + MINUTE, True)
    await tracking.tick(resources, pair.freelancer, shift.id, start + 30_000, start + 90_000, True)
    assert (await cell_of(resources, pair, start)).documented_ms == 90_000


@pytest.mark.parametrize(
    ("start", "end", "error"),
    [
        (0, 61_000, Malformed),
        (0, 0, Malformed),
        (-MINUTE, -1, OutsideSession),
        (SEGMENT_MS - 1_000, SEGMENT_MS + 1_000, Malformed),
        (2 * MINUTE + 1_000, 3 * MINUTE, ClockSkew),
    ],
)
async def test_a_wrong_tick_is_refused_and_the_others_of_its_batch_are_not(
    resources: Resources, pair: Pair, clock: ManualClock, start: int, end: int, error: type[Exception]
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    reports = [
        TickReport(clock.now, clock.now + MINUTE, True),
        TickReport(clock.now + start, clock.now + end, True),
        TickReport(clock.now + MINUTE, clock.now + 2 * MINUTE, True),
    ]
    refusals = await tracking.ticks(resources, pair.freelancer, shift.id, reports)
    assert [type(refusal) for refusal in refusals] == [type(None), error, type(None)]
    assert (await cell_of(resources, pair, clock.now)).documented_ms == 2 * MINUTE


async def test_a_session_belongs_to_its_account(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    for actor, session in ((pair.client, shift.id), (pair.freelancer, str(uuid.uuid4()))):
        with pytest.raises(UnknownSession):
            await tracking.tick(resources, actor, session, clock.now, clock.now + MINUTE, True)
    with pytest.raises(Malformed):
        await tracking.tick(resources, pair.freelancer, "no uuid", clock.now, clock.now + MINUTE, True)


async def test_a_gap_is_written_once_and_not_counted(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    start = clock.now
    await shift.work(2 * MINUTE)
    shift.at += 5 * MINUTE
    again = shift.at
    await shift.work(MINUTE)
    shift.at = again
    await shift.work(MINUTE)  # the same tick again
    (paused,), (resumed,) = published.entries("tracking.paused"), published.entries("tracking.resumed")
    assert paused.body is not None and paused.body["at"] == instant_text(start + 2 * MINUTE)
    assert resumed.body is not None
    assert (resumed.body["at"], resumed.body["gap_ms"]) == (instant_text(again), 5 * MINUTE)
    assert (await cell_of(resources, pair, start)).documented_ms == 3 * MINUTE


async def test_frames_that_wait_in_the_tracker_show_in_their_cells(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    start, segment = clock.now, segment_of(clock.now)
    await tracking.tick(resources, pair.freelancer, shift.id, start, start + MINUTE, True, (segment,))
    assert (await cell_of(resources, pair, start)).state is CellState.WAITING
    await tracking.tick(resources, pair.freelancer, shift.id, start + MINUTE, start + 2 * MINUTE, True)
    assert (await cell_of(resources, pair, start)).state is CellState.RUNNING


async def test_discarded_time_does_not_come_back_with_a_late_tick(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    start = clock.now
    await shift.work(6 * MINUTE)
    for _ in range(2):
        await tracking.discard(resources, pair.freelancer, shift.id, start + MINUTE, start + 5 * MINUTE)
    await tracking.tick(resources, pair.freelancer, shift.id, start + 2 * MINUTE, start + 3 * MINUTE, True)
    assert (await cell_of(resources, pair, start)).documented_ms == 2 * MINUTE
    assert len(published.entries("tracking.discarded")) == 1


async def test_where_two_offline_devices_overlap_time_counts_where_the_session_started_first(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    start = clock.now
    clock.now += HOUR_MS
    other = await build_pair(resources, "Second job")
    late = await Shift(resources, pair.freelancer, other.room, clock).start(at=start + 2 * MINUTE)
    await late.work(6 * MINUTE, keep_clock=True)  # the one that began later arrives first
    assert (await cell_of(resources, other, start)).documented_ms == 6 * MINUTE
    early = await Shift(resources, pair.freelancer, pair.room, clock).start(at=start)
    await early.work(5 * MINUTE, keep_clock=True)
    assert (await cell_of(resources, pair, start)).documented_ms == 5 * MINUTE
    assert (await cell_of(resources, other, start)).documented_ms == 3 * MINUTE
    await late.stop()
    await early.stop()


async def test_a_device_that_began_before_and_comes_back_is_stopped_when_it_reaches_the_present(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    start = clock.now
    clock.now += HOUR_MS
    other = await build_pair(resources, "Second job")
    await Shift(resources, pair.freelancer, other.room, clock).start(at=start + 30 * MINUTE)
    early = await Shift(resources, pair.freelancer, pair.room, clock).start(at=start)
    await early.work(20 * MINUTE, keep_clock=True)
    assert published.entries("tracking.stopped") == []
    await early.work(40 * MINUTE, keep_clock=True)
    (stopped,) = published.entries("tracking.stopped")
    assert stopped.body is not None and (stopped.body["session"], stopped.body["reason"]) == (early.id, "elsewhere")


# Comments


async def test_the_last_comment_for_a_segment_is_shown_and_all_stay(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start("Booking form")
    start, segment = clock.now, segment_of(clock.now)
    await shift.work(20 * MINUTE)
    for text in ("Form: dates", "Form: dates and guests"):
        await tracking.comment(resources, pair.freelancer, str(uuid.uuid4()), shift.id, segment, segment, text)
    cell, after = await cell_of(resources, pair, start), await cell_of(resources, pair, start + SEGMENT_MS)
    assert (cell.comment, after.comment) == ("Form: dates and guests", "Booking form")
    written = published.entries("comment")
    assert [entry.by for entry in written] == ["p2", "p2"] and cell.comment_seq == written[1].seq


async def test_a_comment_from_the_page_is_the_same_as_one_from_the_tracker(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await shift.work(MINUTE)
    segment = segment_of(clock.now)
    body = {"text": "From the page", "from_segment": segment, "to_segment": segment}
    await record.append(resources, pair.freelancer, pair.room, "comment", body)
    assert (await cell_of(resources, pair, clock.now)).comment == "From the page"


async def test_what_a_tracker_writes_holds_no_control_characters_either(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    shift = Shift(resources, pair.freelancer, pair.room, clock)
    with pytest.raises(Malformed) as caught:
        await shift.start("Booking\x00form")
    assert caught.value.field == "comment"
    await shift.start("Booking form")
    segment = segment_of(clock.now)
    with pytest.raises(Malformed, match=r"U\+0000"):
        await tracking.comment(
            resources, pair.freelancer, str(uuid.uuid4()), shift.id, segment, segment, "Booking\x00form"
        )


async def test_a_comment_sent_twice_is_written_once(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    segment, id = segment_of(clock.now), str(uuid.uuid4())
    for _ in range(2):
        await tracking.comment(resources, pair.freelancer, id, shift.id, segment, segment, "Form")
    with pytest.raises(Conflict):
        await tracking.comment(resources, pair.freelancer, id, shift.id, segment, segment, "Another")
    assert len(published.entries("comment")) == 1
    with pytest.raises(Malformed):
        await tracking.comment(
            resources, pair.freelancer, str(uuid.uuid4()), shift.id, segment, segment + 10**9, "For ever"
        )


# Silence


async def test_a_tracker_that_says_nothing_for_90_s_is_shown_as_silent(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await tracking.find_silent(resources)
    assert not published.of(TrackerChanged)[-1].state.silent
    clock.now += 91_000
    await tracking.find_silent(resources)
    assert published.of(TrackerChanged)[-1].state.silent
    count = len(published.of(TrackerChanged))
    await tracking.find_silent(resources)
    assert len(published.of(TrackerChanged)) == count
    await shift.work(MINUTE)
    assert not published.of(TrackerChanged)[-1].state.silent
