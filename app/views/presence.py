"""Who is here, who types, who has read how far: html that pages include and the socket sends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup

from app.domain.workrooms import Member, RoomInfo
from app.views.names import first_name
from app.views.rendering import macro


def who_html(room: RoomInfo, here: Sequence[str]) -> Markup:
    """Return the members as a row of avatars; `here` are the pseudonyms with an open page."""
    return _who(tuple(room.members.values()), tuple(here))


@lru_cache(maxsize=8192)
def _who(people: tuple[Member, ...], here: tuple[str, ...]) -> Markup:
    return macro("_people.html", "who")(people, here)


def typing_html(room: RoomInfo, by: str) -> Markup:
    """Return the notice that a member is typing; the page takes it away after some seconds."""
    return macro("_people.html", "typing")(by, first_name(room, by))


def seen_html(room: RoomInfo, by: str, seq: int) -> Markup:
    """Return the mark that a member has read up to `seq`."""
    return macro("_people.html", "seen")(room.id, by, first_name(room, by), seq)


def proof_html(room: str, size: int, note: str) -> Markup:
    """Return what the last signed checkpoint says."""
    return macro("_people.html", "proof")(room, size, note)


def last_html(said: str, at: int | None, zone: str, *, restricted: bool = False) -> Markup:
    """Return the last words in a room, for lists of rooms."""
    return macro("_people.html", "last")(said, at, zone, restricted)
