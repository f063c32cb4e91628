"""The record of a workroom: read it, prove it, note what was seen. `append` and `submit` come from `writing`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from app.domain.checkpoint import receipt_text
from app.domain.errors import InvalidBody, NotFound
from app.domain.live import Seen
from app.domain.matters import Matter
from app.domain.merkle import consistency_proof, inclusion_proof
from app.domain.record import Entry, disclosure_bytes
from app.domain.workrooms import WRITTEN_BY_PEOPLE
from app.services import confidentiality, notices
from app.services.access import Actor, member_of
from app.services.checkpoints import covering_checkpoint
from app.services.matters import states_of
from app.services.resources import Resources
from app.services.writing import append, is_words, submit
from app.storage import record as rows
from app.storage.frames import select_frame_states
from app.storage.writer import Tx

PAGE_ENTRIES_MAX = 1000

__all__ = [
    "EntriesPage", "Later", "append", "consistency", "disclosure", "entry", "is_words", "last_words", "later",
    "mark_seen", "notes", "page", "receipt", "submit",
]  # fmt: skip


class EntriesPage(Struct, frozen=True):
    """A run of entries, oldest first, and the seq of the room's last entry (-1 for none)."""

    entries: list[Entry]
    head: int


class Later(Struct, frozen=True):
    """What became of entries, by seq: the state of a frame, the seqs of the corrections, how a matter stands."""

    frames: dict[int, str]
    corrections: dict[int, list[int]]
    matters: dict[int, Matter]


async def page(
    resources: Resources,
    actor: Actor,
    room: str,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> EntriesPage:
    """Return the entries behind `after`, or before `before`, or the last ones.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    limit = max(1, min(limit, PAGE_ENTRIES_MAX))
    async with resources.database.read() as connection:
        head = await rows.select_head(connection, room)
        if after is not None:
            found = await rows.select_after(connection, room, after, limit)
        else:
            found = await rows.select_before(connection, room, head + 1 if before is None else before, limit)
    return EntriesPage(found, head)


async def last_words(resources: Resources, rooms: Collection[str]) -> dict[str, Entry]:
    """Return, by room, the last entry that a person wrote; for callers that have asked for access."""
    async with resources.database.read() as connection:
        return await rows.select_last_of_kinds(connection, rooms, WRITTEN_BY_PEOPLE)


async def later(resources: Resources, room: str, entries: Sequence[Entry]) -> Later:
    """Return what later entries say of these, wherever they stand; for callers that have asked for access."""
    taken = [entry.seq for entry in entries if entry.kind == "frame.taken"]
    written = {entry.seq for entry in entries if entry.kind != "frame.taken"}
    frames: dict[int, str] = {}
    corrections: dict[int, list[int]] = {}
    async with resources.database.read() as connection:
        if taken:
            frames = await select_frame_states(connection, room, taken)
        if written:
            for ref, seq in await rows.select_corrections(connection, room, written):
                corrections.setdefault(ref, []).append(seq)
    return Later(frames, corrections, await states_of(resources, room, entries))


async def notes(resources: Resources, actor: Actor, room: str, seq: int, limit: int) -> list[Entry]:
    """Return the last notes on an entry (feedback that refers to it), wherever they stand, in their order.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        seqs = await rows.select_notes(connection, room, seq, limit)
        found = await rows.select_entries(connection, room, seqs)
    return [found[seq] for seq in seqs]


async def entry(resources: Resources, actor: Actor, room: str, seq: int) -> Entry:
    """Return one entry.

    Raises:
        NotFound: if there is none, or the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        found = await rows.select_entries(connection, room, [seq])
    if seq not in found:
        raise NotFound()
    return found[seq]


async def receipt(resources: Resources, actor: Actor, room: str, seq: int) -> str:
    """Return the receipt of an entry (a C2SP tlog-proof): leaf, index, inclusion proof, checkpoint.

    Signs a checkpoint at once if none covers the entry yet.

    Raises:
        NotFound: if there is no such entry, or the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        leaf = await rows.select_leaf(connection, room, seq)
    if leaf is None:
        raise NotFound()
    size, note = await covering_checkpoint(resources, room, seq + 1)
    async with resources.database.read() as connection:
        hashes = await rows.select_leaf_hashes(connection, room, size)
    proof = await asyncio.to_thread(inclusion_proof, seq, hashes)
    return receipt_text(seq, leaf, proof, note)


async def disclosure(resources: Resources, actor: Actor, room: str, seq: int) -> bytes:
    """Return the bytes whose SHA-256 the entry's leaf commits to: `[salt, "<room>/<seq>", body]`.

    Raises:
        NotFound: if there is no such entry, the actor is no member, or the content was erased.
        Forbidden: for a secret that is handed over; the download of a restricted entry is logged.
    """
    member = await member_of(resources, actor, room)
    known = await entry(resources, actor, room, seq)
    await confidentiality.note_download(resources, member, known)
    async with resources.database.read() as connection:
        found = await rows.select_disclosure(connection, room, seq)
        if found is None:
            known = (await rows.select_entries(connection, room, [seq]))[seq]  # erased since
    if found is None:
        raise NotFound(f"The content of entry {seq} was erased by entry {known.erased}. Its receipt still holds.")
    salt, body = found
    return disclosure_bytes(room, seq, salt, msgspec.json.decode(body))


async def consistency(resources: Resources, actor: Actor, room: str, size1: int, size2: int) -> list[bytes]:
    """Return the proof that the record of `size2` entries continues that of `size1`.

    Raises:
        NotFound: if the actor is no member.
        InvalidBody: if the sizes are not those of this record.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        head = await rows.select_head(connection, room)
        if not 0 < size1 <= size2 <= head + 1:
            raise InvalidBody(f"`from` and `to` are sizes between 1 and {head + 1}.", field="from")
        hashes = await rows.select_leaf_hashes(connection, room, size2)
    return await asyncio.to_thread(consistency_proof, size1, hashes)


async def mark_seen(resources: Resources, actor: Actor, room: str, seq: int) -> None:
    """Remember that the actor has read up to `seq`; the others see it live.

    Raises:
        NotFound: if the actor is no member.
    """
    member = await member_of(resources, actor, room)

    async def work(tx: Tx) -> None:
        capped = min(seq, await rows.select_head(tx.conn, room))
        if await rows.update_seen(tx.conn, room, actor.account, capped):
            tx.after_commit(Seen(room, member.by, capped))
            await notices.seen(tx, resources, actor.account, room, capped)

    await resources.database.writer.run(work)
