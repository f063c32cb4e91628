"""Frames: a tracker's pictures on their way into the record, and out of it again.

Rule 1: a frame is checked, made durable, and entered into the record, in this order, before it is acknowledged (rule
2.6); the same frame again is acknowledged again, and nothing is written twice.
Rule 2: a segment has one frame; a provisional one gives way to that of a later stretch (rule 2.3).
Rule 3: erasing is a tombstone in the same commit; the picture's bytes go afterwards, found again by a sweep (rule 2.9).
Rule 4: only members see pictures; a look at a full-size one is logged, and the freelancer hears of it (rule 2.14).
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import msgspec

from app.domain.errors import (
    Busy,
    Conflict,
    DigestMismatch,
    NotFound,
    OutsideSession,
    SegmentDeleted,
    SegmentTaken,
    WorkroomError,
)
from app.domain.events import FrameDeleted, FrameReplaced, FrameTaken, FrameUnreadable, body_of
from app.domain.ids import checked_uuid
from app.domain.live import AccountEvent, Cell, CellChanged, FrameDecoded, FrameErased
from app.domain.pictures import check_picture
from app.domain.record import Draft, base64url
from app.domain.timerange import day_of_segment, hour_of_segment, instant_of, instant_text
from app.domain.wire import FrameHeader
from app.domain.workrooms import SYSTEM, Member, RoomInfo
from app.domain.workview import (
    MOMENT_TOLERANCE_MS,
    check_moment_in_segment,
    check_not_ahead,
    frame_mark,
)
from app.services.access import Actor, member_of, room_info
from app.services.resources import Resources
from app.services.segments import read_cells
from app.services.sessions import GOES_ON, freelancer_of, publish_state, session_of
from app.services.ticks import GAP_MS
from app.storage import frames as rows
from app.storage import tracking as tracking_rows
from app.storage.frames import DELETED, READY, REPLACED, SHOWN, STORED, UNREADABLE, FrameRow, FrameViewRow
from app.storage.tracking import SessionRow
from app.storage.workview import update_hours_dirty
from app.storage.writer import Tx

DIGEST_INLINE_BYTES_MAX = 256 * 1024  # a larger picture is hashed in a thread: 4 MiB would hold up the loop for 10 ms
SWEEP_FRAMES_MAX = 200
THUMBNAIL_MEDIA = "image/webp"
MAKE_THUMBNAIL, ERASE_BLOBS = "make_thumbnail", "erase_blobs"  # tasks of the worker


class Stored(msgspec.Struct, frozen=True):
    """What became of a frame that was sent: its seq, and its state, which tells a repeat what happened meanwhile."""

    frame: str
    seq: int
    state: str


class FrameFile(msgspec.Struct, frozen=True):
    """A picture that may be sent to whoever asked."""

    path: Path
    media: str


# Intake


async def take(resources: Resources, actor: Actor, header: FrameHeader, picture: bytes) -> Stored:
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
        await _check_segment(resources, session, header.segment, taken_at)
        await resources.blobs.put_frame(frame, picture)
        intake = _Intake(info, member, session, header, frame, digest, taken_at, len(picture))

        async def work(tx: Tx) -> Stored:
            return await intake.store(resources, tx)

        try:
            stored = await resources.database.writer.run(work, rooms=(session.room,))
        except WorkroomError as refusal:
            if not refusal.temporary:  # after a temporary one it comes again; what never does is swept as an orphan
                await resources.blobs.delete_frame(frame)
            raise
    finally:
        resources.trackers.arriving.discard(frame)
    await resources.enqueue(MAKE_THUMBNAIL, frame)
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


async def _check_segment(resources: Resources, session: SessionRow, segment: int, taken_at: int) -> None:
    """Refuse a frame that its segment cannot take before its picture is written; the commit looks again."""
    async with resources.database.read() as conn:
        times = await tracking_rows.select_segments(conn, session.room, [session.account], [segment])
        present = await rows.select_frames(conn, session.room, [session.account], [segment])
    if any(row.deleted for row in times):
        raise SegmentDeleted()
    _gives_way(present, taken_at)


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
        self,
        info: RoomInfo,
        member: Member,
        session: SessionRow,
        header: FrameHeader,
        frame: str,
        digest: bytes,
        taken_at: int,
        size: int,
    ) -> None:
        self.info = info
        self.member = member
        self.session = session
        self.header = header
        self.frame = frame
        self.digest = digest
        self.taken_at = taken_at
        self.size = size
        self.replaced: str | None = None

    async def store(self, resources: Resources, tx: Tx) -> Stored:
        """Write the row and the entries, in one unit."""
        room, account, segment = self.info.id, self.member.account, self.header.segment
        known = await rows.select_frame(tx.conn, self.frame)
        if known is not None:
            return Stored(known.id, known.seq, known.state)
        times = await tracking_rows.select_segments(tx.conn, room, [account], [segment])
        if any(row.deleted for row in times):
            raise SegmentDeleted()
        old = _gives_way(await rows.select_frames(tx.conn, room, [account], [segment]), self.taken_at)
        mark = await self._mark(tx)
        kind, body = body_of(self._event(mark))
        entry = await tx.append(Draft(room, kind, SYSTEM, body))
        await rows.insert_frame(tx.conn, self._row(mark, entry.seq, entry.at))
        if old is not None:
            kind, body = body_of(FrameReplaced(self.member.by, segment, entry.seq))
            tombstone = await tx.append(Draft(room, kind, SYSTEM, body, ref=old.seq))
            await _erase(tx, old, REPLACED, tombstone.seq)
            self.replaced = old.id
        if any(row.waiting for row in times):
            await tracking_rows.upsert_segment_flag(tx.conn, room, account, [segment], "waiting", False)
        await _make_due(tx, room, account, segment)
        tx.publish_with(entry, await read_cells(tx.conn, self.info, {self.member.by: [segment]}, tx.now))
        await publish_state(resources, tx, self.info, account)
        return Stored(self.frame, entry.seq, STORED)

    async def _mark(self, tx: Tx) -> str | None:
        """Return why the frame's moment is not confirmed, or None (rule 2.3)."""
        room, account, segment = self.info.id, self.member.account, self.header.segment
        seed = await tracking_rows.select_seed(tx.conn, room, account, day_of_segment(segment))
        ticks = [t for t in await tracking_rows.select_ticks(tx.conn, [account], [segment]) if t.room == room]
        starts = {tick.start for tick in ticks if tick.documented} | {self.session.started_at}
        if self.session.stretch_at is not None:
            starts.add(self.session.stretch_at)
        mark = frame_mark(seed, segment, self.taken_at, starts, self.header.at_stop)
        last = self.session.last_tick_at or self.session.started_at
        if mark is not None and seed is not None and self.taken_at - last > GAP_MS:
            return None  # a stretch began after a gap, and its first tick is not here yet: nothing speaks against it
        return mark.value if mark is not None else None

    def _event(self, mark: str | None) -> FrameTaken:
        return FrameTaken(
            member=self.member.by,
            session=self.session.id,
            frame=self.frame,
            segment=self.header.segment,
            taken_at=instant_text(self.taken_at),
            media=self.header.media,
            bytes=self.size,
            sha256=base64url(self.digest),
            width=self.header.width,
            height=self.header.height,
            blur=self.header.blur,
            at_stop=self.header.at_stop,
            mark=mark,
        )

    def _row(self, mark: str | None, seq: int, stored_at: int) -> FrameRow:
        return FrameRow(
            id=self.frame,
            room=self.info.id,
            account=self.member.account,
            session=self.session.id,
            segment=self.header.segment,
            taken_at=self.taken_at,
            media=self.header.media,
            size=self.size,
            sha256=self.digest,
            width=self.header.width,
            height=self.header.height,
            at_stop=self.header.at_stop,
            mark=mark,
            state=STORED,
            seq=seq,
            stored_at=stored_at,
        )


async def _make_due(tx: Tx, room: str, account: str, segment: int) -> None:
    hour = hour_of_segment(segment)
    await update_hours_dirty(tx.conn, room, account, hour, hour)


async def _erase(tx: Tx, row: FrameRow, state: str, tombstone: int) -> None:
    """Erase what the record says of a picture; its bytes follow."""
    await tx.erase(row.room, row.seq, tombstone)
    await rows.update_frame_state(tx.conn, row.id, row.state, state)
    tx.after_commit(FrameErased(row.account, row.id))


# What the worker found out


async def frame_ready(resources: Resources, frame: str) -> None:
    """Note that the frame was decoded and its thumbnail is stored; watchers and the tracker hear of it."""
    row = await _frame(resources, frame)
    info = await room_info(resources, row.room)

    async def work(tx: Tx) -> None:
        if await rows.update_frame_state(tx.conn, row.id, STORED, READY):
            for cell in await _cells_of(tx, info, row):
                tx.after_commit(CellChanged(row.room, cell))
            tx.after_commit(FrameDecoded(row.account, row.id, True))

    await resources.database.writer.run(work)


async def frame_unreadable(resources: Resources, frame: str, reason: str) -> None:
    """Write into the record that the frame cannot be decoded: its segment has none (rule 2.6)."""
    row = await _frame(resources, frame)
    info = await room_info(resources, row.room)
    member = info.member_of(row.account)
    assert member is not None, "members never leave"
    kind, body = body_of(FrameUnreadable(member.by, row.segment, reason[:200]))

    async def work(tx: Tx) -> None:
        if await rows.update_frame_state(tx.conn, row.id, STORED, UNREADABLE):
            entry = await tx.append(Draft(row.room, kind, SYSTEM, body, ref=row.seq))
            await _make_due(tx, row.room, row.account, row.segment)
            tx.publish_with(entry, await _cells_of(tx, info, row))
            tx.after_commit(FrameDecoded(row.account, row.id, False))

    await resources.database.writer.run(work, rooms=(row.room,))


async def undecoded_frames(resources: Resources) -> list[str]:
    """Return frames that wait for the worker: what its sweep finds again after a crash or an emptied queue."""
    async with resources.database.read() as conn:
        return [row.id for row in await rows.select_frames_in_state(conn, STORED, SWEEP_FRAMES_MAX)]


async def frame_row(resources: Resources, frame: str) -> FrameRow:
    """Return the row of a frame, for the worker.

    Raises:
        NotFound: if there is none.
    """
    return await _frame(resources, frame)


async def _frame(resources: Resources, frame: str) -> FrameRow:
    async with resources.database.read() as conn:
        row = await rows.select_frame(conn, frame)
    if row is None:
        raise NotFound("There is no such frame.", field="id")
    return row


async def _cells_of(tx: Tx, info: RoomInfo, row: FrameRow) -> list[Cell]:
    member = info.member_of(row.account)
    assert member is not None, "members never leave"
    return await read_cells(tx.conn, info, {member.by: [row.segment]}, tx.now)


# Deleting


async def delete(resources: Resources, actor: Actor, frame: str) -> None:
    """Delete one's own frame: its picture is destroyed and its segment's time goes with it; doing it twice is one.

    Raises:
        NotFound: if the actor has no such frame.
    """
    row = await _frame(resources, checked_uuid(frame, "id"))
    if row.account != actor.account:
        raise NotFound("There is no such frame.", field="id")
    info = await room_info(resources, row.room)
    member = info.member_of(row.account)
    assert member is not None, "members never leave"
    kind, body = body_of(FrameDeleted(member.by, row.segment))

    async def work(tx: Tx) -> bool:
        present = await rows.select_frame(tx.conn, row.id)
        if present is None or present.state in (DELETED, REPLACED):
            return False
        entry = await tx.append(Draft(row.room, kind, member.by, body, ref=row.seq))
        await _erase(tx, present, DELETED, entry.seq)
        await tracking_rows.upsert_segment_flag(tx.conn, row.room, row.account, [row.segment], "deleted", True)
        await _make_due(tx, row.room, row.account, row.segment)
        tx.publish_with(entry, await _cells_of(tx, info, row))
        await publish_state(resources, tx, info, row.account)
        return True

    if await resources.database.writer.run(work, rooms=(row.room,)):
        await resources.enqueue(ERASE_BLOBS, row.id)


async def erase_due_blobs(resources: Resources) -> int:
    """Destroy the pictures of deleted and replaced frames; return how many. Safe to repeat after a crash."""
    async with resources.database.read() as conn:
        due = [
            row.id
            for state in (DELETED, REPLACED)
            for row in await rows.select_frames_in_state(conn, state, SWEEP_FRAMES_MAX)
        ]
    for frame in due:
        await resources.blobs.delete_frame(frame)
    if due:
        now = resources.clock.record_now()

        async def work(tx: Tx) -> None:
            await rows.update_frames_erased(tx.conn, due, now)

        await resources.database.writer.run(work)
    return len(due)


# Looking


async def frame_file(resources: Resources, actor: Actor, room: str, seq: int, *, thumbnail: bool) -> FrameFile:
    """Return where the picture, or the thumbnail, of the frame entered as `seq` lies.

    Raises:
        NotFound: if there is none any more, or yet, or the actor is no member.
    """
    member = await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        row = await rows.select_frame_by_seq(conn, room, seq)
    if row is None or row.state not in SHOWN or (thumbnail and row.state != READY):
        raise NotFound()
    if thumbnail:
        return FrameFile(resources.blobs.thumbnail_path(row.id), THUMBNAIL_MEDIA)
    if row.account != actor.account:
        await _log_look(resources, member, row)
    return FrameFile(resources.blobs.frame_path(row.id), row.media)


async def _log_look(resources: Resources, member: Member, row: FrameRow) -> None:
    now = resources.clock.record_now()
    data = {
        "room": row.room,
        "seq": row.seq,
        "segment": row.segment,
        "by": member.by,
        "name": member.name,
        "at": instant_text(now),
    }

    async def work(tx: Tx) -> None:
        await rows.upsert_frame_view(tx.conn, row.id, member.account, now)
        tx.after_commit(AccountEvent(row.account, "looked", data))

    await resources.database.writer.run(work)


async def looks(resources: Resources, actor: Actor, room: str, seq: int) -> list[FrameViewRow]:
    """Return who looked at one's own frame in full size, the last look first (rule 2.14).

    Raises:
        NotFound: if the actor has no such frame.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        row = await rows.select_frame_by_seq(conn, room, seq)
        if row is None or row.account != actor.account:
            raise NotFound()
        return await rows.select_frame_views(conn, row.id)
