"""Reading: how far each member of a room has read. It lies outside the record, and is shown to all of them."""

from __future__ import annotations

from sqlalchemy import select

from app.services.access import Actor, member_of
from app.services.resources import Resources
from app.storage.tables import members


async def seen_by(resources: Resources, actor: Actor, room: str) -> dict[str, int]:
    """Return, by pseudonym, the seq up to which each member has read; -1 for nothing.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        rows = await connection.execute(select(members.c.by, members.c.seen_seq).where(members.c.room == room))
        return {row.by: row.seen_seq for row in rows}
