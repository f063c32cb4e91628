"""Ticks: tracked time as trackers report it, and time that a freelancer takes off again.

Rule 1: a tick is a row, not an entry; watchers hear of it after the commit (rule 2.4).
Rule 2: ticks come in batches, days late, and twice: each is judged alone, a repeat changes nothing.
Rule 3: a gap of more than 90 s is written into the record and not counted (rule 2.5).
"""

from __future__ import annotations

import msgspec

from app.domain.bodies.system import TimeDiscarded, TrackingPaused, TrackingResumed, TrackingStopped
from app.domain.errors import Malformed, OutsideSession, SegmentDeleted, WorkroomError
from app.domain.events import body_of
from app.domain.record import Draft
from app.domain.timerange import DAY_MS, MINUTE_MS, instant_text, segment_of
from app.domain.workrooms import SYSTEM, RoomInfo
from app.domain.workview import CLOCK_AHEAD_MS_MAX, check_not_ahead, checked_tick
from app.services.access import Actor, room_info
from app.services.resources import Resources
from app.services.segments import publish_changed, read_cells, recount
from app.services.sessions import (
    ELSEWHERE,
    GOES_ON,
    append_event,
    check_in_session,
    freelancer_of,
    publish_state,
    session_of,
    tell_state,
)
from app.storage import tracking as rows
from app.storage.tracking import SessionRow, TickRow
from app.storage.writer import Tx

GAP_MS = 90_000  # a longer stretch without ticks is shown as a pause (rule 2.5)
LIVE_MS = 3 * MINUTE_MS  # a tick that ends this recently is of now, not from the tracker's store
DISCARD_MS_MAX = 7 * DAY_MS
WAITING_MAX = 2_000  # segments whose frames a tracker holds: two weeks are 1,680


class TickReport(msgspec.Struct, frozen=True):
    """A tick as it was reported. `waiting`: all segments whose frame the tracker still holds."""

    start: int
    end: int
    documented: bool
    waiting: tuple[int, ...] = ()


async def ticks(
    resources: Resources, actor: Actor, session: str, reports: list[TickReport]
) -> list[WorkroomError | None]:
    """Store ticks of one session in one commit; return for each why it is refused, or None.

    Raises:
        UnknownSession: if the actor has no such session.
    """
    row = await session_of(resources, actor, session)
    info = await room_info(resources, row.room)

    async def work(tx: Tx) -> list[WorkroomError | None]:
        present = await rows.select_session(tx.conn, row.id)
        assert present is not None, "sessions are never deleted"
        return await _Batch(tx, info, present).store(reports)

    resources.trackers.heard(row.id, resources.clock.real_now())
    refusals = await resources.database.writer.run(work, rooms=(row.room,))
    if None in refusals:
        await tell_state(resources, info, actor.account)
    return refusals


async def tick(
    resources: Resources,
    actor: Actor,
    session: str,
    start: int,
    end: int,
    documented: bool,
    waiting: tuple[int, ...] = (),
) -> None:
    """Store one tick.

    Raises:
        UnknownSession, Malformed, OutsideSession, SegmentDeleted, ClockSkew: see their sentences.
    """
    (refusal,) = await ticks(resources, actor, session, [TickReport(start, end, documented, waiting)])
    if refusal is not None:
        raise refusal


class _Batch:
    """Ticks of one session on their way into one commit."""

    def __init__(self, tx: Tx, info: RoomInfo, session: SessionRow) -> None:
        self.tx = tx
        self.info = info
        self.session = session  # changes with every tick
        member = info.member_of(session.account)
        assert member is not None, "members never leave"
        self.by = member.by
        self.accepted: list[TickRow] = []

    async def store(self, reports: list[TickReport]) -> list[WorkroomError | None]:
        deleted = await self._deleted_segments(reports)
        before = self.session
        refusals: list[WorkroomError | None] = []
        waiting: tuple[int, ...] | None = None
        for report in reports:
            try:
                await self._accept(report, deleted)
                waiting = report.waiting
                refusals.append(None)
            except WorkroomError as refusal:
                refusals.append(refusal)
        if self.accepted:
            await rows.insert_ticks(self.tx.conn, self.accepted)
            changed = await recount(self.tx, self.session.account, {tick.segment for tick in self.accepted})
            flagged = await self._note_waiting(set(waiting or ()))
            if changed or flagged:
                changed.setdefault(self.info.id, set()).update(flagged)
                await publish_changed(self.tx, self.session.account, self.info, changed)
            await self._stop_if_superseded()
        if self.session != before:
            values = {
                name: getattr(self.session, name) for name in ("stretch_at", "last_tick_at", "ended_at", "ended_by")
            }
            await rows.update_session(self.tx.conn, self.session.id, **values)
        return refusals

    async def _deleted_segments(self, reports: list[TickReport]) -> set[int]:
        numbers = {segment_of(report.start) for report in reports if report.start >= 0}
        if not numbers:
            return set()
        known = await rows.select_segments(self.tx.conn, self.info.id, [self.session.account], numbers)
        return {row.segment for row in known if row.deleted}

    async def _accept(self, report: TickReport, deleted: set[int]) -> None:
        session = self.session
        checked_tick(report.start, report.end, report.documented, self.tx.now)
        if len(report.waiting) > WAITING_MAX:
            raise Malformed("`waiting` names too many segments.", field="waiting")
        goes_on = session.ended_by in GOES_ON
        if report.start < session.started_at:
            raise OutsideSession("This tick lies before its session began.", field="from")
        if session.ended_at is not None and report.end > session.ended_at and not goes_on:
            raise OutsideSession("This tick lies after its session ended.", field="to")
        if segment_of(report.start) in deleted:
            raise SegmentDeleted()
        await self._note_gap(report)
        last = session.last_tick_at if session.last_tick_at is not None else session.started_at
        new_stretch = report.documented and (session.stretch_at is None or report.start > last)
        over = session.ended_at is None or (goes_on and report.end > session.ended_at)
        self.session = msgspec.structs.replace(
            session,
            stretch_at=report.start if new_stretch else session.stretch_at,
            last_tick_at=max(last, report.end),
            ended_at=None if over else session.ended_at,
            ended_by=None if over else session.ended_by,
        )
        self.accepted.append(
            TickRow(
                session.id,
                session.room,
                session.account,
                segment_of(report.start),
                report.start,
                report.end,
                report.documented,
                session.started_at,
            )
        )

    async def _note_gap(self, report: TickReport) -> None:
        """Write what was not counted between the last tick and this one into the record."""
        session = self.session
        last = session.last_tick_at if session.last_tick_at is not None else session.started_at
        gap_ms = report.start - last
        was_ended = session.ended_at is not None and report.end > session.ended_at
        if gap_ms <= GAP_MS and not was_ended:
            return
        if not was_ended:  # an end is a pause already
            await append_event(self.tx, session.room, TrackingPaused(self.by, session.id, instant_text(last)))
        resumed = TrackingResumed(self.by, session.id, instant_text(report.start), max(0, gap_ms))
        await append_event(self.tx, session.room, resumed)

    async def _note_waiting(self, waiting: set[int]) -> set[int]:
        """Store which frames the tracker still holds; return the segments for which that changed."""
        room, account = self.info.id, self.session.account
        newest = segment_of(self.tx.now + CLOCK_AHEAD_MS_MAX)
        waiting = {number for number in waiting if segment_of(self.session.started_at) <= number <= newest}
        present = await rows.select_waiting(self.tx.conn, room, account)
        await rows.upsert_segment_flag(self.tx.conn, room, account, waiting - present, "waiting", True)
        await rows.upsert_segment_flag(self.tx.conn, room, account, present - waiting, "waiting", False)
        return waiting ^ present

    async def _stop_if_superseded(self) -> None:
        """Stop a session that has caught up with the present, if the person started elsewhere since it began."""
        session = self.session
        assert session.last_tick_at is not None
        if session.ended_at is not None or session.last_tick_at < self.tx.now - LIVE_MS:
            return
        for other in await rows.select_open_sessions(self.tx.conn, session.account):
            if other.room != session.room and other.started_at > session.started_at:
                at = session.last_tick_at
                await append_event(
                    self.tx, session.room, TrackingStopped(self.by, session.id, instant_text(at), ELSEWHERE)
                )
                self.session = msgspec.structs.replace(session, ended_at=at, ended_by=ELSEWHERE)
                return


async def discard(resources: Resources, actor: Actor, session: str, start: int, end: int) -> None:
    """Take a stretch off the time of a session (rule 2.5).

    Raises:
        UnknownSession, Malformed, OutsideSession, ClockSkew: see their sentences.
    """
    row = await session_of(resources, actor, session)
    info, member = await freelancer_of(resources, actor, row.room)
    if not 0 < end - start <= DISCARD_MS_MAX:
        raise Malformed("What is discarded is a stretch of a week at most.", field="to")
    check_not_ahead(end, resources.clock.record_now())
    check_in_session(row, start, "from")
    check_in_session(row, end, "to")
    kind, body = body_of(TimeDiscarded(member.by, row.id, instant_text(start), instant_text(end)))

    async def work(tx: Tx) -> None:
        if not await rows.insert_discard(tx.conn, row, start, end):
            return
        entry = await tx.append(Draft(row.room, kind, SYSTEM, body))
        changed = await recount(tx, actor.account, range(segment_of(start), segment_of(end - 1) + 1))
        tx.publish_with(entry, await read_cells(tx.conn, info, {member.by: changed.pop(row.room, ())}, tx.now))
        await publish_changed(tx, actor.account, info, changed)
        await publish_state(resources, tx, info, actor.account)

    resources.trackers.heard(row.id, resources.clock.real_now())
    await resources.database.writer.run(work, rooms=(row.room,))
