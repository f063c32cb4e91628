"""Checkpoints: the server's signed word on the size and root of a workroom's record (docs/record.md).

Rule 1: a changed room gets a new one at most once a second, or at once when a receipt waits for it.
Rule 2: stored durably first, in the database and in the file of released sizes, and released afterwards.
Rule 3: what does not continue the last released one is never signed: that room refuses writes, until the operator
has said in the record that entries were lost, and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from app.domain.bodies.system import RoomRewound
from app.domain.checkpoint import parse_checkpoint
from app.domain.errors import Malformed, NotFound, RecordRewound, WorkroomError
from app.domain.events import body_of
from app.domain.live import Appended, CheckpointReleased, Event
from app.domain.record import Draft, Entry
from app.domain.workrooms import SYSTEM
from app.services.access import Actor, member_of
from app.services.resources import Resources
from app.storage import record as rows
from app.storage.writer import Tx

INTERVAL_SECONDS = 1.0  # between two checkpoints of a room
ROUND_SECONDS = 0.25
ROOMS_PER_ROUND_MAX = 75  # about 10 ms of the loop; with more than 300 busy rooms each gets its turn a little later

log = structlog.get_logger()


class CheckpointTask:
    """Signs what changed, round by round. `note` is told every published event."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._changed: dict[str, None] = {}  # in the order in which rooms changed
        self._signed: dict[str, float] = {}  # when, by the loop's clock; forgotten after the interval
        self._stopping = asyncio.Event()

    def note(self, events: Sequence[Event]) -> None:
        """Remember which rooms have entries that no checkpoint covers."""
        for event in events:
            if isinstance(event, Appended):
                self._changed[event.entry.room] = None

    async def run(self) -> None:
        """Sign until stopped; then sign what is left."""
        await self._find_unsigned()
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), ROUND_SECONDS)
            except TimeoutError:
                await self._sign_round(self._due_rooms())
        while (left := list(self._changed)[:ROOMS_PER_ROUND_MAX]) and await self._sign_round(left):
            continue

    def stop(self) -> None:
        self._stopping.set()

    async def _find_unsigned(self) -> None:
        async with self._resources.database.read() as connection:
            for room in await rows.select_unsigned(connection, limit=10_000):
                self._changed.setdefault(room)

    def _due_rooms(self) -> list[str]:
        """Return the rooms whose turn it is, the longest waiting first."""
        now = asyncio.get_running_loop().time()
        self._signed = {room: at for room, at in self._signed.items() if now - at < INTERVAL_SECONDS}
        due = [room for room in self._changed if room not in self._signed][:ROOMS_PER_ROUND_MAX]
        self._signed.update(dict.fromkeys(due, now))
        return due

    async def _sign_round(self, batch: list[str]) -> bool:
        """Sign a batch; return False if that has to wait."""
        if not batch:
            return True
        for room in batch:
            del self._changed[room]
        try:
            await sign_checkpoints(self._resources, batch)
        except WorkroomError as error:  # the disk is full, say: try again in the next round
            log.warning("checkpoints postponed", code=error.code)
            self._changed.update(dict.fromkeys(batch))
            return False
        return True


async def sign_checkpoints(resources: Resources, batch: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    """Sign, store and release a checkpoint for the head of each room; return size and note by room."""
    async with resources.database.read() as connection:
        roots = await rows.select_roots(connection, batch)
    now = resources.clock.record_now()
    signed: dict[str, tuple[int, bytes]] = {}
    for room, (size, root) in roots.items():
        if size == 0 or room in resources.database.writer.refused_rooms:
            continue
        signed[room] = (size, resources.signer.sign(room, size, root))

    async def store(tx: Tx) -> None:
        await rows.insert_new_checkpoints(
            tx.conn,
            [{"room": room, "size": size, "note": note, "signed_at": now} for room, (size, note) in signed.items()],
        )

    if signed:
        await resources.database.writer.run(store)
        fresh = {room: size for room, (size, _) in signed.items() if resources.released.sizes.get(room, 0) < size}
        if fresh:
            await asyncio.to_thread(resources.released.release, fresh)
        resources.publish([CheckpointReleased(room, signed[room][0], signed[room][1].decode()) for room in fresh])
    return signed


async def covering_checkpoint(resources: Resources, room: str, size: int) -> tuple[int, bytes]:
    """Return size and note of a checkpoint that covers the first `size` entries, signing one if need be.

    Raises:
        NotFound: if the room has fewer entries.
        RecordRewound: if the room accepts nothing.
    """
    async with resources.database.read() as connection:
        note = await rows.select_checkpoint(connection, room, size)
    if note is not None:
        return parse_checkpoint(note).size, note
    signed = await sign_checkpoints(resources, [room])
    if room not in signed:
        raise RecordRewound() if room in resources.database.writer.refused_rooms else NotFound()
    if signed[room][0] < size:
        raise NotFound()
    return signed[room]


async def latest_checkpoint(resources: Resources, actor: Actor, room: str) -> bytes:
    """Return the newest checkpoint of a room.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    return (await covering_checkpoint(resources, room, 1))[1]


async def refuse_rewound_rooms(resources: Resources) -> list[str]:
    """Make rooms that hold less than was signed refuse writes; return them. Runs once at the start."""
    async with resources.database.read() as connection:
        short = await rows.select_short_rooms(connection, resources.released.sizes)
    for room in short:
        resources.database.writer.refused_rooms[room] = RecordRewound()
    return short


async def accept_rewound_room(resources: Resources, room: str, reason: str) -> Entry:
    """Let a room that lost entries go on: an entry says so, and checkpoints continue from there. Return that entry.

    A crash between the entry and the released size leaves the room refusing, or as long again as what was signed; the
    entry stands in the record either way.

    Raises:
        Malformed: if the room does not refuse writes.
        NotFound: if the database does not hold the room at all.
    """
    refused, released = resources.database.writer.refused_rooms, resources.released
    if room not in refused:
        raise Malformed("This workroom is not rewound: it holds all that was signed, so there is nothing to accept.")

    async def work(tx: Tx) -> Entry:
        held = tx.head(room).size
        kind, body = body_of(RoomRewound(reason, released.sizes.get(room, held), held))
        refusal = refused.pop(room)
        try:
            return await tx.append(Draft(room, kind, SYSTEM, body))
        finally:
            refused[room] = refusal  # for everybody else, until the smaller size is on disk

    entry = await resources.database.writer.run(work, rooms=(room,))
    await asyncio.to_thread(released.reset, room, entry.seq)
    refused.pop(room, None)
    await sign_checkpoints(resources, [room])
    return entry
