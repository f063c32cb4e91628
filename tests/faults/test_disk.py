"""The disk is full: what cannot be stored is refused as temporary, nothing is lost, and afterwards it goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.domain.timerange import DAY_MS, SEGMENT_MS
from tests.faults.load import Framer, Ledger, Sayer
from tests.faults.process import furnish, server_on, until

pytestmark = pytest.mark.faults

DISK_MIB = 32
SAYS_PER_SECOND = 200
FRAMES_PER_SECOND = 10
LOAD_SECONDS = 1.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is quickly full."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here: run this test on Linux")
    if mounted.returncode != 0:
        pytest.skip(
            f"a small disk cannot be mounted ({mounted.stderr.strip()}): run as root, not in a locked container"
        )
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte; return the file that does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    assert os.statvfs(disk).f_bavail == 0
    return filler


async def test_a_full_disk_refuses_loses_nothing_and_goes_on(small_disk: Path) -> None:
    data = small_disk / "data"
    (place,) = await furnish(data)
    async with server_on(data) as server:
        server.log.touch()
        sayers = [Sayer(server, token, place.room) for token in (place.client_token, place.freelancer_token)]
        at = (time.time_ns() // 1_000_000 - 10 * DAY_MS) // SEGMENT_MS * SEGMENT_MS
        framer = Framer(server, place, at)
        ledger = Ledger(server, place.client_token, place.room)
        running = [asyncio.create_task(sayer.run(SAYS_PER_SECOND / 2)) for sayer in sayers]
        running.append(asyncio.create_task(framer.run(FRAMES_PER_SECOND)))
        await until(lambda: framer.acknowledged and all(sayer.answered for sayer in sayers))

        filler = fill(small_disk)
        await until(lambda: framer.refused and all(sayer.refused for sayer in sayers), what="nothing is refused")
        await asyncio.sleep(LOAD_SECONDS)
        assert set(framer.refused) == {"temporary"}
        assert all(set(sayer.refused) == {"temporary"} for sayer in sayers)
        async with httpx.AsyncClient(base_url=server.url) as http:
            assert (await http.get("/healthz")).status_code == 200
        await ledger.read_on()
        ledger.check(sayers, [framer])

        filler.unlink()
        assert not any(task.done() for task in running), "a connection ended"
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        unanswered = sum(len(sayer.waiting) for sayer in sayers) + len(framer.waiting)
        assert unanswered > 0
        await asyncio.gather(*(sayer.settle() for sayer in sayers), framer.settle())
        await ledger.read_on()
        ledger.check(sayers, [framer])
        assert len(ledger.says) == sum(len(sayer.answered) for sayer in sayers)
        assert not server.bugs()
