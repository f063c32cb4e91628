"""The hub: all viewers of this process, and the fan-out to them (docs/architecture.md).

A flush writes to each writable subscriber of a channel everything from its cursor to the head.

Rule 1: what lies below a channel's ring comes from the database (`replay.py`), in the order of seq, before what is
live.
Rule 2: nothing here awaits or blocks; a flush yields to the loop after `SLICE` subscribers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from app.domain.live import (
    AccessRevoked,
    AccountEvent,
    Appended,
    CellChanged,
    CheckpointReleased,
    Event,
    Presence,
    PreviewReady,
    RoomChanged,
    Seen,
    TrackerChanged,
    TrackerState,
    Typing,
)
from app.domain.record import Entry
from app.domain.workrooms import WRITTEN_BY_PEOPLE, RoomInfo
from realtime.channel import Channel, Subscription, Viewer
from realtime.protocol import account_frame, live_frame

SLICE = 500  # subscribers per turn of the loop: about 2 ms of writing
BUSY_DELAY_SECONDS = 0.002  # a busy room joins what comes within this into one write
STALLED_SECONDS_MAX = 15.0
PRESENCE_DELAY_SECONDS = 0.3  # joined together, so that a hundred arrivals are one message
TYPING_SECONDS = 6.0


class Hub:
    """All channels and viewers of this process. `publish` is a subscriber of the bus."""

    def __init__(self, room_of: Callable[[str], RoomInfo | None]) -> None:
        self.channels: dict[str, Channel] = {}
        self.accounts: dict[str, set[Viewer]] = {}
        self.unread_changed: Callable[[str, str], None] = lambda account, room: None  # set by unread.py
        self.presence_changed: Callable[[Presence], None] = lambda presence: None  # trackers hear who is watching
        self.opening: dict[str, list[Appended]] = {}  # rooms whose channel is being read, and what was published since
        self.catch_up: Callable[[Subscription], None] = lambda subscription: None  # set by replay.py
        self._room_of = room_of
        self._stalled: dict[Subscription, None] = {}
        self._tracking: dict[str, dict[str, str]] = {}  # of rooms in which somebody tracks: "on" or "silent", by member
        self._loop = asyncio.get_running_loop()

    # Viewers

    def add_viewer(self, viewer: Viewer) -> None:
        self.accounts.setdefault(viewer.account, set()).add(viewer)

    def remove_viewer(self, viewer: Viewer) -> None:
        for room in list(viewer.subscriptions):
            self.leave(viewer, room)
        viewers = self.accounts.get(viewer.account)
        if viewers is not None:
            viewers.discard(viewer)
            if not viewers:
                del self.accounts[viewer.account]

    def subscribe(self, viewer: Viewer, channel: Channel, cursor: int) -> Subscription:
        """Register a viewer, in the same step in which its caller read the ring's place. It is not live yet."""
        self.leave(viewer, channel.room.id)
        subscription = Subscription(viewer, channel, cursor)
        viewer.subscriptions[channel.room.id] = subscription
        channel.subscribers.setdefault(viewer.view, {})[subscription] = None
        count = channel.here.get(viewer.account, 0)
        channel.here[viewer.account] = count + 1
        if count == 0:
            self._schedule_presence(channel)
        return subscription

    def leave(self, viewer: Viewer, room: str) -> None:
        """Take a viewer out of a room; a room without viewers is forgotten."""
        subscription = viewer.subscriptions.pop(room, None)
        if subscription is None:
            return
        channel = subscription.channel
        subscription.live = False
        self._stalled.pop(subscription, None)
        of_view = channel.subscribers.get(viewer.view)
        if of_view is not None:
            of_view.pop(subscription, None)
            if not of_view:
                del channel.subscribers[viewer.view]
        count = channel.here.get(viewer.account, 0) - 1
        if count > 0:
            channel.here[viewer.account] = count
        else:
            channel.here.pop(viewer.account, None)
            self._schedule_presence(channel)
        if not channel.subscribers and self.channels.get(room) is channel:
            del self.channels[room]

    # Publishing

    def publish(self, events: Sequence[Event]) -> None:
        """Take committed events and deliver them to the viewers in this process."""
        for event in events:
            match event:
                case Appended():
                    self._appended(event)
                case CellChanged(room=room, cell=cell):
                    channel = self.channels.get(room)
                    if channel is not None:
                        channel.note_cell(cell)
                        self._broadcast(channel, event)
                case TrackerChanged(room=room, state=state):
                    channel = self.channels.get(room)
                    if channel is not None:
                        channel.trackers[state.by] = state
                        channel.forget_snapshots()
                        self._broadcast(channel, event)
                    self._tell_of_tracker(room, state)
                case CheckpointReleased(room=room) | Seen(room=room) | Typing(room=room) | PreviewReady(room=room):
                    channel = self.channels.get(room)
                    if channel is not None:
                        self._broadcast(channel, event)
                    if isinstance(event, Seen):
                        self._tell_reader(event)
                case RoomChanged(info=info):
                    channel = self.channels.get(info.id)
                    if channel is not None:
                        channel.room = info
                        channel.forget_snapshots()
                case AccountEvent(account=account):
                    self._to_account(account, event)
                case AccessRevoked(credential=credential):
                    self._revoke(credential)

    def typing(self, channel: Channel, by: str) -> None:
        """Show that a member types; it passes after a few seconds."""
        self._broadcast(channel, Typing(channel.room.id, by))
        self._loop.call_later(TYPING_SECONDS, self._broadcast, channel, Typing(channel.room.id, ""))

    def _appended(self, event: Appended) -> None:
        entry = event.entry
        if entry.room in self.opening:
            self.opening[entry.room].append(event)
        channel = self.channels.get(entry.room)
        if channel is not None and channel.append(event):
            if entry.kind == "member.joined":
                channel.note_member(entry)
                self._schedule_presence(channel)
            self.schedule_flush(channel)
        if entry.kind in WRITTEN_BY_PEOPLE:
            self._tell_members(entry, channel)

    def _tell_members(self, entry: Entry, channel: Channel | None) -> None:
        """Note that the unread count of a room changed for its other members who look at something else."""
        room = channel.room if channel is not None else self._room_of(entry.room)
        here = channel.here if channel is not None else {}
        for member in room.members.values() if room is not None else ():
            viewers = self.accounts.get(member.account)
            # Counted, not looked for: with a thousand viewers a look at each would cost more than their writes.
            if viewers and member.by != entry.by and len(viewers) > here.get(member.account, 0):
                self.unread_changed(member.account, entry.room)

    def _tell_reader(self, event: Seen) -> None:
        """Let the other pages of who read a room show that it is read."""
        room = self._room_of(event.room)
        member = room.members.get(event.by) if room is not None else None
        if member is not None and any(event.room not in v.subscriptions for v in self.accounts.get(member.account, ())):
            self.unread_changed(member.account, event.room)

    def _tell_of_tracker(self, room: str, state: TrackerState) -> None:
        """Let members who look at something else see that somebody began to track, fell silent or stopped."""
        before, known = self._tracking.get(room, {}), dict(self._tracking.get(room, {}))
        if state.on:
            known[state.by] = "silent" if state.silent else "on"
        else:
            known.pop(state.by, None)
        if known == before:
            return
        if known:
            self._tracking[room] = known
        else:
            del self._tracking[room]
        info = self._room_of(room)
        tracking = "on" if "on" in known.values() else "silent" if known else ""
        for member in info.members.values() if info is not None else ():
            if member.account in self.accounts:
                self._to_account(
                    member.account, AccountEvent(member.account, "tracking", {"room": room, "tracking": tracking})
                )

    def _to_account(self, account: str, event: AccountEvent) -> None:
        for viewer in list(self.accounts.get(account, ())):
            if event.data.get("room") in viewer.subscriptions and viewer.view != "home":
                continue  # it looks at that very room
            frame = account_frame(viewer.view, event)
            if frame is not None and viewer.lane.is_writable:
                viewer.lane.write(frame)

    def _revoke(self, credential: str) -> None:
        for viewers in list(self.accounts.values()):
            for viewer in list(viewers):
                if viewer.credential == credential:
                    viewer.lane.close(4401, "signed out")

    def _broadcast(self, channel: Channel, event: Event) -> None:
        """Write a live event to every writable viewer; it may be lost, the next snapshot repairs it."""
        for view, subscribers in list(channel.subscribers.items()):
            frame = live_frame(view, event, channel.room)
            if frame is None:
                continue
            for subscription in list(subscribers):
                lane = subscription.viewer.lane
                if subscription.live and lane.is_writable:
                    lane.write(frame)

    def _schedule_presence(self, channel: Channel) -> None:
        if not channel.presence_scheduled:
            channel.presence_scheduled = True
            self._loop.call_later(PRESENCE_DELAY_SECONDS, self._publish_presence, channel)

    def _publish_presence(self, channel: Channel) -> None:
        channel.presence_scheduled = False
        channel.forget_snapshots()
        presence = Presence(channel.room.id, channel.present())
        self._broadcast(channel, presence)
        self.presence_changed(presence)

    # The flush

    def schedule_flush(self, channel: Channel) -> None:
        """Write what is new at the end of this turn of the loop, or a little later while the room is busy."""
        if channel.flush_scheduled:
            return
        channel.flush_scheduled = True
        if self._loop.time() - channel.flushed_at < BUSY_DELAY_SECONDS:
            self._loop.call_later(BUSY_DELAY_SECONDS, self._flush, channel)
        else:
            self._loop.call_soon(self._flush, channel)

    def _flush(self, channel: Channel) -> None:
        channel.flush_scheduled = False
        channel.flushed_at = self._loop.time()
        for view, subscribers in list(channel.subscribers.items()):
            if len(subscribers) <= SLICE:
                self._write(channel, view, subscribers)
            else:
                self._write_slices(channel, view, list(subscribers))

    def _write_slices(self, channel: Channel, view: str, subscribers: list[Subscription], start: int = 0) -> None:
        self._write(channel, view, subscribers[start : start + SLICE])
        if start + SLICE < len(subscribers):
            self._loop.call_soon(self._write_slices, channel, view, subscribers, start + SLICE)

    def _write(self, channel: Channel, view: str, subscribers: Iterable[Subscription]) -> None:
        head, first = channel.head, channel.first
        pieces: dict[int, tuple[bytes, int]] = {}  # by cursor
        fallen_behind: list[Subscription] = []
        for subscription in subscribers:
            cursor = subscription.cursor
            if cursor >= head or not subscription.live:
                continue
            if cursor < first - 1:
                fallen_behind.append(subscription)
                continue
            lane = subscription.viewer.lane
            while cursor < head and lane.is_writable:
                piece = pieces.get(cursor)
                if piece is None:
                    piece = pieces[cursor] = channel.frames(view, cursor)
                lane.write(piece[0])
                cursor = piece[1]
            subscription.cursor = cursor
            if cursor < head and subscription.stalled_at is None:
                subscription.stalled_at = self._loop.time()
                self._stalled[subscription] = None
        for subscription in fallen_behind:
            subscription.live = False
            self.catch_up(subscription)

    def resume(self, viewer: Viewer) -> None:
        """Write to a viewer whose connection became writable again what it missed meanwhile."""
        for subscription in list(viewer.subscriptions.values()):
            subscription.stalled_at = None
            self._stalled.pop(subscription, None)
            if subscription.live:
                self._write(subscription.channel, viewer.view, (subscription,))

    def drop_stalled(self) -> int:
        """Drop connections that were not writable for too long; they resume by seq. Return how many."""
        now, dropped = self._loop.time(), 0
        for subscription in list(self._stalled):
            lane = subscription.viewer.lane
            if lane.is_open and lane.is_writable:
                self.resume(subscription.viewer)
            elif subscription.stalled_at is not None and now - subscription.stalled_at > STALLED_SECONDS_MAX:
                dropped += 1
                self._stalled.pop(subscription, None)
                lane.abort()
        return dropped
