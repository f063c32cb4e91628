"""Segments: what ticks, frames and comments add up to. Everything that changes one ends here.

Rule 1: functions that take a connection or `tx` never commit; what they read is what the commit will hold.
Rule 2: time is computed from ticks and discards alone (`recount`), in every room that the person ticked in (rule 2.4).
Rule 3: cells are read in a fixed number of queries, however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import InvalidBody
from app.domain.live import Cell, CellChanged, CellState, TrackerState
from app.domain.record import Draft, Entry
from app.domain.timerange import (
    HOUR_MS,
    day_bounds,
    hour_of_segment,
    local_day,
    segment_end,
    segment_of,
    segment_start,
)
from app.domain.workrooms import RoomInfo, Side
from app.domain.workview import HOUR_GRACE_MS, SessionTick, counted_time
from app.services import notices
from app.services.access import read_room_info, room_info
from app.services.effects import Writing
from app.services.resources import Resources
from app.services.trackers import Trackers
from app.storage import frames as frame_rows
from app.storage import tracking as rows
from app.storage import workview as hour_rows
from app.storage.frames import FrameRow
from app.storage.tracking import SegmentRow, SessionRow
from app.storage.workview import CommentRow
from app.storage.writer import Tx

COMMENT_SEGMENTS_MAX = 7 * 24 * 5  # a week: longer runs are no description of work, and cost a query each

BySegments = Mapping[str, Iterable[int]]  # which segments, by the freelancer's pseudonym

_FRAME_STATES = {
    frame_rows.STORED: CellState.STORED,
    frame_rows.READY: CellState.READY,
    frame_rows.UNREADABLE: CellState.UNREADABLE,
    frame_rows.DELETED: CellState.DELETED,
}


async def recount(tx: Tx, account: str, numbers: Collection[int]) -> dict[str, set[int]]:
    """Compute the times of a person's segments anew; return, by room, those that changed. Their hours become due."""
    if not numbers:
        return {}
    listed = await rows.select_ticks(tx.conn, [account], numbers)
    first, last = segment_start(min(numbers)), segment_end(max(numbers))
    discarded: dict[str, list[tuple[int, int]]] = {}
    for discard in await rows.select_discards(tx.conn, [account], first, last):
        discarded.setdefault(discard.room, []).append((discard.start, discard.end))
    by_segment: dict[int, list[SessionTick]] = {}
    for tick in listed:
        by_segment.setdefault(tick.segment, []).append(
            SessionTick(tick.room, tick.session, tick.started_at, tick.start, tick.end, tick.documented)
        )
    changed: dict[str, set[int]] = {}
    for room in {tick.room for tick in listed}:
        before = {row.segment: row for row in await rows.select_segments(tx.conn, room, [account], numbers)}
        after = []
        for segment, ticks in by_segment.items():
            if not any(tick.room == room for tick in ticks):
                continue
            time = counted_time(segment, room, ticks, discarded)
            row = SegmentRow(room, account, segment, time.documented_ms, time.tracked_ms, time.overlap_ms)
            if _times(before.get(segment)) != _times(row):
                after.append(row)
        await rows.upsert_segment_times(tx.conn, after)
        if after:
            changed[room] = {row.segment for row in after}
            await hour_rows.upsert_hours_dirty(
                tx.conn, room, account, {hour_of_segment(segment) for segment in changed[room]}
            )
    return changed


def _times(row: SegmentRow | None) -> tuple[int, int, int] | None:
    return None if row is None else (row.documented_ms, row.tracked_ms, row.overlap_ms)


async def publish_changed(tx: Tx, account: str, info: RoomInfo, changed: Mapping[str, Collection[int]]) -> None:
    """Tell watchers, after the commit, of cells that changed; `info` is the room at hand, others are rare."""
    for room, numbers in changed.items():
        other = info if room == info.id else await read_room_info(tx.conn, room)
        member = other.member_of(account)
        if member is not None and numbers:
            for cell in await read_cells(tx.conn, other, {member.by: numbers}, tx.now):
                tx.after_commit(CellChanged(room, cell))


async def read_cells(conn: AsyncConnection, info: RoomInfo, by_segments: BySegments, now: int) -> list[Cell]:
    """Return the cells of segments, sorted by freelancer and segment. Four queries."""
    wanted = {by: sorted(set(numbers)) for by, numbers in by_segments.items() if by in info.members}
    everything = {number for numbers in wanted.values() for number in numbers}
    if not everything:
        return []
    accounts = {info.members[by].account: by for by in wanted}
    first, last = min(everything), max(everything)
    times = {
        (accounts[row.account], row.segment): row
        for row in await rows.select_segments(conn, info.id, accounts, everything)
    }
    frames: dict[tuple[str, int], FrameRow] = {}
    for frame in await frame_rows.select_frames(conn, info.id, accounts, everything):
        frames[accounts[frame.account], frame.segment] = frame  # the one that came last
    comments = await hour_rows.select_comments(conn, info.id, list(wanted), first, last)
    sessions = await rows.select_commented_sessions(conn, info.id, accounts, segment_start(first), segment_end(last))
    return [
        cell_of(
            info.id,
            by,
            number,
            times.get((by, number)),
            frames.get((by, number)),
            _comment(
                number,
                [comment for comment in comments if comment.by == by],
                [session for session in sessions if accounts[session.account] == by],
                (by, number) in times,
            ),
            now,
        )
        for by, numbers in sorted(wanted.items())
        for number in numbers
    ]


def cell_of(
    room: str,
    by: str,
    number: int,
    time: SegmentRow | None,
    frame: FrameRow | None,
    comment: tuple[str, int | None],
    now: int,
) -> Cell:
    """Return the cell of a segment from its rows; `comment` is its text and seq."""
    state = _state(number, time, frame, now)
    if state is CellState.EMPTY:  # nothing was done that a comment could be about
        return Cell(room, by, number, state)
    if state is CellState.DELETED:  # its time is gone with its frame, and nothing points to it any more
        return Cell(room, by, number, state, comment=comment[0], comment_seq=comment[1])
    documented_ms = time.documented_ms if time is not None else 0
    tracked_ms = time.tracked_ms if time is not None else 0
    if frame is None:
        return Cell(room, by, number, state, documented_ms, tracked_ms, comment=comment[0], comment_seq=comment[1])
    return Cell(
        room,
        by,
        number,
        state,
        documented_ms,
        tracked_ms,
        frame_seq=frame.seq,
        frame_id=frame.id,
        taken_at=frame.taken_at,
        mark=frame.mark,
        provisional=frame.at_stop,
        comment=comment[0],
        comment_seq=comment[1],
    )


def _state(number: int, time: SegmentRow | None, frame: FrameRow | None, now: int) -> CellState:
    if time is not None and time.deleted:
        return CellState.DELETED
    if frame is not None:
        return _FRAME_STATES[frame.state]
    if time is None:
        return CellState.EMPTY
    if time.waiting:
        return CellState.WAITING
    if time.documented_ms > 0:
        over_at = (hour_of_segment(number) + 1) * HOUR_MS + HOUR_GRACE_MS
        return CellState.MISSING if now >= over_at else CellState.RUNNING
    return CellState.UNDOCUMENTED if time.tracked_ms > 0 else CellState.EMPTY


def _comment(
    number: int, comments: Sequence[CommentRow], sessions: Sequence[SessionRow], has_time: bool
) -> tuple[str, int | None]:
    """Return the last comment written for a segment, or what its session began with (rule 2.8)."""
    for comment in reversed(comments):
        if comment.from_segment <= number <= comment.to_segment:
            return comment.text, comment.seq
    if has_time:
        for session in reversed(sessions):
            over = session.ended_at is not None and session.ended_at <= segment_start(number)
            if session.started_at < segment_end(number) and not over:
                return session.comment, session.seq
    return "", None


async def append_comment(resources: Resources, draft: Draft) -> Entry:
    """Append a checked `comment` entry and note which segments it is about; a repeat of its `cid` changes nothing.

    Raises:
        InvalidBody: if it is about more than a week.
        Conflict: if the `cid` was used with other contents.
    """
    info = await room_info(resources, draft.room)
    first, last = draft.body["from_segment"], draft.body["to_segment"]
    if last - first >= COMMENT_SEGMENTS_MAX:
        raise InvalidBody("A comment is about a week at most. Write one for each.", field="body.to_segment")

    async def work(tx: Tx) -> Entry:
        if draft.ref is not None and draft.ref >= tx.head(draft.room).size:
            raise InvalidBody("There is no entry of this number in this workroom. Name another.", field="ref")
        if draft.cid is None:
            entry, is_new = await tx.append(draft), True
        else:
            entry, is_new = await tx.append_once(draft)
        if not is_new:
            return entry
        await tx.flush()
        await hour_rows.insert_comment(tx.conn, draft.room, entry.seq, draft.by, first, last)
        account = info.members[draft.by].account
        known = await rows.select_segments(tx.conn, draft.room, [account], range(first, last + 1))
        numbers = {row.segment for row in known}
        if numbers:
            await hour_rows.update_hours_dirty(
                tx.conn, draft.room, account, hour_of_segment(min(numbers)), hour_of_segment(max(numbers))
            )
            tx.publish_with(entry, await read_cells(tx.conn, info, {draft.by: numbers}, tx.now))
        if "@" in draft.body["text"]:
            await notices.on_entry(Writing(resources, tx, info, info.members[draft.by], entry))
        return entry

    return await resources.database.writer.run(work, rooms=(draft.room,))


async def read_tracker_states(
    conn: AsyncConnection, infos: Iterable[RoomInfo], now: int, trackers: Trackers, real_now: int
) -> dict[str, list[TrackerState]]:
    """Return, by room, what each freelancer's tracker does now. Three queries, however many rooms."""
    listed = {info.id: info for info in infos}
    if not listed:
        return {}
    sessions: dict[tuple[str, str], SessionRow] = {}
    for session in await rows.select_open_sessions_of_rooms(conn, listed):
        sessions.setdefault((session.room, session.account), session)
    by_zone: dict[str, list[str]] = {}
    for info in listed.values():
        by_zone.setdefault(info.time_zone, []).append(info.id)
    totals = await rows.select_totals(conn, [(rooms, *_today(now, zone)) for zone, rooms in by_zone.items()])
    last_seqs = await frame_rows.select_last_frame_seqs(conn, listed)
    states: dict[str, list[TrackerState]] = {}
    for info in listed.values():
        states[info.id] = []
        for member in info.on_side(Side.FREELANCER):
            key = info.id, member.account
            current = sessions.get(key)
            states[info.id].append(
                TrackerState(
                    by=member.by,
                    on=current is not None,
                    silent=current is not None and trackers.is_silent(current.id, real_now),
                    session=current.id if current is not None else None,
                    since=current.started_at if current is not None else None,
                    comment=current.comment if current is not None else "",
                    work_view=current is not None and current.work_view,
                    today_ms=totals.get(key, 0),
                    last_frame_seq=last_seqs.get(key),
                )
            )
    return states


def _today(now: int, zone: str) -> tuple[int, int]:
    """Return the first and last segment that start today in `zone`."""
    return segments_of_days(local_day(now, ZoneInfo(zone)), 1, ZoneInfo(zone))


def segments_of_days(first: date, days: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return the first and last segment that start on one of `days` local days."""
    start, _ = day_bounds(first, zone)
    _, end = day_bounds(first + timedelta(days=days - 1), zone)
    return segment_of(start - 1) + 1, segment_of(end - 1)
