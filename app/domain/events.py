"""Kinds of entries: the schema of each body, and whether a person or the system writes it.

Rule 1: a kind is a class here, a template in `templates/entries/`, and nothing else in the live path or the storage.
Rule 2: a body that does not fit is refused with the field named (rule 1.4).
Rule 3: what people write holds no control characters but tab and line end: some databases and terminals choke on them.
Rule 4: bodies hold no floats; times are RFC 3339 text, durations integer milliseconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from app.domain.errors import InvalidBody, UnknownKind
from app.domain.record import Body, check_profile

TEXT_BYTES_MAX = 32 * 1024
NOTE_CHARS_MAX = 2_000
COMMENT_CHARS_MAX = 500

Text = Annotated[str, Meta(min_length=1, max_length=TEXT_BYTES_MAX)]
Note = Annotated[str, Meta(min_length=1, max_length=NOTE_CHARS_MAX)]
Comment = Annotated[str, Meta(min_length=1, max_length=COMMENT_CHARS_MAX)]
Pseudonym = Annotated[str, Meta(pattern="^(p|op)[0-9]{1,6}$")]
Instant = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
Uuid = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Digest = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$")]
Segment = Annotated[int, Meta(ge=0, le=300_000_000)]  # in the year 8814: calendars end with 9999
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Milliseconds = Annotated[int, Meta(ge=0)]


class EntryBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A body. Optional fields that are not given are left out."""


class SystemBody(EntryBody, frozen=True):
    """A body that only the system writes."""


# Written by people


class Message(EntryBody, frozen=True, tag="message"):
    text: Text


class Correction(EntryBody, frozen=True, tag="correction"):
    """Says what was wrong in the entry that `ref` names (rule 1.3)."""

    text: Text


class Feedback(EntryBody, frozen=True, tag="feedback"):
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


# Written by the system


class OpenedMember(Struct, frozen=True, forbid_unknown_fields=True):
    by: Pseudonym
    side: str


class RoomOpened(SystemBody, frozen=True, tag="room.opened"):
    """Seq 0: what a verifier needs, and the defaults that hold until there are terms."""

    format: int
    title: str
    operator: str
    verifier_key: str
    time_zone: str
    work_view: bool
    members: list[OpenedMember]
    demo: bool = False


class MemberJoined(SystemBody, frozen=True, tag="member.joined"):
    """Who stands behind a pseudonym (rule 1.9)."""

    member: Pseudonym
    account: str
    name: str
    side: str


class RoomRewound(SystemBody, frozen=True, tag="room.rewound"):
    """The operator says that entries were lost, and why: a checkpoint of `signed_size` entries had been released,
    and `held_size` were there when this entry followed them (docs/record.md)."""

    reason: Note
    signed_size: Seq
    held_size: Seq


class PolicyAccepted(SystemBody, frozen=True, tag="policy.accepted"):
    """The confidentiality policy in force when the member joined (rule 6.4)."""

    member: Pseudonym
    version: int
    sha256: Digest


class SeedCommitment(Struct, frozen=True, forbid_unknown_fields=True):
    day: Day
    sha256: Digest


class TrackingSeeds(SystemBody, frozen=True, tag="tracking.seeds"):
    member: Pseudonym
    seeds: list[SeedCommitment]


class SeedRevealed(SystemBody, frozen=True, tag="tracking.seed_revealed"):
    member: Pseudonym
    day: Day
    seed: Digest


class TrackingStarted(SystemBody, frozen=True, tag="tracking.started"):
    member: Pseudonym
    session: Uuid
    device: str
    at: Instant
    work_view: bool
    comment: str = ""


class TrackingStopped(SystemBody, frozen=True, tag="tracking.stopped"):
    """`reason`: stopped (by the person), elsewhere (started in another workroom), silent (the session never ended)."""

    member: Pseudonym
    session: Uuid
    at: Instant
    reason: str


class TrackingPaused(SystemBody, frozen=True, tag="tracking.paused"):
    member: Pseudonym
    session: Uuid
    at: Instant


class TrackingResumed(SystemBody, frozen=True, tag="tracking.resumed"):
    """A gap between two ticks that was not counted (rule 2.5)."""

    member: Pseudonym
    session: Uuid
    at: Instant
    gap_ms: Milliseconds


class WorkViewSwitched(SystemBody, frozen=True, tag="tracking.work_view"):
    """The freelancer switched Work View while tracking (rule 2.1)."""

    member: Pseudonym
    session: Uuid
    at: Instant
    on: bool


class TimeDiscarded(SystemBody, frozen=True, tag="tracking.discarded"):
    """The freelancer took a stretch off their own time (rule 2.5)."""

    member: Pseudonym
    session: Uuid
    start: Instant
    end: Instant


class FrameTaken(SystemBody, frozen=True, tag="frame.taken"):
    """A frame is stored. `sha256` is of the picture; it goes when the body is erased (docs/record.md)."""

    member: Pseudonym
    session: Uuid
    frame: Uuid
    segment: Segment
    taken_at: Instant
    media: str
    bytes: int
    sha256: Digest
    width: int
    height: int
    blur: int = 0
    at_stop: bool = False
    mark: str | None = None


class FrameReplaced(SystemBody, frozen=True, tag="frame.replaced"):
    """The provisional frame that `ref` names gave way to a later one of its segment (rule 2.3)."""

    member: Pseudonym
    segment: Segment
    replacement: Seq


class FrameUnreadable(SystemBody, frozen=True, tag="frame.unreadable"):
    """The picture of the frame that `ref` names could not be decoded (rule 2.6)."""

    member: Pseudonym
    segment: Segment
    reason: str


class FrameDeleted(SystemBody, frozen=True, tag="frame.deleted"):
    """The freelancer deleted the frame that `ref` names, and its segment's time with it (rule 2.9)."""

    member: Pseudonym
    segment: Segment


class HourSegment(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One segment of an hour window. `frame` and `comment` are seqs, never digests (rule 2.11)."""

    segment: Segment
    documented_ms: Milliseconds
    tracked_ms: Milliseconds
    manual_ms: Milliseconds = 0
    frame: Seq | None = None
    comment: Seq | None = None


class HourClosed(SystemBody, frozen=True, tag="hour.closed"):
    """An hour window of a freelancer; `rules` is the version of the verdict's rules, 0 for none yet."""

    member: Pseudonym
    hour: int
    rules: int
    segments: list[HourSegment]


class HourAmended(SystemBody, frozen=True, tag="hour.amended"):
    """The hour window that `ref` names, as it stands after late frames or deletions."""

    member: Pseudonym
    hour: int
    rules: int
    segments: list[HourSegment]


def _tag(body: type[EntryBody]) -> str:
    return str(body.__struct_config__.tag)


KINDS: dict[str, type[EntryBody]] = {
    _tag(body): body
    for body in (
        Message, Correction, Feedback, CommentOnTime,
        RoomOpened, RoomRewound, MemberJoined, PolicyAccepted,
        TrackingSeeds, SeedRevealed, TrackingStarted, TrackingStopped, TrackingPaused, TrackingResumed,
        WorkViewSwitched, TimeDiscarded,
        FrameTaken, FrameReplaced, FrameUnreadable, FrameDeleted,
        HourClosed, HourAmended,
    )
}  # fmt: skip

ERASING = frozenset({"frame.replaced", "frame.deleted"})  # tombstones: `ref` names what they erased
REF_REQUIRED = frozenset({"correction", "frame.replaced", "frame.unreadable", "frame.deleted", "hour.amended"})

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


def checked_body(kind: str, body: object) -> Body:
    """Return the body of an entry that a person sends, if it fits its kind.

    Raises:
        UnknownKind: if there is no such kind.
        InvalidBody: naming the field that does not fit.
    """
    schema = KINDS.get(kind)
    if schema is None:
        raise UnknownKind(f"There is no entry of the kind `{kind[:60]}`.", field="kind")
    if not isinstance(body, dict):
        raise InvalidBody("`body` must be an object.", field="body")
    if "type" in body:  # the tag of a schema, which bodies do not carry
        raise InvalidBody("`body` has an unknown field `type`.", field="body.type")
    text = body.get("text")
    if isinstance(text, str) and "text" in schema.__struct_fields__:
        _check_text(text)  # first: its sentences say more than the schema's
    try:
        msgspec.convert({**body, "type": kind}, schema, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    if kind == "comment" and body["to_segment"] < body["from_segment"]:
        raise InvalidBody("`to_segment` must not lie before `from_segment`.", field="body.to_segment")
    check_profile(body)
    return body


def body_of(event: EntryBody) -> tuple[str, Body]:
    """Return kind and body of an event that the system writes."""
    built: Any = msgspec.to_builtins(event)
    kind = built.pop("type")
    return kind, built


def check_characters(text: str, field: str) -> None:
    """Check what a person wrote for characters that nobody can read.

    Raises:
        InvalidBody: if there is a control character other than tab, line feed and carriage return.
    """
    if found := _CONTROL.search(text):
        raise InvalidBody(
            f"The text holds a control character (U+{ord(found[0]):04X}) at position {found.start() + 1}. Remove it.",
            field=field,
        )


def _check_text(text: str) -> None:
    if not text.strip():
        raise InvalidBody("Write something first: the text is empty.", field="body.text")
    check_characters(text, "body.text")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidBody("The text holds half a character (a lone surrogate). Remove it.", field="body.text") from None
    if size > TEXT_BYTES_MAX:
        raise InvalidBody("The text is longer than 32 KiB. Shorten it, or send it in parts.", field="body.text")


def _invalid(error: msgspec.ValidationError) -> InvalidBody:
    """Return our error for msgspec's, with the path of the field taken out of its sentence."""
    text = str(error)
    match = _PATH.search(text)
    path = match.group(1) if match else ""
    named = re.search(r"field `([^`]+)`", text)
    field = ".".join(part for part in ("body", path, named.group(1) if named else "") if part)
    reason = text[: match.start()] if match else text
    return InvalidBody(f"`{field}`: {reason}.", field=field)
