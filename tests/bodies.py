"""Bodies: one that fits its kind, for every kind that people write; fields that are given take the place of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.domain.timerange import DAY_MS, datetime_of, segment_of
from app.domain.workrooms import WRITTEN_BY_PEOPLE
from tests.conftest import NOW

Body = dict[str, Any]
CLIENT, FREELANCER = "p1", "p2"


def day(number: int = 0, now: int = NOW) -> str:
    """Return the UTC day that is `number` days after `now`."""
    return datetime_of(now + number * DAY_MS).strftime("%Y-%m-%d")


def monday(now: int = NOW) -> str:
    """Return the Monday of the week of `now`."""
    return day(-datetime_of(now).weekday(), now)


def hourly_terms(**fields: Any) -> Body:
    """Return the body of terms by the hour."""
    return {
        "member": FREELANCER, "pay": "hourly", "currency": "EUR", "rate_minor": 4550, "weekly_limit_hours": 20,
        "time_zone": "Europe/Lisbon", "work_view": True, "blur_max": 1, "manual_time": True, **fields,
    }  # fmt: skip


def fixed_terms(now: int = NOW, **fields: Any) -> Body:
    """Return the body of terms at a fixed price, of two milestones that are due weeks after `now`."""
    milestones = [
        {"key": "m1", "name": "Design", "amount_minor": 100_000, "due_on": day(14, now)},
        {"key": "m2", "name": "Site", "amount_minor": 200_000, "due_on": day(42, now)},
    ]
    return {
        "member": FREELANCER, "pay": "fixed", "currency": "EUR", "time_zone": "Europe/Lisbon", "work_view": False,
        "milestones": milestones, **fields,
    }  # fmt: skip


def milestone(**fields: Any) -> Body:
    """Return the body of a proposal for a milestone: the third of `fixed_terms`."""
    return {
        "member": FREELANCER, "key": "m3", "name": "Harbour map", "amount_minor": 50_000, "due_on": day(56), **fields,
    }  # fmt: skip


_MADE: dict[str, Callable[[], Body]] = {
    "comment": lambda: {"text": "Wrote the form.", "from_segment": segment_of(NOW), "to_segment": segment_of(NOW)},
    "deliverable": lambda: {"title": "Design", "text": "Three pages, see the files.", "holds_rights": True},
    "deliverable.changes_requested": lambda: {"text": "The dates are wrong."},
    "availability": lambda: {"what": "vacation", "from_on": day(3), "until_on": day(9)},
    "delay": lambda: {"text": "The bank has sent no keys.", "until_on": day(9)},
    "transcript": lambda: {
        "medium": "call", "title": "Call about berths", "lines": [{"who": "Dana", "text": "The list is enough."}],
    },
    "transcript.contested": lambda: {"text": "I said the map."},
    "status_report": lambda: {"week_on": monday(), "done": "The form.", "next": "The map."},
    "disclosure.requested": lambda: {"to": "The harbour office", "text": "They want to see the form."},
    "handover": lambda: {"to": FREELANCER, "label": "Staging server", "secret": "correct-horse-battery-staple"},
    "terms.proposed": hourly_terms,
    "work_view.requested": lambda: {"member": FREELANCER},
    "milestone.proposed": milestone,
    "member.proposed": lambda: {"name": "Mia Lang", "side": "client"},
}  # fmt: skip
_WORDS = frozenset({"message", "agreement", "correction", "feedback"})
_ANSWERS = WRITTEN_BY_PEOPLE - _WORDS - _MADE.keys()  # an answer needs no words


def body_for(kind: str, **fields: Any) -> Body:
    """Return a body that fits a kind that people write; `{}` fits none of the system's."""
    if kind in _MADE:
        return {**_MADE[kind](), **fields}
    return {"text": f"A {kind}.", **fields} if kind in _WORDS | _ANSWERS else dict(fields)
