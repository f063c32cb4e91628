"""fsck finds each kind of damage, says where, and is silent about what is right."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from app.config import Settings
from app.domain.bodies.system import FrameDeleted, FrameTaken
from app.domain.events import body_of
from app.domain.merkle import append_peak, leaf_hash, root_of_peaks
from app.domain.record import Draft, base64url, canonical, commitment, disclosure_bytes, leaf_bytes
from app.domain.timerange import instant_text
from app.opening import database_url as url_of
from app.opening import open_resources
from app.services import record
from app.services.checkpoints import sign_checkpoints
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.backup import back_up
from app.storage.fsck import Report, check, open_for_reading
from app.storage.tables import frames, matters
from app.storage.writer import Tx
from tests.builders import Pair, build_pair
from tests.postgres import Cluster

FRAME = "0b0e7f3c-3f6c-4a53-9f57-1f2a3b4c5d6e"
PICTURE = b"no real picture, but fsck only looks at its digest"


@dataclass
class House:
    """Resources with a room that has some messages, a checkpoint and a frame."""

    resources: Resources
    settings: Settings
    pair: Pair

    async def fsck(self, **options: Any) -> Report:
        resources = self.resources
        async with open_for_reading(url_of(self.settings)) as engine:
            return await check(
                engine, resources.blobs, resources.signer.verify, origin=resources.signer.origin, **options
            )

    async def differences(self) -> list[str]:
        """Return what fsck finds, without the room's id."""
        return [line.replace(self.pair.room, "room") for line in (await self.fsck()).differences]

    def damage(self, *statements: tuple[str, Sequence[object]]) -> None:
        """Change the SQLite file behind the server's back, past its guards."""
        with closing(sqlite3.connect(self.settings.data / "workroom.sqlite3")) as connection, connection:
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            for statement, values in statements:
                connection.execute(statement, values)
            for _, sql in triggers:
                connection.execute(sql)


async def furnish(resources: Resources, settings: Settings) -> House:
    pair = await build_pair(resources)
    for number in range(3):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"message {number}"})
    await sign_checkpoints(resources, [pair.room])
    await add_frame(resources, pair)
    await sign_checkpoints(resources, [pair.room])
    return House(resources, settings, pair)


async def add_frame(resources: Resources, pair: Pair) -> None:
    await resources.blobs.put_frame(FRAME, PICTURE)
    now = resources.clock.record_now()
    digest = sha256(PICTURE).digest()
    kind, body = body_of(
        FrameTaken(
            member="p2", session=FRAME, frame=FRAME, segment=now // 720_000, taken_at=instant_text(now),
            media="image/png", bytes=len(PICTURE), sha256=base64url(digest), width=1, height=1,
        )
    )  # fmt: skip

    async def work(tx: Tx) -> None:
        entry = await tx.append(Draft(pair.room, kind, "sys", body))
        await tx.conn.execute(
            insert(frames).values(
                id=FRAME, room=pair.room, account=pair.freelancer.account, session=FRAME, segment=now // 720_000,
                taken_at=now, media="image/png", bytes=len(PICTURE), sha256=digest, width=1, height=1, at_stop=False,
                state="stored", seq=entry.seq, stored_at=now, erased_at=None,
            )
        )  # fmt: skip

    await resources.database.writer.run(work, rooms=(pair.room,))


async def erase_frame(resources: Resources, pair: Pair) -> None:
    async def work(tx: Tx) -> None:
        seq = await tx.conn.scalar(select(frames.c.seq).where(frames.c.id == FRAME))
        assert seq is not None
        kind, body = body_of(FrameDeleted(member="p2", segment=0))
        entry = await tx.append(Draft(pair.room, kind, "p2", body, ref=seq))
        await tx.erase(pair.room, seq, entry.seq)
        now = resources.clock.record_now()
        await tx.conn.execute(
            update(frames).where(frames.c.id == FRAME).values(state="deleted", sha256=None, erased_at=now)
        )

    await resources.database.writer.run(work, rooms=(pair.room,))
    await resources.blobs.delete_frame(FRAME)


@pytest.fixture
async def house(resources: Resources, settings: Settings) -> House:
    """On SQLite and on PostgreSQL."""
    return await furnish(resources, settings)


@pytest.fixture
async def file_house(sqlite_settings: Settings) -> AsyncIterator[House]:
    """On SQLite, whose file a test can damage."""
    async with open_resources(sqlite_settings, clock=ManualClock(1_790_000_000_000)) as resources:
        yield await furnish(resources, sqlite_settings)


async def test_a_record_that_is_right_is_clean(house: House) -> None:
    report = await house.fsck(released=house.resources.released.sizes)
    assert report.differences == []
    assert report.entries.looked_at == 9
    assert (report.checkpoints.looked_at, report.heads.looked_at, report.frames.looked_at) == (2, 1, 1)
    assert report.lines()[-1] == "fsck: clean"


async def test_an_erased_frame_is_no_difference(house: House) -> None:
    await erase_frame(house.resources, house.pair)
    report = await house.fsck()
    assert report.differences == []
    assert report.erasures.looked_at == 1


async def test_it_finds_a_picture_that_changed_or_went_or_stayed(house: House) -> None:
    path = house.resources.blobs.frame_path(FRAME)
    path.write_bytes(b"another picture")
    assert await house.differences() == [f"room/8 frame {FRAME}: the picture has another digest"]
    path.unlink()
    assert await house.differences() == [f"room/8 frame {FRAME}: the picture is missing"]
    await erase_frame(house.resources, house.pair)
    path.write_bytes(PICTURE)
    assert await house.differences() == [f"room/8 frame {FRAME}: deleted, but {FRAME} is still there"]


async def test_it_finds_that_less_is_there_than_was_signed(house: House) -> None:
    report = await house.fsck(released={house.pair.room: 12, "0" * 26: 4})
    assert report.differences == [
        f"{house.pair.room}: 9 entries, but a checkpoint of 12 was signed",
        f"{'0' * 26}: the whole room is gone, but a checkpoint of it was signed",
    ]


async def test_a_foreign_signature_is_found(house: House) -> None:
    def refuse(note: bytes) -> tuple[str, int, bytes]:
        _, size, root = house.resources.signer.verify(note)
        return "elsewhere", size, root

    async with open_for_reading(url_of(house.settings)) as engine:
        report = await check(engine, None, refuse, origin=house.resources.signer.origin)
    assert [line.partition(": it is of ")[2] for line in report.differences] == [
        "elsewhere, size 8",
        "elsewhere, size 9",
    ]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ('UPDATE disclosures SET body = \'{"text":"forged"}\' WHERE seq = 5', "room/5: salt and body are not those"),
        ("UPDATE disclosures SET salt = zeroblob(32) WHERE seq = 5", "room/5: salt and body are not those"),
        ("UPDATE disclosures SET body = x'ff00' WHERE seq = 5", "room/5: its body is not JSON"),
        ("DELETE FROM disclosures WHERE seq = 5", "room/5: its contents are missing, and no entry says"),
        ("UPDATE entries SET \"by\" = 'p2' WHERE seq = 5", "room/5: `by` of the leaf is not that of the row"),
        ("UPDATE entries SET at = at + 60000 WHERE seq = 5", "room/5: `at` of the leaf is not that of the row"),
        ("UPDATE entries SET ref = 1 WHERE seq = 5", "room/5: `ref` of the leaf is not that of the row"),
        ("UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq = 5", "room/5: the stored leaf hash is not that"),
        ("UPDATE entries SET leaf = leaf || ' ' WHERE seq = 5", "room/5: the leaf is not canonical JSON"),
        ("DELETE FROM entries WHERE seq = 5", "room/6: seq 5 was expected: entries are missing"),
        ("DELETE FROM entries WHERE seq = 8", "room: the head says 9 entries, there are 8"),
        ("UPDATE room_heads SET root = zeroblob(32)", "room: the head's root is not that of its entries"),
        ("UPDATE room_heads SET peaks = x''", "room: the head's right edge is not that of its entries"),
        ("UPDATE checkpoints SET size = 7 WHERE size = 8", "room: checkpoint of 7: it is of test.example"),
        ("UPDATE checkpoints SET note = 'nonsense' WHERE size = 8", "room: checkpoint of 8: A checkpoint has origin"),
        ("UPDATE checkpoints SET size = 70 WHERE size = 8", "room: checkpoint of 70, but there are 9 entries"),
        ("INSERT INTO erasures SELECT id, 5, 6 FROM rooms", "room/5: erased by 6, but its contents are still there"),
        ("INSERT INTO erasures SELECT id, 5, 60 FROM rooms", "room/5: its tombstone is not there"),
        ("UPDATE disclosures SET seq = 90 WHERE seq = 5", "room/90: contents without an entry"),
        ("UPDATE frames SET sha256 = zeroblob(32)", f"room/8 frame {FRAME}: its entry names another"),
        ("UPDATE frames SET state = 'ready'", f"room/8 frame {FRAME}: the thumbnail is missing"),
        ("UPDATE frames SET seq = 5", f"room/5 frame {FRAME}: its entry is no frame.taken"),
        ("UPDATE entries SET at = 'soon' WHERE seq = 5", "room/5: a column is of another type"),
        ("DELETE FROM room_heads", "room: it has no head"),
        ("DROP TRIGGER entries_no_update", "the guard entries_no_update is missing"),
    ],
)
async def test_it_finds_damage(file_house: House, statement: str, found: str) -> None:
    if statement.startswith("DROP"):
        with closing(sqlite3.connect(file_house.settings.data / "workroom.sqlite3")) as connection, connection:
            connection.execute(statement)
    else:
        file_house.damage((statement, ()))
    differences = await file_house.differences()
    assert any(line.startswith(found) for line in differences), differences


async def test_a_rewritten_history_is_found_even_where_every_row_fits(file_house: House) -> None:
    """Who rewrites body, salt, leaf, hash and head still cannot sign the checkpoint that was released."""
    room = file_house.pair.room
    path = file_house.settings.data / "workroom.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute('SELECT seq, kind, "by", at, leaf FROM entries ORDER BY seq').fetchall()
    body, salt = {"text": "forged"}, os.urandom(32)
    commit = commitment(disclosure_bytes(room, 5, salt, body))
    forged = leaf_bytes(Draft(room, rows[5][1], rows[5][2], body), 5, rows[5][3], commit)
    leaves = [forged if row[0] == 5 else bytes(row[4]) for row in rows]
    peaks: tuple[bytes, ...] = ()
    for size, leaf in enumerate(leaves):
        peaks = append_peak(peaks, size, leaf_hash(leaf))
    file_house.damage(
        ("UPDATE disclosures SET body = ?, salt = ? WHERE seq = 5", (canonical(body), salt)),
        ("UPDATE entries SET leaf = ?, leaf_hash = ? WHERE seq = 5", (forged, leaf_hash(forged))),
        ("UPDATE room_heads SET root = ?, peaks = ?", (root_of_peaks(peaks), b"".join(peaks))),
    )
    assert await file_house.differences() == [
        "room: checkpoint of 8: its root is not that of the first 8 entries",
        "room: checkpoint of 9: its root is not that of the first 9 entries",
    ]


async def test_it_is_clean_while_the_server_writes(file_house: House) -> None:
    writing = asyncio.Event()

    async def write() -> None:
        while not writing.is_set():
            await record.append(
                file_house.resources, file_house.pair.client, file_house.pair.room, "message", {"text": "more"}
            )

    task = asyncio.create_task(write())
    try:
        for _ in range(3):
            assert (await file_house.fsck()).differences == []
    finally:
        writing.set()
        await task


async def test_a_backup_proves_itself_and_can_be_made_again_into_the_same_folder(
    file_house: House, tmp_path: Path
) -> None:
    resources, target = file_house.resources, tmp_path / "backup"
    url = url_of(file_house.settings)
    first = await back_up(url, resources.blobs, target)
    assert (first.rooms, first.entries, first.pictures) == (1, 9, 1)
    copy = target / "blobs" / "frames" / FRAME[:2] / FRAME
    assert copy.read_bytes() == PICTURE
    await erase_frame(resources, file_house.pair)
    second = await back_up(url, resources.blobs, target)
    assert (second.entries, second.pictures) == (10, 0)
    assert not copy.exists()
    async with open_for_reading(second.url) as engine:
        report = await check(engine, None, resources.signer.verify, origin=resources.signer.origin)
    assert report.differences == []


async def test_nothing_of_what_was_erased_is_in_a_backup(file_house: House, tmp_path: Path) -> None:
    digest = base64url(sha256(PICTURE).digest()).encode()
    target = tmp_path / "backup"
    await back_up(url_of(file_house.settings), file_house.resources.blobs, target)
    assert digest in (target / "workroom.sqlite3").read_bytes()
    await erase_frame(file_house.resources, file_house.pair)
    await back_up(url_of(file_house.settings), file_house.resources.blobs, target)
    assert digest not in (target / "workroom.sqlite3").read_bytes()


async def test_postgresql_is_backed_up_by_its_own_tool(postgres_cluster: Cluster, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", database_url=postgres_cluster.create_database(), origin="test.example")
    async with open_resources(settings, clock=ManualClock(1_790_000_000_000)) as resources:
        await furnish(resources, settings)
        holding = await back_up(settings.database_url, resources.blobs, tmp_path / "backup")
    assert (holding.entries, holding.pictures) == (9, 1)
    assert (tmp_path / "backup" / "workroom.dump").read_bytes().startswith(b"PGDMP")


async def test_a_matter_that_does_not_stand_as_the_record_says_is_found(house: House) -> None:
    pair, resources = house.pair, house.resources
    proposed = {"name": "Omar Haddad", "side": "client"}
    asked = await record.append(resources, pair.freelancer, pair.room, "member.proposed", proposed)
    answer = await record.append(resources, pair.client, pair.room, "member.approved", {}, asked.seq)
    other = await record.append(resources, pair.freelancer, pair.room, "member.proposed", proposed)
    assert await house.differences() == []

    async def forge(tx: Tx) -> None:
        await tx.conn.execute(update(matters).where(matters.c.seq == asked.seq).values(state="declined"))
        await tx.conn.execute(delete(matters).where(matters.c.seq == other.seq))

    await resources.database.writer.run(forge)
    assert await house.differences() == [
        f"room/{asked.seq}: `declined`, but entry {answer.seq} is `member.approved` about {asked.seq}",
        f"room/{other.seq}: `member.proposed` asks for an answer, and no matter knows of it",
    ]
