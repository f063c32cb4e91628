"""The two clocks (ARCHITECTURE, "Two clocks"): the record's and the real one, in Unix milliseconds.

Rule 1: entries, ticks, hours, weeks and holds use the record's; sockets, sign-in, limits and silence the real one.
Rule 2: outside the demo both are one.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from app.domain.timerange import paced_instant


class SystemClock:
    """Both clocks are the computer's."""

    def record_now(self) -> int:
        return time.time_ns() // 1_000_000

    def real_now(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(slots=True)
class ManualClock:
    """Stands still until it is set: for tests, and for writing a history."""

    now: int
    real: int = 0

    def record_now(self) -> int:
        return self.now

    def real_now(self) -> int:
        return self.real or self.now


@dataclass(frozen=True, slots=True)
class PacedClock:
    """The demo's: the record's time runs `rate` times faster from `record_start` until it reaches the present."""

    real_start: int
    record_start: int
    rate: int

    def record_now(self) -> int:
        return paced_instant(self.real_now(), self.real_start, self.record_start, self.rate)

    def real_now(self) -> int:
        return time.time_ns() // 1_000_000

    def save(self, path: Path) -> None:
        """Keep the anchors in the data folder: a restarted demo, and its trackers, go on from there."""
        anchors = {"real_start": self.real_start, "record_start": self.record_start, "rate": self.rate}
        path.write_text(json.dumps(anchors))

    @staticmethod
    def load(path: Path) -> PacedClock:
        """Read what `save` wrote."""
        return PacedClock(**json.loads(path.read_text()))


Clock = SystemClock | ManualClock | PacedClock
