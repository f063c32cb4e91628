"""Files on their way in, attached, downloaded and swept, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from app.domain.errors import (
    Conflict,
    DigestMismatch,
    InvalidBody,
    NotFound,
    OffsetMismatch,
    TooLarge,
    TooMany,
)
from app.domain.files import FILE_BYTES_MAX
from app.domain.live import PreviewReady
from app.domain.record import Draft, Entry, base64url
from app.domain.timerange import DAY_MS
from app.services import files, uploads
from app.services.access import Actor, member_of
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage import files as rows
from app.storage.files import UploadRow
from app.storage.writer import Tx
from app.views.files import ref_of
from tests.builders import Pair, build_account, build_pair
from tests.published import Published

TEXT = b"Berth 12 is free from Monday.\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


@pytest.fixture
async def pair(resources: Resources) -> Pair:
    return await build_pair(resources)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def upload(
    resources: Resources, actor: Actor, room: str, data: bytes = TEXT, name: str = "berths.txt"
) -> UploadRow:
    row = await uploads.begin(resources, actor, room, name, len(data))
    if not data:
        return row
    return (await uploads.receive(resources, actor, room, row.id, 0, pieces(data))).upload


async def attach(resources: Resources, actor: Actor, room: str, refs: list[dict[str, Any]], **more: Any) -> Entry:
    """Append a message with files, as the record does."""
    member = await member_of(resources, actor, room)

    async def work(tx: Tx) -> Entry:
        entry = await tx.append(Draft(room, "message", member.by, {"text": "See there.", "files": refs, **more}))
        await files.attach(tx, resources, member, entry)
        return entry

    return await resources.database.writer.run(work, rooms=(room,))


async def uses(resources: Resources, data: bytes) -> int | None:
    async with resources.database.read() as conn:
        found = await conn.execute(
            rows.select(rows.stored_files.c.uses).where(rows.stored_files.c.sha256 == sha256(data).digest())
        )
        row = found.first()
        return None if row is None else int(row.uses)


async def test_a_file_arrives_in_pieces_and_lies_under_its_digest(resources: Resources, pair: Pair) -> None:
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", len(TEXT), sha256(TEXT).digest())
    first = await uploads.receive(resources, pair.client, pair.room, row.id, 0, pieces(TEXT[:3], TEXT[3:10]))
    assert (first.received, first.is_complete) == (10, False)
    last = await uploads.receive(resources, pair.client, pair.room, row.id, 10, pieces(TEXT[10:]))
    assert last.is_complete and last.upload.media == "text/plain"
    assert resources.blobs.files.path(sha256(TEXT).digest()).read_bytes() == TEXT
    assert not resources.blobs.files.upload_path(row.id).exists()


async def test_what_arrived_before_the_connection_was_lost_is_kept(resources: Resources, pair: Pair) -> None:
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", len(TEXT))

    async def broken() -> AsyncIterator[bytes]:
        yield TEXT[:7]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await uploads.receive(resources, pair.client, pair.room, row.id, 0, broken())
    assert (await uploads.progress(resources, pair.client, pair.room, row.id)).received == 7
    with pytest.raises(OffsetMismatch) as caught:
        await uploads.receive(resources, pair.client, pair.room, row.id, 0, pieces(TEXT))
    assert caught.value.received == 7
    arrived = await uploads.receive(resources, pair.client, pair.room, row.id, 7, pieces(TEXT[7:]))
    assert arrived.upload.sha256 == sha256(TEXT).digest()


async def test_an_older_request_for_the_same_upload_is_cut_off(resources: Resources, pair: Pair) -> None:
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", len(TEXT))

    async def overtaken() -> AsyncIterator[bytes]:
        await uploads.progress(resources, pair.client, pair.room, row.id)
        yield TEXT[:7]

    with pytest.raises(Conflict):
        await uploads.receive(resources, pair.client, pair.room, row.id, 0, overtaken())
    assert (await uploads.progress(resources, pair.client, pair.room, row.id)).received == 0


async def test_a_server_that_forgot_the_digest_reads_it_again(resources: Resources, pair: Pair) -> None:
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", len(TEXT))
    await uploads.receive(resources, pair.client, pair.room, row.id, 0, pieces(TEXT[:7]))
    resources.blobs.files._progress.clear()
    arrived = await uploads.receive(resources, pair.client, pair.room, row.id, 7, pieces(TEXT[7:]))
    assert arrived.upload.sha256 == sha256(TEXT).digest()


async def test_a_damaged_file_is_refused_and_leaves_nothing(resources: Resources, pair: Pair) -> None:
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", len(TEXT), bytes(32))
    with pytest.raises(DigestMismatch):
        await uploads.receive(resources, pair.client, pair.room, row.id, 0, pieces(TEXT))
    with pytest.raises(NotFound):
        await uploads.progress(resources, pair.client, pair.room, row.id)
    assert not resources.blobs.files.upload_path(row.id).exists()
    assert await uses(resources, TEXT) is None


async def test_more_than_was_announced_or_than_50_mib_is_refused(resources: Resources, pair: Pair) -> None:
    with pytest.raises(TooLarge):
        await uploads.begin(resources, pair.client, pair.room, "film.mp4", FILE_BYTES_MAX + 1)
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", 5)
    with pytest.raises(TooLarge):
        await uploads.receive(resources, pair.client, pair.room, row.id, 0, pieces(TEXT))


async def test_an_empty_file_is_a_file(resources: Resources, pair: Pair) -> None:
    row = await upload(resources, pair.client, pair.room, b"", "empty.txt")
    assert row.completed_at is not None and row.sha256 == sha256(b"").digest()


async def test_only_its_owner_knows_an_upload(resources: Resources, pair: Pair) -> None:
    row = await uploads.begin(resources, pair.client, pair.room, "berths.txt", len(TEXT))
    stranger = await build_account(resources, "Eve Stone")
    for actor in (pair.freelancer, stranger):
        with pytest.raises(NotFound):
            await uploads.progress(resources, actor, pair.room, row.id)
        with pytest.raises(NotFound):
            await uploads.receive(resources, actor, pair.room, row.id, 0, pieces(TEXT))
    with pytest.raises(NotFound):
        await uploads.begin(resources, stranger, pair.room, "berths.txt", len(TEXT))


async def test_a_form_s_file_needs_no_announced_size_and_leaves_nothing_when_it_breaks(
    resources: Resources, pair: Pair
) -> None:
    row = await uploads.receive_whole(resources, pair.client, pair.room, "C:\\docs\\berths.txt", pieces(TEXT))
    assert (row.name, row.size) == ("berths.txt", len(TEXT))

    async def broken() -> AsyncIterator[bytes]:
        yield TEXT
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await uploads.receive_whole(resources, pair.client, pair.room, "berths.txt", broken())
    assert await uploads.mine(resources, pair.client, pair.room) == [row]


async def test_too_many_open_uploads_and_too_many_bytes_a_day_are_refused(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    for _ in range(uploads.OPEN_PER_ACCOUNT_MAX):
        await uploads.begin(resources, pair.client, pair.room, "berths.txt", 5)
    with pytest.raises(TooMany, match="under way"):
        await uploads.begin(resources, pair.client, pair.room, "berths.txt", 5)
    await uploads.begin(resources, pair.freelancer, pair.room, "berths.txt", 5)
    resources.settings = _with_limit(resources, 60)
    other = await build_pair(resources, "Another")
    for _ in range(1):
        await upload_announced(resources, pair.freelancer, other.room, FILE_BYTES_MAX)
    with pytest.raises(TooMany, match="24 hours"):
        await upload_announced(resources, pair.freelancer, other.room, FILE_BYTES_MAX)
    clock.now += DAY_MS + 1
    await upload_announced(resources, pair.freelancer, other.room, FILE_BYTES_MAX)


async def upload_announced(resources: Resources, actor: Actor, room: str, size: int) -> UploadRow:
    return await uploads.begin(resources, actor, room, "film.mp4", size)


def _with_limit(resources: Resources, mib: int) -> Any:
    return replace(resources.settings, upload_mib_per_day_max=mib)


# Attaching


async def test_an_entry_takes_the_files_that_its_author_uploaded(resources: Resources, pair: Pair) -> None:
    one, two = await upload(resources, pair.client, pair.room), await upload(resources, pair.client, pair.room, PNG)
    entry = await attach(resources, pair.client, pair.room, [ref_of(one), ref_of(two)])
    got = await files.download(resources, pair.freelancer, pair.room, entry.seq, 1)
    assert (got.path.read_bytes(), got.name, got.media) == (PNG, "berths.txt", "image/png")
    assert await uploads.mine(resources, pair.client, pair.room) == []
    assert [row.position for row in await files.files_of(resources, pair.freelancer, pair.room)] == [0, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda ref: {**ref, "name": "other.txt"},
        lambda ref: {**ref, "bytes": ref["bytes"] + 1},
        lambda ref: {**ref, "media": "image/png"},
        lambda ref: {**ref, "sha256": base64url(bytes(32))},
    ],
)
async def test_a_file_that_did_not_arrive_just_so_is_refused_by_its_place(
    resources: Resources, pair: Pair, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    good = ref_of(await upload(resources, pair.client, pair.room))
    with pytest.raises(InvalidBody) as caught:
        await attach(resources, pair.client, pair.room, [good, change(good)])
    assert caught.value.field == "body.files.1"
    assert await uses(resources, TEXT) == 1


async def test_nobody_attaches_what_somebody_else_uploaded(resources: Resources, pair: Pair) -> None:
    ref = ref_of(await upload(resources, pair.client, pair.room))
    with pytest.raises(InvalidBody):
        await attach(resources, pair.freelancer, pair.room, [ref])


async def test_equal_files_are_stored_once_and_go_with_the_last_use(resources: Resources, pair: Pair) -> None:
    path = resources.blobs.files.path(sha256(TEXT).digest())
    first = await attach(resources, pair.client, pair.room, [ref_of(await upload(resources, pair.client, pair.room))])
    other = ref_of(await upload(resources, pair.freelancer, pair.room, name="mine.txt"))
    second = await attach(resources, pair.freelancer, pair.room, [other, other])
    assert await uses(resources, TEXT) == 3

    async def let_go(seq: int) -> None:
        await resources.database.writer.run(lambda tx: files.detach(tx, pair.room, seq))

    await let_go(first.seq)
    assert await files.sweep_unused(resources) == 0 and path.exists()
    await let_go(second.seq)
    await let_go(second.seq)
    assert await uses(resources, TEXT) == 0
    assert await files.sweep_unused(resources) == 1 and not path.exists()
    again = await upload(resources, pair.client, pair.room)
    assert path.exists() and again.completed_at is not None


async def test_a_file_that_is_swept_while_it_is_put_again_is_there_afterwards(
    resources: Resources, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await uploads.cancel(resources, pair.client, pair.room, (await upload(resources, pair.client, pair.room)).id)
    store = resources.blobs.files
    finish, swept = store.finish, []

    async def finish_then_sweep(upload_id: str) -> Any:
        whole = await finish(upload_id)
        if not swept:
            swept.append(await files.sweep_unused(resources))
        return whole

    monkeypatch.setattr(store, "finish", finish_then_sweep)
    await upload(resources, pair.client, pair.room)
    assert swept == [1] and store.path(sha256(TEXT).digest()).exists()
    assert await uses(resources, TEXT) == 1


async def test_uploads_that_nobody_attaches_go_after_a_week(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    complete = await upload(resources, pair.client, pair.room)
    part = await uploads.begin(resources, pair.client, pair.room, "half.txt", 100)
    await uploads.receive(resources, pair.client, pair.room, part.id, 0, pieces(TEXT))
    await attach(resources, pair.client, pair.room, [ref_of(await upload(resources, pair.client, pair.room, PNG))])
    clock.now += uploads.KEPT_MS - 1000
    assert await uploads.sweep(resources) == 0
    clock.now += 2000
    assert await uploads.sweep(resources) == 3
    assert await uploads.mine(resources, pair.client, pair.room) == []
    assert not resources.blobs.files.upload_path(part.id).exists()
    assert await files.sweep_unused(resources) == 1
    assert not resources.blobs.files.path(complete.sha256 or b"").exists()
    assert resources.blobs.files.path(sha256(PNG).digest()).exists()


async def test_an_orphan_is_swept_only_when_it_is_old_and_has_no_row(resources: Resources, pair: Pair) -> None:
    await upload(resources, pair.client, pair.room)
    store = resources.blobs.files
    lost = store.path(sha256(b"lost").digest())
    lost.parent.mkdir(exist_ok=True)
    lost.write_bytes(b"lost")
    assert await files.sweep_orphans(resources, 60.0) == 0
    assert await files.sweep_orphans(resources, -1.0) == 1
    assert not lost.exists() and store.path(sha256(TEXT).digest()).exists()


# Restricted files, previews


@pytest.mark.parametrize("of_entry", [True, False])
async def test_a_download_of_a_restricted_file_is_logged_and_every_member_sees_it(
    resources: Resources, pair: Pair, clock: ManualClock, of_entry: bool
) -> None:
    ref = ref_of(await upload(resources, pair.client, pair.room))
    more = {"restricted": True} if of_entry else {}
    entry = await attach(resources, pair.client, pair.room, [ref if of_entry else {**ref, "restricted": True}], **more)
    assert await files.downloads(resources, pair.client, pair.room, entry.seq, 0) == []
    await files.download(resources, pair.freelancer, pair.room, entry.seq, 0)
    clock.now += 5000
    await files.download(resources, pair.freelancer, pair.room, entry.seq, 0)
    await files.download(resources, pair.freelancer, pair.room, entry.seq, 0, logged=False)
    (seen,) = await files.downloads(resources, pair.client, pair.room, entry.seq, 0)
    assert (seen.name, seen.times, seen.viewed_at - seen.first_at) == ("Ana Novak", 2, 5000)
    with pytest.raises(NotFound):
        await files.text_preview(resources, pair.freelancer, pair.room, entry.seq, 0)


async def test_a_stranger_gets_nothing_of_a_file(resources: Resources, pair: Pair) -> None:
    entry = await attach(resources, pair.client, pair.room, [ref_of(await upload(resources, pair.client, pair.room))])
    stranger = await build_account(resources, "Eve Stone")
    for ask in (files.download, files.preview, files.text_preview, files.downloads):
        with pytest.raises(NotFound):
            await ask(resources, stranger, pair.room, entry.seq, 0)
    for seq, position in ((entry.seq, 1), (entry.seq + 1, 0), (2**70, 2**70)):
        with pytest.raises(NotFound):
            await files.download(resources, pair.client, pair.room, seq, position)


async def test_pages_hear_that_a_preview_is_ready_once(resources: Resources, pair: Pair, published: Published) -> None:
    row = await upload(resources, pair.client, pair.room, PNG)
    assert published.jobs == [("make_preview", sha256(PNG).hexdigest())]
    entry = await attach(resources, pair.client, pair.room, [ref_of(row)])
    assert await files.without_preview(resources, 0) == [sha256(PNG).digest()]
    for _ in range(2):
        await files.preview_made(resources, sha256(PNG).digest(), True)
    assert published.of(PreviewReady) == [PreviewReady(pair.room, entry.seq, 0)]
    assert (await files.preview(resources, pair.freelancer, pair.room, entry.seq, 0)).state == "ready"
    assert await files.without_preview(resources, 0) == []


async def test_text_is_shown_from_its_beginning(resources: Resources, pair: Pair) -> None:
    long = "ä".encode() * 5000
    refs = [ref_of(await upload(resources, pair.client, pair.room, data)) for data in (TEXT, long)]
    entry = await attach(resources, pair.client, pair.room, refs)
    assert await files.text_preview(resources, pair.client, pair.room, entry.seq, 0) == (TEXT.decode(), True)
    shown, is_all = await files.text_preview(resources, pair.client, pair.room, entry.seq, 1)
    assert shown == "ä" * 2048 and not is_all
