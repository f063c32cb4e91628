"""Jobs and proposals: what an offer holds, how each moves on, and how many a person may make (rule 1.1). Pure.

Rule 1: every change of state is a row of JOB_STEPS or PROPOSAL_STEPS; a missing row is a refusal that says how
things stand.
Rule 2: an offer has versions; a proposal names the one that it answers.
Rule 3: limits are per account and day of the record's clock in UTC; each has its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from app.domain.errors import Conflict, Malformed, TooLarge, TooMany
from app.domain.money import Money, checked_currency, money_of_text
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS
from app.domain.workrooms import checked_time_zone, checked_title

DESCRIPTION_CHARS_MAX = 12_000  # four printed pages; what is longer is a document, and belongs into the workroom
PROPOSAL_CHARS_MAX = 6_000  # two pages: a client reads many
NOTE_CHARS_MAX = 500  # a word with an answer
SKILLS_MAX = 10  # more say nothing
SKILL_CHARS_MAX = 30
WEEKLY_HOURS_MAX = 80  # no sane week has more
WORDS_MAX = 8  # of a search: each is one more condition
WORD_CHARS_MAX = 40


class JobState(StrEnum):
    OPEN = "open"
    AWARDED = "awarded"
    CLOSED = "closed"


class JobStep(StrEnum):
    EDIT = "edit"
    INVITE = "invite"
    PROPOSE = "propose"
    OPEN_MESSAGES = "open_messages"
    AWARD = "award"
    CLOSE = "close"


JOB_STEPS: dict[JobState, dict[JobStep, JobState]] = {
    JobState.OPEN: {
        JobStep.EDIT: JobState.OPEN,
        JobStep.INVITE: JobState.OPEN,
        JobStep.PROPOSE: JobState.OPEN,
        JobStep.OPEN_MESSAGES: JobState.OPEN,
        JobStep.AWARD: JobState.AWARDED,
        JobStep.CLOSE: JobState.CLOSED,
    },
    JobState.AWARDED: {  # a job may need several freelancers (rule 1.9): those who proposed can still be asked
        JobStep.OPEN_MESSAGES: JobState.AWARDED,
        JobStep.AWARD: JobState.AWARDED,
        JobStep.CLOSE: JobState.CLOSED,
    },
    JobState.CLOSED: {JobStep.AWARD: JobState.CLOSED},  # terms accepted in a room that was open before
}
_JOB_STANDS = {
    JobState.OPEN: "This job is open.",
    JobState.AWARDED: "This job is awarded: it takes no new proposals, and stays as it is.",
    JobState.CLOSED: "This job is closed: nothing can be added to it any more.",
}


class ProposalState(StrEnum):
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    OPENED = "opened"


class ProposalStep(StrEnum):
    WITHDRAW = "withdraw"
    DECLINE = "decline"
    OPEN = "open"


PROPOSAL_STEPS: dict[ProposalState, dict[ProposalStep, ProposalState]] = {
    ProposalState.SENT: {
        ProposalStep.WITHDRAW: ProposalState.WITHDRAWN,
        ProposalStep.DECLINE: ProposalState.DECLINED,
        ProposalStep.OPEN: ProposalState.OPENED,
    },
    ProposalState.WITHDRAWN: {},
    ProposalState.DECLINED: {},
    ProposalState.OPENED: {},
}
_PROPOSAL_STANDS = {
    ProposalState.SENT: "This proposal waits for its answer.",
    ProposalState.WITHDRAWN: "This proposal was withdrawn by the freelancer meanwhile. Nothing was changed.",
    ProposalState.DECLINED: "This proposal was declined by the client meanwhile. Nothing was changed.",
    ProposalState.OPENED: "The messages of this proposal are open already. Go on in its workroom.",
}


class Pay(StrEnum):
    HOURLY = "hourly"
    FIXED = "fixed"


class Visibility(StrEnum):
    EVERYBODY = "everybody"  # with an account
    INVITED = "invited"


class Soon(StrEnum):
    """How soon a freelancer can begin."""

    NOW = "now"
    WEEK = "week"
    FORTNIGHT = "fortnight"
    MONTH = "month"
    LATER = "later"


class Limited(StrEnum):
    """What is limited per account and day."""

    JOBS = "jobs"
    PROPOSALS = "proposals"
    INVITATIONS = "invitations"
    ROOMS = "rooms"
    REPORTS = "reports"


DAILY_MAX: dict[Limited, int] = {
    Limited.JOBS: 10,  # an agency posts a few; a program that posts more is a nuisance
    Limited.PROPOSALS: 20,  # each should be written for its job
    Limited.INVITATIONS: 20,  # each is a mail to somebody
    Limited.ROOMS: 20,  # a room has a record for ever
    Limited.REPORTS: 20,  # each is read by a person
}
_LIMITED_SENTENCES = {
    Limited.JOBS: "You have posted {most} jobs today, which is the limit.",
    Limited.PROPOSALS: "You have sent {most} proposals today, which is the limit.",
    Limited.INVITATIONS: "You have sent {most} invitations today, which is the limit.",
    Limited.ROOMS: "You have opened {most} workrooms today, which is the limit.",
    Limited.REPORTS: "You have sent {most} reports today, which is the limit.",
}


class Offer(Struct, frozen=True):
    """What a client offers. `low` and `high` are the range of an hourly rate, or both the budget of a fixed price."""

    title: str
    description: str
    pay: Pay
    currency: str
    low_minor: int
    high_minor: int
    weekly_hours: int | None
    start_on: str | None  # a date, `2026-10-14`; none is "as soon as possible"
    time_zone: str
    skills: tuple[str, ...]
    work_view: bool
    visible_to: Visibility

    @property
    def low(self) -> Money:
        """The least that is paid."""
        return Money(self.low_minor, self.currency)

    @property
    def high(self) -> Money:
        """The most that is paid."""
        return Money(self.high_minor, self.currency)


# Steps


def next_job_state(state: JobState, step: JobStep) -> JobState:
    """Return the state of a job after a step.

    Raises:
        Conflict: if the table has no such row; it says how the job stands.
    """
    try:
        return JOB_STEPS[state][step]
    except KeyError:
        raise Conflict(_JOB_STANDS[state]) from None


def next_proposal_state(state: ProposalState, step: ProposalStep) -> ProposalState:
    """Return the state of a proposal after a step.

    Raises:
        Conflict: if the table has no such row; it says how the proposal stands.
    """
    try:
        return PROPOSAL_STEPS[state][step]
    except KeyError:
        raise Conflict(_PROPOSAL_STANDS[state]) from None


# Limits


def day_start(now: int) -> int:
    """Return the first instant of the UTC day of `now`."""
    return now // DAY_MS * DAY_MS


def check_daily(what: Limited, made_today: int, now: int) -> None:
    """Check that one more may be made today.

    Raises:
        TooMany: saying when it is possible again.
    """
    most = DAILY_MAX[what]
    if made_today < most:
        return
    wait_ms = day_start(now) + DAY_MS - now
    hours, minutes = wait_ms // HOUR_MS, wait_ms % HOUR_MS // MINUTE_MS
    told = f"{hours} h {minutes} min" if hours else f"{max(1, minutes)} min"
    raise TooMany(
        f"{_LIMITED_SENTENCES[what].format(most=most)} It is possible again at 00:00 UTC, in {told}.",
        retry_after_seconds=-(-wait_ms // 1000),
    )


# What people type


def offer_of_form(form: Mapping[str, str], today: date) -> Offer:
    """Return the offer that a form's fields describe.

    `form` has title, description, pay, currency, low, high, budget, weekly_hours, start_on, time_zone, skills,
    work_view ("on" or empty) and visible_to; fields that are missing are empty.

    Raises:
        Malformed: naming the first field that is wrong.
    """

    def typed(name: str) -> str:
        return form.get(name, "").strip()

    title = checked_title(typed("title"))
    description = checked_text(typed("description"), DESCRIPTION_CHARS_MAX, "description", "Say what is to be done.")
    pay = choice(Pay, typed("pay"), "pay", "Choose whether you pay by the hour or a fixed price.")
    currency = checked_currency(typed("currency"))
    if pay is Pay.HOURLY:
        low = paid(typed("low"), currency, "low")
        high = paid(typed("high"), currency, "high") if typed("high") else low
        if high.amount_minor < low.amount_minor:
            raise Malformed("The highest rate is below the lowest one.", field="high")
        weekly_hours = _weekly_hours(typed("weekly_hours"))
    else:
        low = high = paid(typed("budget"), currency, "budget")
        weekly_hours = None
    return Offer(
        title=title,
        description=description,
        pay=pay,
        currency=currency,
        low_minor=low.amount_minor,
        high_minor=high.amount_minor,
        weekly_hours=weekly_hours,
        start_on=_start_on(typed("start_on"), today),
        time_zone=checked_time_zone(typed("time_zone")),
        skills=checked_skills(typed("skills")),
        work_view=typed("work_view") == "on",
        visible_to=choice(Visibility, typed("visible_to"), "visible_to", "Choose who sees the job."),
    )


def checked_text(text: str, chars_max: int, field: str, missing: str = "") -> str:
    """Return a text with unix line ends; an empty one is refused where `missing` says what is missing.

    Raises:
        Malformed, TooLarge: naming `field`.
    """
    cleaned = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not cleaned and missing:
        raise Malformed(missing, field=field)
    if len(cleaned) > chars_max:
        raise TooLarge(f"This has {len(cleaned)} characters; {chars_max} fit. Shorten it.", field=field)
    if any(ord(c) < 32 and c not in "\n\t" for c in cleaned):
        raise Malformed("This holds characters that cannot be shown. Type it anew.", field=field)
    return cleaned


def paid(text: str, currency: str, field: str) -> Money:
    """Return an amount that is paid: more than nothing.

    Raises:
        Malformed: naming `field`.
    """
    money = money_of_text(text, currency, field)
    if money.amount_minor == 0:
        raise Malformed("Work is paid: type more than zero.", field=field)
    return money


def checked_skills(text: str) -> tuple[str, ...]:
    """Return the skills of a text with commas, each once, as typed.

    Raises:
        Malformed: if they are too many or too long.
    """
    named = {" ".join(part.split()).casefold(): " ".join(part.split()) for part in text.replace("\n", ",").split(",")}
    skills = tuple(skill for skill in named.values() if skill)
    if len(skills) > SKILLS_MAX:
        raise Malformed(f"Name {SKILLS_MAX} skills at most, with commas between them.", field="skills")
    if any(len(skill) > SKILL_CHARS_MAX for skill in skills):
        raise Malformed(f"A skill is a word or two, of {SKILL_CHARS_MAX} characters at most.", field="skills")
    return skills


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a search as they are compared; what is beyond the limits is left out."""
    return tuple(word[:WORD_CHARS_MAX] for word in text.casefold().split()[:WORDS_MAX])


Choice = TypeVar("Choice", bound=StrEnum)


def choice(kind: type[Choice], text: str, field: str, missing: str) -> Choice:
    """Return the choice that a field names.

    Raises:
        Malformed: with the sentence `missing`, if it names none.
    """
    try:
        return kind(text)
    except ValueError:
        raise Malformed(missing, field=field) from None


def _weekly_hours(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= WEEKLY_HOURS_MAX:
        raise Malformed(f"Hours a week are a whole number from 1 to {WEEKLY_HOURS_MAX}.", field="weekly_hours")
    return int(text)


def _start_on(text: str, today: date) -> str | None:
    if not text:
        return None
    try:
        wanted = date.fromisoformat(text)
    except ValueError:
        raise Malformed("Write the day like 2026-10-14, or leave it empty.", field="start_on") from None
    if wanted < today:
        raise Malformed("This day is over. Choose a later one, or leave it empty.", field="start_on")
    return wanted.isoformat()
