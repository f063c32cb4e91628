"""Transcripts: what was said elsewhere as lines of who, when and what; their limits; the weekly question (rule 1.7).

Rule 1: nothing is cut silently. What does not fit is refused with a sentence that says how to split it.
Rule 2: a time without a zone stays the local text that the original tells; nobody guesses where it was said.
Rule 3: what reads an original never fails on it: what it does not understand becomes a line by UNKNOWN.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from app.domain.bodies.people import TRANSCRIPT_LINES_MAX
from app.domain.errors import InvalidBody, TooLarge
from app.domain.record import BODY_BYTES_MAX, Body, canonical
from app.domain.timerange import DAY_MS

WHO_CHARS_MAX = 120
TEXT_CHARS_MAX = 20_000
AT_CHARS_MAX = 40
TITLE_CHARS_MAX = 200
LINE_BYTES_MAX = 32 * 1024  # of any text in a body
FILES_RESERVED_BYTES = 2 * 1024  # of the body, for the title and the original that is attached
UNKNOWN = "unknown"

Medium = Literal["email", "chat", "call"]
MEDIA: tuple[Medium, ...] = ("email", "chat", "call")
CHANNELS = {"email": "e-mail", "chat": "chat", "phone": "phone"}
QUESTION_MS = 7 * DAY_MS  # rule 1.7: once a week at most

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
MARKS = (
    "\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of direction: exports are full of them
)


class Line(Struct, frozen=True):
    """Who said what; `at` is RFC 3339 where the original names a zone, else local text, None where it tells none."""

    who: str
    text: str
    at: str | None = None


class Parsed(Struct, frozen=True):
    """What an original was read as. `notes` are sentences for who transcribes: what to look at before it is appended.

    `is_ambiguous`: days and months could be exchanged.
    """

    medium: Medium
    title: str
    lines: list[Line]
    notes: list[str] = []
    is_ambiguous: bool = False


def clean(text: str) -> str:
    """Return a text with line ends of one kind, without control characters, halves of characters, or space around."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text)).strip()


def clean_line(text: str, limit: int) -> str:
    """Return a text as one line of at most `limit` characters: a name, a time, a title."""
    one = " ".join(clean(text.translate(dict.fromkeys(map(ord, MARKS)))).split())
    return one if len(one) <= limit else one[: limit - 1] + "…"


def decoded(data: bytes) -> str:
    """Return the text of a file: UTF-8 or UTF-16 by its mark, else UTF-8, else as Windows writes it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def parts_of(who: str, text: str, at: str | None) -> list[Line]:
    """Return a line, or several of the same person where its text is too long for one: nothing of it is cut."""
    made = []
    text = clean(text)
    while len(text) > TEXT_CHARS_MAX or len(text.encode()) > LINE_BYTES_MAX:
        end = _fitting(text)
        at_line = max(text.rfind("\n", end // 2, end), text.rfind(" ", end // 2, end))
        end = at_line if at_line > 0 else end
        made.append(Line(who, text[:end].strip(), at))
        text = text[end:].strip()
    if text:
        made.append(Line(who, text, at))
    return [line for line in made if line.text]


def _fitting(text: str) -> int:
    """Return how many characters of a text fit into a line."""
    least, most = 1, min(len(text), TEXT_CHARS_MAX)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if len(text[:middle].encode()) <= LINE_BYTES_MAX else (least, middle - 1)
    return least


def body_of_lines(medium: str, title: str, lines: Sequence[Line]) -> Body:
    """Return the body of a `transcript` entry, without its files."""
    listed: list[Body] = []
    for line in lines:
        told: Body = {"who": line.who, "text": line.text}
        listed.append(told if line.at is None else told | {"at": line.at})
    return {"medium": medium, "title": title, "lines": listed}


def fitting(lines: Sequence[Line]) -> int:
    """Return how many of the first lines one entry holds."""
    size, reserved = 0, FILES_RESERVED_BYTES
    for number, line in enumerate(lines[:TRANSCRIPT_LINES_MAX]):
        size += len(canonical(body_of_lines("chat", "", [line])["lines"][0])) + 1
        if size + reserved > BODY_BYTES_MAX:
            return number
    return min(len(lines), TRANSCRIPT_LINES_MAX)


def check_size(lines: Sequence[Line], first: int = 1) -> None:
    """Check that lines fit into one entry; `first` is the number of the first of them.

    Raises:
        TooLarge: saying how to split them.
    """
    fits = fitting(lines)
    if fits < len(lines):
        last = first + fits - 1
        raise TooLarge(
            f"A transcript holds {TRANSCRIPT_LINES_MAX} lines and 64 KiB; this has {len(lines):,} lines. Split it: "
            f"take lines {first} to {last} now, and go on with line {last + 1} in a second transcript.",
            field="last",
        )


def check_lines(lines: Sequence[Line]) -> None:
    """Check what a person has edited, line by line, so that the line that is wrong is named.

    Raises:
        InvalidBody: naming the field, like `who.3`.
    """
    if not lines:
        raise InvalidBody("Nothing is left to transcribe. Keep at least one line.", field="lines")
    for number, line in enumerate(lines):
        if not line.who.strip():
            raise InvalidBody(f"Say who said it, or write “{UNKNOWN}”.", field=f"who.{number}")
        if len(line.who) > WHO_CHARS_MAX:
            raise InvalidBody(f"A name has at most {WHO_CHARS_MAX} characters.", field=f"who.{number}")
        if line.at is not None and len(line.at) > AT_CHARS_MAX:
            raise InvalidBody(f"A time has at most {AT_CHARS_MAX} characters.", field=f"at.{number}")
        if len(line.text) > TEXT_CHARS_MAX:
            raise InvalidBody(
                f"A line has at most {TEXT_CHARS_MAX:,} characters. Split it in two transcripts.",
                field=f"text.{number}",
            )


def question_is_due(since: int, answered_at: int | None, now: int) -> bool:
    """Whether a member who also talks elsewhere is asked if anything was agreed there (rule 1.7).

    `since` is when they said so, `answered_at` when they last answered or transcribed something. A question that is
    not answered stays where it is; it does not come a second time.
    """
    return now - max(since, answered_at or 0) >= QUESTION_MS
