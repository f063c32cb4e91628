"""Blocks and reports as services: what can be reported by whom, and what the operator's answer does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from app.domain.blocks import ReportState, ReportStep, Subject
from app.domain.errors import Conflict, Malformed, NotFound, TooMany
from app.domain.jobs import DAILY_MAX, Limited
from app.services import accounts, blocks, job_invitations, jobs, operator, proposals
from app.services.access import Actor
from app.services.jobs import JobSearch
from app.services.proposals import NewProposal
from app.services.resources import Resources
from tests.services.test_jobs import FORM


@dataclass(frozen=True)
class Square:
    """A job with one proposal, its people, a stranger and the operator."""

    resources: Resources
    dana: Actor
    ana: Actor
    tom: Actor
    olga: Actor
    job: str
    proposal: str

    async def answer(self, report: str, step: ReportStep, word: str = "As you say.") -> None:
        await blocks.answer_report(self.resources, self.olga, report, step, word)


@pytest.fixture
async def square(resources: Resources) -> Square:
    dana, ana, tom = [
        await accounts.create_account(resources, f"{name.lower()}@example.org", name) for name in ("Dana", "Ana", "Tom")
    ]
    olga = await accounts.create_account(resources, "olga@example.org", "Olga", operator=True)
    job = await jobs.post_job(resources, dana, jobs.offer_of(resources, FORM))
    typed = NewProposal(text="Send me money first.", amount="48", soon="week", version=1)
    return Square(resources, dana, ana, tom, olga, job, await proposals.send_proposal(resources, ana, job, typed))


async def test_one_reports_what_one_sees_and_nothing_else(square: Square) -> None:
    resources = square.resources
    await job_invitations.invite_to_job(resources, square.dana, square.job, square.tom.email)
    view = await jobs.job_view(resources, square.tom, square.job)
    assert view.invitation is not None
    room = await proposals.open_messages(resources, square.dana, square.proposal)
    assert room
    allowed = [
        (square.ana, Subject.JOB, square.job),
        (square.tom, Subject.JOB, square.job),
        (square.dana, Subject.PROPOSAL, square.proposal),
        (square.tom, Subject.INVITATION, view.invitation.id),
        (square.dana, Subject.ACCOUNT, square.ana.account),
        (square.ana, Subject.ACCOUNT, square.dana.account),
    ]
    for actor in (square.dana, square.ana, square.tom):
        for subject, subject_id in (
            (Subject.JOB, square.job),
            (Subject.PROPOSAL, square.proposal),
            (Subject.INVITATION, view.invitation.id),
            *((Subject.ACCOUNT, other.account) for other in (square.dana, square.ana, square.tom)),
            (Subject.JOB, "0" * 26),
            (Subject.JOB, "nonsense"),
        ):
            if (actor, subject, subject_id) in allowed:
                await blocks.report(resources, actor, subject, subject_id, "spam", "")
            else:
                with pytest.raises(NotFound):
                    await blocks.report(resources, actor, subject, subject_id, "spam", "")
    assert len(await blocks.open_reports(resources)) == len(allowed)
    assert await blocks.count_open_reports(resources) == len(allowed)


async def test_a_report_names_its_reason_and_waits_once(square: Square) -> None:
    resources, args = square.resources, (square.tom, Subject.JOB, square.job)
    for reason, text, field in (("", "", "reason"), ("other", " ", "text")):
        with pytest.raises(Malformed) as refusal:
            await blocks.report(resources, *args, reason, text)
        assert refusal.value.field == field
    first = await blocks.report(resources, *args, "fraud", "They ask for a deposit.")
    assert await blocks.report(resources, *args, "spam", "Again") == first
    [mine] = await blocks.my_reports(resources, square.tom)
    assert (mine.report.reason, mine.report.text, mine.report.state) == ("fraud", "They ask for a deposit.", "open")


async def test_reports_are_limited_per_day(square: Square, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DAILY_MAX, Limited.REPORTS, 1)
    await blocks.report(square.resources, square.dana, Subject.PROPOSAL, square.proposal, "spam", "")
    other = await jobs.post_job(square.resources, square.tom, jobs.offer_of(square.resources, FORM))
    with pytest.raises(TooMany, match="sent 1 reports today"):
        await blocks.report(square.resources, square.dana, Subject.JOB, other, "spam", "")


async def test_a_hidden_job_is_seen_by_its_client_and_the_operator_until_it_is_shown_again(square: Square) -> None:
    resources = square.resources
    first = await blocks.report(resources, square.tom, Subject.JOB, square.job, "spam", "")
    second = await blocks.report(resources, square.ana, Subject.JOB, square.job, "fraud", "", block=True)
    await blocks.unblock_account(resources, square.ana, square.dana.account)
    with pytest.raises(Malformed) as refusal:
        await square.answer(first, ReportStep.HIDE, " ")
    assert refusal.value.field == "answer"
    await square.answer(first, ReportStep.HIDE, "This asks for money.")
    for actor, sees in ((square.dana, True), (square.ana, False), (square.tom, False), (square.olga, True)):
        if sees:
            view = await jobs.job_view(resources, actor, square.job)
            assert view.job.hidden_reason == "This asks for money."
        else:
            with pytest.raises(NotFound):
                await jobs.job_view(resources, actor, square.job)
    with pytest.raises(Conflict, match="operator has hidden"):
        await proposals.open_messages(resources, square.dana, square.proposal)
    with pytest.raises(Conflict, match="operator has hidden"):
        await job_invitations.invite_to_job(resources, square.dana, square.job, "ben@example.org")
    assert await blocks.open_reports(resources) == []
    answered = {each.row.report.id: each.row.report for each in await blocks.open_reports(resources, None)}
    assert {answered[first].state, answered[second].state} == {"hidden"}
    with pytest.raises(Conflict, match="hidden already"):
        await square.answer(first, ReportStep.HIDE)
    await square.answer(second, ReportStep.DISMISS, "A misunderstanding.")
    assert (await jobs.job_view(resources, square.tom, square.job)).job.hidden_at is None
    [mine] = await blocks.my_reports(resources, square.tom)
    assert (mine.report.state, mine.report.answer) == ("dismissed", "A misunderstanding.")
    with pytest.raises(Conflict, match="dismissed already"):
        await square.answer(first, ReportStep.DISMISS)


async def test_a_hidden_proposal_is_gone_for_the_client(square: Square) -> None:
    resources = square.resources
    report = await blocks.report(resources, square.dana, Subject.PROPOSAL, square.proposal, "fraud", "Money first")
    [shown] = await blocks.open_reports(resources)
    assert shown.about is not None and (shown.about.text, shown.about.job) == ("Send me money first.", square.job)
    await square.answer(report, ReportStep.HIDE)
    assert (await proposals.proposals_for(resources, square.dana, square.job)).proposals == []
    with pytest.raises(NotFound):
        await proposals.open_messages(resources, square.dana, square.proposal)
    view = await jobs.job_view(resources, square.ana, square.job)
    assert view.mine is not None and view.mine.hidden_reason == "As you say."


async def test_a_hidden_invitation_invites_no_more(square: Square) -> None:
    resources = square.resources
    job = await jobs.post_job(resources, square.dana, jobs.offer_of(resources, {**FORM, "visible_to": "invited"}))
    await job_invitations.invite_to_job(resources, square.dana, job, square.tom.email)
    view = await jobs.job_view(resources, square.tom, job)
    assert view.invitation is not None
    report = await blocks.report(resources, square.tom, Subject.INVITATION, view.invitation.id, "spam", "")
    await square.answer(report, ReportStep.HIDE)
    with pytest.raises(NotFound):
        await jobs.job_view(resources, square.tom, job)
    assert (await jobs.find_jobs(resources, square.tom, JobSearch(view="invited"))).jobs == []


async def test_an_account_is_not_hidden_but_the_report_about_it_is_answered(square: Square) -> None:
    resources = square.resources
    await proposals.open_messages(resources, square.dana, square.proposal)
    report = await blocks.report(resources, square.dana, Subject.ACCOUNT, square.ana.account, "offensive", "Words")
    with pytest.raises(Malformed, match="cannot be hidden"):
        await square.answer(report, ReportStep.HIDE)
    await square.answer(report, ReportStep.DISMISS, "")
    assert await blocks.open_reports(resources) == []


async def test_only_an_operator_answers(square: Square) -> None:
    report = await blocks.report(square.resources, square.tom, Subject.JOB, square.job, "spam", "")
    for actor in (square.dana, square.ana, square.tom):
        with pytest.raises(NotFound):
            await blocks.answer_report(square.resources, actor, report, ReportStep.DISMISS)
    with pytest.raises(NotFound):
        await square.answer("nonsense", ReportStep.DISMISS)


async def test_of_two_answers_of_operators_exactly_one_counts(square: Square) -> None:
    report = await blocks.report(square.resources, square.tom, Subject.JOB, square.job, "spam", "")
    done = await asyncio.gather(*(square.answer(report, ReportStep.DISMISS) for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Conflict", "NoneType"]


async def test_the_operator_sees_a_job_only_once_it_was_reported(square: Square) -> None:
    job = await jobs.post_job(
        square.resources, square.dana, jobs.offer_of(square.resources, {**FORM, "visible_to": "invited"})
    )
    await job_invitations.invite_to_job(square.resources, square.dana, job, square.tom.email)
    with pytest.raises(NotFound):
        await jobs.job_view(square.resources, square.olga, job)
    await blocks.report(square.resources, square.tom, Subject.JOB, job, "spam", "")
    assert (await jobs.job_view(square.resources, square.olga, job)).job.id == job


async def test_the_command_line_lists_and_answers_reports(square: Square) -> None:
    resources = square.resources
    assert await operator.run(resources, "report list", {}) == ["No report waits."]
    report = await blocks.report(resources, square.tom, Subject.JOB, square.job, "fraud", "A deposit")
    told = "\n".join(await operator.run(resources, "report list", {}))
    assert report in told and "fraud" in told and "Harbour booking site" in told and "A deposit" in told
    lines = await operator.run(resources, "report hide", {"report": report, "answer": "Fraud"})
    assert lines[-1].endswith(square.job)
    with pytest.raises(NotFound):
        await jobs.job_view(resources, square.ana, square.job)
    await operator.run(resources, "report dismiss", {"report": report, "answer": ""})
    assert (await jobs.job_view(resources, square.ana, square.job)).job.hidden_at is None
    told = "\n".join(await operator.run(resources, "report list", {"all": True}))
    assert "dismissed" in told
    assert await blocks.open_reports(resources, ReportState.OPEN) == []


async def test_nobody_blocks_oneself_or_nobody(square: Square) -> None:
    with pytest.raises(Malformed):
        await blocks.block_account(square.resources, square.dana, square.dana.account)
    for account in ("nonsense", "0" * 26):
        with pytest.raises(NotFound):
            await blocks.block_account(square.resources, square.dana, account)
    await blocks.block_account(square.resources, square.dana, square.ana.account)
    await blocks.block_account(square.resources, square.dana, square.ana.account)
    assert [row.name for row in await blocks.blocks_of(square.resources, square.dana)] == ["Ana"]
