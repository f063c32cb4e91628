"""The bus: carries events from the services, after commit, to everybody in this process who delivers them.

Rule 1: publishing is synchronous and never fails: one subscriber's error does not keep the others from the event.
Rule 2: a hint with a position, not the truth: whoever misses an event reads the database.
Across processes Redis will stand behind the same two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from app.domain.live import Event

Subscriber = Callable[[Sequence[Event]], None]

log = structlog.get_logger()


class Bus:
    """Subscribers in the order in which they subscribed."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Hand every event published from now on to `subscriber`."""
        self._subscribers.append(subscriber)

    def publish(self, events: Sequence[Event]) -> None:
        """Hand committed events to all subscribers."""
        if not events:
            return
        for subscriber in self._subscribers:
            try:
                subscriber(events)
            except Exception:  # the edge between a commit, which stands, and its delivery
                log.exception("subscriber failed")
