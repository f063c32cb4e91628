"""What bodies are made of: types of fields with their bounds, and the classes that every body descends from.

Rule 1: bodies hold no floats; times are RFC 3339 text, dates ISO 8601, durations integer milliseconds, amounts integers
in minor units of their currency.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

TEXT_BYTES_MAX = 32 * 1024
NOTE_CHARS_MAX = 2_000
COMMENT_CHARS_MAX = 500
TITLE_CHARS_MAX = 200
FILE_BYTES_MAX = 50 * 1024 * 1024  # rule 1.6
FILES_MAX = 20  # with one entry; a larger delivery is an archive, or two entries
MILESTONES_MAX = 50
AMOUNT_MINOR_MAX = 10**12  # ten thousand million of most currencies: a typing error beyond

Text = Annotated[str, Meta(min_length=1, max_length=TEXT_BYTES_MAX)]
Note = Annotated[str, Meta(min_length=1, max_length=NOTE_CHARS_MAX)]
Comment = Annotated[str, Meta(min_length=1, max_length=COMMENT_CHARS_MAX)]
Pseudonym = Annotated[str, Meta(pattern="^(p|op)[0-9]{1,6}$")]
Instant = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
Uuid = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Digest = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$")]
Segment = Annotated[int, Meta(ge=0, le=300_000_000)]  # in the year 8814: calendars end with 9999
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Milliseconds = Annotated[int, Meta(ge=0)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
FileName = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
MediaType = Annotated[str, Meta(pattern=r"^[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80}$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
AmountMinor = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
Zone = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+/-]{1,60}$")]
MilestoneKey = Annotated[str, Meta(pattern="^m[1-9][0-9]{0,3}$")]


class EntryBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A body. Optional fields that are not given are left out."""


class SystemBody(EntryBody, frozen=True):
    """A body that only the system writes."""


class FileRef(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that goes with an entry: what the page shows of it, and the digest that proves it (rule 1.6)."""

    name: FileName
    media: MediaType
    bytes: Annotated[int, Meta(ge=0, le=FILE_BYTES_MAX)]
    sha256: Digest
    restricted: bool = False


class PersonBody(EntryBody, frozen=True, kw_only=True):
    """A body that a person writes. `restricted`: withheld from whatever leaves the workroom (rule 6.4)."""

    files: Annotated[list[FileRef], Meta(max_length=FILES_MAX)] = []
    restricted: bool = False


class AnswerBody(EntryBody, frozen=True, kw_only=True):
    """An answer to the entry that `ref` names. `by_silence`: nobody answered in time, the system did. `restricted`: as
    of other bodies."""

    text: Note | None = None
    by_silence: bool = False
    restricted: bool = False
