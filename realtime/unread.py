"""Unread: tells a member's other pages how much is unread in a room they do not look at.

Rule 1: the count is read from the database, never guessed; what changes within a moment is counted once.
"""

from __future__ import annotations

import asyncio

import structlog

from app.domain.errors import WorkroomError
from app.domain.live import AccountEvent
from app.services.resources import Resources
from app.services.workrooms import count_unread
from realtime.hub import Hub

DELAY_SECONDS = 0.3  # a burst of messages is one count
PAIRS_MAX = 500  # in one query; the rest follows in the next

log = structlog.get_logger()


class Unread:
    """Collects which counts changed and publishes them. `hub.unread_changed` leads here."""

    def __init__(self, resources: Resources, hub: Hub) -> None:
        self._resources = resources
        self._changed: dict[tuple[str, str], None] = {}
        self._task: asyncio.Task[None] | None = None
        hub.unread_changed = self.changed

    def changed(self, account: str, room: str) -> None:
        """Note that a count changed."""
        self._changed[account, room] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell(), name="unread")

    async def _tell(self) -> None:
        while self._changed:
            await asyncio.sleep(DELAY_SECONDS)
            pairs = list(self._changed)[:PAIRS_MAX]
            for pair in pairs:
                del self._changed[pair]
            try:
                counts = await count_unread(self._resources, pairs)
            except WorkroomError as error:
                log.warning("unread not counted", code=error.code)
                continue
            self._resources.publish(
                [AccountEvent(account, "unread", {"room": room, "unread": n}) for (account, room), n in counts.items()]
            )
