"""What the JSON API takes and gives for jobs and proposals; `openapi` describes it."""

from __future__ import annotations

from msgspec import Struct


class ShownOffer(Struct, frozen=True, forbid_unknown_fields=True):
    """What a job offers; amounts in minor units of the currency. No `start_on` means as soon as possible."""

    title: str
    description: str
    pay: str
    currency: str
    low_minor: int
    high_minor: int
    weekly_hours: int | None
    start_on: str | None
    time_zone: str
    skills: list[str]
    work_view: bool
    visible_to: str


class ShownJob(Struct, frozen=True, forbid_unknown_fields=True):
    """A job; `proposal` is the state of one's own."""

    id: str
    client: str
    state: str
    version: int
    offer: ShownOffer
    posted_at: str
    edited_at: str | None
    proposal: str | None


class Jobs(Struct, frozen=True, forbid_unknown_fields=True):
    jobs: list[ShownJob]
    page: int
    more: bool


class ShownProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """A proposal as the job's client sees it; `version` is the one of the offer that it answers."""

    id: str
    freelancer: str
    version: int
    state: str
    text: str
    amount_minor: int
    currency: str
    soon: str
    sent_at: str
    note: str | None
    room: str | None


class Proposals(Struct, frozen=True, forbid_unknown_fields=True):
    proposals: list[ShownProposal]


class ChangedProposal(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    job: str


class OpenedMessages(Struct, frozen=True, forbid_unknown_fields=True):
    """The workroom of the two: the same one however often it is asked for."""

    room: str


class PostJob(Struct, frozen=True, forbid_unknown_fields=True):
    """A job as it is typed: amounts like `45.50`, skills with commas. With an `id`, a repeat posts nothing more."""

    title: str
    description: str
    pay: str
    currency: str
    time_zone: str
    low: str = ""
    high: str = ""
    budget: str = ""
    weekly_hours: str = ""
    start_on: str = ""
    skills: str = ""
    work_view: bool = False
    visible_to: str = "everybody"
    id: str | None = None


class SendProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """A proposal as it is typed, for the `version` of the job that was read."""

    text: str
    amount: str
    soon: str
    version: int


class DeclineProposal(Struct, frozen=True, forbid_unknown_fields=True):
    note: str = ""


class EmptyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """No fields; the body may be left out."""
