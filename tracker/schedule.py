"""When a tick is due and when a frame is taken. Pure.

Rule 1: a tick is at most 60 s long and ends with its segment (rule 2.4).
Rule 2: the moment of a frame follows from the seed of its UTC day; the tracker chooses nothing (rule 2.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.timerange import Stretch, day_of_segment, segment_end, segment_of
from app.domain.workview import TICK_MS_MAX, moment_of

SeedOfDay = Callable[[str], bytes]


@dataclass(frozen=True)
class Schedule:
    """The moments of one workroom. `seed_of` gives the 32 bytes of a UTC day (`2026-10-14`)."""

    seed_of: SeedOfDay

    def moment(self, segment: int, stretch_from: int) -> int:
        """Return when the frame of `segment` is taken, if documented time has run since `stretch_from`."""
        return moment_of(self.seed_of(day_of_segment(segment)), segment, stretch_from)


def tick_end(start: int) -> int:
    """Return where a tick that begins at `start` ends at the latest."""
    return min(start + TICK_MS_MAX, segment_end(segment_of(start)))


def ticks_between(start: int, end: int) -> list[Stretch]:
    """Return `[start, end)` cut into ticks."""
    ticks = []
    while start < end:
        cut = min(tick_end(start), end)
        ticks.append((start, cut))
        start = cut
    return ticks
