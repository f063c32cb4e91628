"""A freelancer's desk: a virtual display with programs that change, and the tracker as a process of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tracker.clock import CLOCK_VARIABLE
from tracker.home import HOME_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {"Xvfb": "xvfb", "xterm": "xterm"}  # program and Debian's package
END_SECONDS = 15.0
PROGRAMS = (
    ["-bg", "navy", "-fg", "white", "-geometry", "90x30+10+10", "-e", "sh", "-c",
     "while :; do date; cksum /proc/stat /proc/uptime; sleep 0.3; done"],
    ["-bg", "ivory", "-fg", "black", "-geometry", "70x24+620+360", "-e", "sh", "-c",
     "n=0; while :; do n=$((n+1)); echo \"line $n of the report\"; sleep 0.2; done"],
)  # fmt: skip


def missing() -> str | None:
    """Return what is not installed and how to get it, or None."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    packages = " ".join(NEEDED[name] for name in absent)
    return f"{' and '.join(absent)} not installed; `apt-get install {packages}`" if absent else None


@contextmanager
def display() -> Iterator[str]:
    """Run a virtual display of 1280 × 800 with two terminals at work on it; yields its name."""
    read, write = os.pipe()
    arguments = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    running = [subprocess.Popen(arguments, pass_fds=(write,), stderr=subprocess.DEVNULL)]
    try:
        os.close(write)
        with os.fdopen(read) as answer:
            name = f":{answer.readline().strip()}"
        environment = {**os.environ, "DISPLAY": name}
        for program in PROGRAMS:
            running.append(subprocess.Popen(["xterm", *program], env=environment, stderr=subprocess.DEVNULL))
        yield name
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(END_SECONDS)


class Desk:
    """The tracker's command line in a home folder of its own, on a display, by a given clock."""

    def __init__(self, home: Path, clock: Path, display: str) -> None:
        self.environment = {
            **os.environ, HOME_VARIABLE: str(home), CLOCK_VARIABLE: str(clock), "DISPLAY": display,
        }  # fmt: skip

    async def begin(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tracker", *arguments, cwd=ROOT, env=self.environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def run(self, *arguments: str) -> str:
        """Return what a command printed; it must succeed."""
        return await finished(await self.begin(*arguments))

    @asynccontextmanager
    async def tracking(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Track until the block ends, as with Ctrl-C."""
        process = await self.begin("start", *arguments)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await finished(process)


async def finished(process: asyncio.subprocess.Process) -> str:
    """Wait for a process to succeed; return what it printed."""
    try:
        async with asyncio.timeout(END_SECONDS):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
    said = out.decode(errors="replace")
    assert process.returncode == 0, said
    return said


async def operator(data: Path, *arguments: str) -> str:
    """Run `python -m app --data … …` beside the server; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "--data", str(data), *arguments, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    return await finished(process)
