"""Mentions: `@Ana` or `@ana novak` in a text names a member of the workroom (rule 1.8).

Rule 1: a name is a whole name, or a first name that only one member has; in any case of letters, the longest wins.
Rule 2: what stands behind another letter, as in an e-mail address or a link, or inside code, names nobody.
Rule 3: pure, and the same for every reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from unicodedata import normalize

from app.domain.workrooms import RoomInfo

NAMES_MAX = 200  # members of a workroom that can be named
TEXT_FIELDS = ("text", "title", "done", "next", "blocked")  # of bodies: what their author says; not what is quoted

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)

Names = tuple[tuple[str, str], ...]  # pseudonym and whole name of each member


def names_of(room: RoomInfo) -> Names:
    """Return who can be named in a workroom."""
    return tuple((member.by, member.name) for member in room.members.values())


class _Finder:
    """Finds names behind an `@`: one pattern for the members of a workroom."""

    __slots__ = ("_by", "_pattern")

    def __init__(self, names: Names) -> None:
        owners: dict[str, set[str]] = {}
        for by, name in names[:NAMES_MAX]:
            for form in {_folded(name), _folded(name.split(" ")[0])}:
                owners.setdefault(form, set()).add(by)
        self._by = {form: next(iter(bys)) for form, bys in owners.items() if len(bys) == 1}
        # An ambiguous name stands in the pattern too: "@ana" must not be found in what nobody can be meant by.
        longest = sorted(filter(None, owners), key=len, reverse=True)
        forms = (form for each in longest for form in dict.fromkeys((each, normalize("NFD", each))))
        listed = "|".join(r"\s+".join(map(re.escape, form.split(" "))) for form in forms)
        self._pattern = re.compile(rf"(?<![\w.@/+-])@({listed})(?![\w@])(?![.-]\w)", re.I) if listed else None

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """Return where members are named: start, end and pseudonym."""
        if self._pattern is None or "@" not in text:
            return []
        found = []
        for match in self._pattern.finditer(text):
            by = self._by.get(_folded(match[1]))
            if by is not None:
                found.append((match.start(), match.end(), by))
        return found


def _folded(name: str) -> str:
    return " ".join(normalize("NFC", name).split()).lower()


@lru_cache(maxsize=2048)
def _finder(names: Names) -> _Finder:
    return _Finder(names)


def mention_spans(text: str, names: Names) -> list[tuple[int, int, str]]:
    """Return where a text without code names members: start, end and pseudonym, in order."""
    return _finder(names).find(text)


def mentioned(texts: Iterable[str], names: Names) -> frozenset[str]:
    """Return the pseudonyms of the members that texts name, as people write them: code is left out."""
    return frozenset(by for text in texts if "@" in text for _, _, by in mention_spans(_CODE.sub(" ", text), names))


def texts_of(body: dict[str, Any]) -> list[str]:
    """Return what the author of a body says in it."""
    return [value for name in TEXT_FIELDS if isinstance(value := body.get(name), str)]
