"""The session's state machine: ticks, moments, stops, gaps, switches. No clock, no I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.timerange import MINUTE_MS, SECOND_MS, SEGMENT_MS, segment_of, segment_start, total_ms
from app.domain.workview import TICK_MS_MAX, checked_tick, frame_mark, moment_of
from tracker.schedule import Schedule, ticks_between
from tracker.session import TRANSITIONS, Action, Effect, Ended, FrameDue, Gapped, IllegalStep, Phase, Session, Ticked

SEED = bytes(range(32))
SCHEDULE = Schedule(lambda day: SEED)
SEGMENT = 2_490_000
START = segment_start(SEGMENT)
JUMP = 90 * SECOND_MS


def a_session(at: int = START, work_view: bool = True, framed: dict[int, bool] | None = None) -> Session:
    return Session("s", "r", at, work_view, SCHEDULE, framed)


def passing(session: Session, until: int, step: int = 5 * SECOND_MS, since: int | None = None) -> list[Effect]:
    now, effects = session.ticked_to if since is None else since, []
    while now < until:
        now = min(now + step, until)
        effects += session.advance(now, JUMP)
    return effects


def ticks_of(effects: list[Effect]) -> list[Ticked]:
    return [effect for effect in effects if isinstance(effect, Ticked)]


def frames_of(effects: list[Effect]) -> list[FrameDue]:
    return [effect for effect in effects if isinstance(effect, FrameDue)]


def test_a_whole_segment_is_twelve_ticks_and_one_frame_at_its_moment():
    effects = passing(a_session(), START + SEGMENT_MS)
    assert len(ticks_of(effects)) == 12
    assert frames_of(effects) == [FrameDue(SEGMENT, moment_of(SEED, SEGMENT), at_stop=False)]


def test_ticks_are_cut_at_the_end_of_the_segment():
    begun = START + SEGMENT_MS - 30 * SECOND_MS
    ticks = ticks_of(passing(a_session(begun), START + SEGMENT_MS + MINUTE_MS))
    assert [(t.start - begun, t.end - begun) for t in ticks] == [(0, 30_000), (30_000, 90_000)]


@given(st.integers(0, 3 * SEGMENT_MS), st.integers(1, 3 * SEGMENT_MS), st.integers(2_000, JUMP))
def test_the_ticks_of_a_session_cover_it_exactly_and_each_may_be_stored(offset: int, length: int, step: int):
    session = a_session(START + offset)
    end = START + offset + length
    effects = passing(session, end, step) + session.end(end, JUMP)
    ticks = ticks_of(effects)
    assert sum(t.end - t.start for t in ticks) == total_ms([(t.start, t.end) for t in ticks]) == length
    for tick in ticks:
        checked_tick(tick.start, tick.end, tick.documented, end)


@given(st.integers(0, SEGMENT_MS - 1), st.integers(1, 3 * SEGMENT_MS), st.integers(2_000, JUMP))
def test_every_documented_segment_has_one_frame_whose_moment_can_be_confirmed(offset: int, length: int, step: int):
    begun, end = START + offset, START + offset + length
    session = a_session(begun)
    frames = frames_of(passing(session, end, step) + session.end(end, JUMP))
    touched = range(segment_of(begun), segment_of(end - 1) + 1)
    assert [frame.segment for frame in frames] == list(touched)
    for frame in frames:
        assert frame_mark(SEED, frame.segment, frame.at, [begun], frame.at_stop) is None


def test_a_stop_before_the_moment_takes_a_provisional_frame_at_the_end():
    session, stop = a_session(), moment_of(SEED, SEGMENT) - 10 * SECOND_MS
    effects = passing(session, stop - 1) + session.end(stop, JUMP)
    assert frames_of(effects) == [FrameDue(SEGMENT, stop, at_stop=True)]
    assert effects[-1] == Ended(stop)


def test_a_segment_with_a_provisional_frame_gets_another_and_one_with_a_final_frame_does_not():
    assert frames_of(passing(a_session(framed={SEGMENT: False}), START + SEGMENT_MS - 1))
    assert not frames_of(passing(a_session(framed={SEGMENT: True}), START + SEGMENT_MS - 1))


def test_without_work_view_time_is_tracked_and_no_frame_is_taken():
    session = a_session(work_view=False)
    effects = passing(session, START + 2 * SEGMENT_MS) + session.end(START + 2 * SEGMENT_MS + 1, JUMP)
    assert not frames_of(effects)
    assert not any(t.documented for t in ticks_of(effects))


def test_switching_work_view_off_ends_the_stretch_and_on_begins_one_with_its_own_moment():
    session = a_session()
    off, on = START + 20 * SECOND_MS, START + 50 * SECOND_MS
    effects = session.switch(False, off, JUMP) + session.switch(False, off + 1, JUMP) + session.switch(True, on, JUMP)
    assert [(t.start - START, t.end - START, t.documented) for t in ticks_of(effects)] == [
        (0, 20_000, True),
        (20_000, 50_000, False),
    ]
    later = frames_of(passing(session, START + SEGMENT_MS, since=on))
    assert [frame.at for frame in later] == [moment_of(SEED, SEGMENT, on)]


def test_a_jump_of_more_than_90_s_is_a_gap_after_the_last_tick():
    session = a_session(work_view=False)
    passing(session, START + 70 * SECOND_MS)
    woken = START + 8 * SEGMENT_MS
    assert session.advance(woken, JUMP) == [Gapped(START + 60 * SECOND_MS, woken)]
    assert ticks_of(session.advance(woken + 60 * SECOND_MS, JUMP)) == [Ticked(woken, woken + TICK_MS_MAX, False)]


def test_a_jump_of_up_to_90_s_is_counted():
    session = a_session(work_view=False)
    assert sum(t.end - t.start for t in ticks_of(session.advance(START + JUMP, JUMP))) == 60 * SECOND_MS


def test_a_clock_set_back_before_the_beginning_pauses_until_it_is_reached_again():
    session = a_session(work_view=False)
    passing(session, START + 3 * MINUTE_MS)
    assert session.advance(START - 10 * MINUTE_MS, JUMP) == []
    assert session.phase is Phase.PAUSED
    assert session.next_due() == START
    assert session.advance(START + 1, JUMP) == [Gapped(START + 3 * MINUTE_MS, START + 1)]


def test_a_stop_after_a_sleep_ends_at_the_last_tick():
    session = a_session(work_view=False)
    passing(session, START + 70 * SECOND_MS)
    assert session.end(START + 5 * SEGMENT_MS, JUMP) == [Ended(START + 60 * SECOND_MS)]


def test_a_forfeited_segment_gets_no_more_time_and_no_frame():
    session = a_session()
    session.forfeit(SEGMENT)
    effects = passing(session, START + SEGMENT_MS + MINUTE_MS)
    assert [t.start for t in ticks_of(effects)] == [START + SEGMENT_MS]
    assert all(frame.segment != SEGMENT for frame in frames_of(effects))


def test_what_is_due_next_is_never_missed_by_waking_then():
    session = a_session()
    effects: list[Effect] = []
    while session.ticked_to < START + 2 * SEGMENT_MS:
        due = session.next_due()
        effects += session.advance(due, SEGMENT_MS)
    assert [f.at for f in frames_of(effects)] == [moment_of(SEED, SEGMENT), moment_of(SEED, SEGMENT + 1)]


@pytest.mark.parametrize("action", list(Action))
def test_an_ended_session_does_nothing_more(action: Action):
    assert action not in TRANSITIONS[Phase.ENDED]
    session = a_session()
    session.end(START + 1, JUMP)
    assert session.advance(START + MINUTE_MS, JUMP) == []
    with pytest.raises(IllegalStep):
        session.end(START + 2, JUMP)


@given(st.integers(0, 10**13), st.integers(0, 10**7))
def test_ticks_between_cut_without_a_gap(start: int, length: int):
    ticks = ticks_between(start, start + length)
    assert total_ms(ticks) == length
    assert all(0 < b - a <= TICK_MS_MAX and segment_of(a) == segment_of(b - 1) for a, b in ticks)
