"""What the demo's people agree, deliver and announce: the entries of its story that are more than words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from app.domain.jobs import Offer, Pay, Visibility

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Wrote:
    """An entry of the history. `name` is what later ones call it in `answers`; the body may depend on its day."""

    day: int  # counted back from the demo's first moment
    minute: int  # of the UTC day
    by: str  # "client" or "freelancer"
    kind: str
    body: dict[str, Any] | Callable[[date], dict[str, Any]]
    name: str = ""
    answers: str = ""
    files: tuple[tuple[str, str], ...] = ()  # attached: name and text

    def body_on(self, day: date) -> dict[str, Any]:
        """Return the body as it is written on `day`."""
        return self.body(day) if callable(self.body) else self.body


def _at(hour: int, minute: int = 0) -> int:
    return hour * 60 + minute


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


RULES_OF_BERTHS = """Rules of the booking form

 1  A boat over 12 m needs a pilot.
 2  Pilots cannot be booked for a Sunday: offer the Monday after, the night is free.
 3  A berth is held for 20 minutes while the form is open.
 4  Arrival lies between today and the end of next season.
 5  Draught must not be larger than the berth's at low tide.
 6  Two boats never hold one berth in the same night.
 7  A catamaran takes two berths, or one of the outer wall.
 8  The name of the boat is required; the sail number is not.
 9  An e-mail address is confirmed before the invoice goes out.
10  A booking is free of charge to cancel until two days before.
11  Groups of four boats and more write to the office.
12  Electricity is booked by the night.
13  Waste water is booked by the litre.
14  Whoever owes an invoice pays it before booking again.
"""
BOAT_TYPES = """type,length from,length to,beam,berths
dinghy,2,4,1.6,1
sloop,6,14,4.2,1
catamaran,8,18,8.5,2
motor yacht,8,24,6.0,1
barge,15,38,5.1,2
"""

HARBOUR = (
    Wrote(3, _at(8, 4), "client", "terms.proposed", {
        "member": "p2", "pay": "hourly", "currency": "EUR", "rate_minor": 4500, "weekly_limit_hours": 30,
        "time_zone": "Europe/Lisbon", "work_view": True, "blur_max": 1, "manual_time": True,
        "text": "As we said on the phone: validation and the invoice e-mail first.",
    }, name="terms"),
    Wrote(3, _at(8, 9), "freelancer", "terms.accepted", {}, answers="terms"),
    Wrote(2, _at(8, 26), "client", "agreement", {
        "text": "The berth map is a piece of work of its own. It begins when validation is delivered.",
    }),
    Wrote(2, _at(11, 40), "freelancer", "delay", lambda day: {
        "text": "The bank has not sent its sandbox keys. Until they are here the payment page cannot be tried.",
        "until_on": str(day + timedelta(days=9)),
    }, name="delay"),
    Wrote(2, _at(13, 5), "client", "delay.accepted", {"text": "Not your fault. I call the bank."}, answers="delay"),
    Wrote(1, _at(10, 6), "client", "handover", {
        "to": "p2", "label": "Sandbox keys of the bank", "secret": "sandbox-4417-harbour-demo",
    }),
    Wrote(1, _at(10, 30), "client", "transcript", {
        "medium": "call", "title": "Call with the harbour office",
        "lines": [
            {"who": "Harbour office", "text": "A boat over twelve metres always needs a pilot, Sundays included.",
             "at": "11:02"},
            {"who": "Dana", "text": "And pilots cannot be booked for a Sunday?", "at": "11:02"},
            {"who": "Harbour office", "text": "No. Offer the Monday, and the mooring free for the night.",
             "at": "11:03"},
        ],
    }, name="call"),
    Wrote(1, _at(10, 44), "freelancer", "transcript.confirmed", {}, answers="call"),
    Wrote(1, _at(11, 30), "freelancer", "deliverable", {
        "title": "Booking form validation", "holds_rights": True,
        "text": "All fourteen rules, each with its test. The Sunday rule offers the Monday after, as the office said.",
        "third_party": "The list of boat types comes from the harbour’s own catalogue.",
    }, files=(("rules.txt", RULES_OF_BERTHS), ("boat-types.csv", BOAT_TYPES))),
    Wrote(1, _at(11, 50), "freelancer", "availability", lambda day: {
        "what": "vacation", "from_on": str(_monday(day) + 2 * WEEK),
        "until_on": str(_monday(day) + 2 * WEEK + timedelta(days=4)),
        "text": "A week in the mountains. The berth map goes on afterwards.",
    }),
)  # fmt: skip

REPORT = (
    Wrote(2, _at(9, 5), "freelancer", "terms.proposed", lambda day: {
        "member": "p2", "pay": "fixed", "currency": "EUR", "time_zone": "Europe/Madrid", "work_view": False,
        "milestones": [
            {"key": "m1", "name": "Letter of the board", "amount_minor": 40000, "due_on": str(day + timedelta(days=1))},
            {"key": "m2", "name": "Four quarters in tables", "amount_minor": 65000,
             "due_on": str(day + timedelta(days=8))},
            {"key": "m3", "name": "Cover, layout, proofs", "amount_minor": 55000,
             "due_on": str(day + timedelta(days=15))},
        ],
    }, name="terms"),
    Wrote(2, _at(9, 8), "client", "terms.accepted", {}, answers="terms"),
    Wrote(1, _at(14, 8), "freelancer", "deliverable", {
        "title": "Letter of the board", "milestone": "m1", "holds_rights": True,
        "text": "Two pages, and two versions of the paragraph on staff.",
    }, name="letter"),
    Wrote(1, _at(15, 32), "client", "deliverable.changes_requested", {
        "text": "The second version of the paragraph, please, and the year in the title.",
    }, answers="letter"),
    Wrote(1, _at(16, 20), "freelancer", "deliverable", {
        "title": "Letter of the board, second version", "milestone": "m1", "holds_rights": True,
        "text": "With the shorter paragraph and the year.",
    }, name="again"),
    Wrote(1, _at(16, 50), "client", "deliverable.accepted", {"text": "Just right."}, answers="again"),
    Wrote(1, _at(17, 0), "freelancer", "status_report", lambda day: {
        "week_on": str(_monday(day)), "done": "The letter of the board is accepted.",
        "next": "The tables of the four quarters.", "progress": [
            {"milestone": "m1", "percent": 100}, {"milestone": "m2", "percent": 10},
        ],
    }),
)  # fmt: skip

SIGNS = Offer(
    title="Harbour signs in three languages",
    description="Forty signs of the harbour are in Portuguese only. **Wanted**: English and French, short enough to be "
    "read from a moving boat.\n\n- a list of all signs with photographs exists\n- the words of the pilots' handbook "
    "are to be used\n- one round of corrections with the harbour office",
    pay=Pay.FIXED, currency="EUR", low_minor=60000, high_minor=60000, weekly_hours=None, start_on=None,
    time_zone="Europe/Lisbon", skills=("English", "French", "signage"), work_view=False,
    visible_to=Visibility.EVERYBODY,
)  # fmt: skip
SIGNS_PROPOSAL = (
    "I have set the annual report in two languages and know your harbour by now. I would send the ten signs of the "
    "entrance first, so that you can judge the tone before I go on."
)
