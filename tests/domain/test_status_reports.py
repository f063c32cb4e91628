"""When reports are due, over zones, daylight saving and years."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.bodies.agreements import TermsProposed
from app.domain.errors import InvalidBody
from app.domain.notices import Digest, next_digest_at
from app.domain.status_reports import (
    check_reported_week,
    due_at,
    first_turn,
    first_week,
    is_late,
    needs_report,
    next_turn,
    remind_at,
    week_of,
)
from app.domain.terms import Terms, week_at
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS, datetime_of, instant_of

ZONES = st.sampled_from(
    ["UTC", "Europe/Lisbon", "America/New_York", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Asia/Kathmandu",
     "Pacific/Apia", "Pacific/Kiritimati", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Chatham"]
)  # fmt: skip
MOMENTS = st.integers(
    instant_of(datetime.fromisoformat("2001-01-01T00:00Z")), instant_of(datetime.fromisoformat("2100-01-01T00:00Z"))
)


def terms(zone: str, accepted_at: int, version: int = 1) -> Terms:
    what = TermsProposed(member="p2", pay="hourly", currency="EUR", time_zone=zone, work_view=True, rate_minor=5000)
    return Terms("r", "p2", version, 5, 6, accepted_at, what)


def at(text: str) -> int:
    return instant_of(datetime.fromisoformat(text))


@given(ZONES, MOMENTS)
def test_a_report_is_due_on_the_last_minute_of_its_sunday(zone: str, moment: int) -> None:
    versions = [terms(zone, moment - 60 * DAY_MS)]
    week = week_at(versions, moment)
    due = datetime_of(due_at(week), ZoneInfo(zone))
    assert (due.weekday(), due.hour, due.minute) == (6, 23, 59)
    assert due.date() == week.monday + timedelta(days=6)
    assert not is_late(week, due_at(week) + MINUTE_MS - 1) and is_late(week, due_at(week) + MINUTE_MS)
    assert week_of(versions, week.monday) == week
    assert abs(week.to_at - week.from_at - 7 * DAY_MS) <= 24 * HOUR_MS  # Samoa left out a day


@settings(deadline=None)
@given(ZONES, MOMENTS)
def test_the_reminder_comes_the_day_before_and_turns_follow_each_other(zone: str, moment: int) -> None:
    versions = [terms(zone, moment)]
    turn = first_turn(versions, moment)
    for _ in range(120):  # through two changes of the clock
        after = next_turn(versions, turn)
        assert after.at > turn.at and after.reminds is not turn.reminds
        if turn.reminds:
            local = datetime_of(remind_at(week_of(versions, turn.monday)), ZoneInfo(zone))
            assert (local.weekday(), after.monday) == (5, turn.monday)
        else:
            assert after.monday == turn.monday + timedelta(days=7)
        turn = after


@given(ZONES, ZONES, MOMENTS)
def test_a_change_of_zone_leaves_no_week_out(before: str, after: str, moment: int) -> None:
    versions = [terms(before, moment), terms(after, moment + 17 * DAY_MS, 2)]
    monday = week_at(versions, moment).monday
    ends = []
    for number in range(8):
        week = week_of(versions, monday + timedelta(days=7 * number))
        assert week.monday == monday + timedelta(days=7 * number)
        ends.append((week.from_at, week.to_at))
    assert all(first[1] == second[0] for first, second in pairwise(ends))


def test_daylight_saving_moves_the_end_of_the_week() -> None:
    versions = [terms("Europe/Lisbon", at("2026-09-01T00:00Z"))]
    assert due_at(week_of(versions, date(2026, 10, 12))) == at("2026-10-18T23:59+01:00")
    assert due_at(week_of(versions, date(2026, 10, 19))) == at("2026-10-25T23:59+00:00")


def test_the_first_week_is_that_of_the_terms_unless_they_were_accepted_on_its_weekend() -> None:
    friday, saturday = at("2026-10-16T22:00+01:00"), at("2026-10-17T00:30+01:00")
    assert first_week([terms("Europe/Lisbon", friday)]) == date(2026, 10, 12)
    assert first_week([terms("Europe/Lisbon", saturday)]) == date(2026, 10, 19)


def test_no_report_is_needed_before_the_terms_or_for_a_week_on_vacation() -> None:
    versions = [terms("Europe/Lisbon", at("2026-10-14T10:00Z"))]
    week = week_of(versions, date(2026, 10, 19))
    day = (at("2026-10-19T00:00+01:00"), at("2026-10-24T00:00+01:00"))
    assert needs_report(versions, week, [])
    assert not needs_report(versions, week_of(versions, date(2026, 10, 5)), [])
    assert needs_report(versions, week, [day])
    assert not needs_report(versions, week, [day, (day[1] - HOUR_MS, at("2026-10-26T00:00+00:00"))])


def test_this_week_and_the_last_one_can_be_reported_on() -> None:
    versions = [terms("UTC", at("2026-09-01T00:00Z"))]
    now = at("2026-10-19T00:00Z")
    assert check_reported_week(versions, date(2026, 10, 19), now).monday == date(2026, 10, 19)
    assert check_reported_week(versions, date(2026, 10, 12), now).monday == date(2026, 10, 12)
    for monday in (date(2026, 10, 5), date(2026, 10, 26)):
        with pytest.raises(InvalidBody) as refused:
            check_reported_week(versions, monday, now)
        assert refused.value.field == "body.week_on"


@given(ZONES, MOMENTS, st.integers(0, 23), st.sampled_from([Digest.DAILY, Digest.WEEKLY]))
def test_a_digest_goes_out_at_the_hour_of_the_person_s_own_clock(zone: str, now: int, hour: int, how: Digest) -> None:
    first = next_digest_at(how, hour, zone, now)
    assert first is not None and now < first <= now + (9 if how is Digest.WEEKLY else 3) * DAY_MS
    second = next_digest_at(how, hour, zone, first)
    assert second is not None and second > first
    local = datetime_of(first, ZoneInfo(zone))
    assert local.hour == hour or local.hour == hour + 1  # an hour that the clock leaves out
    assert next_digest_at(Digest.NEVER, hour, zone, now) is None
