"""Search: what a member may read, in one workroom or in all of one's own (rule 1.8).

Rule 1: only rooms that one is a member of are ever asked; no other room can add a row, a count or a delay.
Rule 2: the newest comes first; a page goes on behind the last entry that was shown, whatever was added since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Malformed
from app.domain.ids import is_room_id
from app.domain.record import Entry
from app.domain.search import Query, words_of
from app.domain.timerange import day_bounds
from app.domain.workrooms import RoomInfo
from app.services import workrooms
from app.services.access import Actor, member_of, room_info
from app.services.resources import Resources
from app.storage import record as rows
from app.storage import search as index
from app.storage.search import Place
from app.storage.search_index import Wanted

ROOMS_SEARCHED_MAX = 300  # of one person, those with the latest entries
RESULTS_DEFAULT = 20
RESULTS_MAX = 100
ME = "me"


class Cursor(Struct, frozen=True):
    """The last entry that was shown: its time, room and seq. As text: `<at>.<room>.<seq>`."""

    at: int
    room: str
    seq: int

    def __str__(self) -> str:
        return f"{self.at}.{self.room}.{self.seq}"


class Hit(Struct, frozen=True):
    """An entry that was found, and its room."""

    info: RoomInfo
    entry: Entry


class Found(Struct, frozen=True):
    """A page of what was found. `more` continues it; `unindexed` entries are too new to be found yet."""

    hits: list[Hit]
    more: Cursor | None
    rooms: int
    unindexed: int


def parsed_cursor(text: str) -> Cursor:
    """Return the cursor that a page gave.

    Raises:
        Malformed: for anything else.
    """
    at, _, rest = text.partition(".")
    room, _, seq = rest.partition(".")
    numbers = at.isdecimal() and at.isascii() and seq.isdecimal() and seq.isascii()
    if not numbers or len(at) > 15 or len(seq) > 15 or not is_room_id(room):
        raise Malformed("`more` must be what the page before gave.", field="more")
    return Cursor(int(at), room, int(seq))


async def search(
    resources: Resources,
    actor: Actor,
    query: Query,
    *,
    room: str | None = None,
    more: Cursor | None = None,
    limit: int = RESULTS_DEFAULT,
) -> Found:
    """Return entries that have what is asked for, the newest first: of one room, or of all of the actor's.

    Raises:
        NotFound: if the actor is no member of the room.
    """
    infos = await _rooms(resources, actor, room)
    if query.is_empty or not infos:
        return Found([], None, len(infos), 0)
    async with resources.database.read() as connection:
        heads = await index.select_heads(connection, infos)
        sizes = {room: size for room, (size, _) in (await rows.select_roots(connection, infos)).items()}
        unindexed = sum(size - heads.get(id, (0, 0))[1] for id, size in sizes.items())
        bounds = await _bounds(connection, {id: infos[id] for id in heads}, heads, query, more)
        places = [
            Place(id, heads[id][0], first, last, Wanted(query.terms, query.kinds, authors))
            for id, (first, last) in bounds.items()
            if first <= last and (authors := authors_of(infos[id], query.people, actor)) is not None
        ]
        hits = await _newest(connection, await index.find(connection, places, limit + 1) if places else {}, limit + 1)
        found = {(entry.room, entry.seq): entry for entry in await rows.select_places(connection, hits[:limit])}
    shown = [Hit(infos[place[0]], found[place]) for place in hits[:limit]]
    last = shown[-1].entry if len(hits) > limit else None
    return Found(shown, None if last is None else Cursor(last.at, last.room, last.seq), len(infos), unindexed)


async def _rooms(resources: Resources, actor: Actor, room: str | None) -> dict[str, RoomInfo]:
    if room is not None:
        await member_of(resources, actor, room)
        return {room: await room_info(resources, room)}
    summaries = await workrooms.my_rooms(resources, actor)
    return {summary.info.id: summary.info for summary in summaries[:ROOMS_SEARCHED_MAX]}


def authors_of(room: RoomInfo, people: Sequence[str], actor: Actor) -> tuple[str, ...] | None:
    """Return the pseudonyms of who is meant in a room, () for everybody; None if nobody there is.

    People are named by pseudonym, by words of their name or their beginnings, or as "me".
    """
    if not people:
        return ()
    found = []
    for member in room.members.values():
        name = words_of(member.name)
        for person in people:
            words = words_of(person)
            is_me = words == [ME] and member.account == actor.account
            if is_me or words == [member.by] or all(any(n.startswith(w) for n in name) for w in words):
                found.append(member.by)
                break
    return tuple(found) or None


async def _bounds(
    connection: AsyncConnection,
    infos: Mapping[str, RoomInfo],
    heads: Mapping[str, tuple[int, int]],
    query: Query,
    more: Cursor | None,
) -> dict[str, tuple[int, int]]:
    """Return the first and the last seq that can be shown of each room. Three queries at most."""
    first = await _first_on(connection, infos, heads, query.after)
    end = await _first_on(connection, infos, heads, query.before)
    bounds = {id: (first.get(id, 0), min(end.get(id, size), size) - 1) for id, (_, size) in heads.items()}
    if more is None:
        return bounds
    moments = {id: (size, more.at + (id < more.room)) for id, (_, size) in heads.items() if id != more.room}
    shown = await index.select_first_at(connection, moments) if moments else {}
    shown[more.room] = more.seq
    return {id: (low, min(high, shown.get(id, high + 1) - 1)) for id, (low, high) in bounds.items()}


async def _first_on(
    connection: AsyncConnection, infos: Mapping[str, RoomInfo], heads: Mapping[str, tuple[int, int]], day: date | None
) -> dict[str, int]:
    if day is None:
        return {}
    moments = {
        id: (heads[id][1], day_bounds(day, ZoneInfo(info.time_zone))[0]) for id, info in infos.items() if id in heads
    }
    return await index.select_first_at(connection, moments)


async def _newest(connection: AsyncConnection, found: Mapping[str, Sequence[int]], limit: int) -> list[tuple[str, int]]:
    """Return the newest of what was found in all rooms. Two queries at most.

    Only rooms whose own newest is among the newest of all can hold any of them.
    """
    found = {room: seqs for room, seqs in found.items() if seqs}
    if len(found) > limit:
        tops = await index.select_times(connection, [(room, seqs[0]) for room, seqs in found.items()])
        found = {room: found[room] for _, room, _ in tops[:limit]}
    places = [(room, seq) for room, seqs in found.items() for seq in seqs]
    if len(found) < 2:
        return places[:limit]
    return [(room, seq) for _, room, seq in (await index.select_times(connection, places))[:limit]]
