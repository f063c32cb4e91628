"""Cells of Work View as html: state by icon, word and border, never by colour alone.

Rule 1: the table of a day and the socket render a cell by the same macro.
Rule 2: a cell knows only itself; that it continues its neighbour's comment is handed in as `joined`.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.domain.live import Cell, CellState
from app.domain.record import Body
from app.domain.timerange import segment_start
from app.domain.workrooms import RoomInfo
from app.views.names import first_name
from app.views.rendering import macro, minutes, when

WORDS: dict[CellState, tuple[str, str]] = {
    CellState.EMPTY: ("", ""),
    CellState.RUNNING: ("timer", "frame to come"),
    CellState.WAITING: ("hourglass", "frame taken, held by {name}"),
    CellState.STORED: ("image", "picture in a moment"),
    CellState.READY: ("check", "documented"),
    CellState.UNREADABLE: ("image-off", "unreadable picture"),
    CellState.DELETED: ("scissors", "deleted by {name}, time taken off"),
    CellState.UNDOCUMENTED: ("monitor-off", "Work View off"),
    CellState.MISSING: ("circle-alert", "no frame came"),
}
MARKS = {
    "off_moment": "Not taken at its sealed moment",
    "no_seed": "Taken without a sealed moment",
}


class CellView:
    """A cell with the words that its template shows."""

    def __init__(self, cell: Cell, room: RoomInfo, joined: bool, outside: bool) -> None:
        self.room, self.by, self.segment = cell.room, cell.by, cell.segment
        self.state = cell.state.value
        self.name = first_name(room, cell.by)
        self.icon, word = WORDS[cell.state]
        self.word = word.format(name=self.name)
        self.documented_ms, self.tracked_ms = cell.documented_ms, cell.tracked_ms
        self.counted_ms = min(cell.documented_ms + cell.tracked_ms, 720_000)
        self.comment, self.comment_seq = cell.comment, cell.comment_seq
        self.frame_seq, self.provisional = cell.frame_seq, cell.provisional
        self.joined, self.outside = joined, outside
        self.mark = cell.mark
        self.mark_word = MARKS.get(cell.mark or "", "")
        self._at = cell.taken_at if cell.taken_at is not None else segment_start(cell.segment)
        self._zone = room.time_zone

    @property
    def pictured(self) -> bool:
        """Whether there is a picture to open."""
        return self.frame_seq is not None and self.state in ("stored", "ready")

    @property
    def at(self) -> Markup:
        """When the frame was taken, or the segment begins."""
        return when(self._at, self._zone)

    @property
    def length(self) -> str:
        """How much of the segment counts."""
        if self.state == "deleted":
            return "0 min"
        return minutes(self.counted_ms)


def cell_html(cell: Cell, room: RoomInfo, joined: bool = False, outside: bool = False) -> Markup:
    """Return the `<td>` of a segment; `outside` greys one that belongs to the day before or after."""
    return macro("_cells.html", "cell")(CellView(cell, room, joined, outside))


def cells_html(cells: Sequence[Cell], room: RoomInfo, in_day: Sequence[bool] = ()) -> list[Markup]:
    """Return the cells of one row; a comment that goes on from the cell before shows its words once."""
    made: list[Markup] = []
    before: int | None = None
    for index, cell in enumerate(cells):
        joined = cell.comment_seq is not None and cell.comment_seq == before
        made.append(cell_html(cell, room, joined, outside=bool(in_day) and not in_day[index]))
        before = cell.comment_seq
    return made


def total_html(room: str, by: str, hour: int, documented_ms: int, tracked_ms: int, closed: bool) -> Markup:
    """Return the `<td>` with an hour's total."""
    return macro("_cells.html", "total")(room, by, hour, documented_ms, tracked_ms, closed)


def total_of_body(room: str, body: Body) -> Markup:
    """Return the total of an hour from the body of `hour.closed` or `hour.amended`."""
    documented = sum(s["documented_ms"] for s in body["segments"])
    tracked = sum(s["tracked_ms"] for s in body["segments"])
    return total_html(room, body["member"], body["hour"], documented, tracked, True)
