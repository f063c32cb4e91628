"""Invitations to a job: mailed, taken by one account, and not sent to the same address twice a day."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.domain.blocks import Subject
from app.domain.errors import Conflict, LinkSpent, NotFound
from app.domain.timerange import DAY_MS
from app.domain.workrooms import Side
from app.services import addresses, blocks, invitations, job_invitations, jobs, workrooms
from app.services.access import Actor
from app.services.accounts import Client
from app.storage.tables import mails
from tests.letters import letter_to, token_of
from tests.services.test_jobs import Town, town

__all__ = ["town"]  # the fixture


async def test_an_invitation_is_mailed_with_a_link_that_one_account_takes(town: Town) -> None:
    job = await town.job(visible_to="invited")
    sent = await job_invitations.invite_to_job(town.resources, town.dana, job, "somebody@example.org")
    async with town.resources.database.read() as conn:
        [row] = (await conn.execute(select(mails))).all()
    assert row.to == "somebody@example.org" and sent.link in row.button and "Dana Keller invites you" in row.subject
    token = sent.link.rpartition("/")[2]
    assert (await job_invitations.job_invitation(town.resources, token, None)).job.id == job
    assert await job_invitations.take_job_invitation(town.resources, town.tom, token) == job
    assert await job_invitations.take_job_invitation(town.resources, town.tom, token) == job
    assert [await town.sees(actor, job) for actor in (town.ana, town.tom)] == [False, True]
    with pytest.raises(LinkSpent):
        await job_invitations.take_job_invitation(town.resources, town.ana, token)
    with pytest.raises(LinkSpent):
        await job_invitations.job_invitation(town.resources, "nonsense", None)


async def test_an_address_is_invited_once_a_day(town: Town) -> None:
    job = await town.job()
    first = await job_invitations.invite_to_job(town.resources, town.dana, job, "ben@example.org")
    with pytest.raises(Conflict, match="tomorrow"):
        await job_invitations.invite_to_job(town.resources, town.dana, job, "ben@example.org")
    town.clock.now += DAY_MS
    second = await job_invitations.invite_to_job(town.resources, town.dana, job, "ben@example.org")
    assert first.link != second.link
    assert len((await jobs.job_view(town.resources, town.dana, job)).invitations) == 1


async def _signed_up_by_a_room(town: Town, email: str) -> Actor:
    """Let somebody begin an account by an invitation into a workroom, under whatever address they type."""
    room = await workrooms.open_room(town.resources, town.tom.account, None, "A logo")
    link = await invitations.invite(town.resources, town.tom, room, Side.FREELANCER)
    signed, _ = await invitations.sign_up_with_invitation(
        town.resources, link.rpartition("/")[2], "Eve", email, "a long enough one", Client("192.0.2.1")
    )
    return signed.credential.actor


async def test_an_address_that_was_only_typed_shows_nothing_until_it_is_verified(town: Town) -> None:
    job = await town.job(visible_to="invited")
    await job_invitations.invite_to_job(town.resources, town.dana, job, "eve@example.org")
    eve = await _signed_up_by_a_room(town, "eve@example.org")
    assert not await town.sees(eve, job)
    waiting = await jobs.waiting_for(town.resources, eve)
    assert (waiting.invited, waiting.to_verify) == ([], "eve@example.org")
    [row] = (await jobs.job_view(town.resources, town.dana, job)).invitations
    with pytest.raises(NotFound):
        await blocks.reportable(town.resources, eve, Subject.INVITATION, row.id)
    await addresses.confirm_address(
        town.resources, token_of(await letter_to(town.resources, eve.email, "Confirm your address"))
    )
    assert await town.sees(eve, job)
    waiting = await jobs.waiting_for(town.resources, eve)
    assert ([found.job.id for found in waiting.invited], waiting.to_verify) == ([job], None)
    assert (await blocks.reportable(town.resources, eve, Subject.INVITATION, row.id)).account == town.dana.account


async def test_nobody_is_asked_to_verify_an_address_for_which_nothing_waits(town: Town) -> None:
    eve = await _signed_up_by_a_room(town, "eve@example.org")
    assert (await jobs.waiting_for(town.resources, eve)).to_verify is None
    open_to_all = await town.job()
    sent = await job_invitations.invite_to_job(town.resources, town.dana, open_to_all, "eve@example.org")
    view = await jobs.job_view(town.resources, eve, open_to_all)
    assert (view.is_invited, view.invitation) == (False, None)
    assert (await jobs.waiting_for(town.resources, eve)).to_verify == "eve@example.org"
    await blocks.block_account(town.resources, town.dana, eve.account)
    assert (await jobs.waiting_for(town.resources, eve)).to_verify is None
    await blocks.unblock_account(town.resources, town.dana, eve.account)
    await job_invitations.take_job_invitation(town.resources, eve, sent.link.rpartition("/")[2])
    assert (await jobs.job_view(town.resources, eve, open_to_all)).is_invited
    assert (await jobs.waiting_for(town.resources, eve)).to_verify is None
    await jobs.close_job(town.resources, town.dana, open_to_all)
    assert (await jobs.waiting_for(town.resources, eve)).to_verify is None


async def test_the_operator_vouches_for_the_address_of_an_account_that_they_make(town: Town) -> None:
    job = await town.job(visible_to="invited")
    await job_invitations.invite_to_job(town.resources, town.dana, job, town.ana.email)
    assert (await town.sees(town.ana, job), await town.sees(town.tom, job)) == (True, False)
    assert (await jobs.waiting_for(town.resources, town.ana)).to_verify is None
