"""The fast lane: uvicorn's WebSocket protocol, whose connections can be adopted and written to directly.

After the handshake an endpoint gives its connection to a session (`Lane.adopt`) and returns. From then on messages
reach `session.message` straight from the transport, and `Lane.write` puts complete frames straight into it: no task,
no queue, no scope per connection.

Rule 1: a lane never blocks and never raises to its writer; a peer that is too far behind is dropped and resumes by seq.
Rule 2: everything a peer can make grow has a limit: buffers, pings, fragments (defects A to C: docs/adr/0003).
Rule 3: this subclass uses private names of uvicorn 0.54 and websockets 17.4; a test asserts that they exist.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any, Protocol, cast

import structlog
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from app.domain.wire import AGENT_FRAME_BYTES_MAX, WS_FRAME_BYTES_MAX

BUFFER_HIGH_BYTES = 256 * 1024  # above it a connection is not writable; a page of replay is 128 KiB
BUFFER_LOW_BYTES = 64 * 1024
BUFFER_BYTES_MAX = 1024 * 1024  # above it the peer is dropped: it will resume by seq
SEND_BUFFER_BYTES = 256 * 1024  # of the kernel, which would otherwise hide megabytes from us
USER_TIMEOUT_MS = 45_000  # unacknowledged data for longer than this: the peer is gone (two heartbeats are 50 s)
FRAGMENTS_PER_MESSAGE_MAX = 1_024  # a browser sends one; an empty fragment costs us memory and the peer nothing
CONTROL_FRAMES_UNREAD_BYTES_MAX = BUFFER_HIGH_BYTES  # pongs to a peer that pings and does not read
ABORT_AFTER_SECONDS = 1.0  # after a failed keep-alive: close() alone never ends while the peer does not read
MESSAGE_BYTES_MAX = {"/ws": WS_FRAME_BYTES_MAX, "/agent": AGENT_FRAME_BYTES_MAX}  # by path, set at the handshake
LANE = "workroom.lane"  # the name of the scope's extension

_LINGER_NOT = struct.pack("ii", 1, 0)  # reset instead of sending on

log = structlog.get_logger()


def text_frame(payload: bytes) -> bytes:
    """Return one complete, unmasked, uncompressed text frame of a server (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Session(Protocol):
    """Who gets a connection's messages once it is adopted. Called from the transport: must not block."""

    def message(self, data: str | bytes) -> None: ...

    def writable(self) -> None: ...

    def closed(self) -> None: ...


class Lane(Protocol):
    """What a session may do with its connection."""

    @property
    def is_open(self) -> bool: ...

    @property
    def is_writable(self) -> bool: ...

    @property
    def is_drained(self) -> bool: ...

    def adopt(self, session: Session) -> None: ...

    def write(self, frames: bytes) -> None: ...

    def write_text(self, text: str) -> None: ...

    def close(self, code: int, reason: str = "") -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class _Writable:
    """What is left of an `asyncio.Event` that nobody waits for: 50 bytes instead of 750."""

    __slots__ = ("_is_set",)

    def __init__(self, is_set: bool) -> None:
        self._is_set = is_set

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False


class FastLaneProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which can outlive its ASGI task. It is its own `Lane`."""

    _session: Session | None = None
    _fragments = 0

    # For sessions: the Lane

    @property
    def is_open(self) -> bool:
        """Whether frames can still be written."""
        return self.conn.state is State.OPEN and not self.transport.is_closing()

    @property
    def is_writable(self) -> bool:
        """Whether the connection is open and little is buffered."""
        return self.writable.is_set() and self.conn.state is State.OPEN and not self.transport.is_closing()

    @property
    def is_drained(self) -> bool:
        """Whether nothing is buffered here; the kernel may still hold something."""
        return self.transport.get_write_buffer_size() == 0

    def adopt(self, session: Session) -> None:
        """Give the connection to `session`. Call it after accepting, as the endpoint's last act."""
        self._session = session
        early = []
        while not self.queue.empty():
            early.append(self.queue.get_nowait())
        # Fourteen KiB a connection that nobody needs any more. The parser's frame holds the request for good.
        for message in (self.request, self.response):
            if message is not None:
                message.headers.clear()
        self.request = self.response = self.scope = self.queue = None  # type: ignore[assignment]
        self.client = self.server = None
        self.writable = _Writable(self.writable.is_set())  # type: ignore[assignment]
        for event in early:  # arrived during the handshake
            if event["type"] == "websocket.receive":
                self._deliver(event.get("text") or event.get("bytes") or "")
            elif event["type"] == "websocket.disconnect":
                session.closed()
                self._session = None
                return
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def write(self, frames: bytes) -> None:
        """Write one or more complete frames; a peer too far behind is dropped."""
        transport = self.transport
        if self.conn.state is not State.OPEN or transport.is_closing():
            return
        if transport.get_write_buffer_size() + len(frames) > BUFFER_BYTES_MAX:
            self.abort()
        else:
            transport.write(frames)

    def write_text(self, text: str) -> None:
        """Write one text message."""
        self.write(text_frame(text.encode()))

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code; the transport goes at the latest a second later."""
        if not self.is_open:
            return
        self.stop_keepalive()
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._end_soon()

    def abort(self) -> None:
        """Drop the connection without a word, with what the kernel holds for it: half a MiB for a minute, else."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None and not self.transport.is_closing():
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()

    def pause_reading(self) -> None:
        """Take no more messages until `resume_reading`: the peer's kernel waits."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again."""
        if self.read_paused:
            self.read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    # What uvicorn does, plus our limits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(BUFFER_HIGH_BYTES, BUFFER_LOW_BYTES)
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def handle_connect(self, event: Request) -> None:
        limit = MESSAGE_BYTES_MAX.get(event.path.partition("?")[0])
        if limit is not None:
            self.conn.max_message_size = self.conn.max_fragment_size = limit
        super().handle_connect(event)  # builds self.scope unless it refuses; the ASGI task starts later
        scope = getattr(self, "scope", None)
        if scope is not None:
            cast(dict[str, Any], scope)["extensions"][LANE] = self

    async def run_asgi(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except Exception:  # the edge: what an endpoint did not expect
            log.exception("websocket endpoint failed")
            self.send_500_response()
        if self._session is None and self.close_timer is None:
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        self._fragments += 1
        if self._fragments > FRAGMENTS_PER_MESSAGE_MAX:  # defect C: empty fragments grow a list for ever
            self._fail(1008, "too many fragments")
            return
        super().handle_cont(event)

    def handle_text(self, event: Frame) -> None:
        self._fragments = 0
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self._fragments = 0
        super().handle_bytes(event)

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > CONTROL_FRAMES_UNREAD_BYTES_MAX:
            self.abort()  # defect C: it pings, and does not read our pongs
            return
        super().handle_ping()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._end_soon()  # defect B

    def shutdown(self) -> None:
        if self._session is None and self.conn.state is State.OPEN:
            super().shutdown()
            return
        self.stop_keepalive()
        if self.conn.state is State.OPEN:  # defect A: a close begun by the peer would raise InvalidState here
            self.conn.send_close(1012)
            self.transport.write(b"".join(self.conn.data_to_send()))
        elif self.conn.state is State.CONNECTING:
            self.send_500_response()
        self.transport.close()
        self._end_soon()

    # What changes while adopted

    def send_receive_event_to_app(self) -> None:
        if self._session is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self._deliver(bytes(data))
            return
        try:
            text = data.decode() if isinstance(data, bytes) else bytes(data).decode()
        except UnicodeDecodeError:
            self._fail(1007, "not UTF-8")
            return
        self._deliver(text)

    def _deliver(self, data: str | bytes) -> None:
        assert self._session is not None
        try:
            self._session.message(data)
        except Exception:  # the edge: one message must not take down the transport's callback
            log.exception("message callback failed")
            self._fail(1011, "internal error")

    def handle_parser_exception(self) -> None:
        if self._session is None:
            super().handle_parser_exception()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))  # the close frame: 1002, 1007 or 1009
        self.close_sent = True
        self.transport.close()
        self._end_soon()

    def handle_close(self, event: Frame) -> None:
        if self._session is None:
            super().handle_close(event)
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self._end_soon()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._session is not None:
            self._session.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session is None:
            if self.queue is not None:
                super().connection_lost(exc)
            return
        self.stop_keepalive()
        self.connections.discard(self)
        self.writable.set()
        self.disconnected = True
        session, self._session = self._session, None
        session.closed()

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self._end_soon()

    def _end_soon(self) -> None:
        self.loop.call_later(ABORT_AFTER_SECONDS, self.transport.abort)
