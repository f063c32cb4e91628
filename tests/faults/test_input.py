"""Wrong input over the wire: a code and a sentence for each, never a 500, and nothing lost.

What each door refuses by name is tested beside it; here it gets what nobody thought of.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection

from app.domain.pictures import read_header
from app.domain.timerange import DAY_MS, SEGMENT_MS, instant_text
from app.domain.wire import frame_message
from app.web import accounts, home, patterns, rooms, workview
from app.web.api import API_ROUTES
from tests.faults.load import Ledger, connected
from tests.faults.nasty import PNG_SIGNATURE, flipped, picture_of, png, spoiled, text_bomb
from tests.faults.process import ServerProcess, Workplace, furnish, server_on
from tests.work import header, picture

pytestmark = pytest.mark.faults

DEADLINE_SECONDS = 20.0
MESSAGES = 1_500
REFUSALS = 90  # a device that is refused a hundred times in a row has to wait
NASTY_TEXTS = (
    "", "0", "-1", "x", "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "9" * 30, "é", "a" * 2_000, "1e5", "null",
    "%0d%0aX: y",
)  # fmt: skip
NASTY_BODIES = (
    (b"", "application/json"), (b"{", "application/json"), (b"[]", "application/json"), (b"null", "application/json"),
    (b'{"kind":"message","body":{"text":"\\ud800"}}', "application/json"),
    (b'{"kind":"message","body":{"text":"\xff"}}', "application/json"),
    (b'{"kind":5,"body":[],"cid":{}}', "application/json"), (b"[" * 100_000, "application/json"),
    (b"text=%ff%fe&cid=%00&kind=message&email=%ff&password=%ff&present=%ff", "application/x-www-form-urlencoded"),
    (b"&".join(b"f%d=1" % n for n in range(5_000)), "application/x-www-form-urlencoded"),
    (b"--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi", "multipart/form-data; boundary=x"),
    (b"--x\r\nContent-Disposition: form-data; name=\"text\"; filename=\"a\"\r\n\r\nhi\r\n--x--\r\n",
     "multipart/form-data; boundary=x"),
    (b"garbage", "multipart/form-data"), (b"\x00\xff", "application/octet-stream"),
)  # fmt: skip
NASTY_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody who speaks TLS
    b"GET\r\n\r\n", b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 1_000,
    b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 100_000 + b"\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
)  # fmt: skip


@dataclass
class Site:
    """A server with some workrooms, each with a freelancer of its own."""

    server: ServerProcess
    places: list[Workplace]


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    data = tmp_path_factory.mktemp("input") / "data"
    places = await furnish(data, 6)
    async with server_on(data) as server:
        yield Site(server, places)
        assert not server.bugs()


class Device:
    """A tracker that says what it is told to."""

    def __init__(self, connection: ClientConnection, place: Workplace) -> None:
        self.connection = connection
        self.place = place
        self.session = str(uuid.uuid4())
        self.begin = (time.time_ns() // 1_000_000 - 10 * DAY_MS) // SEGMENT_MS * SEGMENT_MS
        self.segments = itertools.count(self.begin // SEGMENT_MS)

    async def start(self) -> None:
        await self.send(t="hello", device="desk", n=1)
        start = {"session": self.session, "room": self.place.room, "at": instant_text(self.begin)}
        await self.send(t="start", n=2, **start)
        assert (await self.until(n=2))["t"] == "started"

    async def send(self, **message: Any) -> None:
        await self.connection.send(msgspec.json.encode(message).decode())

    async def until(self, **fields: Any) -> dict[str, Any]:
        """Return the next message with these values; skip the others."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                message: dict[str, Any] = msgspec.json.decode(await self.connection.recv())
                if all(message.get(name) == value for name, value in fields.items()):
                    return message

    async def send_picture(self, data: bytes, /, **changes: Any) -> tuple[str, str]:
        """Send a frame of the next segment; return its id, and `ack` or the code of the refusal."""
        at = next(self.segments) * SEGMENT_MS
        head = header(self.session, at + 30_000, data, **changes)
        await self.connection.send(frame_message(head, data))
        while True:
            answer = await self.until(id=head.id)
            if answer["t"] in ("ack", "refused"):
                return head.id, answer.get("code", "ack")


async def test_spoiled_messages_of_viewers_are_answered_and_the_connection_goes_on(site: Site) -> None:
    place = site.places[0]
    say = {"t": "say", "room": place.room, "cid": "cid-00000000", "kind": "message", "body": {"text": "hello"}}
    messages: list[dict[str, Any]] = [
        {"t": "join", "room": place.room, "after": 4},
        {"t": "leave", "room": place.room},
        {"t": "seen", "room": place.room, "seq": 3},
        {"t": "typing", "room": place.room},
        {**say, "kind": "correction", "ref": 3},
        {**say, "kind": "feedback", "body": {"text": "fine", "member": "p2", "segment": 2_000_000}},
        {**say, "kind": "comment", "body": {"text": "work", "from_segment": 5, "to_segment": 6}},
        say,
    ]
    codes: Counter[str] = Counter()
    async with (
        connected(site.server.ws_url, place.client_token) as connection,
        connected(site.server.ws_url, place.freelancer_token) as page,
    ):
        await connection.send('{"t":"hello","v":1,"view":"json","rooms":{}}')
        await page.send(
            msgspec.json.encode({"t": "hello", "v": 1, "view": "timeline", "rooms": {place.room: 4}}).decode()
        )

        async def answers() -> None:
            async for data in connection:
                message = msgspec.json.decode(data)
                if message["t"] == "error":
                    assert len(message["message"]) > 10 and message["code"] != "internal", message
                    codes[message["code"]] += 1
                if message.get("cid") == "cid-good-and-last":
                    return

        reading = asyncio.create_task(answers())
        for number, text in enumerate(spoiled(messages, MESSAGES, seed=1, raw=True)):
            if len(text) < 250_000:
                await connection.send(text.replace(b"cid-00000000", b"cid-%08d" % number), text=True)
            if number % 50 == 0:
                await asyncio.sleep(0.01)
        await connection.send(msgspec.json.encode({**say, "cid": "cid-good-and-last"}).decode())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await reading
            while "cid-good-and-last" not in await page.recv():
                pass
    assert codes.keys() >= {"malformed", "invalid_body", "unknown_kind", "too_large"}, codes
    ledger = Ledger(site.server, place.client_token, place.room)
    await ledger.read_on()
    assert len(ledger.says["cid-good-and-last"]) == 1


async def test_pictures_that_lie_burst_or_are_none_harm_nothing(site: Site) -> None:
    place = site.places[1]
    bomb = png(40_000, 40_000)
    sent: dict[str, tuple[str, bytes, dict[str, Any]]] = {
        "a bomb that says so": ("too_large", bomb, {"media": "image/png", "width": 40_000, "height": 40_000}),
        "a bomb that says it is small": ("bad_image", bomb, {"media": "image/png"}),
        "a picture without pixels": ("bad_image", png(0, 90), {"media": "image/png"}),
        "a chunk longer than all": ("bad_image", PNG_SIGNATURE + b"\xff" * 64, {"media": "image/png"}),
        "nothing": ("bad_image", b"", {}),
        "a page": ("bad_image", b"<html><script>alert(1)</script></html>", {}),
        "a drawing": ("bad_image", b'<svg xmlns="http://www.w3.org/2000/svg"/>', {"media": "image/svg+xml"}),
        "a kind that is not taken": ("bad_image", b"GIF89a" + bytes(100), {"media": "image/gif"}),
        "another kind than announced": ("bad_image", picture_of("image/png"), {"media": "image/jpeg"}),
        "another digest": ("digest_mismatch", picture(), {"sha256": "A" * 43}),
        "text that bursts": ("ack", png(160, 90, bytes(161 * 90), text_bomb(200)), {"media": "image/png"}),
        "pixels that burst": ("ack", png(160, 90, bytes(100 << 20)), {"media": "image/png"}),
        "pixels that are missing": ("ack", png(160, 90, bytes(161)), {"media": "image/png"}),
        "as many pixels as are taken": ("ack", png(8_000, 5_000, bytes(8_001 * 5_000)),
                                        {"media": "image/png", "width": 8_000, "height": 5_000}),
    }  # fmt: skip
    async with connected(site.server.agent_url, place.device_token) as connection:
        device = Device(connection, place)
        await device.start()
        decoded: dict[str, str] = {}
        for name, (expected, data, changes) in sent.items():
            id, outcome = await device.send_picture(data, **changes)
            assert outcome == expected, name
            if outcome == "ack":
                decoded[name] = (await _decoded(device, id))["t"]
        assert decoded.keys() == {name for name, (expected, *_) in sent.items() if expected == "ack"}
        id, outcome = await device.send_picture(picture())
        assert outcome == "ack" and (await _decoded(device, id))["t"] == "frame_ok"


async def test_pictures_with_flipped_bytes_are_stored_or_refused_and_never_break_the_worker(site: Site) -> None:
    async def send(place: Workplace, media: str) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        async with connected(site.server.agent_url, place.device_token) as connection:
            device = Device(connection, place)
            await device.start()
            for data in flipped(picture_of(media), REFUSALS // 2, seed=2):
                try:
                    found = read_header(data)
                    changes: dict[str, Any] = {"media": found.media, "width": found.width, "height": found.height}
                except Exception:  # the fuzz: whatever it is, the server has to find out itself
                    changes = {"media": media}
                _, outcome = await device.send_picture(data, **changes)
                outcomes[outcome] += 1
            id, outcome = await device.send_picture(picture())
            assert outcome == "ack" and (await _decoded(device, id))["t"] == "frame_ok"
        return outcomes

    medias = ("image/png", "image/jpeg", "image/webp")
    for outcomes in await asyncio.gather(*map(send, site.places[2:5], medias)):
        assert outcomes.keys() <= {"ack", "bad_image", "too_large"}, outcomes


async def test_nobody_sends_frames_for_another(site: Site) -> None:
    one, other = site.places[0], site.places[5]
    async with (
        connected(site.server.agent_url, one.device_token) as first,
        connected(site.server.agent_url, other.device_token) as second,
    ):
        ana, eve = Device(first, one), Device(second, other)
        await ana.start()
        await eve.start()
        id, outcome = await ana.send_picture(picture(1))
        assert outcome == "ack"
        assert (await eve.send_picture(picture(2), session=ana.session))[1] == "unknown_session"
        assert (await eve.send_picture(picture(1), id=id))[1] == "conflict", "the same bytes under another's id"
        assert (await ana.send_picture(picture(3), id=id))[1] == "conflict", "other bytes under one's own id"
        head = header(ana.session, ana.begin + 40_000, picture(3))
        await first.send(frame_message(head, picture(3)))
        assert (await ana.until(id=head.id))["code"] == "segment_taken"
        for t, fields in (
            ("stop", {"at": instant_text(ana.begin)}),
            ("tick", {"from": instant_text(ana.begin), "to": instant_text(ana.begin + 1), "documented": True}),
            ("work_view", {"on": False, "at": instant_text(ana.begin)}),
        ):
            await eve.send(t=t, n=50, session=ana.session, **fields)
            assert (await eve.until(n=50))["code"] == "unknown_session"
        await eve.send(t="frame_delete", n=51, id=id)
        assert (await eve.until(n=51))["code"] == "not_found"


async def test_spoiled_messages_of_trackers_are_answered_and_the_connection_goes_on(site: Site) -> None:
    place = site.places[5]
    async with connected(site.server.agent_url, place.device_token) as connection:
        device = Device(connection, place)
        await device.start()
        session, at, later = device.session, instant_text(device.begin), instant_text(device.begin + 30_000)
        messages: list[dict[str, Any]] = [
            {"t": "start", "n": 9, "session": session, "room": place.room, "at": at, "comment": "x"},
            {"t": "tick", "n": 9, "session": session, "from": at, "to": later, "documented": True, "waiting": [1]},
            {"t": "work_view", "n": 9, "session": session, "on": True, "at": at},
            {"t": "discard", "n": 9, "session": session, "from": at, "to": later},
            {"t": "comment", "n": 9, "id": str(uuid.uuid4()), "session": session, "from_segment": 1, "to_segment": 1,
             "text": "x"},
            {"t": "frame_delete", "n": 9, "id": str(uuid.uuid4())},
        ]  # fmt: skip
        for text in spoiled(messages, REFUSALS // 2, seed=3):
            await connection.send(text, text=True)
        await device.send(t="hello", device="desk", n=1_000)
        codes = set()
        while (answer := await device.until())["t"] != "welcome":
            if answer["t"] == "refused":
                assert len(answer["message"]) > 10 and answer["code"] != "internal", answer
                codes.add(answer["code"])
    assert "malformed" in codes


async def test_no_request_gets_a_500(site: Site) -> None:
    place, spoiled_room = site.places[4], site.places[0].room
    listed = [*home.routes, *accounts.routes, *rooms.routes, *workview.routes, *patterns.routes, *API_ROUTES]
    program = {"Authorization": f"Bearer {place.client_token}"}
    statuses: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=site.server.url, timeout=DEADLINE_SECONDS) as http:
        signed_in = await http.post("/sign-in", data={"email": place.client.email, "password": "correct horse"})
        assert signed_in.status_code == 303
        for route in [*listed, *workview.api_routes]:
            if route.path in ("/sign-out", "/patterns"):
                continue
            headers = program if route.path.startswith("/api/") else {}
            for method, address, body, media in _requests(route, place.room):
                kind = {"content-type": media} if media else {}
                answer = await http.request(method, address, content=body, headers={**headers, **kind})
                assert answer.status_code < 500, (method, address, body[:60], answer.text[:300])
                statuses[answer.status_code] += 1
        for address in ("/", f"/rooms/{spoiled_room}"):  # still signed in; and what was let in can be shown
            assert (await http.get(address)).status_code == 200
    assert statuses.keys() >= {200, 400, 404}, statuses


async def test_what_is_no_http_harms_nothing(site: Site) -> None:
    for request in NASTY_REQUESTS:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(DEADLINE_SECONDS):
            answer = await reader.read()
        assert b" 500 " not in answer[:20], (request[:60], answer[:200])
        writer.close()
    async with httpx.AsyncClient(base_url=site.server.url) as http:
        assert (await http.get("/healthz")).status_code == 200


async def _decoded(device: Device, id: str) -> dict[str, Any]:
    """Return what the worker found out about a frame."""
    while True:
        message = await device.until(id=id)
        if message["t"] in ("frame_ok", "frame_bad"):
            return message


def _requests(route: Route, room: str) -> list[tuple[str, str, bytes, str]]:
    """Return requests of a route: method, address, body and its media type."""
    made: list[tuple[str, str, bytes, str]] = []
    method = "POST" if "POST" in (route.methods or ()) else "GET"
    names = [part[1:-1].partition(":")[0] for part in route.path.split("/") if part.startswith("{")]
    template = route.path.replace(":int", "")
    good = {name: {"room": room, "seq": "3"}.get(name, "x") for name in names}
    queries = ("after", "before", "limit", "from", "to", "day", "zone", "next", "code", "view", "by", "size")
    for text in NASTY_TEXTS:
        for name in names:
            address = template.format(**{**good, name: text})
            made.append((method, address, b"", ""))
        made.append(("GET", f"{template.format(**good)}?{'&'.join(f'{name}={text}' for name in queries)}", b"", ""))
    for text in ("2026-13-45", "0001-01-01", "9999-12-31"):
        made.append(("GET", f"{template.format(**good)}?day={quote(text)}&day=&zone=Moon/Base", b"", ""))
    if method == "POST":
        made += [("POST", template.format(**good), body, media) for body, media in NASTY_BODIES]
    return made
