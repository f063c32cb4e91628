"""The second factor: codes of an app (TOTP, RFC 6238), and ten recovery codes for the day it is lost (rule 8.1).

Rule 1: a code works once, and within a step of its time; attempts are counted per account.
Rule 2: the secret is encrypted with a key derived from the server's key file; recovery codes are hashed, shown once.
Rule 3: it is asked for after a password, a sign-in link and a recovery alike.
Rule 4: switching it off takes a code; who lost app and codes asks the operator.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from app.domain.accounts import SESSION_MS
from app.domain.errors import Conflict, NotSignedIn, WrongCode
from app.services import mail
from app.services.access import Actor
from app.services.accounts import Credential, account_of_email, actor_of, own_account, publish_revoked
from app.services.links import SECRET_CHARS_MAX, digest_of
from app.services.passwords import count_attempt, forget_attempt
from app.services.resources import Resources
from app.storage import accounts as account_rows
from app.storage import second_factors as rows
from app.storage.accounts import AccountRow
from app.storage.second_factors import FactorRow
from app.storage.writer import Tx

SECRET_BYTES = 20  # RFC 4226 section 4: 160 bits
STEP_SECONDS = 30
DIGITS = 6
STEPS_AROUND = 1  # a clock half a minute off, or a slow typist
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 bits: a hash of one, taken from a stolen database, cannot be turned back
_NONCE_BYTES = 12
_CODE_CHARS_MAX = 40

log = structlog.get_logger()


class SetUp(msgspec.Struct, frozen=True):
    """What an app is given: the secret to type, and the same as an address in the QR code."""

    secret: str
    uri: str


class Factor(msgspec.Struct, frozen=True):
    """How the second factor of an account stands. `set_up` while it was begun and not confirmed."""

    on_since: int | None
    codes_left: int
    set_up: SetUp | None


async def factor_of(resources: Resources, actor: Actor) -> Factor:
    """Return how one's second factor stands."""
    account = await own_account(resources, actor)
    async with resources.database.read() as conn:
        row = await rows.select_factor(conn, actor.account)
        left = await rows.count_recovery_codes(conn, actor.account)
    if account.factor_at is not None or row is None:
        return Factor(account.factor_at, left, None)
    return Factor(None, 0, _set_up(resources, account, _decrypted(resources, row)))


async def begin(resources: Resources, actor: Actor) -> None:
    """Draw a new secret; nothing is asked for before a code of it was confirmed.

    Raises:
        Conflict: if the second factor is on already.
    """
    account = await own_account(resources, actor)
    _check_off(account)
    secret, nonce = resources.random_bytes(SECRET_BYTES), resources.random_bytes(_NONCE_BYTES)
    encrypted = nonce + _cipher(resources).encrypt(nonce, secret, account.id.encode())
    row = FactorRow(account.id, encrypted, -1, resources.clock.real_now())

    async def insert(tx: Tx) -> None:
        present = await account_rows.select_account(tx.conn, account.id)
        assert present is not None, "accounts are not deleted"
        _check_off(present)
        await rows.insert_factor(tx.conn, row)

    await resources.database.writer.run(insert)


async def confirm(resources: Resources, credential: Credential, code: str) -> list[str]:
    """Switch the second factor on by a first code; return the recovery codes, which are shown once.

    All one's other sessions end: they were opened without it.

    Raises:
        Conflict: if it is on already, or was not begun.
        WrongCode: if the code is wrong.
        TooMany: after too many attempts.
    """
    account = await own_account(resources, credential.actor)
    _check_off(account)
    codes = _recovery_codes(resources)
    now = resources.clock.real_now()
    keys = [f"factor {account.id}"]
    count_attempt(resources, keys)

    async def work(tx: Tx) -> list[str]:
        if not await _take(tx, resources, account, code, recovery=False):
            raise WrongCode(field="code")
        await account_rows.update_account(tx.conn, account.id, factor_at=now)
        await rows.insert_recovery_codes(tx.conn, account.id, [digest_of(code) for code in codes])
        await _tell(tx, resources, account, "on")
        return await account_rows.delete_sessions_of(tx.conn, account.id, but=credential.id)

    publish_revoked(resources, await resources.database.writer.run(work))
    forget_attempt(resources, keys)
    await mail.hint(resources)
    return [_shown(code) for code in codes]


async def new_recovery_codes(resources: Resources, actor: Actor, code: str) -> list[str]:
    """Replace one's recovery codes; return the new ones, which are shown once.

    Raises:
        WrongCode: if the code is wrong.
        TooMany: after too many attempts.
    """
    account = await own_account(resources, actor)
    codes = _recovery_codes(resources)

    async def replace(tx: Tx) -> None:
        await rows.insert_recovery_codes(tx.conn, account.id, [digest_of(code) for code in codes])

    await _with_code(resources, account, code, replace)
    return [_shown(code) for code in codes]


async def switch_off(resources: Resources, actor: Actor, code: str) -> None:
    """Switch one's second factor off.

    Raises:
        WrongCode: if the code is wrong.
        TooMany: after too many attempts.
    """
    account = await own_account(resources, actor)

    async def off(tx: Tx) -> None:
        await account_rows.update_account(tx.conn, account.id, factor_at=None)
        await rows.delete_factor(tx.conn, account.id)
        await _tell(tx, resources, account, "off")

    await _with_code(resources, account, code, off)
    await mail.hint(resources)


async def remove_lost(resources: Resources, email: str) -> Actor:
    """For the operator: take a lost second factor away; all sessions of the account end.

    Raises:
        NotFound: if no account has this address.
        Conflict: if it has no second factor.
    """
    actor = await account_of_email(resources, email)
    account = await own_account(resources, actor)
    if account.factor_at is None:
        raise Conflict(f"{account.email} has no second factor.")

    async def off(tx: Tx) -> list[str]:
        await account_rows.update_account(tx.conn, account.id, factor_at=None)
        await rows.delete_factor(tx.conn, account.id)
        await _tell(tx, resources, account, "off")
        return await account_rows.delete_sessions_of(tx.conn, account.id)

    publish_revoked(resources, await resources.database.writer.run(off))
    await mail.hint(resources)
    return actor


async def waiting_session(resources: Resources, token: str) -> tuple[str, AccountRow]:
    """Return the session behind a cookie that waits for its code, with its account.

    Raises:
        NotSignedIn: if it does not wait, or waited too long.
    """
    found = None
    if token and len(token) <= SECRET_CHARS_MAX:
        async with resources.database.read() as conn:
            found = await account_rows.select_session(conn, digest_of(token), resources.clock.real_now())
    if found is None or not found[0].awaits_factor:
        raise NotSignedIn("Sign in again: ten minutes have passed since you typed your password.")
    return found[0].id, found[1]


async def open_waiting(resources: Resources, token: str, code: str) -> Credential:
    """Open a session that waits, by a code of the app or a recovery code.

    Raises:
        NotSignedIn: as `waiting_session` does.
        WrongCode: if the code is wrong.
        TooMany: after too many attempts.
    """
    session, account = await waiting_session(resources, token)
    now = resources.clock.real_now()

    async def open_it(tx: Tx) -> None:
        if not await account_rows.update_session_confirmed(tx.conn, session, now, now + SESSION_MS):
            raise NotSignedIn()

    await _with_code(resources, account, code, open_it)
    return Credential(session, actor_of(account))


# Parts


async def _with_code(
    resources: Resources, account: AccountRow, code: str, work: Callable[[Tx], Awaitable[None]]
) -> None:
    """Run a unit of work if the code is right, in one transaction with taking it."""
    keys = [f"factor {account.id}"]
    count_attempt(resources, keys)

    async def run(tx: Tx) -> None:
        if not await _take(tx, resources, account, code, recovery=True):
            raise WrongCode(field="code")
        await work(tx)

    await resources.database.writer.run(run)
    forget_attempt(resources, keys)


async def _take(tx: Tx, resources: Resources, account: AccountRow, typed: str, *, recovery: bool) -> bool:
    """Take a code; whether it is right and was not used before."""
    code = "".join(c for c in typed[:_CODE_CHARS_MAX].lower() if c.isalnum())
    now = resources.clock.real_now()
    if len(code) != DIGITS or not code.isdecimal():
        return recovery and await rows.update_recovery_code_used(tx.conn, account.id, digest_of(code), now)
    row = await rows.select_factor(tx.conn, account.id)
    if row is None:
        return False
    step = _step_of(_decrypted(resources, row), code, now)
    return step is not None and await rows.update_factor_step(tx.conn, account.id, step)


def _step_of(secret: bytes, code: str, now: int) -> int | None:
    """Return the step whose code this is, among those around now (RFC 6238 section 5.2)."""
    if not code.isascii():
        return None
    totp = TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # what every app computes
    present = now // 1000 // STEP_SECONDS
    for step in range(present - STEPS_AROUND, present + STEPS_AROUND + 1):
        try:
            totp.verify(code.encode(), step * STEP_SECONDS)
        except InvalidToken:
            continue
        return step
    return None


def _recovery_codes(resources: Resources) -> list[str]:
    return [b32encode(resources.random_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]


def _shown(code: str) -> str:
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def _cipher(resources: Resources) -> AESGCM:
    return AESGCM(resources.signer.derived_key("second factor"))


def _decrypted(resources: Resources, row: FactorRow) -> bytes:
    nonce, encrypted = row.secret[:_NONCE_BYTES], row.secret[_NONCE_BYTES:]
    try:
        return _cipher(resources).decrypt(nonce, encrypted, row.account.encode())
    except InvalidTag:  # the server was given another key file
        log.error("second factor cannot be read with this key; remove it", account=row.account)
        raise WrongCode("The server's key has changed. Its operator must remove this second factor.") from None


def _set_up(resources: Resources, account: AccountRow, secret: bytes) -> SetUp:
    """Return what an app scans or is told; the form is the one that apps have agreed on."""
    text = b32encode(secret).decode()
    issuer = f"Workroom {resources.signer.origin}"
    parameters = urlencode({"secret": text, "issuer": issuer}, quote_via=quote)
    return SetUp(text, f"otpauth://totp/{quote(f'{issuer}:{account.email}')}?{parameters}")


def _check_off(account: AccountRow) -> None:
    if account.factor_at is not None:
        raise Conflict("The second factor is on already. Switch it off first, to use another app.")


async def _tell(tx: Tx, resources: Resources, account: AccountRow, state: str) -> None:
    """Queue the mail that tells the owner of an account that its second factor is on or off."""
    await mail.queue_mail(
        tx,
        resources,
        account.email,
        f"Your second factor is {state}",
        f"Hello {account.name},\n\nthe second factor of your Workroom account was just switched {state}.\n\n"
        "If that was not you, set a new password now and look at your sessions.",
        purpose="security",
        button=("Look at the settings", f"{resources.settings.base_url}/settings"),
    )
