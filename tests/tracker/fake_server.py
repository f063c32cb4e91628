"""A server for tests: speaks the tracker's protocol as docs/protocol.md has it, checks with app.domain, keeps all.

Rule 1: a message is checked by the real schemas; what does not fit fails the test.
Rule 2: a test can make it refuse, fall silent, close or go away.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from app.domain import wire
from app.domain.record import base64url
from app.domain.timerange import DAY_MS, instant_text, utc_day

ROOM = "0123456789abcdefghjkmnpqrs"
TOKEN = "device-token"
SEED = bytes(range(32))

Control = Any
Refuse = Callable[[Any], dict[str, Any] | None]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class FakeServer:
    """`controls` and `frames` hold what arrived first under each n and id; `repeats` counts what came again."""

    def __init__(self) -> None:
        self.controls: dict[int, Control] = {}
        self.order: list[int] = []
        self.frames: dict[str, tuple[wire.FrameHeader, bytes]] = {}
        self.repeats = 0
        self.hellos: list[wire.AgentHello] = []
        self.connections: set[ServerConnection] = set()
        # Returns what to answer instead of an acknowledgement, or None.
        self.refuse: Refuse = lambda message: None
        self.acknowledges = True
        self.confirms = True
        self.title = "Harbour booking site"
        self.port = 0
        # What the record's clock shows, in Unix ms.
        self.record_now: Callable[[], int] = now_ms
        self.clock_rate = 1
        self._server: Server | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(
            self._connection, "127.0.0.1", self.port, compression=None, max_size=wire.AGENT_FRAME_BYTES_MAX,
            process_request=self._authorise,
        )  # fmt: skip
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    def _authorise(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/agent":
            return connection.respond(404, "no\n")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return connection.respond(401, "no\n")
        return None

    async def _connection(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        try:
            async for data in connection:
                await self._received(connection, data)
        finally:
            self.connections.discard(connection)

    async def _received(self, connection: ServerConnection, data: str | bytes) -> None:
        if isinstance(data, bytes):
            await self._frame(connection, data)
            return
        message = wire.decode_agent_message(data)
        if isinstance(message, wire.AgentHello):
            self.hellos.append(message)
            await self.send(self.welcome())
            return
        refusal = self.refuse(message)
        if refusal is not None:
            await connection.send(msgspec.json.encode({"t": "refused", "n": message.n, **refusal}).decode())
            return
        if not self.acknowledges:
            return
        if message.n in self.controls:
            self.repeats += 1
            assert self.controls[message.n] == message
        else:
            self.controls[message.n] = message
            self.order.append(message.n)
        answers: list[dict[str, Any]] = [{"t": "ack", "n": message.n}]
        if isinstance(message, wire.AgentStart):
            answers.append({"t": "started", "session": message.session})
        for answer in answers:
            await connection.send(msgspec.json.encode(answer).decode())

    async def _frame(self, connection: ServerConnection, data: bytes) -> None:
        length = int.from_bytes(data[:4], "big")
        header = wire.decode_frame_header(data[4 : 4 + length])
        picture = data[4 + length :]
        assert base64url(sha256(picture).digest()) == header.sha256
        refusal = self.refuse(header)
        if refusal is not None:
            await connection.send(msgspec.json.encode({"t": "refused", "id": header.id, **refusal}).decode())
            return
        if not self.acknowledges:
            return
        if header.id in self.frames:
            self.repeats += 1
        self.frames[header.id] = (header, picture)
        await connection.send(msgspec.json.encode({"t": "ack", "id": header.id}).decode())
        if self.confirms:
            await connection.send(msgspec.json.encode({"t": "frame_ok", "id": header.id}).decode())

    def welcome(self) -> dict[str, Any]:
        now = self.record_now()
        days = {utc_day(now + day * DAY_MS): base64url(SEED) for day in range(15)}
        return {
            "t": "welcome", "server_time": instant_text(now), "clock_rate": self.clock_rate, "limits": {},
            "seeds": {ROOM: days},
            "rooms": [{"id": ROOM, "title": self.title, "time_zone": "Europe/Lisbon", "work_view": True}],
        }  # fmt: skip

    async def send(self, message: dict[str, Any]) -> None:
        """Send to every tracker that is connected."""
        for connection in self.connections:
            await connection.send(msgspec.json.encode(message).decode())

    async def close_all(self, code: int, reason: str = "") -> None:
        for connection in list(self.connections):
            await connection.close(code, reason)

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the control messages of a kind, in the order in which they arrived."""
        return [self.controls[n] for n in self.order if isinstance(self.controls[n], kind)]


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what `condition` returns as soon as it is true.

    Raises:
        AssertionError: if that takes too long.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("the condition did not come true in time")


@contextlib.asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    server = FakeServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
