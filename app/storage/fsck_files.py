"""fsck of attached files: the bytes behind every digest, the uses that are counted, the entries that name them.

Rule 1: as in `fsck.py`: what looks wrong is looked at again in a fresh state, because the server may have swept it.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import file_digest
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain.record import base64url
from app.storage.tables import attachments, disclosures, entries, erasures, stored_files, uploads

PAGE = 200


class StoredFiles(Protocol):
    """Where attached files lie."""

    def path(self, digest: bytes) -> Path: ...


class Differences(Protocol):
    """Takes what was found."""

    looked_at: int

    def differ(self, line: str) -> None: ...


async def check_files(engine: AsyncEngine, conn: AsyncConnection, found: Differences, store: StoredFiles) -> None:
    """Look at every stored file and every attachment."""
    await _check_stored(engine, conn, found, store)
    await _check_attachments(conn, found)


async def _check_stored(engine: AsyncEngine, conn: AsyncConnection, found: Differences, store: StoredFiles) -> None:
    after: bytes | None = None
    while True:
        page = (await conn.execute(_stored_query(after))).all()
        if not page:
            return
        after = bytes(page[-1].sha256)
        found.looked_at += len(page)
        wrong = await asyncio.to_thread(lambda rows: [row for row in rows if _lines(row, store)], page)
        for row in wrong:
            async with engine.connect() as fresh:  # rule 1
                again = (await fresh.execute(_stored_query().where(stored_files.c.sha256 == row.sha256))).first()
            for line in [] if again is None else await asyncio.to_thread(_lines, again, store):
                found.differ(f"file {bytes(row.sha256).hex()}: {line}")


def _stored_query(after: bytes | None = None) -> Select[*tuple[Any, ...]]:
    """Return the query of files with how often attachments and finished uploads use them."""
    attached = _counted(attachments.c.sha256 == stored_files.c.sha256)
    waiting = _counted((uploads.c.sha256 == stored_files.c.sha256) & uploads.c.used_at.is_(None))
    query: Select[*tuple[Any, ...]] = select(
        stored_files.c.sha256,
        stored_files.c.bytes,
        stored_files.c.uses,
        attached.label("attached"),
        waiting.label("waiting"),
    ).order_by(stored_files.c.sha256)
    if after is not None:
        query = query.where(stored_files.c.sha256 > after)
    return query.limit(PAGE)


def _counted(condition: ColumnElement[bool]) -> Any:
    return select(func.count()).where(condition).correlate(stored_files).scalar_subquery()


def _lines(row: Row[Any], store: StoredFiles) -> list[str]:
    lines = []
    if row.uses != row.attached + row.waiting:
        lines.append(f"{row.uses} uses are counted, there are {row.attached + row.waiting}")
    if row.uses <= 0 and row.attached + row.waiting == 0:
        return lines  # to be swept
    digest = bytes(row.sha256)
    try:
        path = store.path(digest)
        size = path.stat().st_size
        if size != row.bytes:
            lines.append(f"it has {size} bytes instead of {row.bytes}")
        with path.open("rb") as stream:
            if file_digest(stream, "sha256").digest() != digest:
                lines.append("it has another digest")
    except (OSError, ValueError):
        lines.append("it is missing")
    return lines


async def _check_attachments(conn: AsyncConnection, found: Differences) -> None:
    own = (entries.c.room == attachments.c.room) & (entries.c.seq == attachments.c.seq)
    disclosed = (disclosures.c.room == attachments.c.room) & (disclosures.c.seq == attachments.c.seq)
    erased = (erasures.c.room == attachments.c.room) & (erasures.c.seq == attachments.c.seq)
    query = select(attachments, entries.c.kind, disclosures.c.body, erasures.c.tombstone).select_from(
        attachments.outerjoin(entries, own).outerjoin(disclosures, disclosed).outerjoin(erasures, erased)
    )
    async for row in await conn.stream(query.order_by(attachments.c.room, attachments.c.seq, attachments.c.position)):
        found.looked_at += 1
        where = f"{row.room}/{row.seq} file {row.position}"
        if row.kind is None:
            found.differ(f"{where}: there is no such entry")
        elif row.tombstone is not None:
            found.differ(f"{where}: its entry is erased, but it is still attached")
        elif row.body is not None and not _is_named(bytes(row.body), row):
            found.differ(f"{where}: its entry names another name, size or digest")


def _is_named(body: bytes, row: Row[Any]) -> bool:
    try:
        ref = json.loads(body)["files"][row.position]
        told = (ref["name"], ref["media"], ref["bytes"], ref["sha256"])
    except (ValueError, LookupError, TypeError):
        return False
    return bool(told == (row.name, row.media, row.bytes, base64url(bytes(row.sha256))))
