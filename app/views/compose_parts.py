"""Parts of forms, and how what was typed into them becomes a body.

Rule 1: whatever was typed comes back as it was, also what is refused, and also what the present choice hides.
Rule 2: every problem is told at once, each beside its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from app.domain.errors import Malformed
from app.domain.money import DECIMALS, Money, amount_text, checked_currency, money_of_text
from app.domain.terms import next_key

NOTE = 2_000
TITLE = 200
ROWS_MAX = 50  # in one form; the schemas allow as many milestones
Type = Literal[
    "text", "area", "lines", "secret", "day", "money", "number", "currency", "zone", "check", "checks", "choice",
    "select", "hidden",
]  # fmt: skip
Options = tuple[tuple[str, str], ...]


class Field(Struct, frozen=True):
    """An input. `options` are its choices, or the name of choices that the room knows; `only` shows it where `pay` is
    this; `whole` says that a choice is a number. A check that `must` be set, or whose "no" is `told`, says so."""

    name: str
    label: str
    type: Type = "text"
    required: bool = True
    hint: str = ""
    rows: int = 3
    chars_max: int = 0
    low: int | None = None
    high: int | None = None
    options: str | Options = ()
    only: str = ""
    whole: bool = False
    must: bool = False
    told: bool = False


class Rows(Struct, frozen=True):
    """Rows of inputs that can be added and removed; a row in which nothing was typed is left out."""

    name: str
    label: str
    add: str
    fields: tuple[Field, ...]
    only: str = ""


class PerMilestone(Struct, frozen=True):
    """An input for each milestone: a list of `{"milestone": …, <key>: …}`."""

    name: str
    label: str
    key: str
    field: Field
    only: str = ""


Part = Field | Rows | PerMilestone
RESTRICTED = Field("restricted", "Restricted: it does not leave this workroom", "check")


class Around(Struct, frozen=True):
    """What a form knows of its room: choices by name, the milestones, and their currency."""

    options: dict[str, Options]
    milestones: Options
    currency: str = ""
    keys: tuple[str, ...] = ()  # of milestones that there are or were


class Typed(Struct):
    """What a form holds: values by the name of their input, how many rows each list has, what is wrong where."""

    values: dict[str, str]
    counts: dict[str, int]
    problems: dict[str, str] = {}

    def value(self, name: str) -> str:
        """Return what stands in an input."""
        return self.values.get(name, "")

    def rows(self, name: str) -> range:
        """Return the numbers of the rows of a list; an empty list shows one."""
        return range(max(1, self.counts.get(name, 0)))

    def wrong(self, name: str, sentence: str) -> None:
        """Note what is wrong with an input; the first word counts."""
        self.problems.setdefault(name, sentence)


def options_of(field: Field, around: Around) -> Options:
    """Return the choices of an input."""
    return around.options.get(field.options, ()) if isinstance(field.options, str) else field.options


def typed_of(parts: tuple[Part, ...], posted: Mapping[str, list[str]]) -> Typed:
    """Return what was posted: every input of the form, as it was."""
    values: dict[str, str] = {}
    counts: dict[str, int] = {}
    for part in parts:
        if isinstance(part, Rows):
            numbers = [n for n in range(ROWS_MAX) if any(f"{part.name}.{n}.{f.name}" in posted for f in part.fields)]
            counts[part.name] = max(numbers, default=-1) + 1
    several = {part.name for part in parts if isinstance(part, Field) and part.type == "checks"}
    for name, given in posted.items():
        values[name] = ("\n".join(given) if name in several else given[0]).replace("\r\n", "\n")
    return Typed(values, counts)


def add_row(typed: Typed, name: str) -> None:
    """Add an empty row to a list."""
    typed.counts[name] = min(ROWS_MAX, len(typed.rows(name)) + 1)


def remove_row(typed: Typed, part: Rows, number: int) -> None:
    """Take a row out of a list; those behind it move up."""
    last = len(typed.rows(part.name)) - 1
    for at in range(number, last):
        for field in part.fields:
            typed.values[f"{part.name}.{at}.{field.name}"] = typed.value(f"{part.name}.{at + 1}.{field.name}")
    for field in part.fields:
        typed.values.pop(f"{part.name}.{last}.{field.name}", None)
    typed.counts[part.name] = max(0, last)


def typed_of_body(parts: tuple[Part, ...], body: Mapping[str, Any], currency: str) -> Typed:
    """Return a form filled in with a body: the terms in force, to propose a change of them."""
    made = Typed({}, {})
    for part in parts:
        given = body.get(part.name)
        if given is None:
            continue
        if isinstance(part, Field):
            made.values[part.name] = _shown(part, given, currency)
        elif isinstance(part, Rows):
            made.counts[part.name] = len(given)
            for number, row in enumerate(given):
                for field in part.fields:
                    if field.name in row:
                        made.values[f"{part.name}.{number}.{field.name}"] = _shown(field, row[field.name], currency)
    return made


def _shown(field: Field, value: Any, currency: str) -> str:
    if field.type == "check":
        return "on" if value else ""
    if field.type == "money" and currency in DECIMALS:
        return amount_text(Money(value, currency))
    return str(value)


def body_of(parts: tuple[Part, ...], typed: Typed, around: Around) -> dict[str, Any]:
    """Return the body of what was typed; what is wrong is noted in `typed.problems`."""
    body: dict[str, Any] = {}
    pay = typed.value("pay")
    for part in parts:
        if part.only and part.only != pay:
            continue
        if isinstance(part, Field):
            value = _value(part, part.name, typed, around)
            if value is not None:
                body[part.name] = value
        elif isinstance(part, PerMilestone):
            listed = list(_per_milestone(part, typed, around))
            if listed:
                body[part.name] = listed
        else:
            body[part.name] = list(_rows(part, typed, around))
    _name_milestones(body, typed, around)
    return body


def _rows(part: Rows, typed: Typed, around: Around) -> Iterator[dict[str, Any]]:
    shown = [field for field in part.fields if field.type != "hidden"]
    filled = [n for n in typed.rows(part.name) if any(typed.value(f"{part.name}.{n}.{f.name}").strip() for f in shown)]
    if not filled:
        typed.wrong(f"{part.name}.0.{shown[0].name}", "Fill in this row, at least.")
    for number in filled:
        row = {field.name: _value(field, f"{part.name}.{number}.{field.name}", typed, around) for field in part.fields}
        yield {name: value for name, value in row.items() if value is not None}


def _per_milestone(part: PerMilestone, typed: Typed, around: Around) -> Iterator[dict[str, Any]]:
    for key, _ in around.milestones:
        value = _value(part.field, f"{part.name}.{key}", typed, around)
        if value is not None:
            yield {"milestone": key, part.key: value}


def _value(field: Field, name: str, typed: Typed, around: Around) -> Any:
    """Return the value of an input; None where it is left out, or wrong."""
    text = typed.value(name).strip()
    if field.type == "check":
        if field.must and not text:
            typed.wrong(name, "This must be so before it can be sent.")
        return True if text else (False if field.told else None)
    if not text:
        if field.required:
            typed.wrong(name, "Choose one." if field.type in ("choice", "select") else "This is needed.")
        return None
    if field.chars_max and len(text) > field.chars_max:
        typed.wrong(name, f"At most {field.chars_max:,} characters; these are {len(text):,}.")
        return None
    return _converted(field, name, text, typed, around)


def _converted(field: Field, name: str, text: str, typed: Typed, around: Around) -> Any:
    if field.type in ("lines", "checks"):
        return [line.strip() for line in text.split("\n") if line.strip()]
    if field.type == "number" or field.whole:
        low, high = field.low or 0, field.high if field.high is not None else 10**6
        if not text.isdecimal() or not low <= int(text[:9]) <= high:
            typed.wrong(name, f"Type a whole number from {low} to {high}.")
            return None
        return int(text)
    try:
        if field.type == "currency":
            return checked_currency(text)
        if field.type == "money":
            amount_minor = money_of_text(text, typed.value("currency") or around.currency or "EUR").amount_minor
            if amount_minor == 0:
                raise Malformed("More than nothing.")
            return amount_minor
    except Malformed as error:
        typed.wrong("currency" if error.field == "currency" else name, str(error))
        return None
    return text


def _name_milestones(body: dict[str, Any], typed: Typed, around: Around) -> None:
    """Give new milestones the next free key: keys name them through all versions."""
    used = {*around.keys, *(row["key"] for row in body.get("milestones", []) if "key" in row)}
    for row in body.get("milestones", []):
        if "key" not in row:
            row["key"] = next_key(used)
            used.add(row["key"])
    if body.get("key") == "new":
        body["key"] = next_key(used)


def place_of(field: str | None, typed: Typed, parts: tuple[Part, ...], around: Around) -> str | None:
    """Return the input that a refusal is about: `body.milestones.1.due_on` is `milestones.1.due_on` where the second
    filled row is the second; None if it is about none."""
    if not field:
        return None
    steps = field.removeprefix("body.").split(".")
    part = next((part for part in parts if part.name == steps[0]), None)
    if part is None:
        return None
    if isinstance(part, Field) or len(steps) < 2 or not steps[1].isdecimal():
        return _first_input(part, around)
    number = int(steps[1])
    if isinstance(part, PerMilestone):
        given = [key for key, _ in around.milestones if typed.value(f"{part.name}.{key}").strip()]
        return f"{part.name}.{given[number]}" if number < len(given) else _first_input(part, around)
    shown = [each for each in part.fields if each.type != "hidden"]
    filled = [n for n in typed.rows(part.name) if any(typed.value(f"{part.name}.{n}.{f.name}").strip() for f in shown)]
    name = steps[2] if len(steps) > 2 and steps[2] in {each.name for each in shown} else shown[0].name
    return f"{part.name}.{filled[number] if number < len(filled) else 0}.{name}"


def _first_input(part: Part, around: Around) -> str:
    if isinstance(part, Rows):
        return f"{part.name}.0.{next(each.name for each in part.fields if each.type != 'hidden')}"
    if isinstance(part, PerMilestone):
        return f"{part.name}.{around.milestones[0][0]}" if around.milestones else part.name
    return part.name
