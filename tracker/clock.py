"""The tracker's clocks: the record's, which times ticks and frames, and the machine's own, which times sockets.

Rule 1: outside a demo both are one; in a demo the record's clock runs faster until it has reached the present, as a
file or the server's welcome says.
Rule 2: what must be judged in real time (was the machine asleep, how late was the picture) is asked in real time.
Rule 3: the pace stays the same for as long as a session counts by it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.domain.timerange import paced_instant

CLOCK_VARIABLE = "WORKROOM_TRACKER_CLOCK"
NEAR_MS = 1_000  # real time by which a welcome may be late on its way: less is no reason for another pace


class ClockUnreadable(Exception):
    """The file that should say how the record's clock runs cannot be read."""


class Pace(msgspec.Struct, frozen=True):
    """How a demo's clock runs: instants in Unix milliseconds, `rate` times as fast as the machine's clock."""

    real_start: int
    record_start: int
    rate: int = 1


@dataclass
class Clock:
    """Both clocks. Without `pace` the record's clock is the machine's; while it is held, no welcome changes it."""

    pace: Pace | None = None
    is_held: bool = False

    def follow(self, server_time: int, rate: int) -> bool:
        """Take the pace from a server whose record's clock shows `server_time`; False if the pace is held."""
        if self.is_held:
            return False
        if rate == 1:
            self.pace = None
        elif self.rate() != rate or abs(self.record_now() - server_time) > NEAR_MS * rate:
            self.pace = Pace(self.real_now(), server_time, rate)
        return True

    def real_now(self) -> int:
        """Return Unix milliseconds of this machine."""
        return time.time_ns() // 1_000_000

    def record_now(self) -> int:
        """Return Unix milliseconds of the record's clock."""
        return self.record_at(self.real_now())

    def record_at(self, real: int) -> int:
        """Return what the record's clock shows at a real instant."""
        if self.pace is None:
            return real
        return paced_instant(real, self.pace.real_start, self.pace.record_start, self.pace.rate)

    def real_at(self, record: int) -> int:
        """Return when the record's clock shows `record`: the inverse of `record_at`."""
        if self.pace is None:
            return record
        paced = self.pace.real_start + -(-(record - self.pace.record_start) // self.pace.rate)
        return max(paced, record)

    def rate(self) -> int:
        """Return how many times faster than the machine's the record's clock runs now."""
        if self.pace is None or self.record_now() >= self.real_now():
            return 1
        return self.pace.rate

    def seconds_until(self, record: int) -> float:
        """Return how many real seconds pass until the record's clock shows `record`; 0 if it does already."""
        return max(0.0, (self.real_at(record) - time.time_ns() / 1e6) / 1000)


def clock_from_environment() -> Clock:
    """Return the clock that the environment names, else the machine's own.

    Raises:
        ClockUnreadable: if a file is named that does not say how the clock runs.
    """
    named = os.environ.get(CLOCK_VARIABLE)
    if not named:
        return Clock()
    try:
        return Clock(msgspec.json.decode(Path(named).read_bytes(), type=Pace), is_held=True)
    except (OSError, msgspec.MsgspecError) as error:
        raise ClockUnreadable(f"{CLOCK_VARIABLE} names {named}, which is no clock: {error}.") from error
