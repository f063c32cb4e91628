"""Files: what a file may be called and how large it may be, what its bytes say it is, and what of it can be previewed.

Rule 1: what a file is follows from its bytes; a name or a client's word decides nothing.
Rule 2: a name is kept for people, never used as a path; what could deceive or break an address is taken out of it.
Rule 3: no media type here can run in a browser: a page, a drawing or a script is plain text.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from urllib.parse import quote

from app.domain.errors import Malformed, TooLarge

FILE_BYTES_MAX = 50 * 1024 * 1024  # rule 1.6
NAME_CHARS_MAX = 200
NAME_BYTES_MAX = 240  # what file systems take, with room for " (2)"
FILES_PER_ENTRY_MAX = 20
HEAD_BYTES = 4096  # what the type is judged by, and what a preview of text shows
SUFFIX_CHARS_MAX = 12
BINARY = "application/octet-stream"
TEXT = "text/plain"
PDF = "application/pdf"
PREVIEW_MEDIA = "image/webp"
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"})
UNITS = ("bytes", "KiB", "MiB", "GiB")

_SPACES = re.compile(r"\s+")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # names that Windows keeps for itself
_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"%PDF-", PDF),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"BZh", "application/x-bzip2"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/x-executable"),
    (0, b"MZ", "application/x-msdownload"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"wOF2", "font/woff2"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {b"avif": "image/avif", b"heic": "image/heic", b"qt  ": "video/quicktime", b"M4A ": "audio/mp4"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {  # what the first names inside say
    b"word/": _OFFICE + "wordprocessingml.document",
    b"xl/": _OFFICE + "spreadsheetml.sheet",
    b"ppt/": _OFFICE + "presentationml.presentation",
}
_WORDS = {
    PDF: "PDF",
    TEXT: "text",
    "application/zip": "archive",
    "application/gzip": "archive",
    "application/x-msdownload": "program",
    "application/x-executable": "program",
}


def clean_name(name: str) -> str:
    """Return what a file is called from now on: the last part of a path, without what nobody can see.

    Raises:
        Malformed: if the name has no character that has a UTF-8 form.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Malformed("The name of this file is not Unicode. Rename it.", field="name") from None
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    # Control characters, and those that turn the direction of writing around (`fdp.exe` would read `exe.pdf`).
    shown = "".join(c if unicodedata.category(c)[0] != "Z" else " " for c in last)
    shown = "".join(c for c in shown if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn"))
    shown = _SPACES.sub(" ", shown.translate(_FORBIDDEN)).strip(" .")
    if not shown:
        return "file"
    if _DEVICE.match(shown):
        shown = f"_{shown}"
    return _shortened(shown)


def _shortened(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > SUFFIX_CHARS_MAX:
        stem, dot, suffix = name, "", ""
    ending = dot + suffix
    stem = stem[: NAME_CHARS_MAX - len(ending)]
    while len((stem + ending).encode()) > NAME_BYTES_MAX:
        stem = stem[:-1]
    return stem + ending


def checked_size(size: int) -> int:
    """Return the size of a file that is announced.

    Raises:
        TooLarge: over 50 MiB.
        Malformed: below zero.
    """
    if size > FILE_BYTES_MAX:
        raise TooLarge(
            f"This file has {size_text(size)}. A file may have 50 MiB; split it, or put it where both of you can "
            "fetch it.",
            field="bytes",
        )
    if size < 0:
        raise Malformed("`bytes` must be a whole number.", field="bytes")
    return size


def media_of(head: bytes) -> str:
    """Return what a file is, judged by its first bytes (HEAD_BYTES of them, or all)."""
    for start, signature, media in _SIGNATURES:
        if head.startswith(signature, start):
            return media
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], BINARY)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"PK\x03\x04"):
        return _zip_media(head)
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    return TEXT if text_of(head) is not None else BINARY


def _zip_media(head: bytes) -> str:
    if head[30:38] == b"mimetype":  # OpenDocument and EPUB say it themselves, uncompressed
        length = int.from_bytes(head[18:22], "little")
        told = head[38 : 38 + length]
        if re.fullmatch(rb"application/[a-z0-9.+-]{1,80}", told):
            return told.decode()
    return next((media for name, media in _IN_ZIP.items() if name in head), "application/zip")


def text_of(head: bytes) -> str | None:
    """Return the first bytes of a file as text, if they are UTF-8 that people can read."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:  # of a file that goes on, the last character may be cut in two
        text = decoder.decode(head[:HEAD_BYTES], final=len(head) < HEAD_BYTES).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None
    if any(unicodedata.category(c) == "Cc" and c not in "\t\n\r\f" for c in text):
        return None
    return text


def has_picture(media: str) -> bool:
    """Whether the worker makes a picture of files of this type."""
    return media in PICTURES or media == PDF


def disposition(name: str) -> str:
    """Return the `content-disposition` of a download (RFC 6266): a plain name, and the whole one beside it."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%;' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def size_text(size: int) -> str:
    """Return `812 bytes`, `3.4 KiB`, `50 MiB`."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    shown = f"{value:.1f}".removesuffix(".0") if unit and value < 10 else f"{value:.0f}"
    return f"{shown} {UNITS[unit]}"


def media_word(media: str) -> str:
    """Return one word for what a file is."""
    if media in _WORDS:
        return _WORDS[media]
    first = media.partition("/")[0]
    if first == "image":
        return "picture"
    if first in ("audio", "video", "font"):
        return first
    return "document" if "document" in media or "officedocument" in media else "file"
