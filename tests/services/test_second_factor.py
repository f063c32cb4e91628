"""The second factor, as a service on both databases; codes are computed here as an app computes them (RFC 6238)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import b32decode

import pytest
from sqlalchemy import select

from app.domain.accounts import FACTOR_WAIT_MS
from app.domain.errors import Conflict, NotSignedIn, SecondFactorRequired, TooMany, WrongCode
from app.services import accounts, recovery, second_factor
from app.services.access import Actor
from app.services.accounts import Client, SignedIn
from app.services.clock import ManualClock, PacedClock
from app.services.resources import Resources
from app.storage.tables import recovery_codes, second_factors
from tests.builders import build_account
from tests.letters import letter_to, token_of

HERE = Client("192.0.2.1", "Firefox")
PASSWORD = "correct horse"
STEP_MS = 30_000


def code_at(secret: str, instant: int) -> str:
    """Return the code of an app: RFC 4226 section 5.3 over the steps of RFC 6238."""
    digest = hmac.digest(b32decode(secret), (instant // STEP_MS).to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


async def set_up(resources: Resources, actor: Actor, clock: ManualClock) -> tuple[str, list[str], SignedIn]:
    """Switch a second factor on; return the app's secret, the recovery codes and the session that did it."""
    signed = await accounts.sign_in(resources, actor.email, PASSWORD, HERE)
    await second_factor.begin(resources, actor)
    set_up = (await second_factor.factor_of(resources, actor)).set_up
    assert set_up is not None and set_up.secret in set_up.uri
    codes = await second_factor.confirm(resources, signed.credential, code_at(set_up.secret, clock.now))
    clock.now += STEP_MS
    return set_up.secret, codes, signed


def test_codes_are_those_of_the_rfc() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B
    assert [code_at(secret, seconds * 1000) for seconds in (59, 1111111109, 2000000000)] == [
        "287082",
        "081804",
        "279037",
    ]
    assert second_factor._step_of(b32decode(secret), "081804", 1111111109_000) == 1111111109 // 30


async def test_a_session_opens_with_the_code_and_not_before(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, _, _ = await set_up(resources, ana, clock)
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    assert signed.awaits_factor
    with pytest.raises(NotSignedIn):
        await accounts.credential_of_session(resources, signed.token)
    assert signed.credential.id not in {row.id for row in await accounts.sessions_of(resources, ana)}
    with pytest.raises(WrongCode):
        await second_factor.open_waiting(resources, signed.token, "000000")
    await second_factor.open_waiting(resources, signed.token, code_at(secret, clock.now))
    assert await accounts.actor_of_session(resources, signed.token) == ana


async def test_a_code_works_once(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, _, _ = await set_up(resources, ana, clock)
    code = code_at(secret, clock.now)
    waiting = [await accounts.sign_in(resources, ana.email, PASSWORD, HERE) for _ in range(4)]
    tries = [second_factor.open_waiting(resources, signed.token, code) for signed in waiting]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Credential"] + ["WrongCode"] * 3


async def test_a_code_is_good_one_step_around_and_no_more(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, _, _ = await set_up(resources, ana, clock)
    clock.now += 10 * STEP_MS
    for steps, right in ((-2, False), (2, False), (-1, True), (1, True)):
        signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
        code = code_at(secret, clock.now + steps * STEP_MS)
        if right:
            await second_factor.open_waiting(resources, signed.token, f" {code[:3]} {code[3:]} ")
        else:
            with pytest.raises(WrongCode):
                await second_factor.open_waiting(resources, signed.token, code)


async def test_codes_cannot_be_guessed_for_long(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, _, _ = await set_up(resources, ana, clock)
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    for number in range(resources.settings.sign_in_attempts_max):
        with pytest.raises(WrongCode):
            await second_factor.open_waiting(resources, signed.token, f"not-{number}")
    with pytest.raises(TooMany):
        await second_factor.open_waiting(resources, signed.token, code_at(secret, clock.now))


async def test_each_recovery_code_works_once(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    _, codes, _ = await set_up(resources, ana, clock)
    assert len(set(codes)) == 10
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    await second_factor.open_waiting(resources, signed.token, codes[3].upper().replace("-", " "))
    assert (await second_factor.factor_of(resources, ana)).codes_left == 9
    again = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    with pytest.raises(WrongCode):
        await second_factor.open_waiting(resources, again.token, codes[3])


async def test_a_waiting_session_waits_ten_minutes(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, _, _ = await set_up(resources, ana, clock)
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    clock.now += FACTOR_WAIT_MS
    with pytest.raises(NotSignedIn):
        await second_factor.open_waiting(resources, signed.token, code_at(secret, clock.now))


async def test_links_and_recovery_ask_for_it_too(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    await set_up(resources, ana, clock)
    link = (await accounts.new_link(resources, ana)).rpartition("/")[2]
    assert (await accounts.sign_in_with_link(resources, link, HERE)).awaits_factor
    await recovery.ask_recovery(resources, ana.email, HERE)
    token = token_of(await letter_to(resources, ana.email, "Set a new password"))
    assert (await recovery.recover(resources, token, "a new long one", HERE)).awaits_factor


async def test_switching_it_on_ends_the_sessions_that_began_without_it(
    resources: Resources, clock: ManualClock
) -> None:
    ana = await build_account(resources, "Ana Novak")
    older = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    _, _, here = await set_up(resources, ana, clock)
    await accounts.actor_of_session(resources, here.token)
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(resources, older.token)
    await letter_to(resources, ana.email, "Your second factor is on")
    with pytest.raises(Conflict):
        await second_factor.begin(resources, ana)


async def test_a_wrong_first_code_switches_nothing_on(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    with pytest.raises(WrongCode):
        await second_factor.confirm(resources, signed.credential, "123456")
    await second_factor.begin(resources, ana)
    with pytest.raises(WrongCode):
        await second_factor.confirm(resources, signed.credential, "abcdef")
    assert not (await accounts.sign_in(resources, ana.email, PASSWORD, HERE)).awaits_factor


async def test_it_is_switched_off_and_its_codes_renewed_by_a_code(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, codes, _ = await set_up(resources, ana, clock)
    with pytest.raises(WrongCode):
        await second_factor.switch_off(resources, ana, "000000")
    renewed = await second_factor.new_recovery_codes(resources, ana, code_at(secret, clock.now))
    assert not set(renewed) & set(codes)
    with pytest.raises(WrongCode):
        await second_factor.switch_off(resources, ana, codes[0])
    await second_factor.switch_off(resources, ana, renewed[0])
    assert not (await accounts.sign_in(resources, ana.email, PASSWORD, HERE)).awaits_factor


async def test_the_operator_takes_a_lost_one_away_and_its_owner_is_told(
    resources: Resources, clock: ManualClock
) -> None:
    ana = await build_account(resources, "Ana Novak")
    _, _, here = await set_up(resources, ana, clock)
    await second_factor.remove_lost(resources, ana.email)
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(resources, here.token)
    assert not (await accounts.sign_in(resources, ana.email, PASSWORD, HERE)).awaits_factor
    await letter_to(resources, ana.email, "Your second factor is off")
    with pytest.raises(Conflict):
        await second_factor.remove_lost(resources, ana.email)


async def test_neither_secret_nor_codes_are_stored_as_they_are(resources: Resources, clock: ManualClock) -> None:
    ana = await build_account(resources, "Ana Novak")
    secret, codes, _ = await set_up(resources, ana, clock)
    async with resources.database.read() as conn:
        [factor] = (await conn.execute(select(second_factors))).all()
        stored = (await conn.execute(select(recovery_codes.c.code_hash))).scalars().all()
    assert b32decode(secret) not in factor.secret
    assert all(code.replace("-", "").encode() not in digest for code in codes for digest in stored)


async def test_an_operator_without_it_reaches_nothing_but_in_the_demo(resources: Resources, clock: ManualClock) -> None:
    await accounts.create_account(resources, "olga@example.org", "Olga", PASSWORD, operator=True)
    signed = await accounts.sign_in(resources, "olga@example.org", PASSWORD, HERE)
    with pytest.raises(SecondFactorRequired):
        await accounts.credential_of_session(resources, signed.token)
    resources.clock = PacedClock(clock.now, clock.now, 60)
    resources.throttle.forget("account olga@example.org")
    in_demo = await accounts.sign_in(resources, "olga@example.org", PASSWORD, HERE)
    assert (await accounts.credential_of_session(resources, in_demo.token)).lacks_factor
