"""Weekly status reports: the one that counts, the reminder, and what is missing; on both databases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.domain.errors import InvalidBody
from app.domain.timerange import DAY_MS, HOUR_MS, instant_of
from app.services import notices, record, room_closing, status_reports
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.agreements import build_working
from tests.published import Published

# The clock of the tests stands on Monday 2026-09-21 at 14:13 UTC; the zone of these terms is one hour ahead.


def at(text: str) -> int:
    return instant_of(datetime.fromisoformat(text))


def report(week_on: str = "2026-09-21", **more: Any) -> dict[str, Any]:
    return {"week_on": week_on, "done": "The form.", "next": "The map.", **more}


async def reasons(resources: Resources, actor: Actor) -> list[str]:
    """Return why an actor was told, the newest first, unread only."""
    return [n.row.reason.value for n in await notices.my_notices(resources, actor) if n.row.read_at is None]


async def test_the_last_report_on_a_week_counts(resources: Resources) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon")
    await record.append(resources, pair.freelancer, pair.room, "status_report", report())
    second = await record.append(resources, pair.freelancer, pair.room, "status_report", report(blocked="Tiles."))
    found = await status_reports.reports_of(resources, pair.client, pair.room)
    assert [(r.entry and r.entry.seq, r.late, r.missing_seq) for r in found.listed] == [(second.seq, False, None)]
    assert [(due.at, due.sent) for due in found.due] == [(at("2026-09-27T23:59+01:00"), second.seq)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (report("2026-09-07"), "body.week_on"),
        (report("2026-09-28"), "body.week_on"),
        (report(progress=[{"milestone": "m9", "percent": 40}]), "body.progress.0.milestone"),
        (report(asks_release=["m9"]), "body.asks_release.0"),
    ],
)
async def test_a_report_on_another_week_or_milestone_is_refused(
    resources: Resources, body: dict[str, Any], field: str
) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon")
    with pytest.raises(InvalidBody) as refused:
        await record.append(resources, pair.freelancer, pair.room, "status_report", body)
    assert refused.value.field == field
    assert (await status_reports.reports_of(resources, pair.client, pair.room)).listed == []


async def test_a_reminder_comes_the_day_before_and_ends_with_the_report(
    resources: Resources, clock: ManualClock
) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon")
    clock.now = at("2026-09-26T08:59+01:00")
    assert await status_reports.take_turns(resources) == 0
    clock.now = at("2026-09-26T09:00+01:00")
    assert await status_reports.take_turns(resources) == 1
    assert await status_reports.take_turns(resources) == 0
    assert (await reasons(resources, pair.freelancer))[0] == "report_due"
    assert "report_due" not in await reasons(resources, pair.client)
    await record.append(resources, pair.freelancer, pair.room, "status_report", report())
    assert "report_due" not in await reasons(resources, pair.freelancer)


async def test_a_missing_report_is_written_down_once_and_a_late_one_says_so(
    resources: Resources, clock: ManualClock, published: Published
) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon")
    clock.now = at("2026-09-27T23:59:59+01:00")
    await status_reports.take_turns(resources)
    assert published.entries("status_report.missing") == []
    clock.now = at("2026-09-28T00:00+01:00")
    await status_reports.take_turns(resources)
    await status_reports.take_turns(resources)
    [missing] = published.entries("status_report.missing")
    assert missing.body == {"member": "p2", "week_on": "2026-09-21"}
    assert "report_missing" in await reasons(resources, pair.client)
    assert "report_missing" in await reasons(resources, pair.freelancer)
    late = await record.append(resources, pair.freelancer, pair.room, "status_report", report())
    [listed] = (await status_reports.reports_of(resources, pair.client, pair.room)).listed
    assert listed.entry is not None
    assert (listed.entry.seq, listed.late, listed.missing_seq) == (late.seq, True, missing.seq)


async def test_a_server_that_was_away_finds_each_week_that_is_missing(
    resources: Resources, clock: ManualClock, published: Published
) -> None:
    await build_working(resources, time_zone="America/New_York")
    clock.now += 22 * DAY_MS
    await status_reports.take_turns(resources)
    weeks = [entry.body["week_on"] for entry in published.entries("status_report.missing") if entry.body]
    assert weeks == ["2026-09-21", "2026-09-28", "2026-10-05"]


async def test_a_report_is_not_missing_on_vacation_or_after_closing(
    resources: Resources, clock: ManualClock, published: Published
) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon")
    other = await build_working(resources, "Another job", time_zone="Europe/Lisbon")
    clock.now = at("2026-09-25T10:00+01:00")
    vacation = {"what": "vacation", "from_on": "2026-09-28", "until_on": "2026-10-04"}
    await record.append(resources, pair.freelancer, pair.room, "status_report", report())
    await record.append(resources, pair.freelancer, pair.room, "availability", vacation)
    await room_closing.close_room(resources, other.client, other.room)
    clock.now = at("2026-10-05T09:00+01:00")
    await status_reports.take_turns(resources)
    assert published.entries("status_report.missing") == []
    clock.now += 7 * DAY_MS + HOUR_MS
    await status_reports.take_turns(resources)
    assert [entry.room for entry in published.entries("status_report.missing")] == [pair.room]
    assert (await status_reports.reports_of(resources, other.client, other.room)).due == []


async def test_the_week_that_is_missing_is_offered_first(resources: Resources, clock: ManualClock) -> None:
    pair = await build_working(resources, time_zone="Europe/Lisbon")
    offered = await status_reports.weeks_to_report(resources, pair.freelancer, pair.room)
    assert [week.monday.isoformat() for week in offered] == ["2026-09-21", "2026-09-14"]
    clock.now = at("2026-09-28T09:00+01:00")
    await status_reports.take_turns(resources)
    offered = await status_reports.weeks_to_report(resources, pair.freelancer, pair.room)
    assert [week.monday.isoformat() for week in offered] == ["2026-09-21", "2026-09-28"]
