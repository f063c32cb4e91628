"""Time of a segment from the ticks of one person in several rooms: nothing counts twice, nothing is lost (rule 2.4)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.timerange import SEGMENT_MS, segment_start, total_ms
from app.domain.workview import SessionTick, counted_time

SEGMENT = 2_000_000
FIRST = segment_start(SEGMENT)
ROOMS = ("a", "b", "c")


@st.composite
def ticks(draw: st.DrawFn) -> list[SessionTick]:
    listed = []
    for session in range(draw(st.integers(1, 5))):
        room, started_at = draw(st.sampled_from(ROOMS)), FIRST - draw(st.integers(0, 3))
        for _ in range(draw(st.integers(1, 5))):
            start = draw(st.integers(0, SEGMENT_MS - 1))
            end = draw(st.integers(start + 1, min(start + 60_000, SEGMENT_MS)))
            listed.append(SessionTick(room, f"s{session}", started_at, FIRST + start, FIRST + end, draw(st.booleans())))
    return listed


@given(ticks())
def test_all_rooms_together_count_what_was_ticked_exactly_once(listed: list[SessionTick]) -> None:
    times = [counted_time(SEGMENT, room, listed, {}) for room in ROOMS]
    counted = sum(time.documented_ms + time.tracked_ms for time in times)
    assert counted == total_ms([(tick.start, tick.end) for tick in listed])


@given(ticks())
def test_repeats_and_order_change_nothing(listed: list[SessionTick]) -> None:
    for room in ROOMS:
        assert counted_time(SEGMENT, room, [*reversed(listed), *listed], {}) == counted_time(SEGMENT, room, listed, {})


@given(ticks(), st.integers(0, SEGMENT_MS), st.integers(0, SEGMENT_MS))
def test_what_is_discarded_never_counts(listed: list[SessionTick], start: int, end: int) -> None:
    holes = {room: [(FIRST + start, FIRST + end)] for room in ROOMS}
    kept = sum(
        time.documented_ms + time.tracked_ms for time in (counted_time(SEGMENT, room, listed, holes) for room in ROOMS)
    )
    assert kept <= SEGMENT_MS - max(0, end - start)


@given(ticks())
def test_what_does_not_count_is_listed_as_overlap(listed: list[SessionTick]) -> None:
    for room in ROOMS:
        time = counted_time(SEGMENT, room, listed, {})
        own = total_ms([(tick.start, tick.end) for tick in listed if tick.room == room])
        assert time.documented_ms + time.tracked_ms + time.overlap_ms == own


def test_time_counts_where_the_session_started_first() -> None:
    listed = [
        SessionTick("a", "s1", FIRST - 2, FIRST, FIRST + 60_000, True),
        SessionTick("b", "s2", FIRST - 1, FIRST + 30_000, FIRST + 90_000, True),
    ]
    early, late = counted_time(SEGMENT, "a", listed, {}), counted_time(SEGMENT, "b", listed, {})
    assert (early.documented_ms, early.overlap_ms) == (60_000, 0)
    assert (late.documented_ms, late.overlap_ms) == (30_000, 30_000)


def test_documented_time_wins_where_two_devices_of_a_room_overlap() -> None:
    listed = [
        SessionTick("a", "s1", FIRST, FIRST, FIRST + 60_000, False),
        SessionTick("a", "s2", FIRST + 1, FIRST + 30_000, FIRST + 90_000, True),
    ]
    time = counted_time(SEGMENT, "a", listed, {})
    assert (time.documented_ms, time.tracked_ms) == (60_000, 30_000)
