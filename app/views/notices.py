"""Notices as sentences: on the page, and in mails, where nothing restricted is told."""

from __future__ import annotations

from datetime import date, timedelta

from msgspec import Struct

from app.domain.matters import SILENCE
from app.domain.notices import Reason
from app.domain.timerange import datetime_of
from app.domain.workrooms import RoomInfo
from app.services.notices import Notice
from app.views.rendering import zone_of
from app.views.sentences import is_restricted, sentence

ICONS: dict[Reason, str] = {
    Reason.WAITING: "hourglass",
    Reason.DUE_SOON: "calendar-clock",
    Reason.ANSWERED: "reply",
    Reason.MENTION: "at-sign",
    Reason.REPLY: "reply",
    Reason.REPORT_DUE: "list-checks",
    Reason.REPORT_MISSING: "triangle-alert",
}
WORDS: dict[Reason, str] = {
    Reason.WAITING: "Waits for you",
    Reason.DUE_SOON: "Silence answers soon",
    Reason.ANSWERED: "Answered",
    Reason.MENTION: "You were mentioned",
    Reason.REPLY: "A reply to you",
    Reason.REPORT_DUE: "Report due",
    Reason.REPORT_MISSING: "Report missing",
}


class ShownNotice(Struct, frozen=True):
    """A notice as a page or a mail shows it. `path` leads to what it is about, on this server."""

    id: str
    icon: str
    word: str
    said: str
    room: str
    path: str
    at: int
    zone: str
    is_read: bool
    restricted: bool = False


def shown_notice(notice: Notice, *, withhold: bool = False) -> ShownNotice:
    """Return a notice as it is shown. `withhold`: it leaves the workroom, and says nothing restricted."""
    row, info, entry = notice.row, notice.info, notice.entry
    path = f"/rooms/{info.id}/reports" if row.seq < 0 else f"/rooms/{info.id}/entries/{row.seq}"
    return ShownNotice(
        id=row.id,
        icon=ICONS[row.reason],
        word=WORDS[row.reason],
        said=_said(notice, withhold),
        room=info.title,
        path=path,
        at=entry.at if entry is not None and row.reason is not Reason.DUE_SOON else row.created_at,
        zone=info.time_zone,
        is_read=row.read_at is not None,
        restricted=entry is not None and is_restricted(entry),
    )


def _said(notice: Notice, withhold: bool) -> str:
    row, info, entry = notice.row, notice.info, notice.entry
    if row.reason is Reason.REPORT_DUE:
        monday = date.fromordinal(row.key)
        sunday = monday + timedelta(days=6)
        return f"Your status report on {week_text(monday)} is due on Sunday {sunday.day} {sunday:%b}, 23:59."
    if entry is None:
        return "The entry cannot be found."
    said = sentence(entry, info, withhold=withhold)
    if row.reason is Reason.DUE_SOON:
        return f"Until {moment_text(row.key, info)}, {SILENCE[entry.kind].means}. {said}"
    return said


def moment_text(at: int, info: RoomInfo) -> str:
    """Return `22 Nov, 10:41` in the zone of a room."""
    moment = datetime_of(at, zone_of(info.time_zone))
    return f"{moment.day} {moment:%b}, {moment:%H:%M}"


def week_text(monday: date) -> str:
    """Return `16 to 22 Nov`, or `28 Sep to 4 Oct`."""
    sunday = monday + timedelta(days=6)
    month = "" if monday.month == sunday.month else f" {monday:%b}"
    return f"{monday.day}{month} to {sunday.day} {sunday:%b}"
