"""Throttles: how often something may be tried, per key, in a window of real time.

Rule 1: counts live in memory: a restart forgives, and no attacker can fill the database.
Rule 2: the number of keys is bounded; beyond it the oldest are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict

from app.domain.errors import TooMany
from app.domain.timerange import MINUTE_MS

SIGN_IN_WINDOW_MS = 15 * MINUTE_MS
KEYS_MAX = 20_000  # about 4 MiB; an attacker with more addresses than that is not stopped by counting


class Allowances:
    """A token bucket per key: `rate` a second, twice that at once."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()  # what is left, and as of when

    def take(self, key: str, now: int) -> None:
        """Take one of the key's allowance at `now` (Unix milliseconds).

        Raises:
            TooMany: if none is left.
        """
        left, at = self._buckets.pop(key, (2.0 * self._rate, now))
        left = min(2.0 * self._rate, left + max(0, now - at) * self._rate / 1000)
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > KEYS_MAX:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooMany("You write faster than this server takes it. Wait a second.", retry_after_seconds=1)


class Throttle:
    """Allows `attempts_max` attempts per key in any window of `window_ms`."""

    def __init__(self, attempts_max: int, window_ms: int = SIGN_IN_WINDOW_MS) -> None:
        self._attempts_max = attempts_max
        self._window_ms = window_ms
        self._attempts: OrderedDict[str, list[int]] = OrderedDict()  # instants per key, the key used last at the end

    def check(self, key: str, now: int) -> None:
        """Check that `key` may try now, without counting it.

        Raises:
            TooMany: saying when the window has room again.
        """
        recent = self._recent(key, now)
        if len(recent) >= self._attempts_max:
            wait_ms = recent[-self._attempts_max] + self._window_ms - now
            minutes = -(-wait_ms // MINUTE_MS)
            raise TooMany(
                f"That was tried too often. Try again in {minutes} minute{'s' if minutes != 1 else ''}.",
                retry_after_seconds=-(-wait_ms // 1000),
            )

    def count(self, key: str, now: int) -> None:
        """Count an attempt of `key`."""
        recent = self._recent(key, now)
        recent.append(now)
        self._attempts[key] = recent[-self._attempts_max :]
        self._attempts.move_to_end(key)
        while len(self._attempts) > KEYS_MAX:
            self._attempts.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget the attempts of `key`: it succeeded."""
        self._attempts.pop(key, None)

    def uncount(self, key: str) -> None:
        """Take the last attempt of `key` back: it succeeded, but earlier ones still count."""
        if attempts := self._attempts.get(key):
            attempts.pop()

    def _recent(self, key: str, now: int) -> list[int]:
        return [instant for instant in self._attempts.get(key, ()) if instant > now - self._window_ms]
