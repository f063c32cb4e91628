"""The server as a process of its own, which tests kill, stop and look into, and what it needs before its start."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.config import Settings
from app.opening import open_resources
from app.services import accounts, workrooms
from app.services.access import Actor
from tests.builders import build_account

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 20.0  # two cores that also run the other tests
STOP_SECONDS_MAX = 5.0
LIFTED = {
    "WORKROOM_CONNECTIONS_PER_ACCOUNT_MAX": "5000",
    "WORKROOM_CONNECTIONS_PER_ADDRESS_MAX": "5000",
    "WORKROOM_SAYS_PER_SECOND_MAX": "100000",
    "WORKROOM_AGENT_MESSAGES_PER_SECOND_MAX": "100000",
}


@dataclass(frozen=True)
class Workplace:
    """A workroom with both its people and their tokens."""

    room: str
    client: Actor
    client_token: str
    freelancer: Actor
    freelancer_token: str
    device_token: str


async def furnish(data: Path, count: int = 1) -> list[Workplace]:
    """Open `count` workrooms in a data folder that no server holds: one client, and a freelancer for each."""
    made = []
    async with open_resources(Settings(data=data, origin="test.example")) as resources:
        client = await build_account(resources, "Dana Keller")
        client_token = await accounts.new_token(resources, client, "api", "test")
        for number in range(count):
            freelancer = await build_account(resources, f"Freelancer {number}")
            room = await workrooms.open_room(resources, client.account, freelancer.account, f"Job {number}")
            token = await accounts.new_token(resources, freelancer, "api", "test")
            device = await accounts.new_token(resources, freelancer, "device", "desk")
            made.append(Workplace(room, client, client_token, freelancer, token, device))
    return made


def free_port() -> int:
    """Return a port that nobody listens at, and that the system gives to no outgoing connection."""
    while True:
        port = random.randint(20_000, 30_000)
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def until(condition: Callable[[], Any], seconds: float = 10.0, what: str = "") -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what or "the condition did not come true in time"
        await asyncio.sleep(0.01)


class ServerProcess:
    """`python -m app serve` on a data folder and a port, which stay the same over all its lives."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONFAULTHANDLER": "1",  # SIGABRT tells where a server hangs
            "WORKROOM_DATA": str(data),
            "WORKROOM_PORT": str(self.port),
            "WORKROOM_ORIGIN": "test.example",
            **LIFTED,
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"

    @property
    def agent_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/agent"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app", "serve"),
                cwd=ROOT,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        async with httpx.AsyncClient() as http:
            while True:
                assert self.is_running and time.monotonic() < deadline, self.log.read_text(errors="replace")[-4000:]
                try:
                    if (await http.get(self.url + "/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Kill it with SIGKILL; what it started is gone soon after."""
        assert self._process is not None
        children = self.children()
        self._process.kill()
        await self._process.wait()
        await until(lambda: not any(_is_alive(child) for child in children), what="its children outlived the server")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Stop it as an operator does; return after how many seconds it had ended."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(number)
        try:
            await asyncio.wait_for(self._process.wait(), 4 * STOP_SECONDS_MAX)
        except TimeoutError:
            self._process.send_signal(signal.SIGABRT)
            await self._process.wait()
        assert self._process.returncode == 0, self.log.read_text(errors="replace")[-6000:]
        return time.monotonic() - started

    async def end(self) -> None:
        """Whatever happened: leave nothing behind."""
        if self.is_running:
            await self.kill()

    async def fsck(self) -> None:
        """Assert that `fsck` finds the folder clean, whether or not the server runs."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "fsck"),
            cwd=ROOT,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0 and out.split()[-1] == b"clean", out.decode()

    def children(self) -> list[int]:
        """Return the processes that the server has started and that still run."""
        listed = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            listed += [int(child) for child in (task / "children").read_text().split()]
        return listed

    def child(self, name: str) -> int | None:
        """Return the child that runs the program `name`, if one does."""
        return next((child for child in self.children() if _name(child).startswith(name)), None)

    def resident_bytes(self) -> int:
        """Return how much memory the server holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def connections(self) -> int:
        """Return how many sockets the server has open."""
        count = 0
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                count += str(link.readlink()).startswith("socket:")
            except FileNotFoundError:
                continue
        return count

    def bugs(self) -> list[str]:
        """Return what the log holds that no input and no fault may cause."""
        signs = ("Traceback", "request failed", "endpoint failed", "message failed", "callback failed", "unit of work")
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if any(sign in line for sign in signs)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@asynccontextmanager
async def server_on(data: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    """Run a server on a furnished folder; at the end it is stopped, and the folder must be clean."""
    server = ServerProcess(data, **settings)
    try:
        await server.start()
        yield server
        if server.is_running:
            await server.stop()
        await server.fsck()
    finally:
        await server.end()
