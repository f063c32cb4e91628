"""The fast lane over real sockets: adoption, limits, and the defects of uvicorn that it mends."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from realtime.adoption import adopt, texts_of_frames
from realtime.fastlane import BUFFER_BYTES_MAX, FRAGMENTS_PER_MESSAGE_MAX, FastLaneProtocol, Lane, text_frame

DEADLINE_SECONDS = 10.0


class Echo:
    """Answers every message with the same text, and remembers what happened."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.messages: list[str | bytes] = []
        self.is_closed = asyncio.Event()

    def message(self, data: str | bytes) -> None:
        self.messages.append(data)
        if data == "raise":
            raise RuntimeError("a bug in a callback")
        self.lane.write_text(data if isinstance(data, str) else "bytes")

    def writable(self) -> None:
        self.lane.write_text("writable again")

    def closed(self) -> None:
        self.is_closed.set()


class Running:
    """A server with an echo endpoint; `sessions` are those it adopted."""

    def __init__(self, port: int, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        self.port = port
        self.server = server
        self.serving = serving
        self.sessions: list[Echo] = []

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def session(self, count: int = 1) -> Echo:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.sessions) < count:
                await asyncio.sleep(0.01)
        return self.sessions[count - 1]


@asynccontextmanager
async def echo_server(before_adoption_seconds: float = 0, **options: Any) -> AsyncIterator[Running]:
    sessions: list[Echo] = []

    def make_session(lane: Lane) -> Echo:
        sessions.append(Echo(lane))
        return sessions[-1]

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(before_adoption_seconds)
        await adopt(websocket, make_session)

    app = Starlette(routes=[WebSocketRoute("/ws", endpoint)])
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    listening.setblocking(False)
    config = uvicorn.Config(
        app,
        **{"ws": FastLaneProtocol, "ws_per_message_deflate": False, "lifespan": "off", "log_level": "critical"}
        | options,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    running = Running(listening.getsockname()[1], server, serving)
    running.sessions = sessions
    try:
        yield running
    finally:
        server.should_exit = True
        async with asyncio.timeout(DEADLINE_SECONDS):
            await serving


async def raw_connection(running: Running, receive_buffer: int | None = None) -> socket.socket:
    """Open a WebSocket by hand and return its socket, past the handshake."""
    raw = socket.socket()
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", running.port))
    request = (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(raw, request.encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await loop.sock_recv(raw, 1)
    assert head.startswith(b"HTTP/1.1 101")
    return raw


def masked(opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
    """Return a client's frame; the mask is zero, so the payload stays readable."""
    size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0xFE, len(payload))
    return struct.pack("!B", (0x80 if fin else 0) | opcode) + size + bytes(4) + payload


async def ends(session: Echo) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await session.is_closed.wait()


def test_the_private_names_that_the_fast_lane_uses_exist() -> None:
    names = (
        "run_asgi", "handle_connect", "handle_cont", "handle_text", "handle_bytes", "handle_ping", "handle_close",
        "handle_parser_exception", "send_receive_event_to_app", "send_500_response", "keepalive_timeout",
        "stop_keepalive", "shutdown", "resume_writing", "connection_made", "connection_lost",
    )  # fmt: skip
    for name in names:
        assert callable(getattr(WebSocketsSansIOProtocol, name)), name
    source = WebSocketsSansIOProtocol.__init__.__code__.co_names
    for attribute in ("conn", "queue", "writable", "read_paused", "frames", "curr_msg_data_type", "close_sent"):
        assert attribute in source, attribute


async def test_an_adopted_connection_outlives_its_endpoint() -> None:
    async with echo_server() as running, connect(running.url) as connection:
        session = await running.session()
        assert not running.server.server_state.tasks or await _no_tasks(running)
        for text in ("one", "two", "x" * 70_000):
            await connection.send(text)
            assert await connection.recv() == text
        await connection.close()
        await ends(session)
        assert not running.server.server_state.connections


async def _no_tasks(running: Running) -> bool:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while running.server.server_state.tasks:
            await asyncio.sleep(0.01)
    return True


async def test_messages_that_come_before_the_adoption_are_not_lost() -> None:
    async with echo_server(before_adoption_seconds=0.2) as running, connect(running.url) as connection:
        await connection.send("early")
        await connection.send("next")
        assert [await connection.recv(), await connection.recv()] == ["early", "next"]


async def test_a_peer_that_leaves_before_the_adoption_is_closed() -> None:
    async with echo_server(before_adoption_seconds=0.2) as running:
        async with connect(running.url):
            pass
        await ends(await running.session())


async def test_a_bug_in_a_callback_ends_one_connection_only() -> None:
    async with echo_server() as running, connect(running.url) as other, connect(running.url) as connection:
        await connection.send("raise")
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        await other.send("fine")
        assert await other.recv() == "fine"


async def test_who_does_not_read_is_dropped_before_it_costs_more_than_its_buffer() -> None:
    async with echo_server() as running:
        raw = await raw_connection(running, receive_buffer=4096)
        session = await running.session()
        piece = text_frame(b"x" * 60_000)
        for _ in range(2 * BUFFER_BYTES_MAX // len(piece) + 20):
            session.lane.write(piece)
            await asyncio.sleep(0)
        await ends(session)
        raw.close()


async def test_a_peer_that_reads_again_is_told_to_go_on() -> None:
    async with echo_server() as running, connect(running.url, max_queue=1) as connection:
        session = await running.session()
        piece = text_frame(b"x" * 60_000)
        while session.lane.is_writable:
            session.lane.write(piece)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await connection.recv() != "writable again":
                pass


async def test_a_flood_of_pings_that_nobody_reads_is_cut() -> None:
    async with echo_server() as running:
        raw = await raw_connection(running, receive_buffer=4096)
        session = await running.session()
        flood = masked(9, b"p" * 120) * 500
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError):
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not session.is_closed.is_set():
                    await loop.sock_sendall(raw, flood)
                raise ConnectionResetError
        await ends(session)
        raw.close()


async def test_a_flood_of_empty_fragments_is_cut() -> None:
    async with echo_server() as running:
        raw = await raw_connection(running)
        session = await running.session()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, masked(1, b"", fin=False))
        await loop.sock_sendall(raw, masked(0, b"", fin=False) * (FRAGMENTS_PER_MESSAGE_MAX + 10))
        await ends(session)
        assert session.messages == []
        raw.close()


async def test_fragments_within_the_limit_are_one_message() -> None:
    async with echo_server() as running, connect(running.url) as connection:
        await connection.send(["a", "b", "c"])
        assert await connection.recv() == "abc"


async def test_a_peer_that_answers_no_ping_and_reads_nothing_is_gone_a_second_later() -> None:
    async with echo_server(ws_ping_interval=0.2, ws_ping_timeout=0.2) as running:
        raw = await raw_connection(running, receive_buffer=4096)
        session = await running.session()
        piece = text_frame(b"x" * 30_000)
        for _ in range(10):
            session.lane.write(piece)
        await ends(session)
        assert not running.server.server_state.connections
        raw.close()


async def test_stopping_while_a_peer_closes_and_does_not_read_ends_cleanly() -> None:
    async with echo_server(timeout_graceful_shutdown=1) as running:
        raw = await raw_connection(running, receive_buffer=4096)
        session = await running.session()
        for _ in range(12):
            session.lane.write(text_frame(b"x" * 60_000))
        await asyncio.get_running_loop().sock_sendall(raw, masked(8, struct.pack("!H", 1000)))
        await asyncio.sleep(0.05)
    assert running.serving.exception() is None
    raw.close()


async def test_stopping_closes_adopted_connections_with_1012() -> None:
    async with echo_server() as running:
        connection = await connect(running.url)
        await running.session()
    with pytest.raises(ConnectionClosed) as closed:
        await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_without_the_fast_lane_a_session_sees_the_same() -> None:
    async with echo_server(ws="websockets-sansio") as running, connect(running.url) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"
        session = await running.session()
        session.lane.write(text_frame(b"one") + text_frame(b"two" * 100))
        assert [await connection.recv(), await connection.recv()] == ["one", "two" * 100]
        session.lane.close(4001, "resync")
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
        await ends(session)
        assert session.messages == ["hello"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_are_written_as_they_are_read(size: int) -> None:
    assert texts_of_frames(text_frame(b"x" * size) * 2) == ["x" * size] * 2
