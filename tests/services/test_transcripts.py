"""Transcripts through the services: originals that were uploaded, and the weekly question by the clock (rule 1.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.domain.errors import InvalidBody, Malformed, NotFound, TooLarge
from app.domain.timerange import DAY_MS
from app.domain.transcripts import body_of_lines
from app.services import record, room_closing, transcripts, uploads
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.views.files import ref_of
from tests.builders import Pair, build_pair

MAIL = (
    b"From: Ana <ana@example.org>\r\nSubject: The map\r\nDate: Mon, 21 Sep 2026 14:13:20 +0200\r\n"
    b"MIME-Version: 1.0\r\n\r\nFriday.\r\n"
)


@pytest.fixture
async def pair(resources: Resources) -> Pair:
    return await build_pair(resources)


async def upload(resources: Resources, actor: Actor, room: str, name: str, data: bytes) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    return (await uploads.receive_whole(resources, actor, room, name, pieces())).id


async def test_a_mail_is_read_and_goes_with_its_transcript(resources: Resources, pair: Pair) -> None:
    sent = await upload(resources, pair.client, pair.room, "map.eml", MAIL)
    row, parsed = await transcripts.read_file(resources, pair.client, pair.room, sent)
    assert (parsed.medium, parsed.title, parsed.lines[0].who) == ("email", "The map", "Ana")
    body = body_of_lines(parsed.medium, parsed.title, parsed.lines) | {"files": [ref_of(row)]}
    entry = await record.append(resources, pair.client, pair.room, "transcript", body)
    assert entry.body is not None and entry.body["files"][0]["name"] == "map.eml"
    await record.append(resources, pair.freelancer, pair.room, "transcript.confirmed", {}, entry.seq)


@pytest.mark.parametrize(
    ("data", "refusal", "sentence"),
    [
        (b"PK\x03\x04rest", Malformed, "archive"),
        (b"\x00\x01\x02binary", Malformed, "neither a mail"),
        (b"  \n ", Malformed, "empty"),
        (b"Ana: x\n" * 400_000, TooLarge, "2 MiB"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(
    resources: Resources, pair: Pair, data: bytes, refusal: type[Exception], sentence: str
) -> None:
    sent = await upload(resources, pair.client, pair.room, "x", data)
    with pytest.raises(refusal, match=sentence):
        await transcripts.read_file(resources, pair.client, pair.room, sent)


async def test_nobody_reads_the_upload_of_another(resources: Resources, pair: Pair) -> None:
    sent = await upload(resources, pair.client, pair.room, "map.eml", MAIL)
    with pytest.raises(NotFound):
        await transcripts.read_file(resources, pair.freelancer, pair.room, sent)


def test_a_mail_can_be_pasted_with_its_headers() -> None:
    assert transcripts.read_text(MAIL.decode()).medium == "email"
    with pytest.raises(InvalidBody):
        transcripts.read_text(" \n")


# The weekly question


async def asked(resources: Resources, actor: Actor, room: str) -> list[str]:
    return await transcripts.question_for(resources, actor, room)


async def test_only_who_talks_elsewhere_is_asked_and_once_a_week(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    dana, room = pair.client, pair.room
    clock.now += 30 * DAY_MS
    assert await asked(resources, dana, room) == []
    await transcripts.set_elsewhere(resources, dana, room, ["phone", "email"])
    assert await transcripts.elsewhere(resources, dana, room) == ("email", "phone")
    assert await asked(resources, dana, room) == []
    clock.now += 7 * DAY_MS
    assert await asked(resources, dana, room) == ["e-mail", "phone"]
    assert await asked(resources, pair.freelancer, room) == []
    await transcripts.answer_question(resources, dana, room)
    clock.now += 7 * DAY_MS - 1
    assert await asked(resources, dana, room) == []
    clock.now += 1
    assert await asked(resources, dana, room) == ["e-mail", "phone"]


async def test_changing_where_one_talks_does_not_bring_the_question_earlier_or_twice(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    dana, room = pair.client, pair.room
    await transcripts.set_elsewhere(resources, dana, room, ["email"])
    clock.now += 7 * DAY_MS
    await transcripts.answer_question(resources, dana, room)
    await transcripts.set_elsewhere(resources, dana, room, ["email", "chat"])
    assert await asked(resources, dana, room) == []
    clock.now += 7 * DAY_MS
    assert await asked(resources, dana, room) == ["e-mail", "chat"]


async def test_who_transcribes_has_answered(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    dana, room = pair.client, pair.room
    await transcripts.set_elsewhere(resources, dana, room, ["email"])
    clock.now += 8 * DAY_MS
    body = {"medium": "email", "title": "x", "lines": [{"who": "Ana", "text": "y"}]}
    await record.append(resources, dana, room, "transcript", body)
    assert await asked(resources, dana, room) == []


async def test_who_does_not_want_to_be_asked_is_not(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    dana, room = pair.client, pair.room
    await transcripts.set_elsewhere(resources, dana, room, ["email"])
    clock.now += 8 * DAY_MS
    await transcripts.answer_question(resources, dana, room, never_again=True)
    clock.now += 80 * DAY_MS
    assert await asked(resources, dana, room) == [] and await transcripts.elsewhere(resources, dana, room) == ()
    with pytest.raises(InvalidBody):
        await transcripts.set_elsewhere(resources, dana, room, ["pigeon"])


async def test_nobody_is_asked_in_a_closed_workroom(resources: Resources, pair: Pair, clock: ManualClock) -> None:
    await transcripts.set_elsewhere(resources, pair.client, pair.room, ["email"])
    clock.now += 8 * DAY_MS
    await room_closing.close_room(resources, pair.client, pair.room)
    assert await asked(resources, pair.client, pair.room) == []
