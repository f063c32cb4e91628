"""Accounts, sessions, links, invitations and pairing, as services."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from app.domain.accounts import INVITATION_MS, SESSION_MS, SIGN_IN_LINK_MS
from app.domain.errors import (
    AccountExists,
    Conflict,
    Forbidden,
    LinkSpent,
    Malformed,
    NotFound,
    NotSignedIn,
    PairingDenied,
    PairingExpired,
    PairingPending,
    TooMany,
    WrongPassword,
)
from app.domain.live import AccessRevoked
from app.domain.workrooms import Side
from app.services import accounts, invitations, pairing, recovery, workrooms
from app.services.access import Actor
from app.services.accounts import Client
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.services.throttle import SIGN_IN_WINDOW_MS
from app.storage import accounts as account_rows
from app.storage.tables import links, sessions, tokens
from tests.letters import letter_to
from tests.published import Published

RESET = "Your account was reset"
PASSWORD = "a long enough one"
HERE = Client("192.0.2.1", "Firefox")


@dataclass(frozen=True)
class House:
    """Resources on a fresh database, their clock, and what they published."""

    resources: Resources
    clock: ManualClock
    published: Published

    def revoked(self) -> list[str]:
        return [event.credential for event in self.published.of(AccessRevoked)]


@pytest.fixture
def house(resources: Resources, clock: ManualClock, published: Published) -> House:
    return House(resources, clock, published)


async def client_and_room(house: House) -> tuple[Actor, str]:
    client = await accounts.create_account(house.resources, "client@example.org", "Cleo Client")
    return client, await workrooms.open_room(house.resources, client.account, None, "A logo")


def secret_of(address: str) -> str:
    return address.rpartition("/")[2]


async def test_a_password_signs_in_and_the_session_names_the_account(house: House) -> None:
    made = await accounts.create_account(house.resources, " Ana@Example.org ", "Ana  Silva", PASSWORD)
    signed = await accounts.sign_in(house.resources, "ana@example.ORG", PASSWORD, HERE)
    assert await accounts.actor_of_session(house.resources, signed.token) == made
    assert (made.email, made.name, made.operator) == ("ana@example.org", "Ana Silva", False)


async def test_a_wrong_password_and_an_unknown_address_look_alike(house: House) -> None:
    await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    with pytest.raises(WrongPassword) as wrong:
        await accounts.sign_in(house.resources, "ana@example.org", "not this one", HERE)
    with pytest.raises(WrongPassword) as unknown:
        await accounts.sign_in(house.resources, "nobody@example.org", PASSWORD, HERE)
    assert str(wrong.value) == str(unknown.value)


async def test_an_account_without_a_password_cannot_be_entered_by_one(house: House) -> None:
    await accounts.create_account(house.resources, "ana@example.org", "Ana")
    for tried in ("", "no account has this one"):
        with pytest.raises(WrongPassword):
            await accounts.sign_in(house.resources, "ana@example.org", tried, HERE)


async def test_an_address_has_one_account(house: House) -> None:
    await accounts.create_account(house.resources, "ana@example.org", "Ana")
    with pytest.raises(AccountExists):
        await accounts.create_account(house.resources, "ANA@example.org", "Another")


@pytest.mark.parametrize(
    ("email", "name", "password", "field"),
    [("no address", "Ana", PASSWORD, "email"), ("a@b.c", " ", PASSWORD, "name"), ("a@b.c", "Ana", "short", "password")],
)
async def test_a_wrong_field_is_named(house: House, email: str, name: str, password: str, field: str) -> None:
    with pytest.raises(Malformed) as refusal:
        await accounts.create_account(house.resources, email, name, password)
    assert refusal.value.field == field


async def test_neither_passwords_nor_tokens_are_stored_as_they_are(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    signed = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    api = await accounts.new_token(house.resources, actor, "api", "script")
    async with house.resources.database.read() as conn:
        stored = [*(await conn.execute(select(sessions))).all(), *(await conn.execute(select(tokens))).all()]
        row = await account_rows.select_account(conn, actor.account)
    assert row is not None and row.password_hash is not None and row.password_hash.startswith("$argon2id$")
    assert all(signed.token not in str(line) and api not in str(line) for line in stored)


async def test_sign_in_is_throttled_per_account_even_from_many_addresses(house: House) -> None:
    await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    for number in range(house.resources.settings.sign_in_attempts_max):
        with pytest.raises(WrongPassword):
            await accounts.sign_in(house.resources, "ana@example.org", "wrong", Client(f"192.0.2.{number}"))
    with pytest.raises(TooMany) as refusal:
        await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, Client("198.51.100.9"))
    assert refusal.value.retry_after_seconds == SIGN_IN_WINDOW_MS // 1000
    house.clock.now += SIGN_IN_WINDOW_MS
    await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, Client("198.51.100.9"))


async def test_sign_in_is_throttled_per_address_and_ones_own_success_does_not_clear_it(house: House) -> None:
    await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    for number in range(house.resources.settings.sign_in_attempts_max):
        with pytest.raises(WrongPassword):
            await accounts.sign_in(house.resources, f"guess{number}@example.org", "wrong", HERE)
        if number == 4:
            await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    with pytest.raises(TooMany):
        await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)


async def test_a_revoked_session_is_over_and_its_sockets_are_told(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    first = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    second = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    listed = await accounts.sessions_of(house.resources, actor)
    assert {row.id for row in listed} == {first.credential.id, second.credential.id}
    await accounts.revoke_session(house.resources, actor, first.credential.id)
    assert house.revoked() == [first.credential.id]
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(house.resources, first.token)
    await accounts.sign_out(house.resources, second.credential)
    assert await accounts.sessions_of(house.resources, actor) == []


async def test_nobody_revokes_the_sessions_and_tokens_of_others(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    other = await accounts.create_account(house.resources, "ben@example.org", "Ben")
    signed = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    await accounts.new_token(house.resources, actor, "api", "script")
    [token] = await accounts.tokens_of(house.resources, actor)
    with pytest.raises(NotFound):
        await accounts.revoke_session(house.resources, other, signed.credential.id)
    with pytest.raises(NotFound):
        await accounts.revoke_token(house.resources, other, token.id)
    assert house.revoked() == []


async def test_a_session_in_use_lives_on_and_an_unused_one_ends(house: House) -> None:
    await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    used = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    unused = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    house.clock.now += SESSION_MS - 1
    await accounts.actor_of_session(house.resources, used.token)
    house.clock.now += 1
    await accounts.actor_of_session(house.resources, used.token)
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(house.resources, unused.token)


async def test_a_new_password_needs_the_present_one_and_ends_the_other_sessions(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    here = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    elsewhere = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    with pytest.raises(WrongPassword):
        await recovery.set_password(house.resources, actor, "another long one", "wrong", session=here.credential.id)
    await recovery.set_password(house.resources, actor, "another long one", PASSWORD, session=here.credential.id)
    assert house.revoked() == [elsewhere.credential.id]
    assert await accounts.actor_of_session(house.resources, here.token) == actor
    await accounts.sign_in(house.resources, "ana@example.org", "another long one", HERE)
    with pytest.raises(WrongPassword):
        await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)


@pytest.mark.parametrize("end_tokens", [True, False])
async def test_a_new_password_ends_tokens_and_trackers_unless_they_are_to_stay(house: House, end_tokens: bool) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    for purpose in ("api", "device"):
        await accounts.new_token(house.resources, actor, purpose, "Laptop")
    [asking, other] = await accounts.tokens_of(house.resources, actor)
    await recovery.set_password(
        house.resources, actor, "another long one", PASSWORD, session=asking.id, end_tokens=end_tokens
    )
    assert house.revoked() == ([other.id] if end_tokens else [])
    assert len(await accounts.tokens_of(house.resources, actor)) == (1 if end_tokens else 2)
    told = await letter_to(house.resources, actor.email, "Your password was changed")
    assert ("all its tokens and trackers" in told.text) is end_tokens


async def test_a_sign_in_link_works_once_and_not_for_ever(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana")
    link = secret_of(await accounts.new_link(house.resources, actor))
    assert await accounts.link_is_open(house.resources, link)
    signed = await accounts.sign_in_with_link(house.resources, link, HERE)
    assert signed.credential.actor == actor
    assert not await accounts.link_is_open(house.resources, link)
    late = secret_of(await accounts.new_link(house.resources, actor))
    house.clock.now += SIGN_IN_LINK_MS
    for token in (link, late, "nonsense", ""):
        with pytest.raises(LinkSpent):
            await accounts.sign_in_with_link(house.resources, token, HERE)


async def test_two_takers_of_one_link_do_not_both_get_in(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana")
    link = secret_of(await accounts.new_link(house.resources, actor))
    tries = [accounts.sign_in_with_link(house.resources, link, HERE) for _ in range(5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LinkSpent"] * 4 + ["SignedIn"]


async def test_a_reset_takes_password_sessions_and_older_links_away(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana", PASSWORD)
    signed = await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    older = secret_of(await accounts.new_link(house.resources, actor))
    token = await accounts.new_token(house.resources, actor, "device", "Laptop")
    [device] = await accounts.tokens_of(house.resources, actor)
    fresh = secret_of(await recovery.reset_account(house.resources, "ana@example.org"))
    assert house.revoked() == [signed.credential.id, device.id]
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_token(house.resources, token, "device")
    assert "tokens and trackers were ended" in (await letter_to(house.resources, actor.email, RESET)).text
    with pytest.raises(WrongPassword):
        await accounts.sign_in(house.resources, "ana@example.org", PASSWORD, HERE)
    with pytest.raises(LinkSpent):
        await accounts.sign_in_with_link(house.resources, older, HERE)
    await accounts.sign_in_with_link(house.resources, fresh, HERE)
    await recovery.set_password(house.resources, actor, "a new long one")


async def test_a_token_opens_only_what_it_was_made_for(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana")
    api = await accounts.new_token(house.resources, actor, "api", "script")
    device = await accounts.new_token(house.resources, actor, "device", "laptop")
    assert await accounts.actor_of_token(house.resources, api, "api") == actor
    assert await accounts.actor_of_token(house.resources, device, "device") == actor
    for token, purpose in ((api, "device"), (device, "api"), ("", "api"), (api + "x", "api")):
        with pytest.raises(NotSignedIn):
            await accounts.actor_of_token(house.resources, token, purpose)
    for row in await accounts.tokens_of(house.resources, actor):
        await accounts.revoke_token(house.resources, actor, row.id)
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_token(house.resources, api, "api")
    assert len(house.revoked()) == 2


async def test_a_newcomer_signs_up_by_an_invitation_and_is_in_the_workroom(house: House) -> None:
    client, room = await client_and_room(house)
    token = secret_of(await invitations.invite(house.resources, client, room, Side.FREELANCER))
    shown = await invitations.invitation(house.resources, token)
    assert (shown.room.title, shown.side, shown.invited_by) == ("A logo", Side.FREELANCER, "Cleo Client")
    signed, member = await invitations.sign_up_with_invitation(
        house.resources, token, "Fred Free", "fred@example.org", PASSWORD, HERE
    )
    assert (member.room, member.side, member.name) == (room, Side.FREELANCER, "Fred Free")
    assert (await accounts.actor_of_session(house.resources, signed.token)).email == "fred@example.org"
    with pytest.raises(LinkSpent):
        await invitations.sign_up_with_invitation(house.resources, token, "Eve", "eve@example.org", PASSWORD, HERE)
    with pytest.raises(NotFound):
        await accounts.account_of_email(house.resources, "eve@example.org")


async def test_an_account_joins_by_an_invitation_and_may_repeat_it(house: House) -> None:
    client, room = await client_and_room(house)
    fred = await accounts.create_account(house.resources, "fred@example.org", "Fred")
    eve = await accounts.create_account(house.resources, "eve@example.org", "Eve")
    token = secret_of(await invitations.invite(house.resources, client, room, Side.FREELANCER))
    with pytest.raises(Forbidden):
        await invitations.accept_invitation(house.resources, client, token)
    member = await invitations.accept_invitation(house.resources, fred, token)
    assert await invitations.accept_invitation(house.resources, fred, token) == member
    with pytest.raises(LinkSpent):
        await invitations.accept_invitation(house.resources, eve, token)


async def test_an_invitation_is_for_a_side_that_is_free_and_from_a_member(house: House) -> None:
    client, room = await client_and_room(house)
    stranger = await accounts.create_account(house.resources, "eve@example.org", "Eve")
    with pytest.raises(NotFound):
        await invitations.invite(house.resources, stranger, room, Side.FREELANCER)
    with pytest.raises(Conflict):
        await invitations.invite(house.resources, client, room, Side.CLIENT)
    token = secret_of(await invitations.invite(house.resources, client, room, Side.FREELANCER))
    house.clock.now += INVITATION_MS
    with pytest.raises(LinkSpent):
        await invitations.invitation(house.resources, token)


async def test_an_invitation_tells_of_few_addresses_whether_they_have_an_account(house: House) -> None:
    client, room = await client_and_room(house)
    token = secret_of(await invitations.invite(house.resources, client, room, Side.FREELANCER))
    for number in range(house.resources.settings.sign_in_attempts_max):
        elsewhere = Client(f"192.0.2.{number}", "Firefox")
        with pytest.raises(AccountExists):
            await invitations.sign_up_with_invitation(house.resources, token, "C", client.email, PASSWORD, elsewhere)
    for email in (client.email, "fred@example.org"):
        with pytest.raises(TooMany):
            await invitations.sign_up_with_invitation(house.resources, token, "Fred", email, PASSWORD, HERE)
    again = secret_of(await invitations.invite(house.resources, client, room, Side.FREELANCER))
    with pytest.raises(TooMany):
        await invitations.sign_up_with_invitation(house.resources, again, "C", client.email, PASSWORD, HERE)
    house.clock.now += SIGN_IN_WINDOW_MS
    await invitations.sign_up_with_invitation(house.resources, token, "Fred", "fred@example.org", PASSWORD, HERE)


async def test_a_refused_sign_up_does_not_spend_the_invitation(house: House) -> None:
    client, room = await client_and_room(house)
    token = secret_of(await invitations.invite(house.resources, client, room, Side.FREELANCER))
    with pytest.raises(AccountExists):
        await invitations.sign_up_with_invitation(house.resources, token, "C", client.email, PASSWORD, HERE)
    with pytest.raises(Malformed):
        await invitations.sign_up_with_invitation(house.resources, token, "Fred", "fred@example.org", "short", HERE)
    await invitations.sign_up_with_invitation(house.resources, token, "Fred", "fred@example.org", PASSWORD, HERE)


async def test_a_tracker_is_paired_by_the_code_that_its_owner_types(house: House) -> None:
    actor = await accounts.create_account(house.resources, "fred@example.org", "Fred")
    started = await pairing.start(house.resources, "Fred's laptop", "192.0.2.1")
    with pytest.raises(PairingPending):
        await pairing.fetch(house.resources, started.device_code)
    typed = started.user_code.replace("-", "").lower()
    assert await pairing.waiting_device(house.resources, actor, typed) == "Fred's laptop"
    await pairing.answer(house.resources, actor, typed, confirmed=True)
    paired = await pairing.fetch(house.resources, started.device_code)
    assert await accounts.actor_of_token(house.resources, paired.token, "device") == actor
    [device] = await accounts.tokens_of(house.resources, actor)
    assert (device.purpose, device.label) == ("device", "Fred's laptop")
    with pytest.raises(PairingExpired):
        await pairing.fetch(house.resources, started.device_code)


async def test_a_pairing_can_be_declined_and_ends_by_itself(house: House) -> None:
    actor = await accounts.create_account(house.resources, "fred@example.org", "Fred")
    declined = await pairing.start(house.resources, "a stranger's", "192.0.2.1")
    await pairing.answer(house.resources, actor, declined.user_code, confirmed=False)
    with pytest.raises(PairingDenied):
        await pairing.fetch(house.resources, declined.device_code)
    late = await pairing.start(house.resources, "laptop", "192.0.2.1")
    house.clock.now += pairing.PAIRING_MS
    with pytest.raises(PairingExpired):
        await pairing.fetch(house.resources, late.device_code)
    with pytest.raises(NotFound):
        await pairing.answer(house.resources, actor, late.user_code, confirmed=True)


async def test_codes_cannot_be_guessed_for_long(house: House) -> None:
    actor = await accounts.create_account(house.resources, "eve@example.org", "Eve")
    started = await pairing.start(house.resources, "laptop", "192.0.2.1")
    for number in range(house.resources.settings.sign_in_attempts_max):
        with pytest.raises(NotFound):
            await pairing.waiting_device(house.resources, actor, f"ZZZZ-{number:04d}")
    with pytest.raises(TooMany):
        await pairing.answer(house.resources, actor, started.user_code, confirmed=True)


async def test_links_that_nobody_can_use_any_more_are_dropped(house: House) -> None:
    actor = await accounts.create_account(house.resources, "ana@example.org", "Ana")
    await accounts.new_link(house.resources, actor)
    house.clock.now += SIGN_IN_LINK_MS + 1
    await accounts.new_link(house.resources, actor)
    async with house.resources.database.read() as conn:
        assert len((await conn.execute(select(links))).all()) == 1
