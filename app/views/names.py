"""Names of members as pages show them."""

from __future__ import annotations

from functools import lru_cache

from app.domain.accounts import initials
from app.domain.workrooms import SYSTEM, RoomInfo
from app.views.rendering import hue


@lru_cache(maxsize=16384)
def person(name: str, by: str) -> tuple[str, str, int]:
    """Return first name, initials and colour of a member."""
    return name.split(" ")[0], initials(name), hue(by)


def name_of(room: RoomInfo, by: str) -> str:
    """Return the name behind a pseudonym, as `member.joined` committed it."""
    member = room.members.get(by)
    if member is not None:
        return member.name
    return "Workroom" if by == SYSTEM else by


def first_name(room: RoomInfo, by: str) -> str:
    """Return the first word of a member's name."""
    return name_of(room, by).split(" ")[0]
