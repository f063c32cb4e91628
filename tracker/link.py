"""The link to the server: one WebSocket that sends what the spool holds, and applies the answers to it.

Rule 1: only what is durable in the spool is sent, control messages in the order of `n`, then frames whose hold is over.
Rule 2: after a reconnect everything that is not acknowledged is sent again, in order; repeats change nothing.
Rule 3: a temporary refusal is tried again later; a final one moves to the refusals. Nothing is dropped silently.
Rule 4: close codes 4000 to 4399 mean connect again, 4400 to 4999 do not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from app.domain.record import base64url_bytes
from app.domain.timerange import instant_of
from tracker.clock import Clock
from tracker.spool import Room, Spool

BACK_OFF_SECONDS_MAX = 8.0
CONTROL_IN_FLIGHT_MAX = 64  # one group commit of the server
FRAMES_IN_FLIGHT_MAX = 2  # up to 4 MiB each: one is on its way while the other is made durable
INBOUND_BYTES_MAX = 1024 * 1024  # a welcome with 14 days of seeds for a few hundred rooms
ACKNOWLEDGE_SECONDS = 0.05  # acknowledgements are gathered this long into one transaction
OPEN_SECONDS_MAX = 10.0


class LinkState(StrEnum):
    OFFLINE = "offline"
    ONLINE = "online"
    CLOSED = "closed"


Message = dict[str, Any]


def agent_address(server: str) -> str:
    """Return the WebSocket address of a server given as `http://host:port`."""
    parts = urlsplit(server)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/agent", "", ""))


def back_off_seconds(failures: int) -> float:
    """Return how long to wait before the next attempt: full jitter, 8 s at most."""
    return random.uniform(0, min(BACK_OFF_SECONDS_MAX, 0.25 * 2 ** min(failures, 10)))


class Link:
    """Keeps the connection. `on_message` hears what the server says beyond acknowledgements, and state changes."""

    def __init__(
        self,
        server: str,
        token: str,
        hello: Message,
        spool: Spool,
        clock: Clock,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> None:
        self._server = server
        self._address = agent_address(server)
        self._local = urlsplit(server).hostname in ("localhost", "127.0.0.1", "::1")
        self._token = token
        self._hello = {"t": "hello", **hello}
        self._spool = spool
        self._clock = clock
        self._on_message = on_message
        self.state = LinkState.OFFLINE
        # Why the last attempt failed, in a sentence; empty while online.
        self.trouble = ""
        # How far the record's clock here is ahead of the server's, in real ms, as of the last welcome.
        self.skew_ms = 0
        self.welcomed = asyncio.Event()
        self._wake = asyncio.Event()
        self._acknowledged: list[int] = []
        self._flush_handle: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._handlers: dict[str, Callable[[Message], None]] = {
            "welcome": self._welcome,
            "started": self._started,
            "ack": self._ack,
            "frame_ok": self._frame_ok,
            "frame_bad": self._frame_bad,
            "frame_deleted": self._frame_deleted,
            "refused": self._refused,
        }
        self._reset_connection()

    def _reset_connection(self) -> None:
        # The highest n sent on this connection, and the ns that wait for an answer.
        self._sent_to = 0
        self._controls_out: set[int] = set()
        # Frames sent on this connection, and those of them that wait for an answer.
        self._frames_sent: set[str] = set()
        self._frames_out: set[str] = set()
        self._online = False
        self._refusals_in_row = 0
        self._again_at = 0.0

    def wake(self) -> None:
        """Tell the link that the spool holds something new."""
        self._settled.clear()
        self._wake.set()

    def closed(self) -> bool:
        """Whether the server said not to connect again."""
        return self.state is LinkState.CLOSED

    def settled(self) -> bool:
        """Whether everything in the spool is acknowledged."""
        self._flush()
        return not self._spool.queued_messages() and not self._spool.waiting_frames()

    async def wait_settled(self) -> None:
        """Return when everything in the spool is acknowledged, frames on hold included."""
        while not self.settled():
            self._settled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._settled.wait()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled or until the server says not to."""
        failures = 0
        while not self.closed():
            try:
                async with connect(
                    self._address,
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    compression=None,
                    max_size=INBOUND_BYTES_MAX,
                    open_timeout=OPEN_SECONDS_MAX,
                    close_timeout=1,
                    proxy=None if self._local else True,
                ) as connection:
                    try:
                        await self._serve(connection)
                    finally:
                        if self._online:
                            failures = 0
            except InvalidStatus as error:
                self._failed(f"the server answered {error.response.status_code}",
                             final=error.response.status_code in (401, 403))  # fmt: skip
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd is not None else 1006
                reason = error.rcvd.reason if error.rcvd is not None else ""
                self._failed(_closing(code, reason), final=4400 <= code <= 4999)
            except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
                self._failed(str(error) or type(error).__name__)
            self._flush()
            failures += 1
            if not self.closed():
                await asyncio.sleep(back_off_seconds(failures))

    def _failed(self, trouble: str, final: bool = False) -> None:
        changed = self.state is not LinkState.OFFLINE or self.trouble != trouble
        self.trouble = trouble
        self.state = LinkState.CLOSED if final else LinkState.OFFLINE
        if changed:
            self._on_message({"t": "link", "state": self.state, "trouble": trouble})

    async def _serve(self, connection: ClientConnection) -> None:
        """Say hello, then receive and send until the connection closes."""
        self._reset_connection()
        await connection.send(msgspec.json.encode(self._hello).decode())
        sender = asyncio.create_task(self._send(connection))
        try:
            while True:
                data = await connection.recv()
                with suppress(msgspec.DecodeError):
                    message = msgspec.json.decode(data)
                    if isinstance(message, dict):
                        self._receive(message)
        except asyncio.CancelledError:
            await connection.close(1001)
            raise
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await sender
            self._frames_out.clear()

    # Sending

    async def _send(self, connection: ClientConnection) -> None:
        while True:
            self._wake.clear()
            pause: float | None = None
            loop = asyncio.get_running_loop()
            if not self._online:
                pause = None
            elif loop.time() < self._again_at:
                pause = self._again_at - loop.time()
            else:
                if await self._send_controls(connection):
                    pause = await self._send_frames(connection)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _send_controls(self, connection: ClientConnection) -> bool:
        """Send control messages; return whether all of them have been sent on this connection."""
        while True:
            room = CONTROL_IN_FLIGHT_MAX - len(self._controls_out)
            if room <= 0:
                return False
            batch = self._spool.messages_after(self._sent_to, room)
            if not batch:
                return True
            for n, _, payload in batch:
                self._sent_to = n
                self._controls_out.add(n)
                await connection.send(payload.decode())

    async def _send_frames(self, connection: ClientConnection) -> float | None:
        """Send frames whose hold is over; return in how many seconds the next one's will be."""
        now = self._clock.record_now()
        next_due: float | None = None
        for frame in self._spool.waiting_frames() + self._unconfirmed_once():
            if frame.id in self._frames_sent:
                continue
            if frame.due_at > now:
                seconds = self._clock.seconds_until(frame.due_at)
                next_due = seconds if next_due is None else min(next_due, seconds)
                continue
            if len(self._frames_out) >= FRAMES_IN_FLIGHT_MAX:
                return next_due
            message = self._spool.frame_message(frame.id)
            self._frames_sent.add(frame.id)
            if message is not None:
                self._frames_out.add(frame.id)
                await connection.send(message)
        return next_due

    def _unconfirmed_once(self) -> list[Any]:
        """Return frames acknowledged on an earlier connection: their confirmation may have been lost with it."""
        return [f for f in self._spool.unconfirmed_frames() if f.id not in self._frames_sent]

    # Receiving

    def _receive(self, message: Message) -> None:
        handler = self._handlers.get(str(message.get("t")))
        try:
            if handler is not None:
                handler(message)
        except (KeyError, TypeError, ValueError) as error:
            self._on_message({"t": "odd", "message": message, "error": repr(error)})
            return
        if message.get("t") != "ack":
            self._on_message(message)
        self._wake.set()

    def _welcome(self, message: Message) -> None:
        if "server_time" in message:
            there = instant_of(datetime.fromisoformat(str(message["server_time"])))
            if self._clock.follow(there, int(message.get("clock_rate", 1))):
                self._spool.store_pace(self._server, self._clock.pace)
            self.skew_ms = (self._clock.record_now() - there) // self._clock.rate()
        rooms = [msgspec.convert(room, Room) for room in message.get("rooms", [])]
        seeds = {
            room: {day: base64url_bytes(seed) for day, seed in days.items()}
            for room, days in message.get("seeds", {}).items()
        }
        self._spool.store_welcome(rooms, seeds, self._clock.record_now())
        self._spool.remember("limits", msgspec.json.encode(message.get("limits", {})).decode())
        self._online = True
        self.state, self.trouble = LinkState.ONLINE, ""
        self.welcomed.set()

    def _started(self, message: Message) -> None:
        n = self._spool.start_number(str(message["session"]))
        self._spool.acknowledge_start(str(message["session"]))
        self._controls_out.discard(n or 0)
        self._answered()

    def _ack(self, message: Message) -> None:
        if "id" in message:
            self._frames_out.discard(str(message["id"]))
            self._spool.frame_stored(str(message["id"]))
            self._on_message(message)
        else:
            self._controls_out.discard(int(message["n"]))
            self._acknowledged.append(int(message["n"]))
            if self._flush_handle is None:
                self._flush_handle = asyncio.get_running_loop().call_later(ACKNOWLEDGE_SECONDS, self._flush)
        self._refusals_in_row = 0
        self._answered()

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if self._acknowledged:
            self._spool.acknowledge(self._acknowledged)
            self._acknowledged.clear()

    def _frame_ok(self, message: Message) -> None:
        self._frames_out.discard(str(message["id"]))
        self._spool.frame_confirmed(str(message["id"]))
        self._answered()

    def _frame_bad(self, message: Message) -> None:
        reason = str(message.get("reason", "the picture could not be read"))
        self._spool.refuse_frame(str(message["id"]), "bad_image", reason, self._clock.real_now())

    def _frame_deleted(self, message: Message) -> None:
        self._spool.drop_frame(str(message["id"]))

    def _refused(self, message: Message) -> None:
        code, reason = str(message["code"]), str(message.get("message", ""))
        # What follows a `start` that was put off is refused with it; both can succeed together later.
        follows = code == "unknown_session" and self._spool.start_is_queued_for(message.get("id") or message["n"])
        if message.get("temporary") or follows:
            self._try_again(message)
            return
        if "id" in message:
            self._frames_out.discard(str(message["id"]))
            self._spool.refuse_frame(str(message["id"]), code, reason, self._clock.real_now())
        else:
            self._controls_out.discard(int(message["n"]))
            refused = self._spool.refuse_message(int(message["n"]), code, reason, self._clock.real_now())
            if refused is not None:
                message["session"], message["what"] = refused
        self._answered()

    def _try_again(self, message: Message) -> None:
        """Send everything unanswered again after a pause: the order of control messages must hold."""
        self._refusals_in_row += 1
        pause = float(message.get("retry_after") or back_off_seconds(self._refusals_in_row))
        self._again_at = asyncio.get_running_loop().time() + min(pause, 60.0)
        self._sent_to = 0
        self._controls_out.clear()
        self._frames_sent -= self._frames_out
        self._frames_out.clear()

    def _answered(self) -> None:
        self._settled.set()


def _closing(code: int, reason: str) -> str:
    known = {
        4401: "the server does not know this device any more; pair it again",
        4403: "this account may not track here",
        4429: "too many connections of this account",
    }
    return known.get(code) or f"the connection closed ({code}{' ' + reason if reason else ''})"
