"""The blob store: what is acknowledged is whole, what fails leaves nothing, what is deleted stays deleted."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.storage.blobs import Blobs

FRAME = "0b8b2f64-3c9e-4d6b-9a55-0f2f6f1f4a01"
OTHER = "0b8b2f64-3c9e-4d6b-9a55-0f2f6f1f4a02"
A_DAY = 86_400


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Blobs]:
    store = Blobs(tmp_path)
    yield store
    store.close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


async def test_a_frame_lies_under_its_id(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_frame(FRAME, b"picture")
    assert blobs.frame_path(FRAME) == tmp_path / "frames" / "0b" / FRAME
    assert blobs.frame_path(FRAME).read_bytes() == b"picture"
    assert files(tmp_path) == [FRAME]


async def test_the_same_id_again_replaces_the_picture(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_frame(FRAME, b"an orphan of a crash")
    await blobs.put_frame(FRAME, b"picture")
    assert blobs.frame_path(FRAME).read_bytes() == b"picture"
    assert files(tmp_path) == [FRAME]


async def test_names_that_are_no_frame_ids_are_refused(blobs: Blobs) -> None:
    for name in ("../../etc/passwd", "", FRAME.upper(), FRAME + "/x", FRAME + "\n"):
        with pytest.raises(ValueError, match="no frame id"):
            await blobs.put_frame(name, b"picture")


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_a_full_or_broken_disk_is_unavailable_and_leaves_nothing(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    await blobs.put_frame(OTHER, b"picture")  # the folder is there

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    if call == "write":
        monkeypatch.setattr("app.storage.blobs.memoryview", fail, raising=False)
    elif call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Unavailable):
        await blobs.put_frame(FRAME, b"picture")
    assert files(tmp_path) == [OTHER]


async def test_a_thumbnail_is_stored_beside_its_picture(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_frame(FRAME, b"picture")
    assert await blobs.put_thumbnail(FRAME, b"thumbnail")
    assert blobs.thumbnail_path(FRAME).read_bytes() == b"thumbnail"
    assert files(tmp_path) == [FRAME, f"{FRAME}.thumb.webp"]


async def test_no_thumbnail_is_stored_for_a_picture_that_is_gone(blobs: Blobs, tmp_path: Path) -> None:
    assert not await blobs.put_thumbnail(FRAME, b"thumbnail")
    assert files(tmp_path) == []


async def test_a_picture_deleted_while_its_thumbnail_is_written_leaves_no_thumbnail(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await blobs.put_frame(FRAME, b"picture")
    put = Blobs._put

    def put_late(store: Blobs, path: Path, data: bytes) -> None:
        store._delete(FRAME)
        put(store, path, data)

    monkeypatch.setattr(Blobs, "_put", put_late)
    assert not await blobs.put_thumbnail(FRAME, b"thumbnail")
    assert files(tmp_path) == []


async def test_deleting_takes_picture_and_thumbnail_and_can_be_repeated(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_frame(FRAME, b"picture")
    await blobs.put_thumbnail(FRAME, b"thumbnail")
    await blobs.put_frame(OTHER, b"picture")
    await blobs.delete_frame(FRAME)
    await blobs.delete_frame(FRAME)
    assert files(tmp_path) == [OTHER]


async def test_orphans_are_the_old_ones_and_old_parts_go(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_frame(FRAME, b"picture")
    await blobs.put_thumbnail(FRAME, b"thumbnail")
    await blobs.put_frame(OTHER, b"picture")
    part = blobs.frame_path(OTHER).with_name(f".{OTHER}.1-1.part")
    part.write_bytes(b"half a pic")
    for path in (blobs.frame_path(FRAME), blobs.thumbnail_path(FRAME), part):
        age(path, 2 * A_DAY)
    assert [frame_id async for frame_id in blobs.orphans(A_DAY)] == [FRAME]
    assert files(tmp_path) == [FRAME, f"{FRAME}.thumb.webp", OTHER]


async def test_an_orphan_that_was_put_again_is_not_removed(blobs: Blobs) -> None:
    await blobs.put_frame(FRAME, b"an orphan of a crash")
    age(blobs.frame_path(FRAME), 2 * A_DAY)
    await blobs.put_frame(FRAME, b"picture")
    assert not await blobs.delete_orphan(FRAME, A_DAY)
    age(blobs.frame_path(FRAME), 2 * A_DAY)
    assert await blobs.delete_orphan(FRAME, A_DAY)
    assert not blobs.frame_path(FRAME).exists()
