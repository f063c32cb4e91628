"""Notices: why somebody is told of something, what is mailed at once, and when the next digest goes out.

Rule 1: an entry gives an account one notice at most: for the most urgent reason.
Rule 2: a digest goes out at an hour of the person's own clock; daylight saving moves it with that clock.
Rule 3: no I/O and no clock. Callers pass moments, in Unix milliseconds.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.domain.errors import Malformed
from app.domain.timerange import MINUTE_MS, instant_of, local_day
from app.domain.workrooms import checked_time_zone

NOTICES_MAX = 500  # of an account: the oldest that were read go first
AT_ONCE_AFTER_MS = 10 * MINUTE_MS  # who looks at the page meanwhile gets no mail
HOUR_DEFAULT = 8
SENTENCES_MAX = 50  # in one mail; the rest is counted


class Reason(StrEnum):
    """Why somebody is told."""

    WAITING = "waiting"  # an answer is asked of them
    DUE_SOON = "due_soon"  # and silence will answer within a day
    ANSWERED = "answered"  # what they asked was answered
    MENTION = "mention"
    REPLY = "reply"
    REPORT_DUE = "report_due"
    REPORT_MISSING = "report_missing"


PRIORITY = (Reason.WAITING, Reason.ANSWERED, Reason.MENTION, Reason.REPLY)  # of the reasons that one entry can give
AT_ONCE = frozenset({Reason.WAITING, Reason.DUE_SOON, Reason.MENTION, Reason.REPORT_DUE, Reason.REPORT_MISSING})
NOT_BY_READING = frozenset({Reason.DUE_SOON, Reason.REPORT_DUE})  # told long after their entry; reading it ends nothing


class Digest(StrEnum):
    """How often everything that is unread is mailed."""

    DAILY = "daily"
    WEEKLY = "weekly"
    NEVER = "never"


def checked_choice(digest: str, hour: str, zone: str) -> tuple[Digest, int, str]:
    """Return how often, at which hour and in which zone digests go out.

    Raises:
        Malformed: naming the field that cannot be.
    """
    if digest not in {each.value for each in Digest}:
        raise Malformed("Choose daily, weekly or never.", field="digest")
    if not (hour.isdecimal() and len(hour) <= 2 and int(hour) < 24):
        raise Malformed("The hour is a whole number from 0 to 23.", field="hour")
    return Digest(digest), int(hour), checked_time_zone(zone.strip())


def next_digest_at(digest: Digest, hour: int, zone: str, now: int) -> int | None:
    """Return when the next digest goes out, after `now`: at `hour` of a day, or of a Monday; None for never."""
    if digest is Digest.NEVER:
        return None
    local = ZoneInfo(zone)
    day = local_day(now, local)
    if digest is Digest.WEEKLY:
        day -= timedelta(days=day.weekday())
    step = timedelta(days=7 if digest is Digest.WEEKLY else 1)
    while (at := instant_of(datetime.combine(day, time(hour), local))) <= now:
        day += step
    return at
