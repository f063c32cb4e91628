"""What travels live: events that services publish after commit, and the states of cells and trackers that pages show.

Rule 1: an event is published once, after the commit that it tells of.
Rule 2: only `Appended` has a place in the record; all others may be lost, and the snapshot after a join repairs them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from app.domain.matters import Matter
from app.domain.record import Entry
from app.domain.workrooms import RoomInfo


class CellState(StrEnum):
    """What a cell of Work View shows: the state of one segment of one freelancer."""

    EMPTY = "empty"
    RUNNING = "running"  # documented time is coming in, the frame has yet to be taken
    WAITING = "waiting"  # the frame was taken and waits in the tracker (rule 2.14)
    STORED = "stored"  # the frame is durable, its thumbnail to come
    READY = "ready"
    UNREADABLE = "unreadable"
    DELETED = "deleted"
    UNDOCUMENTED = "undocumented"  # tracked with Work View off
    MISSING = "missing"  # documented, but the hour is over and there is no frame


class Cell(Struct, frozen=True):
    """One segment of one freelancer, as every viewer sees it. `comment` is the last one written for it."""

    room: str
    by: str
    segment: int
    state: CellState
    documented_ms: int = 0
    tracked_ms: int = 0
    frame_seq: int | None = None
    frame_id: str | None = None
    taken_at: int | None = None
    mark: str | None = None
    provisional: bool = False
    comment: str = ""
    comment_seq: int | None = None


class TrackerState(Struct, frozen=True):
    """What a freelancer's tracker does now. `silent`: on, but not heard of for 90 s (rule 2.5)."""

    by: str
    on: bool
    silent: bool = False
    session: str | None = None
    since: int | None = None
    comment: str = ""
    work_view: bool = False
    today_ms: int = 0
    last_frame_seq: int | None = None


class Appended(Struct, frozen=True):
    """An entry was committed; `cells` and `matters` are those that it changed, as they are now."""

    entry: Entry
    cells: tuple[Cell, ...] = ()
    matters: tuple[Matter, ...] = ()


class RoomChanged(Struct, frozen=True):
    """What every page of a room needs has changed: its state, its time zone, its members."""

    info: RoomInfo


class CellChanged(Struct, frozen=True):
    """A cell changed without an entry: a tick, a thumbnail that is ready."""

    room: str
    cell: Cell


class TrackerChanged(Struct, frozen=True):
    room: str
    state: TrackerState


class PreviewReady(Struct, frozen=True):
    """The picture of an attached file was made, or cannot be (`ok` is false). `position` counts from 0."""

    room: str
    seq: int
    position: int
    ok: bool = True


class Typing(Struct, frozen=True):
    room: str
    by: str


class Presence(Struct, frozen=True):
    """Who is here now: the pseudonyms with an open page."""

    room: str
    here: tuple[str, ...]


class CheckpointReleased(Struct, frozen=True):
    room: str
    size: int
    note: str


class Seen(Struct, frozen=True):
    """A member has read up to `seq`."""

    room: str
    by: str
    seq: int


class FrameDecoded(Struct, frozen=True):
    """The worker has decoded the frame of an account's tracker, or could not: `frame_ok` or `frame_bad` (rule 2.6)."""

    account: str
    frame: str
    ok: bool


class FrameErased(Struct, frozen=True):
    """A frame was deleted or replaced: trackers of the account drop their copy."""

    account: str
    frame: str


class AccountEvent(Struct, frozen=True):
    """For one account only: unread counts, who looked at a frame."""

    account: str
    event: str
    data: dict[str, Any]


class AccessRevoked(Struct, frozen=True):
    """A session or token ended: its sockets close with 4401. `credential` is its id."""

    credential: str


Event = (
    Appended
    | RoomChanged
    | CellChanged
    | TrackerChanged
    | PreviewReady
    | Typing
    | Presence
    | CheckpointReleased
    | Seen
    | FrameDecoded
    | FrameErased
    | AccountEvent
    | AccessRevoked
)
