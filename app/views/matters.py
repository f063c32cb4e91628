"""The state of a matter: who must act, until when, what silence means, and how it was answered.

Rule 1: the same for every viewer: the buttons of both sides are there, and the page shows those of its reader's side.
Rule 2: an answer that needs words is a link to its form; one that needs none is a button.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.matters import SILENCE, SYSTEM, TAKING_BACK, TRANSITIONS, Matter, MatterState
from app.domain.workrooms import RoomInfo
from app.views.names import first_name
from app.views.rendering import macro

WORDS: dict[MatterState, str] = {
    MatterState.OPEN: "Waiting",
    MatterState.ACCEPTED: "Accepted",
    MatterState.DECLINED: "Declined",
    MatterState.WITHDRAWN: "Taken back",
    MatterState.CHANGES_REQUESTED: "Changes requested",
    MatterState.CONFIRMED: "Confirmed",
    MatterState.CONTESTED: "Contested",
    MatterState.RECEIVED: "Received",
    MatterState.EXPIRED: "Lapsed",
}
ICONS: dict[MatterState, str] = {
    MatterState.OPEN: "clock",
    MatterState.ACCEPTED: "circle-check",
    MatterState.DECLINED: "circle-x",
    MatterState.WITHDRAWN: "undo-2",
    MatterState.CHANGES_REQUESTED: "pencil-line",
    MatterState.CONFIRMED: "circle-check",
    MatterState.CONTESTED: "triangle-alert",
    MatterState.RECEIVED: "check",
    MatterState.EXPIRED: "hourglass",
}
BUTTONS: dict[str, tuple[str, str]] = {  # of each answer: its word, and the class of its button
    "terms.accepted": ("Accept", "primary"),
    "terms.declined": ("Decline", ""),
    "terms.withdrawn": ("Take back", "quiet"),
    "work_view.accepted": ("Accept", "primary"),
    "work_view.declined": ("Decline", ""),
    "milestone.accepted": ("Accept", "primary"),
    "milestone.declined": ("Decline", ""),
    "milestone.withdrawn": ("Take back", "quiet"),
    "deliverable.accepted": ("Accept delivery", "primary"),
    "deliverable.changes_requested": ("Request changes", ""),
    "delay.accepted": ("Accept", "primary"),
    "delay.declined": ("Decline", ""),
    "transcript.confirmed": ("Confirm", "primary"),
    "transcript.contested": ("Contest", ""),
    "disclosure.approved": ("Approve", "primary"),
    "disclosure.declined": ("Decline", ""),
    "member.approved": ("Agree", "primary"),
    "member.declined": ("Decline", ""),
    "member.withdrawn": ("Take back", "quiet"),
}
NEEDS_WORDS = frozenset({"deliverable.changes_requested", "transcript.contested"})


class AnswerButton(Struct, frozen=True):
    """A way to answer: `for_side` sees it, or the one member `for_member`."""

    kind: str
    word: str
    style: str
    for_side: str
    for_member: str
    needs_words: bool


def who_must_act(matter: Matter, room: RoomInfo) -> str:
    """Return the first names of those who must answer."""
    if matter.asked in room.members:
        return first_name(room, matter.asked)
    names = [first_name(room, m.by) for m in room.members.values() if m.side.value == matter.asked]
    return " or ".join(names) or f"the {matter.asked}"


def buttons(matter: Matter, room: RoomInfo) -> list[AnswerButton]:
    """Return the ways in which a matter can be answered now."""
    made = []
    for kind in TRANSITIONS[matter.kind].get(matter.state, {}):
        if kind not in BUTTONS:
            continue
        word, style = BUTTONS[kind]
        asked = matter.side if kind in TAKING_BACK else matter.asked
        member = asked if asked in room.members else ""
        side = room.members[member].side.value if member else asked
        made.append(AnswerButton(kind, word, style, side, member, kind in NEEDS_WORDS))
    return made


def state_html(matter: Matter, room: RoomInfo) -> str:
    """Return the line below an entry that needs an answer."""
    word, how = _outcome(matter, room)
    return macro("entries/_state.html", "state")(
        room, matter, word, who_must_act(matter, room), SILENCE[matter.kind].means, buttons(matter, room), how,
        ICONS[matter.state],
    )  # fmt: skip


def _outcome(matter: Matter, room: RoomInfo) -> tuple[str, str]:
    """Return how a matter came out, and by whom or why."""
    word, by = WORDS[matter.state], matter.answered_by
    if matter.state is MatterState.EXPIRED:
        return word, ": nobody looked at it" if matter.kind == "handover" else ": the workroom was closed"
    if matter.state is MatterState.WITHDRAWN and by in room.members and room.members[by].side.value != matter.side:
        return "Gave way", " to what was accepted"
    if by is None:
        return word, ""
    return word, ": nobody answered in time" if by == SYSTEM else f" by {first_name(room, by)}"
