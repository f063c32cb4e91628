"""The store of attached files, what fsck says of it, and that a backup holds it."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import update

from app.config import Settings
from app.domain.errors import Conflict, Unavailable
from app.opening import database_url as url_of
from app.services import record, uploads
from app.services.resources import Resources
from app.storage.backup import back_up
from app.storage.blobs import Blobs
from app.storage.file_store import FileStore
from app.storage.fsck import check, open_for_reading
from app.storage.tables import stored_files
from app.storage.writer import Tx
from app.views.files import ref_of
from tests.builders import build_pair

ID = "0" * 26
DATA = b"Berth 12 is free from Monday.\n" * 1000
DIGEST = sha256(DATA).digest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    made = FileStore(tmp_path)
    yield made
    made.close()


async def arrive(store: FileStore, upload: str = ID, data: bytes = DATA) -> None:
    turn = store.take_turn(upload)
    middle = await store.append(upload, turn, 0, [data[:10], data[10:7000]])
    await store.append(upload, turn, middle, [data[7000:]])


async def test_pieces_become_a_file_under_its_digest(store: FileStore) -> None:
    await arrive(store)
    whole = await store.finish(ID)
    assert (whole.size, whole.sha256, whole.head) == (len(DATA), DIGEST, DATA[:4096])
    assert store.path(DIGEST).read_bytes() == DATA
    await store.forget(ID)
    assert not store.upload_path(ID).exists() and store.path(DIGEST).exists()


async def test_a_piece_that_does_not_follow_is_refused(store: FileStore) -> None:
    turn = store.take_turn(ID)
    await store.append(ID, turn, 0, [b"abc"])
    for offset in (0, 2, 4):
        with pytest.raises(Conflict):
            await store.append(ID, turn, offset, [b"x"])
    store.take_turn(ID)
    with pytest.raises(Conflict):
        await store.append(ID, turn, 3, [b"x"])


async def test_another_process_goes_on_with_what_lies_there(store: FileStore, tmp_path: Path) -> None:
    await store.append(ID, store.take_turn(ID), 0, [DATA[:5000]])
    other = FileStore(tmp_path)
    assert await other.received(ID) == 5000
    await other.append(ID, other.take_turn(ID), 5000, [DATA[5000:]])
    assert (await other.finish(ID)).sha256 == DIGEST
    other.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_a_full_or_broken_disk_is_unavailable_and_what_was_there_counts(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    turn = store.take_turn(ID)
    await store.append(ID, turn, 0, [DATA[:5000]])
    write = os.write

    def broken(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            return write(descriptor, data[:100])  # a short write, then the end
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", broken)
        with pytest.raises(Unavailable):
            await store.append(ID, turn, 5000, [DATA[5000:5150]])
    received = await store.received(ID)
    assert received == 5100
    await store.append(ID, turn, received, [DATA[received:]])
    assert (await store.finish(ID)).sha256 == DIGEST


async def test_names_that_are_no_ids_are_refused(store: FileStore) -> None:
    for name in ("../../etc/passwd", "", "A" * 26, "0" * 25, "0" * 26 + "\n"):
        with pytest.raises(ValueError, match="no upload id"):
            store.upload_path(name)
    with pytest.raises(ValueError, match="no SHA-256"):
        store.path(b"short")


async def test_a_preview_never_outlives_its_file(store: FileStore) -> None:
    assert not await store.put_preview(DIGEST, b"picture")
    await arrive(store)
    await store.finish(ID)
    assert await store.put_preview(DIGEST, b"picture")
    await store.delete(DIGEST)
    assert not store.preview_path(DIGEST).exists()


async def test_a_file_that_is_put_again_is_young_again(store: FileStore) -> None:
    await arrive(store)
    await store.finish(ID)
    os.utime(store.path(DIGEST), (1, 1))
    assert [digest async for digest in store.orphans(60.0)] == [DIGEST]
    other = "1" * 26
    await arrive(store, other)
    await store.finish(other)
    assert [digest async for digest in store.orphans(60.0)] == []
    assert not await store.delete_orphan(DIGEST, 60.0)


# fsck and backup


@pytest.fixture
async def path(resources: Resources) -> Path:
    """A file of a message."""

    async def pieces() -> AsyncIterator[bytes]:
        yield DATA

    pair = await build_pair(resources)
    row = await uploads.receive_whole(resources, pair.client, pair.room, "berths.txt", pieces())
    body = {"text": "See there.", "files": [ref_of(row)]}
    await record.append(resources, pair.client, pair.room, "message", body)
    return resources.blobs.files.path(DIGEST)


async def differences(resources: Resources, settings: Settings, blobs: Blobs | None = None) -> list[str]:
    signer = resources.signer
    async with open_for_reading(url_of(settings)) as engine:
        report = await check(engine, blobs or resources.blobs, signer.verify, origin=signer.origin)
    assert report.files.looked_at == 2
    return [line.rpartition(": ")[2] for line in report.differences]


async def test_fsck_is_silent_about_whole_files(resources: Resources, settings: Settings, path: Path) -> None:
    assert await differences(resources, settings) == []


async def test_fsck_finds_a_file_that_is_missing_changed_or_cut(
    resources: Resources, settings: Settings, path: Path
) -> None:
    path.write_bytes(DATA[:-1] + b"x")
    assert await differences(resources, settings) == ["it has another digest"]
    path.write_bytes(DATA[:-1])
    assert await differences(resources, settings) == [
        f"it has {len(DATA) - 1} bytes instead of {len(DATA)}", "it has another digest",
    ]  # fmt: skip
    path.unlink()
    assert await differences(resources, settings) == ["it is missing"]


async def test_fsck_counts_the_uses_again(resources: Resources, settings: Settings, path: Path) -> None:
    async def work(tx: Tx) -> None:
        await tx.conn.execute(update(stored_files).values(uses=7))

    await resources.database.writer.run(work)
    assert await differences(resources, settings) == ["7 uses are counted, there are 1"]


async def test_a_backup_holds_the_files(resources: Resources, settings: Settings, path: Path, tmp_path: Path) -> None:
    if settings.database_url:
        return  # the rows of a dump are those of the server
    target = tmp_path / "copy"
    await back_up(url_of(settings), resources.blobs, target)
    copies = Blobs(target / "blobs")
    assert copies.files.path(DIGEST).read_bytes() == DATA
    assert await differences(resources, settings, copies) == []
    copies.close()
