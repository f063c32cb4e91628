"""Sign-up with a verified address, recovery by mail, change of address, as services on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.domain.accounts import LINKS_MAILED_MAX, RECOVERY_MS, SIGN_UP_MS
from app.domain.errors import (
    AccountExists,
    AddressUnconfirmed,
    LinkSpent,
    Malformed,
    NotFound,
    NotSignedIn,
    PairingExpired,
    SignUpClosed,
    TooMany,
    WrongPassword,
)
from app.domain.live import AccessRevoked
from app.domain.workrooms import Side
from app.services import (
    accounts,
    addresses,
    invitations,
    jobs,
    pairing,
    proposals,
    record,
    recovery,
    second_factor,
    workrooms,
)
from app.services.access import Actor
from app.services.accounts import Client
from app.services.clock import ManualClock
from app.services.proposals import NewProposal
from app.services.resources import Resources
from tests.builders import build_account
from tests.letters import letter_to, letters_to, token_of
from tests.published import Published
from tests.services.test_jobs import FORM
from tests.services.test_second_factor import code_at

ANA = "ana@example.org"
PASSWORD = "a long enough one"
HERE = Client("192.0.2.1", "Firefox")
FINISH, HAS_ONE = "Finish signing up", "You have an account already"
RECOVER, CONFIRM = "Set a new password", "Confirm your address"


async def asked(resources: Resources, email: str = ANA) -> str:
    await addresses.ask_sign_up(resources, email, HERE)
    return token_of(await letter_to(resources, email, FINISH))


async def test_an_account_begins_when_the_mailed_link_is_used(resources: Resources) -> None:
    token = await asked(resources, " Ana@Example.org ".strip().lower())
    with pytest.raises(NotFound):
        await accounts.account_of_email(resources, ANA)
    assert await addresses.signing_up(resources, token) == ANA
    signed = await addresses.sign_up(resources, token, "Ana Novak", PASSWORD, HERE)
    actor = await accounts.actor_of_session(resources, signed.token)
    assert (actor.email, actor.name) == (ANA, "Ana Novak")
    assert (await accounts.own_account(resources, actor)).verified_at is not None
    with pytest.raises(LinkSpent):
        await addresses.sign_up(resources, token, "Eve", PASSWORD, HERE)


async def test_a_known_address_is_answered_alike_and_told_by_mail(resources: Resources) -> None:
    await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    await addresses.ask_sign_up(resources, ANA, HERE)
    [letter] = await letters_to(resources, ANA)
    assert letter.subject == HAS_ONE and "/sign-up/" not in (letter.button or "") + letter.text


async def test_a_sign_up_link_ends_after_a_day(resources: Resources, clock: ManualClock) -> None:
    token = await asked(resources)
    clock.now += SIGN_UP_MS
    with pytest.raises(LinkSpent):
        await addresses.sign_up(resources, token, "Ana", PASSWORD, HERE)


async def test_a_refused_sign_up_does_not_spend_the_link(resources: Resources) -> None:
    token = await asked(resources)
    for name, password, field in (("Ana", "short", "password"), (" ", PASSWORD, "name")):
        with pytest.raises(Malformed) as refusal:
            await addresses.sign_up(resources, token, name, password, HERE)
        assert refusal.value.field == field
    await addresses.sign_up(resources, token, "Ana", PASSWORD, HERE)


async def test_two_links_to_one_address_make_one_account(resources: Resources) -> None:
    tokens = [await asked(resources), await asked(resources)]
    tries = [addresses.sign_up(resources, token, "Ana", PASSWORD, HERE) for token in [*tokens, *tokens]]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds.count(accounts.SignedIn) == 1 and set(kinds) <= {accounts.SignedIn, LinkSpent, AccountExists}


async def test_nobodys_mailbox_is_flooded(resources: Resources) -> None:
    for number in range(LINKS_MAILED_MAX + 3):
        await addresses.ask_sign_up(resources, ANA, Client(f"192.0.2.{number}"))
    assert len(await letters_to(resources, ANA)) == LINKS_MAILED_MAX


async def test_asking_is_throttled_by_where_one_asks_from(resources: Resources) -> None:
    for number in range(resources.settings.sign_in_attempts_max):
        await addresses.ask_sign_up(resources, f"a{number}@example.org", HERE)
    with pytest.raises(TooMany):
        await addresses.ask_sign_up(resources, "another@example.org", HERE)


async def test_sign_up_can_be_closed(resources: Resources) -> None:
    object.__setattr__(resources.settings, "open_sign_up", False)
    with pytest.raises(SignUpClosed):
        await addresses.ask_sign_up(resources, ANA, HERE)


async def test_recovery_sets_a_new_password_once_and_ends_all_sessions(
    resources: Resources, published: Published
) -> None:
    ana = await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    old = await accounts.sign_in(resources, ANA, PASSWORD, HERE)
    await recovery.ask_recovery(resources, ANA, HERE)
    token = token_of(await letter_to(resources, ANA, RECOVER))
    assert await recovery.recovering(resources, token) == ANA
    with pytest.raises(Malformed):
        await recovery.recover(resources, token, "short", HERE)
    signed = await recovery.recover(resources, token, "a new long one", HERE)
    assert await accounts.actor_of_session(resources, signed.token) == ana
    assert [event.credential for event in published.of(AccessRevoked)] == [old.credential.id]
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(resources, old.token)
    with pytest.raises(WrongPassword):
        await accounts.sign_in(resources, ANA, PASSWORD, HERE)
    with pytest.raises(LinkSpent):
        await recovery.recover(resources, token, "another long one", HERE)
    await letter_to(resources, ANA, "Your password was changed")


async def test_recovery_keeps_other_sessions_where_one_says_so(resources: Resources) -> None:
    await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    old = await accounts.sign_in(resources, ANA, PASSWORD, HERE)
    await recovery.ask_recovery(resources, ANA, HERE)
    token = token_of(await letter_to(resources, ANA, RECOVER))
    await recovery.recover(resources, token, "a new long one", HERE, keep=True)
    await accounts.actor_of_session(resources, old.token)


async def test_recovery_ends_tokens_and_trackers_even_one_that_is_being_paired(
    resources: Resources, published: Published
) -> None:
    ana = await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    tokens = {purpose: await accounts.new_token(resources, ana, purpose, "Eve") for purpose in ("api", "device")}
    held = {row.id for row in await accounts.tokens_of(resources, ana)}
    started = await pairing.start(resources, "Eve's laptop", "192.0.2.9")
    await pairing.answer(resources, ana, started.user_code, confirmed=True)
    await recovery.ask_recovery(resources, ANA, HERE)
    token = token_of(await letter_to(resources, ANA, RECOVER))
    await recovery.recover(resources, token, "a new long one", HERE, keep=True)
    assert {event.credential for event in published.of(AccessRevoked)} == held
    for purpose, secret in tokens.items():
        with pytest.raises(NotSignedIn):
            await accounts.actor_of_token(resources, secret, purpose)
    with pytest.raises(PairingExpired):
        await pairing.fetch(resources, started.device_code)
    assert "tokens and trackers" in (await letter_to(resources, ANA, "Your password was changed")).text


async def newcomer(resources: Resources) -> tuple[Actor, str, str]:
    """Somebody signs up with Ana's address by an invitation; return them, their session and the workroom."""
    dana = await build_account(resources, "Dana Keller")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    link = await invitations.invite(resources, dana, room, Side.FREELANCER)
    signed, _ = await invitations.sign_up_with_invitation(
        resources, link.rpartition("/")[2], "Ana", ANA, PASSWORD, HERE
    )
    assert (await accounts.credential_of_session(resources, signed.token)).unconfirmed
    return signed.credential.actor, signed.token, room


async def test_an_address_that_is_not_confirmed_opens_its_workroom_and_no_more(resources: Resources) -> None:
    ana, _, room = await newcomer(resources)
    await record.append(resources, ana, room, "message", {"text": "Hello"})
    await accounts.new_token(resources, ana, "device", "Laptop")
    dana = await accounts.account_of_email(resources, "dana.keller@example.org")
    offer = jobs.offer_of(resources, FORM)
    job = await jobs.post_job(resources, dana, offer)
    other = await workrooms.open_room(resources, dana.account, None, "Another")
    second = (await invitations.invite(resources, dana, other, Side.FREELANCER)).rpartition("/")[2]
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: accounts.new_token(resources, ana, "api", "Script"),
        lambda: jobs.post_job(resources, ana, offer),
        lambda: proposals.send_proposal(resources, ana, job, NewProposal("Me", "40", "now", 1)),
        lambda: proposals.start_room(
            resources, ana, jobs.new_id(resources), "Mine", Side.CLIENT, time_zone="UTC", work_view=False
        ),
        lambda: invitations.accept_invitation(resources, ana, second),
    ]
    for attempt in attempts:
        with pytest.raises(AddressUnconfirmed):
            await attempt()
    await addresses.confirm_address(resources, token_of(await letter_to(resources, ANA, CONFIRM)))
    for attempt in attempts:
        await attempt()


async def test_the_first_proof_of_an_address_by_recovery_ends_all_that_was_there_before(resources: Resources) -> None:
    eve, session, _ = await newcomer(resources)
    tracker = await accounts.new_token(resources, eve, "device", "Eve")
    await second_factor.begin(resources, eve)
    set_up = (await second_factor.factor_of(resources, eve)).set_up
    assert set_up is not None
    code = code_at(set_up.secret, resources.clock.real_now())
    await second_factor.confirm(resources, await accounts.credential_of_session(resources, session), code)
    await recovery.ask_recovery(resources, ANA, HERE)
    token = token_of(await letter_to(resources, ANA, RECOVER))
    assert not await recovery.can_keep(resources, token)
    signed = await recovery.recover(resources, token, "a new long one", HERE, keep=True)
    assert not signed.awaits_factor
    assert not (await accounts.credential_of_session(resources, signed.token)).unconfirmed
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(resources, session)
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_token(resources, tracker, "device")
    with pytest.raises(LinkSpent):
        await addresses.confirm_address(resources, token_of(await letter_to(resources, ANA, CONFIRM)))


async def test_recovery_of_an_unknown_address_mails_nothing_and_says_nothing(resources: Resources) -> None:
    await recovery.ask_recovery(resources, ANA, HERE)
    assert await letters_to(resources, ANA) == []


async def test_a_recovery_link_ends_after_an_hour_and_with_a_new_password(
    resources: Resources, clock: ManualClock
) -> None:
    ana = await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    await recovery.ask_recovery(resources, ANA, HERE)
    first = token_of(await letter_to(resources, ANA, RECOVER))
    await recovery.set_password(resources, ana, "a new long one", PASSWORD)
    with pytest.raises(LinkSpent):
        await recovery.recover(resources, first, "another long one", HERE)
    clock.now += 1
    await recovery.ask_recovery(resources, ANA, HERE)
    second = token_of(await letter_to(resources, ANA, RECOVER))
    clock.now += RECOVERY_MS
    with pytest.raises(LinkSpent):
        await recovery.recover(resources, second, "another long one", HERE)


async def test_an_address_changes_when_the_new_one_is_verified_and_the_old_one_is_told(resources: Resources) -> None:
    ana = await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    with pytest.raises(WrongPassword):
        await addresses.change_address(resources, ana, "new@example.org", "wrong")
    await addresses.change_address(resources, ana, "new@example.org", PASSWORD)
    assert (await accounts.own_account(resources, ana)).email == ANA
    token = token_of(await letter_to(resources, "new@example.org", CONFIRM))
    assert await addresses.confirm_address(resources, token) == "new@example.org"
    account = await accounts.own_account(resources, ana)
    assert account.email == "new@example.org" and account.verified_at is not None
    told = await letter_to(resources, ANA, "Your address was changed")
    assert "n…@example.org" in told.text and "new@example.org" not in told.text
    with pytest.raises(LinkSpent):
        await addresses.confirm_address(resources, token)


async def test_an_address_that_another_account_took_is_not_taken_twice(resources: Resources) -> None:
    ana = await accounts.create_account(resources, ANA, "Ana", PASSWORD)
    await addresses.change_address(resources, ana, "new@example.org", PASSWORD)
    token = token_of(await letter_to(resources, "new@example.org", CONFIRM))
    await accounts.create_account(resources, "new@example.org", "Ben", PASSWORD)
    with pytest.raises(AccountExists):
        await addresses.confirm_address(resources, token)
    await addresses.change_address(resources, ana, "new@example.org", PASSWORD)
    await letter_to(resources, "new@example.org", HAS_ONE)


async def test_who_joins_by_an_invitation_is_asked_to_confirm_the_address(resources: Resources) -> None:
    dana = await build_account(resources, "Dana Keller")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    link = await invitations.invite(resources, dana, room, Side.FREELANCER)
    signed, _ = await invitations.sign_up_with_invitation(
        resources, link.rpartition("/")[2], "Ana", ANA, PASSWORD, HERE
    )
    actor = signed.credential.actor
    assert (await accounts.own_account(resources, actor)).verified_at is None
    await addresses.confirm_again(resources, actor)
    assert len(await letters_to(resources, ANA)) == 2
    await addresses.confirm_address(resources, token_of((await letters_to(resources, ANA))[0]))
    assert (await accounts.own_account(resources, actor)).verified_at is not None


async def test_a_new_name_does_not_change_the_name_in_a_record(resources: Resources) -> None:
    dana = await build_account(resources, "Dana Keller")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    await addresses.change_name(resources, dana, " Dana  Weber ")
    assert (await accounts.own_account(resources, dana)).name == "Dana Weber"
    [summary] = await workrooms.my_rooms(resources, dana)
    assert (summary.info.id, summary.member.name) == (room, "Dana Keller")
