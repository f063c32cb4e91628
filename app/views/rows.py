"""A row: an entry with everything that its template shows, worked out once.

Rule 1: a row is the same for every viewer: no "you", no left and right, times in the agreed zone (the page's script
puts them into the viewer's own).
Rule 2: what happened to an entry later (a frame deleted, a correction) is handed in as `fate` and `marks`, never read.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from app.domain.accounts import initials
from app.domain.live import CellState
from app.domain.record import Entry
from app.domain.timerange import (
    HOUR_MS,
    MINUTE_MS,
    SEGMENT_MS,
    instant_of,
    instant_text,
    segment_end,
    segment_start,
)
from app.domain.workrooms import SYSTEM, RoomInfo
from app.views.rendering import hue, when
from app.views.text import rich_text

BAR_HEIGHT = 14
TOLD_LATER_MS = 2 * MINUTE_MS  # an event told this long after it happened shows both times
FATES = {"frame.deleted": "deleted", "frame.replaced": "replaced", "frame.unreadable": "unreadable"}


def _instant(text: str) -> int:
    return instant_of(datetime.fromisoformat(text))


class Segment:
    """One column of an hour's small chart: heights in pixels of documented time, and of it with tracked time."""

    __slots__ = ("high", "tall")

    def __init__(self, documented_ms: int, tracked_ms: int) -> None:
        self.high = _pixels(documented_ms)
        self.tall = _pixels(documented_ms + tracked_ms)


def _pixels(milliseconds: int) -> int:
    return min(BAR_HEIGHT, -(-milliseconds * BAR_HEIGHT // SEGMENT_MS))


@lru_cache(maxsize=16384)
def person(name: str, by: str) -> tuple[str, str, int]:
    """Return first name, initials and colour of a member."""
    return name.split(" ")[0], initials(name), hue(by)


def name_of(room: RoomInfo, by: str) -> str:
    """Return the name behind a pseudonym, as `member.joined` committed it."""
    member = room.members.get(by)
    if member is not None:
        return member.name
    return "Workroom" if by == SYSTEM else by


def first_name(room: RoomInfo, by: str) -> str:
    """Return the first word of a member's name."""
    return name_of(room, by).split(" ")[0]


class Row:
    """What a template of `templates/entries/` shows of one entry. Costly parts are properties."""

    __slots__ = (
        "_entry",
        "_room",
        "body",
        "by",
        "cid",
        "erased",
        "fate",
        "first",
        "hue",
        "initials",
        "kind",
        "marks",
        "matter",
        "name",
        "ref",
        "room",
        "seq",
        "side",
        "time",
    )

    def __init__(
        self,
        entry: Entry,
        room: RoomInfo,
        fate: str | None,
        marks: tuple[Markup, ...],
        matter: Markup | str = "",
    ) -> None:
        self._entry, self._room = entry, room
        self.room, self.seq, self.kind, self.by = entry.room, entry.seq, entry.kind, entry.by
        self.body, self.ref, self.cid, self.erased = entry.body, entry.ref, entry.cid, entry.erased
        member = room.members.get(entry.by)
        self.side = member.side.value if member is not None else "system"
        self.name = name_of(room, entry.by)
        self.first, self.initials, self.hue = person(self.name, entry.by)
        self.time = when(entry.at, room.time_zone)
        self.fate = fate or ("stored" if entry.body is not None else "erased")
        self.marks = marks
        self.matter = matter

    @property
    def text(self) -> Markup:
        """The text of a person's entry as html."""
        return rich_text(self._body["text"])

    @property
    def _body(self) -> dict[str, Any]:
        return self.body or {}

    @property
    def member(self) -> str:
        """The pseudonym that the entry is about."""
        return str(self._body.get("member", self.by))

    @property
    def subject(self) -> str:
        """The first name of whom the entry is about."""
        return first_name(self._room, self.member)

    @property
    def taken(self) -> Markup:
        """When a frame was taken."""
        return when(_instant(self._body["taken_at"]), self._room.time_zone)

    @property
    def late(self) -> Markup:
        """Says when it happened, where a tracker told of it later."""
        happened = _instant(self._body["at"])
        if abs(self._entry.at - happened) < TOLD_LATER_MS:
            return Markup("")
        return Markup(" at {} · told later").format(when(happened, self._room.time_zone))

    def _bounds(self) -> tuple[int, int]:
        body = self._body
        if "hour" in body:
            return body["hour"] * HOUR_MS, (body["hour"] + 1) * HOUR_MS
        if "from_segment" in body:
            return segment_start(body["from_segment"]), segment_end(body["to_segment"])
        return _instant(body["start"]), _instant(body["end"])

    @property
    def from_time(self) -> Markup:
        """Where the stretch begins that the entry is about."""
        return when(self._bounds()[0], self._room.time_zone)

    @property
    def to_time(self) -> Markup:
        """Where it ends."""
        return when(self._bounds()[1], self._room.time_zone)

    @property
    def taken_off(self) -> int:
        """Milliseconds of a stretch that was discarded."""
        start, end = self._bounds()
        return end - start

    @property
    def segment_time(self) -> Markup | None:
        """When the segment began that a note is about."""
        segment = self._body.get("segment")
        return None if segment is None else when(segment_start(segment), self._room.time_zone)

    @property
    def hour_iso(self) -> str:
        """The beginning of the hour window, as an address carries it."""
        return instant_text(self._bounds()[0])

    @property
    def segments(self) -> list[Segment]:
        """The columns of the hour's chart."""
        return [Segment(s["documented_ms"], s["tracked_ms"]) for s in self._body["segments"]]

    @property
    def documented(self) -> int:
        """Documented milliseconds of the hour."""
        return sum(s["documented_ms"] for s in self._body["segments"])

    @property
    def tracked(self) -> int:
        """Tracked milliseconds of the hour."""
        return sum(s["tracked_ms"] for s in self._body["segments"])

    @property
    def frames(self) -> int:
        """How many segments of the hour have their frame."""
        return sum(1 for s in self._body["segments"] if s.get("frame") is not None)


TILE_OF = {
    CellState.READY: "ready",
    CellState.STORED: "stored",
    CellState.UNREADABLE: "unreadable",
    CellState.DELETED: "deleted",
}
