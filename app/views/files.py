"""Files as pages and programs see them: an attachment with its icon, size, digest and preview; an upload as JSON.

Rule 1: what a row shows of a file follows from the entry's body alone, so that it is the same live, replayed and in a
page; whether its preview is ready already the browser learns when it asks for the picture.
Rule 2: a restricted file has no preview, and says why.
Rule 3: it renders nothing; the templates of `templates/files/` do, which get `shown_files` from `rendering.py`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from app.domain.files import TEXT, has_picture, media_word, size_text
from app.domain.record import base64url
from app.storage.files import AttachmentRow, UploadRow

_ICONS = {"picture": "image", "text": "file-text", "PDF": "file-text"}
DIGEST_CHARS = 8


class Shown(Struct, frozen=True):
    """One attachment. `preview` is "picture", "text" or "" for none."""

    room: str
    seq: int
    position: int
    name: str
    icon: str
    word: str
    size: str
    digest: str
    short: str
    restricted: bool
    preview: str

    @property
    def address(self) -> str:
        return f"/rooms/{self.room}/files/{self.seq}/{self.position}"

    @property
    def id(self) -> str:
        return f"a-{self.room}-{self.seq}-{self.position}"


def shown_files(room: str, seq: int, body: dict[str, Any] | None) -> list[Shown]:
    """Return the attachments of an entry as its body names them."""
    body = body or {}
    named = body.get("files") or []
    return [
        _shown(room, seq, n, ref, bool(ref.get("restricted") or body.get("restricted"))) for n, ref in enumerate(named)
    ]


def _shown(room: str, seq: int, position: int, ref: dict[str, Any], restricted: bool) -> Shown:
    media, digest = ref["media"], ref["sha256"]
    word = media_word(media)
    preview = "" if restricted else "picture" if has_picture(media) else "text" if media == TEXT else ""
    icon = _ICONS.get(word, "file")
    size, short = size_text(ref["bytes"]), digest[:DIGEST_CHARS]
    return Shown(room, seq, position, ref["name"], icon, word, size, digest, short, restricted, preview)


def shown_row(row: AttachmentRow) -> Shown:
    """Return an attachment as its row tells it."""
    ref = {"name": row.name, "media": row.media, "bytes": row.size, "sha256": base64url(row.sha256)}
    return _shown(row.room, row.seq, row.position, ref, row.restricted)


def upload_json(row: UploadRow, received: int, address: str) -> dict[str, Any]:
    """Return an upload as programs and the page's script get it; `file` is what an entry's `files` takes."""
    return {
        "id": row.id,
        "name": row.name,
        "bytes": row.size,
        "received": received,
        "address": address,
        "file": ref_of(row) if row.completed_at is not None else None,
    }


def ref_of(row: UploadRow) -> dict[str, Any]:
    """Return what an entry's body says of a file that has arrived."""
    assert row.sha256 is not None and row.media is not None and row.size is not None, "complete uploads have all"
    return {"name": row.name, "media": row.media, "bytes": row.size, "sha256": base64url(row.sha256)}
