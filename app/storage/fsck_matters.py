"""What fsck checks of matters: each is one of the record, stands as its last answer left it, and no answer is ignored.

Rule 1: the record is the truth; the table `matters` only remembers how it came out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.matters import ANSWERS, TRANSITIONS, MatterState
from app.storage.tables import entries, matters

MATTERS_PAGE = 500
# States that come without an answer of their own: the room was closed, or what was accepted took the place of others.
OVERTAKEN = {("room.closed", MatterState.EXPIRED.value), ("terms.accepted", MatterState.WITHDRAWN.value)}

Differ = Callable[[str], None]


async def check_matters(conn: AsyncConnection, differ: Differ) -> int:
    """Compare every matter with the record; return how many there are."""
    looked_at, after = 0, ("", -1)
    while True:
        page = (await conn.execute(_query(after))).all()
        if not page:
            await _check_forgotten(conn, differ)
            return looked_at
        looked_at += len(page)
        after = (page[-1].room, page[-1].seq)
        for row in page:
            for line in _differences(row):
                differ(f"{row.room}/{row.seq}: {line}")


def _query(after: tuple[str, int]) -> Any:
    asked, answer = entries.alias("asked"), entries.alias("answer")
    return (
        select(
            matters.c.room, matters.c.seq, matters.c.kind, matters.c.by, matters.c.state, matters.c.answer_seq,
            asked.c.kind.label("asked_kind"), asked.c.by.label("asked_by"),
            answer.c.kind.label("answer_kind"), answer.c.ref.label("answer_ref"),
        )
        .select_from(
            matters.outerjoin(asked, (asked.c.room == matters.c.room) & (asked.c.seq == matters.c.seq)).outerjoin(
                answer, (answer.c.room == matters.c.room) & (answer.c.seq == matters.c.answer_seq)
            )
        )
        .where(
            (matters.c.room > after[0]) | ((matters.c.room == after[0]) & (matters.c.seq > after[1]))
        )
        .order_by(matters.c.room, matters.c.seq)
        .limit(MATTERS_PAGE)
    )  # fmt: skip


def _differences(row: Row[Any]) -> Iterator[str]:
    if (row.asked_kind, row.asked_by) != (row.kind, row.by):
        yield f"a matter `{row.kind}` by {row.by}, but the entry is `{row.asked_kind}` by {row.asked_by}"
    if row.state == MatterState.OPEN.value:
        if row.answer_seq is not None:
            yield "open, but it names an answer"
        return
    outcomes = {
        (answer, state.value) for steps in TRANSITIONS.get(row.kind, {}).values() for answer, state in steps.items()
    }
    own = (row.answer_kind, row.state) in outcomes and row.answer_ref == row.seq
    if not own and (row.answer_kind, row.state) not in OVERTAKEN:
        yield f"`{row.state}`, but entry {row.answer_seq} is `{row.answer_kind}` about {row.answer_ref}"


async def _check_forgotten(conn: AsyncConnection, differ: Differ) -> None:
    """Find entries that ask or answer and of which the table knows nothing."""
    kinds = sorted(TRANSITIONS)
    query = (
        select(entries.c.room, entries.c.seq, entries.c.kind)
        .outerjoin(matters, (matters.c.room == entries.c.room) & (matters.c.seq == entries.c.seq))
        .where(entries.c.kind.in_(kinds), matters.c.seq.is_(None))
        .limit(MATTERS_PAGE)
    )
    for row in await conn.execute(query):
        differ(f"{row.room}/{row.seq}: `{row.kind}` asks for an answer, and no matter knows of it")
    ignored = (
        select(entries.c.room, entries.c.seq, entries.c.kind, entries.c.ref)
        .outerjoin(matters, (matters.c.room == entries.c.room) & (matters.c.seq == entries.c.ref))
        .where(
            entries.c.kind.in_(sorted(ANSWERS)),
            (matters.c.seq.is_(None)) | (matters.c.answer_seq.is_(None)) | (matters.c.answer_seq < entries.c.seq),
        )
        .limit(MATTERS_PAGE)
    )
    for answer in await conn.execute(ignored):
        differ(f"{answer.room}/{answer.seq}: `{answer.kind}` answers {answer.ref}, whose matter does not know of it")
