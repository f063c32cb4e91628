"""Workrooms: who stands in one, on which side, and what a side may do.

Rule 1: inside a room an account is a pseudonym (`p1`, `p2`); `sys` is the system.
Rule 2: `MAY_WRITE` is the table of who may do what; what is not in it is refused.
"""

from __future__ import annotations

from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from app.domain.errors import Malformed

TITLE_CHARS_MAX = 120
SYSTEM = "sys"
RECORD_FORMAT = 1


class Side(StrEnum):
    CLIENT = "client"
    FREELANCER = "freelancer"
    MEDIATOR = "mediator"  # named by both sides; reads while a dispute is open

    @property
    def other(self) -> Side:
        """The side that must agree with this one; a mediator has none and gets the client's."""
        return Side.FREELANCER if self is Side.CLIENT else Side.CLIENT


PARTIES = (Side.CLIENT, Side.FREELANCER)  # who must be there for work to happen
READING_SIDES = frozenset(side.value for side in PARTIES)  # a mediator reads while a dispute is open: there is none yet


class RoomState(StrEnum):
    """Where a workroom stands (rule 1.2)."""

    NEGOTIATING = "negotiating"
    ACTIVE = "active"
    CLOSED = "closed"


class Member(msgspec.Struct, frozen=True):
    """An account inside a room. `by` is the pseudonym that its entries carry."""

    room: str
    account: str
    by: str
    side: Side
    name: str


class RoomInfo(msgspec.Struct, frozen=True):
    """What every page of a room needs. `members` by pseudonym; a changed room is a new object."""

    id: str
    title: str
    time_zone: str
    work_view: bool
    demo: bool
    opened_at: int
    members: dict[str, Member]
    state: RoomState = RoomState.NEGOTIATING
    job: str | None = None
    closed_at: int | None = None

    def member_of(self, account: str) -> Member | None:
        """Return the membership of an account, if it has one."""
        return next((m for m in self.members.values() if m.account == account), None)

    def on_side(self, side: Side) -> list[Member]:
        """Return the members of a side, in the order in which they joined."""
        return [m for m in self.members.values() if m.side is side]


# Who may do what (section 1): the kinds that a person may write, by side. The system's kinds are in nobody's set.
_BOTH = frozenset(
    {
        "message", "agreement", "correction", "feedback", "availability", "delay", "delay.accepted", "delay.declined",
        "transcript", "transcript.confirmed", "transcript.contested",
        "terms.proposed", "terms.accepted", "terms.declined", "terms.withdrawn",
        "milestone.proposed", "milestone.accepted", "milestone.declined", "milestone.withdrawn",
        "member.proposed", "member.approved", "member.declined", "member.withdrawn",
        "disclosure.requested", "disclosure.approved", "disclosure.declined", "handover",
    }
)  # fmt: skip
MAY_WRITE: dict[Side, frozenset[str]] = {
    Side.CLIENT: _BOTH | {"work_view.requested", "deliverable.accepted", "deliverable.changes_requested"},
    Side.FREELANCER: _BOTH | {"comment", "work_view.accepted", "work_view.declined", "deliverable", "status_report"},
    Side.MEDIATOR: frozenset(),
}
NEEDS_TERMS = frozenset(
    {"deliverable", "status_report", "delay", "milestone.proposed"}
)  # the work has not begun before


WRITTEN_BY_PEOPLE = frozenset[str]().union(*MAY_WRITE.values())  # what counts as unread


def refusal_of_state(state: RoomState, kind: str) -> str | None:
    """Return why a workroom in `state` takes no entry of `kind` from a person, or None."""
    if state is RoomState.CLOSED:
        return "This workroom is closed. It can be read, but nothing can be added."
    if state is RoomState.NEGOTIATING and kind in NEEDS_TERMS:
        return "Agree on terms first: one side proposes them, the other accepts."
    return None


def may_read(side: Side) -> bool:
    """Whether a member of `side` may read the record now."""
    return side.value in READING_SIDES


def may_write(side: Side, kind: str) -> bool:
    """Whether a member of `side` may append an entry of `kind`."""
    return kind in MAY_WRITE[side]


def checked_title(title: str) -> str:
    """Return a title without surrounding space.

    Raises:
        Malformed: if nothing is left, or it is too long.
    """
    cleaned = " ".join(title.split())
    if not 1 <= len(cleaned) <= TITLE_CHARS_MAX:
        raise Malformed(f"A title has 1 to {TITLE_CHARS_MAX} characters.", field="title")
    return cleaned


def checked_time_zone(name: str) -> str:
    """Return the name of a time zone that this machine knows.

    Raises:
        Malformed: for any other name.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Malformed(f"`{name}` is no time zone. Use a name like Europe/Lisbon.", field="time_zone") from None
    return name
