"""Rules of bodies that a schema cannot say: fields that belong together, dates in their order.

Rule 1: a rule is a pure function of a body whose schema holds; it names the field that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.errors import InvalidBody
from app.domain.record import Body

CALENDAR_YEARS = range(2000, 2200)


def _check_date(text: Any, field: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidBody(f"`{text}` is no day of the calendar. Write it like 2026-11-30.", field=field) from None
    if found.year not in CALENDAR_YEARS:
        raise InvalidBody(f"The year {found.year} cannot be meant. Check the date.", field=field)
    return found


def _check_keys(listed: list[Body], name: str, field: str) -> None:
    keys = [each[name] for each in listed]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise InvalidBody(f"The milestone `{key}` is named twice. Name it once.", field=f"{field}.{number}.{name}")


def _check_comment(body: Body) -> None:
    if body["to_segment"] < body["from_segment"]:
        raise InvalidBody("`to_segment` must not lie before `from_segment`.", field="body.to_segment")


def _check_zone(name: str, field: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidBody(f"`{name}` is no time zone. Use a name like Europe/Lisbon.", field=field) from None


def _check_terms(body: Body) -> None:
    _check_zone(body["time_zone"], "body.time_zone")
    milestones = body.get("milestones", [])
    if body["pay"] == "hourly":
        if body.get("rate_minor") is None:
            raise InvalidBody("Hourly terms need a rate.", field="body.rate_minor")
        if milestones:
            raise InvalidBody(
                "Hourly terms have no milestones; leave them out, or choose a fixed price.", field="body.milestones"
            )
        if body.get("weekly_deposit") and body.get("weekly_limit_hours") is None:
            raise InvalidBody(
                "A weekly deposit is the weekly limit times the rate: name the limit.", field="body.weekly_limit_hours"
            )
        return
    if not milestones:
        raise InvalidBody(
            "A fixed price needs at least one milestone with its amount and date.", field="body.milestones"
        )
    for name in ("rate_minor", "weekly_limit_hours"):
        if body.get(name) is not None:
            raise InvalidBody(
                "A fixed price has neither a rate nor a weekly limit; leave it out.", field=f"body.{name}"
            )
    for name in ("weekly_deposit", "manual_time"):
        if body.get(name):
            raise InvalidBody("That belongs to hourly terms; leave it out.", field=f"body.{name}")
    _check_keys(milestones, "key", "body.milestones")
    for number, milestone in enumerate(milestones):
        _check_date(milestone["due_on"], f"body.milestones.{number}.due_on")


def _check_milestone(body: Body) -> None:
    _check_date(body["due_on"], "body.due_on")


def _check_availability(body: Body) -> None:
    first = _check_date(body["from_on"], "body.from_on")
    last = body.get("until_on")
    if body["what"] == "vacation":
        if last is None:
            raise InvalidBody("Say until when: the last day of the vacation.", field="body.until_on")
    elif not body.get("text"):
        raise InvalidBody("Say when you work, in words, like “Monday to Thursday, 9 to 15”.", field="body.text")
    if last is not None and _check_date(last, "body.until_on") < first:
        raise InvalidBody("The last day must not lie before the first.", field="body.until_on")


def _check_delay(body: Body) -> None:
    moves = body.get("moves", [])
    if not moves and body.get("until_on") is None:
        raise InvalidBody("Say until when: a new date, or new dates of milestones.", field="body.until_on")
    if body.get("until_on") is not None:
        _check_date(body["until_on"], "body.until_on")
    _check_keys(moves, "milestone", "body.moves")
    for number, move in enumerate(moves):
        _check_date(move["due_on"], f"body.moves.{number}.due_on")


def _check_deliverable(body: Body) -> None:
    if not body["holds_rights"]:
        raise InvalidBody(
            "Declare that you hold the rights to what you deliver; name the parts of others below.",
            field="body.holds_rights",
        )


def _check_report(body: Body) -> None:
    if _check_date(body["week_on"], "body.week_on").weekday() != 0:
        raise InvalidBody("A week begins with its Monday: name that day.", field="body.week_on")
    _check_keys(body.get("progress", []), "milestone", "body.progress")


RULES: dict[str, Callable[[Body], None]] = {
    "comment": _check_comment,
    "terms.proposed": _check_terms,
    "milestone.proposed": _check_milestone,
    "availability": _check_availability,
    "delay": _check_delay,
    "deliverable": _check_deliverable,
    "status_report": _check_report,
}
