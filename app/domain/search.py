"""Search: what of an entry is searched, how text becomes words, and the language of the search box.

Rule 1: text is folded here, once for both databases: without case and accents, letters and digits alone. The databases
store and compare folded words only, so that both find the same, and nothing typed is ever part of a statement.
Rule 2: words, "phrases", beginnings*, -words and the filters `kind:`, `from:`, `after:` and `before:`; whatever else is
typed counts as words.
Rule 3: a secret that is handed over is never searched, nor what nobody reads: digests, ids, instants.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from msgspec import Struct

from app.domain.errors import Malformed
from app.domain.record import Body
from app.domain.workrooms import WRITTEN_BY_PEOPLE

QUERY_CHARS_MAX = 300
TERMS_MAX = 16
TERM_WORDS_MAX = 24
WORD_CHARS_MAX = 64  # of what is compared; nobody types more
BODY_DEPTH_MAX = 8

UNSEARCHED = frozenset(
    {
        "sealed",
        "secret",
        "ciphertext",
        "nonce",
        "salt",
        "key",
        "sha256",
        "digest",
        "media",
        "session",
        "frame",
        "member",
    }
    | {"cid", "time_zone", "currency", "pay", "ownership", "medium", "what", "milestone", "asks_release"}
)
_MACHINE = re.compile(r"[A-Za-z0-9_-]{43}|\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
)  # fmt: skip
_IDEOGRAPHS = "\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # no spaces: each is a word
_WORD = re.compile(rf"[{_IDEOGRAPHS}][{_MARKS}]*|(?:[^\W_{_IDEOGRAPHS}][{_MARKS}]*)+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_PIECE = re.compile(
    r'(?P<no>-?)(?:(?P<filter>kind|from|after|before):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))', re.IGNORECASE
)


class Term(Struct, frozen=True):
    """Words that stand side by side. `is_beginning`: the last one may go on; `is_unwanted`: entries without them."""

    words: tuple[str, ...]
    is_beginning: bool = False
    is_unwanted: bool = False


class Query(Struct, frozen=True):
    """What is looked for: all of `terms`, one of `kinds` and of `people` where some are named.

    `people` are as typed. `after` and `before` are days in a room's own zone: on or after the one, before the other.
    """

    terms: tuple[Term, ...] = ()
    kinds: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    after: date | None = None
    before: date | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing at all."""
        return self == Query()


def fold(word: str) -> str:
    """Return a word without case, accents and anything that is no letter or digit; cut at WORD_CHARS_MAX."""
    if word.isascii():
        return word.lower()[:WORD_CHARS_MAX]
    return _folded(word)


@lru_cache(maxsize=8192)
def _folded(word: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    return "".join(c for c in plain if c.isalnum())[:WORD_CHARS_MAX]


def words_of(text: str) -> list[str]:
    """Return the folded words of a text, in their order."""
    if text.isascii():
        return [word[:WORD_CHARS_MAX] for word in _ASCII_WORD.findall(text.lower())]
    return [folded for match in _WORD.finditer(text) if (folded := fold(match[0]))]


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    for match in _WORD.finditer(text):
        folded = fold(match[0])
        if folded:
            yield folded, match.start(), match.end()


def searchable_text(kind: str, body: Body | None) -> str:
    """Return what people wrote into an entry, its parts on lines of their own; "" for what is not searched."""
    if body is None or kind not in WRITTEN_BY_PEOPLE:
        return ""
    return "\n".join(_strings(body, 0))


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value and not _MACHINE.fullmatch(value):
            yield value
    elif depth < BODY_DEPTH_MAX and isinstance(value, dict):
        for name, inner in value.items():
            if name not in UNSEARCHED:
                yield from _strings(inner, depth + 1)
    elif depth < BODY_DEPTH_MAX and isinstance(value, list):
        for inner in value:
            yield from _strings(inner, depth + 1)


def parse(text: str) -> Query:
    """Return what was typed into a search box as a query.

    Raises:
        Malformed: for more than QUERY_CHARS_MAX characters or TERMS_MAX terms.
    """
    if len(text) > QUERY_CHARS_MAX:
        raise Malformed(f"A search may have {QUERY_CHARS_MAX} characters. Shorten it.", field="q")
    terms: list[Term] = []
    kinds: list[str] = []
    people: list[str] = []
    days: dict[str, list[date]] = {"after": [], "before": []}
    for match in _PIECE.finditer(text):
        name, value = (match["filter"] or "").lower(), match["phrase"] if match["word"] is None else match["word"]
        day = day_of(value) if name in days else None
        if name == "kind" and not match["no"] and value.lower() in WRITTEN_BY_PEOPLE:
            kinds.append(value.lower())
        elif name == "from" and not match["no"] and words_of(value):
            people.append(value)
        elif day is not None and not match["no"]:
            days[name].append(day)
        else:
            term = _term(match, f"{name} {value}")
            if term is not None:
                terms.append(term)
    if len(terms) + len(kinds) + len(people) > TERMS_MAX:
        raise Malformed(f"A search may have {TERMS_MAX} words or phrases. Leave some out.", field="q")
    after, before = max(days["after"], default=None), min(days["before"], default=None)
    return Query(tuple(terms), tuple(dict.fromkeys(kinds)), tuple(dict.fromkeys(people)), after, before)


def _term(match: re.Match[str], text: str) -> Term | None:
    words = tuple(words_of(text))[:TERM_WORDS_MAX]
    if not words:
        return None
    return Term(words, text.endswith("*") and match["word"] is not None, bool(match["no"]))


def day_of(text: str) -> date | None:
    """Return a day that calendars can reckon with, before and after it too."""
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
    return day if day is not None and 1970 <= day.year < 9999 else None


def term_matches(term: Term, words: Sequence[str], at: int) -> bool:
    """Whether the words of a term stand at this place."""
    last = at + len(term.words) - 1
    if last >= len(words) or tuple(words[at:last]) != term.words[:-1]:
        return False
    return words[last].startswith(term.words[-1]) if term.is_beginning else words[last] == term.words[-1]


def matches(query: Query, text: str) -> bool:
    """Whether a text has what the terms of a query ask for: the meaning that both databases are held to."""
    words = words_of(text)
    return all(
        any(term_matches(term, words, at) for at in range(len(words))) is not term.is_unwanted for term in query.terms
    )


def marked(query: Query, text: str) -> list[tuple[int, int]]:
    """Return where a text has what was looked for, as runs of characters, in order and apart."""
    spans = list(_spans(text))
    words = [word for word, _, _ in spans]
    wanted = [term for term in query.terms if not term.is_unwanted]
    runs: list[tuple[int, int]] = []
    at = 0
    while at < len(words):
        length = max((len(term.words) for term in wanted if term_matches(term, words, at)), default=0)
        if length:
            runs.append((spans[at][1], spans[at + length - 1][2]))
        at += length or 1
    return runs
