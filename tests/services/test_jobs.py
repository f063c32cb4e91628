"""Jobs, proposals and invitations as services: who sees what, what each step makes, and that each happens once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select

from app.domain.errors import Conflict, Forbidden, LinkSpent, Malformed, NotFound, TooMany, WorkroomError
from app.domain.jobs import DAILY_MAX, JobState, Limited, Offer, Pay, ProposalState, Visibility
from app.domain.record import Draft
from app.domain.timerange import DAY_MS
from app.domain.workrooms import Side
from app.services import accounts, blocks, job_invitations, jobs, proposals, record, workrooms
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.jobs import JobSearch
from app.services.proposals import NewProposal
from app.services.resources import Resources
from app.storage.tables import mails, rooms
from app.storage.writer import Tx
from tests.builders import build_account

FORM = {
    "title": "Harbour booking site",
    "description": "Booking of berths, *with* a calendar.",
    "pay": "hourly",
    "currency": "EUR",
    "low": "40",
    "high": "55.50",
    "weekly_hours": "20",
    "start_on": "",
    "time_zone": "Europe/Lisbon",
    "skills": "Python, web design, python",
    "work_view": "on",
    "visible_to": "everybody",
}


@dataclass(frozen=True)
class Town:
    """Resources, their clock, and people who have nothing to do with each other yet."""

    resources: Resources
    clock: ManualClock
    dana: Actor
    ana: Actor
    tom: Actor

    def offer(self, **changed: str) -> Offer:
        return jobs.offer_of(self.resources, {**FORM, **changed})

    async def job(self, **changed: str) -> str:
        return await jobs.post_job(self.resources, self.dana, self.offer(**changed))

    async def proposal(self, job: str, who: Actor | None = None, text: str = "I have built two of these.") -> str:
        actor = who or self.ana
        view = await jobs.job_view(self.resources, actor, job)
        typed = NewProposal(text=text, amount="48", soon="week", version=view.job.version)
        return await proposals.send_proposal(self.resources, actor, job, typed)

    async def sees(self, actor: Actor, job: str) -> bool:
        """Whether somebody sees a job: its page and the list must agree."""
        listed = await jobs.find_jobs(self.resources, actor, JobSearch())
        try:
            await jobs.job_view(self.resources, actor, job)
            shown = True
        except NotFound:
            shown = False
        assert shown == (job in [found.job.id for found in listed.jobs])
        return shown

    async def rooms(self) -> int:
        async with self.resources.database.read() as conn:
            return await conn.scalar(select(func.count()).select_from(rooms)) or 0


@pytest.fixture
async def town(resources: Resources, clock: ManualClock) -> Town:
    people = [
        await accounts.create_account(resources, f"{name.lower().replace(' ', '.')}@example.org", name)
        for name in ("Dana Keller", "Ana Novak", "Tom Ibarra")
    ]
    return Town(resources, clock, *people)


# Posting, editing, closing


async def test_a_posted_job_is_read_back_as_it_was_offered(town: Town) -> None:
    job = await town.job()
    view = await jobs.job_view(town.resources, town.ana, job)
    assert view.job.offer == town.offer()
    assert (str(view.job.offer.low), str(view.job.offer.high)) == ("40.00 EUR", "55.50 EUR")
    assert view.job.offer.skills == ("Python", "web design") or view.job.offer.skills == ("python", "web design")
    assert (view.job.client_name, view.is_client, view.job.state) == ("Dana Keller", False, JobState.OPEN)


async def test_a_form_that_is_sent_twice_posts_one_job(town: Town) -> None:
    made = jobs.new_id(town.resources)
    first, second = await asyncio.gather(
        *(jobs.post_job(town.resources, town.dana, town.offer(), made) for _ in range(2))
    )
    assert first == second == made
    assert len((await jobs.find_jobs(town.resources, town.dana, JobSearch(view="mine"))).jobs) == 1
    with pytest.raises(Conflict):
        await jobs.post_job(town.resources, town.ana, town.offer(), made)


async def test_a_proposal_keeps_the_version_that_it_answered(town: Town) -> None:
    job = await town.job()
    await town.proposal(job)
    town.clock.now += 60_000
    await jobs.edit_job(
        town.resources, town.dana, job, 1, town.offer(title="Harbour site, larger", low="60", high="70")
    )
    view = await jobs.job_view(town.resources, town.ana, job, version=1)
    assert view.mine is not None and view.mine.version == 1
    assert view.asked is not None and view.asked.title == "Harbour booking site"
    assert (view.job.version, view.job.offer.title) == (2, "Harbour site, larger")
    assert view.job.edited_at == town.clock.now
    with pytest.raises(NotFound):
        await jobs.job_view(town.resources, town.tom, job, version=1)  # what others answered is not for him


async def test_two_edits_of_one_version_are_one_and_the_other_is_told(town: Town) -> None:
    job = await town.job()
    done = await asyncio.gather(
        *(jobs.edit_job(town.resources, town.dana, job, 1, town.offer(title=title)) for title in ("One", "Two")),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "NoneType"]
    assert (await jobs.job_view(town.resources, town.dana, job)).job.version == 2


async def test_an_edit_that_changes_nothing_makes_no_version(town: Town) -> None:
    job = await town.job()
    await jobs.edit_job(town.resources, town.dana, job, 1, town.offer())
    view = await jobs.job_view(town.resources, town.dana, job)
    assert (view.job.version, view.job.edited_at) == (1, None)


async def test_a_proposal_for_a_version_that_was_edited_meanwhile_is_refused(town: Town) -> None:
    job = await town.job()
    await jobs.edit_job(town.resources, town.dana, job, 1, town.offer(low="50"))
    typed = NewProposal(text="I am quick.", amount="48", soon="now", version=1)
    with pytest.raises(Conflict, match="edited this job since you opened it"):
        await proposals.send_proposal(town.resources, town.ana, job, typed)


async def test_a_closed_job_takes_nothing_more(town: Town) -> None:
    job = await town.job()
    sent = await town.proposal(job)
    await jobs.close_job(town.resources, town.dana, job)
    for step in (
        jobs.close_job(town.resources, town.dana, job),
        jobs.edit_job(town.resources, town.dana, job, 1, town.offer(title="Again")),
        job_invitations.invite_to_job(town.resources, town.dana, job, "ben@example.org"),
        town.proposal(job, town.tom),
        proposals.open_messages(town.resources, town.dana, sent),
    ):
        with pytest.raises(Conflict, match="closed"):
            await step


async def test_only_the_client_edits_closes_invites_and_answers(town: Town) -> None:
    job = await town.job()
    sent = await town.proposal(job)
    for actor in (town.ana, town.tom):
        for step in (
            jobs.close_job(town.resources, actor, job),
            jobs.edit_job(town.resources, actor, job, 1, town.offer(title="Mine")),
            job_invitations.invite_to_job(town.resources, actor, job, "ben@example.org"),
            proposals.proposals_for(town.resources, actor, job),
            proposals.decline_proposal(town.resources, actor, sent),
            proposals.open_messages(town.resources, actor, sent),
        ):
            with pytest.raises(NotFound):
                await step
    for actor in (town.dana, town.tom):
        with pytest.raises(NotFound):
            await proposals.withdraw_proposal(town.resources, actor, sent)
    with pytest.raises(Forbidden):
        await town.proposal(job, town.dana)


# Finding


async def test_jobs_are_found_by_words_pay_and_state(town: Town) -> None:
    harbour = await town.job()
    logo = await town.job(title="A logo, 100% ours", pay="fixed", budget="900", skills="Drawing", description="Round.")
    await jobs.close_job(town.resources, town.dana, logo)

    async def found(**search: object) -> list[str]:
        page = await jobs.find_jobs(town.resources, town.ana, JobSearch(**search))  # type: ignore[arg-type]
        return [each.job.id for each in page.jobs]

    assert set(await found()) == {harbour, logo}
    assert await found(text="BERTHS calendar") == [harbour]
    assert await found(text="100%") == [logo]
    assert await found(text="python drawing") == []
    assert await found(pay=Pay.FIXED) == [logo]
    assert await found(open_only=True) == [harbour]
    assert await found(view="mine") == []
    await town.proposal(harbour)
    assert await found(view="proposed") == [harbour]


async def test_many_jobs_come_in_pages(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "JOBS_PER_PAGE", 2)
    made = []
    for number in range(3):
        town.clock.now += 1000
        made.append(await town.job(title=f"Job {number}"))
    first = await jobs.find_jobs(town.resources, town.ana, JobSearch())
    second = await jobs.find_jobs(town.resources, town.ana, JobSearch(page=2))
    assert [each.job.id for each in (*first.jobs, *second.jobs)] == made[::-1]
    assert (first.more, second.more) == (True, False)


# Answers: each once


@pytest.mark.parametrize("other", ["withdraw", "decline"])
async def test_of_two_answers_at_once_exactly_one_counts(town: Town, other: str) -> None:
    job = await town.job()
    sent = await town.proposal(job)
    rival = (
        proposals.withdraw_proposal(town.resources, town.ana, sent)
        if other == "withdraw"
        else proposals.decline_proposal(town.resources, town.dana, sent, "Too far away.")
    )
    done = await asyncio.gather(rival, proposals.open_messages(town.resources, town.dana, sent), return_exceptions=True)
    [refused] = [each for each in done if isinstance(each, BaseException)]
    assert isinstance(refused, Conflict)
    view = await jobs.job_view(town.resources, town.ana, job)
    assert view.mine is not None
    assert (view.mine.state is ProposalState.OPENED) == (view.mine.room is not None) == bool(await town.rooms())


async def test_messages_opened_twice_at_once_open_one_workroom_for_the_two(town: Town) -> None:
    job = await town.job()
    sent = await town.proposal(job)
    opened = await asyncio.gather(*(proposals.open_messages(town.resources, town.dana, sent) for _ in range(6)))
    assert len(set(opened)) == 1 and await town.rooms() == 1
    mine = await workrooms.my_rooms(town.resources, town.ana)
    assert [(each.info.id, each.info.title, each.info.time_zone, each.info.job) for each in mine] == [
        (opened[0], "Harbour booking site", "Europe/Lisbon", job)
    ]
    assert {m.account: m.side for m in mine[0].info.members.values()} == {
        town.dana.account: Side.CLIENT,
        town.ana.account: Side.FREELANCER,
    }
    listed = await proposals.proposal_of_room(town.resources, town.ana, opened[0])
    assert listed is not None and listed.proposal.id == sent
    with pytest.raises(NotFound):
        await proposals.proposal_of_room(town.resources, town.tom, opened[0])


async def test_before_the_messages_are_opened_neither_can_write_to_the_other(town: Town) -> None:
    job = await town.job()
    await town.proposal(job)
    assert await workrooms.my_rooms(town.resources, town.dana) == []
    assert await workrooms.my_rooms(town.resources, town.ana) == []


async def test_a_freelancer_has_one_proposal_for_a_job_and_may_send_another_after_withdrawing_it(town: Town) -> None:
    job = await town.job()
    first, repeated = await asyncio.gather(town.proposal(job), town.proposal(job))
    assert first == repeated
    with pytest.raises(Conflict, match="already"):
        await town.proposal(job, text="Another text.")
    await proposals.withdraw_proposal(town.resources, town.ana, first)
    second = await town.proposal(job, text="Another text.")
    assert second != first
    listed = (await proposals.proposals_for(town.resources, town.dana, job)).proposals
    assert [(each.proposal.id, each.proposal.state) for each in listed] == [
        (second, ProposalState.SENT),
        (first, ProposalState.WITHDRAWN),
    ]


async def test_a_declined_freelancer_reads_why(town: Town) -> None:
    job = await town.job()
    sent = await town.proposal(job)
    await proposals.decline_proposal(town.resources, town.dana, sent, "We found somebody nearby.")
    view = await jobs.job_view(town.resources, town.ana, job)
    assert view.mine is not None and (view.mine.state, view.mine.note) == (
        ProposalState.DECLINED,
        "We found somebody nearby.",
    )


async def test_a_wrong_amount_names_its_field(town: Town) -> None:
    job = await town.job(currency="JPY", low="4000", high="5000")
    for amount, word in (("45.5", "JPY has no decimals"), ("0", "more than zero"), ("", "Type an amount")):
        typed = NewProposal(text="Quick and good.", amount=amount, soon="now", version=1)
        with pytest.raises(Malformed, match=word) as refusal:
            await proposals.send_proposal(town.resources, town.ana, job, typed)
        assert refusal.value.field == "amount"


# Limits


async def test_each_limit_holds_for_a_day_and_says_when_it_is_over(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in Limited:
        monkeypatch.setitem(DAILY_MAX, what, 1)
    job = await town.job()
    with pytest.raises(TooMany, match=r"It is possible again at 00:00 UTC, in 9 h 46 min\.") as refusal:
        await town.job(title="Another")
    assert refusal.value.retry_after_seconds == (DAY_MS - town.clock.now % DAY_MS) // 1000
    await job_invitations.invite_to_job(town.resources, town.dana, job, "ben@example.org")
    with pytest.raises(TooMany):
        await job_invitations.invite_to_job(town.resources, town.dana, job, "cleo@example.org")
    ana, tom = await town.proposal(job), await town.proposal(job, town.tom)
    await proposals.open_messages(town.resources, town.dana, ana)
    with pytest.raises(TooMany, match="opened 1 workrooms"):
        await proposals.open_messages(town.resources, town.dana, tom)
    town.clock.now += DAY_MS
    await proposals.open_messages(town.resources, town.dana, tom)
    other = await town.job(title="Another")
    await town.proposal(other)
    with pytest.raises(TooMany):
        await town.proposal(await jobs.post_job(town.resources, town.tom, town.offer()))


async def test_jobs_posted_at_once_do_not_pass_the_limit_together(town: Town) -> None:
    done = await asyncio.gather(*(town.job(title=f"Job {n}") for n in range(15)), return_exceptions=True)
    assert sum(isinstance(each, TooMany) for each in done) == 5


# Who sees what


async def test_an_invited_address_sees_the_job_and_others_do_not(town: Town) -> None:
    job = await town.job(visible_to="invited")
    assert [await town.sees(actor, job) for actor in (town.dana, town.ana, town.tom)] == [True, False, False]
    with pytest.raises(NotFound):
        await town.proposal(job)
    await job_invitations.invite_to_job(town.resources, town.dana, job, " ANA.Novak@example.org")
    assert [await town.sees(actor, job) for actor in (town.dana, town.ana, town.tom)] == [True, True, False]
    waiting = await jobs.waiting_for(town.resources, town.ana)
    assert [found.job.id for found in waiting.invited] == [job]
    await town.proposal(job)
    assert (await jobs.waiting_for(town.resources, town.ana)).invited == []
    assert (await jobs.waiting_for(town.resources, town.dana)).proposals == [(job, "Harbour booking site", 1)]


async def test_a_job_only_for_the_invited_stays_with_those_who_proposed(town: Town) -> None:
    job = await town.job()
    await town.proposal(job)
    await jobs.edit_job(town.resources, town.dana, job, 1, town.offer(visible_to=Visibility.INVITED.value))
    assert [await town.sees(actor, job) for actor in (town.ana, town.tom)] == [True, False]


@pytest.mark.parametrize("blocker", ["dana", "ana"])
async def test_a_block_parts_two_in_both_directions_and_tells_neither(town: Town, blocker: str) -> None:
    one, other = (town.dana, town.ana) if blocker == "dana" else (town.ana, town.dana)
    job = await town.job()
    sent = await town.proposal(job)
    await blocks.block_account(town.resources, one, other.account)
    assert [await town.sees(actor, job) for actor in (town.dana, town.ana, town.tom)] == [True, False, True]
    assert (await proposals.proposals_for(town.resources, town.dana, job)).proposals == []
    assert (await jobs.waiting_for(town.resources, town.dana)).proposals == []
    for step in (
        proposals.open_messages(town.resources, town.dana, sent),
        proposals.decline_proposal(town.resources, town.dana, sent),
        town.proposal(job),
    ):
        with pytest.raises(NotFound) as refusal:
            await step
        assert str(refusal.value) == NotFound.sentence
    invited = await job_invitations.invite_to_job(town.resources, town.dana, job, town.ana.email)  # looks sent
    async with town.resources.database.read() as conn:
        assert (await conn.execute(select(mails).where(mails.c.to == town.ana.email))).all() == []
    with pytest.raises(LinkSpent):
        await job_invitations.take_job_invitation(town.resources, town.ana, invited.link.rpartition("/")[2])
    assert not await town.sees(town.ana, job)
    assert (await jobs.waiting_for(town.resources, town.ana)).invited == []
    await blocks.unblock_account(town.resources, one, other.account)
    assert await town.sees(town.ana, job)
    assert len((await proposals.proposals_for(town.resources, town.dana, job)).proposals) == 1


async def test_a_block_takes_nothing_from_a_workroom_that_is_open(town: Town) -> None:
    job = await town.job()
    room = await proposals.open_messages(town.resources, town.dana, await town.proposal(job))
    await blocks.block_account(town.resources, town.ana, town.dana.account)
    assert await town.sees(town.ana, job)
    assert len((await proposals.proposals_for(town.resources, town.dana, job)).proposals) == 1
    await record.append(town.resources, town.dana, room, "message", {"text": "Good morning"})


# A workroom without a job


@pytest.mark.parametrize("side", [Side.CLIENT, Side.FREELANCER])
async def test_a_known_pair_starts_with_a_link_and_a_form_sent_twice_opens_one_room(town: Town, side: Side) -> None:
    key = jobs.new_id(town.resources)
    started = [
        await proposals.start_room(
            town.resources, town.dana, key, "Old friends", side, time_zone="Europe/Paris", work_view=False
        )
        for _ in range(2)
    ]
    assert started[0][0] == started[1][0] and await town.rooms() == 1
    assert "/invitation/" in started[1][1]
    [mine] = await workrooms.my_rooms(town.resources, town.dana)
    assert (mine.member.side, mine.info.time_zone, mine.info.work_view, mine.info.job) == (
        side, "Europe/Paris", False, None
    )  # fmt: skip


# An award


async def test_an_award_in_one_room_tells_the_others_once(town: Town) -> None:
    job = await town.job()
    opened = [
        await proposals.open_messages(town.resources, town.dana, await town.proposal(job, who))
        for who in (town.ana, town.tom)
    ]

    async def award() -> list[str]:
        async with town.resources.database.read() as conn:
            others = await jobs.other_rooms(conn, job, opened[0])

        async def work(tx: Tx) -> list[str]:
            await tx.append(Draft(opened[0], "message", "p1", {"text": "Accepted"}))
            return await jobs.on_award(tx, town.resources, job, opened[0])

        return await town.resources.database.writer.run(work, rooms=(opened[0], *others))

    assert await award() == [opened[1]]
    assert (await jobs.job_view(town.resources, town.tom, job)).job.state is JobState.AWARDED
    assert await award() == []
    page = await record.page(town.resources, town.tom, opened[1])
    assert [entry.kind for entry in page.entries].count("room.job_awarded") == 1
    third = await build_account(town.resources, "Ben Late")
    with pytest.raises(Conflict, match="awarded"):
        await town.proposal(job, third)


async def test_who_leaves_takes_jobs_and_proposals_along(town: Town) -> None:
    job, theirs = await town.job(), await jobs.post_job(town.resources, town.ana, town.offer(title="Ana's own"))
    room = await proposals.open_messages(town.resources, town.dana, await town.proposal(job, town.tom))
    await town.proposal(job)
    await town.resources.database.writer.run(lambda tx: jobs.leave_jobs(tx, town.ana.account))
    assert (await jobs.job_view(town.resources, town.tom, theirs)).job.state is JobState.CLOSED
    listed = (await proposals.proposals_for(town.resources, town.dana, job)).proposals
    assert {each.freelancer_name: each.proposal.state for each in listed} == {
        "Ana Novak": ProposalState.WITHDRAWN,
        "Tom Ibarra": ProposalState.OPENED,
    }
    assert [each.info.id for each in await workrooms.my_rooms(town.resources, town.tom)] == [room]


async def test_nothing_is_written_by_what_is_refused(town: Town) -> None:
    job = await town.job()
    for step in (
        town.proposal("0" * 26),
        town.proposal("nonsense"),
        proposals.open_messages(town.resources, town.dana, "nonsense"),
        jobs.close_job(town.resources, town.dana, "nonsense"),
        job_invitations.invite_to_job(town.resources, town.dana, job, "no address"),
        job_invitations.invite_to_job(town.resources, town.dana, job, town.dana.email),
    ):
        with pytest.raises(WorkroomError):
            await step
    assert await town.rooms() == 0
