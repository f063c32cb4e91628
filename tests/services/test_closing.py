"""Export and closing of an account, as services on both databases."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from sqlalchemy import select, update

from app.domain.errors import NotFound, NotSignedIn, StillActive, WrongPassword
from app.domain.live import AccessRevoked
from app.domain.record import Draft
from app.services import accounts, closing, record, workrooms
from app.services.access import Actor
from app.services.accounts import Client
from app.services.export import PAGE_ROWS, export_account
from app.services.resources import Resources
from app.storage.export import EXPORTED, LEFT_OUT
from app.storage.tables import entries, metadata, rooms
from app.storage.writer import Tx
from tests.builders import build_account, build_pair
from tests.published import Published

PASSWORD = "correct horse"
HERE = Client("192.0.2.1", "Firefox")


async def exported(resources: Resources, actor: Actor) -> tuple[dict[str, bytes], int]:
    """Return the files of an export, and the size of the largest piece in which it came."""
    pieces = [piece async for piece in await export_account(resources, actor)]
    packed = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert packed.testzip() is None
    return {name: packed.read(name) for name in packed.namelist()}, max(len(piece) for piece in pieces)


def lines(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.splitlines()]


async def test_an_export_holds_what_one_gave_and_wrote_and_no_secret(resources: Resources) -> None:
    pair = await build_pair(resources)
    ana = pair.freelancer
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    token = await accounts.new_token(resources, ana, "device", "Ana's laptop")
    await record.append(resources, ana, pair.room, "message", {"text": "Mine: ü"})
    await record.append(resources, pair.client, pair.room, "message", {"text": "Not mine"})
    files, _ = await exported(resources, ana)
    assert json.loads(files["account.json"])["email"] == ana.email
    [membership] = lines(files["memberships.jsonl"])
    assert (membership["id"], membership["title"], membership["side"]) == (
        pair.room,
        "Harbour booking site",
        "freelancer",
    )
    written = lines(files[f"written/{pair.room}.jsonl"])
    assert [entry["body"] for entry in written if entry["kind"] == "message"] == [{"text": "Mine: ü"}]
    assert "Ana's laptop" in files["tokens.jsonl"].decode() and "192.0.2.1" in files["sessions.jsonl"].decode()
    everything = b"".join(files.values()).decode()
    assert "Not mine" not in everything and token not in everything and signed.token not in everything
    assert "_hash" not in everything and "argon2" not in everything


async def test_an_export_withholds_what_is_restricted_but_its_digest_and_every_secret(resources: Resources) -> None:
    pair = await build_pair(resources)
    actor, room = pair.client, pair.room
    said = await record.append(resources, actor, room, "message", {"text": "tidal price", "restricted": True})
    file = {"name": "tidal.txt", "media": "text/plain", "bytes": 5, "sha256": "A" * 43}
    quoting = '"restricted":true'
    drafts = [
        Draft(room, "message", "p1", {"text": "with a file", "files": [file, {**file, "restricted": True}]}),
        Draft(room, "handover", "p1", {"to": "p2", "label": "The sandbox", "sealed": "c2VjcmV0" * 5}),
        Draft(room, "message", "p1", {"text": quoting}),
    ]
    for draft in drafts:
        await resources.database.writer.submit(draft)
    files, _ = await exported(resources, actor)
    restricted, attached, handed, quoted = lines(files[f"written/{room}.jsonl"])[-4:]
    async with resources.database.read() as connection:
        leaf = await connection.scalar(select(entries.c.leaf).where(entries.c.room == room, entries.c.seq == said.seq))
    assert leaf is not None
    assert (restricted["body"], restricted["withheld"], restricted["leaf"]) == (None, True, leaf.decode())
    assert attached["body"] == {"text": "with a file", "files": [file, {"sha256": "A" * 43, "restricted": True}]}
    assert handed["body"] == {"to": "p2", "label": "The sandbox"} and handed["withheld"]
    assert quoted["body"] == {"text": quoting} and "withheld" not in quoted
    everything = b"".join(files.values()).decode()
    assert "tidal price" not in everything and "c2VjcmV0" not in everything


async def test_an_export_of_much_comes_in_small_pieces(resources: Resources) -> None:
    pair = await build_pair(resources)
    for number in range(2 * PAGE_ROWS + 10):
        resources.database.writer.submit(_said(pair.room, number))
    await record.append(resources, pair.client, pair.room, "message", {"text": "last"})
    files, largest = await exported(resources, pair.client)
    written = [entry for entry in lines(files[f"written/{pair.room}.jsonl"]) if entry["kind"] == "message"]
    assert len(written) == 2 * PAGE_ROWS + 11
    assert largest < 200_000


def _said(room: str, number: int) -> Draft:
    return Draft(room, "message", "p1", {"text": f"Message {number}"})


def test_every_table_that_refers_to_accounts_is_exported_or_left_out_for_a_reason() -> None:
    referring = {
        table.name
        for table in metadata.sorted_tables
        if any(key.column.table.name == "accounts" for key in table.foreign_keys)
    }
    assert referring - EXPORTED.keys() - LEFT_OUT.keys() == set()
    for name, column in EXPORTED.items():
        assert name not in metadata.tables or column in metadata.tables[name].columns, name


async def test_closing_ends_everything_but_the_record(resources: Resources, published: Published) -> None:
    pair = await build_pair(resources)
    ana = pair.freelancer
    signed = await accounts.sign_in(resources, ana.email, PASSWORD, HERE)
    token = await accounts.new_token(resources, ana, "device", "laptop")
    with pytest.raises(WrongPassword):
        await closing.close_account(resources, ana, "wrong")
    await closing.close_account(resources, ana, PASSWORD)
    assert len(published.of(AccessRevoked)) == 2
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_session(resources, signed.token)
    with pytest.raises(NotSignedIn):
        await accounts.actor_of_token(resources, token, "device")
    with pytest.raises(NotFound):
        await accounts.account_of_email(resources, ana.email)
    [summary] = await workrooms.my_rooms(resources, pair.client)
    assert "Ana Novak" in {member.name for member in summary.info.members.values()}
    again = await build_account(resources, "Ana Novak")
    assert again.account != ana.account and await workrooms.my_rooms(resources, again) == []


async def test_closing_is_refused_while_a_workroom_is_active(resources: Resources) -> None:
    pair = await build_pair(resources)

    async def activate(state: str) -> None:
        async def work(tx: Tx) -> None:
            await tx.conn.execute(update(rooms).where(rooms.c.id == pair.room).values(state=state))

        await resources.database.writer.run(work)

    await activate("active")
    with pytest.raises(StillActive, match="Harbour booking site"):
        await closing.close_account(resources, pair.client, PASSWORD)
    await activate("closed")
    await closing.close_account(resources, pair.client, PASSWORD)
