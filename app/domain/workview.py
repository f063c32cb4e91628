"""Work View: the moments of frames, the checks on ticks and frames, and what an hour window says. Pure.

Rule 1: one 32-byte seed per workroom, freelancer and UTC day; the moment of a segment follows from it (rule 2.3).
Rule 2: the time of a segment is the union of its ticks: a repeated tick never counts twice, and what two rooms claim
counts where the session started first (rule 2.4).
Rule 3: `documented` is tracker and Work View on, `tracked` is tracker on and Work View off (rule 2.1).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256

import msgspec

from app.domain.errors import ClockSkew, Malformed, OutsideSegment
from app.domain.timerange import (
    MINUTE_MS,
    SECOND_MS,
    Stretch,
    clip,
    segment_end,
    segment_of,
    segment_start,
    subtract,
    total_ms,
    union,
)

SEED_BYTES = 32
SEED_DAYS_AHEAD = 14  # a session can start offline for two weeks
TICK_MS_MAX = MINUTE_MS
CLOCK_AHEAD_MS_MAX = 2 * MINUTE_MS
MOMENT_TOLERANCE_MS = 5 * SECOND_MS
SILENT_AFTER_MS = 90 * SECOND_MS  # of the real clock
HOUR_GRACE_MS = 10 * MINUTE_MS  # an hour closes this long after its end at the latest
FRAME_BYTES_MAX = 4 * 1024 * 1024
FRAME_PIXELS_MAX = 40_000_000
THUMBNAIL_WIDTH = 480
MEDIA_TYPES = ("image/webp", "image/png", "image/jpeg")
RULES_VERSION = 0  # verdicts come with a later version


class FrameMark(StrEnum):
    """Why the moment of a frame could not be confirmed (rule 2.3)."""

    OFF_MOMENT = "off_moment"
    NO_SEED = "no_seed"


class SegmentTime(msgspec.Struct, frozen=True):
    """What ticks say about one segment. Milliseconds by class; documented time wins where both overlap.

    `overlap_ms` counts in another room, whose session started first.
    """

    segment: int
    documented_ms: int
    tracked_ms: int
    documented: tuple[Stretch, ...] = ()
    overlap_ms: int = 0


class Tick(msgspec.Struct, frozen=True):
    """A half-open stretch of tracked time inside one segment (rule 2.4)."""

    start: int
    end: int
    documented: bool


class SessionTick(msgspec.Struct, frozen=True):
    """A tick with the session that it is of: what decides which of two rooms an overlap counts in."""

    room: str
    session: str
    started_at: int  # of the session
    start: int
    end: int
    documented: bool


def seed_digest(seed: bytes) -> bytes:
    """Return what `tracking.seeds` puts into the record before the seed is given out."""
    return sha256(seed).digest()


def moment_of(seed: bytes, segment: int, start: int | None = None) -> int:
    """Return when the frame of `segment` is to be taken (rule 2.3).

    `start` is where the present stretch of documented time began in the segment, if not at its start.
    """
    first = segment_start(segment) if start is None else max(start, segment_start(segment))
    digest = hmac.new(seed, segment.to_bytes(8, "big"), sha256).digest()
    u = int.from_bytes(digest[:8], "big")
    return first + (u * (segment_end(segment) - first) >> 64)


def checked_tick(start: int, end: int, documented: bool, now: int) -> Tick:
    """Return a tick that may be stored.

    Raises:
        Malformed: if it is empty, longer than 60 s or spans two segments.
        ClockSkew: if it ends more than two minutes ahead of `now`.
    """
    if not 0 < end - start <= TICK_MS_MAX:
        raise Malformed("A tick is a stretch of 1 ms to 60 s.", field="to")
    if segment_of(start) != segment_of(end - 1):
        raise Malformed("A tick must be cut at the end of its segment.", field="to")
    check_not_ahead(end, now)
    return Tick(start, end, documented)


def check_not_ahead(instant: int, now: int) -> None:
    """Check that a tracker's time is not in the future.

    Raises:
        ClockSkew: if it is more than two minutes ahead of `now`.
    """
    if instant > now + CLOCK_AHEAD_MS_MAX:
        raise ClockSkew()


def check_moment_in_segment(taken_at: int, segment: int) -> None:
    """Check that a frame lies in its segment; one taken at the very end of a stretch belongs to it.

    Raises:
        OutsideSegment: if it does not.
    """
    if not segment_start(segment) <= taken_at <= segment_end(segment):
        raise OutsideSegment()


def counted_time(
    segment: int, room: str, ticks: Iterable[SessionTick], discarded: Mapping[str, Sequence[Stretch]]
) -> SegmentTime:
    """Return the time of a segment that counts in `room`, from one person's ticks in all rooms.

    Where sessions of two rooms overlap, time counts where the session started first (rule 2.4). `discarded` holds, by
    room, what the person took off.
    """
    by_session: dict[tuple[int, str], list[SessionTick]] = {}
    for tick in ticks:
        by_session.setdefault((tick.started_at, tick.session), []).append(tick)
    first, last = segment_start(segment), segment_end(segment)
    earlier: dict[str, list[Stretch]] = {}  # by room: what its sessions hold, in the order in which they started
    documented: list[Stretch] = []
    either: list[Stretch] = []
    whole: list[Stretch] = []
    for key in sorted(by_session):
        listed = by_session[key]
        held = listed[0].room
        holes = discarded.get(held, ())
        own = subtract(clip([(t.start, t.end) for t in listed], first, last), holes)
        if held == room:
            taken = [s for other, stretches in earlier.items() if other != room for s in stretches]
            whole += own
            either += subtract(own, taken)
            documented += subtract(
                clip([(t.start, t.end) for t in listed if t.documented], first, last), [*holes, *taken]
            )
        earlier.setdefault(held, []).extend(own)
    documented = union(documented)
    documented_ms, either_ms = total_ms(documented), total_ms(either)
    return SegmentTime(
        segment, documented_ms, either_ms - documented_ms, tuple(documented), total_ms(whole) - either_ms
    )


def frame_mark(
    seed: bytes | None, segment: int, taken_at: int, starts: Iterable[int], at_stop: bool
) -> FrameMark | None:
    """Return why the moment of a frame is not confirmed, or None if it is.

    `starts` are the beginnings of documented stretches in the segment; a frame taken at the end of a stretch
    (`at_stop`) must lie before the moment that would have followed.
    """
    if seed is None:
        return FrameMark.NO_SEED
    for start in {segment_start(segment), *starts}:
        moment = moment_of(seed, segment, start)
        if abs(taken_at - moment) <= MOMENT_TOLERANCE_MS or (at_stop and start <= taken_at <= moment):
            return None
    return FrameMark.OFF_MOMENT
