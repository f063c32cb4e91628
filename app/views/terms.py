"""Terms in plain words: what each line says, what silence means, and two versions side by side.

Rule 1: every field of a `terms.proposed` is told by one line; a test compares.
Rule 2: what differs is marked by a word, never by colour alone.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from msgspec import Struct

from app.domain.bodies.agreements import TermsMilestone, TermsProposed
from app.domain.money import Money
from app.domain.terms import terms_of
from app.domain.workrooms import RoomInfo, Side
from app.views.money import money_text
from app.views.names import first_name, name_of

BLUR_WORDS = ("none", "light", "medium", "strong")  # rule 2.14: three strengths


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
    lines += [
        TermsLine("work_view", "Work View", _work_view(terms), ("work_view",)),
        TermsLine("blur_max", "Strongest blur", _blur(terms), ("blur_max",)),
        TermsLine("time_zone", "Time zone", f"{terms.time_zone}; days and weeks are counted there", ("time_zone",)),
        TermsLine("ownership", "Who owns the work", _ownership(terms, room), ("ownership",)),
        TermsLine("mediator", "Mediator", terms.mediator or "the operator’s mediator", ("mediator",)),
    ]
    if terms.text:
        lines.append(TermsLine("text", "Note", terms.text, ("text",)))
    return lines


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
