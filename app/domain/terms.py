"""Terms as versions: what holds at a moment, which week it lies in, what differs, and the states of milestones.

Rule 1: a version is the whole of the terms, never a difference; accepted versions are never changed.
Rule 2: the first version holds at once. Of a later one, rate and switches hold from its acceptance, time zone and
weekly limit from the next Monday of the zone that held when it was accepted (rules 2.12 and 4.4).
Rule 3: weeks are named by their Monday, and follow each other without gap or overlap, also where the zone changes: the
week in which it does is shorter or longer by what lies between the zones.
Rule 4: every change of a milestone's state is a row of MILESTONE_STEPS.
Rule 5: no I/O and no clock. Callers pass moments, in Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from app.domain.bodies.agreements import TermsMilestone, TermsProposed
from app.domain.errors import InvalidBody
from app.domain.record import Body
from app.domain.timerange import day_bounds, local_day

DEFAULT_ZONE = "UTC"  # rule 2.12: until there are terms
KIND = "terms.proposed"


class Terms(Struct, frozen=True):
    """An accepted version of a freelancer's terms.

    `seq` is the entry that proposed it (or what changed it: a milestone, a delay, Work View), `accepted_seq` the one
    that accepted it. `week_at` is when its time zone and weekly limit begin to hold.
    """

    room: str
    member: str
    version: int
    seq: int
    accepted_seq: int
    accepted_at: int
    what: TermsProposed
    week_at: int = 0


class Week(Struct, frozen=True):
    """A week of a timesheet: `[from_at, to_at)`, named by its Monday."""

    monday: date
    time_zone: str
    from_at: int
    to_at: int


class TermsInForce(Struct, frozen=True):
    """What holds at a moment: rate and switches of the version `terms`; zone and weekly limit of its week."""

    terms: Terms
    week: Week
    time_zone: str
    weekly_limit_hours: int | None

    @property
    def what(self) -> TermsProposed:
        """The version whose rate and switches hold."""
        return self.terms.what


class _Weekly(Struct, frozen=True):
    """From when a time zone and a weekly limit hold. `monday` names the week of that instant in the zone before, and
    `week_from_at` is where that week began; with `starts_week` it begins at that instant."""

    from_at: int
    monday: date
    time_zone: str
    limit: int | None
    week_from_at: int
    starts_week: bool


def terms_of(body: Body) -> TermsProposed:
    """Return the terms of the body of a `terms.proposed`, with what it leaves out."""
    return msgspec.convert({**body, "type": KIND}, TermsProposed)


def body_of_terms(terms: TermsProposed) -> Body:
    """Return the body of a `terms.proposed`, without what stands for itself."""
    body: Body = msgspec.to_builtins(terms)
    del body["type"]
    return body


# What holds when


def terms_at(versions: Sequence[Terms], moment: int) -> TermsInForce | None:
    """Return what holds at a moment, of versions in their order; None before the first."""
    held = [version for version in versions if version.accepted_at <= moment]
    if not held:
        return None
    weekly = _weekly_at(_weeklies(versions), moment)
    return TermsInForce(held[-1], _week(weekly, moment), weekly.time_zone, weekly.limit)


def week_at(versions: Sequence[Terms], moment: int) -> Week:
    """Return the week in which a moment lies; before the first terms in UTC."""
    return _week(_weekly_at(_weeklies(versions), moment), moment)


def next_week_at(versions: Sequence[Terms], moment: int) -> int:
    """Return when the week ends in which a moment lies: from then on a new zone and a new limit hold."""
    return week_at(versions, moment).to_at


def _weeklies(versions: Sequence[Terms]) -> list[_Weekly]:
    """Return from when which zone and limit hold: the beginning of time, the first terms, then Mondays."""
    listed = [_Weekly(0, date.min, DEFAULT_ZONE, None, 0, False)]
    for number, version in enumerate(versions):
        week = _week(_weekly_at(listed, version.accepted_at), version.accepted_at)
        zone, limit = version.what.time_zone, version.what.weekly_limit_hours
        if number == 0:
            listed.append(_Weekly(version.accepted_at, week.monday, zone, limit, week.from_at, False))
            continue
        if listed[-1].from_at == week.to_at:
            listed.pop()  # two changes in one week: the later counts
        listed.append(_Weekly(week.to_at, week.monday + timedelta(days=7), zone, limit, week.to_at, True))
    return listed


def _weekly_at(listed: Sequence[_Weekly], moment: int) -> _Weekly:
    return next(weekly for weekly in reversed(listed) if weekly.from_at <= max(moment, 0))


def _week(weekly: _Weekly, moment: int) -> Week:
    zone = ZoneInfo(weekly.time_zone)
    day = local_day(moment, zone)
    monday = max(day - timedelta(days=day.weekday()), weekly.monday)
    from_at = day_bounds(monday, zone)[0]
    if monday == weekly.monday and (weekly.starts_week or weekly.from_at < from_at):
        from_at = weekly.week_from_at
    return Week(monday, weekly.time_zone, from_at, day_bounds(monday + timedelta(days=7), zone)[0])


# What differs


def fields_of(terms: TermsProposed) -> dict[str, object]:
    """Return every field of terms by name; each milestone is a field of its own, `milestones.m1`."""
    fields = {name: getattr(terms, name) for name in terms.__struct_fields__ if name not in ("milestones", "files")}
    return fields | {f"milestones.{milestone.key}": milestone for milestone in terms.milestones}


def differences(before: TermsProposed, after: TermsProposed) -> frozenset[str]:
    """Return the names of the fields in which two versions differ."""
    old, new = fields_of(before), fields_of(after)
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


# Milestones


class MilestoneState(StrEnum):
    """Where a milestone stands (rule 5.2, but for the money)."""

    AGREED = "agreed"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"


MILESTONE_STEPS: dict[MilestoneState, dict[str, MilestoneState]] = {
    MilestoneState.AGREED: {"deliverable": MilestoneState.DELIVERED},
    MilestoneState.DELIVERED: {
        "deliverable.accepted": MilestoneState.ACCEPTED,
        "deliverable.changes_requested": MilestoneState.AGREED,
    },
    MilestoneState.ACCEPTED: {},
}


class Milestone(Struct, frozen=True):
    """A milestone as it stands; `seq` is the entry that set it last."""

    member: str
    key: str
    position: int
    name: str
    amount_minor: int
    currency: str
    due_on: str
    state: MilestoneState
    seq: int


def next_milestone_state(state: MilestoneState, kind: str, field: str) -> MilestoneState:
    """Return the state of a milestone after an entry of `kind`.

    Raises:
        InvalidBody: naming `field`, if the milestone does not wait for that.
    """
    after = MILESTONE_STEPS[state].get(kind)
    if after is None:
        said = {"agreed": "was not delivered", "delivered": "was delivered already", "accepted": "was accepted already"}
        raise InvalidBody(f"This milestone {said[state.value]}. See how it stands.", field=field)
    return after


def next_key(known: Iterable[str]) -> str:
    """Return the next free key, behind all that were ever used."""
    return f"m{max((int(key[1:]) for key in known), default=0) + 1}"


def check_stands(
    present: TermsProposed | None, new: TermsProposed, milestones: Sequence[Milestone], place: str
) -> None:
    """Check that new terms leave alone what was delivered and accepted for a fixed price.

    `milestones` are all of the freelancer, `present` the last version; `place` stands before the field's name.

    Raises:
        InvalidBody: naming the field that would change.
    """
    if present is None:
        return
    standing = [m for m in milestones if m.state is not MilestoneState.AGREED]
    if new.pay == "hourly":
        waiting = next((m for m in standing if m.state is MilestoneState.DELIVERED), None)
        if waiting is not None:
            raise InvalidBody(
                f"The milestone “{waiting.name}” was delivered and waits for an answer. Answer it before the pay "
                "becomes hourly.",
                field=f"{place}pay",
            )
        return
    theirs = {m.key: (number, m) for number, m in enumerate(new.milestones)}
    bound = {m.key for m in present.milestones}
    for milestone in standing:
        if milestone.key not in theirs:
            if milestone.key in bound:
                raise InvalidBody(
                    f"The milestone {milestone.key}, “{milestone.name}”, was {milestone.state.value}: it must stay in "
                    "the terms as it is.",
                    field=f"{place}milestones",
                )
            continue
        number, kept = theirs[milestone.key]
        _check_same(milestone, kept, f"{place}milestones.{number}")
        if new.currency != milestone.currency:
            raise InvalidBody(
                f"The milestone “{milestone.name}” was {milestone.state.value} in {milestone.currency}: the currency "
                "must stay.",
                field=f"{place}currency",
            )


def _check_same(milestone: Milestone, kept: TermsMilestone, field: str) -> None:
    for name in ("name", "amount_minor", "due_on"):
        if getattr(milestone, name) != getattr(kept, name):
            raise InvalidBody(
                f"The milestone {milestone.key}, “{milestone.name}”, was {milestone.state.value}: it must stay as it "
                "is. Leave it unchanged.",
                field=f"{field}.{name}",
            )
