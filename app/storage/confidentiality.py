"""Rows of confidentiality: who downloaded what is restricted, contents and files."""

from __future__ import annotations

import msgspec
from sqlalchemy import literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import accounts, entry_views, file_views
from app.storage.tracking import upsert


class ViewRow(msgspec.Struct, frozen=True):
    """Who downloaded something restricted of an entry: its content, or the file at `position`."""

    seq: int
    position: int | None
    name: str
    first_at: int
    viewed_at: int
    times: int


async def upsert_entry_view(conn: AsyncConnection, room: str, seq: int, account: str, now: int) -> None:
    """Count a download of an entry's content."""
    statement = upsert(conn, entry_views).values(
        room=room, seq=seq, account=account, first_at=now, viewed_at=now, times=1
    )
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["room", "seq", "account"],
            set_={"viewed_at": now, "times": entry_views.c.times + 1},
        )
    )


async def select_views(conn: AsyncConnection, room: str, limit: int) -> list[ViewRow]:
    """Return the last downloads of what is restricted in a room, the newest first."""
    contents = (
        select(
            entry_views.c.seq,
            null().label("position"),
            accounts.c.name,
            entry_views.c.first_at,
            entry_views.c.viewed_at,
            entry_views.c.times,
        )
        .join(accounts, accounts.c.id == entry_views.c.account)
        .where(entry_views.c.room == room)
    )
    files = (
        select(
            file_views.c.seq,
            (file_views.c.position + literal(0)).label("position"),
            accounts.c.name,
            file_views.c.first_at,
            file_views.c.viewed_at,
            file_views.c.times,
        )
        .join(accounts, accounts.c.id == file_views.c.account)
        .where(file_views.c.room == room)
    )
    both = union_all(files, contents).subquery()
    query = select(both).order_by(both.c.viewed_at.desc(), both.c.seq.desc()).limit(limit)
    return [ViewRow(*row) for row in await conn.execute(query)]
