"""Long records for the bench: a workroom of a million entries beside one of a hundred, and a person with many rooms.

    python -m bench.servers.archive make FOLDER ENTRIES ROOMS     (then it is served by `serve FOLDER PORT`)

Rule 1: entries go through the writer, many to a unit, so that the record is as good as any other: fsck accepts it.
Rule 2: what is said follows the frequencies of a language (Zipf's law): a few words in nearly every entry, many in few.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gzip
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct
from starlette.applications import Starlette

from app.config import Settings
from app.domain.events import checked_body
from app.domain.record import Draft
from app.main import serve_app
from app.opening import open_resources
from app.services import accounts, record, workrooms
from app.services.access import Actor
from app.services.accounts import Client
from app.services.indexing import index_missed
from app.services.resources import Resources
from app.storage.writer import Tx
from bench import machine
from bench.process import BenchFailed, Server, free_port, running
from bench.report import REPORT
from bench.servers.workroom import Scenario, settings_of

UNIT_ENTRIES = 1_000
UNITS_AT_ONCE = 2
INDEX_ENTRIES = 4_000
WORDS = 20_000
WORDS_PER_ENTRY = 12
COMMON = ["the", "and", "of", "message", "harbour", "booking", "berth", "invoice"]  # the most frequent, in this order
RARE = "zebrafish"  # in one entry
UNREAD = 40  # entries that the person with many rooms has yet to read, in each


class Archive(Struct, frozen=True):
    """What was made. `cookie` is the client's, who is in all of these rooms."""

    cookie: str
    large: str
    small: str
    entries: int
    rooms: int
    seconds: float


def vocabulary() -> list[str]:
    """Return the words that are used, the most frequent first."""
    chosen = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return COMMON + ["".join(chosen.choices(letters, k=chosen.randint(3, 10))) for _ in range(WORDS)]


def sentences() -> Iterator[str]:
    """Return what is said, without end and always the same."""
    chosen, words = random.Random(2), vocabulary()
    weights = list(itertools.accumulate(1 / n for n in range(1, len(words) + 1)))
    while True:
        said = chosen.choices(words, cum_weights=weights, k=1_000 * WORDS_PER_ENTRY)
        for start in range(0, len(said), WORDS_PER_ENTRY):
            yield " ".join(said[start : start + WORDS_PER_ENTRY])


async def fill(resources: Resources, room: str, entries: int) -> None:
    """Append messages of both members to a room, and index them."""
    said = sentences()

    async def unit(first: int, count: int) -> None:
        drafts = [
            Draft(
                room, "message", f"p{number % 2 + 1}", checked_body("message", {"text": _text(number, said, entries)})
            )
            for number in range(first, first + count)
        ]

        async def work(tx: Tx) -> None:
            for draft in drafts:
                await tx.append(draft)

        await resources.database.writer.run(work, rooms=(room,))

    units = [(first, min(UNIT_ENTRIES, entries - first)) for first in range(0, entries, UNIT_ENTRIES)]
    for start in range(0, len(units), UNITS_AT_ONCE):
        await asyncio.gather(*(unit(*each) for each in units[start : start + UNITS_AT_ONCE]))
    while await index_missed(resources, INDEX_ENTRIES):
        continue


def _text(number: int, said: Iterator[str], entries: int) -> str:
    return f"{next(said)} {number}{f' {RARE}' if number == entries // 2 else ''}"


async def make(folder: Path, entries: int, rooms: int) -> Archive:
    """Make the rooms: a large one, one of a hundred entries, and so many in all."""
    started = time.monotonic()
    async with open_resources(_settings(folder, 0)) as resources:
        client = await accounts.create_account(resources, "dana@bench.invalid", "Dana Keller")
        freelancer = await accounts.create_account(resources, "ana@bench.invalid", "Ana Novak")
        link = await accounts.new_link(resources, client)
        signed_in = await accounts.sign_in_with_link(resources, link.rpartition("/")[2], Client("127.0.0.1", "bench"))
        made: list[str] = []
        for number in range(max(rooms, 2)):
            made.append(await workrooms.open_room(resources, client.account, freelancer.account, f"Bench {number}"))
            await fill(resources, made[-1], entries if number == 0 else 100)
            await _read(resources, client, made[-1])
        return Archive(signed_in.token, made[0], made[1], entries, len(made), round(time.monotonic() - started, 1))


async def _read(resources: Resources, actor: Actor, room: str) -> None:
    head = (await record.page(resources, actor, room, limit=1)).head
    await record.mark_seen(resources, actor, room, head - UNREAD)


def _settings(folder: Path, port: int) -> Settings:
    return settings_of(Scenario(str(folder), port, 0, 0, 0, 0))


_made: dict[tuple[int, int], Path] = {}


def archive(entries: int, rooms: int) -> Path:
    """Return the folder of an archive, made once for all rows of a run and removed at its end.

    Raises:
        BenchFailed: if it cannot be made.
    """
    if (entries, rooms) not in _made:
        temporary = tempfile.TemporaryDirectory(prefix="bench-archive-", dir=REPORT.parent)
        atexit.register(temporary.cleanup)
        folder = Path(temporary.name).resolve()
        command = [sys.executable, "-m", "bench.servers.archive", "make", str(folder), str(entries), str(rooms)]
        if subprocess.run(command, check=False).returncode:
            raise BenchFailed(f"an archive of {entries} entries could not be made")
        _made[entries, rooms] = folder
    return _made[entries, rooms]


@contextlib.contextmanager
def archive_server(entries: int, rooms: int) -> Iterator[tuple[Server, Archive]]:
    """Run our server on an archive."""
    folder = archive(entries, rooms)
    made = msgspec.json.decode((folder / "archive").read_bytes(), type=Archive)
    port = free_port()
    command = [sys.executable, "-m", "bench.servers.archive", "serve", str(folder), str(port)]
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    with running("workroom", "", command, port, folder, ready=ready) as server:
        yield server, made


class Asking:
    """One connection of a signed-in browser that is kept alive, on the load's core while the block lasts."""

    def __init__(self, server: Server, cookie: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._headers = {"Cookie": f"{accounts.SESSION_COOKIE}={cookie}", "Accept-Encoding": "gzip"}
        self._pinned = machine.pinned(machine.cores()[1])

    def __enter__(self) -> Asking:
        self._pinned.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._pinned.__exit__(None, None, None)
        self._connection.close()

    def get(self, path: str, mark: bytes, count: int) -> float:
        """Return the milliseconds until a whole answer, which must show `mark` so many times.

        Raises:
            BenchFailed: if it does not.
        """
        start = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - start) * 1000
        plain = gzip.decompress(body) if answer.headers.get("content-encoding") == "gzip" else body
        if answer.status != 200 or plain.count(mark) < count:
            raise BenchFailed(f"{path} answers {answer.status} and shows {plain.count(mark)} of {count}")
        return took


def main() -> None:
    """Make an archive, or serve one until the process is ended."""
    folder = Path(sys.argv[2])
    if sys.argv[1] == "make":
        made = uvloop.run(make(folder, int(sys.argv[3]), int(sys.argv[4])))
        (folder / "archive").write_bytes(msgspec.json.encode(made))
        return

    async def ready(app: Starlette) -> None:
        (folder / "ready").touch()

    uvloop.run(serve_app(_settings(folder, int(sys.argv[3])), ready=ready))


if __name__ == "__main__":
    main()
