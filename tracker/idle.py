"""Idle time: when to ask about it, and which stretch the answer concerns (rule 2.5). Pure.

Rule 1: time is never removed silently: it counts until the freelancer says "discard".
Rule 2: one absence is asked about once.
"""

from __future__ import annotations

from app.domain.timerange import MINUTE_MS, Stretch

IDLE_ASK_MS = 10 * MINUTE_MS


class IdleWatch:
    """Follows keyboard and pointer. `since` is where the absence in question began, on the record's clock."""

    def __init__(self) -> None:
        self.since: int | None = None
        # Where it ended; None while the freelancer is still away.
        self._until: int | None = None

    def observe(self, now: int, idle_ms: int) -> bool:
        """Take note of a reading; return whether to ask now. `idle_ms` is on the same clock as `now`."""
        if self.since is None or self._until is not None:
            if idle_ms < IDLE_ASK_MS:
                return False
            # A second absence before an answer to the first: both are asked about together.
            first = self.since is None
            self.since = now - idle_ms if self.since is None else self.since
            self._until = None
            return first
        if now - idle_ms > self.since + MINUTE_MS:
            self._until = now - idle_ms
        return False

    def answer(self, now: int) -> Stretch | None:
        """Return the absence that the answer concerns, and ask about it no more; None if nothing was asked."""
        if self.since is None:
            return None
        stretch = (self.since, self._until if self._until is not None else now)
        self.since = self._until = None
        return stretch
