"""Mails about proposals: to whom, about what, how often, and to whom none."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import AddressUnconfirmed
from app.domain.notices import Reason
from app.domain.timerange import HOUR_MS, MINUTE_MS
from app.domain.workrooms import Side
from app.services import accounts, addresses, blocks, digests, invitations, jobs, notices, proposals, workrooms
from app.services.access import Actor
from app.services.accounts import Client
from app.services.proposals import NewProposal
from app.storage.mail import MailRow
from app.storage.notices import select_settings
from app.views.digests import digest_writer
from tests.letters import letter_to, letters_to, link_of, token_of
from tests.services.test_jobs import Town, town

__all__ = ["town"]  # the fixture


async def _letters(town: Town, actor: Actor) -> list[MailRow]:
    return await letters_to(town.resources, actor.email)


async def test_the_first_proposal_is_mailed_at_once_and_names_who_proposes(town: Town) -> None:
    job = await town.job()
    await town.proposal(job, text="Nobody mails this.")
    [letter] = await _letters(town, town.dana)
    assert letter.subject == "Ana Novak proposes for “Harbour booking site”"
    assert "for 48.00 EUR an hour" in letter.text and "Nobody mails this" not in letter.text
    assert link_of(letter).endswith(f"/jobs/{job}/proposals")
    assert letter.unsubscribe is not None and town.dana.account in letter.unsubscribe
    assert letter.next_try_at == town.clock.real_now() and await _letters(town, town.ana) == []


async def test_proposals_for_one_job_share_one_mail_an_hour(town: Town) -> None:
    job, other = await town.job(), await town.job(title="Another")
    people = [
        await accounts.create_account(town.resources, f"p{n}@example.org", f"Person {n}", "a long enough one")
        for n in range(5)
    ]
    start = town.clock.real_now()
    await town.proposal(job)
    town.clock.now += 20 * MINUTE_MS
    await asyncio.gather(*(town.proposal(job, who) for who in people[:3]))
    first, second = await _letters(town, town.dana)
    assert (first.next_try_at, second.next_try_at) == (start, start + HOUR_MS)
    assert second.subject == "New proposals for “Harbour booking site”"
    await town.proposal(other)  # each job has its own hour
    assert len(await _letters(town, town.dana)) == 3
    town.clock.now = start + HOUR_MS
    await town.proposal(job, people[3])
    town.clock.now = start + 2 * HOUR_MS
    await town.proposal(job, people[4])
    times = [row.next_try_at for row in await _letters(town, town.dana) if "Harbour" in row.subject]
    assert times == [start + n * HOUR_MS for n in range(4)]


async def test_a_proposal_sent_twice_is_told_once(town: Town) -> None:
    job = await town.job()
    await town.proposal(job)
    await town.proposal(job)
    assert len(await _letters(town, town.dana)) == 1


async def test_who_was_declined_hears_it_with_the_clients_word(town: Town) -> None:
    job = await town.job()
    sent = await town.proposal(job)
    await proposals.decline_proposal(town.resources, town.dana, sent, "We found somebody nearby.")
    [letter] = await _letters(town, town.ana)
    assert letter.subject == "Your proposal for “Harbour booking site” was declined"
    assert "Dana Keller wrote: We found somebody nearby." in letter.text
    assert link_of(letter).endswith(f"/jobs/{job}")


async def test_who_is_let_into_the_messages_has_a_notice_and_one_mail(town: Town) -> None:
    sent = await town.proposal(await town.job())
    room = await proposals.open_messages(town.resources, town.dana, sent)
    assert await proposals.open_messages(town.resources, town.dana, sent) == room
    [letter] = await _letters(town, town.ana)
    assert letter.subject == "Dana Keller opened the messages with you: Harbour booking site"
    assert link_of(letter).endswith(f"/rooms/{room}")
    [notice] = await notices.my_notices(town.resources, town.ana)
    assert (notice.row.reason, notice.row.room, notice.row.seq) == (Reason.ANSWERED, room, 0)
    assert await notices.my_notices(town.resources, town.dana) == []
    town.clock.now += 25 * HOUR_MS
    await digests.send_due(town.resources, digest_writer(town.resources.settings))
    assert len(await _letters(town, town.ana)) == 1


async def test_who_wants_nothing_at_once_has_the_notice_and_no_mail(town: Town) -> None:
    for actor in (town.dana, town.ana):
        await notices.choose(town.resources, actor, at_once=False, digest="daily", hour="8", zone="UTC")
    job = await town.job()
    sent = await town.proposal(job)
    await proposals.open_messages(town.resources, town.dana, sent)
    assert await _letters(town, town.dana) == [] == await _letters(town, town.ana)
    town.clock.now += 25 * HOUR_MS
    assert await digests.send_due(town.resources, digest_writer(town.resources.settings)) == 1
    [letter] = await _letters(town, town.ana)
    assert letter.purpose == "digest" and "Harbour booking site opened" in letter.text


async def test_one_click_in_such_a_mail_ends_them(town: Town) -> None:
    await town.proposal(await town.job())
    [letter] = await _letters(town, town.dana)
    assert letter.unsubscribe is not None
    await notices.unsubscribe(town.resources, letter.unsubscribe.rpartition("/")[2])
    await town.proposal(await town.job(title="Another"))
    assert len(await _letters(town, town.dana)) == 1
    async with town.resources.database.read() as conn:
        settings = await select_settings(conn, town.dana.account)
    assert settings is not None and not settings.at_once


@pytest.mark.parametrize("blocker", ["dana", "ana"])
async def test_nothing_is_mailed_across_a_block(town: Town, blocker: str) -> None:
    one, other = (town.dana, town.ana) if blocker == "dana" else (town.ana, town.dana)
    job = await town.job()
    sent = await town.proposal(job)
    before = len(await _letters(town, town.dana))
    await blocks.block_account(town.resources, one, other.account)
    answers = await asyncio.gather(
        proposals.decline_proposal(town.resources, town.dana, sent),
        proposals.open_messages(town.resources, town.dana, sent),
        proposals.send_proposal(town.resources, town.ana, job, NewProposal("x", "48", "week", 1)),
        return_exceptions=True,
    )
    assert all(isinstance(answer, Exception) for answer in answers)
    assert len(await _letters(town, town.dana)) == before and await _letters(town, town.ana) == []


async def test_an_address_that_was_not_verified_is_mailed_nothing_about_jobs(town: Town) -> None:
    room = await workrooms.open_room(town.resources, town.tom.account, None, "A logo")
    link = await invitations.invite(town.resources, town.tom, room, Side.FREELANCER)
    signed, _ = await invitations.sign_up_with_invitation(
        town.resources, link.rpartition("/")[2], "Eve", "eve@example.org", "a long enough one", Client("192.0.2.1")
    )
    eve = signed.credential.actor
    job = await town.job()
    with pytest.raises(AddressUnconfirmed):
        await town.proposal(job, eve)
    assert [row.subject for row in await _letters(town, eve)] == ["Confirm your address"]
    await addresses.confirm_address(
        town.resources, token_of(await letter_to(town.resources, eve.email, "Confirm your address"))
    )
    again = await jobs.post_job(town.resources, town.dana, town.offer(title="Another"))
    await proposals.open_messages(town.resources, town.dana, await town.proposal(again, eve))
    assert len(await _letters(town, eve)) == 2
