"""Chats as people paste or export them: WhatsApp's text export, pastes from Slack, Telegram, Teams and the like, or
plain "Ana: …" (rule 1.7).

Rule 1: which form a text has is decided by the whole of it; a line that fits no form goes on with the one before.
Rule 2: whether days or months come first is decided by evidence: a number above 12, a year first, the order in time.
    Without any, days come first, and the result says that it is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from app.domain.transcripts import (
    AT_CHARS_MAX,
    MARKS,
    TITLE_CHARS_MAX,
    UNKNOWN,
    WHO_CHARS_MAX,
    Line,
    Parsed,
    clean,
    clean_line,
    parts_of,
)

Order = Literal["auto", "day", "month"]
SYSTEM_WHO = "WhatsApp"
NAME_WORDS_MAX = 5
NAME_CHARS_MAX = 60

_MARK = rf"[{MARKS}]*"
_CLOCK = r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:[ \u00a0\u202f]?(?:[AaPp]\.?[ \u00a0\u202f]?[Mm]\.?))?"
_DATE = r"\d{1,4}[./-] ?\d{1,2}(?:[./-] ?\d{1,4})?"
_WHATSAPP = re.compile(
    rf"^{_MARK}(?P<open>\[)?(?P<a>\d{{1,4}})(?P<sep>[./-]) ?(?P<b>\d{{1,2}})[./-] ?(?P<c>\d{{1,4}})\.?,?"
    rf"[ \u00a0\u202f](?:at |um |às )?(?P<hour>\d{{1,2}})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?"
    rf"(?:[ \u00a0\u202f]?(?P<half>[AaPp])\.?[ \u00a0\u202f]?[Mm]\.?)?(?P<close>\])?"
    rf"(?(open)|(?:[ \u00a0\u202f][-–]))[ \u00a0\u202f]{_MARK}(?P<rest>.*)$"
)
_MEDIA_LEFT_OUT = re.compile(
    r"<(?:media|medien|multimedia|mídia|médias|media file)[^<>]*(?:omitted|ausgeschlossen|omitido|oculta|omis)[^<>]*>"
    r"|\b(?:image|video|audio|sticker|gif|document|contact card) omitted\b|<attached: [^<>]+>|\(file attached\)",
    re.IGNORECASE,
)
_NAME = r"(?P<who>[^\W\d_][^:\n\[\]<>]{0,59}?)"
_WHEN = rf"(?P<at>(?:{_DATE},? (?:at )?)?{_CLOCK}|{_DATE}(?:,? (?:at )?{_CLOCK})?)"
_DAY_WORD = r"(?:(?:Today|Yesterday|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,? (?:at )?)"

# Forms that name a time: strong. `text` may be on the same line, or follow on the next ones.
_STRONG = (
    re.compile(rf"^[\[(]{_WHEN}[\])][ \t]*(?:[-–][ \t]*)?{_NAME}[ \t]*(?::[ \t]*(?P<text>.*))?$"),  # [12:03] Ana: …
    re.compile(rf"^{_WHEN}[ \t]*(?:[-–|][ \t]*)?{_NAME}:[ \t]*(?P<text>.*)$"),  # 12:03 Ana: …, 12:03 - Ana: …
    re.compile(rf"^{_NAME},[ \t]*[\[(]{_WHEN}[\])]:?[ \t]*(?P<text>)$"),  # Telegram: Ana, [21.09.2026 14:13]
    re.compile(rf"^{_NAME}[ \t]*[\[(](?P<at>{_DAY_WORD}?{_CLOCK}|{_DATE},? {_CLOCK})[\])]:?[ \t]*(?P<text>.*)$"),
    re.compile(
        rf"^{_NAME}(?:[ \t]{{2,}}|\t|[ \t]*[—|][ \t]*)(?P<at>{_DAY_WORD}?{_CLOCK}|{_DATE},? {_CLOCK})[ \t]*(?P<text>)$"
    ),
    re.compile(rf"^{_NAME}[ \t](?P<at>{_DAY_WORD}?\d{{1,2}}:\d\d(?: ?[AaPp][Mm])?)[ \t]*(?P<text>)$"),  # Slack
)  # fmt: skip
_SAME_PERSON = re.compile(rf"^[\[(]?(?P<at>{_CLOCK})[\])]?[ \t]*$")  # Slack: the next message of the same person
_WEAK = re.compile(r"^(?P<who>[^\W\d_][^:\n]{0,59}?)[ \t]*:(?!//)[ \t]*(?P<text>.*)$")


def parse_chat(text: str, order: Order = "auto") -> Parsed:
    """Return a chat as lines: WhatsApp's export, a paste with times, "Ana: …", or one line by nobody known."""
    text = clean(text.lstrip(MARKS))
    return (
        _whatsapp(text, order)
        or _with_headers(text, _STRONG, _SAME_PERSON)
        or _with_headers(text, (_WEAK,), None)
        or Parsed("chat", "", parts_of(UNKNOWN, text, None))
    )


# WhatsApp


class _Header(NamedTuple):
    a: str
    b: str
    c: str
    clock: str
    rest: str
    dotted: bool
    american: bool  # 9/1/26, 2:13 PM: as only American phones write it


Reading = Callable[[_Header], tuple[int, int, int]]  # as year, month, day


def _whatsapp(text: str, order: Order) -> Parsed | None:
    rows = text.split("\n")
    found = [_header(row) for row in rows]
    headers = [header for header in found if header is not None]
    if not headers or found[0] is None:
        return None
    read, is_guess = _reading(headers, order)
    if read is None:
        return None
    lines: list[Line] = []
    who, at, said = SYSTEM_WHO, "", [""]
    for row, header in zip(rows, found, strict=True):
        if header is None:
            said.append(row)
            continue
        lines += parts_of(who, "\n".join(said), at or None)
        who, first = _speaker(header.rest)
        at, said = f"{_day(read, header)} {header.clock}", [first]
    lines += parts_of(who, "\n".join(said), at or None)
    left_out = sum(len(_MEDIA_LEFT_OUT.findall(line.text)) for line in lines)
    people = list(dict.fromkeys(line.who for line in lines if line.who != SYSTEM_WHO))
    named = "Chat of " + " and ".join(people[:3]) + (" and others" if people[3:] else "")
    title = clean_line(named, TITLE_CHARS_MAX) if people else ""
    notes = []
    if left_out:
        notes.append(
            f"{left_out} {'picture or file is' if left_out == 1 else 'pictures or files are'} only named in this "
            "export. Attach what matters to an entry of its own."
        )
    if is_guess:
        notes.append(
            f"The dates can be read in two ways; the {'month' if read is _month_first else 'day'} was taken as the "
            "first number. Check one, and choose the other way if it is wrong."
        )
    return Parsed("chat", title, lines, notes, is_guess)


def _header(row: str) -> _Header | None:
    match = _WHATSAPP.match(row)
    if match is None or (match["open"] is None) != (match["close"] is None):
        return None
    hour, minute = int(match["hour"]), int(match["minute"])
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"] in "pP" else 0)
    if hour > 23 or minute > 59:
        return None
    clock = f"{hour:02}:{minute:02}" + (f":{match['second']}" if match["second"] else "")
    rest = match["rest"].strip(MARKS)
    american = match["half"] in ("A", "P") and match["sep"] == "/" and not match["a"].startswith("0")
    return _Header(match["a"], match["b"], match["c"], clock, rest, match["sep"] == ".", american)


def _year_first(header: _Header) -> tuple[int, int, int]:
    return int(header.a), int(header.b), int(header.c)


def _day_first(header: _Header) -> tuple[int, int, int]:
    return int(header.c), int(header.b), int(header.a)


def _month_first(header: _Header) -> tuple[int, int, int]:
    return int(header.c), int(header.a), int(header.b)


def _reading(headers: Sequence[_Header], order: Order) -> tuple[Reading | None, bool]:
    """Return how the numbers are read as a date, and whether that is a guess; None where they are no dates."""
    if all(len(header.a) == 4 for header in headers):
        return (_year_first if _are_dates(headers, _year_first) else None), False
    if any(len(header.a) > 2 for header in headers):
        return None, False
    possible = [read for read in (_day_first, _month_first) if _are_dates(headers, read)]
    if len(possible) < 2:
        return (possible[0] if possible else None), False
    if order != "auto":
        return (_month_first if order == "month" else _day_first), False
    back_days, back_months = (_steps_back([read(header) for header in headers]) for read in possible)
    if back_days != back_months:
        return (_day_first if back_days < back_months else _month_first), False
    is_guess = not headers[0].dotted and any(h.a != h.b for h in headers)  # nobody writes months first with dots
    return (_month_first if headers[0].american and is_guess else _day_first), is_guess


def _are_dates(headers: Sequence[_Header], read: Reading) -> bool:
    return all(1 <= month <= 12 and 1 <= day <= 31 for _, month, day in map(read, headers))


def _steps_back(days: Sequence[tuple[int, int, int]]) -> int:
    return sum(later < earlier for earlier, later in pairwise(days))


def _day(read: Reading, header: _Header) -> str:
    year, month, day = read(header)
    return f"{year + 2000 if year < 100 else year:04}-{month:02}-{day:02}"


def _speaker(rest: str) -> tuple[str, str]:
    """Return who speaks and the first row of what they say; a line without a speaker is WhatsApp's own."""
    who, colon, said = rest.partition(": ")
    if not colon and rest.endswith(":"):
        who, colon, said = rest[:-1], ":", ""
    named = clean_line(who.removeprefix("~ ").removeprefix("~"), WHO_CHARS_MAX)
    if not colon or not named or len(who) > NAME_CHARS_MAX or any(mark in who for mark in '"“”„«»'):
        return SYSTEM_WHO, rest
    return named, said.lstrip(MARKS)


# Pastes


def _with_headers(text: str, forms: Sequence[re.Pattern[str]], again: re.Pattern[str] | None) -> Parsed | None:
    """Return a paste whose lines begin with who speaks, if its first line does."""
    rows = text.split("\n")
    if again is None and _named(rows[0], forms) is None:
        return None
    lines: list[Line] = []
    who, at, said = UNKNOWN, "", [""]
    count = 0
    for row in rows:
        named = _named(row, forms)
        same = again.match(row) if again is not None and count and named is None else None
        if named is None and same is None:
            said.append(row)
            continue
        lines += parts_of(who, "\n".join(said), at or None)
        if named is not None:
            who, at, first = named
            said, count = [first], count + 1
        else:
            assert same is not None
            at, said = clean_line(same["at"], AT_CHARS_MAX), []
    lines += parts_of(who, "\n".join(said), at or None)
    return Parsed("chat", "", lines) if count and lines else None


def _named(row: str, forms: Sequence[re.Pattern[str]]) -> tuple[str, str, str] | None:
    row = row.translate(dict.fromkeys(map(ord, MARKS))).strip()
    for form in forms:
        match = form.match(row)
        if match is None:
            continue
        groups = match.groupdict()
        who = clean_line(groups["who"].rstrip(" -–—|,"), WHO_CHARS_MAX)
        if who and len(who.split()) <= NAME_WORDS_MAX and not who.lower().startswith(("http", "www.")):
            return who, clean_line(groups.get("at") or "", AT_CHARS_MAX), groups.get("text") or ""
    return None
