"""An entry as html and as JSON; `app.views.sentences` makes a sentence of it.

Rule 1: the html of a kind is the macro `row` of `templates/entries/<kind>.html`; pages and the socket call it here.
Rule 2: JSON is what the API and the json view give: `{"seq","kind","by","at","ref","cid","body"}`, and `erased`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from app.domain.matters import Matter
from app.domain.record import Entry
from app.domain.timerange import instant_text
from app.domain.workrooms import RoomInfo
from app.views.matters import state_html
from app.views.names import name_of
from app.views.rendering import macro
from app.views.rows import FATES, Row

# Kinds whose template says something even when the content is gone.
SPEAKS_ERASED = frozenset({"message", "correction", "feedback", "comment", "frame.taken", "member.joined", "handover"})


# Rows by all that they show: an entry never changes, names are those that `member.joined` committed, and members only
# join. A page of a hundred rows takes 2 ms instead of 15.
_made: dict[tuple[Any, ...], Markup] = {}
ROWS_KEPT_MAX = 4_096
ROW_CHARS_MAX = 4_096  # most have one or two thousand; with longer ones what is kept would not be bounded well
NO_ROOM = "0" * 26  # of samples, whose entries are made up anew


@cache
def _template(kind: str) -> Callable[[Row], Markup]:
    return macro(f"entries/{kind}.html", "row")


def entry_row(
    entry: Entry,
    room: RoomInfo,
    fate: str | None = None,
    marks: tuple[Markup, ...] = (),
    matter: Matter | None = None,
) -> Markup:
    """Return the `<li>` of an entry.

    `fate` is what became of a frame (`deleted`, `replaced`, `unreadable`, `ready`), `marks` what later entries say
    of this one, `matter` how it stands where it needs an answer.
    """
    key = (room.id, entry.seq, entry.body is None, fate, marks, matter, room.time_zone, len(room.members))
    made = _made.get(key)
    if made is None:
        row = Row(entry, room, fate, marks, state_html(matter, room) if matter is not None else "")
        made = _template("_erased" if entry.body is None and entry.kind not in SPEAKS_ERASED else entry.kind)(row)
        if room.id != NO_ROOM and len(made) <= ROW_CHARS_MAX:
            while len(_made) >= ROWS_KEPT_MAX:
                del _made[next(iter(_made))]
            _made[key] = made
    return made


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
    matters: Mapping[int, Matter] | None = None,
) -> list[Markup]:
    """Return the rows of a page, each as it stands after all entries of the page.

    What entries beyond the page say of these is handed in by seq: `fates` of frames (`ready`, `deleted` …), the
    `corrections` of entries, oldest first, and the `matters` among them as they stand.
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
            (matters or {}).get(entry.seq),
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
    if entry.kind == "handover" and entry.body is not None:  # sealed for one member: copies would outlive its erasure
        made["body"] = {name: value for name, value in entry.body.items() if name != "sealed"}
    if entry.erased is not None:
        made["erased"] = entry.erased
    return made


def author(entry: Entry, room: RoomInfo) -> str:
    """Return the name of who wrote an entry."""
    return name_of(room, entry.by)
