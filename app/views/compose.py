"""Forms of the composer: what each kind of entry asks its author for, and who is offered which.

Rule 1: a form is a description: parts with a name, a label and a type. One template shows it, one function reads it.
Rule 2: an input is named like its field of the body, so that a refusal finds its place.
Rule 3: what role and state refuse is not offered; where one might look for it, the reason stands in its place.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from app.domain.workrooms import Member, RoomInfo, RoomState, Side, may_write, refusal_of_state
from app.views.compose_parts import (
    NOTE,
    RESTRICTED,
    TITLE,
    Field,
    Part,
    PerMilestone,
    Rows,
)


class Form(Struct, frozen=True):
    """A form. `line` says what it is for, `note` what happens then, `send` what its button says; `page` is where the
    kind has a page of its own."""

    kind: str
    icon: str
    title: str
    line: str
    send: str
    parts: tuple[Part, ...]
    note: str = ""
    takes_files: bool = True
    page: str = ""


class Offer(Struct, frozen=True):
    """A form in the menu, or why it is not to be had now."""

    form: Form
    reason: str = ""


_FREELANCER = Field("member", "Freelancer", "select", options="freelancers")
_WORDS = Field("text", "Words to it", "area", required=False, rows=2, chars_max=NOTE)

_TERMS = Form(
    "terms.proposed", "scroll-text", "Terms", "Rate or price, limits, Work View", "Propose these terms",
    (
        _FREELANCER,
        Field("pay", "Pay", "choice", options=(("hourly", "By the hour"), ("fixed", "Fixed price"))),
        Field("currency", "Currency", "currency", hint="Three letters, like EUR"),
        Field("rate_minor", "Rate an hour", "money", only="hourly", hint="Like 45.50"),
        Field("weekly_limit_hours", "Weekly limit in hours", "number", required=False, only="hourly", low=1, high=168),
        Field("weekly_deposit", "A week is paid into escrow each Monday (needs a limit)", "check", only="hourly"),
        Field("manual_time", "Time without a tracker may be added, unprotected", "check", only="hourly"),
        Rows(
            "milestones", "Milestones", "Add a milestone", only="fixed",
            fields=(
                Field("key", "", "hidden", required=False),
                Field("name", "What is done", "text", chars_max=TITLE),
                Field("amount_minor", "Amount", "money"),
                Field("due_on", "Due", "day"),
            ),
        ),
        Field("work_view", "Work View is asked for: five frames an hour document the time", "check", told=True),
        Field(
            "blur_max", "Strongest blur that keeps time protected", "select", only="hourly",
            options=(("0", "none"), ("1", "light"), ("2", "medium"), ("3", "strong")), whole=True,
        ),
        Field("time_zone", "Time zone of days and weeks", "zone", hint="Like Europe/Lisbon"),
        Field(
            "ownership", "Who owns the work", "select",
            options=(("client", "The client, once it is paid for"), ("freelancer", "The freelancer")),
        ),
        Field("mediator", "Mediator", "text", required=False, chars_max=TITLE, hint="Empty: the operator’s"),
        _WORDS,
    ),
    note="They hold once the other side accepts. What holds now goes on until then.",
)  # fmt: skip
_MILESTONE = Form(
    "milestone.proposed", "flag", "Milestone", "A new one, or another amount or date", "Propose the milestone",
    (
        _FREELANCER,
        Field("key", "Which", "select", options="milestones_or_new"),
        Field("name", "What is done", "text", chars_max=TITLE),
        Field("amount_minor", "Amount", "money", hint="In the currency of the terms, like 900.00"),
        Field("currency", "", "hidden", required=False),
        Field("due_on", "Due", "day"),
        _WORDS,
    ),
    note="It stands once the other side accepts.",
)  # fmt: skip
_WORK_VIEW = Form(
    "work_view.requested", "monitor-play", "Work View", "Ask for documented hours", "Ask for Work View",
    (_FREELANCER, _WORDS), note="The freelancer accepts or declines with one click. Declining shows nowhere else.",
)  # fmt: skip
_AGREEMENT = Form(
    "agreement", "handshake", "Agreement in words", "What is no matter of terms", "Write it down",
    (Field("text", "What was agreed", "area", rows=4),),
    note="It stands in the record as your words. Pay, dates and limits belong into terms.",
)  # fmt: skip
_DELIVERY = Form(
    "deliverable", "package", "Delivery", "Hand over work, with its rights", "Deliver",
    (
        Field("title", "What is delivered", "text", chars_max=TITLE),
        Field("milestone", "For the milestone", "select", required=False, options="milestones"),
        Field("text", "What it is, and how to look at it", "area", rows=4),
        Field("links", "Links", "lines", required=False, rows=2, hint="One a line, from https://"),
        Field("third_party", "Parts of others in it", "area", required=False, rows=2, chars_max=NOTE,
              hint="Fonts, pictures, libraries: whose, and under which licence"),
        Field("holds_rights", "I hold the rights to what I deliver, but for the parts of others named above", "check",
              must=True),
    ),
    note="The client accepts it or asks for changes. The entry says until when; then it is accepted.",
)  # fmt: skip
_REPORT = Form(
    "status_report", "list-checks", "Status report", "Done, next, blocked: once a week", "Send the report",
    (
        Field("week_on", "Week", "select", options="weeks"),
        Field("done", "Done", "area", rows=3, chars_max=NOTE),
        Field("next", "Next", "area", rows=3, chars_max=NOTE),
        Field("blocked", "Blocked", "area", required=False, rows=2, chars_max=NOTE),
        PerMilestone("progress", "Progress", "percent", Field("", "%", "number", required=False, low=0, high=100)),
        Field("asks_release", "Ask for the release of", "checks", required=False, options="milestones"),
    ),
)  # fmt: skip
_AVAILABILITY = Form(
    "availability", "tree-palm", "Vacation or schedule", "When you are away, or when you work", "Announce it",
    (
        Field("what", "What", "choice", options=(("vacation", "Vacation"), ("schedule", "Schedule"))),
        Field("from_on", "First day", "day"),
        Field("until_on", "Last day", "day", required=False, hint="A schedule may go without"),
        Field("text", "In words", "area", required=False, rows=2, chars_max=NOTE,
              hint="A schedule needs them: “Monday to Thursday, 9 to 15”"),
    ),
    note="While you are on vacation, what waits for you does not lapse, 14 days at most.",
)  # fmt: skip
_DELAY = Form(
    "delay", "calendar-clock", "Delay", "What takes longer, and why", "Announce the delay",
    (
        Field("text", "Why", "area", chars_max=NOTE),
        Field("until_on", "Until", "day", required=False),
        PerMilestone("moves", "New dates of milestones", "due_on", Field("", "New date", "day", required=False)),
    ),
    note="The dates move once the other side accepts; after 5 days without an answer they stay.",
)  # fmt: skip
_TRANSCRIPT = Form(
    "transcript", "messages-square", "Transcript", "What was said elsewhere", "", (), page="transcripts/new"
)
_HANDOVER = Form(
    "handover", "key-round", "Handover of a secret", "A password or key, shown once", "Hand over",
    (
        Field("to", "For", "select", options="others"),
        Field("label", "What it opens", "text", chars_max=TITLE, hint="This stays readable in the record"),
        Field("secret", "The secret", "secret", hint="Encrypted here, shown once to the receiver, then erased"),
    ),
    note="After 14 days unseen it is erased.", takes_files=False,
)  # fmt: skip
_DISCLOSURE = Form(
    "disclosure.requested", "shield-question-mark", "Disclosure", "May a third party be told?", "Ask",
    (
        Field("to", "Who is to be told", "text", chars_max=TITLE),
        Field("text", "What, and why", "area", chars_max=NOTE),
    ),
    note="Without an answer in 14 days it stays confidential.",
)  # fmt: skip
_MEMBER = Form(
    "member.proposed", "user-plus", "Member", "One more person, or a mediator", "Propose them",
    (
        Field("name", "Name", "text", chars_max=80),
        Field("side", "As", "select", options=(("client", "On the client’s side"),
              ("freelancer", "A further freelancer"), ("mediator", "Mediator of both"))),
        _WORDS,
    ),
    note="Once the other side agrees, you can invite them. They will read the record from its beginning.",
)  # fmt: skip
_CHANGES = Form(
    "deliverable.changes_requested", "pencil-line", "Changes to the delivery", "", "Request the changes",
    (Field("text", "What must change", "area", rows=4, chars_max=NOTE),),
)  # fmt: skip
_CONTEST = Form(
    "transcript.contested", "ban", "Contest the transcript", "", "Contest it",
    (Field("text", "What was said instead", "area", rows=4, chars_max=NOTE),),
)  # fmt: skip

GROUPS: tuple[tuple[str, tuple[Form, ...]], ...] = (
    ("Agree", (_TERMS, _MILESTONE, _WORK_VIEW, _AGREEMENT)),
    ("Deliver", (_DELIVERY, _REPORT)),
    ("Tell", (_AVAILABILITY, _DELAY, _TRANSCRIPT)),
    ("Protect", (_HANDOVER, _DISCLOSURE, _MEMBER)),
)
FORMS: dict[str, Form] = {form.kind: form for _, forms in GROUPS for form in forms if not form.page} | {
    form.kind: form for form in (_CHANGES, _CONTEST)
}
ANSWERING = frozenset({_CHANGES.kind, _CONTEST.kind})  # need the entry that they answer
_ABOUT_FREELANCER = frozenset({"terms.proposed", "milestone.proposed", "work_view.requested"})


def parts_of(form: Form) -> tuple[Part, ...]:
    """Return the parts of a form with those that all have."""
    return (*form.parts, RESTRICTED) if form.kind != _HANDOVER.kind else form.parts


def reason_against(form: Form, room: RoomInfo, member: Member, pays: Mapping[str, str] | None) -> str | None:
    """Return why a member cannot write an entry of this kind now, or None. "" says that it is for others. `pays` is
    what the terms of each freelancer say of the pay, where it is known."""
    if not may_write(member.side, form.kind):
        return ""
    refused = refusal_of_state(room.state, form.kind)
    if refused is not None:
        return refused
    if form.kind == _WORK_VIEW.kind and room.state is RoomState.NEGOTIATING:
        return "Ask for it in the terms that you propose."
    if form.kind == _WORK_VIEW.kind and room.work_view:
        return "It is part of the terms already."
    if form.kind in _ABOUT_FREELANCER and not room.on_side(Side.FREELANCER):
        return "No freelancer has joined yet."
    if form.kind == _MILESTONE.kind and pays is not None and not _has_fixed_price(member, pays):
        return "Milestones belong to a fixed price."
    if form.kind == _HANDOVER.kind and len(room.members) < 2:
        return "Nobody else has joined yet."
    return None


def _has_fixed_price(member: Member, pays: Mapping[str, str]) -> bool:
    """Whether there is a fixed price to which this member can propose a milestone: a freelancer's own, or anybody's."""
    return "fixed" in ([pays.get(member.by)] if member.side is Side.FREELANCER else pays.values())


def offers(room: RoomInfo, member: Member, pays: Mapping[str, str] | None) -> list[tuple[str, list[Offer]]]:
    """Return the menu for a member: groups with what can be written, and why the rest cannot."""
    made = []
    for name, forms in GROUPS:
        reasons = [(form, reason_against(form, room, member, pays)) for form in forms]
        listed = [Offer(form, reason or "") for form, reason in reasons if reason != ""]
        if listed:
            made.append((name, listed))
    return made
