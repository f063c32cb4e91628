"""Confidentiality: restricted things are withheld and logged; nothing of them leaves by another way (rule 6.4)."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidBody, NotFound
from app.domain.matters import MatterState
from app.services import confidentiality, record
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.matters import select_matters
from app.views.sentences import sentence
from tests.builders import Pair, build_account, build_pair

WORDS = "tidal berth price"


@pytest.fixture
async def pair(resources: Resources) -> Pair:
    return await build_pair(resources)


async def restricted(resources: Resources, pair: Pair) -> int:
    body = {"text": WORDS, "restricted": True}
    return (await record.append(resources, pair.freelancer, pair.room, "message", body)).seq


async def test_a_download_of_restricted_contents_is_logged_and_every_member_sees_it(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    seq = await restricted(resources, pair)
    plain = (await record.append(resources, pair.freelancer, pair.room, "message", {"text": "plain"})).seq
    await record.disclosure(resources, pair.client, pair.room, seq)
    clock.now += 60_000
    await record.disclosure(resources, pair.client, pair.room, seq)
    await record.disclosure(resources, pair.client, pair.room, plain)
    for reader in (pair.client, pair.freelancer):
        [view] = (await confidentiality.confidentiality(resources, reader, pair.room)).views
        assert (view.seq, view.position, view.name, view.times) == (seq, None, "Dana Keller", 2)
        assert view.viewed_at - view.first_at == 60_000


async def test_the_policy_is_accepted_by_everybody_and_the_page_says_when(resources: Resources, pair: Pair) -> None:
    found = await confidentiality.confidentiality(resources, pair.client, pair.room)
    assert [(entry.by, (entry.body or {})["version"]) for entry in found.acceptances] == [("p1", 1), ("p2", 1)]


async def test_a_request_stands_with_its_answer(resources: Resources, pair: Pair) -> None:
    asked = [
        (
            await record.append(
                resources, pair.freelancer, pair.room, "disclosure.requested", {"to": to, "text": "May I show it?"}
            )
        ).seq
        for to in ("My portfolio", "The harbour office")
    ]
    await record.append(resources, pair.client, pair.room, "disclosure.approved", {"text": "Only the map."}, asked[1])
    last, first = (await confidentiality.confidentiality(resources, pair.client, pair.room)).requests
    assert (last.entry.seq, last.matter.state) == (asked[1], MatterState.ACCEPTED)
    assert last.answer is not None and last.answer.body == {"text": "Only the map."}
    assert (first.entry.seq, first.matter.state, first.answer) == (asked[0], MatterState.OPEN, None)


async def test_a_restricted_entry_is_named_and_not_told_where_it_leaves_the_workroom(
    resources: Resources, pair: Pair
) -> None:
    info = resources.rooms[pair.room]
    for kind, body in (
        ("message", {"text": WORDS}),
        ("agreement", {"text": WORDS}),
        ("transcript", {"medium": "chat", "title": WORDS, "lines": [{"who": WORDS, "text": WORDS}]}),
        ("disclosure.requested", {"to": WORDS, "text": WORDS}),
    ):
        entry = await record.append(resources, pair.freelancer, pair.room, kind, body | {"restricted": True})
        told = sentence(entry, info, withhold=True)
        assert not any(word in told for word in WORDS.split()), kind
        assert "restricted" in told


async def test_lists_of_what_waits_do_not_tell_a_restricted_title(resources: Resources, pair: Pair) -> None:
    body = {"medium": "chat", "title": WORDS, "lines": [{"who": "Ana", "text": "x"}], "restricted": True}
    seq = (await record.append(resources, pair.freelancer, pair.room, "transcript", body)).seq
    async with resources.database.read() as connection:
        assert (await select_matters(connection, pair.room, [seq]))[seq].title == ""


async def test_who_is_no_member_learns_nothing_and_leaves_no_trace(resources: Resources, pair: Pair) -> None:
    seq = await restricted(resources, pair)
    eve = await build_account(resources, "Eve Adams")
    for attempt in (
        record.disclosure(resources, eve, pair.room, seq),
        record.entry(resources, eve, pair.room, seq),
        record.receipt(resources, eve, pair.room, seq),
        confidentiality.confidentiality(resources, eve, pair.room),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await confidentiality.confidentiality(resources, pair.client, pair.room)).views == []


async def test_a_receipt_proves_a_restricted_entry_without_its_words(resources: Resources, pair: Pair) -> None:
    seq = await restricted(resources, pair)
    receipt = await record.receipt(resources, pair.client, pair.room, seq)
    assert not any(word in receipt for word in WORDS.split())
    assert (await confidentiality.confidentiality(resources, pair.client, pair.room)).views == [], "nothing was taken"


async def test_a_correction_of_a_restricted_entry_is_restricted_too(resources: Resources, pair: Pair) -> None:
    seq = await restricted(resources, pair)
    body = {"text": f"not {WORDS}"}
    with pytest.raises(InvalidBody, match="correct is restricted: mark the correction too") as refused:
        await record.append(resources, pair.freelancer, pair.room, "correction", body, seq)
    assert refused.value.field == "body.restricted"
    again = await record.append(
        resources, pair.freelancer, pair.room, "correction", body | {"restricted": True}, seq, "the-same"
    )
    with pytest.raises(InvalidBody):  # and so is a correction of the correction
        await record.append(resources, pair.freelancer, pair.room, "correction", body, again.seq)
    assert (await record.page(resources, pair.client, pair.room)).entries[-1].seq == again.seq


async def test_words_with_the_answer_to_a_restricted_entry_are_restricted_too(resources: Resources, pair: Pair) -> None:
    body = {"to": WORDS, "text": WORDS, "restricted": True}
    asked = (await record.append(resources, pair.freelancer, pair.room, "disclosure.requested", body)).seq
    with pytest.raises(InvalidBody, match="answer is restricted"):
        await record.append(resources, pair.client, pair.room, "disclosure.declined", {"text": WORDS}, asked)
    marked = {"text": WORDS, "restricted": True}
    answer = await record.append(resources, pair.client, pair.room, "disclosure.declined", marked, asked)
    assert WORDS not in sentence(answer, resources.rooms[pair.room], withhold=True)


async def test_a_restricted_entry_is_answered_without_words_as_any_other(resources: Resources, pair: Pair) -> None:
    body = {"to": WORDS, "text": WORDS, "restricted": True}
    asked = (await record.append(resources, pair.freelancer, pair.room, "disclosure.requested", body)).seq
    answer = await record.append(resources, pair.client, pair.room, "disclosure.approved", {}, asked)
    assert answer.body == {}
