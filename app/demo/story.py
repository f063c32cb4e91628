"""The demo's story: who is in it, what they work on, and what they said. Made up; nobody in it exists."""

from __future__ import annotations

from dataclasses import dataclass

from app.demo.agreed import HARBOUR, REPORT, Wrote

PASSWORD = "workroom demo"
CLIENT = ("dana@example.org", "Dana Keller")
OPERATOR = ("operator@example.org", "Olga Brandt")


@dataclass(frozen=True)
class Said:
    """A line of the history: `day` counts back from the demo's first moment; `by` is "client" or "freelancer"."""

    day: int
    minute: int  # of the UTC day
    by: str
    text: str


@dataclass(frozen=True)
class Worked:
    """A session of the history."""

    day: int
    minute: int
    minutes: int
    comment: str


@dataclass(frozen=True)
class Job:
    """A workroom with its freelancer. `drawn` names the screens that the tracker draws."""

    email: str
    name: str
    drawn: str
    title: str
    time_zone: str
    said: tuple[Said, ...]
    wrote: tuple[Wrote, ...]
    worked: tuple[Worked, ...]
    tasks: tuple[str, ...]  # what the tracker says while it runs, one a session
    remarks: tuple[str, ...]  # what the freelancer writes between two sessions


def _at(hour: int, minute: int = 0) -> int:
    return hour * 60 + minute


JOBS = (
    Job(
        email="ana@example.org",
        name="Ana Novak",
        drawn="ana",
        title="Harbour booking site",
        time_zone="Europe/Lisbon",
        said=(
            Said(3, _at(8, 2), "client", "Welcome, Ana! The harbour office opens for bookings on the first of next "
                 "month. The list of berths works; what is missing is validation and the invoice e-mail."),
            Said(3, _at(8, 11), "freelancer", "Thanks, Dana. I have read through the code. I start with the booking "
                 "form, then the e-mail. You will see both in Work View as I go."),
            Said(3, _at(11, 40), "freelancer", "Fourteen rules so far. Two of them contradict each other:\n\n"
                 "- a boat over 12 m needs a pilot\n- pilots cannot be booked for Sundays\n\n"
                 "What should the form say to a 14 m boat that arrives on a Sunday?"),
            Said(3, _at(12, 25), "client", "Good catch. It should offer the Monday after, with the mooring free for "
                 "the night. I asked the office; they confirmed."),
            Said(2, _at(8, 5), "client", "Morning! The office asked whether visitors can pick a berth on the map "
                 "instead of the list. Could you look at what that would take?"),
            Said(2, _at(8, 21), "freelancer", "About two days on top: the map tiles are there, the berth polygons "
                 "are not. I would rather finish validation first and make the map its own piece of work."),
            Said(2, _at(8, 24), "client", "Agreed. Validation first."),
            Said(1, _at(9, 15), "freelancer", "The invoice e-mail goes out on a test address now. The bank's sandbox "
                 "keys are still missing, so payment itself waits."),
            Said(1, _at(10, 2), "client", "I have the keys on my desk and will hand them over this week."),
        ),
        wrote=HARBOUR,
        worked=(
            Worked(3, _at(8, 30), 175, "Booking form validation"),
            Worked(3, _at(12, 40), 95, "Booking form validation"),
            Worked(2, _at(8, 36), 150, "Booking form validation"),
            Worked(1, _at(8, 0), 190, "Invoice e-mail"),
        ),
        tasks=("Booking form validation", "Berth map", "Invoice e-mail", "Payment retry", "Tests for the pilot rule"),
        remarks=(
            "Short break. The form now offers the Monday after; have a look at the last frames.",
            "The berth polygons load. Next I make them clickable.",
            "Invoice e-mail is done, with the harbour's logo and both languages.",
            "The bank's sandbox answers. I am going through the declined cards one by one.",
            "All tests green. I will start on the map's keyboard control.",
        ),
    ),
    Job(
        email="tomas@example.org",
        name="Tomás Ibarra",
        drawn="tomas",
        title="Annual report",
        time_zone="Europe/Madrid",
        said=(
            Said(2, _at(9, 0), "client", "Hello Tomás, the figures for all four quarters are in the sheet. Tone as "
                 "last year: sober, short sentences, no superlatives."),
            Said(2, _at(9, 12), "freelancer", "Understood. I begin with the letter of the board, since it sets the "
                 "tone for the rest."),
            Said(1, _at(14, 5), "freelancer", "The letter is drafted. Page 3 has two versions of the paragraph on "
                 "staff; please tell me which you prefer."),
            Said(1, _at(15, 30), "client", "The second one. It says the same with half the words."),
        ),
        wrote=REPORT,
        worked=(
            Worked(2, _at(9, 30), 140, "Letter of the board"),
            Worked(1, _at(12, 0), 125, "Letter of the board"),
        ),
        tasks=("Chapter on staff", "Tables of the four quarters", "Cover and colours", "Proofreading"),
        remarks=(
            "The tables add up now; the third quarter had a typing mistake in the source.",
            "I have put three covers next to each other in Work View.",
            "Proofread up to page 18.",
        ),
    ),
)  # fmt: skip
