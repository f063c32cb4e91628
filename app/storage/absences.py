"""Rows of absences, as calendars show them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import absences


async def select_absences_in_room(conn: AsyncConnection, room: str, since: int, limit: int) -> list[Any]:
    """Return rows (seq, by, from_at, until_at) of vacations that end after `since`, the first to begin first."""
    query = select(absences).where(absences.c.room == room, absences.c.until_at > since)
    return list(await conn.execute(query.order_by(absences.c.from_at, absences.c.seq).limit(limit)))
