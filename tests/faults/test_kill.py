"""The server is killed, or stopped, under load: what it acknowledged is there afterwards, once.

WORKROOM_TEST_KILLS says how many times it is killed; 20 is what a release is tested with.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.timerange import DAY_MS, SEGMENT_MS
from tests.faults.load import Framer, Ledger, Sayer
from tests.faults.process import STOP_SECONDS_MAX, ServerProcess, Workplace, furnish, server_on, until

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("WORKROOM_TEST_KILLS", "3"))
SAYS_PER_SECOND = 1_000
FRAMES_PER_SECOND = 10
LOAD_SECONDS = (0.0, 2.0)  # of the load, when the end comes: somewhere in between


class Load:
    """Four connections that say, two trackers that send frames, and what the record holds of it."""

    def __init__(self, server: ServerProcess, places: list[Workplace]) -> None:
        first = places[0]
        self.data = server.data
        at = (time.time_ns() // 1_000_000 - 10 * DAY_MS) // SEGMENT_MS * SEGMENT_MS
        tokens = (first.client_token, first.freelancer_token) * 2
        self.sayers = [Sayer(server, token, first.room) for token in tokens]
        self.framers = [Framer(server, place, at) for place in places]
        self.ledgers = [Ledger(server, place.client_token, place.room) for place in places]

    async def begin(self) -> list[asyncio.Task[None]]:
        """Start everybody, and return at a random moment of the load; each goes on until its connection ends."""
        entries, frames = self.entries(), self.frames()
        running = self._start()
        await until(lambda: self.entries() > entries and self.frames() > frames, what="nothing is acknowledged")
        await asyncio.sleep(random.uniform(*LOAD_SECONDS))
        assert not any(task.done() for task in running)
        return running

    def _start(self) -> list[asyncio.Task[None]]:
        says, frames = SAYS_PER_SECOND / len(self.sayers), FRAMES_PER_SECOND / len(self.framers)
        return [
            *(asyncio.create_task(sayer.run(says)) for sayer in self.sayers),
            *(asyncio.create_task(framer.run(frames)) for framer in self.framers),
        ]

    async def settle(self) -> None:
        """Send again what was not acknowledged."""
        await asyncio.gather(*(sayer.settle() for sayer in self.sayers), *(framer.settle() for framer in self.framers))

    async def check(self) -> None:
        """Hold the record against what was acknowledged."""
        for ledger, framer in zip(self.ledgers, self.framers, strict=True):
            await ledger.read_on()
            ledger.check(self.sayers if ledger is self.ledgers[0] else [], [framer])
            query = "SELECT count(*), count(DISTINCT start) FROM ticks WHERE session = ?"
            with closing(sqlite3.connect(self.data / "workroom.sqlite3")) as database:
                stored, different = database.execute(query, (framer.session,)).fetchone()
            assert len(framer.ticked) <= stored == different

    def unanswered(self) -> int:
        waiting = [sayer.waiting for sayer in self.sayers] + [framer.waiting for framer in self.framers]
        return sum(len(each) for each in waiting)

    def entries(self) -> int:
        return sum(len(sayer.answered) for sayer in self.sayers)

    def frames(self) -> int:
        return sum(len(framer.acknowledged) for framer in self.framers)


async def test_what_was_acknowledged_survives_being_killed_and_is_there_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    places = await furnish(data, 2)
    resent, seconds = 0, 0.0
    async with server_on(data) as server:
        load = Load(server, places)
        for _ in range(KILLS):
            begun = time.monotonic()
            running = await load.begin()
            await server.kill()
            seconds += time.monotonic() - begun
            await asyncio.gather(*running)
            await server.fsck()
            await server.start()
            await load.check()
            resent += load.unanswered()
            await load.settle()
            await load.check()
        held = sum(len(ledger.says) for ledger in load.ledgers)
        assert held == load.entries(), "what was sent again is there once, and nothing else is"
        assert load.frames() == sum(len(ledger.frames) for ledger in load.ledgers)
    print(
        f"{KILLS} kills in {seconds:.0f} s of load: {load.entries()} entries and {load.frames()} frames acknowledged,"
        f" {resent} sent again, none lost, none doubled"
    )


async def test_stopping_under_load_takes_less_than_five_seconds_and_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    places = await furnish(data, 2)
    async with server_on(data) as server:
        load = Load(server, places)
        for number in (signal.SIGTERM, signal.SIGINT):
            running = await load.begin()
            assert await server.stop(number) < STOP_SECONDS_MAX
            await asyncio.gather(*running)
            assert not server.bugs()
            await server.start()
            await load.check()
            await load.settle()
            await load.check()
