"""Static files: read once, kept in memory with their gzip, answered with an ETag.

Rule 1: an address with a version never changes (`?v=`, `vendor/`) and is kept for a year; any other is asked for anew.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import NotFound
from app.views.rendering import STATIC

YEAR = "public, max-age=31536000, immutable"
MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
PACKED = frozenset({".css", ".js", ".json", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    packed: bytes | None
    media: str
    etag: str


def _read() -> dict[str, StaticFile]:
    """Return every file of `static/` by its path: some 400 KiB."""
    found = {}
    for path in STATIC.rglob("*"):
        if path.suffix in MEDIA and path.is_file():
            content = path.read_bytes()
            packed = gzip.compress(content, 9, mtime=0) if path.suffix in PACKED else None
            etag = f'"{sha256(content).hexdigest()[:20]}"'
            found[path.relative_to(STATIC).as_posix()] = StaticFile(content, packed, MEDIA[path.suffix], etag)
    return found


FILES = _read()  # when the module is imported: no request reads a file


async def serve_static(request: Request) -> Response:
    """Answer `GET /static/<path>`."""
    path = request.path_params["path"]
    file = FILES.get(path)
    if file is None:
        raise NotFound()
    lasting = "v" in request.query_params or path.startswith("vendor/")
    headers = {"etag": file.etag, "cache-control": YEAR if lasting else "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content = file.packed
        headers["content-encoding"] = "gzip"
    return Response(content, media_type=file.media, headers=headers)
