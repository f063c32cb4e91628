"""The record as services see it, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.domain.checkpoint import parse_receipt, parse_verifier_key
from app.domain.errors import Conflict, Forbidden, InvalidBody, NotFound, TooMany, UnknownKind, WorkroomError
from app.domain.live import CheckpointReleased, Seen
from app.domain.merkle import leaf_hash, root_hash, verify_consistency, verify_inclusion
from app.domain.record import Draft, canonical
from app.services import checkpoints, record, workrooms
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.services.throttle import Allowances
from app.storage import record as rows
from app.storage.keys import verify_note
from app.storage.writer import Tx, UnitFailed
from tests.builders import build_account, build_pair
from tests.published import Published


async def test_a_room_begins_with_its_opening_and_its_members(resources: Resources) -> None:
    pair = await build_pair(resources)
    page = await record.page(resources, pair.client, pair.room)
    assert [entry.kind for entry in page.entries] == [
        "room.opened", "member.joined", "policy.accepted", "member.joined", "policy.accepted",
    ]  # fmt: skip
    opened = page.entries[0].body
    assert opened is not None
    assert opened["members"] == [{"by": "p1", "side": "client"}, {"by": "p2", "side": "freelancer"}]
    assert parse_verifier_key(opened["verifier_key"])[1] == resources.signer.public_key


async def test_entries_get_the_next_seq_whoever_writes_at_once(resources: Resources) -> None:
    pair = await build_pair(resources)
    wrote = await asyncio.gather(
        *(
            record.append(resources, actor, pair.room, "message", {"text": f"{actor.name} {n}"})
            for n in range(40)
            for actor in (pair.client, pair.freelancer)
        )
    )
    assert sorted(entry.seq for entry in wrote) == list(range(5, 85))
    assert resources.database.writer.commits < 40  # many were committed together
    page = await record.page(resources, pair.client, pair.room, after=4)
    assert [entry.seq for entry in page.entries] == list(range(5, 85))
    assert page.head == 84


async def test_time_never_goes_back_within_a_room(resources: Resources, clock: ManualClock) -> None:
    pair = await build_pair(resources)
    first = await record.append(resources, pair.client, pair.room, "message", {"text": "now"})
    clock.now -= 60_000
    second = await record.append(resources, pair.client, pair.room, "message", {"text": "earlier by the clock"})
    assert second.at == first.at


async def test_the_same_cid_writes_once_and_answers_the_same(resources: Resources) -> None:
    pair = await build_pair(resources)
    say = {"text": "Once."}
    first = await record.append(resources, pair.client, pair.room, "message", say, cid="cid-00000001")
    again = await record.append(resources, pair.client, pair.room, "message", say, cid="cid-00000001")
    both = await asyncio.gather(
        *(record.append(resources, pair.client, pair.room, "message", say, cid="cid-00000002") for _ in range(5))
    )
    other = await record.append(resources, pair.freelancer, pair.room, "message", say, cid="cid-00000001")
    assert first.seq == again.seq == 5
    assert {entry.seq for entry in both} == {6}
    assert other.seq == 7  # an id is unique per author
    with pytest.raises(Conflict):
        await record.append(resources, pair.client, pair.room, "message", {"text": "Other."}, cid="cid-00000001")
    with pytest.raises(Conflict):
        await record.append(resources, pair.client, pair.room, "feedback", say, cid="cid-00000001")


@pytest.mark.parametrize(
    ("kind", "body", "refusal", "field"),
    [
        ("nonsense", {"text": "x"}, UnknownKind, "kind"),
        ("message", {}, InvalidBody, "body.text"),
        ("message", {"text": ""}, InvalidBody, "body.text"),
        ("message", {"text": "   "}, InvalidBody, "body.text"),
        ("message", {"text": 7}, InvalidBody, "body.text"),
        ("message", {"text": "x", "colour": "red"}, InvalidBody, "body.colour"),
        ("message", {"text": "half \ud800"}, InvalidBody, "body.text"),
        ("message", {"text": "x" * 32_769}, InvalidBody, "body.text"),
        ("message", [], InvalidBody, "body"),
        ("message", {"text": "a\x00b"}, InvalidBody, "body.text"),
        ("feedback", {"text": "bell \x07"}, InvalidBody, "body.text"),
        ("comment", {"text": "\x1b[2J", "from_segment": 1, "to_segment": 1}, InvalidBody, "body.text"),
        ("room.opened", {"format": 1}, Forbidden, "kind"),
        ("hour.closed", {"text": "x"}, Forbidden, "kind"),
        ("hour.closed", [], Forbidden, "kind"),
        ("comment", {"text": "x", "from_segment": 2, "to_segment": 1}, InvalidBody, "body.to_segment"),
        ("correction", {"text": "x"}, InvalidBody, "ref"),
    ],
)
async def test_a_wrong_entry_is_refused_with_the_field_named(
    resources: Resources, kind: str, body: Any, refusal: type[WorkroomError], field: str | None
) -> None:
    pair = await build_pair(resources)
    with pytest.raises(refusal) as caught:
        await record.append(resources, pair.freelancer, pair.room, kind, body)
    if field is not None:
        assert caught.value.field == field
    assert (await record.page(resources, pair.client, pair.room)).head == 4


async def test_a_control_character_is_named_and_tabs_and_line_ends_are_none(resources: Resources) -> None:
    pair = await build_pair(resources)
    with pytest.raises(InvalidBody, match=r"\(U\+001B\) at position 3"):
        await record.append(resources, pair.client, pair.room, "message", {"text": "ab\x1b[2J"})
    kept = {"text": "one\ttwo\r\nthree\n\u0085four"}
    entry = await record.append(resources, pair.client, pair.room, "message", kept)
    assert (await record.entry(resources, pair.client, pair.room, entry.seq)).body == kept


async def test_nobody_writes_what_is_for_the_system_or_the_other_side(resources: Resources) -> None:
    pair = await build_pair(resources)
    joined = {"member": "p9", "account": "x", "name": "y", "side": "client"}
    for body in (joined, {"nonsense": 1}):
        with pytest.raises(Forbidden, match="People do not write entries of this kind"):
            await record.append(resources, pair.client, pair.room, "member.joined", body)
    with pytest.raises(Forbidden):
        comment = {"text": "mine", "from_segment": 1, "to_segment": 1}
        await record.append(resources, pair.client, pair.room, "comment", comment)


async def test_who_is_no_member_finds_nothing(resources: Resources) -> None:
    pair = await build_pair(resources)
    stranger = await build_account(resources, "Mallory Strange")
    for attempt in (
        record.page(resources, stranger, pair.room),
        record.append(resources, stranger, pair.room, "message", {"text": "hello"}),
        record.receipt(resources, stranger, pair.room, 0),
        record.consistency(resources, stranger, pair.room, 1, 2),
        record.mark_seen(resources, stranger, pair.room, 1),
        record.page(resources, pair.client, "0" * 26),
        record.page(resources, pair.client, "../../etc/passwd"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_one_corrects_what_one_wrote_oneself(resources: Resources) -> None:
    pair = await build_pair(resources)
    said = await record.append(resources, pair.client, pair.room, "message", {"text": "Tuesday"})
    body = {"text": "Wednesday"}
    entry = await record.append(resources, pair.client, pair.room, "correction", body, ref=said.seq, cid="fix-00001")
    assert entry.ref == said.seq
    with pytest.raises(InvalidBody):
        await record.append(resources, pair.freelancer, pair.room, "correction", {"text": "Friday"}, ref=said.seq)
    with pytest.raises(InvalidBody):
        await record.append(resources, pair.client, pair.room, "correction", {"text": "x"}, ref=999)


async def test_the_database_refuses_to_change_or_remove_an_entry(resources: Resources) -> None:
    pair = await build_pair(resources)
    replace = "INSERT OR REPLACE INTO" if resources.database.dialect == "sqlite" else "INSERT INTO"
    columns = "room, seq, kind, by, at, ref, cid, leaf, leaf_hash"
    attempts = [
        "UPDATE entries SET kind = 'message'",
        "DELETE FROM entries",
        f"{replace} entries ({columns}) SELECT {columns} FROM entries WHERE seq = 1",
    ]
    if resources.database.dialect == "sqlite":
        attempts.append(
            f"INSERT INTO entries ({columns}) SELECT room, seq + 90, kind, by, at, ref, cid, leaf, leaf_hash "
            "FROM entries WHERE seq = 1"
        )
    else:
        attempts.append("TRUNCATE entries")
    for statement in attempts:

        async def work(tx: Tx, statement: str = statement) -> None:
            await tx.conn.execute(text(statement))

        with pytest.raises((UnitFailed, DBAPIError)):
            await resources.database.writer.run(work)
    page = await record.page(resources, pair.client, pair.room)
    assert (page.head, page.entries[0].kind) == (4, "room.opened")


async def test_a_unit_that_fails_spoils_no_other(resources: Resources) -> None:
    pair = await build_pair(resources)

    async def failing(tx: Tx) -> None:
        await tx.append(Draft(pair.room, "message", "p1", {"text": "never"}))
        raise Forbidden

    async def broken(tx: Tx) -> None:
        await tx.append(Draft(pair.room, "message", "p1", {"text": "never"}))
        raise ZeroDivisionError

    writer = resources.database.writer
    results = await asyncio.gather(
        writer.run(failing, rooms=(pair.room,)),
        record.append(resources, pair.client, pair.room, "message", {"text": "kept"}),
        writer.run(broken, rooms=(pair.room,)),
        record.append(resources, pair.client, pair.room, "message", {"text": "kept too"}),
        return_exceptions=True,
    )
    assert isinstance(results[0], Forbidden)
    assert isinstance(results[2], UnitFailed)
    page = await record.page(resources, pair.client, pair.room, after=4)
    assert [entry.body for entry in page.entries] == [{"text": "kept"}, {"text": "kept too"}]


async def test_what_is_erased_leaves_its_leaf_and_names_its_tombstone(resources: Resources) -> None:
    pair = await build_pair(resources)
    said = await record.append(resources, pair.client, pair.room, "message", {"text": "secret"})

    async def erase(tx: Tx) -> int:
        tombstone = await tx.append(Draft(pair.room, "correction", "p1", {"text": "gone"}, ref=said.seq))
        await tx.erase(pair.room, said.seq, tombstone.seq)
        return tombstone.seq

    before = await record.receipt(resources, pair.client, pair.room, said.seq)
    tombstone = await resources.database.writer.run(erase, rooms=(pair.room,))
    found = await record.entry(resources, pair.client, pair.room, said.seq)
    assert (found.body, found.erased) == (None, tombstone)
    after = await record.receipt(resources, pair.client, pair.room, said.seq)
    assert parse_receipt(before)[1] == parse_receipt(after)[1]  # the leaf is the same


async def test_a_receipt_proves_its_entry_without_the_server(resources: Resources) -> None:
    pair = await build_pair(resources)
    for n in range(20):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"message {n}"})
    for seq in (0, 7, 24):
        index, leaf, proof, note = parse_receipt(await record.receipt(resources, pair.client, pair.room, seq))
        checkpoint = verify_note(note, resources.signer.public_key)
        assert checkpoint.origin == f"test.example/room/{pair.room}"
        verify_inclusion(index, checkpoint.size, leaf_hash(leaf), proof, checkpoint.root)
        assert f'"seq":{seq}'.encode() in leaf


async def test_checkpoints_continue_each_other(resources: Resources, published: Published) -> None:
    pair = await build_pair(resources)
    (size1, note1) = (await checkpoints.sign_checkpoints(resources, [pair.room]))[pair.room]
    for n in range(5):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"message {n}"})
    (size2, note2) = (await checkpoints.sign_checkpoints(resources, [pair.room]))[pair.room]
    proof = await record.consistency(resources, pair.client, pair.room, size1, size2)
    root1 = verify_note(note1, resources.signer.public_key).root
    root2 = verify_note(note2, resources.signer.public_key).root
    verify_consistency(size1, size2, proof, root1, root2)
    assert [event.size for event in published.of(CheckpointReleased)] == [5, 10]
    with pytest.raises(InvalidBody):
        await record.consistency(resources, pair.client, pair.room, 3, 99)


async def test_the_head_row_holds_the_root_of_all_leaves(resources: Resources) -> None:
    pair = await build_pair(resources)
    for n in range(9):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"message {n}"})
    async with resources.database.read() as connection:
        size, root = (await rows.select_roots(connection, [pair.room]))[pair.room]
        hashes = await rows.select_leaf_hashes(connection, pair.room, size)
    assert (size, root) == (14, root_hash(hashes))


async def test_seen_moves_forward_only_and_is_no_entry(resources: Resources, published: Published) -> None:
    pair = await build_pair(resources)
    await record.append(resources, pair.freelancer, pair.room, "message", {"text": "one"})
    await record.append(resources, pair.freelancer, pair.room, "message", {"text": "two"})
    assert (await workrooms.my_rooms(resources, pair.client))[0].unread == 2
    for seq in (5, 3, 900):
        await record.mark_seen(resources, pair.client, pair.room, seq)
    assert [event.seq for event in published.of(Seen)] == [5, 6]
    summary = (await workrooms.my_rooms(resources, pair.client))[0]
    assert (summary.unread, summary.seen, summary.head) == (0, 6, 6)


async def test_the_last_words_of_rooms_are_what_people_wrote_however_long_ago(resources: Resources) -> None:
    spoken, silent, other = [await build_pair(resources, title) for title in ("Spoken", "Silent", "Other")]
    await record.append(resources, spoken.client, spoken.room, "message", {"text": "first"})
    said = await record.append(resources, spoken.freelancer, spoken.room, "message", {"text": "last"})
    await record.append(resources, other.client, other.room, "message", {"text": "not asked for"})

    async def go_on(tx: Tx) -> None:
        for _ in range(60):
            await tx.append(Draft(spoken.room, "room.rewound", "sys", {}))

    await resources.database.writer.run(go_on, rooms=(spoken.room,))
    assert await record.last_words(resources, [spoken.room, silent.room]) == {spoken.room: said}
    assert await record.last_words(resources, []) == {}


async def test_pages_lead_through_a_long_record_in_both_directions(resources: Resources) -> None:
    pair = await build_pair(resources)
    for n in range(30):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"message {n}"})
    last = await record.page(resources, pair.client, pair.room, limit=10)
    assert [entry.seq for entry in last.entries] == list(range(25, 35))
    earlier = await record.page(resources, pair.client, pair.room, before=25, limit=10)
    assert [entry.seq for entry in earlier.entries] == list(range(15, 25))
    assert (await record.page(resources, pair.client, pair.room, after=33)).entries[0].seq == 34


def test_bodies_are_stored_as_canonical_json() -> None:
    import rfc8785

    for body in ({"text": 'é\u2028\u0007\n"', "b": [1, True, None], "a": {"z": -5, "y": ""}}, {"text": "\x7f🙂"}):
        assert canonical(body) == rfc8785.dumps(body)


async def test_erased_bytes_are_gone_from_the_files_of_the_database(resources: Resources) -> None:
    pair = await build_pair(resources)
    secret = "correct-horse-battery-staple"
    said = await record.append(resources, pair.client, pair.room, "message", {"text": secret})

    async def erase(tx: Tx) -> None:
        tombstone = await tx.append(Draft(pair.room, "correction", "p1", {"text": "gone"}, ref=said.seq))
        await tx.erase(pair.room, said.seq, tombstone.seq)

    await resources.database.writer.run(erase, rooms=(pair.room,))
    await resources.database.writer.scrub()
    assert not resources.database.writer.has_erased
    if resources.database.dialect == "sqlite":
        for file in resources.settings.data.glob("workroom.sqlite3*"):
            assert secret.encode() not in file.read_bytes(), file.name


async def test_nobody_writes_faster_than_the_server_takes_it(resources: Resources, clock: ManualClock) -> None:
    resources.says = Allowances(5)
    pair = await build_pair(resources)
    for n in range(10):  # twice the rate at once
        await record.append(resources, pair.client, pair.room, "message", {"text": f"message {n}"})
    with pytest.raises(TooMany):
        await record.append(resources, pair.client, pair.room, "message", {"text": "one more"})
    await record.append(resources, pair.freelancer, pair.room, "message", {"text": "of another"})
    clock.now += 200
    await record.append(resources, pair.client, pair.room, "message", {"text": "a fifth of a second later"})
    with pytest.raises(TooMany):
        await record.append(resources, pair.client, pair.room, "message", {"text": "and at once again"})
