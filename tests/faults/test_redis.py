"""Redis is killed, emptied and stopped while frames come: nothing is refused, and everything catches up by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from app.domain.timerange import DAY_MS, HOUR_MS
from tests.faults.load import Framer, Ledger
from tests.faults.process import furnish, server_on, until

pytestmark = pytest.mark.faults

FRAMES_PER_SECOND = 10
PHASE_SECONDS = 1.0
CATCH_UP_SECONDS_MAX = 20.0  # a sweep looks for frames that have waited for 10 s


async def test_thumbnails_and_hours_catch_up_after_redis_was_emptied_killed_and_stopped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server:
        begin = (time.time_ns() // 1_000_000 - 10 * DAY_MS) // HOUR_MS * HOUR_MS
        framer = Framer(server, place, begin)
        ledger = Ledger(server, place.client_token, place.room)
        running = asyncio.create_task(framer.run(FRAMES_PER_SECOND))
        await until(lambda: framer.decoded, what="no thumbnail was made")
        first = server.child("redis-server") or server.child("valkey")
        assert first is not None

        redis = Redis(unix_socket_path=str(data / "queue" / "redis.sock"))
        for _ in range(10):
            await redis.flushall()
            await asyncio.sleep(PHASE_SECONDS / 10)
        await redis.aclose()
        last = first
        for number in (signal.SIGKILL, signal.SIGTERM):
            os.kill(last, number)
            await until(lambda last=last: server.child("redis-server") not in (None, last), what="Redis stays away")  # type: ignore[misc]
            await asyncio.sleep(PHASE_SECONDS)
            last = server.child("redis-server") or 0
        assert not running.done() and not framer.refused
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await framer.settle()
        os.kill(last, signal.SIGKILL)  # with nothing coming any more that could wake anything

        await ledger.read_on()
        ledger.check([], [framer])
        headers = {"Authorization": f"Bearer {place.client_token}"}
        async with (
            httpx.AsyncClient(base_url=server.url, headers=headers) as http,
            asyncio.timeout(CATCH_UP_SECONDS_MAX),
        ):
            for seqs in ledger.frames.values():
                address = f"/api/rooms/{place.room}/frames/{seqs[0]}/thumbnail"
                while (await http.get(address)).status_code != 200:
                    await asyncio.sleep(0.1)
            hours = -(-len(ledger.frames) // 5)  # five segments in an hour, one frame in each
            while ledger.kinds["hour.closed"] < hours:
                await ledger.read_on()
                await asyncio.sleep(0.1)
        assert ledger.kinds["hour.closed"] == hours
        assert not server.bugs()
