"""Bodies of what both sides must agree on: terms, milestones, Work View, members."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.domain.bodies.fields import (
    MILESTONES_MAX,
    AmountMinor,
    AnswerBody,
    Currency,
    Day,
    MilestoneKey,
    Note,
    PersonBody,
    Pseudonym,
    Title,
    Zone,
)  # fmt: skip

BLUR_STRENGTHS = 3  # rule 2.14


class TermsMilestone(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a fixed price. `key` names it through all versions of the terms."""

    key: MilestoneKey
    name: Title
    amount_minor: AmountMinor
    due_on: Day


class TermsProposed(PersonBody, frozen=True, kw_only=True, tag="terms.proposed"):
    """A version of the terms between the client and the freelancer `member`; the whole of it, never a difference.

    `blur_max` is the strongest blur at which time stays protected (0 none, 3 the strongest); `mediator` is a name, the
    operator's mediator where empty; `ownership` says who owns the work once it is paid for.
    """

    member: Pseudonym
    pay: Literal["hourly", "fixed"]
    currency: Currency
    time_zone: Zone
    work_view: bool
    rate_minor: AmountMinor | None = None
    weekly_limit_hours: Annotated[int, Meta(ge=1, le=168)] | None = None
    manual_time: bool = False
    weekly_deposit: bool = False
    blur_max: Annotated[int, Meta(ge=0, le=BLUR_STRENGTHS)] = 0
    milestones: Annotated[list[TermsMilestone], Meta(max_length=MILESTONES_MAX)] = []
    mediator: Title | None = None
    ownership: Literal["client", "freelancer"] = "client"
    text: Note | None = None


class TermsAccepted(AnswerBody, frozen=True, kw_only=True, tag="terms.accepted"):
    """From now on these terms hold."""


class TermsDeclined(AnswerBody, frozen=True, kw_only=True, tag="terms.declined"):
    """What held before goes on."""


class TermsWithdrawn(AnswerBody, frozen=True, kw_only=True, tag="terms.withdrawn"):
    """Their own side takes the proposal back."""


class WorkViewRequested(PersonBody, frozen=True, kw_only=True, tag="work_view.requested"):
    """The client asks the freelancer `member` to work with Work View on (rule 2.1)."""

    member: Pseudonym
    text: Note | None = None


class WorkViewAccepted(AnswerBody, frozen=True, kw_only=True, tag="work_view.accepted"):
    """Work View is part of the terms from now on."""


class WorkViewDeclined(AnswerBody, frozen=True, kw_only=True, tag="work_view.declined"):
    """Work View stays as it was."""


class MilestoneProposed(PersonBody, frozen=True, kw_only=True, tag="milestone.proposed"):
    """A new milestone of the freelancer `member`, or another name, amount or date for one there is."""

    member: Pseudonym
    key: MilestoneKey
    name: Title
    amount_minor: AmountMinor
    due_on: Day
    currency: Currency | None = None  # that of the terms
    text: Note | None = None


class MilestoneAccepted(AnswerBody, frozen=True, kw_only=True, tag="milestone.accepted"):
    """The milestone stands as proposed."""


class MilestoneDeclined(AnswerBody, frozen=True, kw_only=True, tag="milestone.declined"):
    """What held before goes on."""


class MilestoneWithdrawn(AnswerBody, frozen=True, kw_only=True, tag="milestone.withdrawn"):
    """Their own side takes the proposal back."""


class MemberProposed(PersonBody, frozen=True, kw_only=True, tag="member.proposed"):
    """One more person, for a side or as the mediator whom both name (rule 1.9)."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    side: Literal["client", "freelancer", "mediator"]
    text: Note | None = None


class MemberApproved(AnswerBody, frozen=True, kw_only=True, tag="member.approved"):
    """The other side agrees; whoever proposed them can now invite them."""


class MemberDeclined(AnswerBody, frozen=True, kw_only=True, tag="member.declined"):
    """The other side does not agree."""


class MemberWithdrawn(AnswerBody, frozen=True, kw_only=True, tag="member.withdrawn"):
    """Their own side takes the proposal back."""
