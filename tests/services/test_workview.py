"""Hours that close, days as a page shows them, and what a replay says of cells, on both databases."""

from __future__ import annotations

import uuid
from datetime import date

import pytest

from app.domain.errors import Malformed, NotFound
from app.domain.live import Appended, CellState
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS, hour_of_segment, segment_of, segments_of_hour
from app.services import frames, record, tracking, workview
from app.services.access import room_info
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.builders import Pair, build_account, build_pair
from tests.published import Published
from tests.work import MINUTE, Shift, picture


@pytest.fixture
async def pair(resources: Resources, clock: ManualClock) -> Pair:
    clock.now = clock.now // HOUR_MS * HOUR_MS  # stories begin with an hour
    return await build_pair(resources)


async def work_an_hour(shift: Shift, frames_of: range = range(5)) -> None:
    """Work from one full hour to the next, with frames for some of its segments."""
    for number in range(5):
        await shift.work(SEGMENT_MS)
        if number in frames_of:
            await shift.frame(taken_at=shift.at - MINUTE, data=picture(number))


# Hours


async def test_an_hour_closes_as_soon_as_the_tracker_is_past_it_and_all_frames_are_there(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start("Booking form")
    hour = clock.now // HOUR_MS
    await work_an_hour(shift)
    assert await workview.close_due_hours(resources) == []
    await shift.work(MINUTE)
    (written,) = await workview.close_due_hours(resources)
    (closed,) = published.entries("hour.closed")
    assert (written.hour, written.kind, written.seq) == (hour, "hour.closed", closed.seq)
    assert closed.body is not None and (closed.body["hour"], closed.body["rules"]) == (hour, 0)
    taken = [entry.seq for entry in published.entries("frame.taken")]
    started = published.entries("tracking.started")[0].seq
    assert closed.body["segments"] == [
        {"segment": number, "documented_ms": SEGMENT_MS, "tracked_ms": 0, "frame": seq, "comment": started}
        for number, seq in zip(segments_of_hour(hour), taken, strict=True)
    ]
    assert await workview.close_due_hours(resources) == []
    clock.now += 2 * HOUR_MS
    assert len(await workview.close_due_hours(resources)) == 1  # the minute of the next hour


async def test_an_hour_without_a_frame_closes_ten_minutes_after_it(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    end = clock.now + HOUR_MS
    await work_an_hour(shift, range(4))
    await shift.work(9 * MINUTE)
    assert await workview.close_due_hours(resources) == []
    await shift.work(MINUTE)
    assert len(await workview.close_due_hours(resources)) == 1
    (closed,) = published.entries("hour.closed")
    assert closed.body is not None and "frame" not in closed.body["segments"][4]
    (cell,) = await workview.cells(resources, pair.room, {"p2": [segment_of(end - 1)]})
    assert cell.state is CellState.MISSING


async def test_hours_without_ticks_are_not_closed(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await shift.work(MINUTE)
    await shift.stop()
    clock.now += DAY_MS
    assert len(await workview.close_due_hours(resources)) == 1


async def test_what_changes_after_the_close_is_amended_at_most_once_a_minute(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await work_an_hour(shift)
    await shift.work(MINUTE)
    await workview.close_due_hours(resources)
    closed = published.entries("hour.closed")[0]
    first = published.entries("frame.taken")[0]
    assert first.body is not None
    await frames.delete(resources, pair.freelancer, first.body["frame"])
    assert await workview.close_due_hours(resources) == []
    clock.now += MINUTE
    assert [entry.kind for entry in await workview.close_due_hours(resources)] == ["hour.amended"]
    (amended,) = published.entries("hour.amended")
    assert amended.ref == closed.seq and amended.body is not None
    assert "frame" not in amended.body["segments"][0] and "frame" in amended.body["segments"][1]
    assert amended.body["segments"][0]["documented_ms"] == 0
    clock.now += 5 * MINUTE
    assert await workview.close_due_hours(resources) == []


async def test_what_changes_back_is_not_said_again(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    start = clock.now
    await work_an_hour(shift)
    await shift.work(MINUTE)
    await workview.close_due_hours(resources)
    clock.now += MINUTE
    await tracking.tick(resources, pair.freelancer, shift.id, start, start + MINUTE, True)  # a repeat
    await frames.frame_ready(resources, published.jobs[0][1])
    assert await workview.close_due_hours(resources) == []
    body = {"text": "Form", "from_segment": segment_of(start), "to_segment": segment_of(start)}
    comment = await record.append(resources, pair.freelancer, pair.room, "comment", body)
    assert len(await workview.close_due_hours(resources)) == 1
    (amended,) = published.entries("hour.amended")
    assert amended.body is not None and amended.body["segments"][0]["comment"] == comment.seq


async def test_many_hours_of_a_week_offline_close_in_one_sweep(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    start = clock.now
    clock.now += 3 * DAY_MS
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start(at=start)
    for _ in range(30):
        await shift.work(HOUR_MS, keep_clock=True)
    commits = resources.database.writer.commits
    assert len(await workview.close_due_hours(resources)) == 30
    assert resources.database.writer.commits == commits + 1
    assert len(published.entries("hour.closed")) == 30


# Days


async def test_a_day_has_every_hour_window_and_its_totals(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    hour = clock.now // HOUR_MS
    await work_an_hour(shift)
    await shift.work(10 * MINUTE, documented=False)
    view = await workview.day(resources, pair.client, pair.room)
    assert (view.day, view.zone, view.freelancer.by) == (date(2026, 9, 21), "UTC", "p2")
    assert len(view.hours) == 24 and all(all(row.in_day) for row in view.hours)
    row = next(row for row in view.hours if row.hour == hour)
    assert (row.documented_ms, row.closed, row.is_empty) == (HOUR_MS, False, False)
    assert (view.total.documented_ms, view.total.tracked_ms) == (HOUR_MS, 10 * MINUTE)
    assert [total.day.isoweekday() for total in view.week] == [1, 2, 3, 4, 5, 6, 7]
    assert view.week_ms == HOUR_MS + 10 * MINUTE
    assert view.tracker is not None and view.tracker.on and view.tracker.today_ms == view.week_ms


async def test_a_day_in_another_zone_shows_the_neighbouring_days_cells_and_keeps_the_agreed_totals(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await work_an_hour(shift)
    view = await workview.day(resources, pair.client, pair.room, zone="Asia/Kathmandu")  # 5:45 ahead
    assert len(view.hours) == 25
    assert view.hours[0].in_day == (False, False, True, True, True)
    assert view.total.documented_ms == HOUR_MS
    autumn = await workview.day(resources, pair.client, pair.room, on=date(2026, 10, 25), zone="Europe/Lisbon")
    assert len(autumn.hours) == 25  # the day on which clocks go back


async def test_a_day_is_for_members_and_of_a_freelancer(resources: Resources, pair: Pair) -> None:
    stranger = await build_account(resources, "Max Stranger")
    with pytest.raises(NotFound):
        await workview.day(resources, stranger, pair.room)
    with pytest.raises(NotFound):
        await workview.day(resources, pair.client, pair.room, freelancer="p1")
    with pytest.raises(NotFound):
        await workview.day(resources, pair.client, pair.room, on=date(1, 1, 1))
    with pytest.raises(Malformed):
        await workview.day(resources, pair.client, pair.room, zone="Mars/Olympus")


# Live


async def test_a_replay_shows_the_cells_that_a_fresh_page_shows(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await work_an_hour(shift)
    await frames.frame_ready(resources, published.jobs[0][1])
    deleted = published.jobs[1][1]
    await frames.delete(resources, pair.freelancer, deleted)
    segment = segment_of(shift.at) - 1
    await tracking.comment(resources, pair.freelancer, str(uuid.uuid4()), shift.id, segment, segment, "Form")
    await shift.work(MINUTE)
    await workview.close_due_hours(resources)
    info = await room_info(resources, pair.room)
    page = await record.page(resources, pair.client, pair.room, limit=1000)
    replayed = await workview.with_cells(resources, info, [Appended(entry) for entry in page.entries])
    shown = {(cell.by, cell.segment): cell for event in replayed for cell in event.cells}
    fresh = await workview.cells(resources, pair.room, {"p2": [segment for _, segment in shown]})
    assert shown == {(cell.by, cell.segment): cell for cell in fresh}
    assert {cell.state for cell in fresh} == {CellState.READY, CellState.DELETED, CellState.STORED}


async def test_the_snapshot_after_a_join_has_trackers_and_the_cells_of_two_hours(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await work_an_hour(shift)
    await shift.work(MINUTE)
    states, cells = await workview.live_state(resources, await room_info(resources, pair.room))
    assert [(state.by, state.on) for state in states] == [("p2", True)]
    assert {hour_of_segment(cell.segment) for cell in cells} == {clock.now // HOUR_MS - 1, clock.now // HOUR_MS}


async def test_tracker_states_of_many_rooms_come_at_once(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    rooms = [await room_info(resources, pair.room)]
    for zone in ("UTC", "Asia/Tokyo"):
        other = await build_pair(resources, f"Job in {zone}", time_zone=zone)
        rooms.append(await room_info(resources, other.room))
    shift = await Shift(resources, pair.freelancer, rooms[2].id, clock).start()
    await shift.work(5 * MINUTE)
    states = await workview.tracker_states(resources, rooms)
    assert [[(s.on, s.today_ms) for s in states[room.id]] for room in rooms] == [
        [(False, 0)], [(False, 0)], [(True, 5 * MINUTE)],
    ]  # fmt: skip
