"""Time: instants, segments, hour windows and unions of stretches. All instants are integer Unix milliseconds.

Rule 1: a segment is 12 minutes of the UTC clock, an hour window five of them (rule 2.2).
Rule 2: stretches are half-open, `[from, to)`.
Rule 3: text is RFC 3339 in UTC with exactly three decimals: `2026-10-14T08:15:30.123Z`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
SEGMENT_MS = 12 * MINUTE_MS
SEGMENTS_PER_HOUR = 5

Stretch = tuple[int, int]


def instant_text(instant: int) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(instant // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z"


def instant_of(moment: datetime) -> int:
    """Return Unix milliseconds of an aware datetime."""
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def datetime_of(instant: int, zone: ZoneInfo | None = None) -> datetime:
    """Return the aware datetime of an instant, in UTC or `zone`."""
    return datetime.fromtimestamp(instant / 1000, zone or UTC)


def segment_of(instant: int) -> int:
    """Return the number of the segment that contains `instant`."""
    return instant // SEGMENT_MS


def segment_start(segment: int) -> int:
    """Return the first millisecond of a segment."""
    return segment * SEGMENT_MS


def segment_end(segment: int) -> int:
    """Return the first millisecond after a segment."""
    return (segment + 1) * SEGMENT_MS


def hour_of_segment(segment: int) -> int:
    """Return the number of the hour window of a segment (hours since 1970)."""
    return segment // SEGMENTS_PER_HOUR


def segments_of_hour(hour: int) -> range:
    """Return the five segments of an hour window."""
    return range(hour * SEGMENTS_PER_HOUR, (hour + 1) * SEGMENTS_PER_HOUR)


def utc_day(instant: int) -> str:
    """Return the UTC day of an instant, `2026-10-14`."""
    return datetime_of(instant).strftime("%Y-%m-%d")


def day_of_segment(segment: int) -> str:
    """Return the UTC day in which a segment starts; segments never span two UTC days."""
    return utc_day(segment_start(segment))


def local_day(instant: int, zone: ZoneInfo) -> date:
    """Return the date of an instant in `zone`."""
    return datetime_of(instant, zone).date()


def day_bounds(day: date, zone: ZoneInfo) -> Stretch:
    """Return first instant of a local day and of the next one: 23, 24 or 25 hours apart."""
    first = datetime.combine(day, time(), zone)
    after = datetime.combine(day + timedelta(days=1), time(), zone)
    return instant_of(first), instant_of(after)


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return the union as sorted, disjoint, non-empty stretches."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def subtract(stretches: Iterable[Stretch], holes: Iterable[Stretch]) -> list[Stretch]:
    """Return the union of `stretches` without the union of `holes`."""
    left: list[Stretch] = []
    cuts = union(holes)
    for start, end in union(stretches):
        for cut_start, cut_end in cuts:
            if cut_end <= start or cut_start >= end:
                continue
            if cut_start > start:
                left.append((start, cut_start))
            start = max(start, cut_end)
        if start < end:
            left.append((start, end))
    return left


def clip(stretches: Iterable[Stretch], start: int, end: int) -> list[Stretch]:
    """Return the parts of `stretches` inside `[start, end)`."""
    return [(max(a, start), min(b, end)) for a, b in stretches if a < end and b > start]


def total_ms(stretches: Sequence[Stretch]) -> int:
    """Return how many milliseconds the union covers."""
    return sum(end - start for start, end in union(stretches))


def paced_instant(real_instant: int, real_start: int, record_start: int, rate: int) -> int:
    """Return the record's time of a demo: `rate` times faster from `record_start`, until it reaches the present.

    From then on both clocks are one.
    """
    return min(record_start + (real_instant - real_start) * rate, real_instant)
