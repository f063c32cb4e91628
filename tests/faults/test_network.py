"""The network fails at any byte: what was away comes back to every entry, once, in order; trackers lose nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from app.domain.timerange import DAY_MS
from tests.faults.load import Address, Ledger, Sayer, connected
from tests.faults.process import ROOT, Workplace, furnish, server_on, until
from tests.faults.proxy import proxy_to
from tracker.clock import CLOCK_VARIABLE
from tracker.home import HOME_VARIABLE

pytestmark = pytest.mark.faults

HEAD = 4  # of a workroom that was just opened
SAYS_PER_SECOND = 60
FAILURES = 20
BETWEEN_SECONDS = (0.05, 0.4)
SILENCE_SECONDS_MAX = 1.0  # then a viewer gives a connection up; browsers wait for two heartbeats
LARGE_MESSAGES = 120  # 3.5 MB: more than may wait for one connection
LARGE_TEXT = "x" * 30_000
TRACKER_RATE = 240  # segments of three seconds
TRACKER_LIVES = 3
LIFE_SECONDS = (2.0, 3.0)


class Viewer:
    """Reads a room, and comes back after every failure to where it was. `seqs` has all that it got."""

    def __init__(self, server: Address, place: Workplace, view: str = "json") -> None:
        self.seqs: list[int] = []
        self.connections = 0
        self._server = server
        self._place = place
        self._view = view

    @property
    def last(self) -> int:
        return self.seqs[-1] if self.seqs else HEAD

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            with suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS_MAX) as silence:
                    await self._read(silence)
            await asyncio.sleep(random.uniform(0, 0.1))

    async def _read(self, silence: asyncio.Timeout) -> None:
        async with connected(self._server.ws_url, self._place.freelancer_token) as connection:
            self.connections += 1
            hello = {"t": "hello", "v": 1, "view": self._view, "rooms": {self._place.room: self.last}}
            await connection.send(msgspec.json.encode(hello).decode())
            try:
                async for data in connection:
                    silence.reschedule(asyncio.get_running_loop().time() + SILENCE_SECONDS_MAX)
                    message: dict[str, Any] = msgspec.json.decode(data)
                    assert message.get("mode") != "reset"
                    if "seq" in message:
                        self.seqs.append(message["seq"])
            finally:
                connection.transport.abort()


async def test_a_viewer_whose_network_fails_sees_every_entry_once_in_order(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server, proxy_to(server) as proxy:
        viewers = [Viewer(proxy, place, view) for view in ("json", "timeline", "workview")]
        sayers = [Sayer(server, place.client_token, place.room), Sayer(proxy, place.client_token, place.room)]

        async def say(sayer: Sayer) -> None:
            while True:
                await sayer.run(SAYS_PER_SECOND / 2)
                await asyncio.sleep(0.05)

        saying = [asyncio.create_task(say(sayer)) for sayer in sayers]
        viewing = [asyncio.create_task(viewer.run()) for viewer in viewers]
        for _ in range(FAILURES):
            await asyncio.sleep(random.uniform(*BETWEEN_SECONDS))
            random.choice((proxy.cut, proxy.cut, proxy.silence))()
        proxy.cut()
        for task in saying:
            task.cancel()
        await asyncio.gather(*saying, return_exceptions=True)
        await asyncio.gather(*(sayer.settle() for sayer in sayers))
        ledger = Ledger(server, place.client_token, place.room)
        await ledger.read_on()
        ledger.check(sayers, [])
        await until(lambda: all(viewer.last == ledger.head for viewer in viewers), what="not all came back")
        for viewer in viewers:
            assert viewer.seqs == list(range(HEAD + 1, ledger.head + 1))
        assert not any(task.done() for task in viewing)
        for task in viewing:
            task.cancel()
        await asyncio.gather(*viewing, return_exceptions=True)
        assert not server.bugs()
    returns = sum(viewer.connections for viewer in viewers) - len(viewers)
    print(f"{proxy.cuts} connections failed; viewers came back {returns} times; {ledger.head + 1} entries")


async def test_who_missed_more_than_a_connection_may_hold_gets_all_of_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server:
        stays, ledger = Viewer(server, place), Ledger(server, place.client_token, place.room)
        staying = asyncio.create_task(stays.run())  # keeps the room's ring in memory
        sayer = Sayer(server, place.client_token, place.room)
        await until(lambda: stays.connections)
        saying = asyncio.create_task(sayer.run(SAYS_PER_SECOND, LARGE_TEXT))
        await until(lambda: len(stays.seqs) >= LARGE_MESSAGES)
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        await ledger.read_on()
        for from_memory in (True, False):
            back = Viewer(server, place)
            coming = asyncio.create_task(back.run())
            await until(lambda back=back: back.last == ledger.head, what="it does not get through")  # type: ignore[misc]
            assert back.seqs == list(range(HEAD + 1, ledger.head + 1))
            for task in (staying, coming):
                task.cancel()
            await asyncio.gather(staying, coming, return_exceptions=True)
            assert back.connections == 1
            if from_memory:  # then from the database
                await server.stop()
                await server.start()


class Tracker:
    """`python -m tracker` in a home folder, on a clock that runs faster from a week ago; it draws its screens."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "home" / "spool.sqlite"
        clock, now = folder / "clock.json", time.time_ns() // 1_000_000
        clock.write_bytes(
            msgspec.json.encode({"real_start": now, "record_start": now - 7 * DAY_MS, "rate": TRACKER_RATE})
        )
        self._log = folder / "tracker.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "DISPLAY"},
            HOME_VARIABLE: str(folder / "home"),
            CLOCK_VARIABLE: str(clock),
        }

    async def begin(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command."""
        with self._log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tracker", *arguments),
                cwd=ROOT,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    async def run(self, *arguments: str) -> None:
        """Run a command to its end."""
        process = await self.begin(*arguments)
        assert await asyncio.wait_for(process.wait(), 60) == 0, self._log.read_text(errors="replace")[-2000:]

    def rows(self, query: str) -> list[Any]:
        """Return what its spool holds."""
        with closing(sqlite3.connect(self.spool)) as database:
            return database.execute(query).fetchall()


async def test_a_tracker_that_is_cut_off_and_killed_brings_every_tick_and_frame_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server, proxy_to(server) as proxy:
        tracker = Tracker(tmp_path)
        await tracker.run("pair", proxy.url, "--token", place.device_token)
        for life in range(TRACKER_LIVES):
            process = await tracker.begin("start", place.room, "--hold", "0", "--drawn", "ana")
            until_death = time.monotonic() + random.uniform(*LIFE_SECONDS)
            await until(lambda life=life: len(tracker.rows("SELECT id FROM sessions")) > life)  # type: ignore[misc]
            while time.monotonic() < until_death:
                await asyncio.sleep(random.uniform(*BETWEEN_SECONDS))
                random.choice((proxy.cut, proxy.silence))()
            process.send_signal(signal.SIGKILL)
            await process.wait()
        proxy.cut()
        await tracker.run("send")

        assert tracker.rows("SELECT * FROM refusals") == [] and tracker.rows("SELECT * FROM messages") == []
        ledger = Ledger(server, place.client_token, place.room)
        await ledger.read_on()
        frames = {id for (id,) in tracker.rows("SELECT id FROM frames")}
        assert ledger.frames.keys() == frames
        assert all(len(seqs) == 1 for seqs in ledger.frames.values())
        spooled = tracker.rows('SELECT session, min(start), max("end"), sum("end" - start) FROM stretches GROUP BY 1')
        with closing(sqlite3.connect(data / "workroom.sqlite3")) as database:
            query = 'SELECT session, min(start), max("end"), sum("end" - start) FROM ticks GROUP BY 1'
            stored = database.execute(query).fetchall()
            distinct = database.execute("SELECT count(*) - count(DISTINCT start) FROM ticks").fetchone()
        assert sorted(stored) == sorted(spooled) and distinct == (0,)
        assert len(stored) == TRACKER_LIVES and frames
        assert not server.bugs()
