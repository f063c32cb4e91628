"""The first page: who works on what, and what waits for whom, as html that the page includes and the socket sends."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup
from msgspec import Struct

from app.domain.live import Appended, TrackerState
from app.domain.matters import SILENCE, Matter
from app.domain.record import Entry
from app.domain.workrooms import RoomInfo
from app.services.home import DueReport
from app.views.matters import who_must_act
from app.views.names import first_name
from app.views.notices import week_text
from app.views.presence import last_html
from app.views.rendering import macro
from app.views.sentences import is_restricted, sentence

MATTERS: dict[str, tuple[str, str]] = {  # of each kind: its icon, and what its author did
    "terms.proposed": ("handshake", "proposed terms"),
    "work_view.requested": ("monitor-play", "asks for Work View"),
    "milestone.proposed": ("flag", "proposed a milestone"),
    "deliverable": ("package", "delivered"),
    "delay": ("calendar-clock", "announced a delay"),
    "transcript": ("messages-square", "transcribed"),
    "disclosure.requested": ("megaphone", "asks to tell a third party"),
    "member.proposed": ("user-plus", "proposed a member"),
    "handover": ("key-round", "handed over a secret"),
}


class ShownMatter(Struct, frozen=True):
    """Something that waits: what it is, for whom, until when, and what silence means."""

    icon: str
    said: str
    who: str
    room: str
    zone: str
    path: str
    due_at: int | None
    means: str


class ShownReport(Struct, frozen=True):
    """A status report that is due."""

    week: str
    room: str
    zone: str
    path: str
    due_at: int


def shown_matter(matter: Matter, room: RoomInfo) -> ShownMatter:
    """Return a matter as the first page lists it."""
    icon, did = MATTERS[matter.kind]
    said = f"{first_name(room, matter.by)} {did}" + (f": {matter.title}" if matter.title else "")
    return ShownMatter(
        icon, said, who_must_act(matter, room), room.title, room.time_zone,
        f"/rooms/{room.id}/entries/{matter.seq}", matter.due_at, SILENCE[matter.kind].means,
    )  # fmt: skip


def shown_report(report: DueReport) -> ShownReport:
    """Return a due report as the first page lists it."""
    info = report.info
    return ShownReport(week_text(report.monday), info.title, info.time_zone, f"/rooms/{info.id}/reports", report.due_at)


def doing_html(state: TrackerState, room: RoomInfo) -> Markup:
    """Return who works now, since when and on what; hidden while the tracker is off."""
    return _doing(room.id, first_name(room, state.by), room.time_zone, state)


@lru_cache(maxsize=8192)  # most are off, and stay so
def _doing(room: str, name: str, zone: str, state: TrackerState) -> Markup:
    return macro("_home.html", "doing")(room, state.by, name, zone, state)


def last_words_html(entry: Entry | None, room: RoomInfo) -> Markup:
    """Return the last thing that a person said in a room."""
    if entry is None:
        return Markup("")
    said = last_html(sentence(entry, room), entry.at, room.time_zone, restricted=is_restricted(entry))
    return Markup('<span data-by="{}" data-seq="{}">{}</span>').format(entry.by, entry.seq, said)


def turn_html(event: Appended) -> Markup:
    """Return the mark by which a page notices that what waits for whom has changed."""
    return Markup("{}:{}").format(event.entry.room, event.entry.seq)
