"""Matters: entries that need an answer, who must give it, until when, and what silence means (rule 1.5).

Rule 1: every change of state is a row of TRANSITIONS; what has no row is refused.
Rule 2: nobody answers their own side's matter; only their own side takes one back.
Rule 3: the clock of a silence stands still while everybody who must act is on vacation, 14 days at most.
Rule 4: no I/O and no clock. Callers pass times, in Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from app.domain.errors import AlreadyAnswered, InvalidBody, OthersToAnswer
from app.domain.timerange import DAY_MS

PAUSE_DAYS_MAX = 14
SYSTEM = "sys"


class MatterState(StrEnum):
    """Where a matter stands."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    CHANGES_REQUESTED = "changes_requested"
    CONFIRMED = "confirmed"
    CONTESTED = "contested"
    RECEIVED = "received"
    EXPIRED = "expired"


OPEN, ACCEPTED, DECLINED = MatterState.OPEN, MatterState.ACCEPTED, MatterState.DECLINED
WITHDRAWN, CONFIRMED, CONTESTED = MatterState.WITHDRAWN, MatterState.CONFIRMED, MatterState.CONTESTED

TRANSITIONS: dict[str, dict[MatterState, dict[str, MatterState]]] = {
    "terms.proposed": {
        OPEN: {"terms.accepted": ACCEPTED, "terms.declined": DECLINED, "terms.withdrawn": WITHDRAWN},
    },
    "work_view.requested": {OPEN: {"work_view.accepted": ACCEPTED, "work_view.declined": DECLINED}},
    "milestone.proposed": {
        OPEN: {"milestone.accepted": ACCEPTED, "milestone.declined": DECLINED, "milestone.withdrawn": WITHDRAWN},
    },
    "deliverable": {
        OPEN: {
            "deliverable.accepted": ACCEPTED,
            "deliverable.changes_requested": MatterState.CHANGES_REQUESTED,
        },
    },
    "delay": {OPEN: {"delay.accepted": ACCEPTED, "delay.declined": DECLINED}},
    "transcript": {
        OPEN: {"transcript.confirmed": CONFIRMED, "transcript.contested": CONTESTED},
        CONTESTED: {"transcript.confirmed": CONFIRMED},
    },
    "disclosure.requested": {OPEN: {"disclosure.approved": ACCEPTED, "disclosure.declined": DECLINED}},
    "member.proposed": {
        OPEN: {"member.approved": ACCEPTED, "member.declined": DECLINED, "member.withdrawn": WITHDRAWN},
    },
    "handover": {
        OPEN: {"handover.received": MatterState.RECEIVED, "handover.expired": MatterState.EXPIRED},
    },
}

ANSWERS: dict[str, str] = {
    answer: asked for asked, states in TRANSITIONS.items() for steps in states.values() for answer in steps
}
TAKING_BACK = frozenset({"terms.withdrawn", "milestone.withdrawn", "member.withdrawn"})


class Silence(Struct, frozen=True):
    """What happens if nobody answers: after `days` the system writes `answer`; None for never. `means` tells it."""

    days: int | None
    answer: str | None
    means: str


DELIVERY_DAYS = 14  # rule 5.3; a setting, `delivery_days`, takes its place

SILENCE: dict[str, Silence] = {
    "terms.proposed": Silence(14, "terms.declined", "then the proposal lapses"),
    "work_view.requested": Silence(14, "work_view.declined", "then everything stays as it is"),
    "milestone.proposed": Silence(14, "milestone.declined", "then the proposal lapses"),
    "deliverable": Silence(DELIVERY_DAYS, "deliverable.accepted", "then it is accepted"),
    "delay": Silence(5, "delay.declined", "then the dates stay"),
    "transcript": Silence(None, None, "until then it is the word of one side"),
    "disclosure.requested": Silence(14, "disclosure.declined", "then it stays confidential"),
    "member.proposed": Silence(14, "member.declined", "then the proposal lapses"),
    "handover": Silence(14, "handover.expired", "then it is erased unseen"),
}


class Matter(Struct, frozen=True):
    """A matter as it stands.

    `by` of `side` asked; `asked` is the side that must answer, or the pseudonym of the one member who must. `due_at`
    is when silence answers. `answer_seq`, `answered_by` and `answered_at` are of the last answer.
    """

    room: str
    seq: int
    kind: str
    by: str
    side: str
    asked: str
    state: MatterState
    asked_at: int
    due_at: int | None = None
    answer_seq: int | None = None
    answered_by: str | None = None
    answered_at: int | None = None
    title: str = ""


def next_state(matter: Matter, answer: str, by: str, side: str) -> MatterState:
    """Return the state after `answer` by the member `by` of `side`; `sys` answers for silence.

    Raises:
        InvalidBody: if the answer is none to a matter of this kind.
        AlreadyAnswered: if the matter is not open for it any more.
        OthersToAnswer: if the member is not the one who may give it.
    """
    if ANSWERS.get(answer) != matter.kind:
        raise InvalidBody("This is no answer to that entry. Name the number of the one that it answers.", field="ref")
    state = TRANSITIONS[matter.kind].get(matter.state, {}).get(answer)
    if state is None:
        raise AlreadyAnswered(matter.state.value, matter.answered_by, matter.answer_seq)
    if by != SYSTEM and not (side == matter.side if answer in TAKING_BACK else matter.asked in (by, side)):
        raise OthersToAnswer()
    return state


def due_at(asked_at: int, days: int | None, away: Sequence[tuple[int, int]]) -> int | None:
    """Return when silence answers, `days` after `asked_at` and later by what the vacations `away` take.

    `away` are stretches `[from, to)` in which everybody who must act is on vacation, in order, without overlap.
    """
    if days is None:
        return None
    end, left = asked_at + days * DAY_MS, PAUSE_DAYS_MAX * DAY_MS
    for start, stop in away:
        pause = min(stop, end + left) - max(start, asked_at)
        if start < end and pause > 0:
            pause = min(pause, left)
            end, left = end + pause, left - pause
    return end


def shared_absence(absences: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Return the stretches in which everybody is away; `absences` holds one sequence of stretches a person."""
    if not absences or not all(absences):
        return []
    common = _union(absences[0])
    for each in absences[1:]:
        common = [(max(a, c), min(b, d)) for a, b in common for c, d in _union(each) if max(a, c) < min(b, d)]
    return common


def _union(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
