"""The server's clocks: what they show, how fast the record's runs, and that a demo's goes on after a restart."""

from __future__ import annotations

from pathlib import Path

from app.domain.timerange import DAY_MS, HOUR_MS
from app.services.clock import ManualClock, PacedClock, SystemClock


def test_outside_the_demo_the_record_runs_as_fast_as_the_world() -> None:
    assert SystemClock().rate == ManualClock(5).rate == 1


def test_a_demo_runs_fast_until_it_has_reached_the_present() -> None:
    now = SystemClock().real_now()
    begun = PacedClock(now, now - 7 * DAY_MS, 60)
    assert begun.rate == 60
    assert begun.record_now() < now - 6 * DAY_MS
    arrived = PacedClock(now - HOUR_MS, now - HOUR_MS - 59 * HOUR_MS, 60)
    assert arrived.rate == 1
    assert abs(arrived.record_now() - arrived.real_now()) < 1000


def test_the_anchors_of_a_demo_are_kept(tmp_path: Path) -> None:
    clock = PacedClock(20, 10, 60)
    clock.save(tmp_path / "demo-clock.json")
    assert PacedClock.load(tmp_path / "demo-clock.json") == clock
