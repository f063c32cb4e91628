"""Intake: a tracker's picture on its way into the record (rule 2.6).

Rule 1: a frame is checked, made durable, and entered into the record, in this order, before it is acknowledged; the
same frame again is acknowledged again, and nothing is written twice.
Rule 2: a segment has one frame; a provisional one gives way to that of a later stretch (rule 2.3).
Rule 3: nothing is decoded here; the worker does that, and says what it found.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256

import msgspec

from app.domain.bodies.system import FrameReplaced, FrameTaken
from app.domain.errors import (
    Busy,
    Conflict,
    DigestMismatch,
    OutsideSession,
    SegmentDeleted,
    SegmentTaken,
    WorkroomError,
)
from app.domain.events import body_of
from app.domain.ids import checked_uuid
from app.domain.live import CellState
from app.domain.pictures import check_picture
from app.domain.record import Draft, base64url
from app.domain.timerange import day_of_segment, instant_of, instant_text, union
from app.domain.wire import FrameHeader
from app.domain.workrooms import SYSTEM, Member, RoomInfo
from app.domain.workview import MOMENT_TOLERANCE_MS, check_moment_in_segment, check_not_ahead, frame_mark
from app.services.access import Actor
from app.services.frames import ERASE_BLOBS, MAKE_THUMBNAIL, erase, make_due
from app.services.resources import Resources
from app.services.segments import cell_of, read_cells
from app.services.sessions import GOES_ON, freelancer_of, session_of, tell_state
from app.services.ticks import GAP_MS
from app.storage import frames as rows
from app.storage import tracking as tracking_rows
from app.storage.frames import REPLACED, SHOWN, STORED, FrameRow
from app.storage.tracking import SessionRow
from app.storage.writer import Tx

DIGEST_INLINE_BYTES_MAX = 256 * 1024  # a larger picture is hashed in a thread: 4 MiB would hold up the loop for 10 ms


class Stored(msgspec.Struct, frozen=True):
    """What became of a frame that was sent: its seq, and its state, which tells a repeat what happened meanwhile."""

    frame: str
    seq: int
    state: str


async def take_frame(resources: Resources, actor: Actor, header: FrameHeader, picture: bytes) -> Stored:
    """Store a frame; on return picture and entry are durable.

    Raises:
        TooLarge, BadImage, DigestMismatch: of the picture.
        UnknownSession, OutsideSession, OutsideSegment, ClockSkew: of its moment.
        SegmentTaken, SegmentDeleted: if the segment has a frame, or its frame was deleted.
        Conflict: if the id was used for another picture.
        Busy: if the same frame is being stored just now.
    """
    frame = checked_uuid(header.id, "id")
    check_picture(picture, header.media, header.width, header.height)
    digest = await _digest(picture)
    if base64url(digest) != header.sha256:
        raise DigestMismatch(field="sha256")
    session = await session_of(resources, actor, header.session)
    taken_at = instant_of(header.taken_at)
    async with resources.database.read() as conn:
        known = await rows.select_frame(conn, frame)
    if known is not None:
        return _repeated(known, actor, digest)
    _check_moment(session, header.segment, taken_at, resources.clock.record_now())
    info, member = await freelancer_of(resources, actor, session.room)
    resources.trackers.heard(session.id, resources.clock.real_now())
    if frame in resources.trackers.arriving:
        raise Busy("This frame is being stored just now. Send it again in a moment.")
    resources.trackers.arriving.add(frame)
    try:
        row = _row(frame, session, header, picture, digest)
        intake = await _look_ahead(resources, info, member, session, row, header.blur)
        await resources.blobs.put_frame(frame, picture)
        try:
            stored = await resources.database.writer.run(intake.store, rooms=(session.room,))
        except WorkroomError as refusal:
            if not refusal.temporary:  # after a temporary one it comes again; what never does is swept as an orphan
                await resources.blobs.delete_frame(frame)
            raise
    finally:
        resources.trackers.arriving.discard(frame)
    await resources.enqueue(MAKE_THUMBNAIL, frame)
    await tell_state(resources, info, actor.account)
    if intake.replaced is not None:
        await resources.enqueue(ERASE_BLOBS, intake.replaced)
    return stored


async def _digest(picture: bytes) -> bytes:
    if len(picture) <= DIGEST_INLINE_BYTES_MAX:
        return sha256(picture).digest()
    return await asyncio.to_thread(lambda: sha256(picture).digest())


def _repeated(known: FrameRow, actor: Actor, digest: bytes) -> Stored:
    if known.account != actor.account or known.sha256 not in (None, digest):
        raise Conflict("This frame id was used for another picture. Send it under a new one.", field="id")
    return Stored(known.id, known.seq, known.state)


def _check_moment(session: SessionRow, segment: int, taken_at: int, now: int) -> None:
    check_moment_in_segment(taken_at, segment)
    check_not_ahead(taken_at, now)
    over = session.ended_at is not None and session.ended_by not in GOES_ON
    # A picture taken at the very end of a session is a little later than its last tick.
    if taken_at < session.started_at or (over and taken_at > (session.ended_at or 0) + MOMENT_TOLERANCE_MS):
        raise OutsideSession("This frame was not taken within its session.", field="taken_at")


def _row(frame: str, session: SessionRow, header: FrameHeader, picture: bytes, digest: bytes) -> FrameRow:
    """Return the row of a new frame; mark, seq and time of storing follow."""
    return FrameRow(
        id=frame,
        room=session.room,
        account=session.account,
        session=session.id,
        segment=header.segment,
        taken_at=instant_of(header.taken_at),
        media=header.media,
        size=len(picture),
        sha256=digest,
        width=header.width,
        height=header.height,
        at_stop=header.at_stop,
        mark=None,
        state=STORED,
        seq=-1,
        stored_at=0,
    )


async def _look_ahead(
    resources: Resources, info: RoomInfo, member: Member, session: SessionRow, row: FrameRow, blur: int
) -> _Intake:
    """Read what the commit needs, and refuse what it would refuse, before the picture is written."""
    room, account, segment = row.room, row.account, row.segment
    async with resources.database.read() as conn:
        (cell,) = await read_cells(conn, info, {member.by: [segment]}, resources.clock.record_now())
        present = await rows.select_frames(conn, room, [account], [segment])
        seed = await tracking_rows.select_seed(conn, room, account, day_of_segment(segment))
        ticks = await tracking_rows.select_ticks(conn, [account], [segment])
    if cell.state is CellState.DELETED:
        raise SegmentDeleted()
    _gives_way(present, row.taken_at)
    stretches = union((tick.start, tick.end) for tick in ticks if tick.room == room and tick.documented)
    mark = _mark(session, row, seed, {start for start, _ in stretches})
    return _Intake(info, member, msgspec.structs.replace(row, mark=mark), blur, (cell.comment, cell.comment_seq))


def _mark(session: SessionRow, row: FrameRow, seed: bytes | None, starts: set[int]) -> str | None:
    """Return why the frame's moment is not confirmed, or None (rule 2.3)."""
    starts = starts | {session.started_at, session.stretch_at or session.started_at}
    mark = frame_mark(seed, row.segment, row.taken_at, starts, row.at_stop)
    if mark is None or seed is None:
        return mark and mark.value
    if row.taken_at - (session.last_tick_at or session.started_at) > GAP_MS:
        return None  # a stretch began after a gap, and its first tick is not here yet: nothing speaks against it
    return mark.value


def _gives_way(present: list[FrameRow], taken_at: int) -> FrameRow | None:
    """Return the provisional frame that one of a later stretch replaces, if the segment has one.

    Raises:
        SegmentTaken: if it has a frame that stays.
    """
    holding = next((row for row in present if row.state in SHOWN), None)
    if holding is not None and not (holding.at_stop and taken_at > holding.taken_at):
        raise SegmentTaken()
    return holding


class _Intake:
    """One frame on its way into the record. `replaced` is the frame that gave way to it."""

    def __init__(
        self, info: RoomInfo, member: Member, row: FrameRow, blur: int, comment: tuple[str, int | None]
    ) -> None:
        self.info = info
        self.member = member
        self.row = row
        self.blur = blur
        self.comment = comment  # of its segment, for the cell
        self.replaced: str | None = None

    async def store(self, tx: Tx) -> Stored:
        """Write the row and the entries, in one unit."""
        room, account, segment = self.row.room, self.row.account, self.row.segment
        present = await rows.select_frames_or_one(tx.conn, room, account, segment, self.row.id)
        known = next((row for row in present if row.id == self.row.id), None)
        if known is not None:
            return Stored(known.id, known.seq, known.state)
        time = next(iter(await tracking_rows.select_segments(tx.conn, room, [account], [segment])), None)
        if time is not None and time.deleted:
            raise SegmentDeleted()
        old = _gives_way(present, self.row.taken_at)
        kind, body = body_of(self._event())
        entry = await tx.append(Draft(room, kind, SYSTEM, body))
        row = msgspec.structs.replace(self.row, seq=entry.seq, stored_at=entry.at)
        await rows.insert_frame(tx.conn, row)
        if old is not None:
            kind, body = body_of(FrameReplaced(self.member.by, segment, entry.seq))
            tombstone = await tx.append(Draft(room, kind, SYSTEM, body, ref=old.seq))
            await erase(tx, old, REPLACED, tombstone.seq)
            self.replaced = old.id
        if time is not None and time.waiting:
            await tracking_rows.upsert_segment_flag(tx.conn, room, account, [segment], "waiting", False)
        await make_due(tx, room, account, segment)
        tx.publish_with(entry, [cell_of(room, self.member.by, segment, time, row, self.comment, tx.now)])
        return Stored(row.id, entry.seq, STORED)

    def _event(self) -> FrameTaken:
        row = self.row
        assert row.sha256 is not None, "a new frame has its digest"
        return FrameTaken(
            member=self.member.by,
            session=row.session,
            frame=row.id,
            segment=row.segment,
            taken_at=instant_text(row.taken_at),
            media=row.media,
            bytes=row.size,
            sha256=base64url(row.sha256),
            width=row.width,
            height=row.height,
            blur=self.blur,
            at_stop=row.at_stop,
            mark=row.mark,
        )
