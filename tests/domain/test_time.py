"""Segments, unions, zones, the demo's clock, and the moments of frames."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ClockSkew, Malformed, OutsideSegment
from app.domain.timerange import (
    DAY_MS,
    HOUR_MS,
    SEGMENT_MS,
    clip,
    datetime_of,
    day_bounds,
    day_of_segment,
    hour_of_segment,
    instant_of,
    instant_text,
    paced_instant,
    segment_end,
    segment_of,
    segment_start,
    segments_of_hour,
    subtract,
    total_ms,
    union,
)
from app.domain.workview import (
    FrameMark,
    Tick,
    check_moment_in_segment,
    checked_tick,
    frame_mark,
    moment_of,
)

NOW = 1_790_000_000_000
SEGMENT = segment_of(NOW)
SEED = sha256(b"seed").digest()
points = st.integers(0, 400)
stretches = st.lists(st.tuples(points, points), max_size=12)


def covered(listed: list[tuple[int, int]]) -> set[int]:
    return {point for start, end in listed for point in range(start, end)}


@given(stretches)
def test_a_union_counts_nothing_twice(listed: list[tuple[int, int]]) -> None:
    merged = union(listed)
    assert covered(merged) == covered(listed)
    assert all(a[1] < b[0] for a, b in pairwise(merged))
    assert total_ms(listed) == len(covered(listed))


@given(stretches, stretches)
def test_what_is_taken_off_is_off(listed: list[tuple[int, int]], holes: list[tuple[int, int]]) -> None:
    assert covered(subtract(listed, holes)) == covered(listed) - covered(holes)


@given(stretches, points, points)
def test_a_clip_keeps_what_lies_inside(listed: list[tuple[int, int]], start: int, end: int) -> None:
    assert covered(clip(listed, start, end)) == covered(listed) & set(range(start, end))


@given(st.integers(0, 2**42))
def test_five_segments_make_an_hour_and_none_spans_two_days(instant: int) -> None:
    segment = segment_of(instant)
    assert segment_start(segment) <= instant < segment_end(segment)
    assert segment in segments_of_hour(hour_of_segment(segment))
    assert hour_of_segment(segment) == instant // HOUR_MS
    assert day_of_segment(segment) == datetime_of(instant).strftime("%Y-%m-%d")
    assert instant_of(datetime_of(instant)) == instant


def test_instants_are_written_with_three_decimals() -> None:
    assert instant_text(1_791_965_730_007) == "2026-10-14T08:15:30.007Z"
    assert instant_text(0) == "1970-01-01T00:00:00.000Z"


def test_a_local_day_has_23_24_or_25_hours() -> None:
    lisbon = ZoneInfo("Europe/Lisbon")
    hours = [
        (end - start) // HOUR_MS
        for start, end in (day_bounds(day, lisbon) for day in (date(2026, 3, 29), date(2026, 7, 1), date(2026, 10, 25)))
    ]
    assert hours == [23, 24, 25]


def test_the_demos_clock_runs_fast_until_it_has_caught_up() -> None:
    week = 7 * DAY_MS
    assert paced_instant(NOW, NOW, NOW - week, 60) == NOW - week
    assert paced_instant(NOW + 60_000, NOW, NOW - week, 60) == NOW - week + HOUR_MS
    assert paced_instant(NOW + DAY_MS, NOW, NOW - week, 60) == NOW + DAY_MS


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**31), st.integers(0, SEGMENT_MS - 1))
def test_a_moment_lies_in_its_stretch(seed: bytes, segment: int, offset: int) -> None:
    start = segment_start(segment) + offset
    assert start <= moment_of(seed, segment, start) < segment_end(segment)


def test_the_moment_is_the_one_that_anybody_can_compute() -> None:
    import hmac

    u = int.from_bytes(hmac.digest(SEED, SEGMENT.to_bytes(8, "big"), "sha256")[:8], "big")
    start, end = segment_start(SEGMENT), segment_end(SEGMENT)
    assert moment_of(SEED, SEGMENT) == start + (u * (end - start)) // 2**64
    assert moment_of(SEED, SEGMENT, start + 60_000) == start + 60_000 + (u * (end - start - 60_000)) // 2**64


def test_moments_spread_over_the_segment() -> None:
    offsets = [moment_of(SEED, segment) - segment_start(segment) for segment in range(2_000)]
    assert abs(sum(offsets) / len(offsets) - SEGMENT_MS / 2) < SEGMENT_MS / 40


def test_a_frame_off_its_moment_or_without_a_seed_is_marked() -> None:
    start = segment_start(SEGMENT)
    moment = moment_of(SEED, SEGMENT)
    assert frame_mark(SEED, SEGMENT, moment + 4_999, [], at_stop=False) is None
    assert frame_mark(SEED, SEGMENT, moment + 5_001, [], at_stop=False) is FrameMark.OFF_MOMENT
    assert frame_mark(None, SEGMENT, moment, [], at_stop=False) is FrameMark.NO_SEED
    late = moment_of(SEED, SEGMENT, start + 300_000)
    assert frame_mark(SEED, SEGMENT, late, [start + 300_000], at_stop=False) is None
    assert frame_mark(SEED, SEGMENT, moment - 10_000, [], at_stop=True) is None
    assert frame_mark(SEED, SEGMENT, moment + 10_000, [], at_stop=True) is FrameMark.OFF_MOMENT


def test_ticks_are_short_cut_at_segments_and_not_of_the_future() -> None:
    start = segment_start(SEGMENT)
    assert checked_tick(start, start + 60_000, True, NOW) == Tick(start, start + 60_000, True)
    for wrong in ((start, start), (start + 1, start), (start, start + 60_001), (start - 1, start + 1)):
        with pytest.raises(Malformed):
            checked_tick(*wrong, True, NOW)
    with pytest.raises(ClockSkew):
        checked_tick(NOW + 120_000, NOW + 120_001, True, NOW)


def test_a_frame_belongs_to_the_segment_it_names() -> None:
    check_moment_in_segment(segment_start(SEGMENT), SEGMENT)
    check_moment_in_segment(segment_end(SEGMENT), SEGMENT)  # at the very end of a stretch
    for wrong in (segment_start(SEGMENT) - 1, segment_end(SEGMENT) + 1):
        with pytest.raises(OutsideSegment):
            check_moment_in_segment(wrong, SEGMENT)
