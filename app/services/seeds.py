"""Seeds: the randomness of the moments at which frames are taken (rule 2.3).

Rule 1: the digest of a seed is in the record before the seed is given out, in the same commit that stores it.
Rule 2: there is one seed per room, freelancer and UTC day, shared by all devices; none is ever drawn again.
Rule 3: days are of the record's clock; each seed is revealed once its day is over.
"""

from __future__ import annotations

from app.domain.bodies.system import SeedCommitment, SeedRevealed, TrackingSeeds
from app.domain.events import body_of
from app.domain.record import Draft, base64url
from app.domain.timerange import DAY_MS, utc_day
from app.domain.workrooms import SYSTEM, RoomInfo, Side
from app.domain.workview import SEED_BYTES, SEED_DAYS_AHEAD, seed_digest
from app.services.access import Actor, room_info
from app.services.resources import Resources
from app.storage import tracking as rows
from app.storage.tracking import SeedRow
from app.storage.writer import Tx

REVEALED_PER_SWEEP_MAX = 1_000  # the sweep comes again; one commit stays short

SeedsByRoom = dict[str, dict[str, bytes]]  # by room and UTC day


async def seeds_ahead(resources: Resources, actor: Actor, infos: list[RoomInfo]) -> SeedsByRoom:
    """Return the seeds of the next 14 UTC days for each of these rooms; those that are missing are drawn first."""
    now = resources.clock.record_now()
    days = [utc_day(now + ahead * DAY_MS) for ahead in range(SEED_DAYS_AHEAD)]
    async with resources.database.read() as conn:
        known = await rows.select_seeds(conn, actor.account, days)
    by_room = _by_room(infos, known)
    if all(len(by_room[info.id]) == len(days) for info in infos):
        return by_room

    async def work(tx: Tx) -> SeedsByRoom:
        present = await rows.select_seeds(tx.conn, actor.account, days)
        drawn: list[SeedRow] = []
        for info in infos:
            member = info.member_of(actor.account)
            missing = [day for day in days if not any(s.room == info.id and s.day == day for s in present)]
            if member is None or not missing:
                continue
            new = [SeedRow(info.id, actor.account, day, resources.random_bytes(SEED_BYTES)) for day in missing]
            commitments = [SeedCommitment(row.day, base64url(seed_digest(row.seed))) for row in new]
            kind, body = body_of(TrackingSeeds(member.by, commitments))
            await tx.append(Draft(info.id, kind, SYSTEM, body))
            drawn += new
        await rows.insert_seeds(tx.conn, drawn)
        return _by_room(infos, [*present, *drawn])

    return await resources.database.writer.run(work, rooms=[info.id for info in infos])


def _by_room(infos: list[RoomInfo], listed: list[SeedRow]) -> SeedsByRoom:
    by_room: SeedsByRoom = {info.id: {} for info in infos}
    for row in listed:
        if row.room in by_room:
            by_room[row.room][row.day] = row.seed
    return by_room


async def reveal_seeds(resources: Resources) -> int:
    """Put the seeds of days that are over into the record; return how many. Doing it twice changes nothing."""
    today = utc_day(resources.clock.record_now())
    async with resources.database.read() as conn:
        due = await rows.select_seeds_to_reveal(conn, today, REVEALED_PER_SWEEP_MAX)
    by_room: dict[str, list[SeedRow]] = {}
    for row in due:
        by_room.setdefault(row.room, []).append(row)
    revealed = 0
    for room, listed in by_room.items():
        info = await room_info(resources, room)
        by = {member.account: member.by for member in info.on_side(Side.FREELANCER)}

        async def work(tx: Tx, room: str = room, listed: list[SeedRow] = listed, by: dict[str, str] = by) -> int:
            count = 0
            for row in listed:
                kind, body = body_of(SeedRevealed(by[row.account], row.day, base64url(row.seed)))
                # The seq that the entry will have: a seed that another process revealed meanwhile gets no second one.
                if await rows.update_seed_revealed(tx.conn, row, tx.head(room).size):
                    await tx.append(Draft(room, kind, SYSTEM, body))
                    count += 1
            return count

        revealed += await resources.database.writer.run(work, rooms=(room,))
    return revealed
