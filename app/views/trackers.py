"""What trackers do now, as html. There is no hidden mode: a tracker that is on shows on every page of its room."""

from __future__ import annotations

from markupsafe import Markup

from app.domain.live import TrackerState
from app.domain.workrooms import RoomInfo
from app.views.names import first_name
from app.views.rendering import macro


def tracker_html(state: TrackerState, room: RoomInfo) -> Markup:
    """Return the box of a freelancer's tracker."""
    return macro("_people.html", "tracker")(room.id, state.by, first_name(room, state.by), room.time_zone, state)


def now_html(state: TrackerState, room: RoomInfo) -> Markup:
    """Return the pill in the head of the page."""
    return macro("_people.html", "now")(room.id, state.by, first_name(room, state.by), state)


def dot_html(room: str, tracking: str) -> Markup:
    """Return the dot of a room in the list at the side: somebody tracks ("on"), is "silent", or nobody does ("")."""
    return macro("_people.html", "dot")(room, tracking)
