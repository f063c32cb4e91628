"""What the socket sends: one fragment for all viewers of a view, made by the macros that the pages include.

Rule 1: pure and synchronous; no function here reads anything but its arguments.
Rule 2: `hx-upsert` adds rows and replaces what has an id, in order, also within one message; `hx-partial` changes a
part that the page has. A missing target is ignored, so a fragment may speak of more than the page shows.
Rule 3: an empty text means that nothing is to be sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.domain.events import ERASING
from app.domain.live import (
    AccountEvent,
    Appended,
    Cell,
    CellChanged,
    CellState,
    CheckpointReleased,
    Event,
    Presence,
    PreviewReady,
    Seen,
    TrackerChanged,
    TrackerState,
    Typing,
)
from app.domain.matters import Matter
from app.domain.record import Entry
from app.domain.workrooms import WRITTEN_BY_PEOPLE, RoomInfo
from app.views.cells import cell_html, total_of_body
from app.views.entries import correction_mark, entry_row
from app.views.home import doing_html, last_words_html, turn_html
from app.views.matters import state_html
from app.views.names import first_name
from app.views.presence import proof_html, seen_html, typing_html, who_html
from app.views.rendering import counted, macro
from app.views.rows import FATES, TILE_OF
from app.views.trackers import dot_html, now_html, tracker_html

TURNING = frozenset({"status_report", "status_report.missing"})  # what changes lists of what waits, beside matters
HOUR_KINDS = ("hour.closed", "hour.amended")
SECRET_GONE = ("handover.received", "handover.expired")


def _partial(target: str, content: str, swap: str = "innerHTML") -> str:
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{content}</hx-partial>'


def _upsert(target: str, content: str) -> str:
    return f'<hx-upsert hx-target="#{target}">{content}</hx-upsert>'


def _tile_content(room: RoomInfo, seq: int, by: str, state: str) -> str:
    """Return what a frame's place in the timeline shows from now on."""
    tile = macro("entries/frame.taken.html", "tile")(room.id, seq, first_name(room, by), state)
    return _upsert(f"f-{room.id}-{seq}", tile)


def _tiles_of_hour(cells: Sequence[Cell], room: RoomInfo) -> str:
    """Return the tiles of an hour that closed, for pages that were away when their pictures came."""
    made = []
    for cell in cells:
        if cell.frame_seq is not None and cell.state in (CellState.READY, CellState.UNREADABLE):
            name, state = first_name(room, cell.by), TILE_OF[cell.state]
            tile = macro("entries/frame.taken.html", "tile")(room.id, cell.frame_seq, name, state)
            made.append(_partial(f"t-{room.id}-{cell.frame_seq}", tile, "outerMorph"))
    return "".join(made)


def _correction_content(entry: Entry, room: RoomInfo) -> str:
    """Return the mark that a corrected entry gets; "" for other kinds."""
    if entry.kind != "correction" or entry.ref is None:
        return ""
    return _upsert(f"e-{room.id}-{entry.ref}>.c", correction_mark(room.id, entry.seq))


def _matter_content(matter: Matter, room: RoomInfo) -> str:
    return _partial(f"s-{room.id}-{matter.seq}", state_html(matter, room), "outerMorph")


def _gone_content(entry: Entry, room: RoomInfo) -> str:
    """Return what is left of a secret that was shown or lapsed; "" for other kinds."""
    if entry.kind not in SECRET_GONE:
        return ""
    gone = macro("entries/handover.html", "gone")(room.id, entry.ref)
    return _partial(f"h-{room.id}-{entry.ref}", gone, "outerMorph")


def timeline_content(entry: Entry, room: RoomInfo, cells: Sequence[Cell] = (), matters: Sequence[Matter] = ()) -> str:
    """Return the row of an entry, and what it changes about the row that it refers to.

    `cells` and `matters` are those that it changed, as they are now: a frame of a replay may have its thumbnail
    already, a proposal its answer.
    """
    fate = next((TILE_OF.get(cell.state) for cell in cells if cell.frame_seq == entry.seq), None)
    own = next((matter for matter in matters if matter.seq == entry.seq), None)
    row = (
        f'<hx-upsert hx-target="#log-{room.id}" key="data-seq" sort>{entry_row(entry, room, fate, (), own)}</hx-upsert>'
    )
    row += "".join(_matter_content(matter, room) for matter in matters if matter is not own)
    row += _correction_content(entry, room)
    if entry.kind in HOUR_KINDS:
        row += _tiles_of_hour(cells, room)
    if entry.ref is None:
        return row
    if entry.kind in FATES:
        member = entry.body["member"] if entry.body else entry.by
        row += _tile_content(room, entry.ref, member, FATES[entry.kind])
    if entry.kind in SECRET_GONE:
        return row + _gone_content(entry, room)
    if entry.kind in ERASING:
        row += _partial(
            f"e-{room.id}-{entry.ref}>.cap", macro("entries/frame.taken.html", "erased_cap")(room.id, entry.ref)
        )
    return row


def workview_content(event: Appended, room: RoomInfo) -> str:
    """Return the cells that an entry changed, the total of an hour that closed, and what people say."""
    entry = event.entry
    parts = [_cell_content(cell, room) for cell in event.cells]
    if entry.kind in HOUR_KINDS and entry.body is not None:
        hour = entry.body["hour"]
        target = f"hour-{room.id}-{entry.body['member']}-{hour}"
        parts.append(_partial(target, total_of_body(room.id, entry.body), "outerMorph"))
    if entry.kind in WRITTEN_BY_PEOPLE:
        own = next((matter for matter in event.matters if matter.seq == entry.seq), None)
        row = entry_row(entry, room, None, (), own)
        parts.append(f'<hx-upsert hx-target="#chat-{room.id}" key="data-seq" sort>{row}</hx-upsert>')
        parts.append(_correction_content(entry, room))
    parts += [_matter_content(matter, room) for matter in event.matters if matter.seq != entry.seq]
    parts.append(_gone_content(entry, room))
    return "".join(parts)


def home_content(event: Appended, room: RoomInfo) -> str:
    """Return the last words of a room for the list of rooms, and a mark where what waits for whom has changed."""
    entry = event.entry
    turn = _partial("turns", turn_html(event)) if event.matters or entry.kind in TURNING else ""
    if entry.kind not in WRITTEN_BY_PEOPLE:
        return turn
    return _partial(f"last-{room.id}", last_words_html(entry, room)) + turn


def _cell_content(cell: Cell, room: RoomInfo) -> str:
    return _partial(f"seg-{room.id}-{cell.by}-{cell.segment}", cell_html(cell, room), "outerMorph")


def _shot_content(cell: Cell, room: RoomInfo) -> str:
    """Return what the box of a tracker shows when a thumbnail is ready: the picture and the way to it."""
    if cell.state is not CellState.READY or cell.frame_seq is None:
        return ""
    shot = macro("_people.html", "shot")(room.id, first_name(room, cell.by), cell.frame_seq)
    return _partial(f"shot-{room.id}-{cell.by}", shot)


def _last_frame_content(cell: Cell, room: RoomInfo) -> str:
    """Return what the list of rooms changes when a thumbnail is ready."""
    if cell.state is not CellState.READY or cell.frame_seq is None:
        return ""
    name = Markup.escape(first_name(room, cell.by))
    return _partial(
        f"last-{room.id}-{cell.by}",
        f'<img id="last-{room.id}-{cell.by}" src="/rooms/{room.id}/frames/{cell.frame_seq}/thumbnail?ready" '
        f'width="480" height="270" decoding="async" alt="{name}’s last frame">',
        "outerMorph",
    )


def _thumbnail_content(cell: Cell, room: RoomInfo) -> str:
    """Return what the timeline changes when a thumbnail is ready."""
    if cell.state is not CellState.READY or cell.frame_seq is None:
        return ""
    return _tile_content(room, cell.frame_seq, cell.by, "ready") + _shot_content(cell, room)


def _tracker_content(state: TrackerState, room: RoomInfo) -> str:
    return _partial(f"tracker-{room.id}-{state.by}", tracker_html(state, room), "outerMorph") + _partial(
        f"now-{room.id}-{state.by}", now_html(state, room), "outerMorph"
    )


def _preview_content(room: str, seq: int, position: int, ok: bool) -> str:
    """Return what stands in the place of the preview of a file from now on."""
    made = macro("files/_attachment.html", "pictured")(room, seq, position, "ready" if ok else "failed")
    return _partial(f"a-{room}-{seq}-{position}-p", made, "outerMorph")


def live_content(view: str, event: Event, room: RoomInfo) -> str:
    """Return what an event changes in a view; "" if nothing."""
    match event:
        case CellChanged(cell=cell):
            if view == "workview":
                return _cell_content(cell, room) + _shot_content(cell, room)
            return _thumbnail_content(cell, room) if view == "timeline" else _last_frame_content(cell, room)
        case TrackerChanged(state=state):
            if view == "home":
                return _partial(f"doing-{room.id}-{state.by}", doing_html(state, room), "outerMorph")
            return _tracker_content(state, room)
        case PreviewReady(seq=seq, position=position, ok=ok) if view != "home":
            return _preview_content(room.id, seq, position, ok)
        case Presence(here=here):
            return _partial(f"who-{room.id}", who_html(room, here))
        case Typing(by=by) if view != "home":
            return _partial(f"typing-{room.id}", typing_html(room, by) if by else "")
        case Seen(by=by, seq=seq) if view == "timeline":
            return _upsert(f"seen-{room.id}", seen_html(room, by, seq))  # of who joined meanwhile too
        case CheckpointReleased(size=size, note=note) if view == "timeline":
            return _partial(f"proof-{room.id}", proof_html(room.id, size, note), "innerMorph")
        case _:
            return ""


def account_content(event: AccountEvent) -> str:
    """Return what concerns one account only: how much of a room, or of what it was told, is unread."""
    room, unread = event.data.get("room"), event.data.get("unread")
    if event.event == "notices" and isinstance(unread, int):
        return _partial("bell", counted(unread) if unread else "")
    if event.event == "tracking":
        return _partial(f"dot-{room}", dot_html(str(room), str(event.data.get("tracking"))), "outerMorph")
    if event.event != "unread" or not isinstance(room, str) or not isinstance(unread, int):
        return ""
    return _partial(f"unread-{room}", counted(unread) if unread else "")


def snapshot_content(
    view: str, room: RoomInfo, here: Sequence[str], states: Sequence[TrackerState], cells: Sequence[Cell]
) -> str:
    """Return what follows a join: everything that may have been missed and has no number."""
    parts = [_partial(f"who-{room.id}", who_html(room, here)), _partial(f"typing-{room.id}", "")]
    parts += [live_content(view, TrackerChanged(room.id, state), room) for state in states]
    if view == "workview":
        parts += [_cell_content(cell, room) for cell in cells]
    elif view == "timeline":
        parts += [_thumbnail_content(cell, room) for cell in cells]
    return "".join(parts)
