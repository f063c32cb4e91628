"""fsck: derives everything that can be derived again, and lists every difference (docs/record.md).

Rule 1: it reads only, from one consistent state, so it runs beside a server that works.
Rule 2: rows are read in pages; memory does not grow with the record.
Rule 3: a stored frame that looks wrong is looked at again in a fresh state: the server may have erased it meanwhile.
Rule 4: nothing stored is trusted: what cannot be parsed is a difference, never a crash.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from hashlib import file_digest
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Row, Select, event, func, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.domain.checkpoint import room_origin
from app.domain.errors import WorkroomError
from app.domain.merkle import append_peak, leaf_hash, root_of_peaks
from app.domain.record import base64url, canonical, commitment, disclosure_bytes
from app.domain.timerange import instant_text
from app.storage.fsck_files import StoredFiles, check_files
from app.storage.fsck_matters import check_matters
from app.storage.guards import GUARDS
from app.storage.tables import checkpoints, disclosures, entries, erasures, frames, handover_keys, room_heads, rooms

ENTRIES_PAGE = 500  # bodies of 64 KiB at most: 32 MiB in the worst case, a few hundred KiB as a rule
FRAMES_PAGE = 200

VerifyNote = Callable[[bytes], tuple[str, int, bytes]]


class FrameFiles(Protocol):
    """Where the pictures of a frame lie, and the attached files."""

    @property
    def files(self) -> StoredFiles: ...

    def frame_path(self, frame: str) -> Path: ...

    def thumbnail_path(self, frame: str) -> Path: ...


@dataclass
class Check:
    """One thing that was derived again: how many were looked at, and one line for each difference."""

    name: str
    looked_at: int = 0
    differences: list[str] = field(default_factory=list)

    def differ(self, line: str) -> None:
        self.differences.append(line)


@dataclass
class Report:
    """What fsck found."""

    database: Check = field(default_factory=lambda: Check("database and its guards"))
    entries: Check = field(default_factory=lambda: Check("entries: seq, leaf, hash, commit"))
    heads: Check = field(default_factory=lambda: Check("room heads: size, root, edge"))
    checkpoints: Check = field(default_factory=lambda: Check("checkpoints: root, signature"))
    erasures: Check = field(default_factory=lambda: Check("erasures: tombstone, nothing left"))
    frames: Check = field(default_factory=lambda: Check("frames: entry, picture, thumbnail"))
    files: Check = field(default_factory=lambda: Check("files: entry, digest, size, uses"))
    matters: Check = field(default_factory=lambda: Check("matters: entry, answer, state"))

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))

    @property
    def differences(self) -> list[str]:
        return [line for check in self.checks for line in check.differences]

    @property
    def clean(self) -> bool:
        return not self.differences

    def lines(self) -> list[str]:
        """Return the report: a line for each difference and each check, then the total."""
        told = [f"  {check.name}: {line}" for check in self.checks for line in check.differences]
        told += [
            f"{'ok  ' if not check.differences else 'BAD '} {check.name}: {check.looked_at} checked, "
            f"{len(check.differences)} different"
            for check in self.checks
        ]
        total = len(self.differences)
        return [*told, "fsck: clean" if total == 0 else f"fsck: differences: {total}"]


@asynccontextmanager
async def open_for_reading(url: str) -> AsyncIterator[AsyncEngine]:
    """Give an engine that cannot write, for the database at `url`, whether a server runs on it or not."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        engine = create_async_engine(target.set(drivername="sqlite+aiosqlite"), connect_args={"isolation_level": None})

        @event.listens_for(engine.sync_engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA query_only=1")
            cursor.execute("PRAGMA busy_timeout=5000")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

    else:
        engine = create_async_engine(
            target.set(drivername="postgresql+psycopg"),
            isolation_level="REPEATABLE READ",
            connect_args={"options": "-c default_transaction_read_only=on"},
        )
    try:
        yield engine
    finally:
        await engine.dispose()


def read_released(path: Path) -> dict[str, int]:
    """Return the sizes that were signed, from the file beside the key. Read it before `check` opens its state."""
    sizes: dict[str, int] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            room, _, size = line.partition(" ")
            if size.isdecimal():
                sizes[room] = max(sizes.get(room, 0), int(size))
    return sizes


async def check(
    engine: AsyncEngine,
    files: FrameFiles | None,
    verify_note: VerifyNote,
    *,
    origin: str,
    released: Mapping[str, int] | None = None,
) -> Report:
    """Derive everything again and return what differs.

    `files` is None where there are no pictures to look at (a copy of the database alone). `origin` is the server's
    name in checkpoints; `released` are the sizes that were signed, as kept outside the database.
    """
    report = Report()
    async with engine.connect() as conn:
        await _check_database(conn, report)
        known = set((await conn.execute(select(rooms.c.id))).scalars())
        heads = {row.room: row for row in await conn.execute(select(room_heads))}
        recorded = set((await conn.execute(select(entries.c.room).distinct())).scalars())
        for room in sorted(known | set(heads) | recorded):
            if room not in known:
                report.heads.differ(f"{room}: there is no such room")
            walk = _RoomWalk(conn, report, room, verify_note, room_origin(origin, room))
            await walk.run(heads.get(room))
            signed = (released or {}).get(room, 0)
            if signed > walk.size:
                report.heads.differ(f"{room}: {walk.size} entries, but a checkpoint of {signed} was signed")
        for room in sorted(set(released or {}) - known - set(heads) - recorded):
            report.heads.differ(f"{room}: the whole room is gone, but a checkpoint of it was signed")
        await _check_strays(conn, report)
        report.matters.looked_at = await check_matters(conn, report.matters.differ)
        if files is not None:
            await _check_frames(engine, conn, report, files)
            await check_files(engine, conn, report.files, files.files)
    return report


async def _check_database(conn: AsyncConnection, report: Report) -> None:
    found = report.database
    if conn.dialect.name == "sqlite":
        for (line,) in await conn.execute(text("PRAGMA quick_check")):
            found.looked_at += 1
            if line != "ok":
                found.differ(f"SQLite: {line}")
        for row in await conn.execute(text("PRAGMA foreign_key_check")):
            found.differ(f"{row[0]} row {row[1]} names a row of {row[2]} that is not there")
        present = set((await conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))).scalars())
    else:
        query = text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'")
        present = set((await conn.execute(query)).scalars())
    for statement in GUARDS[conn.dialect.name]:
        named = re.search(r"CREATE TRIGGER (\w+)", statement)
        if named is None:
            continue
        found.looked_at += 1
        if named[1] not in present:
            found.differ(f"the guard {named[1]} is missing")


class _RoomWalk:
    """Walks the record of one room from seq 0, building its tree again."""

    def __init__(self, conn: AsyncConnection, report: Report, room: str, verify_note: VerifyNote, origin: str) -> None:
        self.size = 0
        self._conn = conn
        self._report = report
        self._room = room
        self._verify_note = verify_note
        self._origin = origin
        self._peaks: tuple[bytes, ...] = ()
        self._at = 0

    async def run(self, head: Row[Any] | None) -> None:
        """Check entries and checkpoints page by page, then the head."""
        after = -1
        while True:
            page = (await self._conn.execute(_entries_page(self._room, after))).all()
            if not page:
                break
            after = page[-1].seq
            notes = (
                await self._conn.execute(
                    select(checkpoints.c.size, checkpoints.c.note)
                    .where(checkpoints.c.room == self._room)
                    .where(checkpoints.c.size.between(self.size + 1, self.size + len(page)))
                )
            ).all()
            wanted = {row.size: _bytes(row.note) for row in notes}
            for row in page:
                try:
                    self._check_entry(row)
                except TypeError:  # a column of another type, which SQLite does not refuse (rule 4)
                    self._report.entries.differ(f"{self._room}/{row.seq}: a column is of another type")
                    self.size += 1
                if self.size in wanted:
                    self._check_note(self.size, wanted[self.size])
        beyond = select(checkpoints.c.size).where(checkpoints.c.room == self._room, checkpoints.c.size > self.size)
        for size in (await self._conn.execute(beyond.order_by(checkpoints.c.size))).scalars():
            self._report.checkpoints.looked_at += 1
            self._report.checkpoints.differ(f"{self._room}: checkpoint of {size}, but there are {self.size} entries")
        self._check_head(head)

    def _check_entry(self, row: Row[Any]) -> None:
        found = self._report.entries
        found.looked_at += 1
        where = f"{self._room}/{row.seq}"
        if row.seq != self.size:
            found.differ(f"{where}: seq {self.size} was expected: entries are missing")
        if row.at < self._at:
            found.differ(f"{where}: its time lies before that of the entry before it")
        self._at = max(self._at, row.at)
        leaf = _bytes(row.leaf)
        hashed = leaf_hash(leaf)
        if hashed != _bytes(row.leaf_hash):
            found.differ(f"{where}: the stored leaf hash is not that of the leaf")
        self._check_leaf(row, leaf, where)
        self._peaks = append_peak(self._peaks, self.size, hashed)
        self.size += 1

    def _check_leaf(self, row: Row[Any], leaf: bytes, where: str) -> None:
        found = self._report.entries
        try:
            fields = json.loads(leaf)
            is_canonical = isinstance(fields, dict) and canonical(fields) == leaf
        except (ValueError, WorkroomError):
            fields, is_canonical = None, False
        if not is_canonical or not isinstance(fields, dict):
            found.differ(f"{where}: the leaf is not canonical JSON")
            return
        columns = {"room": self._room, "seq": row.seq, "kind": row.kind, "by": row.by, "v": 1}
        columns["at"] = instant_text(row.at)
        if row.ref is not None:
            columns["ref"] = row.ref
        if row.cid is not None:
            columns["cid"] = row.cid
        commit = fields.pop("commit", None)
        for name in sorted(columns.keys() | fields.keys()):
            if columns.get(name) != fields.get(name):
                found.differ(f"{where}: `{name}` of the leaf is not that of the row")
        if row.ref is not None and not 0 <= row.ref < row.seq:
            found.differ(f"{where}: `ref` names no earlier entry")
        self._check_disclosure(row, commit, where)

    def _check_disclosure(self, row: Row[Any], commit: object, where: str) -> None:
        if row.tombstone is not None:
            self._report.erasures.looked_at += 1
            if row.salt is not None:
                self._report.erasures.differ(f"{where}: erased by {row.tombstone}, but its contents are still there")
            if not row.tombstone > row.seq:
                self._report.erasures.differ(f"{where}: its tombstone {row.tombstone} is no later entry")
        if row.salt is None:
            if row.tombstone is None:
                self._report.entries.differ(
                    f"{where}: its contents are missing, and no entry says that they were erased"
                )
            return
        stored = _bytes(row.body)
        try:
            body = json.loads(stored)
            derived = commitment(disclosure_bytes(self._room, row.seq, _bytes(row.salt), body))
            same = canonical(body) == stored
        except (ValueError, WorkroomError):
            self._report.entries.differ(f"{where}: its body is not JSON")
            return
        if not same:
            self._report.entries.differ(f"{where}: its body is not canonical JSON")
        if derived != commit:
            self._report.entries.differ(f"{where}: salt and body are not those that the leaf commits to")

    def _check_note(self, size: int, note: bytes) -> None:
        found = self._report.checkpoints
        found.looked_at += 1
        where = f"{self._room}: checkpoint of {size}"
        try:
            origin, noted_size, root = self._verify_note(note)
        except WorkroomError as error:
            found.differ(f"{where}: {error}")
            return
        if (origin, noted_size) != (self._origin, size):
            found.differ(f"{where}: it is of {origin}, size {noted_size}")
        if root != root_of_peaks(self._peaks):
            found.differ(f"{where}: its root is not that of the first {size} entries")

    def _check_head(self, head: Row[Any] | None) -> None:
        found = self._report.heads
        found.looked_at += 1
        if head is None:
            found.differ(f"{self._room}: it has no head")
            return
        if head.size != self.size:
            found.differ(f"{self._room}: the head says {head.size} entries, there are {self.size}")
        if _bytes(head.root) != root_of_peaks(self._peaks):
            found.differ(f"{self._room}: the head's root is not that of its entries")
        if _bytes(head.peaks) != b"".join(self._peaks):
            found.differ(f"{self._room}: the head's right edge is not that of its entries")
        if head.at < self._at:
            found.differ(f"{self._room}: the head's time lies before the last entry")


def _entries_page(room: str, after: int) -> Select[*tuple[Any, ...]]:
    disclosed = (disclosures.c.room == entries.c.room) & (disclosures.c.seq == entries.c.seq)
    erased = (erasures.c.room == entries.c.room) & (erasures.c.seq == entries.c.seq)
    return (
        select(
            entries.c.seq,
            entries.c.kind,
            entries.c.by,
            entries.c.at,
            entries.c.ref,
            entries.c.cid,
            entries.c.leaf,
            entries.c.leaf_hash,
            disclosures.c.salt,
            disclosures.c.body,
            erasures.c.tombstone,
        )
        .select_from(entries.outerjoin(disclosures, disclosed).outerjoin(erasures, erased))
        .where(entries.c.room == room, entries.c.seq > after)
        .order_by(entries.c.seq)
        .limit(ENTRIES_PAGE)
    )


async def _check_strays(conn: AsyncConnection, report: Report) -> None:
    """Find rows about entries that are not there."""
    for table, what in ((disclosures, "contents"), (erasures, "an erasure")):
        own = (entries.c.room == table.c.room) & (entries.c.seq == table.c.seq)
        query = select(table.c.room, table.c.seq).outerjoin_from(table, entries, own).where(entries.c.seq.is_(None))
        for room, seq in await conn.execute(query):
            report.erasures.differ(f"{room}/{seq}: {what} without an entry")
    own = (disclosures.c.room == handover_keys.c.room) & (disclosures.c.seq == handover_keys.c.seq)
    keys = select(handover_keys.c.room, handover_keys.c.seq).outerjoin_from(handover_keys, disclosures, own)
    for room, seq in await conn.execute(keys.where(disclosures.c.seq.is_(None))):
        report.erasures.differ(f"{room}/{seq}: the key of a secret is still there, but its contents are not")
    tombstone = (entries.c.room == erasures.c.room) & (entries.c.seq == erasures.c.tombstone)
    query = (
        select(erasures.c.room, erasures.c.seq)
        .outerjoin_from(erasures, entries, tombstone)
        .where(entries.c.seq.is_(None))
    )
    for room, seq in await conn.execute(query):
        report.erasures.differ(f"{room}/{seq}: its tombstone is not there")


ERASED_STATES = ("deleted", "replaced")


async def _check_frames(engine: AsyncEngine, conn: AsyncConnection, report: Report, files: FrameFiles) -> None:
    found = report.frames
    found.looked_at = int((await conn.execute(select(func.count()).select_from(frames))).scalar_one())
    after = ""
    while True:
        page = (await conn.execute(_frames_query().where(frames.c.id > after).limit(FRAMES_PAGE))).all()
        if not page:
            return
        after = page[-1].id
        wrong = await asyncio.to_thread(lambda rows: [row for row in rows if _frame_differences(row, files)], page)
        for row in wrong:
            async with engine.connect() as fresh:  # rule 3
                again = (await fresh.execute(_frames_query().where(frames.c.id == row.id))).first()
            lines = (
                ["its row went away"] if again is None else await asyncio.to_thread(_frame_differences, again, files)
            )
            for line in lines:
                found.differ(f"{row.room}/{row.seq} frame {row.id}: {line}")


def _frames_query() -> Select[*tuple[Any, ...]]:
    own = (entries.c.room == frames.c.room) & (entries.c.seq == frames.c.seq)
    disclosed = (disclosures.c.room == frames.c.room) & (disclosures.c.seq == frames.c.seq)
    return (
        select(
            frames.c.id,
            frames.c.room,
            frames.c.seq,
            frames.c.state,
            frames.c.sha256,
            frames.c.bytes,
            frames.c.erased_at,
            entries.c.kind,
            disclosures.c.body,
        )
        .select_from(frames.outerjoin(entries, own).outerjoin(disclosures, disclosed))
        .order_by(frames.c.id)
    )


def _frame_differences(row: Row[Any], files: FrameFiles) -> list[str]:
    lines: list[str] = []
    if row.kind != "frame.taken":
        lines.append("its entry is no frame.taken")
    try:
        picture, thumbnail = files.frame_path(row.id), files.thumbnail_path(row.id)
    except ValueError:
        return [*lines, "its id is none"]
    if row.state in ERASED_STATES:
        if row.body is not None:
            lines.append(f"{row.state}, but the contents of its entry are still there")
        if row.sha256 is not None:
            lines.append(f"{row.state}, but its digest is still there")
        if row.erased_at is not None:
            lines += [f"{row.state}, but {path.name} is still there" for path in (picture, thumbnail) if path.exists()]
        return lines
    digest = _bytes(row.sha256) if row.sha256 is not None else b""
    if row.body is not None and not _body_names(_bytes(row.body), row.id, digest, row.bytes):
        lines.append("its entry names another frame, digest or size")
    if row.state in ("stored", "ready"):
        try:
            with picture.open("rb") as stream:
                if file_digest(stream, "sha256").digest() != digest:
                    lines.append("the picture has another digest")
        except OSError:
            lines.append("the picture is missing")
    if row.state == "ready" and not thumbnail.exists():
        lines.append("the thumbnail is missing")
    return lines


def _bytes(value: object) -> bytes:
    """Return what a column of bytes holds; SQLite may hold anything there (rule 4)."""
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return value.encode() if isinstance(value, str) else b""


def _body_names(body: bytes, frame: str, digest: bytes, size: int) -> bool:
    try:
        fields = json.loads(body)
    except ValueError:
        return False
    if not isinstance(fields, dict):
        return False
    return (fields.get("frame"), fields.get("sha256"), fields.get("bytes")) == (frame, base64url(digest), size)
