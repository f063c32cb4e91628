"""Terms in plain words and for programs: what each line says, what changes, two versions side by side.

Rule 1: every field of a `terms.proposed` is told by one line; a test compares.
Rule 2: what differs is marked by a word, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from msgspec import Struct, structs

from app.domain.bodies.agreements import TermsMilestone, TermsProposed
from app.domain.matters import Matter
from app.domain.money import Money
from app.domain.record import Body, Entry
from app.domain.terms import Milestone, Terms, TermsInForce, body_of_terms, terms_at, terms_of
from app.domain.timerange import instant_text
from app.domain.workrooms import RoomInfo, Side
from app.views.money import money_text
from app.views.names import first_name, name_of

_NAMES = frozenset({"Work View"})  # labels that keep their capitals within a sentence
BLUR_WORDS = ("none", "light", "medium", "strong")  # rule 2.14: three strengths


class ComparedLine(Struct, frozen=True):
    """A line of two versions side by side; None where a version has no such line."""

    label: str
    before: str | None
    after: str | None

    @property
    def differs(self) -> bool:
        """Whether the two read differently."""
        return self.before != self.after


class TermsLine(Struct, frozen=True):
    """A line of terms. `key` is the same in every version; `fields` are those that the line tells."""

    key: str
    label: str
    value: str
    fields: tuple[str, ...]


def day_words(day: str) -> str:
    """Return `12 December 2026` for a day as the record writes it."""
    found = date.fromisoformat(day)
    return f"{found.day} {found:%B} {found.year}"


def milestone_words(milestone: TermsMilestone, currency: str) -> str:
    """Return name, amount and date of a milestone."""
    return f"{milestone.name}, {money_text(Money(milestone.amount_minor, currency))}, due {day_words(milestone.due_on)}"


def terms_summary(body: dict[str, Any], room: RoomInfo) -> list[tuple[str, str]]:
    """Return labels and values of a `terms.proposed`, in plain words: for cards, forms, mails and the page."""
    return [(line.label, line.value) for line in terms_lines(terms_of(body), room)]


def terms_lines(terms: TermsProposed, room: RoomInfo) -> list[TermsLine]:
    """Return the lines of a version of terms."""
    lines = [TermsLine("member", "Freelancer", name_of(room, terms.member), ("member",))]
    lines += _hourly(terms) if terms.pay == "hourly" else _fixed(terms)
    has_blur = terms.blur_max > 0 or (terms.work_view and terms.pay == "hourly")  # else there is nothing to protect
    lines += [
        TermsLine("work_view", "Work View", _work_view(terms), ("work_view",)),
        *([TermsLine("blur_max", "Strongest blur", _blur(terms), ("blur_max",))] if has_blur else []),
        TermsLine("time_zone", "Time zone", f"{terms.time_zone}; days and weeks are counted there", ("time_zone",)),
        TermsLine("ownership", "Ownership", _ownership(terms, room), ("ownership",)),
        TermsLine("mediator", "Mediator", terms.mediator or "the operator’s mediator", ("mediator",)),
    ]
    if terms.text:
        lines.append(TermsLine("text", "Note", terms.text, ("text",)))
    return lines


def compared_lines(before: TermsProposed, after: TermsProposed, room: RoomInfo) -> list[ComparedLine]:
    """Return two versions line by line, in the order of the later one; what only the earlier has stays in its place."""
    old, new = ({line.key: line for line in terms_lines(terms, room)} for terms in (before, after))
    order = list(new)
    place = 0
    for key in old:
        if key in new:
            place = order.index(key) + 1
        else:
            order.insert(place, key)
            place += 1
    return [
        ComparedLine(
            (new.get(key) or old[key]).label,
            old[key].value if key in old else None,
            new[key].value if key in new else None,
        )
        for key in order
    ]


def held_words(held: TermsInForce) -> TermsProposed:
    """Return what holds as one version: rate and switches of the present one, zone and limit of this week."""
    limit = held.weekly_limit_hours if held.what.pay == "hourly" else None
    return structs.replace(held.what, time_zone=held.time_zone, weekly_limit_hours=limit)


def coming_lines(versions: Sequence[Terms], held: TermsInForce, room: RoomInfo) -> list[ComparedLine]:
    """Return what changes when the next week begins: its time zone and weekly limit (rule 2.12)."""
    coming = terms_at(versions, held.week.to_at)
    if coming is None:
        return []
    return [
        line
        for line in compared_lines(held_words(held), held_words(structs.replace(coming, terms=held.terms)), room)
        if line.differs
    ]


def changed_words(before: TermsProposed | None, after: TermsProposed, room: RoomInfo) -> str:
    """Return in a few words in what a version differs from the one before it."""
    if before is None:
        return "the first terms"
    labels = [line.label for line in compared_lines(before, after, room) if line.differs]
    told = [label if label in _NAMES or n == 0 else label[:1].lower() + label[1:] for n, label in enumerate(labels)]
    return ", ".join(told) or "nothing"


def _hourly(terms: TermsProposed) -> list[TermsLine]:
    rate_minor = terms.rate_minor or 0
    rate = money_text(Money(rate_minor, terms.currency))
    limit = terms.weekly_limit_hours
    lines = [
        TermsLine("pay", "Pay", f"{rate} an hour", ("pay", "rate_minor", "currency")),
        TermsLine(
            "limit",
            "Weekly limit",
            f"{limit} h a week, at most {money_text(Money(rate_minor * limit, terms.currency))}" if limit else "none",
            ("weekly_limit_hours",),
        ),
        TermsLine(
            "manual_time", "Manual time", "allowed, not protected" if terms.manual_time else "not allowed",
            ("manual_time",),
        ),
    ]  # fmt: skip
    held = "no"
    if terms.weekly_deposit and limit:
        held = f"{money_text(Money(rate_minor * limit, terms.currency))} are held each Monday"
    return [*lines, TermsLine("weekly_deposit", "Weekly deposit", held, ("weekly_deposit",))]


def _fixed(terms: TermsProposed) -> list[TermsLine]:
    total = money_text(Money(sum(m.amount_minor for m in terms.milestones), terms.currency))
    count = len(terms.milestones)
    price = f"{total}, fixed, in {count} milestone{'s' if count > 1 else ''}"
    return [
        TermsLine("pay", "Pay", price, ("pay", "currency")),
        *(
            TermsLine(
                f"milestones.{m.key}", f"Milestone {m.key[1:]}", milestone_words(m, terms.currency),
                (f"milestones.{m.key}",),
            )
            for m in terms.milestones
        ),
    ]  # fmt: skip


def _work_view(terms: TermsProposed) -> str:
    if not terms.work_view:
        return "not asked for"
    if terms.pay == "fixed":
        return "asked for"
    return "asked for: hours with it on are documented, and only those can be protected"


def _blur(terms: TermsProposed) -> str:
    if terms.blur_max == 0:
        return "none: blurred frames do not protect time"
    return f"{BLUR_WORDS[terms.blur_max]}: time stays protected up to it"


def _ownership(terms: TermsProposed, room: RoomInfo) -> str:
    if terms.ownership == "freelancer":
        return f"{first_name(room, terms.member)} keeps it"
    clients = " and ".join(first_name(room, m.by) for m in room.on_side(Side.CLIENT))
    return f"{clients or 'the client'}, once it is paid for"


# For programs


class ShownVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """An accepted version: `body` is that of a `terms.proposed`. `seq` is the entry that it comes from, `accepted_seq`
    the one that accepted it; its time zone and weekly limit hold from `week_at` on."""

    version: int
    seq: int
    accepted_seq: int
    accepted_at: str
    week_at: str
    body: dict[str, Any]


class ShownInForce(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds now: rate and switches of `version`; zone and limit of the week that begins on `week_on`."""

    version: int
    time_zone: str
    weekly_limit_hours: int | None
    week_on: str
    week_from: str
    week_to: str


class ShownMilestone(Struct, frozen=True, forbid_unknown_fields=True):
    """A milestone as it stands; `seq` is the entry that set it last."""

    key: str
    name: str
    amount_minor: int
    currency: str
    due_on: str
    state: str
    seq: int


class FreelancerTerms(Struct, frozen=True, forbid_unknown_fields=True):
    member: str
    in_force: ShownInForce | None
    versions: list[ShownVersion]
    milestones: list[ShownMilestone]


class OpenProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """Terms that wait for an answer by `asked`, a side or a member. `body` is null where it was erased."""

    seq: int
    by: str
    asked: str
    due_at: str | None
    body: dict[str, Any] | None


class RoomTerms(Struct, frozen=True, forbid_unknown_fields=True):
    freelancers: list[FreelancerTerms]
    open: list[OpenProposal]


def room_terms(
    versions: Mapping[str, Sequence[Terms]],
    milestones: Sequence[Milestone],
    waiting: Sequence[tuple[Matter, Entry]],
    room: RoomInfo,
    now: int,
) -> RoomTerms:
    """Return the terms of a room for programs."""
    freelancers = [
        FreelancerTerms(
            member.by,
            _in_force(terms_at(versions.get(member.by, ()), now)),
            [_version(version) for version in versions.get(member.by, ())],
            [
                ShownMilestone(m.key, m.name, m.amount_minor, m.currency, m.due_on, m.state.value, m.seq)
                for m in milestones
                if m.member == member.by
            ],
        )
        for member in room.on_side(Side.FREELANCER)
    ]
    proposals = [
        OpenProposal(m.seq, m.by, m.asked, None if m.due_at is None else instant_text(m.due_at), entry.body)
        for m, entry in waiting
    ]
    return RoomTerms(freelancers, proposals)


def _version(version: Terms) -> ShownVersion:
    body: Body = body_of_terms(version.what)
    return ShownVersion(
        version.version, version.seq, version.accepted_seq, instant_text(version.accepted_at),
        instant_text(version.week_at), body,
    )  # fmt: skip


def _in_force(held: TermsInForce | None) -> ShownInForce | None:
    if held is None:
        return None
    week = held.week
    return ShownInForce(
        held.terms.version, held.time_zone, held.weekly_limit_hours, str(week.monday), instant_text(week.from_at),
        instant_text(week.to_at),
    )  # fmt: skip
