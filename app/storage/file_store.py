"""The bytes of attached files: pieces of uploads on their way, whole files under their SHA-256, previews beside them.

Rule 1: bytes first, row second (see `blobs.py`). A file appears under its digest whole and durable, or not at all.
Rule 2: equal bytes are stored once; who counts the uses and decides that nobody needs them is `services.files`.
Rule 3: never more than a piece in memory. Pieces are written and hashed in threads of their own, few at a time, so
    that neither the loop nor the fsyncs of frames wait for an upload.
Rule 4: how much has arrived is the size of the partial file: it is true after a crash, too. Its digest goes on from
    where it was, or is read again from the disk where nobody here knows it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import structlog
from msgspec import Struct

from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.files import HEAD_BYTES

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 2  # a disk does not get faster by more, and chat's commits want it too
READ_BYTES = 128 * 1024
# Of all uploads together: a third of what a gigabit line brings. What comes faster waits in the kernel's buffers,
# because the processor's time that it takes is the sockets' time.
BYTES_PER_SECOND_MAX = 40 * 1024 * 1024
AT_ONCE_BYTES = 2 * 1024 * 1024  # a small file waits for nothing
SYNC_BYTES = 4 * 1024 * 1024  # what is written reaches the disk in such steps: one large flush would hold up commits
PROGRESS_MAX = 2048  # uploads known here, 600 bytes each; one that is forgotten is read again from the disk
PREVIEW_SUFFIX = ".preview.webp"
_UPLOAD_ID = re.compile(r"[0-9a-z]{26}")
_HEX = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger(__name__)


class Whole(Struct, frozen=True):
    """A file that has arrived: its size, digest and first bytes."""

    size: int
    sha256: bytes
    head: bytes


class _Progress:
    """An upload that this process knows: whose turn it is, and the digest of its first `size` bytes."""

    __slots__ = ("digest", "lock", "size", "turn")

    def __init__(self) -> None:
        self.turn = 0
        self.lock = asyncio.Lock()
        self.size = -1
        self.digest: Any = None


class FileStore:
    """The store in `folder`: `uploads/<upload id>`, `files/<first two of the digest>/<digest in hex>`."""

    def __init__(self, folder: Path) -> None:
        self._uploads = folder / "uploads"
        self._files = folder / "files"
        for made in (self._uploads, self._files):
            made.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._paid_until = 0.0  # by the loop's clock: when all bytes so far have had their time
        self._progress: OrderedDict[str, _Progress] = OrderedDict()  # by upload, the one used last at the end

    def path(self, digest: bytes) -> Path:
        """Return where the file with this SHA-256 lies, whether or not it is there."""
        name = digest.hex()
        if _HEX.fullmatch(name) is None:
            raise ValueError("no SHA-256")
        return self._files / name[:2] / name

    def preview_path(self, digest: bytes) -> Path:
        """Return where its preview lies, whether or not it is there."""
        path = self.path(digest)
        return path.with_name(path.name + PREVIEW_SUFFIX)

    def upload_path(self, upload: str) -> Path:
        """Return where the pieces of an upload lie."""
        if _UPLOAD_ID.fullmatch(upload) is None:
            raise ValueError(f"no upload id: {upload!r}")
        return self._uploads / upload

    def take_turn(self, upload: str) -> int:
        """Return the number of a request that goes on with an upload; what an earlier one still brings is refused."""
        progress = self._progress_of(upload)
        progress.turn += 1
        return progress.turn

    async def received(self, upload: str) -> int:
        """Return how many bytes of an upload are here, once no piece is on its way to the disk."""
        async with self._progress_of(upload).lock:
            return await self._run(_size, self.upload_path(upload))

    async def append(self, upload: str, turn: int, offset: int, pieces: Sequence[bytes]) -> int:
        """Write pieces that begin at `offset`, where the file ends now; return where it ends then.

        Raises:
            Conflict: if the file ends elsewhere, or another request has its turn.
            Unavailable: disk full or broken. What was written before stays.
        """
        progress = self._progress_of(upload)
        async with progress.lock:
            if progress.turn != turn:
                raise Conflict("Another request goes on with this upload.", field="upload-offset")
            return await self._run(self._append, upload, progress, offset, pieces)

    async def take_time(self, size: int) -> None:
        """Wait so long that all uploads together stay below BYTES_PER_SECOND_MAX, this one's `size` bytes included."""
        now = asyncio.get_running_loop().time()
        self._paid_until = max(self._paid_until, now - AT_ONCE_BYTES / BYTES_PER_SECOND_MAX)
        self._paid_until += size / BYTES_PER_SECOND_MAX
        if self._paid_until > now:
            await asyncio.sleep(self._paid_until - now)

    async def finish(self, upload: str) -> Whole:
        """Make what has arrived durable under its digest; on return it survives a power cut.

        The pieces stay until `forget`, so that a file that is swept in the same moment can be put again.

        Raises:
            Unavailable: disk full or broken; call again.
        """
        progress = self._progress_of(upload)
        progress.turn += 1
        async with progress.lock:
            return await self._run(self._finish, upload, progress)

    async def forget(self, upload: str) -> None:
        """Remove the pieces of an upload; what is gone already is no error."""
        progress = self._progress_of(upload)
        progress.turn += 1
        async with progress.lock:
            self._progress.pop(upload, None)
            await self._run(_unlink, self.upload_path(upload))

    def _progress_of(self, upload: str) -> _Progress:
        progress = self._progress.setdefault(upload, _Progress())
        self._progress.move_to_end(upload)
        if len(self._progress) > PROGRESS_MAX:
            oldest = next(iter(self._progress))
            if not self._progress[oldest].lock.locked():
                del self._progress[oldest]
        return progress

    async def exists(self, digest: bytes) -> bool:
        """Whether a file is there. Asked under the writer's lock, so it waits for no upload."""
        return await asyncio.to_thread(self.path(digest).exists)

    async def delete(self, digest: bytes) -> None:
        """Remove a file and its preview for good; under the writer's lock, so it waits for no upload.

        Raises:
            Unavailable: the disk is broken; call again.
        """
        try:
            await asyncio.to_thread(self._delete, digest)
        except OSError as error:
            log.warning("file_store_failed", error=str(error))
            raise Unavailable() from error

    async def delete_orphan(self, digest: bytes, older_than_seconds: float) -> bool:
        """Remove a file that has no row, unless it was put again since. Returns whether it was removed."""
        if await asyncio.to_thread(_is_older, self.path(digest), older_than_seconds):
            await self.delete(digest)
            return True
        return False

    async def read_head(self, digest: bytes) -> bytes:
        """Return the first bytes of a file.

        Raises:
            NotFound: if it is not there.
        """
        return await self._run(_head, self.path(digest))

    async def put_preview(self, digest: bytes, data: bytes) -> bool:
        """Store a preview. False, and nothing stored, if its file is gone by now."""
        return await self._run(self._put_preview, digest, data)

    async def orphans(self, older_than_seconds: float) -> AsyncIterator[bytes]:
        """Yield the digests of files older than this, for the caller to look up their rows.

        Temporary files and previews without file of that age are removed on the way.
        """
        for folder in await self._run(lambda: sorted(path for path in self._files.iterdir() if path.is_dir())):
            for digest in await self._run(_old_files, folder, older_than_seconds):
                yield digest

    async def stale_uploads(self, older_than_seconds: float) -> list[str]:
        """Return the uploads whose pieces were last written longer ago than this."""
        return await self._run(_old_uploads, self._uploads, older_than_seconds)

    def close(self) -> None:
        """Let running writes end, and stop the threads."""
        self._threads.shutdown(wait=True)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))
        except OSError as error:
            log.warning("file_store_failed", error=str(error))
            raise Unavailable() from error

    # In threads

    def _append(self, upload: str, progress: _Progress, offset: int, pieces: Sequence[bytes]) -> int:
        path = self.upload_path(upload)
        if _size(path) != offset:
            raise Conflict(
                "This upload goes on at another place. Ask how much has arrived, and go on there.",
                field="upload-offset",
            )
        if progress.digest is None or progress.size != offset:
            progress.digest = _hash_of(path)
        end, progress.size = offset, -1  # until all of it is written
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:  # one write may take less than all
                    written = os.write(descriptor, rest)
                    progress.digest.update(rest[:written])
                    end += written
                    rest = rest[written:]
            if offset // SYNC_BYTES != end // SYNC_BYTES:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        progress.size = end
        return end

    def _finish(self, upload: str, progress: _Progress) -> Whole:
        path = self.upload_path(upload)
        path.touch(mode=0o600)  # an empty file has had no piece
        size = _size(path)
        if progress.digest is None or progress.size != size:
            progress.digest, progress.size = _hash_of(path), size
        digest = progress.digest.digest()
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        target = self.path(digest)
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            _sync_folder(self._files)
        try:
            os.link(path, target)
        except FileExistsError:
            os.utime(target)  # young again: no sweep takes it for an orphan
        _sync_folder(target.parent)
        return Whole(size, digest, _head(path))

    def _delete(self, digest: bytes) -> None:
        # Without an fsync: what a power cut brings back is an orphan.
        self.path(digest).unlink(missing_ok=True)
        self.preview_path(digest).unlink(missing_ok=True)

    def _put_preview(self, digest: bytes, data: bytes) -> bool:
        path, preview = self.path(digest), self.preview_path(digest)
        if not path.exists():
            return False
        part = preview.with_name(f".{preview.name}.{os.getpid()}-{time.monotonic_ns()}.part")
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(preview)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        if path.exists():
            return True
        preview.unlink(missing_ok=True)  # deleted while its preview was made
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise NotFound() from None


def _hash_of(path: Path) -> Any:
    """Return the hash of what is there, to go on from."""
    try:
        with path.open("rb", buffering=0) as file:
            return file_digest(file, sha256)
    except FileNotFoundError:
        return sha256()


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return path.stat().st_mtime < time.time() - seconds
    except FileNotFoundError:
        return False


def _old_files(folder: Path, seconds: float) -> list[bytes]:
    found = []
    for path in folder.iterdir():
        if not _is_older(path, seconds):
            continue
        if _HEX.fullmatch(path.name):
            found.append(bytes.fromhex(path.name))
        elif path.name.startswith(".") or not path.with_name(path.name.removesuffix(PREVIEW_SUFFIX)).exists():
            path.unlink(missing_ok=True)
    return sorted(found)


def _old_uploads(folder: Path, seconds: float) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if _UPLOAD_ID.fullmatch(p.name) and _is_older(p, seconds))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
