"""Load: people who say and trackers that send frames at a steady pace, and the ledger that holds them to account.

Rule 1: each keeps what it sent until it was answered, and sends it again, with the same ids, on the next connection.
Rule 2: the ledger reads the record through the API as any program does.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, Protocol

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from app.domain.timerange import SEGMENT_MS, instant_text
from app.domain.wire import frame_message
from tests.faults.process import ServerProcess, Workplace
from tests.work import header, picture

BEAT_SECONDS = 0.02  # how finely the pace is kept
SAYS_AHEAD_MAX = 200  # unanswered on one connection; the server answers Busy at 256
PICTURES = 16
SETTLE_SECONDS_MAX = 30.0
PAGE_ENTRIES = 1000


@cache
def pictures() -> list[bytes]:
    """Return small pictures that differ."""
    return [picture(seed) for seed in range(PICTURES)]


@asynccontextmanager
async def connected(url: str, token: str) -> AsyncIterator[ClientConnection]:
    """Connect as a program with a bearer token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        url, additional_headers=headers, compression=None, max_queue=None, close_timeout=1
    ) as connection:
        yield connection


class Address(Protocol):
    """Where a server is reached."""

    @property
    def ws_url(self) -> str: ...


class Sayer:
    """Says at a steady pace into one room.

    By cid: `answered` has the seqs, `waiting` the texts, `sent_at` when each was sent first, by the loop's clock.
    """

    def __init__(self, server: Address, token: str, room: str) -> None:
        self.answered: dict[str, int] = {}
        self.waiting: dict[str, str] = {}
        self.sent_at: dict[str, float] = {}
        self.refused: Counter[str] = Counter()
        self._server = server
        self._token = token
        self._room = room

    async def run(self, per_second: float, text: str = "something about as long as people write it") -> None:
        """Say until the connection ends."""
        with suppress(ConnectionClosed, OSError, InvalidHandshake):
            async with connected(self._server.ws_url, self._token) as connection:
                await _send(connection, {"t": "hello", "v": 1, "view": "json", "rooms": {}})
                receiving = asyncio.create_task(self._receive(connection))
                try:
                    await self._say(connection, per_second, text, receiving)
                finally:
                    await connection.close()
                    await receiving

    async def settle(self) -> None:
        """Send again what was not answered, and wait until it is."""
        async with asyncio.timeout(SETTLE_SECONDS_MAX), connected(self._server.ws_url, self._token) as connection:
            await _send(connection, {"t": "hello", "v": 1, "view": "json", "rooms": {}})
            receiving = asyncio.create_task(self._receive(connection))
            while self.waiting:
                for cid in list(self.waiting)[:SAYS_AHEAD_MAX]:
                    await self._send_one(connection, cid)
                before = len(self.waiting)
                while self.waiting and len(self.waiting) > before - SAYS_AHEAD_MAX:
                    await asyncio.sleep(BEAT_SECONDS)
            await connection.close()
            await receiving

    async def _say(
        self, connection: ClientConnection, per_second: float, text: str, receiving: asyncio.Task[None]
    ) -> None:
        loop = asyncio.get_running_loop()
        begun, said = loop.time(), 0
        while not receiving.done():
            while said < (loop.time() - begun) * per_second and len(self.waiting) < SAYS_AHEAD_MAX:
                said += 1
                cid = str(uuid.uuid4())
                self.waiting[cid] = f"{said}: {text}"
                self.sent_at[cid] = loop.time()
                await self._send_one(connection, cid)
            await asyncio.sleep(BEAT_SECONDS)

    async def _send_one(self, connection: ClientConnection, cid: str) -> None:
        body = {"text": self.waiting[cid]}
        await _send(connection, {"t": "say", "room": self._room, "cid": cid, "kind": "message", "body": body})

    async def _receive(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for data in connection:
                message = msgspec.json.decode(data)
                match message.get("t"):
                    case "ok":
                        self.waiting.pop(message["cid"], None)
                        self.answered[message["cid"]] = message["seq"]
                    case "error":
                        assert message["temporary"], message
                        self.refused[message["code"]] += 1


class Framer:
    """A tracker that reports one long session at a steady pace: for each segment a tick and a frame.

    `acknowledged` holds ids of frames, `ticked` the `n` of ticks.
    """

    def __init__(self, server: ServerProcess, place: Workplace, at: int) -> None:
        self.acknowledged: set[str] = set()
        self.ticked: set[int] = set()
        self.decoded: set[str] = set()
        self.waiting: dict[str, bytes] = {}
        self.waiting_ticks: dict[int, dict[str, Any]] = {}
        self.refused: Counter[str] = Counter()
        self.session = str(uuid.uuid4())
        self.room = place.room
        self._server = server
        self._token = place.device_token
        self._at = at
        self._segments = itertools.count(at // SEGMENT_MS)
        self._numbers = itertools.count(10)  # those before are of the greeting
        self._welcomed = asyncio.Event()

    @asynccontextmanager
    async def tracking(self) -> AsyncIterator[ClientConnection]:
        """Connect, begin the session, or go on with it, and take what is answered."""
        self._welcomed.clear()
        async with connected(self._server.agent_url, self._token) as connection:
            receiving = asyncio.create_task(self._receive(connection))
            await _send(connection, {"t": "hello", "device": "desk", "n": 1})
            start = {"session": self.session, "room": self.room, "at": instant_text(self._at)}
            await _send(connection, {"t": "start", "n": 2, **start})
            try:
                async with asyncio.timeout(SETTLE_SECONDS_MAX):
                    waiting = asyncio.create_task(self._welcomed.wait())
                    await asyncio.wait({waiting, receiving}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                yield connection
            finally:
                await connection.close()
                await receiving

    async def run(self, per_second: float) -> None:
        """Send frames until the connection ends."""
        with suppress(ConnectionClosed, OSError, InvalidHandshake):
            async with self.tracking() as connection:
                loop = asyncio.get_running_loop()
                begun, sent = loop.time(), 0
                while True:
                    while sent < (loop.time() - begun) * per_second:
                        sent += 1
                        await self.send_frame(connection)
                    await asyncio.sleep(BEAT_SECONDS)

    async def settle(self) -> None:
        """Send again what was not acknowledged, and wait until it is."""
        async with asyncio.timeout(SETTLE_SECONDS_MAX), self.tracking() as connection:
            for tick in list(self.waiting_ticks.values()):
                await _send(connection, tick)
            for message in list(self.waiting.values()):
                await connection.send(message)
            while self.waiting or self.waiting_ticks:
                await asyncio.sleep(BEAT_SECONDS)

    async def send_frame(self, connection: ClientConnection) -> str:
        """Send the first minute of the next segment, and its frame; return the frame's id."""
        segment, n = next(self._segments), next(self._numbers)
        begin = segment * SEGMENT_MS
        minute = {"from": instant_text(begin), "to": instant_text(begin + 60_000)}
        self.waiting_ticks[n] = {"t": "tick", "n": n, "session": self.session, "documented": True, **minute}
        await _send(connection, self.waiting_ticks[n])
        data = pictures()[segment % PICTURES]
        head = header(self.session, begin + 30_000, data)
        self.waiting[head.id] = frame_message(head, data)
        await connection.send(self.waiting[head.id])
        return head.id

    async def _receive(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for data in connection:
                message = msgspec.json.decode(data)
                match message["t"]:
                    case "started":
                        self._welcomed.set()
                    case "ack" if "id" in message:
                        self.waiting.pop(message["id"], None)
                        self.acknowledged.add(message["id"])
                    case "ack":
                        self.waiting_ticks.pop(message["n"], None)
                        self.ticked.add(message["n"])
                    case "frame_ok":
                        self.decoded.add(message["id"])
                    case "refused":
                        assert message["temporary"], message
                        self.refused[message["code"]] += 1


class Ledger:
    """What the record of a room holds, read on through the API. `says` by cid and `frames` by id: their seqs."""

    def __init__(self, server: ServerProcess, token: str, room: str) -> None:
        self.says: dict[str, list[int]] = {}
        self.frames: dict[str, list[int]] = {}
        self.kinds: Counter[str] = Counter()
        self.head = -1
        self._server = server
        self._token = token
        self._room = room

    async def read_on(self) -> None:
        """Read what came since the last time; the seqs must have no gap."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with httpx.AsyncClient(base_url=self._server.url, headers=headers, timeout=20) as http:
            while True:
                parameters = {"after": self.head, "limit": PAGE_ENTRIES}
                answer = await http.get(f"/api/rooms/{self._room}/entries", params=parameters)
                answer.raise_for_status()
                page = answer.json()
                for entry in page["entries"]:
                    assert entry["seq"] == self.head + 1
                    self.head += 1
                    self._note(entry)
                if self.head >= page["head"]:
                    return

    def _note(self, entry: dict[str, Any]) -> None:
        self.kinds[entry["kind"]] += 1
        if entry["kind"] == "message":
            self.says.setdefault(entry["cid"], []).append(entry["seq"])
        elif entry["kind"] == "frame.taken":
            self.frames.setdefault(entry["body"]["frame"], []).append(entry["seq"])

    def check(self, sayers: Sequence[Sayer], framers: Sequence[Framer]) -> None:
        """Assert that what was acknowledged is there, under the seq that was told, and that nothing is there twice."""
        answered = {cid: [seq] for sayer in sayers for cid, seq in sayer.answered.items()}
        lost = {cid for cid, seqs in answered.items() if self.says.get(cid) != seqs}
        assert not lost, f"{len(lost)} of {len(answered)} acknowledged entries are not there, or elsewhere"
        frames = {id for framer in framers for id in framer.acknowledged}
        lost = frames - self.frames.keys()
        assert not lost, f"{len(lost)} of {len(frames)} acknowledged frames are not there"
        doubled = [key for table in (self.says, self.frames) for key, seqs in table.items() if len(seqs) != 1]
        assert not doubled, f"{len(doubled)} entries or frames are there more than once"


async def _send(connection: ClientConnection, message: dict[str, Any]) -> None:
    await connection.send(msgspec.json.encode(message).decode())
