"""`python -m app verify`: what holds is told line by line, and the first thing that is wrong."""

from __future__ import annotations

import asyncio
import os
import sys
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.config import Settings
from app.domain.errors import NotFound, ProofError
from app.opening import open_resources
from app.services import record
from app.services.resources import Resources
from app.storage.keys import load_signer
from app.verify import verify
from tests.builders import build_pair, erase

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Files:
    """What a member keeps of an entry, and of another one of the same room."""

    room: str
    receipt: str
    content: bytes
    key: str
    other_receipt: str
    other_content: bytes

    def lines(self) -> list[str]:
        return list(verify(self.receipt.encode(), self.content, self.key))


@pytest.fixture
async def files(sqlite_settings: Settings) -> Files:
    """Receipts and contents of the entries 6 and 7 of a room of ten."""
    async with open_resources(sqlite_settings) as resources:
        pair = await build_pair(resources)
        for number in range(5):
            await record.append(resources, pair.client, pair.room, "message", {"text": f"Ça va {number}?"})
        receipts = [await record.receipt(resources, pair.client, pair.room, seq) for seq in (6, 7)]
        contents = [await record.disclosure(resources, pair.freelancer, pair.room, seq) for seq in (6, 7)]
        key = resources.signer.verifier_key(pair.room)
        return Files(pair.room, receipts[0], contents[0], key, receipts[1], contents[1])


def test_each_check_that_holds_is_a_line(files: Files) -> None:
    named, checkpoint, inclusion, signature, content = files.lines()
    assert named.startswith(f"receipt: entry 6 of workroom {files.room}, a `message` by p1 at 20")
    assert checkpoint == f"checkpoint: 10 entries, of test.example/room/{files.room}"
    assert inclusion == "inclusion: the leaf stands as number 6 under the checkpoint's root"
    assert signature == f"signature: it is that of {files.key}"
    assert content == 'content: {"text": "Ça va 1?"}'


def test_without_a_key_nothing_is_verified_however_well_the_rest_holds(files: Files) -> None:
    lines = []
    with pytest.raises(ProofError, match=r"^not verified: give --key "):
        for line in verify(files.receipt.encode(), files.content):
            lines.append(line)
    *held, told, content = lines
    assert [*held, content] == [line for line in files.lines() if not line.startswith("signature")]
    assert told.startswith("signature: NOT checked") and told.endswith("+".join(files.key.split("+")[:2]))


def with_leaf(files: Files, before: bytes, after: bytes) -> str:
    line = files.receipt.split("\n")[1]
    leaf = b64decode(line.removeprefix("extra "))
    assert before in leaf
    return files.receipt.replace(line, f"extra {b64encode(leaf.replace(before, after)).decode()}")


def test_the_first_thing_that_is_wrong_is_told(files: Files, tmp_path: Path) -> None:
    receipt, lines = files.receipt, files.receipt.split("\n")
    foreign = load_signer(tmp_path / "foreign", "test.example").verifier_key(files.room)
    other_room = files.key.replace(files.room, "0" * 26)
    note = lines.index("")
    wrong: dict[str, list[Files]] = {
        "receipt: ": [
            replace(files, receipt=text)
            for text in (
                "", "nonsense", receipt.replace("\n\n", "\n"), receipt.replace("index 6", f"index {'9' * 5000}"),
                receipt.replace("index 6", "index 06"), receipt.replace("index 6", "index 7"),
                with_leaf(files, b'"kind":"message"', b'"kind":"\\u001b[2J"'), with_leaf(files, b'"v":1', b'"v":2'),
                receipt.replace(lines[1], "extra AAAA"), receipt.replace(lines[3], "=" + lines[3]),
            )
        ],
        "inclusion: ": [
            replace(files, receipt=text)
            for text in (
                with_leaf(files, b'"by":"p1"', b'"by":"p2"'),
                "\n".join([*lines[:3], *lines[4:]]), "\n".join([*lines[:4], *lines[3:]]),
                receipt.replace(f"\n{lines[note + 2]}\n", "\n6\n"),
                receipt.replace(lines[note + 3], b64encode(bytes(32)).decode()),
            )
        ],
        "checkpoint: ": [
            replace(files, receipt=text)
            for text in (
                receipt.replace(lines[note + 1], f"test.example/room/{'0' * 26}"),
                receipt.replace(f"\n{lines[note + 2]}\n", f"\n{'9' * 5000}\n"),
                receipt.replace(lines[note + 1], f"\x1b[2J/room/{files.room}"),
                "\n".join(lines[: note + 4]) + "\n",
            )
        ],
        "signature: ": [replace(files, key=key) for key in (foreign, other_room, "nonsense", "", files.key[:-4])],
        "content: ": [
            replace(files, content=content)
            for content in (files.other_content, files.content + b"\n", files.content.replace(b"1?", b"2?"), b"")
        ],
    }  # fmt: skip
    for name, cases in wrong.items():
        for case in cases:
            assert case != files, name
            with pytest.raises(ProofError) as caught:
                case.lines()
            assert str(caught.value).startswith(name), (name, str(caught.value))


async def test_an_erased_content_is_not_disclosed_but_its_receipt_holds(resources: Resources) -> None:
    pair = await build_pair(resources)
    said = (await record.append(resources, pair.client, pair.room, "message", {"text": "secret"})).seq
    kept = await record.disclosure(resources, pair.freelancer, pair.room, said)
    tombstone = await erase(resources, pair.room, said)
    with pytest.raises(NotFound, match=f"was erased by entry {tombstone}"):
        await record.disclosure(resources, pair.freelancer, pair.room, said)
    receipt = await record.receipt(resources, pair.client, pair.room, said)
    key = resources.signer.verifier_key(pair.room)
    assert len(list(verify(receipt.encode(), kept, key))) == 5


async def test_a_content_is_for_members(resources: Resources) -> None:
    pair = await build_pair(resources)
    elsewhere = await build_pair(resources, "Another one")
    for room, seq in ((pair.room, 99), ("0" * 26, 0)):
        with pytest.raises(NotFound):
            await record.disclosure(resources, pair.client, room, seq)
    stranger = replace(elsewhere.client, account="z" * 26)
    with pytest.raises(NotFound):
        await record.disclosure(resources, stranger, pair.room, 0)


async def test_the_command_needs_files_only_and_its_status_says_the_result(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "r").write_text(files.receipt)
    (folder / "c").write_bytes(files.content)
    (folder / "other").write_bytes(files.other_content)

    async def run(*arguments: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "verify", *arguments,
            cwd=folder, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    status, out, err = await run("r", "--content", "c", "--key", files.key)
    assert (status, err) == (0, "") and out.splitlines() == [*files.lines(), "verified"]
    status, out, err = await run("r", "--content", "other", "--key", files.key)
    assert status == 1 and "verified" not in out and err.startswith("content: it is not what the entry commits to")
    (folder / "forged").write_text(files.receipt.rstrip("\n")[:-8] + "AAAAAAA=\n")
    status, out, err = await run("forged")
    assert status == 1 and "\nverified" not in out and "\ninclusion: " in out
    assert err.startswith("not verified: give --key")
    (folder / "forged").unlink()
    status, out, err = await run("missing")
    assert (status, out) == (1, "") and err.startswith("missing: No such file")
    assert sorted(path.name for path in folder.iterdir()) == ["c", "other", "r"]
