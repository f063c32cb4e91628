"""Hours: closing the windows of Work View and saying what changed in them afterwards (rule 2.11).

Rule 1: an hour closes when the tracker has ticked past it and every documented segment has its frame, at the latest ten
minutes after it; what changes later is amended, at most once a minute for an hour. Both by the record's clock.
Rule 2: an entry names seqs, never digests; the same is never said twice; doing it all twice changes nothing.
Rule 3: the work is found by `hours.dirty`, in batches: no query for a single hour or cell.
"""

from __future__ import annotations

import msgspec

from app.domain.bodies.system import HourAmended, HourClosed, HourSegment
from app.domain.events import body_of
from app.domain.live import Cell, CellState
from app.domain.record import Draft, canonical
from app.domain.timerange import HOUR_MS, MINUTE_MS, hour_of_segment, segments_of_hour
from app.domain.workrooms import SYSTEM, RoomInfo, Side
from app.domain.workview import HOUR_GRACE_MS, RULES_VERSION
from app.services.access import room_info
from app.services.resources import Resources
from app.services.segments import read_cells
from app.storage import workview as rows
from app.storage.workview import HourRow
from app.storage.writer import Tx

HOURS_PER_ROUND_MAX = 200  # 1,000 cells: one commit stays under a tenth of a second
ROUNDS_MAX = 50  # a sweep ends, and the next one goes on
AMENDED_AGAIN_MS = MINUTE_MS

_HAS_FRAME = (CellState.STORED, CellState.READY)


class HourWritten(msgspec.Struct, frozen=True):
    """An entry that was written about an hour window."""

    room: str
    by: str
    hour: int
    kind: str
    seq: int


async def close_due_hours(resources: Resources, now: int | None = None) -> list[HourWritten]:
    """Close and amend every hour window that is due at `now` (of the record's clock); return what was written."""
    now = resources.clock.record_now() if now is None else now
    written: list[HourWritten] = []
    for _ in range(ROUNDS_MAX):
        async with resources.database.read() as conn:
            due = await rows.select_due_hours(conn, now // HOUR_MS, now - AMENDED_AGAIN_MS, HOURS_PER_ROUND_MAX)
        by_room: dict[str, list[HourRow]] = {}
        for row in due:
            by_room.setdefault(row.room, []).append(row)
        done = 0
        for room, listed in by_room.items():
            count, entries = await _write_room(resources, room, listed, now)
            done += count
            written += entries
        if done == 0 or len(due) < HOURS_PER_ROUND_MAX:
            break
    return written


async def _write_room(
    resources: Resources, room: str, listed: list[HourRow], now: int
) -> tuple[int, list[HourWritten]]:
    """Write what is due of one room; return how many hours were dealt with, and what was written."""
    info = await room_info(resources, room)
    keys = [(row.account, row.hour) for row in listed]

    async def work(tx: Tx) -> tuple[int, list[HourWritten]]:
        return await _write_hours(tx, info, keys, now)

    return await resources.database.writer.run(work, rooms=(room,))


async def _write_hours(tx: Tx, info: RoomInfo, keys: list[tuple[str, int]], now: int) -> tuple[int, list[HourWritten]]:
    by = {member.account: member.by for member in info.on_side(Side.FREELANCER)}
    present = [
        row
        for row in await rows.select_hours(tx.conn, info.id, keys)
        if row.dirty and not (row.amended_at is not None and row.amended_at > now - AMENDED_AGAIN_MS)
    ]
    wanted: dict[str, list[int]] = {}
    for row in present:
        wanted.setdefault(by[row.account], []).extend(segments_of_hour(row.hour))
    cells: dict[tuple[str, int], list[Cell]] = {}
    for cell in await read_cells(tx.conn, info, wanted, now):
        cells.setdefault((cell.by, hour_of_segment(cell.segment)), []).append(cell)
    last_ticks = await rows.select_last_ticks(tx.conn, info.id, list(by))
    done: list[HourRow] = []
    written: list[HourWritten] = []
    for row in present:
        member, listed = by[row.account], cells[by[row.account], row.hour]
        if row.closed_seq is None and not _is_due(row.hour, listed, last_ticks.get(row.account, 0), now):
            continue
        segments = [_segment(cell) for cell in listed]
        said = canonical(msgspec.to_builtins(segments))
        if said == row.written:
            done.append(msgspec.structs.replace(row, dirty=False))
            continue
        event = (HourClosed if row.closed_seq is None else HourAmended)(member, row.hour, RULES_VERSION, segments)
        kind, body = body_of(event)
        entry = await tx.append(Draft(info.id, kind, SYSTEM, body, ref=row.closed_seq))
        tx.publish_with(entry, listed)
        closed_seq = entry.seq if row.closed_seq is None else row.closed_seq
        done.append(msgspec.structs.replace(row, closed_seq=closed_seq, amended_at=now, dirty=False, written=said))
        written.append(HourWritten(info.id, member, row.hour, kind, entry.seq))
    await rows.update_hours_written(tx.conn, done)
    return len(done), written


def _is_due(hour: int, cells: list[Cell], last_tick: int, now: int) -> bool:
    """Whether an hour that is not closed yet is to be closed (rule 2.11)."""
    end = (hour + 1) * HOUR_MS
    if now >= end + HOUR_GRACE_MS:
        return True
    lacks_frame = any(cell.documented_ms > 0 and cell.state not in _HAS_FRAME for cell in cells)
    return now >= end and last_tick > end and not lacks_frame


def _segment(cell: Cell) -> HourSegment:
    return HourSegment(
        segment=cell.segment,
        documented_ms=cell.documented_ms,
        tracked_ms=cell.tracked_ms,
        frame=cell.frame_seq if cell.state in _HAS_FRAME else None,
        comment=cell.comment_seq,
    )
