"""Rows of terms and milestones: accepted versions, which never change, and milestones as they stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.record import canonical
from app.domain.terms import Milestone, MilestoneState, Terms, body_of_terms, terms_of
from app.storage.tables import entries, milestones, terms

VERSIONS_MAX = 1_000  # of one freelancer's terms: three changes a week for six years


async def insert_version(conn: AsyncConnection, version: Terms, zone_applied: bool) -> None:
    """Store a version that was just accepted."""
    await conn.execute(
        insert(terms).values(
            room=version.room, member=version.member, version=version.version, seq=version.seq,
            accepted_seq=version.accepted_seq, accepted_at=version.accepted_at,
            body=canonical(body_of_terms(version.what)), week_at=version.week_at, zone_applied=zone_applied,
        )
    )  # fmt: skip


async def select_versions(conn: AsyncConnection, room: str, member: str) -> list[Terms]:
    """Return the versions of a freelancer's terms, in order."""
    return (await select_room_versions(conn, room, member)).get(member, [])


async def select_room_versions(conn: AsyncConnection, room: str, member: str | None = None) -> dict[str, list[Terms]]:
    """Return the versions of all freelancers of a room, or of one, in order, by pseudonym."""
    query = select(terms).where(terms.c.room == room).order_by(terms.c.member, terms.c.version)
    if member is not None:
        query = query.where(terms.c.member == member)
    found: dict[str, list[Terms]] = {}
    for row in await conn.execute(query):
        what = terms_of(msgspec.json.decode(row.body))
        found.setdefault(row.member, []).append(
            Terms(row.room, row.member, row.version, row.seq, row.accepted_seq, row.accepted_at, what, row.week_at or 0)
        )
    return found


async def select_authors(conn: AsyncConnection, room: str, seqs: Collection[int]) -> dict[int, str]:
    """Return who wrote these entries of a room."""
    query = select(entries.c.seq, entries.c.by).where(entries.c.room == room, entries.c.seq.in_(list(seqs)))
    return {row.seq: row.by for row in await conn.execute(query)}


async def select_rooms_due(conn: AsyncConnection, now: int, limit: int) -> list[str]:
    """Return rooms with a time zone or weekly limit that holds by `now` and was not applied yet."""
    query = select(terms.c.room).where(terms.c.zone_applied.is_(False), terms.c.week_at <= now).distinct().limit(limit)
    return list((await conn.execute(query)).scalars())


async def update_applied(conn: AsyncConnection, room: str, now: int) -> None:
    """Note that what holds by `now` was applied to the room."""
    await conn.execute(
        update(terms)
        .where(terms.c.room == room, terms.c.zone_applied.is_(False), terms.c.week_at <= now)
        .values(zone_applied=True)
    )


async def select_milestones(conn: AsyncConnection, room: str, member: str | None = None) -> list[Milestone]:
    """Return the milestones of a room, or of one freelancer, in their order."""
    query = select(milestones).where(milestones.c.room == room)
    if member is not None:
        query = query.where(milestones.c.member == member)
    return [
        Milestone(
            row.member, row.key, row.position, row.name, row.amount_minor, row.currency, row.due_on,
            MilestoneState(row.state), row.seq,
        )
        for row in await conn.execute(query.order_by(milestones.c.member, milestones.c.position, milestones.c.key))
    ]  # fmt: skip


async def update_milestone_state(conn: AsyncConnection, room: str, milestone: Milestone) -> None:
    """Store the state of a milestone, and the entry that set it."""
    await conn.execute(
        update(milestones)
        .where(
            milestones.c.room == room, milestones.c.member == milestone.member, milestones.c.key == milestone.key
        )
        .values(state=milestone.state.value, seq=milestone.seq)
    )  # fmt: skip


async def replace_milestones(conn: AsyncConnection, room: str, member: str, listed: Sequence[Milestone]) -> None:
    """Store what milestones a freelancer has now; those that are not listed are gone."""
    await conn.execute(delete(milestones).where(milestones.c.room == room, milestones.c.member == member))
    if listed:
        await conn.execute(
            insert(milestones),
            [{"room": room, **msgspec.to_builtins(milestone)} for milestone in listed],
        )
