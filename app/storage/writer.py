"""The writer: gathers units of work from everybody and commits many in one transaction (docs/architecture.md).

Rule 1: a result is given, and an event published, only after the commit is durable.
Rule 2: a plain append is a row in a multi-row insert; any other unit `fn(tx)` runs in a savepoint of its own, so that
one that fails spoils no other. A unit awaits nothing but the database.
Rule 3: rooms are locked in sorted order before anything else; within a room `seq` has no gaps and time never goes back.
Rule 4: a caller that goes away does not take its unit with it; a full queue answers Busy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import structlog
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain.errors import Busy, Conflict, NotFound, RoomClosed, TooLarge, Unavailable, WorkroomError
from app.domain.live import Appended, Cell, Event
from app.domain.matters import Matter
from app.domain.merkle import HASH_BYTES, append_peak, leaf_hash, root_of_peaks
from app.domain.record import BODY_BYTES_MAX, Body, Draft, Entry, canonical, commitment, disclosure_bytes, leaf_bytes
from app.domain.workrooms import WRITTEN_BY_PEOPLE
from app.storage.search import forget
from app.storage.tables import disclosures, entries, erasures, handover_keys, room_heads

QUEUED_MAX = 20_000  # units; at 3,000 a second this is seven seconds of waiting, more would only time out
UNITS_PER_COMMIT_MAX = 512  # bounds how long one commit takes; larger ones gain nothing more
HEADS_CACHED_MAX = 20_000
SALT_BYTES = 32

log = structlog.get_logger()
T = TypeVar("T")
Publish = Callable[[Sequence[Event]], None]
RandomBytes = Callable[[int], bytes]


class Clock(Protocol):
    """The two clocks, in Unix milliseconds."""

    def record_now(self) -> int: ...

    def real_now(self) -> int: ...


class Head(msgspec.Struct, frozen=True):
    """The end of a room's record: size, compact range, time of the last entry, and whether the room is closed."""

    size: int
    peaks: tuple[bytes, ...]
    at: int
    closed: bool = False


class _Unit:
    """Work that waits for the next commit. Either `draft` (a plain append) or `work` is set."""

    __slots__ = ("draft", "future", "rooms", "work")

    def __init__(
        self,
        future: asyncio.Future[Any],
        rooms: Iterable[str],
        draft: Draft | None,
        work: Callable[[Tx], Awaitable[Any]] | None,
    ) -> None:
        self.future = future
        self.rooms = tuple(rooms)
        self.draft = draft
        self.work = work


_insert_entries = insert(entries)
_insert_disclosures = insert(disclosures)
_update_heads = (
    update(room_heads)
    .where(room_heads.c.room == bindparam("_room"))
    .values(
        size=bindparam("_size"),
        root=bindparam("_root"),
        peaks=bindparam("_peaks"),
        at=bindparam("_at"),
        closed=bindparam("_closed"),
    )
)
_select_heads = select(room_heads.c.room, room_heads.c.size, room_heads.c.peaks, room_heads.c.at, room_heads.c.closed)
_select_cids = (
    select(
        entries.c.room,
        entries.c.seq,
        entries.c.kind,
        entries.c.by,
        entries.c.at,
        entries.c.ref,
        entries.c.cid,
        disclosures.c.body,
    )
    .select_from(
        entries.outerjoin(disclosures, (disclosures.c.room == entries.c.room) & (disclosures.c.seq == entries.c.seq))
    )
    .where(entries.c.cid.in_(bindparam("cids", expanding=True)))
)


class Tx:
    """A transaction in progress, as a unit of work sees it."""

    def __init__(self, conn: AsyncConnection, writer: Writer, now: int) -> None:
        self.conn = conn
        self.now = now  # of the record's clock, the same for the whole commit
        self._writer = writer
        self._heads: dict[str, Head] = {}
        self._changed: set[str] = set()
        self._entry_rows: list[dict[str, Any]] = []
        self._disclosure_rows: list[dict[str, Any]] = []
        self._events: list[Event] = []
        self._told: dict[tuple[str, int], tuple[tuple[Cell, ...], tuple[Matter, ...]]] = {}

    async def append(self, draft: Draft) -> Entry:
        """Append an entry; its room must be among the unit's rooms.

        Raises:
            NotFound: if the room was not named, or does not exist.
        """
        return self._append(draft)

    async def append_once(self, draft: Draft) -> tuple[Entry, bool]:
        """Append an entry with a `cid`, unless it is there already; return it and whether it is new.

        Raises:
            Conflict: if the `cid` was used with other contents.
        """
        known = await self.find(draft)
        return (self._append(draft), True) if known is None else (known, False)

    async def find(self, draft: Draft) -> Entry | None:
        """Return the entry that was appended with the same `cid` before.

        Raises:
            Conflict: if the `cid` was used with other contents.
        """
        await self.flush()
        found = (await self._find_cids([draft])).get((draft.room, draft.by, draft.cid or ""))
        return None if found is None else _same(found, draft)

    async def erase(self, room: str, seq: int, tombstone: int) -> None:
        """Erase salt and body of an entry; `tombstone` is the seq of the entry that says so. The leaf stays."""
        await self.flush()
        await forget(self, room, seq)
        await self.conn.execute(delete(disclosures).where(disclosures.c.room == room, disclosures.c.seq == seq))
        await self.conn.execute(delete(handover_keys).where(handover_keys.c.room == room, handover_keys.c.seq == seq))
        await self.conn.execute(insert(erasures).values(room=room, seq=seq, tombstone=tombstone))
        self._writer.has_erased = True

    def close_record(self, room: str) -> None:
        """Take no more entries of people from now on."""
        self._heads[room] = msgspec.structs.replace(self.head(room), closed=True)
        self._changed.add(room)

    async def open_record(self, room: str) -> None:
        """Begin the record of a new room."""
        head = Head(0, (), 0)
        await self.conn.execute(insert(room_heads).values(room=room, size=0, root=root_of_peaks(()), peaks=b"", at=0))
        self._heads[room] = head

    def after_commit(self, event: Event) -> None:
        """Publish an event once this commit is durable."""
        self._events.append(event)

    def publish_with(self, entry: Entry, cells: Iterable[Cell] = (), matters: Iterable[Matter] = ()) -> None:
        """Say which cells and matters an appended entry changed, so that viewers get them with it."""
        told_cells, told_matters = self._told.get((entry.room, entry.seq), ((), ()))
        self._told[entry.room, entry.seq] = ((*told_cells, *cells), (*told_matters, *matters))

    def head(self, room: str) -> Head:
        """Return the head of one of the unit's rooms, with what was appended so far."""
        try:
            return self._heads[room]
        except KeyError:
            raise NotFound() from None

    async def flush(self) -> None:
        """Write the rows of appended entries, so that statements of this unit see them."""
        if self._entry_rows:
            rows, self._entry_rows = self._entry_rows, []
            await self.conn.execute(_insert_entries, rows)
            bodies, self._disclosure_rows = self._disclosure_rows, []
            await self.conn.execute(_insert_disclosures, bodies)

    def _append(self, draft: Draft) -> Entry:
        head = self.head(draft.room)
        refusal = self._writer.refused_rooms.get(draft.room)
        if refusal is not None:
            raise refusal
        if head.closed and draft.kind in WRITTEN_BY_PEOPLE:
            raise RoomClosed()
        seq, at = head.size, max(self.now, head.at)
        body = canonical(draft.body)
        if len(body) > BODY_BYTES_MAX:
            raise TooLarge("The contents of an entry may have 64 KiB. Shorten it.")
        salt = self._writer.random_bytes(SALT_BYTES)
        commit = commitment(disclosure_bytes(draft.room, seq, salt, draft.body))
        leaf = leaf_bytes(draft, seq, at, commit)
        hashed = leaf_hash(leaf)
        self._entry_rows.append(
            {
                "room": draft.room,
                "seq": seq,
                "kind": draft.kind,
                "by": draft.by,
                "at": at,
                "ref": draft.ref,
                "cid": draft.cid,
                "leaf": leaf,
                "leaf_hash": hashed,
            }
        )
        self._disclosure_rows.append({"room": draft.room, "seq": seq, "salt": salt, "body": body})
        self._heads[draft.room] = Head(seq + 1, append_peak(head.peaks, seq, hashed), at, head.closed)
        self._changed.add(draft.room)
        entry = Entry(draft.room, seq, draft.kind, draft.by, at, draft.body, draft.ref, draft.cid)
        self._events.append(Appended(entry))
        return entry

    async def _find_cids(self, drafts: Sequence[Draft]) -> dict[tuple[str, str, str], tuple[Entry, Body | None]]:
        cids = [draft.cid for draft in drafts if draft.cid is not None]
        if not cids:
            return {}
        rows = await self.conn.execute(_select_cids, {"cids": cids})
        return {
            (row.room, row.by, row.cid): (
                Entry(row.room, row.seq, row.kind, row.by, row.at, None, row.ref, row.cid),
                msgspec.json.decode(row.body) if row.body is not None else None,
            )
            for row in rows
        }

    async def _store_heads(self) -> None:
        if self._changed:
            await self.conn.execute(
                _update_heads,
                [
                    {
                        "_room": room,
                        "_size": head.size,
                        "_root": root_of_peaks(head.peaks),
                        "_peaks": b"".join(head.peaks),
                        "_at": head.at,
                        "_closed": head.closed,
                    }
                    for room in sorted(self._changed)
                    for head in (self._heads[room],)
                ],
            )

    def _published(self) -> list[Event]:
        return [
            Appended(event.entry, *self._told.get((event.entry.room, event.entry.seq), ()))
            if isinstance(event, Appended)
            else event
            for event in self._events
        ]


class Writer:
    """The one writer of a process. `refused_rooms` accept nothing, each for the reason it maps to."""

    def __init__(
        self, engine: AsyncEngine, dialect: str, clock: Clock, random_bytes: RandomBytes, publish: Publish
    ) -> None:
        self.random_bytes = random_bytes
        self.refused_rooms: dict[str, WorkroomError] = {}
        self.commits = 0
        self.has_erased = True  # whether bytes of erased content may still lie in the WAL or in dead rows
        self._engine = engine
        self._shared = dialect == "postgresql"  # other processes may append: heads are read under a lock each time
        self._clock = clock
        self._publish = publish
        self._queue: deque[_Unit] = deque()
        self._waiting = asyncio.Event()
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._scrubbed: asyncio.Future[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="writer")

    async def close(self) -> None:
        """Commit what was accepted, then stop; what comes later is refused."""
        self._closing = True
        self._waiting.set()
        if self._task is not None:
            await self._task

    def submit(self, draft: Draft) -> asyncio.Future[Entry]:
        """Queue a plain append; the future gives the entry once it is durable, or the refusal.

        A repeat of a `cid` gives the entry of the first time.

        Raises:
            Busy: if too much is queued, or the server stops.
        """
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._put(_Unit(future, (draft.room,), draft, None))
        return future

    async def run(self, work: Callable[[Tx], Awaitable[T]], rooms: Iterable[str] = ()) -> T:
        """Run a unit of work in the next commit and return its result once that is durable.

        `rooms` are those it appends to. Whatever `work` raises reaches the caller, and undoes this unit only.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(_Unit(future, rooms, None, work))
        return await asyncio.shield(future)

    async def scrub(self) -> None:
        """Destroy what erased content left behind: a truncating WAL checkpoint, or VACUUM (docs/record.md).

        It runs between two commits, since one connection alone may checkpoint.
        """
        if self.has_erased:
            self._scrubbed = asyncio.get_running_loop().create_future()
            self._waiting.set()
            await asyncio.shield(self._scrubbed)

    def _put(self, unit: _Unit) -> None:
        if self._closing:
            raise Busy("The server is stopping. Nothing was written; try again in a moment.")
        if len(self._queue) >= QUEUED_MAX:
            raise Busy()
        self._queue.append(unit)
        self._waiting.set()

    async def _run(self) -> None:
        connection: AsyncConnection | None = None
        while True:
            await self._waiting.wait()
            if not self._queue and self._scrubbed is None:
                if self._closing:
                    break
                self._waiting.clear()
                continue
            scrubbed, self._scrubbed = self._scrubbed, None
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), UNITS_PER_COMMIT_MAX))]
            try:
                if connection is None:
                    connection = await self._engine.connect()
                if batch:
                    await self._commit(connection, batch)
                if scrubbed is not None:
                    await self._scrub_now(connection)
            except Exception as error:  # the edge: whatever the database says, the writer goes on
                self._heads.clear()
                log.error("commit failed", error=repr(error))
                connection = await self._discard(connection)
                _fail(batch, Unavailable())
            if scrubbed is not None:
                scrubbed.set_result(None)  # what failed is tried again by the next sweep: has_erased is still set
        if connection is not None:
            await connection.close()

    async def _scrub_now(self, connection: AsyncConnection) -> None:
        raw = (await connection.get_raw_connection()).driver_connection  # neither statement runs in a transaction
        assert raw is not None
        if self._shared:
            await raw.set_autocommit(True)
            await raw.execute("VACUUM disclosures")
            await raw.execute("VACUUM FULL handover_keys")  # tiny: a new file, and the old bytes are gone
            await raw.set_autocommit(False)
        else:
            await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.has_erased = False

    async def _discard(self, connection: AsyncConnection | None) -> AsyncConnection | None:
        """Roll back; a connection that cannot even do that is given up."""
        if connection is None:
            return None
        try:
            await connection.rollback()
        except DBAPIError:
            with contextlib.suppress(DBAPIError):
                await connection.invalidate()
            return None
        return connection

    async def _commit(self, connection: AsyncConnection, batch: list[_Unit]) -> None:
        await connection.begin()
        tx = Tx(connection, self, self._clock.record_now())
        await self._load_heads(tx, {room for unit in batch for room in unit.rooms})
        known = await tx._find_cids([unit.draft for unit in batch if unit.draft is not None])
        outcomes: list[tuple[_Unit, Any, BaseException | None]] = []
        for unit in batch:
            try:
                if unit.draft is not None:
                    result: Any = _append_known(tx, unit.draft, known)
                else:
                    result = await _run_in_savepoint(tx, unit)
                outcomes.append((unit, result, None))
            except WorkroomError as error:
                outcomes.append((unit, None, error))
        await tx.flush()
        await tx._store_heads()
        await connection.commit()
        self.commits += 1
        self._remember(tx)
        self._publish(tx._published())
        for unit, result, refusal in outcomes:
            if unit.future.done():
                continue
            if refusal is not None:
                unit.future.set_exception(refusal)
            else:
                unit.future.set_result(result)

    async def _load_heads(self, tx: Tx, rooms: set[str]) -> None:
        missing = sorted(rooms if self._shared else rooms - self._heads.keys())
        for room in rooms - set(missing):
            tx._heads[room] = self._heads[room]
        if not missing:
            return
        query = _select_heads.where(room_heads.c.room.in_(missing)).order_by(room_heads.c.room)
        for row in await tx.conn.execute(query.with_for_update() if self._shared else query):
            peaks = tuple(row.peaks[i : i + HASH_BYTES] for i in range(0, len(row.peaks), HASH_BYTES))
            tx._heads[row.room] = Head(row.size, peaks, row.at, row.closed)

    def _remember(self, tx: Tx) -> None:
        if self._shared:
            return
        for room, head in tx._heads.items():
            self._heads[room] = head
            self._heads.move_to_end(room)
        while len(self._heads) > HEADS_CACHED_MAX:
            self._heads.popitem(last=False)


def _append_known(tx: Tx, draft: Draft, known: dict[tuple[str, str, str], tuple[Entry, Body | None]]) -> Entry:
    """Append, or return what the same `cid` gave before, in an earlier commit or in this one."""
    if draft.cid is None:
        return tx._append(draft)
    found = known.get((draft.room, draft.by, draft.cid))
    if found is not None:
        return _same(found, draft)
    entry = tx._append(draft)
    known[draft.room, draft.by, draft.cid] = (entry, draft.body)
    return entry


def _same(found: tuple[Entry, Body | None], draft: Draft) -> Entry:
    entry, body = found
    if (entry.kind, entry.ref) != (draft.kind, draft.ref) or (body is not None and body != draft.body):
        raise Conflict(field="cid")
    return entry


async def _run_in_savepoint(tx: Tx, unit: _Unit) -> Any:
    await tx.flush()
    heads, changed = dict(tx._heads), set(tx._changed)
    events, told = len(tx._events), dict(tx._told)
    assert unit.work is not None
    try:
        async with tx.conn.begin_nested():
            result = await unit.work(tx)
            await tx.flush()
            return result
    except BaseException as error:
        tx._heads, tx._changed, tx._told = heads, changed, told
        tx._entry_rows.clear()
        tx._disclosure_rows.clear()
        del tx._events[events:]
        if isinstance(error, (WorkroomError, OperationalError, InterfaceError)) or not isinstance(error, Exception):
            raise  # the database itself fails: the whole commit does
        log.error("unit of work failed", exc_info=error)
        raise UnitFailed() from error


class UnitFailed(WorkroomError):
    """A unit of work raised something that is no refusal: a bug. It was logged; nothing of the unit was written."""


def _fail(batch: list[_Unit], error: WorkroomError) -> None:
    for unit in batch:
        if not unit.future.done():
            unit.future.set_exception(error)
