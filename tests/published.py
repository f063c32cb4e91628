"""Takes the place of bus and queue in service tests: remembers what was published and enqueued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from app.domain.live import Appended, Event
from app.domain.record import Entry

E = TypeVar("E")


class Published:
    """Events and jobs in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.jobs: list[tuple[str, str]] = []

    def publish(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    async def enqueue(self, task: str, key: str) -> bool:
        self.jobs.append((task, key))
        return True

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a class."""
        return [event for event in self.events if isinstance(event, kind)]

    def entries(self, kind: str) -> list[Entry]:
        """Return the published entries of a kind."""
        return [event.entry for event in self.of(Appended) if event.entry.kind == kind]
