"""The link against a server that acknowledges, refuses, falls silent and goes away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain import wire
from app.domain.record import base64url
from app.domain.timerange import instant_text, segment_of
from tests.tracker.fake_server import ROOM, SEED, TOKEN, FakeServer, now_ms, until
from tracker.clock import Clock
from tracker.link import Link, LinkState
from tracker.spool import Frame, FrameState, Spool

SESSION = "5d1c1a70-2f5e-4b5f-9a52-0f5a4a1b2c3d"


class Connected:
    """A spool and its link."""

    def __init__(self, spool: Spool, server: FakeServer, token: str = TOKEN) -> None:
        self.spool = spool
        self.heard: list[dict[str, Any]] = []
        self.link = Link(server.address, token, {"device": "desk"}, spool, Clock(), self.heard.append)

    def begin(self, minutes: int = 3) -> None:
        at = now_ms() - 3_600_000
        self.spool.begin(SESSION, ROOM, at, "", work_view=True)
        for minute in range(minutes):
            self.spool.tick(SESSION, at + minute * 60_000, at + (minute + 1) * 60_000, True, [])
        self.link.wake()

    def frame(self, id: str, hold_ms: int = 0) -> None:
        at, picture = now_ms() - 3_600_000, id.encode() * 100
        header = {
            "id": id, "session": SESSION, "segment": segment_of(at), "taken_at": instant_text(at), "width": 4,
            "height": 3, "media": "image/webp", "sha256": base64url(sha256(picture).digest()),
        }  # fmt: skip
        frame = Frame(id, SESSION, ROOM, segment_of(at), at, now_ms() + hold_ms, FrameState.WAITING, False)
        self.spool.add_frame(frame, msgspec.json.encode(header), picture, now_ms())
        self.link.wake()


@pytest.fixture
async def connected(tmp_path: Path, server: FakeServer) -> AsyncIterator[Connected]:
    async with running(Connected(Spool(tmp_path / "spool.sqlite"), server)) as made:
        yield made


@contextlib.asynccontextmanager
async def running(made: Connected) -> AsyncIterator[Connected]:
    task = asyncio.create_task(made.link.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    made.spool.close()


async def test_the_welcome_is_kept_for_days_offline(connected: Connected, server: FakeServer):
    await asyncio.wait_for(connected.link.welcomed.wait(), 10)
    assert server.hellos[0].device == "desk"
    assert [room.title for room in connected.spool.rooms()] == [server.title]
    assert connected.spool.seed(ROOM, instant_text(now_ms())[:10]) == SEED


async def test_everything_is_sent_in_order_and_forgotten_once_acknowledged(connected: Connected, server: FakeServer):
    connected.begin(minutes=200)
    connected.frame("frame-one")
    await asyncio.wait_for(connected.link.wait_settled(), 10)
    assert server.order == list(range(1, 202))
    assert list(server.frames) == ["frame-one"]
    assert connected.spool.queued_messages() == 0
    assert server.repeats == 0


async def test_a_frame_on_hold_is_not_sent_before_its_time(connected: Connected, server: FakeServer):
    connected.begin()
    begun = time.monotonic()
    connected.frame("held-frame", hold_ms=400)
    await until(lambda: server.frames)
    assert time.monotonic() - begun > 0.35


async def test_what_was_not_acknowledged_comes_again_after_a_reconnect(connected: Connected, server: FakeServer):
    server.acknowledges = False
    connected.begin()
    connected.frame("frame-one")
    await until(lambda: connected.link.state is LinkState.ONLINE)
    server.acknowledges = True
    await server.close_all(1012)
    await asyncio.wait_for(connected.link.wait_settled(), 15)
    assert server.order == [1, 2, 3, 4]
    assert list(server.frames) == ["frame-one"]


async def test_a_picture_is_kept_until_the_server_could_read_it(connected: Connected, server: FakeServer):
    server.confirms = False
    connected.begin()
    connected.frame("frame-one")
    await asyncio.wait_for(connected.link.wait_settled(), 10)
    assert connected.spool.frame_message("frame-one") is not None
    await server.send({"t": "frame_ok", "id": "frame-one"})
    await until(lambda: connected.spool.frame_message("frame-one") is None)


async def test_a_lost_confirmation_is_asked_for_by_sending_the_frame_again(connected: Connected, server: FakeServer):
    server.confirms = False
    connected.begin()
    connected.frame("frame-one")
    await asyncio.wait_for(connected.link.wait_settled(), 10)
    server.confirms = True
    await server.close_all(1012)
    await until(lambda: connected.spool.frame_message("frame-one") is None, 15)
    assert server.repeats == 1


async def test_an_unreadable_frame_stays_with_the_reason(connected: Connected, server: FakeServer):
    server.confirms = False
    connected.begin()
    connected.frame("frame-one")
    await asyncio.wait_for(connected.link.wait_settled(), 10)
    await server.send({"t": "frame_bad", "id": "frame-one", "reason": "half a picture"})
    refusal = (await until(connected.spool.refusals))[0]
    assert (refusal.key, refusal.code, refusal.reason) == ("frame-one", "bad_image", "half a picture")


async def test_a_final_refusal_is_kept_and_what_follows_goes_on(connected: Connected, server: FakeServer):
    server.refuse = lambda m: {"code": "malformed", "message": "no", "temporary": False} if m.n == 2 else None
    connected.begin()
    await asyncio.wait_for(connected.link.wait_settled(), 10)
    assert server.order == [1, 3, 4]
    assert [(r.key, r.what, r.code) for r in connected.spool.refusals()] == [("n2", "tick", "malformed")]
    assert any(m["t"] == "refused" and m["session"] == SESSION for m in connected.heard)


async def test_a_temporary_refusal_is_tried_again(connected: Connected, server: FakeServer):
    refusals = iter([{"code": "busy", "message": "later", "temporary": True}] * 2)
    server.refuse = lambda m: next(refusals, None)
    connected.begin()
    await asyncio.wait_for(connected.link.wait_settled(), 15)
    assert sorted(server.order) == [1, 2, 3, 4]
    assert connected.spool.refusals() == []


async def test_what_follows_a_start_that_was_put_off_is_not_lost(connected: Connected, server: FakeServer):
    put_off = True

    def refuse(message: Any) -> dict[str, Any] | None:
        nonlocal put_off
        if isinstance(message, wire.AgentStart) and put_off:
            put_off = False
            return {"code": "busy", "message": "later", "temporary": True}
        if not server.controls and not isinstance(message, wire.AgentStart):
            return {"code": "unknown_session", "message": "Start it first.", "temporary": False}
        return None

    server.refuse = refuse
    connected.begin()
    await asyncio.wait_for(connected.link.wait_settled(), 15)
    assert server.order == [1, 2, 3, 4]
    assert connected.spool.refusals() == []


async def test_a_device_that_is_not_known_any_more_stops_connecting_and_keeps_everything(
    tmp_path: Path, server: FakeServer
):
    async with running(Connected(Spool(tmp_path / "spool.sqlite"), server, token="revoked")) as connected:
        connected.begin()
        await until(connected.link.closed)
        assert connected.spool.queued_messages() == 4
    async with running(Connected(Spool(tmp_path / "spool.sqlite"), server)) as connected:
        await until(lambda: connected.link.state is LinkState.ONLINE)
        await server.close_all(4401)
        await until(connected.link.closed)
        assert "pair" in connected.link.trouble


async def test_a_message_of_a_later_protocol_is_passed_over(connected: Connected, server: FakeServer):
    await asyncio.wait_for(connected.link.welcomed.wait(), 10)
    await server.send({"t": "from_the_future", "x": 1})
    await server.send({"t": "ack"})
    await server.send({"t": "frame_ok"})
    connected.begin()
    await asyncio.wait_for(connected.link.wait_settled(), 10)
    assert connected.link.state is LinkState.ONLINE


async def test_the_server_may_be_away_and_come_back(tmp_path: Path, server: FakeServer):
    await server.stop()
    async with running(Connected(Spool(tmp_path / "spool.sqlite"), server)) as connected:
        connected.begin()
        await until(lambda: connected.link.trouble)
        await server.start()
        await asyncio.wait_for(connected.link.wait_settled(), 15)
        assert server.order == [1, 2, 3, 4]
