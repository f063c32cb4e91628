"""The hub: rooms with viewers in this process, and the fan-out to them (REALTIME, "Fan-out engine").

A channel is a room with viewers. It keeps a ring of its last entries, each encoded once per view; a subscription keeps
the seq that was written last. A flush writes to each writable subscriber everything from its cursor to the head.

Rule 1: delivery is by cursor: no queue per viewer, and a slow one costs an integer.
Rule 2: what lies below the ring comes from the database (`replay.py`), in the order of seq, before what is live.
Rule 3: what the ring tells is what a fresh page would: an entry that was erased has no body there either, and cells
are as they are now.
Rule 4: nothing here awaits or blocks; a flush yields to the loop after `SLICE` subscribers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from app.domain.events import ERASING
from app.domain.live import (
    AccessRevoked,
    AccountEvent,
    Appended,
    Cell,
    CellChanged,
    CheckpointReleased,
    Event,
    Presence,
    Seen,
    TrackerChanged,
    TrackerState,
    Typing,
)
from app.domain.record import Entry
from app.domain.workrooms import WRITTEN_BY_PEOPLE, Member, RoomInfo, Side
from realtime.fastlane import Lane
from realtime.protocol import account_frame, entry_frame, live_frame, snapshot_frame

RING_ENTRIES = 256  # a reconnect after a short cut is served from memory
PIECE_BYTES = 128 * 1024  # of frames in one write; more would pass the lane's limit when messages are large
PIECES_KEPT = 16  # joined pieces of a room, for subscribers in step
SLICE = 500  # subscribers per turn of the loop: about 2 ms of writing
BUSY_DELAY_SECONDS = 0.002  # a busy room joins what comes within this into one write
STALLED_SECONDS_MAX = 15.0
PRESENCE_DELAY_SECONDS = 0.3  # joined together, so that a hundred arrivals are one message
TYPING_SECONDS = 6.0


class Viewer:
    """A connection as the hub sees it: one lane, one view, an account. Made by `viewers.py`."""

    __slots__ = ("account", "credential", "lane", "subscriptions", "view")

    def __init__(self, lane: Lane, account: str, credential: str) -> None:
        self.lane = lane
        self.account = account
        self.credential = credential
        self.view = "json"
        self.subscriptions: dict[str, Subscription] = {}


class Subscription:
    """A viewer's place in a room. `cursor` is the seq last written; `live` is False while it catches up."""

    __slots__ = ("channel", "cursor", "live", "stalled_at", "viewer")

    def __init__(self, viewer: Viewer, channel: Channel, cursor: int) -> None:
        self.viewer = viewer
        self.channel = channel
        self.cursor = cursor
        self.live = False
        self.stalled_at: float | None = None


class Channel:
    """A room with viewers. `first` is the seq of the oldest entry in the ring, `head` of the newest."""

    def __init__(self, room: RoomInfo, head: int) -> None:
        self.room = room
        self.head = head
        self.ring: deque[Appended] = deque(maxlen=RING_ENTRIES)
        self.subscribers: dict[str, dict[Subscription, None]] = {}
        self.trackers: dict[str, TrackerState] = {}
        self.cells: dict[tuple[str, int], Cell] = {}
        self.here: dict[str, int] = {}  # accounts with an open page, and how many
        self.flush_scheduled = False
        self.flushed_at = 0.0
        self.presence_scheduled = False
        self._frames: dict[str, dict[int, bytes]] = {}
        self._pieces: dict[tuple[str, int], tuple[bytes, int]] = {}  # what `frames` returned since the last change
        self._told: dict[tuple[str, int], set[int]] = {}  # by cell: the entries of the ring that tell of it
        self._snapshots: dict[str, bytes] = {}

    @property
    def first(self) -> int:
        return self.head - len(self.ring) + 1

    def append(self, event: Appended) -> bool:
        """Take the next entry; return whether it is new. After a gap the ring begins anew."""
        seq = event.entry.seq
        if seq <= self.head:
            return False
        if seq > self.head + 1:
            self.ring.clear()
            self._frames.clear()
            self._told.clear()
        elif len(self.ring) == RING_ENTRIES:
            self._forget_oldest()
        for cell in event.cells:
            self.note_cell(cell)
        self.ring.append(event)
        self.head = seq
        self._pieces.clear()
        self._note_told(event)
        if event.entry.kind in ERASING and event.entry.ref is not None and event.entry.ref >= self.first:
            erased = self.ring[event.entry.ref - self.first]
            self._put(msgspec.structs.replace(erased, entry=_erased(erased.entry, seq)))
        return True

    def prepend(self, events: Sequence[Appended]) -> None:
        """Take entries that were read from the database, if they end where the ring begins and fit."""
        if not events or events[-1].entry.seq != self.first - 1 or len(self.ring) + len(events) > RING_ENTRIES:
            return
        erased = {e.entry.ref: e.entry.seq for e in self.ring if e.entry.kind in ERASING}
        for event in reversed(events):  # what was published since they were read
            cells = tuple(self.cells.get((cell.by, cell.segment), cell) for cell in event.cells)
            entry = event.entry
            if entry.seq in erased:
                entry = _erased(entry, erased[entry.seq])
            event = Appended(entry, cells)
            self.ring.appendleft(event)
            self._note_told(event)

    def note_cell(self, cell: Cell) -> None:
        """Keep the state of a cell for the snapshot; the oldest go."""
        self.cells.pop((cell.by, cell.segment), None)
        self.cells[cell.by, cell.segment] = cell
        for seq in self._told.get((cell.by, cell.segment), ()):
            event = self.ring[seq - self.first]
            cells = tuple(cell if (c.by, c.segment) == (cell.by, cell.segment) else c for c in event.cells)
            self._put(Appended(event.entry, cells))
        while len(self.cells) > 60:
            self.cells.pop(next(iter(self.cells)))
        self._snapshots.clear()

    def _put(self, event: Appended) -> None:
        """Replace what the ring tells of an entry."""
        seq = event.entry.seq
        self.ring[seq - self.first] = event
        self._pieces.clear()
        for frames in self._frames.values():
            frames.pop(seq, None)

    def _note_told(self, event: Appended) -> None:
        for cell in event.cells:
            self._told.setdefault((cell.by, cell.segment), set()).add(event.entry.seq)

    def _forget_oldest(self) -> None:
        """Drop what is kept beside the ring for the entry that falls out of it next."""
        event = self.ring[0]
        seq = event.entry.seq
        for frames in self._frames.values():
            frames.pop(seq, None)
        for cell in event.cells:
            told = self._told.get((cell.by, cell.segment), set())
            told.discard(seq)
            if not told:
                self._told.pop((cell.by, cell.segment), None)

    def note_member(self, entry: Entry) -> None:
        """Know a member from `member.joined`, so that the rows that follow carry the name."""
        if entry.body is not None and entry.body["member"] not in self.room.members:
            body = entry.body
            joined = Member(entry.room, body["account"], body["member"], Side(body["side"]), body["name"])
            self.room = msgspec.structs.replace(self.room, members={**self.room.members, joined.by: joined})
            self.forget_snapshots()

    def forget_snapshots(self) -> None:
        self._snapshots.clear()

    def frames(self, view: str, after: int) -> tuple[bytes, int]:
        """Return frames behind `after`, joined, about PIECE_BYTES at most, and the seq of the last of them.

        `after` must not lie below the ring. Subscribers in step share one object, however slowly they read.
        """
        piece = self._pieces.get((view, after))
        if piece is not None:
            return piece
        encoded = self._frames.setdefault(view, {})
        first, found, size, seq = self.first, [], 0, after
        while seq < self.head and size < PIECE_BYTES:
            seq += 1
            frame = encoded.get(seq)
            if frame is None:
                frame = encoded[seq] = entry_frame(view, self.ring[seq - first], self.room)
            found.append(frame)
            size += len(frame)
        if len(self._pieces) >= PIECES_KEPT:
            self._pieces.clear()
        piece = self._pieces[view, after] = found[0] if len(found) == 1 else b"".join(found), seq
        return piece

    def snapshot(self, view: str) -> bytes:
        """Return the frame that repairs what live events a viewer may have missed."""
        frame = self._snapshots.get(view)
        if frame is None:
            states = list(self.trackers.values())
            frame = snapshot_frame(view, self.room, self.present(), states, list(self.cells.values()))
            self._snapshots[view] = frame
        return frame

    def present(self) -> tuple[str, ...]:
        """Return the pseudonyms of the members with an open page."""
        return tuple(sorted(m.by for m in self.room.members.values() if m.account in self.here))


def _erased(entry: Entry, tombstone: int) -> Entry:
    return msgspec.structs.replace(entry, body=None, erased=tombstone)


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
                case CheckpointReleased(room=room) | Seen(room=room) | Typing(room=room):
                    channel = self.channels.get(room)
                    if channel is not None:
                        self._broadcast(channel, event)
                    if isinstance(event, Seen):
                        self._tell_reader(event)
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
