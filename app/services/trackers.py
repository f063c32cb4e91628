"""Trackers: which sessions this process hears of, by the real clock. Lives in memory; a restart forgets nothing that
the record needs.

Rule 1: a session is silent when nothing came from its tracker for 90 s (rule 2.5); what this process never heard of
counts from when it was first asked about, so that a restart makes nobody silent at once.
Rule 2: a session is near while its tracker is connected, or was heard of a moment ago: only then can it be told to
stop.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from app.domain.workview import SILENT_AFTER_MS

SESSIONS_MAX = 20_000  # sessions remembered; the one heard of longest ago goes first


class Trackers:
    """When each session was heard of, and how many connections carry it."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, int] = OrderedDict()  # by session, the one heard of last at the end
        self._connections: Counter[str] = Counter()
        self._silent: set[str] = set()  # told to watchers
        self.arriving: set[str] = set()  # ids of frames that are being stored, so that none is stored twice at once

    def heard(self, session: str, now: int) -> bool:
        """Note that a session's tracker said something; return whether it was shown as silent until now."""
        self._heard[session] = now
        self._heard.move_to_end(session)
        while len(self._heard) > SESSIONS_MAX:
            self._silent.discard(self._heard.popitem(last=False)[0])
        was_silent = session in self._silent
        self._silent.discard(session)
        return was_silent

    def attach(self, session: str) -> None:
        """Note that a connection carries a session."""
        self._connections[session] += 1

    def detach(self, session: str) -> None:
        """Note that this connection closed."""
        self._connections[session] -= 1
        if self._connections[session] <= 0:
            del self._connections[session]

    def is_near(self, session: str, now: int) -> bool:
        """Whether the session's tracker can be told something now."""
        return session in self._connections or now - self._heard.get(session, -SILENT_AFTER_MS) < SILENT_AFTER_MS

    def is_silent(self, session: str, now: int) -> bool:
        """Whether nothing came from the session's tracker for 90 s."""
        return now - self._heard.setdefault(session, now) >= SILENT_AFTER_MS

    def newly_silent(self, sessions: list[str], now: int) -> list[str]:
        """Return those of the open `sessions` that have become silent since the last time this was asked."""
        new = [session for session in sessions if self.is_silent(session, now) and session not in self._silent]
        self._silent.update(new)
        return new

    def forget(self, session: str) -> None:
        """Drop a session that has ended."""
        self._heard.pop(session, None)
        self._silent.discard(session)
