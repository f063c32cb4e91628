"""Kinds of entries: which there are, and whether a body fits its kind.

Rule 1: a kind is a class in `app.domain.bodies`, a template in `templates/entries/`, and, where people write it, a row
of the tables in `app.domain.workrooms` and a form; nothing else in the live path or the storage knows it.
Rule 2: a body that does not fit is refused with the field named (rule 1.4).
Rule 3: what people write holds no control characters but tab and line end: some databases and terminals choke on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from app.domain.bodies import agreements, people, system
from app.domain.bodies.fields import TEXT_BYTES_MAX, EntryBody
from app.domain.bodies.refusals import refusal_of
from app.domain.bodies.rules import RULES
from app.domain.errors import InvalidBody, UnknownKind
from app.domain.matters import ANSWERS
from app.domain.record import Body, check_profile


def _tag(body: type[EntryBody]) -> str:
    return str(body.__struct_config__.tag)


def _bodies() -> Iterator[type[EntryBody]]:
    for module in (people, agreements, system):
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, EntryBody) and found.__module__ == module.__name__:
                yield found


KINDS: dict[str, type[EntryBody]] = {_tag(body): body for body in _bodies()}

ERASING = frozenset({"frame.replaced", "frame.deleted", "handover.received", "handover.expired"})  # tombstones
REF_REQUIRED = frozenset(  # and every answer (app.domain.matters)
    {"correction", "frame.replaced", "frame.unreadable", "frame.deleted", "hour.amended", "handover.expired"}
) | frozenset(ANSWERS)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


def checked_body(kind: str, body: object) -> Body:
    """Return the body of an entry that a person sends, if it fits its kind.

    Raises:
        UnknownKind: if there is no such kind.
        InvalidBody: naming the field that does not fit.
    """
    schema = KINDS.get(kind)
    if schema is None:
        raise UnknownKind(f"There is no entry of the kind `{kind[:60]}`.", field="kind")
    if not isinstance(body, dict):
        raise InvalidBody("`body` must be an object.", field="body")
    if "type" in body:  # the tag of a schema, which bodies do not carry
        raise InvalidBody("`body` has an unknown field `type`.", field="body.type")
    for path, text in _texts(body, "body"):  # first: these sentences say more than the schema's
        _check_text(text, path)
    try:
        msgspec.convert({**body, "type": kind}, schema, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    if "by_silence" in body:
        raise InvalidBody("What silence means is for the server to say.", field="body.by_silence")
    if rule := RULES.get(kind):
        rule(body)
    check_profile(body)
    return body


def body_of(event: EntryBody) -> tuple[str, Body]:
    """Return kind and body of an event that the system writes."""
    built: Any = msgspec.to_builtins(event)
    kind = built.pop("type")
    return kind, built


def check_characters(text: str, field: str) -> None:
    """Check what a person wrote for characters that nobody can read.

    Raises:
        InvalidBody: if there is a control character other than tab, line feed and carriage return.
    """
    if found := _CONTROL.search(text):
        raise InvalidBody(
            f"The text holds a control character (U+{ord(found[0]):04X}) at position {found.start() + 1}. Remove it.",
            field=field,
        )


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a body with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, f"{path}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{path}.{number}")


def _check_text(text: str, field: str) -> None:
    if not text.strip():
        raise InvalidBody("Write something first: the text is empty.", field=field)
    check_characters(text, field)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidBody("The text holds half a character (a lone surrogate). Remove it.", field=field) from None
    if size > TEXT_BYTES_MAX:
        raise InvalidBody("The text is longer than 32 KiB. Shorten it, or send it in parts.", field=field)


def _invalid(error: msgspec.ValidationError) -> InvalidBody:
    """Return our error for msgspec's: its path as `body.links.0`, its reason as a sentence for people."""
    text = str(error)
    match = _PATH.search(text)
    path = re.sub(r"\[(\d+)\]", r".\1", match.group(1)) if match else ""
    named = re.search(r"field `([^`]+)`", text)
    field = ".".join(part for part in ("body", path, named.group(1) if named else "") if part)
    reason = text[: match.start()] if match else text
    return InvalidBody(refusal_of(reason), field=field)
