"""Rows of files: uploads, stored files and their uses, attachments, downloads. The bytes lie in `file_store.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import Column

from app.storage.tables import accounts, attachments, file_views, stored_files, uploads
from app.storage.tracking import upsert

NO_PREVIEW, WAITING, READY, FAILED = "none", "waiting", "ready", "failed"


class UploadRow(msgspec.Struct, frozen=True):
    """An upload of `size` bytes in all (None: a form brings it, and nobody knows). Times are of the real clock."""

    id: str
    room: str
    account: str
    name: str
    size: int | None
    announced: bytes | None
    started_at: int
    sha256: bytes | None = None
    media: str | None = None
    completed_at: int | None = None
    used_at: int | None = None


class AttachmentRow(msgspec.Struct, frozen=True):
    """The file at `position` of an entry; `preview` is the state of the digest's picture."""

    room: str
    seq: int
    position: int
    sha256: bytes
    name: str
    media: str
    size: int
    restricted: bool
    preview: str


class DownloadRow(msgspec.Struct, frozen=True):
    """Who downloaded a restricted file: when first and last, and how often."""

    name: str
    first_at: int
    viewed_at: int
    times: int


class Load(msgspec.Struct, frozen=True):
    """What is open (by account, in the room) and what was announced or received since (by account, in the room)."""

    open_of_account: int
    open_in_room: int
    bytes_of_account: int
    bytes_in_room: int


_UPLOAD: tuple[Column[Any], ...] = tuple(
    uploads.c["bytes" if name == "size" else name] for name in UploadRow.__struct_fields__
)
_ATTACHMENT: tuple[Column[Any], ...] = (
    attachments.c.room,
    attachments.c.seq,
    attachments.c.position,
    attachments.c.sha256,
    attachments.c.name,
    attachments.c.media,
    attachments.c.bytes,
    attachments.c.restricted,
    stored_files.c.preview,
)
_with_files = attachments.join(stored_files, stored_files.c.sha256 == attachments.c.sha256)


# Uploads


async def insert_upload(conn: AsyncConnection, row: UploadRow) -> None:
    """Insert an upload; its id is new, or the database refuses."""
    values = msgspec.structs.asdict(row)
    await conn.execute(uploads.insert().values(bytes=values.pop("size"), **values))


async def select_upload(conn: AsyncConnection, upload: str) -> UploadRow | None:
    """Return the upload with this id."""
    found = (await conn.execute(select(*_UPLOAD).where(uploads.c.id == upload))).first()
    return None if found is None else UploadRow(*found)


async def select_load(conn: AsyncConnection, account: str, room: str, since: int) -> Load:
    """Return what an account and a room have open, and the bytes of their uploads that began since then."""
    is_account, is_room = uploads.c.account == account, uploads.c.room == room
    is_open = uploads.c.completed_at.is_(None)
    size = func.coalesce(uploads.c.bytes, 0)
    query = select(
        func.count().filter(and_(is_account, is_open)),
        func.count().filter(and_(is_room, is_open)),
        func.coalesce(func.sum(size).filter(is_account), 0),
        func.coalesce(func.sum(size).filter(is_room), 0),
    ).where(or_(is_account, is_room), uploads.c.started_at > since)
    return Load(*(int(value) for value in (await conn.execute(query)).one()))


async def update_upload_completed(
    conn: AsyncConnection, upload: str, size: int, sha256: bytes, media: str, now: int
) -> bool:
    """Note that an upload has arrived; return whether it was open."""
    statement = (
        update(uploads)
        .where(uploads.c.id == upload, uploads.c.completed_at.is_(None))
        .values(bytes=size, sha256=sha256, media=media, completed_at=now)
    )
    return (await conn.execute(statement)).rowcount == 1


async def select_completed(
    conn: AsyncConnection, room: str, account: str, digests: Collection[bytes]
) -> list[UploadRow]:
    """Return the uploads of an account in a room that have arrived with one of these digests, unused ones first."""
    query = (
        select(*_UPLOAD)
        .join(stored_files, stored_files.c.sha256 == uploads.c.sha256)
        .where(
            uploads.c.room == room,
            uploads.c.account == account,
            uploads.c.sha256.in_(digests),
            uploads.c.completed_at.is_not(None),
        )
        .order_by(uploads.c.used_at.is_not(None), uploads.c.completed_at)
    )
    return [UploadRow(*row) for row in await conn.execute(query)]


async def select_mine(conn: AsyncConnection, room: str, account: str, limit: int) -> list[UploadRow]:
    """Return the uploads of an account in a room that are attached to nothing yet, the oldest first."""
    query = select(*_UPLOAD).where(uploads.c.room == room, uploads.c.account == account, uploads.c.used_at.is_(None))
    return [UploadRow(*row) for row in await conn.execute(query.order_by(uploads.c.started_at).limit(limit))]


async def update_uploads_used(conn: AsyncConnection, ids: Collection[str], now: int) -> None:
    """Note that uploads are attached."""
    await conn.execute(update(uploads).where(uploads.c.id.in_(ids)).values(used_at=now))


async def select_expired(conn: AsyncConnection, before: int, limit: int) -> list[UploadRow]:
    """Return uploads that began before then, the oldest first."""
    query = select(*_UPLOAD).where(uploads.c.started_at < before).order_by(uploads.c.started_at).limit(limit)
    return [UploadRow(*row) for row in await conn.execute(query)]


async def select_uploads_known(conn: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Return which of these ids are uploads that have not arrived."""
    query = select(uploads.c.id).where(uploads.c.id.in_(ids), uploads.c.completed_at.is_(None))
    return set((await conn.scalars(query)).all())


async def delete_uploads(conn: AsyncConnection, ids: Collection[str]) -> list[UploadRow]:
    """Delete uploads; return those that were there, as they were."""
    rows = await conn.execute(delete(uploads).where(uploads.c.id.in_(ids)).returning(*_UPLOAD))
    return [UploadRow(*row) for row in rows]


# Stored files


async def upsert_stored_file(
    conn: AsyncConnection, sha256: bytes, size: int, media: str, preview: str, now: int
) -> bool:
    """Count one use more of a file; return whether its preview is still to be made."""
    statement = upsert(conn, stored_files).values(
        sha256=sha256, bytes=size, media=media, uses=1, preview=preview, stored_at=now
    )
    statement = statement.on_conflict_do_update(
        index_elements=["sha256"], set_={"uses": stored_files.c.uses + 1}
    ).returning(stored_files.c.preview)
    return bool((await conn.execute(statement)).scalar_one() == WAITING)


async def add_uses(conn: AsyncConnection, uses: Mapping[bytes, int]) -> None:
    """Change by how much files are used."""
    changed = [{"_sha256": digest, "_uses": number} for digest, number in sorted(uses.items()) if number]
    if changed:
        statement = (
            update(stored_files)
            .where(stored_files.c.sha256 == bindparam("_sha256"))
            .values(uses=stored_files.c.uses + bindparam("_uses"))
        )
        await conn.execute(statement, changed)


async def delete_unused(conn: AsyncConnection, limit: int) -> list[bytes]:
    """Delete rows of files that nobody uses; return their digests."""
    unused = select(stored_files.c.sha256).where(stored_files.c.uses <= 0).limit(limit).scalar_subquery()
    statement = delete(stored_files).where(stored_files.c.sha256.in_(unused), stored_files.c.uses <= 0)
    return list((await conn.scalars(statement.returning(stored_files.c.sha256))).all())


async def select_is_stored(conn: AsyncConnection, sha256: bytes) -> bool:
    """Whether a file has its row."""
    query = select(stored_files.c.sha256).where(stored_files.c.sha256 == sha256)
    return (await conn.execute(query)).first() is not None


async def select_preview_state(conn: AsyncConnection, sha256: bytes) -> tuple[str, str] | None:
    """Return the media type of a file and the state of its preview."""
    query = select(stored_files.c.media, stored_files.c.preview).where(stored_files.c.sha256 == sha256)
    found = (await conn.execute(query)).first()
    return None if found is None else (found.media, found.preview)


async def update_preview_state(conn: AsyncConnection, sha256: bytes, state: str) -> bool:
    """Say what became of a preview that was waited for; return whether it was."""
    statement = (
        update(stored_files)
        .where(stored_files.c.sha256 == sha256, stored_files.c.preview == WAITING)
        .values(preview=state)
    )
    return (await conn.execute(statement)).rowcount == 1


async def select_waiting(conn: AsyncConnection, before: int, limit: int) -> list[bytes]:
    """Return files that have waited for their preview since then."""
    query = select(stored_files.c.sha256).where(stored_files.c.preview == WAITING, stored_files.c.stored_at <= before)
    return list((await conn.scalars(query.order_by(stored_files.c.stored_at).limit(limit))).all())


# Attachments


async def insert_attachments(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the files of an entry: a mapping of columns each."""
    await conn.execute(attachments.insert(), list(rows))


async def delete_attachments(conn: AsyncConnection, room: str, seq: int) -> list[bytes]:
    """Delete the files of an entry, and who downloaded them; return their digests."""
    await conn.execute(delete(file_views).where(file_views.c.room == room, file_views.c.seq == seq))
    statement = delete(attachments).where(attachments.c.room == room, attachments.c.seq == seq)
    return list((await conn.scalars(statement.returning(attachments.c.sha256))).all())


async def select_attachment(conn: AsyncConnection, room: str, seq: int, position: int) -> AttachmentRow | None:
    """Return one file of an entry."""
    query = (
        select(*_ATTACHMENT)
        .select_from(_with_files)
        .where(attachments.c.room == room, attachments.c.seq == seq, attachments.c.position == position)
    )
    found = (await conn.execute(query)).first()
    return None if found is None else AttachmentRow(*found)


async def select_attachments(conn: AsyncConnection, room: str, before: int, limit: int) -> list[AttachmentRow]:
    """Return the files of a room's entries below `before`, the newest first."""
    query = (
        select(*_ATTACHMENT)
        .select_from(_with_files)
        .where(attachments.c.room == room, attachments.c.seq < before)
        .order_by(attachments.c.seq.desc(), attachments.c.position)
        .limit(limit)
    )
    return [AttachmentRow(*row) for row in await conn.execute(query)]


async def select_places(conn: AsyncConnection, sha256: bytes, limit: int) -> list[tuple[str, int, int]]:
    """Return where a file is attached: room, seq and position, the newest first."""
    query = (
        select(attachments.c.room, attachments.c.seq, attachments.c.position)
        .where(attachments.c.sha256 == sha256, attachments.c.restricted.is_(False))
        .order_by(attachments.c.seq.desc())
        .limit(limit)
    )
    return [(row.room, row.seq, row.position) for row in await conn.execute(query)]


# Downloads


async def upsert_file_view(conn: AsyncConnection, room: str, seq: int, position: int, account: str, now: int) -> None:
    """Count a download."""
    statement = upsert(conn, file_views).values(
        room=room, seq=seq, position=position, account=account, first_at=now, viewed_at=now, times=1
    )
    statement = statement.on_conflict_do_update(
        index_elements=["room", "seq", "position", "account"],
        set_={"viewed_at": now, "times": file_views.c.times + 1},
    )
    await conn.execute(statement)


async def select_file_views(conn: AsyncConnection, room: str, seq: int, position: int) -> list[DownloadRow]:
    """Return who downloaded a file, the last one first."""
    query = (
        select(accounts.c.name, file_views.c.first_at, file_views.c.viewed_at, file_views.c.times)
        .join(accounts, accounts.c.id == file_views.c.account)
        .where(file_views.c.room == room, file_views.c.seq == seq, file_views.c.position == position)
        .order_by(file_views.c.viewed_at.desc())
    )
    return [DownloadRow(*row) for row in await conn.execute(query)]
