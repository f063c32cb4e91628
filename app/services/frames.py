"""Frames: what becomes of a picture once it is in the record: decoded, looked at, erased. Its way in is `intake`.

Rule 1: erasing is a tombstone in the same commit; the picture's bytes go afterwards, found again by a sweep (rule 2.9).
Rule 2: what the worker finds out is written once, however often it says so.
Rule 3: only members see pictures; a look at a full-size one is logged, and the freelancer hears of it (rule 2.14).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from app.domain.bodies.system import FrameDeleted, FrameUnreadable
from app.domain.errors import NotFound
from app.domain.events import body_of
from app.domain.ids import checked_uuid
from app.domain.live import AccountEvent, Cell, CellChanged, FrameDecoded, FrameErased
from app.domain.record import Draft
from app.domain.timerange import hour_of_segment, instant_text
from app.domain.workrooms import SYSTEM, Member, RoomInfo
from app.services.access import Actor, member_of, room_info
from app.services.resources import Resources
from app.services.segments import read_cells
from app.services.sessions import publish_state
from app.storage import frames as rows
from app.storage import tracking as tracking_rows
from app.storage.frames import DELETED, READY, REPLACED, SHOWN, STORED, UNREADABLE, FrameRow, FrameViewRow
from app.storage.handovers import has_dead_rows
from app.storage.workview import update_hours_dirty
from app.storage.writer import Tx

SWEEP_FRAMES_MAX = 500  # at a time; the sweep comes again
REASON_CHARS_MAX = 200
THUMBNAIL_MEDIA = "image/webp"
MAKE_THUMBNAIL, ERASE_BLOBS = "make_thumbnail", "erase_blobs"  # tasks of the worker


class FrameFile(msgspec.Struct, frozen=True):
    """A picture that may be sent to whoever asked."""

    path: Path
    media: str


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
    kind, body = body_of(FrameUnreadable(member.by, row.segment, reason[:REASON_CHARS_MAX]))

    async def work(tx: Tx) -> None:
        if await rows.update_frame_state(tx.conn, row.id, STORED, UNREADABLE):
            entry = await tx.append(Draft(row.room, kind, SYSTEM, body, ref=row.seq))
            await make_due(tx, row.room, row.account, row.segment)
            tx.publish_with(entry, await _cells_of(tx, info, row))
            tx.after_commit(FrameDecoded(row.account, row.id, False))

    await resources.database.writer.run(work, rooms=(row.room,))


async def undecoded(resources: Resources, older_than_ms: int) -> list[str]:
    """Return frames that have waited for the worker this long (record's clock): what its sweep finds again."""
    before = resources.clock.record_now() - older_than_ms
    async with resources.database.read() as conn:
        waiting = await rows.select_frames_in_state(conn, STORED, SWEEP_FRAMES_MAX)
    return [row.id for row in waiting if row.stored_at <= before]


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
        await erase(tx, present, DELETED, entry.seq)
        await tracking_rows.upsert_segment_flag(tx.conn, row.room, row.account, [row.segment], "deleted", True)
        await make_due(tx, row.room, row.account, row.segment)
        tx.publish_with(entry, await _cells_of(tx, info, row))
        await publish_state(resources, tx, info, row.account)
        return True

    if await resources.database.writer.run(work, rooms=(row.room,)):
        await resources.enqueue(ERASE_BLOBS, row.id)


async def erase_due_blobs(resources: Resources) -> int:
    """Destroy the pictures of deleted and replaced frames, and what the database still holds of erased bodies.

    Return how many pictures. Safe to repeat after a crash.
    """
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
    async with resources.database.read() as conn:
        if await has_dead_rows(conn):
            resources.database.writer.has_erased = True
    await resources.database.writer.scrub()
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


async def is_shown(resources: Resources, room: str, seq: int) -> bool:
    """Whether a frame entered as `seq` holds its segment, decoded or not; for callers that have asked for access."""
    async with resources.database.read() as conn:
        row = await rows.select_frame_by_seq(conn, room, seq)
    return row is not None and row.state in SHOWN


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


# For the other ways of erasing


async def make_due(tx: Tx, room: str, account: str, segment: int) -> None:
    """Let the hour window of a segment be closed, or amended, anew."""
    hour = hour_of_segment(segment)
    await update_hours_dirty(tx.conn, room, account, hour, hour)


async def erase(tx: Tx, row: FrameRow, state: str, tombstone: int) -> None:
    """Erase what the record says of a picture; its bytes follow."""
    await tx.erase(row.room, row.seq, tombstone)
    await rows.update_frame_state(tx.conn, row.id, row.state, state)
    tx.after_commit(FrameErased(row.account, row.id))
