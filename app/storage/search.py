"""Rows of search: follow the record into the index, find in it, take what was erased out of it.

Rule 1: what is indexed and how far is one commit, so that nothing is missed or there twice, whatever breaks off.
Rule 2: an entry leaves the index in the commit that erases it; its words leave the files of the index soon after, by
`destroy_forgotten`. An entry erased before its turn is not indexed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.record import Body
from app.storage.search_index import (
    INDEXES,
    WALK_ROWS,
    Wanted,
    fts_match,
    indexed_words,
    is_slow,
    lexemes,
    like_patterns,
    needed_parts,
    ts_query,
    unwanted_parts,
)
from app.storage.tables import room_heads, search_erasures, search_heads

if TYPE_CHECKING:
    from app.storage.writer import Tx

MERGE_PAGES = 400  # of the index rewritten in one commit: about 40 ms, so that nobody waits long


class Stretch(Struct, frozen=True):
    """Entries of a room that are to be indexed: from `first`, before `last`."""

    room: str
    first: int
    last: int


class Text(Struct, frozen=True):
    """What the index shall hold of an entry."""

    room: str
    seq: int
    kind: str
    by: str
    words: Sequence[str]


class Place(Struct, frozen=True):
    """A room in which to search, from the entry `first` to `last`."""

    room: str
    number: int
    first: int
    last: int
    wanted: Wanted


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def select_behind(connection: AsyncConnection, limit: int) -> list[str]:
    """Return rooms that hold entries which are not indexed."""
    joined = room_heads.outerjoin(search_heads, search_heads.c.room == room_heads.c.room)
    query = select(room_heads.c.room).select_from(joined)
    behind = query.where(room_heads.c.size > func.coalesce(search_heads.c.size, 0))
    return list((await connection.scalars(behind.limit(limit))).all())


async def select_stretches(
    connection: AsyncConnection, rooms: Collection[str], entries_max: int
) -> tuple[list[Stretch], list[str]]:
    """Return what is to be indexed next in these rooms, `entries_max` in all, and the rooms that have more."""
    joined = room_heads.outerjoin(search_heads, search_heads.c.room == room_heads.c.room)
    first = func.coalesce(search_heads.c.size, 0).label("first")
    query = select(room_heads.c.room, first, room_heads.c.size).select_from(joined)
    stretches: list[Stretch] = []
    more, left = [], entries_max
    for row in await connection.execute(query.where(room_heads.c.room.in_(list(rooms)), room_heads.c.size > first)):
        last = min(row.size, row.first + left)
        if last > row.first:
            stretches.append(Stretch(row.room, row.first, last))
            left -= last - row.first
        if last < row.size:
            more.append(row.room)
    return stretches, more


async def select_bodies(
    connection: AsyncConnection, stretches: Sequence[Stretch], kinds: Collection[str]
) -> list[tuple[str, int, str, str, Body]]:
    """Return room, seq, kind, author and body of the entries of these kinds."""
    statement = INDEXES[connection.dialect.name].behind
    found = await connection.execute(statement, {"places": _json(stretches), "kinds": _json(sorted(kinds))})
    return [(row.room, row.seq, row.kind, row.by, msgspec.json.decode(row.body)) for row in found]


async def insert_texts(tx: Tx, stretches: Sequence[Stretch], texts: Sequence[Text]) -> int:
    """Index texts, and say that these stretches are; what another process did meanwhile is left out.

    Returns how many stretches were new.
    """
    dialect = tx.conn.dialect.name
    insert_new = (sqlite_insert if dialect == "sqlite" else postgresql_insert)(search_heads).on_conflict_do_nothing()
    fresh = sorted({stretch.room for stretch in stretches if stretch.first == 0})
    if fresh:
        await tx.conn.execute(insert_new, [{"room": room, "size": 0} for room in fresh])
    held = select(search_heads).where(search_heads.c.room.in_([s.room for s in stretches]))
    heads = {row.room: row for row in await tx.conn.execute(held.order_by(search_heads.c.room).with_for_update())}
    due = [s for s in stretches if s.room in heads and heads[s.room].size == s.first]
    if not due:
        return 0
    index = INDEXES[dialect]
    erased = {(row.room, row.seq) for row in await tx.conn.execute(index.erased, {"places": _json(due)})}
    rooms = {stretch.room for stretch in due}
    rows = []
    for each in texts:
        if each.room in rooms and (each.room, each.seq) not in erased:
            number, indexed = heads[each.room].number, indexed_words(each.words, each.kind, each.by)
            row: tuple[Any, ...] = (number, each.seq, indexed)
            rows.append(row if dialect == "sqlite" else (*row, lexemes(number, indexed)))
    if rows:
        await tx.conn.execute(index.insert, {"rows": _json(rows)})
    sizes = [{"_room": stretch.room, "_size": stretch.last} for stretch in due]
    await tx.conn.execute(_update_size, sizes)
    return len(due)


_update_size = update(search_heads).where(search_heads.c.room == bindparam("_room")).values(size=bindparam("_size"))


async def forget(tx: Tx, room: str, seq: int) -> None:
    """Take an entry out of the index, in the commit that erases it."""
    held = select(search_heads).where(search_heads.c.room == room)
    head = (await tx.conn.execute(held.with_for_update())).first()
    if head is None or head.size <= seq:
        return
    deleted = await tx.conn.execute(INDEXES[tx.conn.dialect.name].delete, {"number": head.number, "seq": seq})
    if deleted.rowcount != 0:
        await tx.conn.execute(insert(search_erasures).values(room=room, seq=seq, at=tx.now))


async def select_heads(connection: AsyncConnection, rooms: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return, by room, its number in the index and how many entries are indexed."""
    query = select(search_heads).where(search_heads.c.room.in_(list(rooms)))
    return {row.room: (row.number, row.size) for row in await connection.execute(query)}


async def select_first_at(connection: AsyncConnection, moments: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Return, by room, the seq of its first entry at or after a moment; `moments` are (size of the room, moment).

    Time never goes back within a room, so this is found by halves.
    """
    places = [{"room": room, "size": size, "at": at} for room, (size, at) in moments.items()]
    found = await connection.execute(INDEXES[connection.dialect.name].first_at, {"places": _json(places)})
    return {row.room: row.seq for row in found}


async def find(connection: AsyncConnection, places: Sequence[Place], limit: int) -> dict[str, list[int]]:
    """Return, by room, the seqs of the last `limit` entries that have what is wanted, the newest first."""
    dialect = connection.dialect.name
    index, walk = INDEXES[dialect], WALK_ROWS[dialect]
    asked = [_asked(place, dialect) for place in places]
    if dialect == "sqlite" and not any(is_slow(place.wanted) for place in places):
        return await _found(connection, index.find, {"places": _json(asked), "limit": limit})
    newest = asked if dialect == "postgresql" else [_walked(place) for place in places]
    found = await _found(connection, index.find_newest, {"places": _json(newest), "limit": limit, "walk": walk})
    rest = [
        each
        for each, place in zip(asked, places, strict=True)
        if len(found[place.room]) < limit and place.last - place.first >= walk
    ]
    return found | await _found(connection, index.find, {"places": _json(rest), "limit": limit}) if rest else found


def _asked(place: Place, dialect: str) -> dict[str, Any]:
    asked = {"room": place.room, "number": place.number, "first": place.first, "last": place.last}
    if dialect == "sqlite":
        return {**asked, "match": fts_match(place.wanted)}
    return {
        **asked,
        "match": ts_query(place.number, place.wanted),
        "must": like_patterns(place.wanted, is_unwanted=False),
        "never": like_patterns(place.wanted, is_unwanted=True),
    }


def _walked(place: Place) -> dict[str, Any]:
    return {
        "room": place.room, "number": place.number, "first": place.first, "last": place.last,
        "must": needed_parts(place.wanted), "never": unwanted_parts(place.wanted),
    }  # fmt: skip


async def _found(connection: AsyncConnection, statement: Any, values: dict[str, Any]) -> dict[str, list[int]]:
    return {
        row.room: sorted((int(seq) for seq in (row.seqs or "").split(",") if seq), reverse=True)
        for row in await connection.execute(statement, values)
    }


async def select_times(connection: AsyncConnection, places: Collection[tuple[str, int]]) -> list[tuple[int, str, int]]:
    """Return time, room and seq of the entries at these places, the newest first."""
    found = await connection.execute(INDEXES[connection.dialect.name].times, {"places": _json(list(places))})
    return sorted(((row.at, row.room, row.seq) for row in found), reverse=True)


async def select_forgotten(connection: AsyncConnection, limit: int) -> list[tuple[str, int]]:
    """Return room and seq of entries that were erased, and whose words may still lie in the files of the index."""
    found = await connection.execute(select(search_erasures.c.room, search_erasures.c.seq).limit(limit))
    return [(row.room, row.seq) for row in found]


async def merge(tx: Tx) -> bool:
    """Rewrite a part of SQLite's index without what was deleted; return whether there is more to do."""
    before = await tx.conn.scalar(select(func.total_changes()))
    await tx.conn.execute(
        text("INSERT INTO search_rows (search_rows, rank) VALUES ('merge', :pages)"), {"pages": -MERGE_PAGES}
    )
    after = await tx.conn.scalar(select(func.total_changes()))
    return (after or 0) - (before or 0) >= 2  # the statement itself counts as one


async def delete_forgotten(tx: Tx, forgotten: Collection[tuple[str, int]]) -> None:
    """Note that the words of these entries are gone from the files."""
    await tx.conn.execute(_delete_forgotten, [{"_room": room, "_seq": seq} for room, seq in forgotten])


_delete_forgotten = delete(search_erasures).where(
    search_erasures.c.room == bindparam("_room"), search_erasures.c.seq == bindparam("_seq")
)
REWRITE = ("VACUUM search_rows", "REINDEX INDEX CONCURRENTLY ix_search_rows_lexemes")
"""What destroys words on PostgreSQL: dead rows first, then the index, which never lets go of a word by itself."""
