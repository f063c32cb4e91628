"""Handovers: sealed at once, shown once to the receiver, and gone from every place where they lay (rule 1.10)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.config import Settings
from app.domain.errors import AlreadyAnswered, Conflict, Forbidden, InvalidBody, NotFound, OthersToAnswer, Unavailable
from app.domain.matters import MatterState
from app.domain.record import Entry
from app.domain.search import Query, Term
from app.domain.timerange import DAY_MS
from app.opening import database_url
from app.services import frames, handovers, record, room_closing, search, writing
from app.services.clock import ManualClock
from app.services.indexing import index_missed
from app.services.resources import Resources
from app.storage import fsck
from app.storage.handovers import insert_key, select_key
from app.storage.tables import disclosures, handover_keys
from app.storage.writer import Tx
from app.views.entries import entry_json
from tests.builders import Pair, build_account, build_pair
from tests.postgres import Cluster
from tests.published import Published

SECRET = "correct-battery-staple-77"
GIVEN = {"to": "p2", "label": "Host login", "secret": SECRET}


@pytest.fixture
async def pair(resources: Resources) -> Pair:
    return await build_pair(resources)


async def hand_over(resources: Resources, pair: Pair, cid: str | None = None, **changes: str) -> Entry:
    return await record.append(resources, pair.client, pair.room, "handover", GIVEN | changes, cid=cid)


async def test_a_secret_is_sealed_before_anything_else_sees_it(
    resources: Resources, pair: Pair, published: Published
) -> None:
    entry = await hand_over(resources, pair)
    assert entry.body is not None and entry.body["label"] == "Host login" and "secret" not in entry.body
    assert SECRET not in repr(published.events)
    for known in (await record.page(resources, pair.freelancer, pair.room)).entries:
        assert SECRET not in repr(known)
    await index_missed(resources)
    found = await search.search(resources, pair.client, Query((Term(("battery",)),)), room=pair.room)
    assert found.hits == []


async def test_a_secret_is_shown_once_to_its_receiver_and_erased_in_the_same_step(
    resources: Resources, pair: Pair
) -> None:
    seq = (await hand_over(resources, pair)).seq
    with pytest.raises(OthersToAnswer):
        await handovers.receive(resources, pair.client, pair.room, seq)
    assert await handovers.receive(resources, pair.freelancer, pair.room, seq) == SECRET
    entry, matter = await handovers.handover(resources, pair.freelancer, pair.room, seq)
    assert entry.body is None and matter.state is MatterState.RECEIVED
    assert matter.answer_seq is not None and entry.erased == matter.answer_seq
    received = await record.entry(resources, pair.client, pair.room, matter.answer_seq)
    assert (received.kind, received.by, received.ref) == ("handover.received", "p2", seq)
    assert received.body == {"label": "Host login"}
    with pytest.raises(AlreadyAnswered, match="received already"):
        await handovers.receive(resources, pair.freelancer, pair.room, seq)


async def test_a_secret_that_nobody_looks_at_is_erased_unseen(
    resources: Resources, pair: Pair, clock: ManualClock
) -> None:
    seq = (await hand_over(resources, pair)).seq
    clock.now += 14 * DAY_MS
    assert await writing.answer_silences(resources) == 1
    entry, matter = await handovers.handover(resources, pair.freelancer, pair.room, seq)
    assert entry.body is None and matter.state is MatterState.EXPIRED
    with pytest.raises(AlreadyAnswered, match="expired already"):
        await handovers.receive(resources, pair.freelancer, pair.room, seq)


async def test_closing_the_workroom_erases_what_nobody_looked_at(resources: Resources, pair: Pair) -> None:
    seq = (await hand_over(resources, pair)).seq
    await room_closing.close_room(resources, pair.client, pair.room)
    assert (await record.entry(resources, pair.client, pair.room, seq)).body is None
    with pytest.raises(AlreadyAnswered):
        await handovers.receive(resources, pair.freelancer, pair.room, seq)


async def test_a_repeat_is_the_same_handover_and_another_secret_is_a_conflict(resources: Resources, pair: Pair) -> None:
    first = await hand_over(resources, pair, "a")
    assert (await hand_over(resources, pair, "a")).seq == first.seq
    with pytest.raises(Conflict):
        await hand_over(resources, pair, "a", secret="another")
    other = await hand_over(resources, pair, "b")
    assert other.body is not None and first.body is not None
    assert other.body["sealed"] != first.body["sealed"], "equal secrets cannot be seen to be equal"


async def test_what_is_sealed_does_not_tell_how_long_a_secret_is(resources: Resources, pair: Pair) -> None:
    short, longer = await hand_over(resources, pair, secret="x"), await hand_over(resources, pair, secret="y" * 40)
    assert short.body is not None and longer.body is not None
    assert len(short.body["sealed"]) == len(longer.body["sealed"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to": "p2", "label": "x"}, "body.secret"),
        (GIVEN | {"secret": "  "}, "body.secret"),
        (GIVEN | {"secret": 7}, "body.secret"),
        (GIVEN | {"secret": "ä" * 5000}, "body.secret"),
        (GIVEN | {"secret": "\ud800"}, "body.secret"),
        (GIVEN | {"sealed": "A" * 40}, "body.sealed"),
        ({"to": "p2", "label": "x", "sealed": "A" * 40}, "body.sealed"),
        (GIVEN | {"to": "p1"}, "body.to"),
        (GIVEN | {"to": "p9"}, "body.to"),
        ({"to": "p2", "secret": SECRET}, "body.label"),
    ],
)
async def test_what_cannot_be_handed_over_is_refused_and_never_repeated(
    resources: Resources, pair: Pair, body: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidBody) as refused:
        await record.append(resources, pair.client, pair.room, "handover", body)
    assert refused.value.field == field
    assert SECRET not in str(refused.value) and SECRET not in repr(refused.value.__cause__)


@pytest.mark.parametrize(
    "secret", ["x", "ends with zero\0", "\x80\0\0", "two\nlines\r\n", "ü" * 4096, "a" * 63, "a" * 64]
)
async def test_every_secret_arrives_as_it_was_sent(resources: Resources, pair: Pair, secret: str) -> None:
    seq = (await hand_over(resources, pair, secret=secret)).seq
    assert await handovers.receive(resources, pair.freelancer, pair.room, seq) == secret


async def test_what_was_sealed_for_one_place_opens_in_no_other(resources: Resources, pair: Pair) -> None:
    entry, other = await hand_over(resources, pair, "a"), await hand_over(resources, pair, "b")
    async with resources.database.read() as connection:
        key = await select_key(connection, pair.room, entry.seq)
        other_key = await select_key(connection, pair.room, other.seq)
    assert handovers.unsealed(resources, entry, key) == SECRET
    for changed in ({"room": "0" * 26}, {"by": "p2"}, {"cid": "b"}, {"cid": None}):
        with pytest.raises(Unavailable, match="sealed with another key"):
            handovers.unsealed(resources, msgspec.structs.replace(entry, **changed), key)
    for wrong in (other_key, None):
        with pytest.raises(Unavailable):
            handovers.unsealed(resources, entry, wrong)


async def test_a_repeat_after_the_erasure_seals_nothing_anew(resources: Resources, pair: Pair) -> None:
    first = await hand_over(resources, pair, "a")
    await handovers.receive(resources, pair.freelancer, pair.room, first.seq)
    again = await hand_over(resources, pair, "a")
    assert (again.seq, again.body) == (first.seq, None)
    async with resources.database.read() as connection:
        assert (await connection.execute(handover_keys.select())).all() == []


async def test_a_refused_handover_leaves_no_key(resources: Resources, pair: Pair) -> None:
    with pytest.raises(InvalidBody):
        await hand_over(resources, pair, "a", to="p9")
    async with resources.database.read() as connection:
        assert (await connection.execute(handover_keys.select())).all() == []


async def test_what_is_sealed_leaves_the_server_in_no_answer(resources: Resources, pair: Pair) -> None:
    entry = await hand_over(resources, pair)
    assert entry.body is not None
    assert entry.body["sealed"] not in repr(entry_json(entry))
    for actor in (pair.client, pair.freelancer):
        with pytest.raises(Forbidden, match="shown once"):
            await record.disclosure(resources, actor, pair.room, entry.seq)


async def test_who_is_no_member_finds_no_handover(resources: Resources, pair: Pair) -> None:
    seq = (await hand_over(resources, pair)).seq
    stranger = await build_account(resources, "Eve Adams")
    with pytest.raises(NotFound):
        await handovers.receive(resources, stranger, pair.room, seq)
    with pytest.raises(NotFound):
        await handovers.receive(resources, pair.freelancer, pair.room, 0)


async def test_the_bytes_are_gone_from_the_disk_after_the_sweep(
    resources: Resources, pair: Pair, settings: Settings, request: pytest.FixtureRequest
) -> None:
    kept = await hand_over(resources, pair, label="Kept", secret="kept " * 40)
    gone = await hand_over(resources, pair, secret="gone " * 250)
    long = await hand_over(resources, pair, secret="long " * 1600)
    sealed = [entry.body["sealed"].encode() for entry in (kept, gone, long) if entry.body is not None]
    async with resources.database.read() as connection:
        keys = [await select_key(connection, pair.room, entry.seq) or b"" for entry in (kept, gone, long)]
    disk = Disk(settings, request)
    await disk.settle(resources)
    assert all(disk.holds(key) for key in keys)
    assert disk.holds(sealed[0]) and disk.holds(sealed[1])
    await handovers.receive(resources, pair.freelancer, pair.room, gone.seq)
    await handovers.receive(resources, pair.freelancer, pair.room, long.seq)
    await frames.erase_due_blobs(resources)
    await disk.settle(resources)
    assert disk.holds(sealed[0]) and disk.holds(keys[0])
    assert not disk.holds(keys[1]) and not disk.holds(keys[2]), "the key of an erased secret is on the disk"
    for each in sealed[1:]:
        assert not disk.holds(each), "an erased secret is on the disk"
        if (
            not settings.database_url
        ):  # PostgreSQL uses a dead row's place again; until then it opens nothing: its key is gone
            assert not [at for at in range(0, len(each) - 40, 40) if disk.holds(each[at : at + 40])]
    async with resources.database.read() as connection:
        left = (await connection.execute(disclosures.select().where(disclosures.c.seq == gone.seq))).all()
    assert left == []


async def test_fsck_finds_nothing_wrong_with_an_erased_secret_unless_its_key_is_there(
    resources: Resources, pair: Pair, settings: Settings
) -> None:
    first, second = await hand_over(resources, pair), await hand_over(resources, pair)
    await handovers.receive(resources, pair.freelancer, pair.room, first.seq)
    assert second.body is not None

    async def differences() -> list[str]:
        async with fsck.open_for_reading(database_url(settings)) as engine:
            return (await fsck.check(engine, None, resources.signer.verify, origin=resources.signer.origin)).differences

    assert await differences() == []

    async def bring_a_key_back(tx: Tx) -> None:
        await insert_key(tx.conn, pair.room, first.seq, "p1", None, bytes(32))

    await resources.database.writer.run(bring_a_key_back)
    [line] = await differences()
    assert "the key of a secret is still there" in line


class Disk:
    """The files in which the database keeps its rows: SQLite's file and WAL, or PostgreSQL's heap and toast."""

    def __init__(self, settings: Settings, request: pytest.FixtureRequest) -> None:
        self._settings = settings
        cluster = request.getfixturevalue("postgres_cluster") if settings.database_url else None
        self._cluster: Cluster | None = cluster

    async def settle(self, resources: Resources) -> None:
        """Let the database write its pages, so that files show what it holds."""
        if self._cluster is not None:
            await resources.database.rewrite(["CHECKPOINT"])

    def _files(self) -> Iterator[Path]:
        if self._cluster is None:
            yield from self._settings.data.glob("workroom.sqlite3*")
        else:
            yield from (path for path in (self._cluster._folder / "data" / "base").glob("*/*") if path.is_file())

    def holds(self, wanted: bytes) -> bool:
        return any(wanted in path.read_bytes() for path in self._files())
