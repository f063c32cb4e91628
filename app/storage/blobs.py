"""Blobs: the bytes of frames and their thumbnails, in a folder, written so that they survive a power cut.

Rule 1: bytes first, row second. An orphan is harmless and swept; a row without its bytes is corruption.
Rule 2: a file is whole or not there: temporary file, fsync, rename, fsync of the folder.
Rule 3: frames lie under their own id, never shared, or deleting one would delete another.
Rule 4: deleting takes the picture before the thumbnail, and a thumbnail is checked against its picture after it was
    put, so that no thumbnail outlives a picture that was deleted while it was made.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from app.domain.errors import Unavailable
from app.storage.file_store import FileStore

P = ParamSpec("P")
T = TypeVar("T")

_FRAME_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_THUMBNAIL_SUFFIX = ".thumb.webp"
_PART_SUFFIX = ".part"
_THREADS = 4  # fsyncs that wait at once: the journal joins them, and other threads' work is not held up

log = structlog.get_logger(__name__)


class Blobs:
    """The store in `folder`: `frames/<first two of the id>/<id>` and beside it `<id>.thumb.webp`; `files` has the
    attached files.

    Safe for several tasks of one process, and for several processes on one folder.
    """

    def __init__(self, folder: Path) -> None:
        self._frames = folder / "frames"
        self._frames.mkdir(parents=True, exist_ok=True)
        self.files = FileStore(folder)
        _sync_folder(folder)
        self._synced: set[Path] = set()  # folders whose own name is known to be durable; grows to 256
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
        self._part_numbers = itertools.count()
        # Held while a name appears or goes: an orphan's age is looked at and acted on in one step.
        self._names = threading.Lock()

    def frame_path(self, frame_id: str) -> Path:
        """Return where the picture of a frame lies, whether or not it is there."""
        if _FRAME_ID.fullmatch(frame_id) is None:
            raise ValueError(f"no frame id: {frame_id!r}")
        return self._frames / frame_id[:2] / frame_id

    def thumbnail_path(self, frame_id: str) -> Path:
        """Return where the thumbnail of a frame lies, whether or not it is there."""
        path = self.frame_path(frame_id)
        return path.with_name(path.name + _THUMBNAIL_SUFFIX)

    def has_thumbnail(self, frame_id: str) -> bool:
        """Whether the thumbnail of a frame is there; if it is, it is whole."""
        return self.thumbnail_path(frame_id).exists()

    async def put_frame(self, frame_id: str, data: bytes) -> None:
        """Store a picture; on return it survives a power cut. The same id again replaces it.

        Raises:
            Unavailable: disk full or broken; nothing of it is left.
        """
        await self._run(self._put, self.frame_path(frame_id), data)

    async def put_thumbnail(self, frame_id: str, data: bytes) -> bool:
        """Store a thumbnail as durably as a picture. False, and nothing stored, if its picture is gone by now.

        Raises:
            Unavailable: disk full or broken; nothing of it is left.
        """
        return await self._run(self._put_thumbnail, frame_id, data)

    async def delete_frame(self, frame_id: str) -> None:
        """Remove a picture and its thumbnail for good; what is gone already is no error.

        Raises:
            Unavailable: the disk is broken; call again.
        """
        await self._run(self._delete, frame_id)

    async def delete_orphan(self, frame_id: str, older_than_seconds: float) -> bool:
        """Remove a frame that has no row, unless it was put again since. Returns whether it was removed."""
        return await self._run(self._delete_orphan, frame_id, older_than_seconds)

    async def orphans(self, older_than_seconds: float) -> AsyncIterator[str]:
        """Yield the ids of frames whose files are all older than this, for the caller to look up their rows.

        Temporary files of that age, left by a crash, are removed on the way.
        """
        for folder in await self._run(self._folders):
            for frame_id in await self._run(self._old_ids, folder, older_than_seconds):
                yield frame_id

    def close(self) -> None:
        """Let running writes end, and stop the threads. Call it last."""
        self._threads.shutdown(wait=True)
        self.files.close()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))
        except OSError as error:
            log.warning("blob_store_failed", error=str(error))
            raise Unavailable() from error

    def _put(self, path: Path, data: bytes) -> None:
        self._make_folder(path.parent)
        part = path.with_name(f".{path.name}.{os.getpid()}-{next(self._part_numbers)}{_PART_SUFFIX}")
        try:
            with part.open("xb", buffering=0) as file:
                rest = memoryview(data)
                while rest:  # one write may take less than all
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            with self._names:
                part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        _sync_folder(path.parent)

    def _put_thumbnail(self, frame_id: str, data: bytes) -> bool:
        frame, thumbnail = self.frame_path(frame_id), self.thumbnail_path(frame_id)
        if frame.exists():
            self._put(thumbnail, data)
            if frame.exists():
                return True
            self._delete(frame_id)
        return False

    def _delete(self, frame_id: str) -> None:
        path = self.frame_path(frame_id)
        with self._names:
            path.unlink(missing_ok=True)
            self.thumbnail_path(frame_id).unlink(missing_ok=True)
        if path.parent.exists():
            _sync_folder(path.parent)

    def _delete_orphan(self, frame_id: str, older_than_seconds: float) -> bool:
        path = self.frame_path(frame_id)
        with self._names:
            if not _is_older(path, older_than_seconds) or not _is_older(
                self.thumbnail_path(frame_id), older_than_seconds
            ):
                return False
            path.unlink(missing_ok=True)
            self.thumbnail_path(frame_id).unlink(missing_ok=True)
        _sync_folder(path.parent)
        return True

    def _make_folder(self, folder: Path) -> None:
        with self._names:  # or a second writer would go on while the first one's folder is not durable yet
            if folder not in self._synced:
                folder.mkdir(exist_ok=True)
                _sync_folder(self._frames)
                self._synced.add(folder)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._frames.iterdir() if path.is_dir())

    def _old_ids(self, folder: Path, older_than_seconds: float) -> list[str]:
        old: dict[str, bool] = {}
        for path in folder.iterdir():
            is_old = _is_older(path, older_than_seconds)
            if path.name.endswith(_PART_SUFFIX):
                if is_old:
                    path.unlink(missing_ok=True)
                continue
            frame_id = path.name.removesuffix(_THUMBNAIL_SUFFIX)
            if _FRAME_ID.fullmatch(frame_id):
                old[frame_id] = old.get(frame_id, True) and is_old
        return sorted(frame_id for frame_id, is_old in old.items() if is_old)


def _is_older(path: Path, seconds: float) -> bool:
    """Whether a file is older than this by the file system's clock; one that is not there is."""
    try:
        return path.stat().st_mtime < time.time() - seconds
    except FileNotFoundError:
        return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
