"""What is said where a body does not fit its schema: sentences for people, in place of the library's.

Rule 1: a sentence says what to do; the path of the field stands beside it, never in it.
Rule 2: every pattern of a schema has its sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable

PATTERNS: dict[str, str] = {
    "^https?://[^ ]+$": "A link begins with https:// and has no spaces.",
    "^(p|op)[0-9]{1,6}$": "Choose a member of this workroom.",
    r"^\d{4}-\d\d-\d\d$": "Write the day like 2026-11-30.",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$": "Write the moment like 2026-11-30T09:00:00.000Z.",
    "^[A-Z]{3}$": "Write the currency in its three letters, like EUR.",
    r"^[A-Za-z0-9_+/-]{1,60}$": "That is no time zone. Use a name like Europe/Lisbon.",
    "^m[1-9][0-9]{0,3}$": "Name the milestone by its key, like m1.",
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$": "That is no UUID in lower case.",
    "^[A-Za-z0-9_-]{43}$": "That is no SHA-256 in base64url.",
    r"^[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80}$": "That is no media type, like image/png.",
    "^[A-Za-z0-9_-]{20,16000}$": "That was not sealed by this server.",
}
TYPES: dict[str, str] = {
    "str": "a text", "int": "a whole number", "bool": "yes or no", "array": "a list", "object": "an object",
}  # fmt: skip
OTHERWISE = "This does not have the form that it must have."
_SAID_OF_PATTERNS = {repr(pattern): sentence for pattern, sentence in PATTERNS.items()}


def words_of(name: str) -> str:
    """Return the name of a field as words: `due_on` is "due date", `amount_minor` is "amount"."""
    return re.sub(r"_on$", " date", name.removesuffix("_minor")).replace("_", " ")


def _bound(found: re.Match[str]) -> str:
    what, sign, number = found["what"], found["sign"], int(found["number"])
    of = "" if what == "int" else {"str": " characters", "array": " of them"}.get(what, "")
    if sign == ">=" and number == 1 and of:
        return "Write something here." if what == "str" else "Name at least one."
    return f"At {'most' if sign == '<=' else 'least'} {number:,}{of}."


def _typed(found: re.Match[str]) -> str:
    wanted = [TYPES.get(each, "something else") for each in found["wanted"].split(" | ") if each != "null"]
    return f"This must be {' or '.join(wanted)}."


_SAID: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"Expected `str` matching regex (.*)"), lambda found: _SAID_OF_PATTERNS.get(found[1], OTHERWISE)),
    (re.compile(r"Expected `(?P<what>\w+)`(?: of length)? (?P<sign>[<>]=) (?P<number>-?\d+)"), _bound),
    (re.compile(r"Expected `(?P<wanted>[^`]+)`, got `.*`"), _typed),
    (re.compile(r"Invalid enum value .*"), lambda found: "That is none of the choices. Choose another."),
    (
        re.compile(r"Object missing required field `([^`]+)`"),
        lambda found: f"Fill in the {words_of(found[1])}: it is missing.",
    ),
    (re.compile(r"Object contains unknown field `([^`]+)`"), lambda found: f"There is no field `{found[1]}` here."),
)


def refusal_of(reason: str) -> str:
    """Return the sentence for what the library says of a value, without its path."""
    for pattern, said in _SAID:
        if found := pattern.fullmatch(reason):
            return said(found)
    return OTHERWISE
