"""Rows of handovers: the keys of secrets that are sealed. `Tx.erase` deletes a key with what it sealed."""

from __future__ import annotations

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import handover_keys

_DEAD = text(
    "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE relname IN ('disclosures', 'handover_keys')"
)


async def insert_key(conn: AsyncConnection, room: str, seq: int, by: str, cid: str | None, key: bytes) -> None:
    """Store the key of the secret that is about to be appended as `seq`."""
    await conn.execute(insert(handover_keys).values(room=room, seq=seq, by=by, cid=cid, key=key))


async def select_key(conn: AsyncConnection, room: str, seq: int) -> bytes | None:
    """Return the key of a secret that nobody has seen yet."""
    query = select(handover_keys.c.key).where(handover_keys.c.room == room, handover_keys.c.seq == seq)
    found = await conn.scalar(query)
    return None if found is None else bytes(found)


async def select_key_of_cid(conn: AsyncConnection, room: str, by: str, cid: str) -> bytes | None:
    """Return the key with which the same request was sealed before."""
    query = select(handover_keys.c.key).where(
        handover_keys.c.room == room, handover_keys.c.by == by, handover_keys.c.cid == cid
    )
    found = await conn.scalar(query)
    return None if found is None else bytes(found)


async def has_dead_rows(conn: AsyncConnection) -> bool:
    """Whether PostgreSQL holds dead rows of contents: another process may have erased them."""
    return conn.dialect.name == "postgresql" and bool(await conn.scalar(_DEAD))
