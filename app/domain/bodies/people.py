"""Bodies of what people say, deliver, announce and report."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.domain.bodies.fields import (
    MILESTONES_MAX,
    AnswerBody,
    Comment,
    Day,
    EntryBody,
    MilestoneKey,
    Note,
    PersonBody,
    Pseudonym,
    Segment,
    Text,
    Title,
    Uuid,
)  # fmt: skip

TRANSCRIPT_LINES_MAX = 500
LINKS_MAX = 10


class Message(PersonBody, frozen=True, kw_only=True, tag="message"):
    """What a person wrote; `ref` is the entry that it answers."""

    text: Text


class Agreement(PersonBody, frozen=True, kw_only=True, tag="agreement"):
    """What was agreed, in words, where it is no matter of terms."""

    text: Text


class Correction(PersonBody, frozen=True, kw_only=True, tag="correction"):
    """Says what was wrong in the entry that `ref` names (rule 1.3)."""

    text: Text


class Feedback(PersonBody, frozen=True, kw_only=True, tag="feedback"):
    """A note on work: on the frame that `ref` names, or on a freelancer's segment (rule 2.7)."""

    text: Note
    member: Pseudonym | None = None
    segment: Segment | None = None


class CommentOnTime(EntryBody, frozen=True, tag="comment"):
    """What a freelancer did in a run of segments, or in a session (rule 2.8). The last one for a segment is shown."""

    text: Comment
    from_segment: Segment
    to_segment: Segment
    session: Uuid | None = None


class Deliverable(PersonBody, frozen=True, kw_only=True, tag="deliverable"):
    """Work handed over. `holds_rights` is the author's declaration, `third_party` names the parts of others."""

    title: Title
    text: Text
    holds_rights: bool
    milestone: MilestoneKey | None = None
    third_party: Note | None = None
    links: Annotated[
        list[Annotated[str, Meta(max_length=500, pattern="^https?://[^ ]+$")]], Meta(max_length=LINKS_MAX)
    ] = []


class DeliverableAccepted(AnswerBody, frozen=True, kw_only=True, tag="deliverable.accepted"):
    """The delivery is what was agreed."""


class ChangesRequested(PersonBody, frozen=True, kw_only=True, tag="deliverable.changes_requested"):
    """What must change before the delivery is accepted."""

    text: Note


class Availability(PersonBody, frozen=True, kw_only=True, tag="availability"):
    """A vacation from the day `from_on` to the end of `until_on`, or a schedule in words."""

    what: Literal["vacation", "schedule"]
    from_on: Day
    until_on: Day | None = None
    text: Note | None = None


class MovedDate(Struct, frozen=True, forbid_unknown_fields=True):
    """A milestone that a delay moves to another day."""

    milestone: MilestoneKey
    due_on: Day


class Delay(PersonBody, frozen=True, kw_only=True, tag="delay"):
    """Something takes longer, and why. Accepting it moves the dates that it names."""

    text: Note
    moves: Annotated[list[MovedDate], Meta(max_length=MILESTONES_MAX)] = []
    until_on: Day | None = None


class DelayAccepted(AnswerBody, frozen=True, kw_only=True, tag="delay.accepted"):
    """The dates move."""


class DelayDeclined(AnswerBody, frozen=True, kw_only=True, tag="delay.declined"):
    """The dates stay."""


class TranscriptLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who said what, and when, as the original tells it; `at` is local text where it names no zone."""

    who: Annotated[str, Meta(min_length=1, max_length=120)]
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    at: Annotated[str, Meta(max_length=40)] | None = None


class Transcript(PersonBody, frozen=True, kw_only=True, tag="transcript"):
    """What was said elsewhere, transcribed by the author of the entry (rule 1.7)."""

    medium: Literal["email", "chat", "call"]
    title: Title
    lines: Annotated[list[TranscriptLine], Meta(min_length=1, max_length=TRANSCRIPT_LINES_MAX)]


class TranscriptConfirmed(AnswerBody, frozen=True, kw_only=True, tag="transcript.confirmed"):
    """That is what was said."""


class TranscriptContested(PersonBody, frozen=True, kw_only=True, tag="transcript.contested"):
    """That is not what was said, and why."""

    text: Note


class Progress(Struct, frozen=True, forbid_unknown_fields=True):
    """How far a milestone is, in percent."""

    milestone: MilestoneKey
    percent: Annotated[int, Meta(ge=0, le=100)]


class StatusReport(PersonBody, frozen=True, kw_only=True, tag="status_report"):
    """The report on the week that begins on the Monday `week_on` (rule 5.4)."""

    week_on: Day
    done: Note
    next: Note
    blocked: Note | None = None
    progress: Annotated[list[Progress], Meta(max_length=MILESTONES_MAX)] = []
    asks_release: Annotated[list[MilestoneKey], Meta(max_length=MILESTONES_MAX)] = []


class DisclosureRequested(PersonBody, frozen=True, kw_only=True, tag="disclosure.requested"):
    """May a third party be told? `to` is whom, `text` what and why (rule 6.4)."""

    to: Title
    text: Note


class DisclosureApproved(AnswerBody, frozen=True, kw_only=True, tag="disclosure.approved"):
    """It may be told."""


class DisclosureDeclined(AnswerBody, frozen=True, kw_only=True, tag="disclosure.declined"):
    """It stays confidential."""


class Handover(EntryBody, frozen=True, kw_only=True, tag="handover"):
    """A secret for one member, encrypted until it is shown once (rule 1.10). `label` says what it opens."""

    to: Pseudonym
    label: Title
    sealed: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{20,16000}$")]
