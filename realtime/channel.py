"""A channel: a room with viewers, the ring of its last entries, and each viewer's place in it.

The ring holds entries encoded once per view; a subscription keeps the seq that was written last. What is written to
whom, and when, is the hub's affair.

Rule 1: delivery is by cursor: no queue per viewer, and a slow one costs an integer.
Rule 2: what the ring tells is what a fresh page would: an entry that was erased has no body there either, and cells
are as they are now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from app.domain.events import ERASING
from app.domain.live import Appended, Cell, TrackerState
from app.domain.record import Entry
from app.domain.workrooms import Member, RoomInfo, Side
from realtime.fastlane import Lane
from realtime.protocol import entry_frame, snapshot_frame

RING_ENTRIES = 256  # a reconnect after a short cut is served from memory
PIECE_BYTES = 128 * 1024  # of frames in one write; more would pass the lane's limit when messages are large
PIECES_KEPT = 16  # joined pieces of a room, for subscribers in step
CELLS_KEPT = 60  # of a room's freelancers: the last hours, for the snapshot


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
            event = Appended(entry, cells, event.matters)
            self.ring.appendleft(event)
            self._note_told(event)

    def note_cell(self, cell: Cell) -> None:
        """Keep the state of a cell for the snapshot; the oldest go."""
        self.cells.pop((cell.by, cell.segment), None)
        self.cells[cell.by, cell.segment] = cell
        for seq in self._told.get((cell.by, cell.segment), ()):
            event = self.ring[seq - self.first]
            cells = tuple(cell if (c.by, c.segment) == (cell.by, cell.segment) else c for c in event.cells)
            self._put(Appended(event.entry, cells, event.matters))
        while len(self.cells) > CELLS_KEPT:
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
