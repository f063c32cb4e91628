"""Matters on both databases: whoever answers at once, one answer counts, and the other is told how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.config import Settings
from app.domain.errors import AlreadyAnswered, Forbidden, OthersToAnswer
from app.domain.live import Appended
from app.domain.matters import ANSWERS, SILENCE, TAKING_BACK, TRANSITIONS, Matter, MatterState
from app.domain.record import Entry
from app.domain.timerange import DAY_MS
from app.opening import open_resources
from app.services import matters, record, terms
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.services.writing import answer_silences
from tests.agreements import answers_to, build_asked, build_working, write
from tests.bodies import day
from tests.builders import build_pair
from tests.published import Published

ANSWERED_BY_PEOPLE = sorted(TRANSITIONS.keys() - {"handover"})  # of a handover the server says that it was received
SILENT = sorted(kind for kind, silence in SILENCE.items() if silence.answer is not None)
TAKEN_BACK = sorted({ANSWERS[kind] for kind in TAKING_BACK})


@pytest.fixture
async def elsewhere(resources: Resources, settings: Settings, clock: ManualClock) -> AsyncIterator[Resources]:
    """A second server on the same database; with SQLite, which has one, the same."""
    if resources.database.dialect == "sqlite":
        yield resources
        return
    async with open_resources(settings, clock=clock) as opened:
        yield opened


async def outcomes(*tries: Any) -> tuple[list[Entry], list[BaseException]]:
    """Run at once; return what was written and what was refused."""
    done = await asyncio.gather(*tries, return_exceptions=True)
    return [each for each in done if isinstance(each, Entry)], [e for e in done if isinstance(e, BaseException)]


async def standing(resources: Resources, asked: Entry) -> Matter:
    return (await matters.states_of(resources, asked.room, [asked]))[asked.seq]


async def answers_in(resources: Resources, actor: Actor, asked: Entry) -> list[Entry]:
    """Return the answers that an entry got."""
    page = await record.page(resources, actor, asked.room, after=asked.seq)
    return [entry for entry in page.entries if entry.ref == asked.seq and entry.kind in ANSWERS]


async def check_one(resources: Resources, actor: Actor, asked: Entry, written: list[Entry], refused: list[Any]) -> None:
    """Check that one answer stands in the record, and that the other was told which."""
    (answer,) = await answers_in(resources, actor, asked)
    assert [entry.seq for entry in written] == [answer.seq]
    (refusal,) = refused
    assert isinstance(refusal, AlreadyAnswered) and refusal.field == "ref"
    matter = await standing(resources, asked)
    assert (matter.answer_seq, matter.answered_by, matter.answered_at) == (answer.seq, answer.by, answer.at)
    said = matter.state.value.replace("_", " ")
    assert str(refusal) == (
        f"This was {said} already, by entry {answer.seq}. Your answer was not written; see how it stands."
    )


@pytest.mark.parametrize("kind", ANSWERED_BY_PEOPLE)
async def test_of_two_tabs_one_answer_counts(resources: Resources, elsewhere: Resources, kind: str) -> None:
    asked = await build_asked(resources, kind)
    answer = answers_to(kind)[0]
    tabs = [
        write(server, asked.answerer, asked.pair.room, answer, asked.entry.seq, cid=f"tab-{n}")
        for n, server in enumerate((resources, elsewhere))
    ]
    await check_one(resources, asked.asker, asked.entry, *await outcomes(*tabs))


@pytest.mark.parametrize("kind", ANSWERED_BY_PEOPLE)
async def test_a_double_click_is_one_answer_and_no_error(resources: Resources, elsewhere: Resources, kind: str) -> None:
    asked = await build_asked(resources, kind)
    answer = answers_to(kind)[0]
    clicks = [
        write(server, asked.answerer, asked.pair.room, answer, asked.entry.seq, cid="one-form")
        for server in (resources, elsewhere)
    ]
    written, refused = await outcomes(*clicks)
    assert refused == [] and len({entry.seq for entry in written}) == 1
    assert len(await answers_in(resources, asked.asker, asked.entry)) == 1


@pytest.mark.parametrize("kind", [kind for kind in ANSWERED_BY_PEOPLE if len(answers_to(kind)) > 1])
async def test_yes_and_no_at_once_leave_one_of_them(resources: Resources, elsewhere: Resources, kind: str) -> None:
    asked = await build_asked(resources, kind)
    yes, no = answers_to(kind)[:2]
    both = [
        write(resources, asked.answerer, asked.pair.room, no, asked.entry.seq),
        write(elsewhere, asked.answerer, asked.pair.room, yes, asked.entry.seq),
    ]
    if kind == "transcript":  # what was contested can still be confirmed, so here both may stand
        written, _ = await outcomes(*both)
        matter = await standing(resources, asked.entry)
        assert matter.answer_seq == max(entry.seq for entry in written)
        return
    await check_one(resources, asked.asker, asked.entry, *await outcomes(*both))


@pytest.mark.parametrize("kind", TAKEN_BACK)
async def test_accepted_and_taken_back_at_once_is_one_of_them(
    resources: Resources, elsewhere: Resources, kind: str
) -> None:
    for first in (True, False):
        asked = await build_asked(resources, kind)
        back = next(answer for answer in TRANSITIONS[kind][MatterState.OPEN] if answer in TAKING_BACK)
        both = [
            write(resources, asked.answerer, asked.pair.room, answers_to(kind)[0], asked.entry.seq),
            write(elsewhere, asked.asker, asked.pair.room, back, asked.entry.seq),
        ]
        await check_one(resources, asked.asker, asked.entry, *await outcomes(*(both if first else both[::-1])))


async def test_of_two_sides_proposals_accepted_at_once_one_holds(resources: Resources, elsewhere: Resources) -> None:
    pair = await build_pair(resources)
    mine = await write(resources, pair.client, pair.room, "terms.proposed", rate_minor=5000)
    theirs = await write(resources, pair.freelancer, pair.room, "terms.proposed", rate_minor=6000)
    written, refused = await outcomes(
        write(resources, pair.freelancer, pair.room, "terms.accepted", mine.seq),
        write(elsewhere, pair.client, pair.room, "terms.accepted", theirs.seq),
    )
    (accepted,), (refusal,) = written, refused
    assert isinstance(refusal, AlreadyAnswered)
    assert str(refusal).startswith(f"This was withdrawn already, by entry {accepted.seq}.")
    versions = await terms.versions_of(resources, pair.client, pair.room, "p2")
    assert [version.seq for version in versions] == [accepted.ref]


@pytest.mark.parametrize("kind", sorted(set(SILENT) - {"handover"}))
async def test_silence_and_a_person_at_once_is_one_answer(
    resources: Resources, elsewhere: Resources, clock: ManualClock, kind: str
) -> None:
    asked = await build_asked(resources, kind)
    clock.now = (await standing(resources, asked.entry)).due_at or 0
    done = await asyncio.gather(
        write(resources, asked.answerer, asked.pair.room, answers_to(kind)[0], asked.entry.seq),
        answer_silences(elsewhere),
        return_exceptions=True,
    )
    (answer,) = await answers_in(resources, asked.asker, asked.entry)
    matter = await standing(resources, asked.entry)
    assert matter.answer_seq == answer.seq
    if answer.by == "sys":
        assert isinstance(done[0], AlreadyAnswered) and f"by entry {answer.seq}" in str(done[0])
        assert answer.kind == SILENCE[kind].answer and answer.body == {"by_silence": True}
    else:
        assert (done[0], done[1]) == (answer, 0)


@pytest.mark.parametrize("kind", SILENT)
async def test_silence_answers_when_it_is_due_and_once(resources: Resources, clock: ManualClock, kind: str) -> None:
    asked = await build_asked(resources, kind)
    due = (await standing(resources, asked.entry)).due_at
    assert due == asked.entry.at + (SILENCE[kind].days or 0) * DAY_MS
    clock.now = due - 1
    assert await answer_silences(resources) == 0
    clock.now = due
    assert await answer_silences(resources) == 1
    assert await answer_silences(resources) == 0
    (answer,) = await answers_in(resources, asked.asker, asked.entry)
    assert (answer.kind, answer.by) == (SILENCE[kind].answer, "sys")
    assert (await standing(resources, asked.entry)).answered_by == "sys"


@pytest.mark.parametrize("kind", ANSWERED_BY_PEOPLE)
async def test_nobody_answers_what_they_asked_themselves(resources: Resources, kind: str) -> None:
    asked = await build_asked(resources, kind)
    for answer in answers_to(kind):
        with pytest.raises((OthersToAnswer, Forbidden)):
            await write(resources, asked.asker, asked.pair.room, answer, asked.entry.seq)
    assert (await standing(resources, asked.entry)).state is MatterState.OPEN


async def test_only_their_own_side_takes_a_proposal_back(resources: Resources) -> None:
    for kind in TAKEN_BACK:
        asked = await build_asked(resources, kind)
        back = next(answer for answer in TRANSITIONS[kind][MatterState.OPEN] if answer in TAKING_BACK)
        with pytest.raises(OthersToAnswer):
            await write(resources, asked.answerer, asked.pair.room, back, asked.entry.seq)


# Vacations


async def test_a_vacation_stops_the_clock_of_who_must_act_and_tells_it_live(
    resources: Resources, clock: ManualClock, published: Published
) -> None:
    asked = await build_asked(resources, "deliverable")
    before = (await standing(resources, asked.entry)).due_at or 0
    away = await write(
        resources, asked.answerer, asked.pair.room, "availability", from_on=day(3), until_on=day(7)
    )  # five days
    after = (await standing(resources, asked.entry)).due_at
    assert after == before + 5 * DAY_MS
    (told,) = [event for event in published.of(Appended) if event.entry.seq == away.seq]
    assert [(matter.seq, matter.due_at) for matter in told.matters] == [(asked.entry.seq, after)]
    clock.now = before
    assert await answer_silences(resources) == 0
    clock.now = after
    assert await answer_silences(resources) == 1


async def test_a_long_vacation_stops_it_for_fourteen_days(resources: Resources) -> None:
    asked = await build_asked(resources, "terms.proposed")
    before = (await standing(resources, asked.entry)).due_at or 0
    await write(resources, asked.answerer, asked.pair.room, "availability", from_on=day(1), until_on=day(60))
    assert (await standing(resources, asked.entry)).due_at == before + 14 * DAY_MS


async def test_what_is_asked_during_a_vacation_waits_for_its_end(resources: Resources, clock: ManualClock) -> None:
    pair = await build_working(resources, time_zone="UTC")
    await write(resources, pair.client, pair.room, "availability", from_on=day(0), until_on=day(3))
    clock.now += DAY_MS
    delay = await write(resources, pair.freelancer, pair.room, "delay")
    midnight = (clock.now // DAY_MS + 3) * DAY_MS  # the vacation ends with the third day from today
    assert (await standing(resources, delay)).due_at == midnight + 5 * DAY_MS


async def test_the_asker_s_own_vacation_and_a_schedule_move_nothing(resources: Resources) -> None:
    asked = await build_asked(resources, "deliverable")
    before = await standing(resources, asked.entry)
    await write(resources, asked.asker, asked.pair.room, "availability")
    await record.append(
        resources, asked.answerer, asked.pair.room, "availability",
        {"what": "schedule", "from_on": day(1), "text": "Monday to Thursday, 9 to 15"},
    )  # fmt: skip
    assert await standing(resources, asked.entry) == before
