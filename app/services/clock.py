"""The two clocks (docs/architecture.md): the record's and the real one, in Unix milliseconds.

Rule 1: entries, ticks, hours, weeks and holds use the record's; sockets, sign-in, limits and silence the real one.
Rule 2: outside the demo both are one. `rate` says how many times faster the record's runs now.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.domain.timerange import paced_instant


class SystemClock:
    """Both clocks are the computer's."""

    rate: ClassVar[int] = 1

    def record_now(self) -> int:
        return time.time_ns() // 1_000_000

    def real_now(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(slots=True)
class ManualClock:
    """Stands still until it is set: for tests, and for writing a history."""

    rate: ClassVar[int] = 1
    now: int
    real: int = 0

    def record_now(self) -> int:
        return self.now

    def real_now(self) -> int:
        return self.real or self.now


@dataclass(frozen=True, slots=True)
class PacedClock:
    """The demo's: the record's time runs `pace` times faster from `record_start` until it reaches the present."""

    real_start: int
    record_start: int
    pace: int

    @property
    def rate(self) -> int:
        """The pace, and 1 once both clocks are one."""
        real = self.real_now()
        return self.pace if paced_instant(real, self.real_start, self.record_start, self.pace) < real else 1

    def record_now(self) -> int:
        return paced_instant(self.real_now(), self.real_start, self.record_start, self.pace)

    def real_now(self) -> int:
        return time.time_ns() // 1_000_000

    def save(self, path: Path) -> None:
        """Keep the anchors in the data folder: a restarted demo, and its trackers, go on from there."""
        anchors = {"real_start": self.real_start, "record_start": self.record_start, "rate": self.pace}
        path.write_text(json.dumps(anchors))

    @staticmethod
    def load(path: Path) -> PacedClock:
        """Read what `save` wrote."""
        anchors = json.loads(path.read_text())
        return PacedClock(anchors["real_start"], anchors["record_start"], anchors["rate"])


Clock = SystemClock | ManualClock | PacedClock
