"""Invitations to a job: mailed, taken by one account, and not sent to the same address twice a day."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.domain.errors import Conflict, LinkSpent
from app.domain.timerange import DAY_MS
from app.services import job_invitations, jobs
from app.storage.tables import mails
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
