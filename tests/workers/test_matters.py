"""Silence and terms that fall due, through the running worker, on both databases."""

from __future__ import annotations

from pathlib import Path

from app.domain.live import RoomChanged
from app.domain.timerange import DAY_MS
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.agreements import agree, build_working, write
from tests.bodies import day
from tests.published import Published
from tests.workers.test_frames import until, working


async def test_the_worker_answers_a_delivery_after_its_days_and_the_vacation_within_them(
    resources: Resources, clock: ManualClock, published: Published, tmp_path: Path
) -> None:
    pair = await build_working(resources, pay="fixed", time_zone="UTC")
    delivered = await write(resources, pair.freelancer, pair.room, "deliverable", milestone="m1")
    await write(resources, pair.client, pair.room, "availability", from_on=day(2), until_on=day(4))  # three days
    async with working(resources, tmp_path):
        clock.now = delivered.at + 16 * DAY_MS
        delay = await write(resources, pair.freelancer, pair.room, "delay")  # something to come after the first sweep
        clock.now = delivered.at + 17 * DAY_MS
        await until(lambda: bool(published.entries("deliverable.accepted")))
        clock.now = delay.at + 5 * DAY_MS
        await until(lambda: bool(published.entries("delay.declined")))
    (accepted,) = published.entries("deliverable.accepted")
    assert (accepted.at, accepted.by, accepted.ref) == (delivered.at + 17 * DAY_MS, "sys", delivered.seq)
    (declined,) = published.entries("delay.declined")
    assert declined.body == {"by_silence": True}


async def test_the_worker_moves_a_room_to_its_new_time_zone_on_monday(
    resources: Resources, clock: ManualClock, published: Published, tmp_path: Path
) -> None:
    pair = await build_working(resources, time_zone="UTC")
    await agree(resources, pair, time_zone="Asia/Tokyo")
    published.events.clear()
    async with working(resources, tmp_path):
        clock.now += 7 * DAY_MS
        await until(lambda: bool(published.of(RoomChanged)))
    assert [event.info.time_zone for event in published.of(RoomChanged)] == ["Asia/Tokyo"]
