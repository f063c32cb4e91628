"""Work sessions: whose they are, how they end, and what watchers see of them. Used by `tracking`, `ticks` and `frames`.

Rule 1: what the server ended while the tracker was away (`unheard`, `silent`) goes on when its stored ticks arrive;
what the person stopped, or a tracker that was there was told to stop, does not.
Rule 2: functions that take `tx` never commit.
"""

from __future__ import annotations

from app.domain.bodies.fields import EntryBody
from app.domain.bodies.system import TrackingStopped
from app.domain.errors import NotFound, NotMember, OutsideSession, UnknownSession
from app.domain.events import body_of
from app.domain.ids import checked_uuid
from app.domain.live import TrackerChanged
from app.domain.record import Draft, Entry
from app.domain.timerange import instant_text
from app.domain.workrooms import SYSTEM, Member, RoomInfo, Side
from app.services.access import Actor, read_room_info, room_info
from app.services.resources import Resources
from app.services.segments import read_tracker_states
from app.storage import tracking as rows
from app.storage.tracking import SessionRow
from app.storage.writer import Tx

STOPPED, ELSEWHERE, UNHEARD, SILENT, CLOSED = "stopped", "elsewhere", "unheard", "silent", "closed"
GOES_ON = (UNHEARD, SILENT)  # ends that a tracker which was away may not have known of


async def freelancer_of(resources: Resources, actor: Actor, room: str) -> tuple[RoomInfo, Member]:
    """Return a room and the actor's membership as its freelancer; NotMember if there is none."""
    try:
        info = await room_info(resources, room)
    except NotFound:
        raise NotMember(field="room") from None
    member = info.member_of(actor.account)
    if member is None or member.side is not Side.FREELANCER:
        raise NotMember(field="room")
    return info, member


async def session_of(resources: Resources, actor: Actor, session: str) -> SessionRow:
    """Return the actor's own session; UnknownSession if there is none."""
    session = checked_uuid(session, "session")
    async with resources.database.read() as conn:
        row = await rows.select_session(conn, session)
    if row is None or row.account != actor.account:
        raise UnknownSession(field="session")
    return row


def check_in_session(row: SessionRow, at: int, field: str) -> None:
    """Check that `at` lies in a session; OutsideSession, naming `field`, if it does not."""
    over = row.ended_at is not None and row.ended_by not in GOES_ON and at > row.ended_at
    if at < row.started_at or over:
        raise OutsideSession(field=field)


async def append_event(tx: Tx, room: str, event: EntryBody) -> Entry:
    """Append what the system says of a session."""
    kind, body = body_of(event)
    return await tx.append(Draft(room, kind, SYSTEM, body))


async def end_session(tx: Tx, info: RoomInfo, row: SessionRow, at: int, reason: str, ended_by: str) -> None:
    """End a session at `at`: `reason` is for the record, `ended_by` says whether it may go on."""
    member = info.member_of(row.account)
    assert member is not None, "members never leave"
    await append_event(tx, row.room, TrackingStopped(member.by, row.id, instant_text(at), reason))
    await rows.update_session(tx.conn, row.id, ended_at=at, ended_by=ended_by)


async def stop_elsewhere(resources: Resources, tx: Tx, row: SessionRow, at: int | None) -> None:
    """Stop a session because its person started in another room `at`; without `at` its tracker is away."""
    info = await read_room_info(tx.conn, row.room)
    last = row.last_tick_at or row.started_at
    ended_at, ended_by = (last, UNHEARD) if at is None else (max(at, last), ELSEWHERE)
    await end_session(tx, info, row, ended_at, ELSEWHERE, ended_by)
    await publish_state(resources, tx, info, row.account)


async def publish_state(resources: Resources, tx: Tx, info: RoomInfo, account: str) -> None:
    """Tell watchers, after the commit, what a person's tracker does now."""
    member = info.member_of(account)
    states = await read_tracker_states(tx.conn, [info], tx.now, resources.trackers, resources.clock.real_now())
    for state in states[info.id]:
        if member is not None and state.by == member.by:
            tx.after_commit(TrackerChanged(info.id, state))


async def tell_state(resources: Resources, info: RoomInfo, account: str) -> None:
    """Tell watchers what a person's tracker does now: for commands that change it often, outside the writer."""
    member = info.member_of(account)
    async with resources.database.read() as conn:
        states = await read_tracker_states(
            conn, [info], resources.clock.record_now(), resources.trackers, resources.clock.real_now()
        )
    resources.publish(
        [TrackerChanged(info.id, state) for state in states[info.id] if member is not None and state.by == member.by]
    )
