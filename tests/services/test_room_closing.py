"""Closing: nothing is added to a closed workroom, what waits lapses, trackers stop, and what came before stays."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import NotFound, RoomClosed
from app.domain.matters import MatterState
from app.domain.timerange import SEGMENT_MS
from app.domain.workrooms import RoomState
from app.services import matters, record, room_closing, tracking
from app.services.access import room_info
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.builders import build_account, build_pair
from tests.work import Shift


async def test_a_closed_workroom_is_read_and_takes_nothing_more(resources: Resources) -> None:
    pair = await build_pair(resources)
    closed = await room_closing.close_room(resources, pair.client, pair.room, "The site is online.")
    assert closed.kind == "room.closed" and closed.body == {"member": "p1", "reason": "The site is online."}
    for kind, body in (("message", {"text": "One more thing"}), ("agreement", {"text": "We agree"})):
        with pytest.raises(RoomClosed):
            await record.append(resources, pair.freelancer, pair.room, kind, body)
    with pytest.raises(RoomClosed):
        await record.append(resources, pair.client, pair.room, "message", {"text": "An answer"}, ref=0)
    with pytest.raises(RoomClosed):
        await room_closing.close_room(resources, pair.freelancer, pair.room)
    assert (await room_info(resources, pair.room)).state is RoomState.CLOSED
    assert (await record.page(resources, pair.freelancer, pair.room)).entries[-1].seq == closed.seq


async def test_a_message_on_its_way_stands_before_the_end_or_is_refused(resources: Resources) -> None:
    pair = await build_pair(resources)
    sent = [record.append(resources, pair.client, pair.room, "message", {"text": f"Line {n}"}) for n in range(20)]
    closing = room_closing.close_room(resources, pair.freelancer, pair.room)
    later = [record.append(resources, pair.client, pair.room, "message", {"text": f"Late {n}"}) for n in range(20)]
    results = await asyncio.gather(*sent, closing, *later, return_exceptions=True)
    entries = (await record.page(resources, pair.client, pair.room, limit=100)).entries
    assert entries[-1].kind == "room.closed"
    written = [r for r in results if not isinstance(r, BaseException)]
    assert len(written) + sum(isinstance(r, RoomClosed) for r in results) == 41
    assert {e.seq for e in written} <= {e.seq for e in entries}


async def test_what_waits_for_an_answer_lapses(resources: Resources) -> None:
    pair = await build_pair(resources)
    asked = await record.append(
        resources, pair.freelancer, pair.room, "member.proposed", {"name": "Omar Haddad", "side": "client"}
    )
    closed = await room_closing.close_room(resources, pair.client, pair.room)
    state = (await matters.states_of(resources, pair.room, [asked]))[asked.seq]
    assert (state.state, state.answer_seq) == (MatterState.EXPIRED, closed.seq)
    waiting = await matters.waiting_for(resources, pair.client, [await room_info(resources, pair.room)])
    assert waiting.mine == []


async def test_a_tracker_that_runs_is_stopped_and_none_starts_again(resources: Resources, clock: ManualClock) -> None:
    pair = await build_pair(resources)
    shift = Shift(resources, pair.freelancer, pair.room, clock)
    await shift.start("The form")
    await shift.work(SEGMENT_MS // 2)
    clock.now = max(clock.now, shift.at)
    await room_closing.close_room(resources, pair.client, pair.room)
    kinds = [
        (e.kind, (e.body or {}).get("reason")) for e in (await record.page(resources, pair.client, pair.room)).entries
    ]
    assert ("tracking.stopped", "closed") in kinds
    clock.now += 60_000
    with pytest.raises(RoomClosed):
        await Shift(resources, pair.freelancer, pair.room, clock).start("Again")
    assert (await tracking.hello(resources, pair.freelancer)).rooms == []


async def test_a_stranger_closes_nothing(resources: Resources) -> None:
    pair = await build_pair(resources)
    stranger = await build_account(resources, "Omar Haddad")
    with pytest.raises(NotFound):
        await room_closing.close_room(resources, stranger, pair.room)
