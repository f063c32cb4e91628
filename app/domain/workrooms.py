"""Workrooms: who stands in one, on which side, and what a side may do.

Rule 1: inside a room an account is a pseudonym (`p1`, `p2`); `sys` is the system.
Rule 2: `may` is a table; what is not in it is refused.
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

    def member_of(self, account: str) -> Member | None:
        """Return the membership of an account, if it has one."""
        return next((m for m in self.members.values() if m.account == account), None)

    def on_side(self, side: Side) -> list[Member]:
        """Return the members of a side, in the order in which they joined."""
        return [m for m in self.members.values() if m.side is side]


# Kinds that a person may write, by side. The system's kinds are in nobody's set.
MAY_WRITE: dict[Side, frozenset[str]] = {
    Side.CLIENT: frozenset({"message", "correction", "feedback"}),
    Side.FREELANCER: frozenset({"message", "correction", "feedback", "comment"}),
}


WRITTEN_BY_PEOPLE = frozenset[str]().union(*MAY_WRITE.values())  # what counts as unread


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
