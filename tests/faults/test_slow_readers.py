"""A thousand clients that never read, in a busy workroom: memory is bounded, others notice nothing, and they go."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from pathlib import Path

import msgspec
import pytest
from websockets.frames import Frame, Opcode

from realtime.channel import PIECE_BYTES
from realtime.fastlane import BUFFER_HIGH_BYTES
from realtime.hub import STALLED_SECONDS_MAX
from tests.faults.load import Ledger, Sayer, connected
from tests.faults.process import ServerProcess, Workplace, furnish, server_on, until

pytestmark = pytest.mark.faults

CLIENTS = 1_000
RECEIVE_BUFFER_BYTES = 2_048
SAYS_PER_SECOND = 50
TEXT = "lorem ipsum " * 700  # 8 KiB: fills every buffer on the way within seconds
WINDOW_SECONDS = 1.0
WINDOWS_BESIDE = 2
# What waits for clients in step is one object, whoever they are: a buffer for each would be 256 MiB.
MEMORY_GROWTH_BYTES_MAX = CLIENTS * BUFFER_HIGH_BYTES // 4
CLIENTS_BEHIND = 300
ENTRIES_BEHIND = 600
# Each holds a piece of its own; a page for each would be 240 MiB.
STARTING_BYTES_MAX = 32 * 2**20  # what a server that has just started loads and indexes meanwhile
MEMORY_BEHIND_BYTES_MAX = CLIENTS_BEHIND * 2 * PIECE_BYTES + STARTING_BYTES_MAX
DROPPED_SECONDS_MAX = STALLED_SECONDS_MAX + 15
# The p99 of a window is the slowest of its says; beside other tests on two cores a scheduler's turn is this long.
NOISE_SECONDS = 0.010
BUSY_SECONDS = 0.050


class Watcher:
    """Reads all that is said, and measures how long each took from being sent to being seen."""

    def __init__(self, server: ServerProcess, place: Workplace, sayer: Sayer) -> None:
        self.delays: list[float] = []
        self.head = 4
        self._server = server
        self._place = place
        self._sayer = sayer

    async def watch(self) -> None:
        """Read until cancelled; every entry must come, once, in order."""
        loop = asyncio.get_running_loop()
        async with connected(self._server.ws_url, self._place.freelancer_token) as connection:
            hello = {"t": "hello", "v": 1, "view": "json", "rooms": {self._place.room: self.head}}
            await connection.send(msgspec.json.encode(hello).decode())
            async for data in connection:
                message = msgspec.json.decode(data)
                if message.get("t") == "entry":
                    assert message["seq"] == self.head + 1
                    self.head += 1
                    self.delays.append(loop.time() - self._sayer.sent_at.get(message["entry"]["cid"], 0.0))

    async def windows(self, count: int) -> list[float]:
        """Return the p99 of each of the next windows, in seconds."""
        return [await self.window() for _ in range(count)]

    async def window(self) -> float:
        """Return the p99 of the next window, in seconds."""
        self.delays.clear()
        await asyncio.sleep(WINDOW_SECONDS)
        assert self.delays, "nothing arrives any more"
        return sorted(self.delays)[int(len(self.delays) * 0.99)]


def open_deaf(server: ServerProcess, place: Workplace, after: int) -> socket.socket:
    """Connect a client that says hello, joins, and never reads again."""
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {place.client_token}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    hello = msgspec.json.encode({"t": "hello", "v": 1, "view": "json", "rooms": {place.room: after}})
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    client.settimeout(10)
    client.connect(("127.0.0.1", server.port))
    client.sendall(request)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    client.sendall(Frame(Opcode.TEXT, hello).serialize(mask=True))
    return client


def count_gone(clients: list[socket.socket]) -> int:
    """Return how many connections the server has broken off; nothing is read for that."""
    poll = select.poll()
    for client in clients:
        poll.register(client, 0)  # errors and hang-ups are always told
    return len(poll.poll(0))


def _quiet(windows: list[float]) -> float:
    """Return the lower quartile: what else runs on the machine only ever adds."""
    return sorted(windows)[len(windows) // 4]


async def test_a_thousand_clients_that_never_read_cost_little_and_are_dropped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server:
        sayer = Sayer(server, place.client_token, place.room)
        watcher = Watcher(server, place, sayer)
        ledger = Ledger(server, place.client_token, place.room)
        running = [asyncio.create_task(watcher.watch()), asyncio.create_task(sayer.run(SAYS_PER_SECOND, TEXT))]
        await until(lambda: watcher.delays)
        before = await watcher.windows(WINDOWS_BESIDE)
        memory = server.resident_bytes()
        deaf: list[socket.socket] = []
        try:
            while len(deaf) < CLIENTS:
                deaf.append(await asyncio.to_thread(open_deaf, server, place, watcher.head))
            opened = time.monotonic()
            during, most = [], memory
            while count_gone(deaf) < CLIENTS:
                assert time.monotonic() - opened < DROPPED_SECONDS_MAX, "they are not dropped"
                during.append(await watcher.window())
                most = max(most, server.resident_bytes())
        finally:
            for client in deaf:
                client.close()
        seconds = time.monotonic() - opened
        afterwards = await watcher.windows(WINDOWS_BESIDE)
        assert not any(task.done() for task in running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await sayer.settle()
        await ledger.read_on()
        ledger.check([sayer], [])
        assert not server.bugs()
    beside, meanwhile = _quiet(before + afterwards), _quiet(during)
    print(
        f"{CLIENTS} clients that never read: p99 {1000 * beside:.1f} ms without them, {1000 * meanwhile:.1f} ms while"
        f" they stayed ({seconds:.0f} s), {(most - memory) / 2**20:.0f} MiB more memory"
    )
    assert most - memory < MEMORY_GROWTH_BYTES_MAX
    if beside < BUSY_SECONDS:  # else the machine is so busy with other things that this says nothing
        assert meanwhile <= 2 * beside + NOISE_SECONDS


async def test_clients_that_come_back_from_far_behind_and_never_read_hold_a_piece_each(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server:
        sayer = Sayer(server, place.client_token, place.room)
        for number in range(ENTRIES_BEHIND):
            sayer.waiting[f"behind-{number:04}"] = TEXT
        await sayer.settle()
        await server.stop()
        await server.start()  # nothing of it is in memory
        memory = server.resident_bytes()
        deaf: list[socket.socket] = []
        try:
            while len(deaf) < CLIENTS_BEHIND:
                deaf.append(await asyncio.to_thread(open_deaf, server, place, 4))
            watcher = Watcher(server, place, sayer)
            watching = asyncio.create_task(watcher.watch())
            await until(lambda: watcher.head == ENTRIES_BEHIND + 4, what="who reads waits behind who does not")
            growth = server.resident_bytes() - memory
        finally:
            for client in deaf:
                client.close()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert not server.bugs()
    print(f"{CLIENTS_BEHIND} clients that never read what they missed: {growth / 2**20:.0f} MiB more memory")
    assert growth < MEMORY_BEHIND_BYTES_MAX
