"""A session: what follows from the passing of time and from what the freelancer does. Pure.

Rule 1: every change of phase is a row of TRANSITIONS.
Rule 2: callers pass `now`; what is to be done comes back as effects, in the order in which it happened.
Rule 3: a jump of the clock is a gap: the session pauses at its last tick and resumes afterwards (rule 2.5).
Rule 4: every documented segment gets one frame; one whose stretch ends before its moment gets a provisional one at
the end, which a later stretch of the same segment replaces (rule 2.3).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from app.domain.timerange import segment_of, segment_start
from tracker.schedule import Schedule, tick_end, ticks_between


class Phase(StrEnum):
    """PAUSED is the state of a clock that stands before the session's beginning, where nothing can be counted."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class Action(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"


TRANSITIONS: dict[Phase, dict[Action, Phase]] = {
    Phase.RUNNING: {Action.PAUSE: Phase.PAUSED, Action.END: Phase.ENDED},
    Phase.PAUSED: {Action.RESUME: Phase.RUNNING, Action.END: Phase.ENDED},
    Phase.ENDED: {},
}


class IllegalStep(Exception):
    """An action that the session's phase does not allow."""


class Ticked(msgspec.Struct, frozen=True):
    """Report the stretch `[start, end)`."""

    start: int
    end: int
    documented: bool


class FrameDue(msgspec.Struct, frozen=True):
    """Take the frame of a segment, which was due `at`."""

    segment: int
    at: int
    at_stop: bool


class Switched(msgspec.Struct, frozen=True):
    """Report that Work View was switched."""

    on: bool
    at: int


class Gapped(msgspec.Struct, frozen=True):
    """Tell the freelancer that `[start, end)` was not counted; `end` lies before `start` if the clock went back."""

    start: int
    end: int


class Ended(msgspec.Struct, frozen=True):
    """Report the end of the session."""

    at: int


Effect = Ticked | FrameDue | Switched | Gapped | Ended


def next_phase(phase: Phase, action: Action) -> Phase:
    """Return the phase after `action`.

    Raises:
        IllegalStep: if the table has no such row.
    """
    try:
        return TRANSITIONS[phase][action]
    except KeyError:
        raise IllegalStep(f"A session that is {phase} cannot {action}.") from None


class Session:
    """One stretch of work of one person in one workroom, from start to stop.

    `framed` says which segments have a frame already (from an earlier session), and whether it is final.
    """

    def __init__(
        self, id: str, room: str, now: int, work_view: bool, schedule: Schedule, framed: dict[int, bool] | None = None
    ) -> None:
        self.id = id
        self.room = room
        self.began_at = now
        self.phase = Phase.RUNNING
        self.work_view = work_view
        # The end of the last tick that was reported.
        self.ticked_to = now
        # Where the present stretch began; changes with Work View and after a gap.
        self.stretch_from = now
        self._schedule = schedule
        self._framed: dict[int, bool] = dict(framed or {})
        # Segments whose time is lost because their frame was deleted or discarded: they get no more ticks.
        self._forfeited: set[int] = set()
        # The last `now`: a jump is measured from here.
        self._seen = now

    def advance(self, now: int, jump_ms: int) -> list[Effect]:
        """Return what is due at `now`. `jump_ms` is how much the clock may move between two calls without a gap."""
        if self.phase is Phase.ENDED:
            return []
        seen, self._seen = self._seen, now
        if self.phase is Phase.PAUSED:
            return self._resume(now)
        if abs(now - seen) > jump_ms:
            self.phase = next_phase(self.phase, Action.PAUSE)
            return self._resume(now)
        return self._catch_up(now)

    def _resume(self, now: int) -> list[Effect]:
        """Count again from `now`, unless the clock was set back to before the session began."""
        if now < self.began_at:
            return []
        self.phase = next_phase(self.phase, Action.RESUME)
        gap = Gapped(self.ticked_to, now)
        self.ticked_to = self.stretch_from = now
        return [gap]

    def _catch_up(self, now: int) -> list[Effect]:
        """Return frames and whole ticks up to `now`, oldest first."""
        effects: list[Effect] = []
        while True:
            segment, end = segment_of(self.ticked_to), tick_end(self.ticked_to)
            moment = self._moment(segment)
            if moment is not None and moment <= min(now, end):
                self._framed[segment] = True
                effects.append(FrameDue(segment, moment, at_stop=False))
            if end > now:
                return effects
            effects += self._tick(end)

    def _tick(self, end: int) -> list[Effect]:
        start, self.ticked_to = self.ticked_to, end
        if segment_of(start) in self._forfeited:
            return []
        return [Ticked(start, end, self.work_view)]

    def _moment(self, segment: int) -> int | None:
        """Return when the frame of a segment is due, or None if it needs none."""
        if not self.work_view or self._framed.get(segment) or segment in self._forfeited:
            return None
        return self._schedule.moment(segment, self.stretch_from)

    def next_due(self) -> int:
        """Return when `advance` has something to do next."""
        if self.phase is Phase.PAUSED:
            return self.began_at
        moment = self._moment(segment_of(self.ticked_to))
        end = tick_end(self.ticked_to)
        return end if moment is None else min(end, moment)

    def switch(self, on: bool, now: int, jump_ms: int) -> list[Effect]:
        """Switch Work View (rule 2.1); nothing happens if it stands so already."""
        effects = self.advance(now, jump_ms)
        if self.phase is not Phase.RUNNING or on == self.work_view or now < self.ticked_to:
            return effects
        effects += self._close_stretch(now)
        self.work_view = on
        self.stretch_from = now
        return [*effects, Switched(on, now)]

    def end(self, now: int, jump_ms: int) -> list[Effect]:
        """Stop. A clock that jumped, or stands before the last tick, ends the session at the last tick.

        Raises:
            IllegalStep: if it has ended already.
        """
        if self.phase is not Phase.RUNNING or abs(now - self._seen) > jump_ms:
            return self.end_at_last_tick()
        effects = self._catch_up(now)
        self.phase = next_phase(self.phase, Action.END)
        if now > self.ticked_to:
            effects += self._close_stretch(now)
        return [*effects, Ended(self.ticked_to)]

    def end_at_last_tick(self) -> list[Effect]:
        """Stop without counting what came after the last tick (another device took over).

        Raises:
            IllegalStep: if it has ended already.
        """
        self.phase = next_phase(self.phase, Action.END)
        return [Ended(self.ticked_to)]

    def _close_stretch(self, now: int) -> list[Effect]:
        """Report the time up to `now`, with a provisional frame if the segment's moment has not come."""
        effects: list[Effect] = []
        for _, end in ticks_between(self.ticked_to, now):
            effects += self._tick(end)
        segment = segment_of(now - 1)
        moment = self._moment(segment)
        if moment is not None and max(self.stretch_from, segment_start(segment)) < now <= moment:
            self._framed[segment] = False
            effects.append(FrameDue(segment, now, at_stop=True))
        return effects

    def forfeit(self, segment: int) -> None:
        """Count no more time in a segment whose frame was deleted or discarded (rules 2.4 and 2.9)."""
        self._forfeited.add(segment)

    def frame_missed(self, segment: int) -> None:
        """Take the frame of a segment again, if a later stretch begins in it: the machine slept at the first one."""
        self._framed.pop(segment, None)

    def segments_so_far(self) -> tuple[int, int]:
        """Return first and last segment of the session."""
        return segment_of(self.began_at), segment_of(max(self.began_at, self.ticked_to))
