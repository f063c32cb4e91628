"""Weekly status reports: which weeks need one, until when, and what the worker does next (rule 5.4).

Rule 1: a report is due on Sunday 23:59 in the agreed zone; that minute counts, and so do the hours that daylight
saving adds or takes. The reminder comes on Saturday morning.
Rule 2: one report for a freelancer and week counts: the last one. Only this week and the last one can be reported on.
Rule 3: no report is missing for a week before the terms, for one in which they were accepted on the weekend, or for one
that the freelancer spent on vacation from its first to its last day.
Rule 4: no I/O and no clock. Callers pass moments, in Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.domain.errors import InvalidBody
from app.domain.terms import Terms, Week, week_at
from app.domain.timerange import MINUTE_MS, Stretch, clip, instant_of, total_ms

REMINDED_AT = time(9)  # of the Saturday
WEEKEND = 5  # days into the week


class Turn(Struct, frozen=True):
    """What the worker does next about the week of `monday`: at `at` it reminds, or finds the report missing."""

    monday: date
    at: int
    reminds: bool


def week_of(versions: Sequence[Terms], monday: date) -> Week:
    """Return the week that begins on a Monday, by the terms that hold in it."""
    middle = instant_of(datetime.combine(monday + timedelta(days=2), time(12), ZoneInfo("UTC")))
    if versions and middle < versions[0].accepted_at:
        first = week_at(versions, versions[0].accepted_at)
        if first.monday == monday:
            return first
    return week_at(versions, middle)  # Wednesday noon lies in it whatever its zone


def due_at(week: Week) -> int:
    """Return when the report on a week is due: the last minute of its Sunday."""
    return week.to_at - MINUTE_MS


def is_late(week: Week, at: int) -> bool:
    """Whether a report that came at `at` came after it was due."""
    return at >= week.to_at


def remind_at(week: Week) -> int:
    """Return when the reminder comes, on the day before the report is due."""
    return _on_day(week, WEEKEND, REMINDED_AT)


def first_week(versions: Sequence[Terms]) -> date:
    """Return the Monday of the first week that needs a report; `versions` are at least one."""
    accepted_at = versions[0].accepted_at
    week = week_at(versions, accepted_at)
    return week.monday if accepted_at < _on_day(week, WEEKEND, time()) else week.monday + timedelta(days=7)


def _on_day(week: Week, days: int, at: time) -> int:
    return instant_of(datetime.combine(week.monday + timedelta(days=days), at, ZoneInfo(week.time_zone)))


def needs_report(versions: Sequence[Terms], week: Week, away: Iterable[Stretch]) -> bool:
    """Whether a report on a week is expected, of a freelancer who was on vacation in the stretches `away`."""
    if not versions or week.monday < first_week(versions):
        return False
    return total_ms(clip(away, week.from_at, week.to_at)) < week.to_at - week.from_at


def check_reported_week(versions: Sequence[Terms], monday: date, now: int) -> Week:
    """Return the week that a report is about.

    Raises:
        InvalidBody: if it is neither this week nor the last one.
    """
    present = week_at(versions, now)
    if monday not in (present.monday, present.monday - timedelta(days=7)):
        raise InvalidBody(
            f"A report is about this week, which began on {present.monday}, or about the last one.",
            field="body.week_on",
        )
    return present if monday == present.monday else week_of(versions, monday)


def first_turn(versions: Sequence[Terms], now: int) -> Turn:
    """Return the first thing to do about reports under these terms, at `now` or later."""
    return turn_of(versions, max(first_week(versions), week_at(versions, now).monday))


def turn_of(versions: Sequence[Terms], monday: date) -> Turn:
    """Return what is to be done first about a week: remind."""
    return Turn(monday, remind_at(week_of(versions, monday)), reminds=True)


def next_turn(versions: Sequence[Terms], turn: Turn) -> Turn:
    """Return what follows: after the reminder the end of the week, then the next week's reminder."""
    if turn.reminds:
        return Turn(turn.monday, week_of(versions, turn.monday).to_at, reminds=False)
    return turn_of(versions, turn.monday + timedelta(days=7))


def at_of(versions: Sequence[Terms], turn: Turn) -> int:
    """Return when a turn is by the terms as they are now: their zone may have changed since it was planned."""
    week = week_of(versions, turn.monday)
    return remind_at(week) if turn.reminds else week.to_at
