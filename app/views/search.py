"""Search as pages and programs show it: a result with the words around what was found.

Rule 1: a snippet is plain text, escaped; only the `<mark>`s around what was found are html.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape
from msgspec import Struct

from app.domain.matters import TRANSITIONS, MatterState
from app.domain.record import Entry
from app.domain.search import Query, marked, searchable_text
from app.domain.timerange import instant_text
from app.domain.workrooms import WRITTEN_BY_PEOPLE, RoomInfo
from app.views.compose import GROUPS
from app.views.matters import WORDS
from app.views.names import name_of, person
from app.views.rendering import when_day
from app.views.sentences import is_restricted, sentence

SNIPPET_CHARS = 260
BEFORE_CHARS = 70  # of them, what stands before the first mark
SAID = (
    ("message", "Message"),
    ("feedback", "Note on work"),
    ("correction", "Correction"),
    ("comment", "Comment on time"),
)
TEXT_CHARS_MAX = 20_000  # of a long entry, what is looked through for marks


class Result(Struct, frozen=True):
    """What a result shows. `address` is the entry's permalink."""

    room: RoomInfo
    seq: int
    by: str
    name: str
    initials: str
    hue: int
    kind: str
    time: Markup
    snippet: Markup
    address: str
    restricted: bool


def kind_groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every kind that people write, with its word, in the groups of the composer; answers stand last."""
    forms = [(name, [(form.kind, form.title) for form in listed]) for name, listed in GROUPS]
    words = {kind: word for _, listed in forms for kind, word in listed}
    answers = [
        (answer, f"{words[asked]}: {WORDS[state].lower()}")
        for asked, steps in TRANSITIONS.items()
        for answer, state in steps[MatterState.OPEN].items()
        if answer in WRITTEN_BY_PEOPLE
    ]
    return [("Say", list(SAID)), *forms, ("Answers", answers)]


def kind_name(kind: str) -> str:
    """Return a kind as people say it: `terms.proposed` is "terms proposed"."""
    return kind.replace(".", " ").replace("_", " ")


def result_of(entry: Entry, room: RoomInfo, query: Query) -> Result:
    """Return what is shown of an entry that was found."""
    name = name_of(room, entry.by)
    _, initials, hue = person(name, entry.by)
    return Result(
        room=room,
        seq=entry.seq,
        by=entry.by,
        name=name,
        initials=initials,
        hue=hue,
        kind=kind_name(entry.kind),
        time=when_day(entry.at, room.time_zone),
        snippet=snippet(entry, room, query),
        address=f"/rooms/{room.id}/entries/{entry.seq}",
        restricted=is_restricted(entry),
    )


def snippet(entry: Entry, room: RoomInfo, query: Query) -> Markup:
    """Return the words around the first of what was found, all of it marked."""
    text = _told(entry, room)
    runs = marked(query, text)
    start = max(0, runs[0][0] - BEFORE_CHARS) if runs and runs[0][0] > SNIPPET_CHARS - BEFORE_CHARS else 0
    if start:
        start = text.find(" ", start, runs[0][0]) + 1 or start
    end = min(len(text), start + SNIPPET_CHARS)
    made = [Markup("… ") if start else Markup("")]
    at = start
    for first, last in runs:
        if last > end:
            break
        made += [escape(text[at:first]), Markup("<mark>{}</mark>").format(text[first:last])]
        at = last
    return Markup("").join([*made, escape(text[at:end]), Markup(" …") if end < len(text) else Markup("")])


def _told(entry: Entry, room: RoomInfo) -> str:
    """Return what an entry says on one line; its parts are kept apart by dots."""
    parts = searchable_text(entry.kind, entry.body)[:TEXT_CHARS_MAX].split("\n")
    told = " · ".join(line for part in parts if (line := " ".join(part.split())))
    return told or sentence(entry, room)


def result_json(entry: Entry, room: RoomInfo, query: Query) -> dict[str, Any]:
    """Return a result as the API gives it; `snippet` is html, where `<mark>` is the only tag."""
    return {
        "room": room.id,
        "title": room.title,
        "seq": entry.seq,
        "kind": entry.kind,
        "by": entry.by,
        "name": name_of(room, entry.by),
        "at": instant_text(entry.at),
        "snippet": str(snippet(entry, room, query)),
    }
