"""Rows of the record: reading entries, leaf hashes and checkpoints. Writing goes through `writer.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.record import Entry
from app.storage.tables import checkpoints, disclosures, entries, erasures, members, room_heads

_joined = entries.outerjoin(
    disclosures, (disclosures.c.room == entries.c.room) & (disclosures.c.seq == entries.c.seq)
).outerjoin(erasures, (erasures.c.room == entries.c.room) & (erasures.c.seq == entries.c.seq))
_entry_columns = select(
    entries.c.room,
    entries.c.seq,
    entries.c.kind,
    entries.c.by,
    entries.c.at,
    entries.c.ref,
    entries.c.cid,
    disclosures.c.body,
    erasures.c.tombstone,
).select_from(_joined)


def entry_of(row: Any) -> Entry:
    """Return the entry of a row of entries joined with disclosures and erasures."""
    body = msgspec.json.decode(row.body) if row.body is not None else None
    return Entry(row.room, row.seq, row.kind, row.by, row.at, body, row.ref, row.cid, row.tombstone)


async def select_head(connection: AsyncConnection, room: str) -> int:
    """Return the seq of the last entry, -1 for none."""
    size = await connection.scalar(select(room_heads.c.size).where(room_heads.c.room == room))
    return (size or 0) - 1


async def select_after(connection: AsyncConnection, room: str, after: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries behind `after`, oldest first."""
    query = _entry_columns.where(entries.c.room == room, entries.c.seq > after).order_by(entries.c.seq).limit(limit)
    return [entry_of(row) for row in await connection.execute(query)]


async def select_before(connection: AsyncConnection, room: str, before: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries before `before`, oldest first."""
    query = _entry_columns.where(entries.c.room == room, entries.c.seq < before)
    rows = (await connection.execute(query.order_by(entries.c.seq.desc()).limit(limit))).all()
    return [entry_of(row) for row in reversed(rows)]


async def select_entries(connection: AsyncConnection, room: str, seqs: Iterable[int]) -> dict[int, Entry]:
    """Return the entries with these seqs."""
    query = _entry_columns.where(entries.c.room == room, entries.c.seq.in_(list(seqs)))
    return {row.seq: entry_of(row) for row in await connection.execute(query)}


async def select_places(connection: AsyncConnection, places: Collection[tuple[str, int]]) -> list[Entry]:
    """Return the entries at these rooms and seqs, in no order."""
    if not places:
        return []
    return [entry_of(row) for row in await connection.execute(_entry_columns.where(_at_places(places)))]


def _at_places(places: Collection[tuple[str, int]]) -> ColumnElement[bool]:
    """Return the condition of being at one of these places: SQLite finds pairs by no index, but seqs of a room."""
    seqs: dict[str, list[int]] = {}
    for room, seq in places:
        seqs.setdefault(room, []).append(seq)
    return or_(*(and_(entries.c.room == room, entries.c.seq.in_(found)) for room, found in seqs.items()))


async def select_last_of_kinds(
    connection: AsyncConnection, rooms: Collection[str], kinds: Collection[str]
) -> dict[str, Entry]:
    """Return, by room, its last entry of these kinds; rooms without one are left out. Two queries at most."""
    last = (
        select(entries.c.seq)
        .where(entries.c.room == room_heads.c.room, entries.c.kind.in_(kinds))
        .order_by(entries.c.seq.desc())
        .limit(1)
        .correlate(room_heads)
        .scalar_subquery()
    )
    heads = await connection.execute(select(room_heads.c.room, last.label("seq")).where(room_heads.c.room.in_(rooms)))
    places = [and_(entries.c.room == row.room, entries.c.seq == row.seq) for row in heads if row.seq is not None]
    if not places:
        return {}
    return {row.room: entry_of(row) for row in await connection.execute(_entry_columns.where(or_(*places)))}


async def select_corrections(connection: AsyncConnection, room: str, seqs: Collection[int]) -> list[tuple[int, int]]:
    """Return the corrections of entries as (seq of the corrected entry, seq of the correction), in their order."""
    query = select(entries.c.ref, entries.c.seq).where(
        entries.c.room == room,
        entries.c.kind == "correction",
        entries.c.seq > min(seqs),
        entries.c.ref.between(min(seqs), max(seqs)),
    )
    return [(row.ref, row.seq) for row in await connection.execute(query.order_by(entries.c.seq)) if row.ref in seqs]


async def select_notes(connection: AsyncConnection, room: str, seq: int, limit: int) -> list[int]:
    """Return the seqs of the last notes on an entry, in their order."""
    query = select(entries.c.seq).where(
        entries.c.room == room, entries.c.kind == "feedback", entries.c.seq > seq, entries.c.ref == seq
    )
    return sorted((await connection.scalars(query.order_by(entries.c.seq.desc()).limit(limit))).all())


async def select_leaf_hashes(connection: AsyncConnection, room: str, size: int) -> list[bytes]:
    """Return the first `size` leaf hashes of a room."""
    query = select(entries.c.leaf_hash).where(entries.c.room == room, entries.c.seq < size).order_by(entries.c.seq)
    return list((await connection.scalars(query)).all())


async def select_leaf(connection: AsyncConnection, room: str, seq: int) -> bytes | None:
    """Return the stored bytes of a leaf."""
    leaf: bytes | None = await connection.scalar(
        select(entries.c.leaf).where(entries.c.room == room, entries.c.seq == seq)
    )
    return leaf


async def select_disclosure(connection: AsyncConnection, room: str, seq: int) -> tuple[bytes, bytes] | None:
    """Return salt and stored body of an entry; None once they were erased."""
    query = select(disclosures.c.salt, disclosures.c.body).where(disclosures.c.room == room, disclosures.c.seq == seq)
    found = (await connection.execute(query)).first()
    return (found.salt, found.body) if found is not None else None


async def select_roots(connection: AsyncConnection, rooms: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    """Return size and root of rooms."""
    query = select(room_heads.c.room, room_heads.c.size, room_heads.c.root).where(room_heads.c.room.in_(list(rooms)))
    return {row.room: (row.size, row.root) for row in await connection.execute(query)}


async def select_checkpoint(connection: AsyncConnection, room: str, size: int = 0) -> bytes | None:
    """Return the newest checkpoint of a room that covers at least `size` entries."""
    query = select(checkpoints.c.note).where(checkpoints.c.room == room, checkpoints.c.size >= size)
    note: bytes | None = await connection.scalar(query.order_by(checkpoints.c.size.desc()).limit(1))
    return note


async def select_unsigned(connection: AsyncConnection, limit: int) -> list[str]:
    """Return rooms whose newest checkpoint does not cover their head."""
    newest = select(func.coalesce(func.max(checkpoints.c.size), 0)).where(checkpoints.c.room == room_heads.c.room)
    query = select(room_heads.c.room).where(room_heads.c.size > newest.scalar_subquery()).limit(limit)
    return list((await connection.scalars(query)).all())


async def select_short_rooms(connection: AsyncConnection, sizes: dict[str, int]) -> list[str]:
    """Return the rooms that hold fewer entries than the sizes given."""
    heads = {row.room: row.size for row in await connection.execute(select(room_heads.c.room, room_heads.c.size))}
    return [room for room, size in sizes.items() if heads.get(room, 0) < size]


async def insert_new_checkpoints(connection: AsyncConnection, rows: list[dict[str, object]]) -> None:
    """Store signed checkpoints; one that is there already is the same."""
    dialect_insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    await connection.execute(dialect_insert(checkpoints).on_conflict_do_nothing(), rows)


async def update_seen(connection: AsyncConnection, room: str, account: str, seq: int) -> bool:
    """Remember how far a member has read; return whether that moved forward."""
    changed = await connection.execute(
        update(members)
        .where(members.c.room == room, members.c.account == account, members.c.seen_seq < seq)
        .values(seen_seq=seq)
    )
    return changed.rowcount > 0


async def select_of_kinds(connection: AsyncConnection, room: str, kinds: Collection[str], limit: int) -> list[Entry]:
    """Return the last entries of some kinds, oldest first."""
    query = _entry_columns.where(entries.c.room == room, entries.c.kind.in_(list(kinds)))
    rows = (await connection.execute(query.order_by(entries.c.seq.desc()).limit(limit))).all()
    return [entry_of(row) for row in reversed(rows)]
