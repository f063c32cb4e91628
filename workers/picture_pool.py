"""The pool of picture processes: hands out pictures, waits for thumbnails, and replaces processes that fail.

Rule 1: a picture goes to one process at a time, and a process has one picture at a time.
Rule 2: a process that does not answer within PICTURE_SECONDS_MAX is killed; the next picture gets a new one.
Rule 3: a caller that is cancelled takes nothing with it: its picture is finished, and the answer dropped.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from workers.pictures import ANSWER_THUMBNAIL

PICTURE_SECONDS_MAX = 10.0  # by the wall; the largest allowed picture takes one second
PREVIEW_SECONDS_MAX = 10.0  # with the start of the process; a page of plans may take seconds
ANSWER_BYTES_MAX = 4 * 1024 * 1024  # a thumbnail has about 20 kB
PROCESSES_MAX = 2

_LENGTH = struct.Struct(">I")
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")  # no settings: they hold secrets
_ROOT = Path(__file__).resolve().parents[1]

log = structlog.get_logger(__name__)


class PictureUnreadable(Exception):
    """The picture cannot be decoded, and never will be. `reason` is one word for the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PictureMissing(Exception):
    """There is no file at this path."""


class PictureProcessDied(Exception):
    """The process ended or was too slow while it had the picture: its fault, or that of a machine without memory.

    `reason` is `killed` or `time`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PicturePool:
    """`size` processes that run `module`: `workers.pictures` for frames, `workers.previews` for files.

    Made by `open_pictures` and `open_previews`.
    """

    def __init__(self, size: int, seconds_max: float, module: str = "workers.pictures") -> None:
        self._module = module
        self._seconds_max = seconds_max
        self._idle: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()  # None: one that is to be started
        for _ in range(size):
            self._idle.put_nowait(None)
        self._exchanges: set[asyncio.Task[bytes]] = set()
        self._processes: set[Process] = set()

    @property
    def process_ids(self) -> list[int]:
        """The processes that live now, for tests and for the log."""
        return [process.pid for process in self._processes if process.returncode is None]

    async def thumbnail(self, path: Path) -> bytes:
        """Return the thumbnail of the picture at `path` (WebP, 480 px wide at most).

        Raises:
            PictureUnreadable: the file is broken, too large, animated, or needs too much memory.
            PictureMissing: there is no such file.
            PictureProcessDied: try again; a picture that does this three times is to be taken as unreadable.
        """
        process = await self._idle.get()
        # From here on in a task of its own: the process must get back into the pool, whatever becomes of the caller.
        exchange = asyncio.create_task(self._exchange(process, path), name="picture")
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._ended)
        answer = await asyncio.shield(exchange)
        if answer[:1] == ANSWER_THUMBNAIL:
            return answer[1:]
        reason = answer[1:].decode()
        if reason == "missing":
            raise PictureMissing(str(path))
        raise PictureUnreadable(reason)

    async def start(self) -> None:
        """Start every process now, so that the first picture need not wait for one."""
        waiting = [self._idle.get_nowait() for _ in range(self._idle.qsize())]
        for process in waiting:
            self._idle.put_nowait(process or await self._start())

    async def close(self) -> None:
        """Kill the processes; pictures under way end as PictureProcessDied."""
        for process in list(self._processes):
            await self._kill(process)
        if self._exchanges:
            await asyncio.wait(self._exchanges)

    def _ended(self, exchange: asyncio.Task[bytes]) -> None:
        self._exchanges.discard(exchange)
        if not exchange.cancelled():
            exchange.exception()  # seen, though the caller may be gone

    async def _exchange(self, process: Process | None, path: Path) -> bytes:
        try:
            if process is None or process.returncode is not None:
                process = await self._start()
            try:
                return await asyncio.wait_for(_ask(process, path), self._seconds_max)
            except TimeoutError:
                raise PictureProcessDied("time") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                raise PictureProcessDied("killed") from None
        except BaseException as error:
            if process is not None:
                await self._kill(process)
                log.warning("picture_process_ended", code=process.returncode, picture=path.name, error=repr(error))
                process = None
            raise
        finally:
            self._idle.put_nowait(process)

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module, str(os.getpid())),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # decoders print warnings about files
            cwd=_ROOT,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            limit=ANSWER_BYTES_MAX,
        )
        self._processes.add(process)
        return process

    async def _kill(self, process: Process) -> None:
        self._processes.discard(process)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def open_pictures(
    size: int | None = None, seconds_max: float = PICTURE_SECONDS_MAX
) -> AsyncIterator[PicturePool]:
    """Give a pool of `size` processes (as many as there are cores, two at most), and end them afterwards."""
    pool = PicturePool(size or min(PROCESSES_MAX, os.cpu_count() or 1), seconds_max)
    try:
        await pool.start()
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def open_previews(seconds_max: float = PREVIEW_SECONDS_MAX) -> AsyncIterator[PicturePool]:
    """Give a pool of one process that draws files. It is started with the first of them: many servers never need it."""
    pool = PicturePool(1, seconds_max, "workers.previews")
    try:
        yield pool
    finally:
        await pool.close()


async def _ask(process: Process, path: Path) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    name = os.fsencode(path)
    process.stdin.write(_LENGTH.pack(len(name)) + name)
    await process.stdin.drain()
    length = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))[0]
    if not 0 < length <= ANSWER_BYTES_MAX:
        raise ConnectionError("an answer of no possible length")
    return await process.stdout.readexactly(length)
