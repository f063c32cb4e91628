"""An entry as html, JSON, plain text and one sentence.

Rule 1: the html of a kind is the macro `row` of `templates/entries/<kind>.html`; pages and the socket call it here.
Rule 2: JSON is what the API and the json view give: `{"seq","kind","by","at","ref","cid","body"}`, and `erased`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from app.domain.record import Entry
from app.domain.timerange import instant_text, segment_end, segment_start
from app.domain.workrooms import RoomInfo
from app.views.rendering import clock, macro
from app.views.rows import FATES, Row, first_name, name_of
from app.views.text import one_line

# Kinds whose template says something even when the content is gone.
SPEAKS_ERASED = frozenset({"message", "correction", "feedback", "comment", "frame.taken", "member.joined"})
PEOPLES_KINDS = ("message", "correction", "feedback", "comment")


@cache
def _template(kind: str) -> Callable[[Row], Markup]:
    return macro(f"entries/{kind}.html", "row")


def entry_row(entry: Entry, room: RoomInfo, fate: str | None = None, marks: tuple[Markup, ...] = ()) -> Markup:
    """Return the `<li>` of an entry.

    `fate` is what became of a frame (`deleted`, `replaced`, `unreadable`, `ready`), `marks` what later entries say
    of this one.
    """
    if entry.body is None and entry.kind not in SPEAKS_ERASED:
        return _template("_erased")(Row(entry, room, fate, marks))
    return _template(entry.kind)(Row(entry, room, fate, marks))


def correction_mark(room: str, correction: int) -> Markup:
    """Return the mark that a corrected entry carries: it names the entry that corrects it."""
    return Markup(
        f'<a class="corrected" id="m-{room}-{correction}" data-seq="{correction}" '
        f'href="/rooms/{room}/entries/{correction}">corrected by entry {correction}</a>'
    )


def entry_rows(
    entries: Sequence[Entry],
    room: RoomInfo,
    fates: Mapping[int, str] | None = None,
    corrections: Mapping[int, Iterable[int]] | None = None,
) -> list[Markup]:
    """Return the rows of a page, each as it stands after all entries of the page.

    What entries beyond the page say of these is handed in by seq: `fates` of frames (`ready`, `deleted` …), and
    the `corrections` of entries, oldest first.
    """
    became = {entry.ref: FATES[entry.kind] for entry in entries if entry.kind in FATES} | dict(fates or {})
    corrected: dict[int, list[int]] = {}
    for entry in entries:
        if entry.kind == "correction" and entry.ref is not None:
            corrected.setdefault(entry.ref, []).append(entry.seq)
    for seq, later in (corrections or {}).items():
        corrected[seq] = sorted({*later, *corrected.get(seq, ())})
    return [
        entry_row(
            entry,
            room,
            became.get(entry.seq),
            tuple(correction_mark(room.id, seq) for seq in corrected.get(entry.seq, ())),
        )
        for entry in entries
    ]


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return an entry as the json view and the API give it."""
    made: dict[str, Any] = {
        "seq": entry.seq,
        "kind": entry.kind,
        "by": entry.by,
        "at": instant_text(entry.at),
        "ref": entry.ref,
        "cid": entry.cid,
        "body": entry.body,
    }
    if entry.erased is not None:
        made["erased"] = entry.erased
    return made


def sentence(entry: Entry, room: RoomInfo) -> str:
    """Return one short sentence: for lists, titles and people who listen."""
    who = first_name(room, entry.by)
    body = entry.body
    if body is None:
        return f"{entry.kind} {entry.seq}: the content was erased."
    if entry.kind in PEOPLES_KINDS:
        said = {"message": "", "correction": " (correction)", "feedback": " (note)", "comment": " (on time)"}
        return f"{who}{said[entry.kind]}: {one_line(body['text'])}"
    whom = first_name(room, str(body.get("member", entry.by)))
    return _EVENTS[entry.kind](whom, body, room)


def _hour(body: dict[str, Any], room: RoomInfo) -> str:
    first = clock(segment_start(body["hour"] * 5), room.time_zone)
    last = clock(segment_end(body["hour"] * 5 + 4), room.time_zone)
    minutes = sum(s["documented_ms"] for s in body["segments"]) // 60_000
    return f"{first} to {last}, {minutes} minutes documented."


_EVENTS: dict[str, Callable[[str, dict[str, Any], RoomInfo], str]] = {
    "room.opened": lambda who, body, room: f"Workroom {body['title']} opened.",
    "room.rewound": lambda who, body, room: f"Entries were lost; the record goes on. Why: {one_line(body['reason'])}",
    "member.joined": lambda who, body, room: f"{body['name']} joined as {body['side']}.",
    "policy.accepted": lambda who, body, room: f"{who} accepted the confidentiality policy.",
    "tracking.seeds": lambda who, body, room: f"The moments of {who}’s frames were sealed.",
    "tracking.seed_revealed": lambda who, body, room: f"The moments of {who}’s frames of {body['day']} were revealed.",
    "tracking.started": lambda who, body, room: f"{who} started tracking.",
    "tracking.stopped": lambda who, body, room: f"{who} stopped tracking.",
    "tracking.paused": lambda who, body, room: f"{who}’s session paused.",
    "tracking.resumed": lambda who, body, room: f"{who}’s session went on.",
    "tracking.work_view": lambda who, body, room: f"{who} switched Work View {'on' if body['on'] else 'off'}.",
    "tracking.discarded": lambda who, body, room: f"{who} took time off.",
    "frame.taken": lambda who, body, room: f"A frame of {who} was stored.",
    "frame.replaced": lambda who, body, room: f"A later frame of {who} took the place of an earlier one.",
    "frame.unreadable": lambda who, body, room: f"A frame of {who} cannot be read.",
    "frame.deleted": lambda who, body, room: f"{who} deleted a frame.",
    "hour.closed": lambda who, body, room: f"{who}’s hour is closed: {_hour(body, room)}",
    "hour.amended": lambda who, body, room: f"{who}’s hour was amended: {_hour(body, room)}",
}


def author(entry: Entry, room: RoomInfo) -> str:
    """Return the name of who wrote an entry."""
    return name_of(room, entry.by)
