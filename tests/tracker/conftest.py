"""Fixtures: a fake server, a virtual display with a program on it, and trackers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from app.domain.timerange import DAY_MS
from tests.tracker.fake_server import TOKEN, FakeServer, fake_server, now_ms
from tracker.clock import CLOCK_VARIABLE, Clock, Pace
from tracker.home import HOME_VARIABLE

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as started:
        yield started


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of a virtual display of 1280x800 with a terminal program on it."""
    for program in ("Xvfb", "xterm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: apt-get install xvfb xterm)")
    import subprocess

    read, write = os.pipe()
    arguments = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    screen = subprocess.Popen(arguments, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as answer:
        name = f":{answer.readline().strip()}"
    listing = "seq 1 300 | paste -sd' ' | fold -w 90; sleep 600"
    program = subprocess.Popen(
        ["xterm", "-bg", "navy", "-fg", "white", "-geometry", "100x40+20+20", "-e", "sh", "-c", listing],
        env={**os.environ, "DISPLAY": name}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield name
    for process in (program, screen):
        process.terminate()
        process.wait(10)


class TrackerProcess:
    """`python -m tracker` in a home folder, on a clock 120 times as fast from a week ago."""

    def __init__(self, folder: Path, server: FakeServer, display: str | None) -> None:
        self.server = server
        self.home = folder / "home"
        clock, now = folder / "clock.json", now_ms()
        pace = Pace(real_start=now, record_start=now - 7 * DAY_MS, rate=120)
        clock.write_bytes(msgspec.json.encode(pace))
        server.record_now = Clock(pace).record_now
        self.environment = {**os.environ, HOME_VARIABLE: str(self.home), CLOCK_VARIABLE: str(clock)}
        self.environment.pop("DISPLAY", None)
        self.pace = pace
        if display is not None:
            self.environment["DISPLAY"] = display
        self.running: list[asyncio.subprocess.Process] = []

    async def begin(self, *arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tracker", *arguments, cwd=ROOT, env=self.environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self.running.append(process)
        return process

    async def run(self, *arguments: str, status: int = 0) -> str:
        """Return what a command printed."""
        process = await self.begin(*arguments)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == status, out.decode()
        return out.decode()

    def without_clock_file(self) -> None:
        """Have the server's welcome alone say how the clock runs, as a demo's does to a tracker from outside."""
        del self.environment[CLOCK_VARIABLE]
        self.server.clock_rate = self.pace.rate

    async def pair(self) -> None:
        await self.run("pair", self.server.address, "--token", TOKEN)

    async def end(self, process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGINT) -> str:
        process.send_signal(number)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return out.decode()


@pytest.fixture
async def tracker(tmp_path: Path, server: FakeServer, display: str) -> AsyncIterator[TrackerProcess]:
    made = TrackerProcess(tmp_path, server, display)
    yield made
    for process in made.running:
        if process.returncode is None:
            process.kill()
            await process.wait()
