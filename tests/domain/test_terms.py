"""Terms as versions: what holds at a moment, weeks in the agreed zone, what differs, and the steps of milestones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.errors import InvalidBody
from app.domain.terms import (
    MILESTONE_STEPS,
    Milestone,
    MilestoneState,
    Terms,
    body_of_terms,
    check_stands,
    differences,
    fields_of,
    next_key,
    next_milestone_state,
    next_week_at,
    terms_at,
    terms_of,
    week_at,
)
from app.domain.timerange import DAY_MS, HOUR_MS, day_bounds, instant_of, local_day
from tests.bodies import fixed_terms, hourly_terms
from tests.conftest import NOW

ZONES = (
    "UTC", "Europe/Lisbon", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Asia/Tokyo",
    "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Sao_Paulo", "Africa/Casablanca",
)  # fmt: skip
YEAR_MS = 366 * DAY_MS


def version(number: int, accepted_at: int, **fields: object) -> Terms:
    return Terms("r", "p2", number, number * 2, number * 2 + 1, accepted_at, terms_of(hourly_terms(**fields)))


moments = st.integers(NOW, NOW + 2 * YEAR_MS)
changes = st.lists(
    st.tuples(moments, st.sampled_from(ZONES), st.integers(1, 60)), min_size=1, max_size=6
)  # fmt: skip


def versions_of(listed: list[tuple[int, str, int]]) -> list[Terms]:
    return [
        version(number, at, time_zone=zone, weekly_limit_hours=limit, rate_minor=1000 + number)
        for number, (at, zone, limit) in enumerate(sorted(listed), start=1)
    ]


@given(changes)
def test_the_first_terms_hold_at_once_and_nothing_before(listed: list[tuple[int, str, int]]) -> None:
    versions = versions_of(listed)
    first = versions[0]
    assert terms_at(versions, first.accepted_at - 1) is None
    held = terms_at(versions[:1], first.accepted_at)
    assert held is not None
    assert (held.time_zone, held.weekly_limit_hours) == (first.what.time_zone, first.what.weekly_limit_hours)
    assert week_at(versions, first.accepted_at - 1).time_zone == "UTC"


@given(changes, moments)
def test_rate_and_switches_are_those_of_the_last_version_accepted_before(
    listed: list[tuple[int, str, int]], moment: int
) -> None:
    versions = versions_of(listed)
    held = terms_at(versions, moment)
    before = [version for version in versions if version.accepted_at <= moment]
    assert (held.terms if held else None) == (before[-1] if before else None)


@given(changes, moments)
def test_zone_and_limit_are_the_same_during_a_whole_week(listed: list[tuple[int, str, int]], moment: int) -> None:
    versions = versions_of(listed)
    held = terms_at(versions, moment)
    if held is None:
        return
    start = max(held.week.from_at, versions[0].accepted_at)
    for other in (start, held.week.to_at - 1):
        again = terms_at(versions, other)
        assert again is not None
        assert (again.week, again.time_zone, again.weekly_limit_hours) == (
            held.week, held.time_zone, held.weekly_limit_hours,
        )  # fmt: skip
    after = terms_at(versions, held.week.to_at)
    assert after is not None and after.week.monday == held.week.monday + timedelta(days=7)


@given(changes, moments)
@example([(1_849_219_200_000, "America/New_York", 1)], 1_849_219_200_000)  # Monday in UTC, Sunday in New York
@example([(1_849_219_200_000, "America/New_York", 1)], 1_849_240_000_000)
def test_weeks_begin_on_monday_and_leave_no_gap(listed: list[tuple[int, str, int]], moment: int) -> None:
    versions = versions_of(listed)
    week = week_at(versions, moment)
    assert week.from_at <= moment < week.to_at
    assert week.monday.weekday() == 0
    assert local_day(week.to_at, ZoneInfo(week.time_zone)) == week.monday + timedelta(days=7)
    assert local_day(week.to_at - 1, ZoneInfo(week.time_zone)) == week.monday + timedelta(days=6)
    if moment >= versions[0].accepted_at:
        assert week_at(versions, week.to_at).from_at == week.to_at
        assert abs((week.to_at - week.from_at) - 7 * DAY_MS) <= 27 * HOUR_MS  # 26 between zones, one for the clocks


@given(changes, moments)
def test_a_later_change_of_zone_or_limit_waits_for_the_next_week(
    listed: list[tuple[int, str, int]], moment: int
) -> None:
    versions = versions_of([*listed, (NOW, "UTC", 40)])
    before = [version for version in versions[1:] if version.accepted_at <= moment]
    held = terms_at(versions, moment)
    assert held is not None
    waited = [v for v in before if next_week_at(versions[: v.version - 1], v.accepted_at) <= moment]
    last = (waited or versions[:1])[-1]
    assert (held.time_zone, held.weekly_limit_hours) == (last.what.time_zone, last.what.weekly_limit_hours)


@given(st.sampled_from(ZONES), moments)
def test_in_one_zone_weeks_are_those_of_its_calendar(zone: str, moment: int) -> None:
    versions = [version(1, NOW, time_zone=zone)]
    day = local_day(moment, ZoneInfo(zone))
    monday = day - timedelta(days=day.weekday())
    week = week_at(versions, moment)
    if monday >= local_day(NOW, ZoneInfo("UTC")) - timedelta(days=local_day(NOW, ZoneInfo("UTC")).weekday()):
        assert (week.monday, week.from_at) == (monday, day_bounds(monday, ZoneInfo(zone))[0])


@pytest.mark.parametrize(("first", "hours"), [(date(2027, 3, 22), 167), (date(2027, 10, 25), 169)])
def test_the_week_of_a_change_of_clocks_is_an_hour_shorter_or_longer(first: date, hours: int) -> None:
    versions = [version(1, NOW, time_zone="Europe/Lisbon")]
    week = week_at(versions, day_bounds(first, ZoneInfo("Europe/Lisbon"))[0] + DAY_MS)
    assert (week.monday, week.to_at - week.from_at) == (first, hours * HOUR_MS)


@pytest.mark.parametrize(
    ("before", "after", "hours"), [("Asia/Tokyo", "UTC", 7 * 24 + 9), ("UTC", "Asia/Tokyo", 7 * 24 - 9)]
)
def test_a_change_of_zone_makes_one_week_longer_or_shorter(before: str, after: str, hours: int) -> None:
    versions = [version(1, NOW, time_zone=before), version(2, NOW + DAY_MS, time_zone=after)]
    change = next_week_at(versions, NOW + DAY_MS)
    assert change == day_bounds(date(2026, 9, 28), ZoneInfo(before))[0]
    held = [terms_at(versions, moment) for moment in (change - 1, change)]
    assert [each.time_zone for each in held if each] == [before, after]
    week = week_at(versions, change)
    assert (week.monday, week.from_at, week.to_at - week.from_at) == (date(2026, 9, 28), change, hours * HOUR_MS)


def test_of_two_changes_in_one_week_the_later_counts() -> None:
    versions = [
        version(1, NOW, weekly_limit_hours=10),
        version(2, NOW + HOUR_MS, weekly_limit_hours=20),
        version(3, NOW + 2 * HOUR_MS, weekly_limit_hours=30),
    ]
    next_week = next_week_at(versions, NOW)
    held = [terms_at(versions, at) for at in (NOW + 3 * HOUR_MS, next_week)]
    assert [each.weekly_limit_hours for each in held if each] == [10, 30]


# What differs


def test_a_body_comes_back_as_it_was() -> None:
    for body in (hourly_terms(), fixed_terms(), hourly_terms(text="A note.", mediator="Mia", ownership="freelancer")):
        kept = {name: value for name, value in body.items() if value not in (False,) or name == "work_view"}
        assert body_of_terms(terms_of(body)) == kept


@given(st.sampled_from(sorted(fields_of(terms_of(hourly_terms())).keys() - {"member", "restricted", "pay"})))
def test_each_field_that_changes_is_a_difference_by_its_name(name: str) -> None:
    other = {
        "currency": "USD", "rate_minor": 4600, "weekly_limit_hours": 21, "time_zone": "UTC", "work_view": False,
        "manual_time": False, "weekly_deposit": True, "blur_max": 3, "mediator": "Mia Lang", "ownership": "freelancer",
        "text": "Now.",
    }[name]  # fmt: skip
    assert differences(terms_of(hourly_terms()), terms_of(hourly_terms(**{name: other}))) == {name}
    assert differences(terms_of(hourly_terms()), terms_of(hourly_terms())) == frozenset()


def test_milestones_differ_one_by_one() -> None:
    body = fixed_terms()
    moved = {**body["milestones"][0], "due_on": "2027-01-01"}
    added = {"key": "m3", "name": "Map", "amount_minor": 1, "due_on": "2027-01-01"}
    after = fixed_terms(milestones=[moved, body["milestones"][1], added])
    assert differences(terms_of(body), terms_of(after)) == {"milestones.m1", "milestones.m3"}


# Milestones


def test_every_state_of_a_milestone_has_its_steps() -> None:
    assert MILESTONE_STEPS.keys() == set(MilestoneState)
    for state in MilestoneState:
        for kind in ("deliverable", "deliverable.accepted", "deliverable.changes_requested"):
            after = MILESTONE_STEPS[state].get(kind)
            if after is not None:
                assert next_milestone_state(state, kind, "ref") is after
                continue
            with pytest.raises(InvalidBody) as caught:
                next_milestone_state(state, kind, "ref")
            assert caught.value.field == "ref"


def test_a_new_key_is_behind_all_that_were_used() -> None:
    assert next_key([]) == "m1"
    assert next_key(["m2", "m10", "m1"]) == "m11"


def standing(state: MilestoneState) -> list[Milestone]:
    return [
        Milestone(
            "p2", m.key, n, m.name, m.amount_minor, "EUR", m.due_on, state if n == 0 else MilestoneState.AGREED, 7
        )
        for n, m in enumerate(terms_of(fixed_terms()).milestones)
    ]


@pytest.mark.parametrize("state", [MilestoneState.DELIVERED, MilestoneState.ACCEPTED])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, None),
        ({"name": "Drafts"}, "body.milestones.0.name"),
        ({"amount_minor": 1}, "body.milestones.0.amount_minor"),
        ({"due_on": "2027-01-01"}, "body.milestones.0.due_on"),
    ],
)
def test_what_was_delivered_stays_as_it_is(state: MilestoneState, fields: dict[str, object], field: str | None) -> None:
    present, body = terms_of(fixed_terms()), fixed_terms()
    body["milestones"] = [{**body["milestones"][0], **fields}, {**body["milestones"][1], "amount_minor": 5}]
    if field is None:
        check_stands(present, terms_of(body), standing(state), "body.")
        return
    with pytest.raises(InvalidBody) as caught:
        check_stands(present, terms_of(body), standing(state), "body.")
    assert caught.value.field == field


def test_what_was_delivered_cannot_leave_the_terms_nor_change_its_currency() -> None:
    present, both = terms_of(fixed_terms()), fixed_terms()["milestones"]
    for fields, field in (({"milestones": both[1:]}, "milestones"), ({"currency": "USD"}, "currency")):
        with pytest.raises(InvalidBody) as caught:
            check_stands(present, terms_of(fixed_terms(**fields)), standing(MilestoneState.DELIVERED), "")
        assert caught.value.field == field


def test_pay_becomes_hourly_once_no_delivery_waits() -> None:
    present, hourly = terms_of(fixed_terms()), terms_of(hourly_terms())
    check_stands(present, hourly, standing(MilestoneState.ACCEPTED), "body.")
    with pytest.raises(InvalidBody) as caught:
        check_stands(present, hourly, standing(MilestoneState.DELIVERED), "body.")
    assert caught.value.field == "body.pay"


def test_the_week_of_the_first_terms_is_named_once() -> None:
    sunday = instant_of(datetime(2026, 9, 27, 20, tzinfo=UTC))
    tokyo, samoa = version(1, sunday, time_zone="Asia/Tokyo"), version(1, sunday, time_zone="Pacific/Pago_Pago")
    assert week_at([tokyo], sunday).monday == date(2026, 9, 28)  # it is Monday there
    assert week_at([samoa], sunday).monday == week_at([samoa], sunday - 1).monday == date(2026, 9, 21)
