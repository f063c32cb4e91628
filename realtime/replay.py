"""Replay: opens a room's channel, and brings viewers from where they are to where the room is.

Rule 1: a viewer is registered before the database is read, so nothing falls between what is read and what is live.
Rule 2: a replay is written in pieces, each only when the connection is writable, and few replays run at a time.
Rule 3: a gap that is too long is a reset: the page loads afresh, a program reads the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from app.domain.errors import Unavailable, WorkroomError
from app.domain.live import Appended, Cell, TrackerState
from app.domain.workrooms import RoomInfo
from app.services.access import room_info
from app.services.resources import Resources
from app.storage import record as rows
from realtime.channel import PIECE_BYTES, Channel, Subscription, Viewer
from realtime.hub import Hub
from realtime.protocol import entry_frame, joined_frame

GAP_ENTRIES_MAX_HTML = 300  # rows that a page can take live; more is slower than a fresh page
GAP_ENTRIES_MAX_JSON = 1_000  # one page of the API
PAGE_ENTRIES = 100
REPLAYS_AT_ONCE = 8  # a herd waits in line instead of filling memory with pages
DRAINED_WAIT_SECONDS = 15.0

Decorate = Callable[[Resources, RoomInfo, Sequence[Appended]], Awaitable[list[Appended]]]
Snapshot = Callable[[Resources, RoomInfo], Awaitable[tuple[list[TrackerState], list[Cell]]]]

log = structlog.get_logger()


class Replay:
    """Catches viewers up. `decorate` adds the cells that old entries changed, `snapshot` gives a room's live state."""

    def __init__(self, resources: Resources, hub: Hub, decorate: Decorate, snapshot: Snapshot) -> None:
        self._resources = resources
        self._hub = hub
        self._decorate = decorate
        self._snapshot = snapshot
        self._slots = asyncio.Semaphore(REPLAYS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: dict[str, asyncio.Task[Channel]] = {}
        hub.catch_up = self.start

    async def join(self, viewer: Viewer, room: str, after: int) -> None:
        """Put a viewer, who may read the room, at `after`, tell it how it goes on, and bring it to the head.

        Raises:
            NotFound: if there is no such room.
        """
        channel = await self._channel(room)
        if not viewer.lane.is_open:
            self._drop_if_empty(channel)
            return
        member = channel.room.member_of(viewer.account)
        by = member.by if member is not None else ""
        gap_max = GAP_ENTRIES_MAX_JSON if viewer.view == "json" else GAP_ENTRIES_MAX_HTML
        head = channel.head
        if after > head or head - after > gap_max:
            viewer.lane.write(joined_frame(room, by, head, "reset"))
            self._drop_if_empty(channel)
            return
        subscription = self._hub.subscribe(viewer, channel, after)
        viewer.lane.write(joined_frame(room, by, head, "live" if after == head else "replay"))
        if after >= channel.first - 1:
            self._write_from_ring(subscription)
        if subscription.cursor == channel.head:
            self._go_live(subscription)
        else:
            self.start(subscription)

    def start(self, subscription: Subscription) -> None:
        """Bring a subscription that is not live to the head, in a task of its own."""
        task = asyncio.create_task(self._catch_up(subscription), name="replay")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _go_live(self, subscription: Subscription) -> None:
        subscription.live = True
        subscription.viewer.lane.write(subscription.channel.snapshot(subscription.viewer.view))

    def _write_from_ring(self, subscription: Subscription) -> None:
        """Write what the connection takes of what the ring holds."""
        viewer, channel = subscription.viewer, subscription.channel
        while subscription.cursor < channel.head and viewer.lane.is_writable:
            piece, subscription.cursor = channel.frames(viewer.view, subscription.cursor)
            viewer.lane.write(piece)

    async def _catch_up(self, subscription: Subscription) -> None:
        viewer, channel = subscription.viewer, subscription.channel
        try:
            while viewer.lane.is_open and viewer.subscriptions.get(channel.room.id) is subscription:
                await self._until_drained(viewer)
                if subscription.cursor >= channel.first - 1:
                    self._write_from_ring(subscription)
                    if subscription.cursor == channel.head:  # the same step: nothing can come between
                        self._go_live(subscription)
                        return
                    continue
                await self._write_from_database(subscription)
        except TimeoutError:
            viewer.lane.abort()
        except WorkroomError as error:
            log.warning("replay failed", room=channel.room.id, code=error.code)
            viewer.lane.close(4001, "resync")

    async def _write_from_database(self, subscription: Subscription) -> None:
        """Write what the connection takes of the next page. The rest is read again: a thousand that wait must not hold
        a page each.

        Raises:
            Unavailable: if there is nothing to read where something must be.
        """
        viewer, channel = subscription.viewer, subscription.channel
        async with self._slots:
            pieces = await self._read_page(channel, viewer.view, subscription.cursor)
        if not pieces:
            raise Unavailable()
        for piece, seq in pieces:
            if viewer.subscriptions.get(channel.room.id) is not subscription or not viewer.lane.is_writable:
                return
            viewer.lane.write(piece)
            subscription.cursor = seq
            await asyncio.sleep(0)
            if not viewer.lane.is_drained:
                return

    async def _read_page(self, channel: Channel, view: str, after: int) -> list[tuple[bytes, int]]:
        """Return the page of entries behind `after` in pieces, each with the seq of its last entry."""
        async with self._resources.database.read() as connection:
            found = await rows.select_after(connection, channel.room.id, after, PAGE_ENTRIES)
        events = [Appended(entry) for entry in found]
        events = await self._decorate(self._resources, channel.room, events)
        channel.prepend(events)  # whoever comes next with the same gap is served from memory
        pieces, piece = [], bytearray()
        for event in events:
            piece += entry_frame(view, event, channel.room)
            if len(piece) >= PIECE_BYTES or event is events[-1]:
                pieces.append((bytes(piece), event.entry.seq))
                piece.clear()
        return pieces

    async def _until_drained(self, viewer: Viewer) -> None:
        """Wait until a connection has taken what was written: pieces from the database are shared with nobody.

        Raises:
            TimeoutError: if it takes too long.
        """
        deadline = asyncio.get_running_loop().time() + DRAINED_WAIT_SECONDS
        while viewer.lane.is_open and not viewer.lane.is_drained:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.02)

    async def _channel(self, room: str) -> Channel:
        channel = self._hub.channels.get(room)
        if channel is not None:
            return channel
        task = self._opening.get(room)
        if task is None:
            task = self._opening[room] = asyncio.create_task(self._open(room))
            task.add_done_callback(lambda _: self._opening.pop(room, None))
        return await asyncio.shield(task)

    async def _open(self, room: str) -> Channel:
        """Read the end of a room's record while what is published meanwhile is set aside."""
        published = self._hub.opening.setdefault(room, [])
        try:
            info = await room_info(self._resources, room)
            async with self._resources.database.read() as connection:
                head = await rows.select_head(connection, room)
            states, cells = await self._snapshot(self._resources, info)
            channel = Channel(info, head)
            channel.trackers = {state.by: state for state in states}
            for cell in cells:
                channel.note_cell(cell)
            for event in published:
                channel.append(event)
            channel.room = self._resources.rooms.get(room, info)
        finally:
            del self._hub.opening[room]
        self._hub.channels[room] = channel
        return channel

    def _drop_if_empty(self, channel: Channel) -> None:
        if not channel.subscribers and self._hub.channels.get(channel.room.id) is channel:
            del self._hub.channels[channel.room.id]
