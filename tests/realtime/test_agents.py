"""The path of trackers, against a live server with its worker: hello to thumbnail, repeats, refusals, closing."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.config import Settings
from app.domain.live import CellState
from app.domain.timerange import DAY_MS, SEGMENT_MS, instant_text, segment_end, segment_of, utc_day
from app.domain.wire import FrameHeader, frame_message
from app.services import accounts, frames, record, workview
from app.services.access import Actor
from app.services.clock import PacedClock
from app.storage.frames import select_frame
from realtime import agent_session
from tests.builders import Pair, build_pair
from tests.live import DEADLINE_SECONDS, Live, live_server
from tests.work import MINUTE, header, picture


class Device:
    """A tracker of the tests: says what it is told to, and keeps every answer."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[dict[str, Any]] = []
        self.n = 0

    async def send(self, t: str, **fields: Any) -> int:
        self.n += 1
        await self.connection.send(msgspec.json.encode({"t": t, "n": self.n, **fields}).decode())
        return self.n

    async def send_frame(self, head: FrameHeader, data: bytes) -> None:
        await self.connection.send(frame_message(head, data))

    async def until(self, t: str, **fields: Any) -> dict[str, Any]:
        """Return the first message, of those received or to come, with these values."""

        def fits(message: dict[str, Any]) -> bool:
            return message["t"] == t and all(message.get(name) == value for name, value in fields.items())

        for message in self.received:
            if fits(message):
                return message
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                message = msgspec.json.decode(await self.connection.recv())
                self.received.append(message)
                if fits(message):
                    return message

    async def ask(self, t: str, **fields: Any) -> dict[str, Any]:
        """Send a message and return what answers it."""
        n = await self.send(t, **fields)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                for message in self.received:
                    if message.get("n") == n:
                        return message
                self.received.append(msgspec.json.decode(await self.connection.recv()))

    async def start(self, room: str, at: int, **more: Any) -> str:
        session = str(uuid.uuid4())
        answer = await self.ask("start", session=session, room=room, at=instant_text(at), **more)
        assert answer["t"] == "started" and answer["session"] == session
        return session

    async def tick(self, session: str, start: int, end: int, **more: Any) -> dict[str, Any]:
        fields = {"session": session, "from": instant_text(start), "to": instant_text(end), "documented": True, **more}
        return await self.ask("tick", **fields)


@pytest.fixture
async def live(sqlite_settings: Settings) -> AsyncIterator[Live]:
    async with live_server(sqlite_settings) as running:
        yield running


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


@asynccontextmanager
async def device(live: Live, actor: Actor, token: str | None = None) -> AsyncIterator[Device]:
    headers = {"Authorization": f"Bearer {token or await live.token(actor, 'device')}"}
    async with connect(live.agent_url, additional_headers=headers, compression=None) as connection:
        tracker = Device(connection)
        answer = await tracker.ask("hello", device="desk", platform="linux", version="1")
        assert answer["t"] == "welcome"
        yield tracker


def _begin(live: Live) -> int:
    """Return a moment of today's last whole segment: everything told about it lies in the past."""
    return (segment_of(live.resources.clock.record_now()) - 1) * SEGMENT_MS


async def test_a_frame_travels_from_the_tracker_to_the_watcher_and_its_thumbnail_follows(
    live: Live, pair: Pair
) -> None:
    at = _begin(live)
    data = picture()
    async with device(live, pair.freelancer) as desk, live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        session = await desk.start(pair.room, at, comment="Booking form")
        assert (await desk.tick(session, at, at + MINUTE))["t"] == "ack"
        head = header(session, at + 30_000, data)
        await desk.send_frame(head, data)
        await desk.until("ack", id=head.id)
        entry = (await dana.until("entry"))["entry"]
        while entry["kind"] != "frame.taken":
            entry = (await dana.until("entry"))["entry"]
        assert entry["body"]["frame"] == head.id and entry["body"]["segment"] == segment_of(at)
        await desk.until("frame_ok", id=head.id)
    (cell,) = await workview.cells(live.resources, pair.room, {"p2": [segment_of(at)]})
    assert (cell.state, cell.documented_ms, cell.comment) == (CellState.READY, MINUTE, "Booking form")
    assert live.resources.blobs.thumbnail_path(head.id).exists()


async def test_the_welcome_says_what_a_tracker_needs(live: Live, pair: Pair) -> None:
    async with device(live, pair.freelancer) as desk:
        welcome = await desk.until("welcome")
    assert [room["id"] for room in welcome["rooms"]] == [pair.room]
    assert len(welcome["seeds"][pair.room]) == 14
    assert utc_day(live.resources.clock.record_now()) in welcome["seeds"][pair.room]
    assert welcome["limits"]["frame_bytes_max"] == 4 * 1024 * 1024
    assert welcome["server_time"].endswith("Z")
    assert welcome["clock_rate"] == 1


async def test_the_welcome_of_a_demo_names_its_pace(live: Live, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    real = live.resources.clock.real_now()
    monkeypatch.setattr(live.resources, "clock", PacedClock(real, real - DAY_MS, 60))
    async with device(live, pair.freelancer) as desk:
        welcome = await desk.until("welcome")
    assert welcome["clock_rate"] == 60


async def test_what_is_sent_again_after_a_reconnect_is_answered_again_and_changes_nothing(
    live: Live, pair: Pair
) -> None:
    at, data = _begin(live), picture()
    session, comment = str(uuid.uuid4()), str(uuid.uuid4())
    head = header(session, at + 30_000, data)
    segment = segment_of(at)
    for _ in range(2):
        async with device(live, pair.freelancer) as desk:
            answer = await desk.ask("start", session=session, room=pair.room, at=instant_text(at))
            assert answer["t"] == "started"
            for minute in range(3):
                await desk.tick(session, at + minute * MINUTE, at + (minute + 1) * MINUTE)
            for t, fields in (
                ("work_view", {"session": session, "on": False, "at": instant_text(at + 3 * MINUTE)}),
                (
                    "discard",
                    {"session": session, "from": instant_text(at + MINUTE), "to": instant_text(at + 90_000)},
                ),
                (
                    "comment",
                    {"id": comment, "session": session, "from_segment": segment, "to_segment": segment, "text": "x"},
                ),
                ("stop", {"session": session, "at": instant_text(at + 3 * MINUTE)}),
            ):
                assert (await desk.ask(t, **fields))["t"] == "ack"
            await desk.send_frame(head, data)
            await desk.until("ack", id=head.id)
            await desk.until("frame_ok", id=head.id)
    page = await record.page(live.resources, pair.client, pair.room, after=5)
    assert [entry.kind for entry in page.entries] == [
        "tracking.started", "tracking.work_view", "tracking.discarded", "comment", "tracking.stopped", "frame.taken",
    ]  # fmt: skip
    (cell,) = await workview.cells(live.resources, pair.room, {"p2": [segment]})
    assert cell.documented_ms == 3 * MINUTE - 30_000


async def test_a_week_offline_arrives_in_one_go(live: Live, pair: Pair) -> None:
    at = _begin(live) - 7 * 24 * 60 * MINUTE
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        commits = live.resources.database.writer.commits
        sent = []
        for minute in range(600):
            sent.append(
                await desk.send(
                    "tick", session=session, documented=True,
                    **{"from": instant_text(at + minute * MINUTE), "to": instant_text(at + (minute + 1) * MINUTE)},
                )
            )  # fmt: skip
        for n in sent:
            await desk.until("ack", n=n)
    assert live.resources.database.writer.commits - commits < 200  # ticks that came together were committed together
    found = await workview.cells(live.resources, pair.room, {"p2": range(segment_of(at), segment_of(at) + 50)})
    assert sum(cell.documented_ms for cell in found) == 600 * MINUTE


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"session": 5}, "session"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-10-14T08:15:30.123"}, "at"),
        ({"room": None}, "room"),
        ({"comment": "x" * 501}, "comment"),
        ({"t": "begin"}, "t"),
        ({"session": "no uuid"}, "session"),
    ],
)
async def test_a_wrong_field_is_refused_by_name_and_the_connection_goes_on(
    live: Live, pair: Pair, changes: dict[str, Any], field: str
) -> None:
    at = _begin(live)
    message = {"t": "start", "n": 77, "session": str(uuid.uuid4()), "room": pair.room, "at": instant_text(at)}
    async with device(live, pair.freelancer) as desk:
        await desk.connection.send(msgspec.json.encode({**message, **changes}).decode())
        refused = await desk.until("refused", n=77)
        assert (refused["code"], refused["field"], refused["temporary"]) == ("malformed", field, False)
        await desk.start(pair.room, at)


async def test_refusals_carry_the_codes_of_the_protocol(live: Live, pair: Pair) -> None:
    at = _begin(live)
    now = live.resources.clock.record_now()
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        elsewhere = {"session": str(uuid.uuid4()), "room": "0" * 26, "at": instant_text(at)}
        answers = {
            "not_member": await desk.ask("start", **elsewhere),
            "unknown_session": await desk.tick(str(uuid.uuid4()), at, at + MINUTE),
            "clock_skew": await desk.tick(session, now + 5 * MINUTE, now + 5 * MINUTE + 1),
            "outside_session": await desk.tick(session, at - MINUTE, at),
            "malformed": await desk.tick(session, at, at + 2 * MINUTE),
            "not_found": await desk.ask("frame_delete", id=str(uuid.uuid4())),
            "too_large": await desk.ask("comment", text="x" * 70_000),
        }
    assert {code: (answer["t"], answer["code"]) for code, answer in answers.items()} == {
        code: ("refused", code) for code in answers
    }
    assert all(answer["message"].endswith((".", "it.")) and not answer["temporary"] for answer in answers.values())


async def test_frames_are_refused_with_the_codes_of_the_protocol(live: Live, pair: Pair) -> None:
    at, data = _begin(live), picture()
    now = live.resources.clock.record_now()
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        sent = {
            "bad_image": (header(session, at, data, width=161), data),
            "digest_mismatch": (header(session, at, data), picture(2)),
            "outside_segment": (header(session, at, data, segment=segment_of(at) + 1), data),
            "outside_session": (header(session, at - MINUTE, data), data),
            "unknown_session": (header(str(uuid.uuid4()), at, data), data),
            "clock_skew": (header(session, now + 20 * MINUTE, data), data),
            "too_large": (header(session, at, data), data + bytes(4 * 1024 * 1024)),
            "malformed": (header(session, at, data, id="no uuid"), data),
        }
        for code, (head, body) in sent.items():
            await desk.send_frame(head, body)
            refused = await desk.until("refused", id=head.id)
            assert refused["code"] == code
    page = await record.page(live.resources, pair.client, pair.room)
    assert not any(entry.kind.startswith("frame.") for entry in page.entries)
    assert [frame async for frame in live.resources.blobs.orphans(0)] == []


async def test_only_what_is_no_json_closes(live: Live, pair: Pair) -> None:
    async with device(live, pair.freelancer) as desk:
        for text in ("[]", "5", '"hello"', "{}", "null"):
            await desk.connection.send(text)
        await desk.connection.send(b"\x00\x00\x00\x02{}" + picture())
        assert (await desk.ask("hello", device="desk"))["t"] == "welcome"
        assert sum(message["t"] == "refused" for message in desk.received) == 6
    for junk in ("{", b"", b"\xff\xff\xff\xff", b"\x00\x00\x00\x04junk"):
        async with device(live, pair.freelancer) as desk:
            await desk.connection.send(junk)
            with pytest.raises(ConnectionClosed) as closed:
                await desk.until("never")
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400


async def test_a_picture_that_cannot_be_decoded_is_reported(live: Live, pair: Pair) -> None:
    at, whole = _begin(live), picture()
    data = whole[:40] + os.urandom(len(whole) - 40)
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        await desk.tick(session, at, at + MINUTE)
        head = header(session, at, data)
        await desk.send_frame(head, data)
        await desk.until("ack", id=head.id)
        assert (await desk.until("frame_bad", id=head.id))["reason"]
    (cell,) = await workview.cells(live.resources, pair.room, {"p2": [segment_of(at)]})
    assert cell.state is CellState.UNREADABLE


async def test_starting_elsewhere_tells_the_other_device_to_stop(live: Live, pair: Pair) -> None:
    other = await build_pair(live.resources, "Second job")
    now = live.resources.clock.record_now()
    async with device(live, pair.freelancer) as desk, device(live, pair.freelancer) as laptop:
        session = await desk.start(pair.room, now - MINUTE)
        await laptop.start(other.room, now)
        stopped = await desk.until("stopped")
        assert (stopped["session"], stopped["reason"]) == (session, "elsewhere")


async def test_the_clients_note_reaches_the_tracker_live(live: Live, pair: Pair) -> None:
    at, data = _begin(live), picture()
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        head = header(session, at, data)
        await desk.send_frame(head, data)
        await desk.until("ack", id=head.id)
        async with live.resources.database.read() as conn:
            row = await select_frame(conn, head.id)
        assert row is not None
        await record.append(
            live.resources, pair.client, pair.room, "feedback", {"text": "Nice", "member": "p2"}, ref=row.seq
        )
        note = await desk.until("note")
        assert (note["room"], note["ref"], note["text"], note["by"]) == (pair.room, row.seq, "Nice", "p1")


async def test_a_frame_deleted_on_the_page_is_dropped_by_the_tracker(live: Live, pair: Pair) -> None:
    at, data = _begin(live), picture()
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        head = header(session, at, data)
        await desk.send_frame(head, data)
        await desk.until("frame_ok", id=head.id)
        await frames.delete(live.resources, pair.freelancer, head.id)
        await desk.until("frame_deleted", id=head.id)
        refused = await desk.tick(session, at, at + MINUTE)
        assert refused["code"] == "segment_deleted"
    async with asyncio.timeout(DEADLINE_SECONDS):
        while live.resources.blobs.frame_path(head.id).exists():
            await asyncio.sleep(0.02)


async def test_a_device_hears_who_is_watching(live: Live, pair: Pair) -> None:
    async with device(live, pair.freelancer) as desk:
        async with live.viewer(pair.client, rooms={pair.room: -1}):
            assert (await desk.until("watching", count=1))["room"] == pair.room
        await desk.until("watching", count=0)


async def test_a_revoked_device_is_closed_and_a_wrong_token_never_gets_in(live: Live, pair: Pair) -> None:
    async with device(live, pair.freelancer) as desk:
        (token,) = [row for row in await accounts.tokens_of(live.resources, pair.freelancer) if row.purpose == "device"]
        await accounts.revoke_token(live.resources, pair.freelancer, token.id)
        with pytest.raises(ConnectionClosed) as closed:
            await desk.until("never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    api_token = await live.token(pair.freelancer, "api")
    for wrong in ("wr_dev_nothing", api_token):
        async with connect(live.agent_url, additional_headers={"Authorization": f"Bearer {wrong}"}) as connection:
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


async def test_a_browser_tracker_uses_its_cookie_from_a_page_of_ours_only(live: Live, pair: Pair) -> None:
    signed_in = await accounts.sign_in(
        live.resources, pair.freelancer.email, "correct horse", accounts.Client("127.0.0.1", "test")
    )
    cookie = {"Cookie": f"{accounts.SESSION_COOKIE}={signed_in.token}"}
    async with connect(live.agent_url, additional_headers=cookie, origin=live.url) as connection:  # type: ignore[arg-type]
        assert (await Device(connection).ask("hello", device="browser"))["t"] == "welcome"
    async with connect(live.agent_url, additional_headers=cookie, origin="https://evil.example") as connection:  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


async def test_many_refusals_slow_a_device_down(live: Live, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_session, "REFUSALS_MAX", 5)
    async with device(live, pair.freelancer) as desk:
        codes = [(await desk.tick(str(uuid.uuid4()), 0, 1)) for _ in range(7)]
    assert [answer["code"] for answer in codes[:4]] == ["unknown_session"] * 4
    assert (codes[-1]["code"], codes[-1]["temporary"]) == ("too_many", True)
    assert codes[-1]["retry_after"] == agent_session.RETRY_AFTER_SECONDS


async def test_a_provisional_frame_gives_way_over_the_wire(live: Live, pair: Pair) -> None:
    at = _begin(live)
    first, second = picture(1), picture(2)
    async with device(live, pair.freelancer) as desk:
        session = await desk.start(pair.room, at)
        await desk.tick(session, at, at + MINUTE)
        old = header(session, at + MINUTE, first, at_stop=True)
        await desk.send_frame(old, first)
        await desk.until("ack", id=old.id)
        new = header(session, segment_end(segment_of(at)) - MINUTE, second)
        await desk.send_frame(new, second)
        await desk.until("ack", id=new.id)
        await desk.until("frame_deleted", id=old.id)
        third = header(session, at + 5 * MINUTE, first)
        await desk.send_frame(third, first)
        assert (await desk.until("refused", id=third.id))["code"] == "segment_taken"
