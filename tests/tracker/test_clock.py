"""The two clocks, idle time, back-off, rooms by name: the small pure parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.timerange import DAY_MS, MINUTE_MS
from tracker.clock import CLOCK_VARIABLE, Clock, ClockUnreadable, Pace, clock_from_environment
from tracker.idle import IDLE_ASK_MS, IdleWatch
from tracker.link import BACK_OFF_SECONDS_MAX, agent_address, back_off_seconds
from tracker.pairing import PairingFailed, checked_server
from tracker.running import CannotStart, chosen_room
from tracker.spool import Room
from tracker.terminal import printable


@given(st.integers(0, 10**9), st.integers(1, 100))
def test_the_paced_clock_shows_an_instant_when_real_at_says_so(ahead: int, rate: int):
    clock = Clock(Pace(real_start=10**12, record_start=10**12 - 10**9, rate=rate))
    record = 10**12 - 10**9 + ahead
    assert clock.record_at(clock.real_at(record)) >= record
    assert clock.record_at(clock.real_at(record) - 1) < record


def test_without_a_pace_both_clocks_are_one():
    assert Clock().record_at(5) == Clock().real_at(5) == 5
    assert Clock().rate() == 1


def test_a_clock_file_is_read_and_a_broken_one_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "clock.json"
    monkeypatch.setenv(CLOCK_VARIABLE, str(file))
    file.write_text('{"real_start": 10, "record_start": 5, "rate": 60}')
    assert clock_from_environment().pace == Pace(10, 5, 60)
    file.write_text("[]")
    with pytest.raises(ClockUnreadable):
        clock_from_environment()


def test_a_clock_follows_a_demo_until_a_session_holds_it_and_a_real_server_ends_that():
    clock = Clock()
    start = clock.real_now() - 7 * DAY_MS
    assert clock.follow(start, 60)
    assert clock.rate() == 60
    assert start <= clock.record_now() < start + MINUTE_MS
    pace = clock.pace
    clock.follow(clock.record_now() - 30_000, 60)  # half a second late on its way
    assert clock.pace == pace
    clock.is_held = True
    assert not clock.follow(start + DAY_MS, 60)
    assert clock.pace == pace
    clock.is_held = False
    clock.follow(start + DAY_MS, 60)
    assert clock.record_now() >= start + DAY_MS
    clock.follow(clock.real_now(), 1)
    assert clock.pace is None


def test_a_clock_file_wins_over_what_a_server_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "clock.json"
    monkeypatch.setenv(CLOCK_VARIABLE, str(file))
    file.write_text('{"real_start": 10, "record_start": 5, "rate": 60}')
    clock = clock_from_environment()
    assert not clock.follow(clock.real_now(), 1)
    assert clock.pace == Pace(10, 5, 60)


def test_idle_time_is_asked_about_once_and_the_answer_concerns_the_absence():
    watch = IdleWatch()
    assert not watch.observe(IDLE_ASK_MS, IDLE_ASK_MS - 1)
    assert watch.observe(IDLE_ASK_MS + 30_000, IDLE_ASK_MS)
    assert not watch.observe(IDLE_ASK_MS + 60_000, IDLE_ASK_MS + 30_000)
    back = 40 * MINUTE_MS
    assert not watch.observe(back, 1_000)
    assert watch.answer(back + MINUTE_MS) == (30_000, back - 1_000)
    assert watch.answer(back + MINUTE_MS) is None


def test_whoever_answers_while_still_away_answers_for_the_time_until_now():
    watch = IdleWatch()
    watch.observe(IDLE_ASK_MS, IDLE_ASK_MS)
    assert watch.answer(IDLE_ASK_MS + 5) == (0, IDLE_ASK_MS + 5)


def test_the_back_off_has_full_jitter_and_a_limit():
    waits = [back_off_seconds(20) for _ in range(200)]
    assert max(waits) <= BACK_OFF_SECONDS_MAX
    assert min(waits) < 1 < max(waits)


def test_addresses_are_made_of_what_people_type():
    assert checked_server("localhost:8000/") == "http://localhost:8000"
    assert checked_server("workroom.example.org") == "https://workroom.example.org"
    assert agent_address("https://example.org/base") == "wss://example.org/base/agent"
    with pytest.raises(PairingFailed):
        checked_server("ftp://example.org")


def test_a_workroom_is_found_by_id_by_title_or_by_a_part_that_only_one_has():
    rooms = [Room("a", "Harbour booking site"), Room("b", "Annual report"), Room("c", "Report")]
    assert chosen_room(rooms, "a").id == "a"
    assert chosen_room(rooms, "harbour").id == "a"
    assert chosen_room(rooms, "Report").id == "c"
    with pytest.raises(CannotStart, match="several"):
        chosen_room(rooms, "report")
    with pytest.raises(CannotStart, match="Annual report"):
        chosen_room(rooms, "nothing")


def test_text_from_the_network_cannot_move_the_cursor():
    assert printable("a\x1b[2Jb\nc\r") == "a[2Jb c"
