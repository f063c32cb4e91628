"""Tracking: sessions as trackers report them: hello, start, Work View on and off, comments, stop.

Rule 1: every command may come twice, and may come days late: a repeat changes nothing and is answered the same.
Rule 2: a person tracks in one workroom at a time; starting elsewhere stops the first (rule 2.4).
Rule 3: a session without a tick for a day is stopped at its last one; if stored ticks come later, it goes on.
"""

from __future__ import annotations

import msgspec

from app.domain.bodies.system import TrackingStarted, TrackingStopped, WorkViewSwitched
from app.domain.errors import ClockSkew, Conflict, OutsideSession, RoomClosed
from app.domain.events import body_of, check_characters
from app.domain.ids import checked_uuid
from app.domain.live import TrackerChanged
from app.domain.record import Draft, Entry
from app.domain.timerange import DAY_MS, instant_text
from app.domain.workrooms import SYSTEM, RoomInfo, RoomState
from app.domain.workview import check_not_ahead
from app.services import record
from app.services.access import Actor, read_room_info, room_info
from app.services.resources import Resources
from app.services.seeds import SeedsByRoom, seeds_ahead
from app.services.segments import read_tracker_states
from app.services.sessions import (
    GOES_ON,
    SILENT,
    STOPPED,
    append_event,
    check_in_session,
    end_session,
    freelancer_of,
    publish_state,
    session_of,
    stop_elsewhere,
)
from app.services.ticks import TickReport, discard, tick, ticks
from app.storage import tracking as rows
from app.storage.tracking import SessionRow
from app.storage.writer import Tx

__all__ = [
    "TickReport", "Welcome", "comment", "discard", "find_silent", "hello", "start", "stop", "stop_silent", "tick",
    "ticks", "work_view",
]  # fmt: skip

UNHEARD_MS = DAY_MS  # an open session without a tick for this long is stopped at its last one
STARTED_BEFORE_MS_MAX = 60 * DAY_MS  # seeds reach two weeks; an older start is a wrong clock
SILENT_SWEEP_MAX = 200


class Welcome(msgspec.Struct, frozen=True):
    """What a tracker gets to begin with: the rooms where its person is a freelancer, and seeds by room and day."""

    rooms: list[RoomInfo]
    seeds: SeedsByRoom


async def hello(resources: Resources, actor: Actor) -> Welcome:
    """Return where a person can track, with the seeds of the next 14 days."""
    async with resources.database.read() as conn:
        listed = await rows.select_freelancer_rooms(conn, actor.account)
    known = [await room_info(resources, room) for room in listed]
    infos = [info for info in known if info.state is not RoomState.CLOSED]
    return Welcome(infos, await seeds_ahead(resources, actor, infos))


async def start(
    resources: Resources,
    actor: Actor,
    room: str,
    session: str,
    at: int,
    *,
    device: str,
    comment: str = "",
    work_view: bool = True,
) -> SessionRow:
    """Start a session, now or in the past (it began offline).

    Raises:
        NotMember: if the actor is no freelancer of the room.
        ClockSkew: if `at` is ahead by more than two minutes, or months ago.
        InvalidBody: if the comment holds control characters.
        Conflict: if the id belongs to another session.
        RoomClosed: if the workroom was closed before `at`.
    """
    session = checked_uuid(session, "session")
    check_characters(comment, "comment")
    info, member = await freelancer_of(resources, actor, room)
    now = resources.clock.record_now()
    check_not_ahead(at, now)
    if at < now - STARTED_BEFORE_MS_MAX:
        raise ClockSkew("This session began more than 60 days ago. Set the clock of this computer.", field="at")
    async with resources.database.read() as conn:
        rooms = await rows.select_freelancer_rooms(conn, actor.account)

    async def work(tx: Tx) -> SessionRow:
        known = await rows.select_session(tx.conn, session)
        if known is not None:
            if (known.account, known.room) != (actor.account, room):
                raise Conflict("This session id is taken. Start the session under a new one.", field="session")
            return known
        closed_at = (await read_room_info(tx.conn, room)).closed_at
        if closed_at is not None and at >= closed_at:
            raise RoomClosed("This workroom is closed: no time can be tracked in it.", field="room")
        for other in await rows.select_open_sessions(tx.conn, actor.account):
            if other.room != room and other.started_at <= at:
                near = resources.trackers.is_near(other.id, resources.clock.real_now())
                await stop_elsewhere(resources, tx, other, at if near else None)
        started = TrackingStarted(member.by, session, device, instant_text(at), work_view, comment)
        entry = await append_event(tx, room, started)
        stretch_at = at if work_view else None
        row = SessionRow(
            session, room, actor.account, device, comment, work_view, at, stretch_at, None, None, None, entry.seq
        )
        await rows.insert_session(tx.conn, row)
        await publish_state(resources, tx, info, actor.account)
        return row

    resources.trackers.heard(session, resources.clock.real_now())
    return await resources.database.writer.run(work, rooms={room, *rooms})


async def work_view(resources: Resources, actor: Actor, session: str, on: bool, at: int) -> None:
    """Switch Work View of a session (rule 2.1).

    Raises:
        UnknownSession, OutsideSession, ClockSkew: see their sentences.
    """
    row = await session_of(resources, actor, session)
    info, member = await freelancer_of(resources, actor, row.room)
    check_not_ahead(at, resources.clock.record_now())
    check_in_session(row, at, "at")
    kind, body = body_of(WorkViewSwitched(member.by, row.id, instant_text(at), on))
    cid = f"work-view-{row.id.replace('-', '')}-{at}"

    async def work(tx: Tx) -> None:
        _, is_new = await tx.append_once(Draft(row.room, kind, SYSTEM, body, cid=cid))
        if is_new:
            values = {"work_view": on, "stretch_at": at} if on else {"work_view": on}
            await rows.update_session(tx.conn, row.id, **values)
            await publish_state(resources, tx, info, actor.account)

    resources.trackers.heard(row.id, resources.clock.real_now())
    await resources.database.writer.run(work, rooms=(row.room,))


async def stop(resources: Resources, actor: Actor, session: str, at: int) -> None:
    """End a session; one that has ended stays as it is, unless the server ended it while the tracker was away.

    Raises:
        UnknownSession, OutsideSession, ClockSkew: see their sentences.
    """
    row = await session_of(resources, actor, session)
    info, member = await freelancer_of(resources, actor, row.room)
    check_not_ahead(at, resources.clock.record_now())
    if at < row.started_at:
        raise OutsideSession("A session cannot end before it began.", field="at")

    async def work(tx: Tx) -> None:
        present = await rows.select_session(tx.conn, row.id)
        assert present is not None, "sessions are never deleted"
        if present.ended_at is not None and present.ended_by not in GOES_ON:
            return
        ended_at = max(at, present.last_tick_at or at)
        if present.ended_at != ended_at:
            await append_event(tx, row.room, TrackingStopped(member.by, row.id, instant_text(ended_at), STOPPED))
        await rows.update_session(tx.conn, row.id, ended_at=ended_at, ended_by=STOPPED)
        await publish_state(resources, tx, info, actor.account)

    await resources.database.writer.run(work, rooms=(row.room,))
    resources.trackers.forget(row.id)


async def comment(
    resources: Resources, actor: Actor, id: str, session: str, from_segment: int, to_segment: int, text: str
) -> Entry:
    """Write a comment on a run of segments (rule 2.8); a repeat of its id changes nothing.

    Raises:
        UnknownSession: if the actor has no such session.
        InvalidBody: naming what does not fit.
        Conflict: if the id was used for another comment.
    """
    row = await session_of(resources, actor, session)
    body = {"text": text, "from_segment": from_segment, "to_segment": to_segment, "session": row.id}
    return await record.append(resources, actor, row.room, "comment", body, cid=checked_uuid(id, "id"))


async def stop_silent(resources: Resources) -> int:
    """Stop open sessions that have not ticked for a day at their last tick; return how many.

    Their trackers may still bring stored ticks: then they go on (rule 4).
    """
    before = resources.clock.record_now() - UNHEARD_MS
    async with resources.database.read() as conn:
        due = await rows.select_unheard_sessions(conn, before, SILENT_SWEEP_MAX)
    stopped = 0
    for row in due:
        info = await room_info(resources, row.room)

        async def work(tx: Tx, row: SessionRow = row, info: RoomInfo = info) -> bool:
            present = await rows.select_session(tx.conn, row.id)
            if present != row:
                return False
            await end_session(tx, info, row, row.last_tick_at or row.started_at, SILENT, SILENT)
            await publish_state(resources, tx, info, row.account)
            return True

        stopped += await resources.database.writer.run(work, rooms=(row.room,))
    return stopped


async def find_silent(resources: Resources) -> None:
    """Tell watchers of trackers that became silent since the last call (rule 2.5). Call it every few real seconds."""
    async with resources.database.read() as conn:
        listed = dict(await rows.select_all_open_sessions(conn))
    new = resources.trackers.newly_silent(list(listed), resources.clock.real_now())
    infos = [await room_info(resources, room) for room in {listed[session] for session in new}]
    async with resources.database.read() as conn:
        states = await read_tracker_states(
            conn, infos, resources.clock.record_now(), resources.trackers, resources.clock.real_now()
        )
    resources.publish([TrackerChanged(room, state) for room, found in states.items() for state in found])
