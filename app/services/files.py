"""Files of entries: attached in the transaction of the append, downloaded by members, previewed, swept when unused.

Rule 1: an entry names only files that its author has uploaded here, with the digest, size and type that arrived.
Rule 2: a restricted file is never shown without being asked for: no preview, and each download is logged first.
Rule 3: a file goes when nothing uses it, under the writer's lock, so that it cannot be taken into use meanwhile.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import structlog
from msgspec import Struct

from app.domain.errors import InvalidBody, NotFound
from app.domain.files import TEXT, text_of
from app.domain.live import PreviewReady
from app.domain.record import Entry, base64url_bytes
from app.domain.workrooms import Member
from app.services import uploads
from app.services.access import Actor, member_of
from app.services.resources import Resources
from app.storage import files as rows
from app.storage.files import AttachmentRow, DownloadRow
from app.storage.writer import Tx

PLACES_MAX = 100  # entries that are told at once that a preview is ready; others find it when they are loaded
FILES_PER_PAGE = 100
UNUSED_AT_ONCE = 20  # unlinked within one transaction, 50 µs each
WAITING_MAX = 100
SEQ_MAX = 2**53

log = structlog.get_logger(__name__)


class Download(Struct, frozen=True):
    """A file to send: where it lies, and what to say about it."""

    path: Path
    name: str
    media: str
    sha256: bytes
    restricted: bool = False


async def attach(tx: Tx, resources: Resources, member: Member, entry: Entry) -> None:
    """Attach the files that an appended entry names, in the transaction of the append.

    Raises:
        InvalidBody: naming the first that its author has not uploaded here just so.
    """
    body = entry.body or {}
    named = body.get("files") or []
    if not named:
        return
    digests = [base64url_bytes(ref["sha256"]) for ref in named]
    known = await rows.select_completed(tx.conn, entry.room, member.account, set(digests))
    uses: Counter[bytes] = Counter()
    first_used: set[str] = set()
    made = []
    for position, (ref, digest) in enumerate(zip(named, digests, strict=True)):
        told = (digest, ref["name"], ref["bytes"], ref["media"])
        upload = next((u for u in known if (u.sha256, u.name, u.size, u.media) == told), None)
        if upload is None:
            raise InvalidBody(
                f"The file “{ref['name']}” is not among your uploads here. Upload it again, then send.",
                field=f"body.files.{position}",
            )
        uses[digest] += 1
        if upload.used_at is None and upload.id not in first_used:
            first_used.add(upload.id)
            uses[digest] -= 1  # the upload's own use becomes the attachment's
        made.append(
            {
                "room": entry.room,
                "seq": entry.seq,
                "position": position,
                "sha256": digest,
                "name": upload.name,
                "media": upload.media,
                "bytes": upload.size,
                "restricted": bool(ref.get("restricted") or body.get("restricted")),
            }
        )
    await rows.insert_attachments(tx.conn, made)
    await rows.add_uses(tx.conn, uses)
    if first_used:
        await rows.update_uploads_used(tx.conn, first_used, resources.clock.real_now())


async def detach(tx: Tx, room: str, seq: int) -> None:
    """Let go of the files of an entry whose content is erased, in the transaction that erases it."""
    uses: Counter[bytes] = Counter()
    for digest in await rows.delete_attachments(tx.conn, room, seq):
        uses[digest] -= 1
    await rows.add_uses(tx.conn, uses)


# Downloads


async def attachment(resources: Resources, actor: Actor, room: str, seq: int, position: int) -> AttachmentRow:
    """Return a file of an entry.

    Raises:
        NotFound: if there is none, or the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        found = await rows.select_attachment(conn, room, min(seq, SEQ_MAX), min(position, 2**31 - 1))
    if found is None:
        raise NotFound()
    return found


async def download(
    resources: Resources, actor: Actor, room: str, seq: int, position: int, *, logged: bool = True
) -> Download:
    """Return a file to send; that of a restricted one is logged before, unless nothing of it is sent (`logged`).

    Raises:
        NotFound: if there is none, or the actor is no member.
    """
    row = await attachment(resources, actor, room, seq, position)
    if row.restricted and logged:
        now = resources.clock.record_now()

        async def work(tx: Tx) -> None:
            await rows.upsert_file_view(tx.conn, room, seq, position, actor.account, now)

        await resources.database.writer.run(work)
    return Download(resources.blobs.files.path(row.sha256), row.name, row.media, row.sha256, row.restricted)


async def download_own(resources: Resources, actor: Actor, room: str, upload: str) -> Download:
    """Return one's own upload to send, before it is attached to anything.

    Raises:
        NotFound: if the actor has no such upload that is complete.
    """
    row = await uploads.completed(resources, actor, room, upload)
    assert row.sha256 is not None and row.media is not None, "complete uploads have both"
    return Download(resources.blobs.files.path(row.sha256), row.name, row.media, row.sha256)


async def downloads(resources: Resources, actor: Actor, room: str, seq: int, position: int) -> list[DownloadRow]:
    """Return who downloaded a restricted file and when, the last one first (rule 6.4); every member may see it.

    Raises:
        NotFound: if there is no such file, or the actor is no member.
    """
    await attachment(resources, actor, room, seq, position)
    async with resources.database.read() as conn:
        return await rows.select_file_views(conn, room, seq, position)


async def files_of(resources: Resources, actor: Actor, room: str, before: int | None = None) -> list[AttachmentRow]:
    """Return the files of a room, the newest first, below the seq `before`.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        return await rows.select_attachments(conn, room, SEQ_MAX if before is None else before, FILES_PER_PAGE)


# Previews


class Preview(Struct, frozen=True):
    """The picture of a file: its state (`waiting`, `ready`, `failed`, `none`), and where it lies once ready."""

    state: str
    path: Path
    sha256: bytes


async def preview(resources: Resources, actor: Actor, room: str, seq: int, position: int) -> Preview:
    """Return the picture of a file, or why there is none.

    Raises:
        NotFound: if there is no such file, it is restricted (rule 2), or the actor is no member.
    """
    row = await attachment(resources, actor, room, seq, position)
    if row.restricted:
        raise NotFound("A restricted file is not shown here. Its download is logged.")
    return Preview(row.preview, resources.blobs.files.preview_path(row.sha256), row.sha256)


async def text_preview(resources: Resources, actor: Actor, room: str, seq: int, position: int) -> tuple[str, bool]:
    """Return the beginning of a file of text, and whether that is all of it.

    Raises:
        NotFound: if it is no text, is restricted (rule 2), or the actor is no member.
    """
    row = await attachment(resources, actor, room, seq, position)
    if row.restricted or row.media != TEXT:
        raise NotFound()
    head = await resources.blobs.files.read_head(row.sha256)
    text = text_of(head)
    if text is None:
        raise NotFound()
    return text, len(head) >= row.size


async def is_preview_due(resources: Resources, digest: bytes) -> bool:
    """Whether a picture of this file is still to be made."""
    async with resources.database.read() as conn:
        found = await rows.select_preview_state(conn, digest)
    return found is not None and found[1] == rows.WAITING


async def preview_made(resources: Resources, digest: bytes, ok: bool) -> None:
    """Note that the picture of a file is there, or cannot be made; pages that show the file get it. Twice is once."""

    async def work(tx: Tx) -> None:
        if await rows.update_preview_state(tx.conn, digest, rows.READY if ok else rows.FAILED):
            for room, seq, position in await rows.select_places(tx.conn, digest, PLACES_MAX):
                tx.after_commit(PreviewReady(room, seq, position, ok))

    await resources.database.writer.run(work)


async def without_preview(resources: Resources, older_than_ms: int) -> list[bytes]:
    """Return files that have waited for their picture this long: what the worker's sweep finds again."""
    before = resources.clock.real_now() - older_than_ms
    async with resources.database.read() as conn:
        return await rows.select_waiting(conn, before, WAITING_MAX)


# Sweeps


async def sweep_unused(resources: Resources) -> int:
    """Remove files that nothing uses any more; return how many."""

    async def work(tx: Tx) -> int:
        digests = await rows.delete_unused(tx.conn, UNUSED_AT_ONCE)
        for digest in digests:  # inside: whoever brings the same file again waits, and then puts it again
            await resources.blobs.files.delete(digest)
        return len(digests)

    removed = 0
    while (count := await resources.database.writer.run(work)) > 0:
        removed += count
    return removed


async def sweep_orphans(resources: Resources, older_than_seconds: float) -> int:
    """Remove files that are this old and have no row: their transaction never came. Return how many."""
    removed = 0
    async for digest in resources.blobs.files.orphans(older_than_seconds):
        async with resources.database.read() as conn:
            if await rows.select_is_stored(conn, digest):
                continue
        removed += await _remove_orphan(resources, digest, older_than_seconds)
    return removed


async def _remove_orphan(resources: Resources, digest: bytes, older_than_seconds: float) -> bool:
    async def work(tx: Tx) -> bool:
        if await rows.select_is_stored(tx.conn, digest):  # the second look
            return False
        return await resources.blobs.files.delete_orphan(digest, older_than_seconds)

    removed = await resources.database.writer.run(work)
    if removed:
        log.info("orphan_removed", file=digest.hex())
    return removed
