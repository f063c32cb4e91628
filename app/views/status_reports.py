"""Status reports as a page lists them, and as JSON."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from msgspec import Struct

from app.domain.mentions import names_of
from app.domain.terms import Milestone
from app.domain.timerange import instant_text
from app.services.status_reports import Due, Report, Reports
from app.views.names import name_of
from app.views.notices import week_text
from app.views.text import rich_text


class JsonReport(Struct, frozen=True, forbid_unknown_fields=True):
    """A week of a freelancer: the report that counts (`seq`, `at`, `body`), or that it was missing (`missing_seq`)."""

    member: str
    week_on: str
    late: bool
    seq: int | None
    at: str | None
    body: dict[str, Any] | None
    missing_seq: int | None


class JsonDue(Struct, frozen=True, forbid_unknown_fields=True):
    """The next report of a freelancer; `seq` if it is there already."""

    member: str
    week_on: str
    due_at: str
    seq: int | None


class JsonReports(Struct, frozen=True, forbid_unknown_fields=True):
    """The reports of a workroom, the newest week first, and those that are due next."""

    reports: list[JsonReport]
    due: list[JsonDue]


class ShownProgress(Struct, frozen=True):
    name: str
    percent: int


class ShownReport(Struct, frozen=True):
    """A week on the page. `seq` is None where the report is missing; `texts` are titles with what was written."""

    week: str
    name: str
    seq: int | None
    at: int | None
    late: bool
    missing_seq: int | None
    texts: list[tuple[str, Markup]]
    progress: list[ShownProgress]
    releases: list[str]
    files: int
    restricted: bool


class ShownDue(Struct, frozen=True):
    """The report that is due next, and whose it is."""

    name: str
    by: str
    week: str
    at: int
    sent: int | None


_TEXTS = (("done", "Done"), ("next", "Next"), ("blocked", "Blocked"))


def shown_reports(found: Reports) -> list[ShownReport]:
    """Return the reports of a workroom as its page lists them."""
    return [_shown(found, report) for report in found.listed]


def _shown(found: Reports, report: Report) -> ShownReport:
    entry = report.entry
    body = (entry.body if entry is not None else None) or {}
    names = names_of(found.info)
    milestones = found.milestones.get(report.member.by, {})
    return ShownReport(
        week=week_text(report.monday),
        name=name_of(found.info, report.member.by),
        seq=entry.seq if entry is not None else None,
        at=entry.at if entry is not None else None,
        late=report.late,
        missing_seq=report.missing_seq,
        texts=[(title, rich_text(body[field], names)) for field, title in _TEXTS if body.get(field)],
        progress=[
            ShownProgress(_name(milestones, each["milestone"]), each["percent"]) for each in body.get("progress", [])
        ],
        releases=[_name(milestones, key) for key in body.get("asks_release", [])],
        files=len(body.get("files", [])),
        restricted=bool(body.get("restricted")),
    )


def _name(milestones: dict[str, Milestone], key: str) -> str:
    return milestones[key].name if key in milestones else key


def shown_due(found: Reports, due: Due) -> ShownDue:
    """Return the next report of a freelancer as the page tells it."""
    return ShownDue(name_of(found.info, due.member.by), due.member.by, week_text(due.monday), due.at, due.sent)


def reports_json(found: Reports) -> JsonReports:
    """Return the reports of a workroom as the API gives them."""
    return JsonReports(
        [
            JsonReport(
                report.member.by,
                report.monday.isoformat(),
                report.late,
                report.entry.seq if report.entry is not None else None,
                instant_text(report.entry.at) if report.entry is not None else None,
                report.entry.body if report.entry is not None else None,
                report.missing_seq,
            )
            for report in found.listed
        ],
        [JsonDue(due.member.by, due.monday.isoformat(), instant_text(due.at), due.sent) for due in found.due],
    )
