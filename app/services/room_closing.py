"""Closing a workroom (rule 1.2): from then on it is read, and no person adds anything.

Rule 1: it is one commit: trackers that run are stopped, what waits for an answer lapses, and the flag in the head of
the record refuses whatever a person writes after it.
"""

from __future__ import annotations

from msgspec import structs

from app.domain.bodies import system
from app.domain.bodies.system import HandoverExpired
from app.domain.errors import Forbidden, RoomClosed
from app.domain.events import body_of, check_characters
from app.domain.matters import MatterState
from app.domain.record import Draft, Entry
from app.domain.workrooms import SYSTEM, RoomState, Side
from app.services import notices
from app.services.access import Actor, member_of, read_room_info
from app.services.resources import Resources
from app.services.sessions import CLOSED, end_session, publish_state
from app.services.workrooms import change_room
from app.storage import matters as matter_rows
from app.storage import tracking as tracking_rows
from app.storage.writer import Tx


async def close_room(resources: Resources, actor: Actor, room: str, reason: str | None = None) -> Entry:
    """Close a workroom (rule 1.2): it can be read, nobody adds anything. Trackers that run are stopped, what waits for
    an answer lapses, and secrets that nobody looked at are erased.

    Raises:
        NotFound: if the actor is no member.
        Forbidden: for a mediator.
        RoomClosed: if it is closed already.
        InvalidBody: if the reason cannot be stored.
    """
    member = await member_of(resources, actor, room)
    if member.side is Side.MEDIATOR:
        raise Forbidden("A workroom is closed by one of its two sides.")
    kind, body = body_of(system.RoomClosed(member.by, reason or None))
    check_characters(reason or "", "reason")

    async def work(tx: Tx) -> Entry:
        info = await read_room_info(tx.conn, room)
        if info.state is RoomState.CLOSED:
            raise RoomClosed()
        waiting = await matter_rows.select_open_in_room(tx.conn, room)
        for matter, _ in waiting:
            if matter.kind == "handover":
                expired, label = body_of(HandoverExpired(matter.title))
                gone = await tx.append(Draft(room, expired, SYSTEM, label, matter.seq))
                await tx.erase(room, matter.seq, gone.seq)
        for session in await tracking_rows.select_open_sessions_of_room(tx.conn, room):
            await end_session(tx, info, session, max(tx.now, session.last_tick_at or 0), CLOSED, CLOSED)
            await publish_state(resources, tx, info, session.account)
        entry = await tx.append(Draft(room, kind, SYSTEM, body))
        lapsed = [
            structs.replace(
                matter, state=MatterState.EXPIRED, answer_seq=entry.seq, answered_by=SYSTEM, answered_at=entry.at
            )
            for matter, _ in waiting
        ]
        await matter_rows.update_lapsed(tx.conn, room, entry.seq, entry.at)
        tx.publish_with(entry, matters=lapsed)
        await notices.settle_room(tx, resources, room)
        tx.close_record(room)
        await change_room(tx, structs.replace(info, state=RoomState.CLOSED, closed_at=entry.at))
        return entry

    return await resources.database.writer.run(work, rooms=(room,))
