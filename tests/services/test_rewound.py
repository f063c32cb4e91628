"""A workroom whose database fell behind what was signed: it refuses, until the operator says so in its record."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

from app.config import Settings
from app.control import ask_server, serve_control
from app.domain.checkpoint import parse_checkpoint, parse_receipt
from app.domain.errors import Malformed, RecordRewound
from app.domain.live import CheckpointReleased
from app.opening import database_url, open_resources
from app.services import operator, record
from app.services.checkpoints import latest_checkpoint, sign_checkpoints
from app.services.resources import Resources
from app.storage.fsck import Report, check, open_for_reading, read_released
from app.storage.keys import ReleasedSizes
from tests.builders import Pair, build_pair
from tests.published import Published

REASON = "The disk failed; the backup was a day old."
BACKED_UP = 6  # entries: those of a new workroom and a message
SIGNED = 9


@dataclass(frozen=True)
class Restored:
    """A data folder with an older database beside the newer key and released sizes."""

    settings: Settings
    pair: Pair

    async def fsck(self, resources: Resources) -> Report:
        released = read_released(self.settings.data / "key.released")
        async with open_for_reading(database_url(self.settings)) as engine:
            signer = resources.signer
            return await check(engine, resources.blobs, signer.verify, origin=signer.origin, released=released)


async def say(resources: Resources, pair: Pair, text: str) -> int:
    return (await record.append(resources, pair.client, pair.room, "message", {"text": text})).seq


@pytest.fixture
async def restored(sqlite_settings: Settings) -> Restored:
    """Back up, go on for some entries and a checkpoint, and put the backup back."""
    database = sqlite_settings.data / "workroom.sqlite3"
    async with open_resources(sqlite_settings) as resources:
        pair = await build_pair(resources)
        await say(resources, pair, "in the backup")
        await sign_checkpoints(resources, [pair.room])
    shutil.copy(database, sqlite_settings.data / "backup")
    async with open_resources(sqlite_settings) as resources:
        for number in range(SIGNED - BACKED_UP):
            await say(resources, pair, f"lost {number}")
        await sign_checkpoints(resources, [pair.room])
    for name in ("workroom.sqlite3-wal", "workroom.sqlite3-shm"):
        (sqlite_settings.data / name).unlink(missing_ok=True)
    (sqlite_settings.data / "backup").replace(database)
    return Restored(sqlite_settings, pair)


async def test_a_rewound_room_goes_on_once_the_operator_has_said_why(restored: Restored, published: Published) -> None:
    pair, room = restored.pair, restored.pair.room
    async with (
        open_resources(restored.settings, publish=published.publish) as resources,
        serve_control(resources, restored.settings.data / "control.sock"),
    ):
        with pytest.raises(RecordRewound) as refused:
            await say(resources, pair, "too early")
        assert refused.value.code == "record_rewound" and "app room rewound" in str(refused.value)
        assert f"{room}: {BACKED_UP} entries, but a checkpoint of {SIGNED} was signed" in str(
            (await restored.fsck(resources)).differences
        )

        arguments = {"room": room, "reason": REASON}
        answer = await ask_server(restored.settings.data / "control.sock", "room rewound", arguments)
        assert answer.refusal is None and answer.lines[-1] == str(BACKED_UP)
        told = await record.entry(resources, pair.client, room, BACKED_UP)
        assert (told.kind, told.by) == ("room.rewound", "sys")
        assert told.body == {"reason": REASON, "signed_size": SIGNED, "held_size": BACKED_UP}
        assert [event.size for event in published.of(CheckpointReleased)] == [BACKED_UP + 1]

        assert await say(resources, pair, "on it goes") == BACKED_UP + 1
        receipt = await record.receipt(resources, pair.client, room, BACKED_UP + 1)
        assert parse_checkpoint(parse_receipt(receipt)[3]).size == BACKED_UP + 2
        assert (await restored.fsck(resources)).differences == []
        again = await ask_server(restored.settings.data / "control.sock", "room rewound", arguments)
        assert again.refusal is not None and again.refusal.startswith("This workroom is not rewound")


async def test_what_was_accepted_holds_after_a_restart(restored: Restored) -> None:
    pair = restored.pair
    async with open_resources(restored.settings) as resources:
        await operator.run(resources, "room rewound", {"room": pair.room, "reason": REASON})
    async with open_resources(restored.settings) as resources:
        assert resources.database.writer.refused_rooms == {}
        assert await say(resources, pair, "after the restart") == BACKED_UP + 1
        await sign_checkpoints(resources, [pair.room])
        assert parse_checkpoint(await latest_checkpoint(resources, pair.client, pair.room)).size == BACKED_UP + 2
        assert resources.released.sizes[pair.room] == BACKED_UP + 2


@pytest.mark.parametrize("reason", [" ", "x" * 2001])
async def test_without_a_reason_that_can_be_read_it_goes_on_refusing(restored: Restored, reason: str) -> None:
    async with open_resources(restored.settings) as resources:
        with pytest.raises(Malformed):
            await operator.run(resources, "room rewound", {"room": restored.pair.room, "reason": reason})
        with pytest.raises(RecordRewound):
            await say(resources, restored.pair, "still refused")


async def test_a_room_that_holds_all_that_was_signed_is_not_rewound(resources: Resources) -> None:
    pair = await build_pair(resources)
    with pytest.raises(Malformed, match="is not rewound"):
        await operator.run(resources, "room rewound", {"room": pair.room, "reason": REASON})
    assert await say(resources, pair, "as before") == BACKED_UP - 1


def test_only_a_reset_makes_a_released_size_smaller(restored_sizes: ReleasedSizes) -> None:
    path = restored_sizes._path
    with path.open("a") as file:
        file.write("a 1\nb 1")  # the second was torn: it began as `b 12`
    sizes = ReleasedSizes(path)
    assert sizes.sizes == {"a": 10, "b": 20}
    sizes.reset("a", 4)
    sizes.release({"b": 21})
    assert ReleasedSizes(path).sizes == read_released(path) == {"a": 4, "b": 21}


@pytest.fixture
def restored_sizes(sqlite_settings: Settings) -> ReleasedSizes:
    sizes = ReleasedSizes(sqlite_settings.data / "key.released")
    sizes.release({"a": 10, "b": 20})
    return sizes
