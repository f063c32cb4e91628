"""Uploads: files on their way to the server, in pieces, resumable, and swept when nobody attaches them.

Rule 1: an upload belongs to who began it; for everybody else it is not there.
Rule 2: what has arrived is kept when the connection is lost: the next request asks how much, and goes on there.
Rule 3: bytes first, row second: a file is whole, durable and checked before its upload counts as complete.
Rule 4: limits count by the real clock: they are about disks, not about the record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from app.domain.errors import DigestMismatch, Malformed, NotFound, OffsetMismatch, TooLarge, TooMany, Unavailable
from app.domain.files import FILE_BYTES_MAX, checked_size, clean_name, has_picture, media_of
from app.domain.ids import id_from_bytes, is_room_id
from app.domain.timerange import DAY_MS
from app.services.access import Actor, member_of
from app.services.resources import Resources
from app.storage import files as rows
from app.storage.file_store import Whole
from app.storage.files import UploadRow
from app.storage.writer import Tx

PIECE_BYTES = 256 * 1024  # gathered, then written at once: a thread's turn costs more than the writing
OPEN_PER_ACCOUNT_MAX = 20  # as many files as go with one entry
OPEN_PER_ROOM_MAX = 60
ROOM_SHARE = 4  # a room may take the daily bytes of this many accounts
KEPT_MS = 7 * DAY_MS  # an upload that nobody attaches
MINE_MAX = 40
SWEPT_AT_ONCE = 200
STALE_SECONDS = 86_400.0
FINISH_TRIES = 3
MAKE_PREVIEW = "make_preview"
_MIB = 1024 * 1024


class Arrived(Struct, frozen=True):
    """How far an upload is."""

    upload: UploadRow
    received: int

    @property
    def is_complete(self) -> bool:
        return self.upload.completed_at is not None


class _Swept(Unavailable):
    """The file was swept in the moment in which it was put again."""


async def begin(
    resources: Resources, actor: Actor, room: str, name: str, size: int | None, announced: bytes | None = None
) -> UploadRow:
    """Begin an upload of `size` bytes (None: whatever a form brings) with the digest that the client announces.

    Raises:
        NotFound: if the actor is no member.
        TooLarge, Malformed: for a size or a name that cannot be.
        TooMany: if too much is open, or too much came today.
    """
    member = await member_of(resources, actor, room)
    if size is not None:
        checked_size(size)
    if announced is not None and len(announced) != 32:
        raise Malformed("`sha256` must be a SHA-256 in base64url.", field="sha256")
    now = resources.clock.real_now()
    upload = id_from_bytes(resources.random_bytes(16))
    row = UploadRow(upload, room, member.account, clean_name(name), size, announced, now)
    bytes_max = resources.settings.upload_mib_per_day_max * _MIB

    async def work(tx: Tx) -> None:
        load = await rows.select_load(tx.conn, member.account, room, now - DAY_MS)
        if load.open_of_account >= OPEN_PER_ACCOUNT_MAX or load.open_in_room >= OPEN_PER_ROOM_MAX:
            raise TooMany(
                "Too many uploads are under way. Wait until some are done, or cancel them.", retry_after_seconds=30
            )
        coming = size or 0
        if load.bytes_of_account + coming > bytes_max or load.bytes_in_room + coming > ROOM_SHARE * bytes_max:
            raise TooMany(
                f"Within 24 hours one may upload {bytes_max // _MIB:,} MiB. Try again tomorrow.",
                field="bytes",
                retry_after_seconds=3600,
            )
        await rows.insert_upload(tx.conn, row)

    await resources.database.writer.run(work)
    if size == 0:
        return await _complete(resources, row)
    return row


async def progress(resources: Resources, actor: Actor, room: str, upload: str) -> Arrived:
    """Return how much of one's upload has arrived; a request that still brings pieces of it is cut off.

    Raises:
        NotFound: if the actor has no such upload here.
    """
    row = await _own(resources, actor, room, upload)
    if row.completed_at is not None:
        return Arrived(row, row.size or 0)
    resources.blobs.files.take_turn(upload)
    return Arrived(row, await resources.blobs.files.received(upload))


async def receive(
    resources: Resources, actor: Actor, room: str, upload: str, offset: int, pieces: AsyncIterator[bytes]
) -> Arrived:
    """Take pieces that begin at `offset`; when the last byte is here, check the file and make it ready to attach.

    Whatever ends `pieces`, what has arrived stays.

    Raises:
        NotFound: if the actor has no such upload here.
        OffsetMismatch: if the pieces begin elsewhere than where the last ones ended.
        TooLarge: for more bytes than were announced.
        DigestMismatch: if the whole has another digest than announced; the upload is gone then.
        Conflict: if another request has gone on with this upload meanwhile.
    """
    row = await _own(resources, actor, room, upload)
    if row.completed_at is not None:
        if offset != row.size:
            raise OffsetMismatch(row.size or 0)
        return Arrived(row, offset)
    turn = resources.blobs.files.take_turn(upload)
    received = await resources.blobs.files.received(upload)
    if received != offset:
        raise OffsetMismatch(received)
    received = await _store(resources, row, turn, received, pieces)
    if row.size is not None and received == row.size:
        return Arrived(await _complete(resources, row), received)
    return Arrived(row, received)


async def _store(resources: Resources, row: UploadRow, turn: int, received: int, pieces: AsyncIterator[bytes]) -> int:
    store, most = resources.blobs.files, FILE_BYTES_MAX if row.size is None else row.size
    held: list[bytes] = []
    size = 0
    try:
        async for piece in pieces:
            if received + size + len(piece) > most:
                raise TooLarge(
                    "This file is larger than 50 MiB."
                    if row.size is None
                    else f"More than the {row.size} bytes that were announced arrived.",
                    field="bytes",
                )
            held.append(piece)
            size += len(piece)
            if size >= PIECE_BYTES:
                whole, held, taken, size = held, [], size, 0
                received = await store.append(row.id, turn, received, whole)
                del whole
                await store.take_time(taken)
    finally:
        if held:
            received = await store.append(row.id, turn, received, held)
    return received


async def receive_whole(
    resources: Resources, actor: Actor, room: str, name: str, pieces: AsyncIterator[bytes]
) -> UploadRow:
    """Take a file whose size nobody knows before it ends, as forms bring it; what is refused leaves nothing.

    Raises:
        WorkroomError: as `begin` and `receive`.
    """
    row = await begin(resources, actor, room, name, None)
    done = False
    try:
        await _store(resources, row, resources.blobs.files.take_turn(row.id), 0, pieces)
        completed = await _complete(resources, row)
        done = True
        return completed
    finally:
        if not done:
            await _drop(resources, [row.id])


async def cancel(resources: Resources, actor: Actor, room: str, upload: str) -> None:
    """Take back one's upload that is attached to nothing. Doing it twice is one.

    Raises:
        NotFound: if the actor is no member.
    """
    try:
        row = await _own(resources, actor, room, upload)
    except NotFound:
        await member_of(resources, actor, room)
        return
    if row.used_at is None:
        await _drop(resources, [upload])


async def mine(resources: Resources, actor: Actor, room: str) -> list[UploadRow]:
    """Return one's uploads in a room that are attached to nothing yet.

    Raises:
        NotFound: if the actor is no member.
    """
    member = await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        return await rows.select_mine(conn, room, member.account, MINE_MAX)


async def completed(resources: Resources, actor: Actor, room: str, upload: str) -> UploadRow:
    """Return one's upload that has arrived.

    Raises:
        NotFound: if the actor has none with this id that is complete.
    """
    row = await _own(resources, actor, room, upload)
    if row.completed_at is None:
        raise NotFound("This file has not arrived yet.")
    return row


async def _own(resources: Resources, actor: Actor, room: str, upload: str) -> UploadRow:
    member = await member_of(resources, actor, room)
    if is_room_id(upload):  # ids look alike
        async with resources.database.read() as conn:
            row = await rows.select_upload(conn, upload)
        if row is not None and (row.room, row.account) == (room, member.account):
            return row
    raise NotFound("There is no such upload. It was cancelled, or nobody used it for a week; begin again.")


async def _complete(resources: Resources, row: UploadRow) -> UploadRow:
    store = resources.blobs.files
    whole = await store.finish(row.id)
    if row.announced is not None and whole.sha256 != row.announced:
        await _drop(resources, [row.id])
        raise DigestMismatch("The file was damaged on its way: its digest is not the announced one. Upload it again.")
    media = media_of(whole.head)
    for _ in range(FINISH_TRIES):
        try:
            is_waiting = await _enter(resources, row, whole, media)
            break
        except _Swept:
            whole = await store.finish(row.id)
    else:
        raise Unavailable()
    await store.forget(row.id)
    if is_waiting:
        await resources.enqueue(MAKE_PREVIEW, whole.sha256.hex())
    async with resources.database.read() as conn:
        found = await rows.select_upload(conn, row.id)
    if found is None:
        raise NotFound("This upload was cancelled.")
    return found


async def _enter(resources: Resources, row: UploadRow, whole: Whole, media: str) -> bool:
    now = resources.clock.real_now()
    preview = rows.WAITING if has_picture(media) else rows.NO_PREVIEW

    async def work(tx: Tx) -> bool:
        if not await rows.update_upload_completed(tx.conn, row.id, whole.size, whole.sha256, media, now):
            return False  # another request was faster
        is_waiting = await rows.upsert_stored_file(tx.conn, whole.sha256, whole.size, media, preview, now)
        if not await resources.blobs.files.exists(whole.sha256):
            raise _Swept()
        return is_waiting

    return await resources.database.writer.run(work)


async def _drop(resources: Resources, ids: list[str]) -> None:
    """Delete uploads with what has arrived of them; a file that is complete loses a use."""

    async def work(tx: Tx) -> None:
        uses: dict[bytes, int] = {}
        for row in await rows.delete_uploads(tx.conn, ids):
            if row.sha256 is not None and row.used_at is None:
                uses[row.sha256] = uses.get(row.sha256, 0) - 1
        await rows.add_uses(tx.conn, uses)

    await resources.database.writer.run(work)
    for upload in ids:
        await resources.blobs.files.forget(upload)


async def sweep(resources: Resources) -> int:
    """Drop uploads that are a week old, and pieces that belong to none; return how many."""
    before = resources.clock.real_now() - KEPT_MS
    store = resources.blobs.files
    async with resources.database.read() as conn:
        expired = [row.id for row in await rows.select_expired(conn, before, SWEPT_AT_ONCE)]
    if expired:
        await _drop(resources, expired)
    stale = (await store.stale_uploads(STALE_SECONDS))[:SWEPT_AT_ONCE]
    async with resources.database.read() as conn:
        known = await rows.select_uploads_known(conn, stale)
    lost = [upload for upload in stale if upload not in known]
    for upload in lost:
        await store.forget(upload)
    return len(expired) + len(lost)
