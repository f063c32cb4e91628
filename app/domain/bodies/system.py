"""Bodies that only the system writes."""

from __future__ import annotations

from msgspec import Struct

from app.domain.bodies.fields import (
    Day,
    Digest,
    Instant,
    Milliseconds,
    Note,
    Pseudonym,
    Segment,
    Seq,
    SystemBody,
    Title,
    Uuid,
)  # fmt: skip


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


class RoomActivated(SystemBody, frozen=True, tag="room.activated"):
    """The first terms were accepted: negotiating is over (rule 1.2)."""


class RoomClosed(SystemBody, frozen=True, tag="room.closed"):
    """`member` closed the workroom. It can be read; nothing is added but what disputes need."""

    member: Pseudonym
    reason: Note | None = None


class RoomJobAwarded(SystemBody, frozen=True, tag="room.job_awarded"):
    """The job was awarded in another workroom (rule 1.1)."""


class ReportMissing(SystemBody, frozen=True, tag="status_report.missing"):
    """No status report came for the week that begins on `week_on` (rule 5.4)."""

    member: Pseudonym
    week_on: Day


class HandoverReceived(SystemBody, frozen=True, tag="handover.received"):
    """The receiver saw the secret that `ref` names; it was erased in the same step (rule 1.10)."""

    label: Title


class HandoverExpired(SystemBody, frozen=True, tag="handover.expired"):
    """Nobody looked at the secret that `ref` names in time; it was erased unseen."""

    label: Title
