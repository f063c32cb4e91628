"""Passwords: hashed, verified, and not to be guessed.

Rule 1: argon2id (RFC 9106), in a thread; an account without password takes as long as a wrong password.
Rule 2: every attempt counts, under each of its keys, until it succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.domain.accounts import PASSWORD_CHARS_MAX, checked_password
from app.domain.errors import WorkroomError
from app.services.resources import Resources

_hasher = PasswordHasher()  # RFC 9106's second recommendation: 64 MiB, 3 passes, 4 lanes; about 60 ms
_NO_PASSWORD = _hasher.hash("no account has this one")  # verified for unknown addresses (rule 1)


async def hash_password(password: str) -> str:
    """Return what is stored of a password that may be set; Malformed if it may not."""
    return await asyncio.to_thread(_hasher.hash, checked_password(password))


async def try_password(
    resources: Resources, keys: Sequence[str], hashed: str | None, password: str, refusal: WorkroomError
) -> None:
    """Verify a password, counting failures under `keys`, of which the last is the account; `refusal` if it is wrong."""
    count_attempt(resources, keys)
    if len(password) > PASSWORD_CHARS_MAX or not await asyncio.to_thread(_verified, hashed, password):
        raise refusal
    forget_attempt(resources, keys)


def count_attempt(resources: Resources, keys: Sequence[str]) -> None:
    """Count an attempt before it is made, so that parallel ones count too; TooMany if one of the keys had enough."""
    now = resources.clock.real_now()
    for key in keys:
        resources.throttle.check(key, now)
    for key in keys:
        resources.throttle.count(key, now)


def forget_attempt(resources: Resources, keys: Sequence[str]) -> None:
    """Take back the count of an attempt that succeeded, and what failed before it under the last key."""
    *others, own = keys
    resources.throttle.forget(own)
    for key in others:  # an attacker with an account of their own does not clear the address by it
        resources.throttle.uncount(key)


def _verified(hashed: str | None, password: str) -> bool:
    try:
        return _hasher.verify(hashed or _NO_PASSWORD, password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False
