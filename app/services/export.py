"""Export of one's account: a zip of JSON lines, made while it is sent (rule 8.1).

Rule 1: never wholly in memory: a page of rows is read, packed and passed on; no connection is held between pages.
Rule 2: it holds what one gave and wrote, and nothing that authenticates; what others wrote is in the record of each
    workroom, which has an export of its own.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from app.domain.timerange import datetime_of, instant_text
from app.services.access import Actor
from app.services.accounts import own_account
from app.services.passwords import count_attempt
from app.services.resources import Resources
from app.storage import export as rows

PAGE_ROWS = 500  # read and packed at a time: a few hundred kilobytes of the longest texts

_README = """This is what the Workroom server keeps of your account: one JSON object a line.

account.json       who you are here
memberships.jsonl  your workrooms, and the pseudonym under which you stand in the record of each
written/ROOM.jsonl everything that you wrote in a workroom; erased contents are null, and so are
                   restricted ones: "withheld" says so, and the digest in "leaf" stays
*.jsonl            sessions, devices and tokens, jobs, proposals, notices and settings: what there is of each

Times are milliseconds since 1970 in UTC. The records of your workrooms, with what others wrote and with proofs, are
downloaded in the workrooms.
"""


async def export_account(resources: Resources, actor: Actor) -> AsyncIterator[bytes]:
    """Return the zip as an iterator of pieces.

    Raises:
        TooMany: after too many exports in 15 minutes.
    """
    count_attempt(resources, [f"export {actor.account}"])
    account = await own_account(resources, actor)
    told = {
        "id": account.id,
        "name": account.name,
        "email": account.email,
        "email_verified_at": account.verified_at,
        "has_password": account.password_hash is not None,
        "second_factor_since": account.factor_at,
        "operator": account.operator,
        "created_at": account.created_at,
        "exported_at": instant_text(resources.clock.real_now()),
    }
    return _pieces(resources, actor, told)


async def _pieces(resources: Resources, actor: Actor, told: dict[str, Any]) -> AsyncIterator[bytes]:
    sink = _Sink()
    now = datetime_of(resources.clock.real_now())
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:

        def info(name: str) -> zipfile.ZipInfo:
            made = zipfile.ZipInfo(name, (now.year, now.month, now.day, now.hour, now.minute, now.second))
            made.compress_type = zipfile.ZIP_DEFLATED
            return made

        packed.writestr(info("README.txt"), _README)
        packed.writestr(info("account.json"), msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        async with resources.database.read() as conn:
            memberships = await rows.select_memberships(conn, actor.account)
        packed.writestr(info("memberships.jsonl"), _lines(memberships))
        yield sink.taken()
        for table in rows.exported_tables():
            offset, page = 0, await _rows_of(resources, table, actor.account, 0)
            if not page:
                continue
            with packed.open(info(f"{table.name}.jsonl"), "w", force_zip64=True) as file:
                while page:
                    await asyncio.to_thread(file.write, _lines(page))
                    yield sink.taken()
                    offset += len(page)
                    page = await _rows_of(resources, table, actor.account, offset)
        for room in memberships:
            with packed.open(info(f"written/{room['id']}.jsonl"), "w", force_zip64=True) as file:
                after = -1
                while page := await _written(resources, room["id"], room["by"], after):
                    await asyncio.to_thread(file.write, _lines(page))
                    yield sink.taken()
                    after = page[-1]["seq"]
    yield sink.taken()


async def _rows_of(resources: Resources, table: Any, account: str, offset: int) -> list[dict[str, Any]]:
    async with resources.database.read() as conn:
        return await rows.select_rows_of(conn, table, account, offset, PAGE_ROWS)


async def _written(resources: Resources, room: str, by: str, after: int) -> list[dict[str, Any]]:
    async with resources.database.read() as conn:
        return await rows.select_written(conn, room, by, after, PAGE_ROWS)


def _lines(page: list[dict[str, Any]]) -> bytes:
    return msgspec.json.Encoder().encode_lines(page)


class _Sink(io.RawIOBase):
    """What the zip is written into: it cannot be sought, so the packer never goes back; `taken` empties it."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        piece = bytes(self._held)
        self._held.clear()
        return piece
