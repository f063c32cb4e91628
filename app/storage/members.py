"""Rows of members: seats of those whom both sides agreed on, and where members talk besides."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import elsewhere, members, seats
from app.storage.tracking import upsert


class SeatRow(msgspec.Struct, frozen=True):
    """An approved proposal and its present invitation. `taken_by` is the account that joined by it."""

    room: str
    seq: int
    side: str
    token_hash: bytes
    invited_by: str
    invited_at: int
    expires_at: int
    taken_by: str | None = None
    taken_at: int | None = None


class ElsewhereRow(msgspec.Struct, frozen=True):
    """Where a member also talks (of "email", "chat", "phone"), since when, and when they last answered about it."""

    channels: tuple[str, ...]
    since: int
    answered_at: int | None = None


async def upsert_seat(conn: AsyncConnection, row: SeatRow) -> None:
    """Store a seat, or its next invitation; the one before opens nothing any more."""
    statement = upsert(conn, seats).values(**msgspec.structs.asdict(row))
    names = ("token_hash", "invited_by", "invited_at", "expires_at")
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["room", "seq"], set_={name: statement.excluded[name] for name in names}
        )
    )


async def select_seat_by_token(conn: AsyncConnection, token_hash: bytes) -> SeatRow | None:
    """Return the seat that an invitation is for."""
    row = (await conn.execute(select(seats).where(seats.c.token_hash == token_hash))).first()
    return None if row is None else SeatRow(*row)


async def select_seats(conn: AsyncConnection, room: str) -> dict[int, SeatRow]:
    """Return a room's seats by the seq of their proposal."""
    return {row.seq: SeatRow(*row) for row in await conn.execute(select(seats).where(seats.c.room == room))}


async def update_seat_taken(conn: AsyncConnection, room: str, seq: int, account: str, now: int) -> bool:
    """Give a seat to an account; return whether it was free."""
    query = update(seats).where(seats.c.room == room, seats.c.seq == seq, seats.c.taken_by.is_(None))
    return bool((await conn.execute(query.values(taken_by=account, taken_at=now))).rowcount)


async def select_joined(conn: AsyncConnection, room: str) -> dict[str, int]:
    """Return, by pseudonym, when each member joined."""
    query = select(members.c.by, members.c.joined_at).where(members.c.room == room)
    return {row.by: row.joined_at for row in await conn.execute(query)}


# Where members talk besides


async def select_elsewhere(conn: AsyncConnection, room: str, account: str) -> ElsewhereRow | None:
    """Return what a member said about talking elsewhere."""
    query = select(elsewhere.c.channels, elsewhere.c.since, elsewhere.c.answered_at)
    row = (await conn.execute(query.where(elsewhere.c.room == room, elsewhere.c.account == account))).first()
    return None if row is None else ElsewhereRow(tuple(row.channels.split()), row.since, row.answered_at)


async def replace_elsewhere(conn: AsyncConnection, room: str, account: str, row: ElsewhereRow) -> None:
    """Store what a member says now."""
    await conn.execute(delete(elsewhere).where(elsewhere.c.room == room, elsewhere.c.account == account))
    await conn.execute(
        insert(elsewhere).values(
            room=room, account=account, channels=" ".join(row.channels), since=row.since, answered_at=row.answered_at
        )
    )


async def update_elsewhere_answered(conn: AsyncConnection, room: str, account: str, now: int) -> None:
    """Note that a member answered the question, or transcribed something."""
    query = update(elsewhere).where(elsewhere.c.room == room, elsewhere.c.account == account)
    await conn.execute(query.values(answered_at=now))
