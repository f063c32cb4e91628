"""Identifiers: how ids look, and how random bytes become one. Pure: callers pass the random bytes."""

from __future__ import annotations

import re
import uuid

from app.domain.errors import Malformed

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: no i, l, o, u

ROOM_ID_PATTERN = r"[0-9a-z]{26}"
_ROOM_ID = re.compile(ROOM_ID_PATTERN)


def id_from_bytes(random: bytes) -> str:
    """Return 26 characters of `[0-9a-z]` for 16 random bytes: the id of a room or an account."""
    if len(random) != 16:
        raise ValueError("an id is made of 16 bytes")
    number = int.from_bytes(random, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_room_id(text: str) -> bool:
    """Whether `text` could be the id of a room."""
    return _ROOM_ID.fullmatch(text) is not None


def checked_uuid(text: str, field: str) -> str:
    """Return `text` as a lower-case UUID with hyphens.

    Raises:
        Malformed: naming `field`, if it is none.
    """
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError):
        raise Malformed(f"`{field}` must be a UUID.", field=field) from None
