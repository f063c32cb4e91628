"""Backups: a consistent copy of database and pictures, made while the server works.

Rule 1: SQLite is copied by VACUUM INTO on a read-only connection: one state, compact, and nothing of what was erased.
Rule 2: a target can be used again: pictures that are there already are not copied twice, and erased ones are removed.
Rule 3: a copy under construction has another name; a backup that broke off leaves the earlier one whole.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec
from sqlalchemy import URL, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.errors import Unavailable
from app.storage.blobs import Blobs
from app.storage.file_store import FileStore
from app.storage.fsck import ERASED_STATES, FRAMES_PAGE, open_for_reading
from app.storage.tables import entries, frames, rooms, stored_files

SQLITE_NAME = "workroom.sqlite3"
POSTGRESQL_NAME = "workroom.dump"
ROUNDS_MAX = 3  # a picture erased between database and picture costs another round; they are rare and short


class Holding(msgspec.Struct, frozen=True):
    """What a backup holds. `url` is the copied database, or the live one where the copy is a dump."""

    url: str
    rooms: int
    entries: int
    pictures: int


async def back_up(url: str, blobs: Blobs, target: Path) -> Holding:
    """Copy the database at `url` with its pictures and files into the folder `target`.

    Raises:
        Unavailable: if PostgreSQL's own tool is missing or fails.
        OSError: if the target cannot be written.
    """
    copies = await asyncio.to_thread(_open_target, target)
    try:
        for _ in range(ROUNDS_MAX):
            copied = await _copy_database(make_url(url), target)
            async with open_for_reading(copied) as engine:
                pictures, missing = await _copy_pictures(engine, blobs, copies)
                missing += await _copy_attached(engine, blobs.files, copies.files)
                if not missing:
                    break
        async with open_for_reading(copied) as engine, engine.connect() as conn:
            room_count = await conn.scalar(select(func.count()).select_from(rooms))
            entry_count = await conn.scalar(select(func.count()).select_from(entries))
        return Holding(copied, room_count or 0, entry_count or 0, pictures)
    finally:
        copies.close()


def _open_target(target: Path) -> Blobs:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Blobs(target / "blobs")


async def _copy_database(url: URL, target: Path) -> str:
    """Copy or dump the database; return where its rows can be read."""
    if url.get_backend_name() == "sqlite":
        assert url.database is not None
        copy = target / SQLITE_NAME
        await asyncio.to_thread(_copy_sqlite, Path(url.database), copy)
        return f"sqlite:///{copy.absolute()}"
    await _dump_postgresql(url, target / POSTGRESQL_NAME)
    return url.render_as_string(hide_password=False)


def _copy_sqlite(source: Path, copy: Path) -> None:
    part = copy.with_name(copy.name + ".new")
    part.unlink(missing_ok=True)
    connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("VACUUM INTO ?", (str(part),))
    finally:
        connection.close()
    part.chmod(0o600)
    _sync(part)
    part.replace(copy)
    _sync(copy.parent)


async def _dump_postgresql(url: URL, dump: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise Unavailable("A backup of PostgreSQL needs pg_dump on PATH. Install PostgreSQL's client programs.")
    part = dump.with_name(dump.name + ".new")
    plain = url.set(drivername="postgresql", password=None)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    dumping = await asyncio.create_subprocess_exec(
        program,
        "--format=custom",
        f"--file={part}",
        f"--dbname={plain.render_as_string()}",
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await dumping.communicate()
    if dumping.returncode != 0:
        part.unlink(missing_ok=True)
        lines = told.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"pg_dump failed: {lines[-1] if lines else dumping.returncode}")
    part.chmod(0o600)
    await asyncio.to_thread(_sync, part)
    part.replace(dump)


async def _copy_pictures(engine: AsyncEngine, source: Blobs, copies: Blobs) -> tuple[int, int]:
    """Bring the copied pictures to the state of the copied rows; return how many there are and how many lack."""
    kept = missing = 0
    after = ""
    while True:
        query = select(frames.c.id, frames.c.state).where(frames.c.id > after).order_by(frames.c.id).limit(FRAMES_PAGE)
        async with engine.connect() as conn:
            page = (await conn.execute(query)).all()
        if not page:
            return kept, missing
        after = page[-1].id
        page_kept, page_missing = await asyncio.to_thread(
            _copy_page, [(row.id, row.state) for row in page], source, copies
        )
        kept, missing = kept + page_kept, missing + page_missing


def _copy_page(page: Iterable[tuple[str, str]], source: Blobs, copies: Blobs) -> tuple[int, int]:
    kept = missing = 0
    for frame, state in page:
        picture, thumbnail = copies.frame_path(frame), copies.thumbnail_path(frame)
        if state in ERASED_STATES:
            picture.unlink(missing_ok=True)
            thumbnail.unlink(missing_ok=True)
            continue
        there = _copy_file(source.frame_path(frame), picture)
        if state == "ready":
            there = _copy_file(source.thumbnail_path(frame), thumbnail) and there
        kept += there
        missing += state in ("stored", "ready") and not there
    return kept, missing


async def _copy_attached(engine: AsyncEngine, source: FileStore, copies: FileStore) -> int:
    """Bring the copied files to the state of the copied rows; return how many lack."""
    missing = 0
    after = b""
    while True:
        query = select(stored_files.c.sha256, stored_files.c.uses, stored_files.c.preview)
        query = query.where(stored_files.c.sha256 > after).order_by(stored_files.c.sha256).limit(FRAMES_PAGE)
        async with engine.connect() as conn:
            page = [(bytes(row.sha256), row.uses, row.preview) for row in await conn.execute(query)]
        if not page:
            break
        after = page[-1][0]
        missing += await asyncio.to_thread(_copy_attached_page, page, source, copies)
    async for digest in copies.orphans(-1.0):
        async with engine.connect() as conn:
            query = select(stored_files.c.sha256).where(stored_files.c.sha256 == digest)
            is_known = (await conn.execute(query)).first() is not None
        if not is_known:
            await copies.delete(digest)
    return missing


def _copy_attached_page(page: Iterable[tuple[bytes, int, str]], source: FileStore, copies: FileStore) -> int:
    missing = 0
    for digest, uses, preview in page:
        if uses > 0:
            missing += not _copy_file(source.path(digest), copies.path(digest))
            if preview == "ready":  # one that lacks is made anew by nobody, but proves nothing either
                _copy_file(source.preview_path(digest), copies.preview_path(digest))
    return missing


def _copy_file(source: Path, copy: Path) -> bool:
    """Copy a file that never changes, unless it is there; return whether it is there now."""
    if copy.exists():
        return True
    part = copy.with_name(f".{copy.name}.part")
    copy.parent.mkdir(exist_ok=True)
    try:
        shutil.copyfile(source, part)
    except FileNotFoundError:
        part.unlink(missing_ok=True)
        return False
    _sync(part)
    part.replace(copy)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
