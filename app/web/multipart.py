"""Forms with files, read as they arrive (RFC 7578): fields into memory, within limits; each file goes piece by piece to
whoever stores it.

Rule 1: a file that is refused costs nothing else: the rest of the form is read, and the first refusal is kept beside
    it, so that what was typed can be shown again.
Rule 2: no more of a file is in memory than the piece that just came.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from app.domain.errors import Malformed, TooLarge, WorkroomError
from app.domain.files import FILE_BYTES_MAX, FILES_PER_ENTRY_MAX
from app.storage.files import UploadRow

FIELDS_MAX = 200
FIELD_BYTES_MAX = 64 * 1024  # a text has 32 KiB
FIELDS_BYTES_MAX = 512 * 1024
FORM_BYTES_MAX = 10 * FILE_BYTES_MAX + 1024 * 1024  # ten of the largest files; more go one by one
_FORMS = re.compile(r"(?:/api)?/rooms/[0-9a-z]{26}/(?:uploads|entries|transcripts/parse|compose/[a-z_.]+)")
_UPLOAD = re.compile(r"(?:/api)?/rooms/[0-9a-z]{26}/uploads/[0-9a-z]{26}")

Store = Callable[[str, AsyncIterator[bytes]], Awaitable[UploadRow]]


@dataclass
class PostedForm:
    """What a form held: fields by name, files in their order, and why the first refused file was refused."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[UploadRow] = field(default_factory=list)
    problem: WorkroomError | None = None

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a field."""
        return self.fields.get(name, [default])[0]

    def getlist(self, name: str) -> list[str]:
        """Return every value of a field."""
        return self.fields.get(name, [])


@dataclass
class _Part:
    name: str
    filename: str | None


class _Events:
    """What the parser found in the bytes so far: a part began (`_Part`), bytes of it came, it ended (None)."""

    def __init__(self, boundary: bytes) -> None:
        self.found: list[_Part | bytes | None] = []
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_part_data": lambda data, start, end: self.found.append(data[start:end]),
                "on_part_end": lambda: self.found.append(None),
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
            },
        )

    def feed(self, data: bytes) -> list[_Part | bytes | None]:
        self.found = []
        self._parser.write(data)
        return self.found

    def end(self) -> None:
        self._parser.finalize()

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise Malformed("A part of this form has no name.")
        filename = options.get(b"filename")
        self.found.append(_Part(_text(options[b"name"]), None if filename is None else _text(filename)))


def files_bytes_max(request: Request) -> int:
    """Return how long a request that brings files may be; 0 for one that brings none."""
    path = request.url.path
    if request.method == "PATCH" and _UPLOAD.fullmatch(path):
        return FILE_BYTES_MAX
    return FORM_BYTES_MAX if request.method == "POST" and _FORMS.fullmatch(path) and is_multipart(request) else 0


def is_multipart(request: Request) -> bool:
    """Whether the body of a request is a form that may hold files."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_form(request: Request, store: Store) -> PostedForm:
    """Read a form; `store` takes the name and the bytes of each file and returns it once it is safe.

    Raises:
        Malformed: if this is no form.
        TooLarge: for fields beyond their limits.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    if b"boundary" not in options:
        raise Malformed("This form has no boundary.")
    form, events, kept = PostedForm(), _found(request, options[b"boundary"]), 0
    async for part in events:
        assert isinstance(part, _Part), "a part begins with its headers"
        if part.filename is None:
            value = b"".join([piece async for piece in _bytes_of(events, FIELD_BYTES_MAX)])
            kept += len(value) + len(part.name)
            if kept > FIELDS_BYTES_MAX or sum(map(len, form.fields.values())) >= FIELDS_MAX:
                raise TooLarge("This form has too many fields.")
            form.fields.setdefault(part.name, []).append(_text(value))
        else:
            await _take_file(form, part.filename, events, store)
    return form


async def _take_file(
    form: PostedForm, filename: str, events: AsyncIterator[_Part | bytes | None], store: Store
) -> None:
    pieces = _Pieces(events)
    try:
        if form.problem is None and filename:  # without a name: nothing was chosen
            if len(form.files) >= FILES_PER_ENTRY_MAX:
                raise TooLarge(f"At most {FILES_PER_ENTRY_MAX} files go with one entry.", field="files")
            form.files.append(await store(filename, pieces))
    except WorkroomError as refusal:
        form.problem = refusal
    async for _ in pieces:  # rule 1
        pass


class _Pieces:
    """The bytes of a part; reading goes on where somebody stopped."""

    def __init__(self, events: AsyncIterator[_Part | bytes | None]) -> None:
        self._events = events
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = None if self._ended else await anext(self._events, None)
        if not isinstance(piece, bytes):
            self._ended = True
            raise StopAsyncIteration
        return piece


async def _bytes_of(events: AsyncIterator[_Part | bytes | None], most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in _Pieces(events):
        size += len(piece)
        if size > most:
            raise TooLarge("A field of this form is too long: 32 KiB of text at most.")
        yield piece


async def _found(request: Request, boundary: bytes) -> AsyncIterator[_Part | bytes | None]:
    try:
        found = _Events(boundary)
        async for data in request.stream():
            for event in found.feed(data):
                yield event
        found.end()
    except FormParserError as error:
        raise Malformed(f"This form cannot be read: {error}.") from None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
