"""Pairing: a tracker gets its token by a short code that its owner types in the browser (RFC 8628 in shape).

Rule 1: the tracker holds the device code, the person types the user code; neither alone gives a token.
Rule 2: a pairing waits 10 minutes; its token is given out once.
Rule 3: starts are counted per address, guesses per account.
"""

from __future__ import annotations

import re

import msgspec

from app.domain.accounts import NAME_CHARS_MAX
from app.domain.errors import NotFound, PairingDenied, PairingExpired, PairingPending, TooMany
from app.domain.timerange import MINUTE_MS
from app.services.access import Actor
from app.services.accounts import TOKEN_PREFIXES, insert_token
from app.services.links import digest_of, new_secret
from app.services.resources import Resources
from app.storage import accounts as rows
from app.storage.accounts import LinkRow
from app.storage.writer import Tx

PAIRING_MS = 10 * MINUTE_MS
INTERVAL_SECONDS = 2  # between two polls; RFC 8628 proposes 5, but a person is waiting
PAIRINGS_MAX = 1_000  # that wait at once: bounds what strangers can store
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, so no words
_DIGITS = "0123456789"
_CODE = re.compile(r"([A-Z]{4})-?([0-9]{4})")


class Pairing(msgspec.Struct, frozen=True):
    """What the tracker is told at the start: it shows `user_code` and the address, and polls with `device_code`."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    interval: int
    expires_in: int


class Paired(msgspec.Struct, frozen=True):
    """The device token, given out once."""

    token: str
    token_type: str
    account: str
    name: str


async def start(resources: Resources, device: str, address: str) -> Pairing:
    """Begin to pair a tracker on the computer called `device`.

    Raises:
        TooMany: if this address started too many, or too many wait.
    """
    now = resources.clock.real_now()
    key = f"pairing {address}"
    resources.throttle.check(key, now)
    resources.throttle.count(key, now)
    secret = new_secret(resources)
    label = " ".join(device.split())[:NAME_CHARS_MAX] or "Tracker"

    async def insert(tx: Tx) -> str:
        if await rows.count_pairings(tx.conn, now) >= PAIRINGS_MAX:
            raise TooMany("Too many trackers are being paired. Try again in a few minutes.", retry_after_seconds=60)
        code = _user_code(resources.random_bytes(8))
        while await rows.select_pairing(tx.conn, code, now) is not None:
            code = _user_code(resources.random_bytes(8))
        link = LinkRow(
            token_hash=digest_of(secret),
            purpose="pairing",
            account=None,
            room=None,
            side=None,
            invited_by=None,
            label=label,
            code=code,
            created_at=now,
            expires_at=now + PAIRING_MS,
            used_at=None,
        )
        await rows.insert_link(tx.conn, link)
        return code

    code = await resources.database.writer.run(insert)
    page = f"{resources.settings.base_url}/pair"
    return Pairing(secret, code, page, f"{page}?code={code}", INTERVAL_SECONDS, PAIRING_MS // 1000)


async def waiting_device(resources: Resources, actor: Actor, typed: str) -> str:
    """Return the name of the device that waits for this code.

    Raises:
        NotFound: if none does.
        TooMany: after too many wrong codes.
    """
    return (await _waiting(resources, actor, typed)).label or ""


async def answer(resources: Resources, actor: Actor, typed: str, *, confirmed: bool) -> str:
    """Give the waiting device to the actor's account, or refuse it; return the device's name.

    Raises:
        NotFound: if no device waits for this code.
        TooMany: after too many wrong codes.
    """
    link = await _waiting(resources, actor, typed)
    now = resources.clock.real_now()

    async def update(tx: Tx) -> bool:
        if confirmed:
            return await rows.update_pairing_account(tx.conn, link.token_hash, actor.account)
        return await rows.update_link_used(tx.conn, link.token_hash, now)

    if not await resources.database.writer.run(update):
        raise NotFound(_NO_DEVICE, field="code")
    return link.label or ""


async def fetch(resources: Resources, device_code: str) -> Paired:
    """Give the tracker its token, once its owner has confirmed.

    Raises:
        PairingPending: not yet.
        PairingDenied: the owner said no.
        PairingExpired: the pairing is over.
    """
    now = resources.clock.real_now()
    digest = digest_of(device_code)
    async with resources.database.read() as conn:
        link = await rows.select_link(conn, digest, "pairing")
        account = await rows.select_account(conn, link.account) if link is not None and link.account else None
    if link is None or link.expires_at <= now:
        raise PairingExpired()
    if account is None:
        raise PairingPending() if link.used_at is None else PairingDenied()
    secret = new_secret(resources, TOKEN_PREFIXES["device"])

    async def take(tx: Tx) -> None:
        if not await rows.update_link_used(tx.conn, digest, now):
            raise PairingExpired()
        await insert_token(tx, resources, account.id, "device", link.label or "Tracker", secret)

    await resources.database.writer.run(take)
    return Paired(secret, "Bearer", account.id, account.name)


_NO_DEVICE = "No device waits for this code. Look at the tracker: a code is good for 10 minutes."


async def _waiting(resources: Resources, actor: Actor, typed: str) -> LinkRow:
    now = resources.clock.real_now()
    key = f"code {actor.account}"
    resources.throttle.check(key, now)
    match = _CODE.fullmatch("".join(typed.split()).upper())
    link = None
    if match is not None:
        async with resources.database.read() as conn:
            link = await rows.select_pairing(conn, f"{match[1]}-{match[2]}", now)
    if link is None:
        resources.throttle.count(key, now)
        raise NotFound(_NO_DEVICE, field="code")
    return link


def _user_code(random: bytes) -> str:
    """Return a code like `BCDF-1234`: 1.6 billion of them, of which a guesser gets ten."""
    letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in random[:4])
    return f"{letters}-{''.join(_DIGITS[byte % len(_DIGITS)] for byte in random[4:])}"
