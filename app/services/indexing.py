"""Indexing: the index of search follows the record, in units of its own behind the hot path.

Rule 1: an append never waits for the index. What was appended is found within a moment; while very much is said, a
small round has its turn once in a while, and the rest follows when it is quieter.
Rule 2: how far a room is indexed lies in the database: after a crash a sweep goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence

import structlog

from app.domain.errors import WorkroomError
from app.domain.live import Appended, Event
from app.domain.search import searchable_text, words_of
from app.domain.workrooms import WRITTEN_BY_PEOPLE
from app.services.resources import Resources
from app.storage import search as rows
from app.storage.search import Text
from app.storage.writer import Tx

ROUND_SECONDS = 0.25
ROUND_ENTRIES = 100  # about 4 ms of the writer, and of up to 64 KiB each
BUSY_PER_SECOND = 500  # entries: from here on a round delays what many wait for (chat's p99 rose from 31 to 56 ms)
BUSY_ROUND_SECONDS = 2.0
BUSY_ROUND_ENTRIES = 100
ROUND_ROOMS_MAX = 200
SWEEP_ROUNDS_MAX = 500
FORGOTTEN_MAX = 1_000
MERGES_MAX = 500  # MERGE_PAGES each: an index of a gigabyte; what is left waits for the next sweep

log = structlog.get_logger()


class IndexTask:
    """Indexes what was appended. `note` is told every published event."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._changed: dict[str, None] = {}  # in the order in which rooms changed
        self._noted = 0  # entries since the last round
        self._stopping = asyncio.Event()

    def note(self, events: Sequence[Event]) -> None:
        """Remember which rooms have entries that are not indexed."""
        for event in events:
            if isinstance(event, Appended):
                self._changed[event.entry.room] = None
                self._noted += 1

    async def run(self) -> None:
        """Follow until stopped. What is left then is found at the next start."""
        async with self._resources.database.read() as connection:
            self._changed.update(dict.fromkeys(await rows.select_behind(connection, limit=10_000)))
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), ROUND_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return
            is_busy = self._noted > BUSY_PER_SECOND * (loop.time() - began)
            self._noted, began = 0, loop.time()
            behind = await self._round(BUSY_ROUND_ENTRIES if is_busy else ROUND_ENTRIES)
            pause = BUSY_ROUND_SECONDS if is_busy else 0.0 if behind else ROUND_SECONDS

    async def _round(self, entries_max: int) -> bool:
        """Index some of what was appended; return whether there is more."""
        batch = list(self._changed)[:ROUND_ROOMS_MAX]
        if not batch:
            return False
        for room in batch:
            del self._changed[room]
        try:
            behind = await index_round(self._resources, batch, entries_max)
        except WorkroomError as error:  # the disk is full, say: try again in the next round
            log.warning("indexing postponed", code=error.code)
            self._changed.update(dict.fromkeys(batch))
            return False
        self._changed.update(dict.fromkeys(behind))
        return bool(self._changed)

    def stop(self) -> None:
        self._stopping.set()


async def index_round(resources: Resources, rooms: Collection[str], entries_max: int = ROUND_ENTRIES) -> list[str]:
    """Index up to `entries_max` entries of these rooms in one commit; return the rooms that have more."""
    async with resources.database.read() as connection:
        stretches, behind = await rows.select_stretches(connection, rooms, entries_max)
        if not stretches:
            return []
        found = await rows.select_bodies(connection, stretches, WRITTEN_BY_PEOPLE)
    texts = [Text(room, seq, kind, by, words_of(searchable_text(kind, body))) for room, seq, kind, by, body in found]

    async def work(tx: Tx) -> None:
        await rows.insert_texts(tx, stretches, texts)

    await resources.database.writer.run(work)
    return behind


async def index_missed(resources: Resources, entries_max: int = ROUND_ENTRIES) -> int:
    """Index what the task of the server has not: after a crash, or a new index. Return how many rounds it took."""
    for number in range(SWEEP_ROUNDS_MAX):
        async with resources.database.read() as connection:
            behind = await rows.select_behind(connection, limit=ROUND_ROOMS_MAX)
        if not behind:
            return number
        await index_round(resources, behind, entries_max)
    return SWEEP_ROUNDS_MAX


async def destroy_forgotten(resources: Resources) -> None:
    """Rewrite the files of the index where words of erased entries may still lie in them (docs/record.md)."""
    database = resources.database
    async with database.read() as connection:
        forgotten = await rows.select_forgotten(connection, FORGOTTEN_MAX)
    if not forgotten:
        return
    if database.dialect == "postgresql":
        await database.rewrite(rows.REWRITE)
    else:
        for _ in range(MERGES_MAX):
            if not await database.writer.run(rows.merge):
                break
        else:
            return

    async def work(tx: Tx) -> None:
        await rows.delete_forgotten(tx, forgotten)

    await database.writer.run(work)
    database.writer.has_erased = True  # the pages that were rewritten lie in the WAL
    await database.writer.scrub()
