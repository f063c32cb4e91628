"""A row: an entry with everything that its template shows, worked out once.

Rule 1: a row is the same for every viewer: no "you", no left and right, times in the agreed zone (the page's script
puts them into the viewer's own).
Rule 2: what happened to an entry later (a frame deleted, a correction) is handed in as `fate` and `marks`, never read.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from markupsafe import Markup
from msgspec import structs

from app.domain.live import CellState
from app.domain.mentions import names_of
from app.domain.money import DECIMALS, Money
from app.domain.record import Entry
from app.domain.terms import terms_of
from app.domain.timerange import (
    HOUR_MS,
    MINUTE_MS,
    SEGMENT_MS,
    instant_of,
    instant_text,
    segment_end,
    segment_start,
)
from app.domain.workrooms import RoomInfo, Side
from app.views.money import money_text
from app.views.names import first_name, name_of, person
from app.views.rendering import days_text, when
from app.views.terms import terms_lines
from app.views.text import rich_text

BAR_HEIGHT = 14
TOLD_LATER_MS = 2 * MINUTE_MS  # an event told this long after it happened shows both times
HEARD_OPEN_MAX = 4  # passages of a transcript that are shown without being asked for
HEARD_CHARS_MAX = 600
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
        return self.rich("text")

    def rich(self, name: str) -> Markup:
        """Return a text of it as html, with the members that it names marked."""
        text = self._body[name]
        return rich_text(text, names_of(self._room) if "@" in text else ())

    @staticmethod
    def words(text: str) -> Markup:
        """Return a text within it as html."""
        return rich_text(text)

    @property
    def _body(self) -> dict[str, Any]:
        return self.body or {}

    @property
    def restricted(self) -> bool:
        """Whether it must not leave the workroom (rule 6.4)."""
        return bool(self._body.get("restricted"))

    def name_in(self, field: str) -> str:
        """Return the name behind a pseudonym that the body names."""
        return name_of(self._room, str(self._body[field]))

    @staticmethod
    def date(text: str) -> str:
        """Return `Fri 4 Dec 2026` for a day as the record writes it."""
        day = date.fromisoformat(text)
        return f"{day:%a} {day.day} {day:%b} {day.year}"

    @staticmethod
    def milestone(key: str) -> str:
        """Return `Milestone 2` for `m2`: rows know no name but those in their own body."""
        return f"Milestone {key[1:]}"

    def money(self, amount_minor: int) -> str:
        """Return `900.00 EUR`; without a currency, which bodies of milestones may leave out, the minor units."""
        currency = self._body.get("currency")
        return money_text(Money(amount_minor, currency)) if currency in DECIMALS else f"{amount_minor} minor units"

    @property
    def terms(self) -> list[tuple[str, str]]:
        """What proposed terms say, line by line; their words stand below."""
        freelancers = {member.by: member for member in self._room.on_side(Side.FREELANCER)}
        room = structs.replace(self._room, members=freelancers)  # who is a client changes, and rows do not
        lines = terms_lines(terms_of(self._body), room)
        return [(line.label, line.value) for line in lines if line.key != "text"]

    @property
    def week(self) -> int:
        """The number of the week that a report is about (ISO 8601)."""
        return date.fromisoformat(self._body["week_on"]).isocalendar().week

    @property
    def week_days(self) -> str:
        """The days of that week."""
        monday = date.fromisoformat(self._body["week_on"])
        return days_text(monday.isoformat(), (monday + timedelta(days=6)).isoformat())

    @property
    def is_long(self) -> bool:
        """Whether a transcript is folded at first."""
        lines = self._body["lines"]
        return len(lines) > HEARD_OPEN_MAX or sum(len(line["text"]) for line in lines) > HEARD_CHARS_MAX

    @property
    def heard(self) -> str:
        """Who speaks in a transcript."""
        names = list(dict.fromkeys(line["who"] for line in self._body["lines"]))
        more = len(names) - HEARD_OPEN_MAX
        return ", ".join(names[:HEARD_OPEN_MAX]) + (f" and {more} more" if more > 0 else "")

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
