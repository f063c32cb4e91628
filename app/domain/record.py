"""The record's formats: entry, leaf, disclosure, and the canonical JSON they are made of.

Rule 1: what is hashed is stored as those bytes; nobody re-encodes to verify.
Rule 2: the leaf holds nothing that could be guessed or would leak after an erasure; the body does, behind a salt.
Rule 3: the profile of canonical JSON (RFC 8785): keys `[a-z0-9_]`, no floats, integers within ±(2^53 − 1), no lone
surrogates. Within it RFC 8785 is what the standard library writes with sorted keys and no spaces.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import msgspec

from app.domain.errors import InvalidBody, ProofError, TooLarge
from app.domain.timerange import instant_text

LEAF_BYTES_MAX = 1024
BODY_BYTES_MAX = 64 * 1024
SALT_BYTES = 32
_INTEGER_MAX = 2**53 - 1
_KEY = re.compile(r"[a-z0-9_]+")
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

Body = dict[str, Any]


class Entry(msgspec.Struct, frozen=True):
    """One entry as the product sees it. `at` is Unix milliseconds; `body` is None once erased by entry `erased`."""

    room: str
    seq: int
    kind: str
    by: str
    at: int
    body: Body | None
    ref: int | None = None
    cid: str | None = None
    erased: int | None = None


class Draft(msgspec.Struct, frozen=True):
    """An entry before the writer gives it seq and time. `at`, where given, is a lower bound for its time."""

    room: str
    kind: str
    by: str
    body: Body
    ref: int | None = None
    cid: str | None = None


def base64url(data: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_bytes(text: str) -> bytes:
    """Return the bytes of unpadded base64url.

    Raises:
        ProofError: if it is none.
    """
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ProofError("This is not base64url.") from None


def check_profile(value: Any, field: str = "body") -> None:
    """Check that `value` has one canonical JSON form.

    Raises:
        InvalidBody: naming the field that has not.
    """
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
            raise InvalidBody(f"`{field}` is outside ±(2^53 − 1).", field=field)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise InvalidBody(f"`{field}` has a key outside [a-z0-9_].", field=field)
            check_profile(inner, f"{field}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            check_profile(inner, f"{field}[{index}]")
    else:
        raise InvalidBody(f"`{field}` is of a type that the record does not hold.", field=field)


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value within the profile.

    Raises:
        InvalidBody: for a lone surrogate, which has no UTF-8 form.
    """
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        raise InvalidBody("The text holds half a character (a lone surrogate). Remove it.") from None


def disclosure_bytes(room: str, seq: int, salt: bytes, body: Body) -> bytes:
    """Return `[base64url(salt), "<room>/<seq>", body]`, whose digest the leaf commits to."""
    return canonical([base64url(salt), f"{room}/{seq}", body])


def commitment(disclosure: bytes) -> str:
    """Return what a leaf carries for these disclosure bytes."""
    return base64url(sha256(disclosure).digest())


def leaf_bytes(draft: Draft, seq: int, at: int, commit: str) -> bytes:
    """Return the canonical leaf of an entry.

    Raises:
        TooLarge: over 1 KiB.
    """
    leaf: dict[str, Any] = {
        "at": instant_text(at),
        "by": draft.by,
        "commit": commit,
        "kind": draft.kind,
        "room": draft.room,
        "seq": seq,
        "v": 1,
    }
    if draft.ref is not None:
        leaf["ref"] = draft.ref
    if draft.cid is not None:
        leaf["cid"] = draft.cid
    encoded = canonical(leaf)
    if len(encoded) > LEAF_BYTES_MAX:
        raise TooLarge("An entry's fixed part may have 1 KiB; shorten its id.")
    return encoded
