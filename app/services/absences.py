"""Absences: the vacations that members announce, for clocks that stand still and for calendars (rule 1.5).

Rule 1: a vacation is announced before it begins or on its first day; its days are those of the room's time zone.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.domain.errors import InvalidBody
from app.domain.timerange import DAY_MS, HOUR_MS, day_bounds, local_day
from app.services import matters
from app.services.access import Actor, member_of, room_info
from app.services.effects import Writing
from app.services.resources import Resources
from app.storage import absences as rows
from app.storage import matters as matter_rows

SHOWN_MAX = 500  # vacations of one room that calendars show
SHOWN_SINCE_MS = 400 * DAY_MS


class Absence(Struct, frozen=True):
    """A vacation of a member, `[from_at, to_at)`: whole days, `from_on` to `until_on`, announced by entry `seq`."""

    by: str
    seq: int
    from_on: date
    until_on: date
    from_at: int
    to_at: int


async def of(resources: Resources, actor: Actor, room: str) -> list[Absence]:
    """Return the vacations of a room's members, of the last 400 days and to come, the first to begin first.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    zone = ZoneInfo((await room_info(resources, room)).time_zone)
    since = resources.clock.record_now() - SHOWN_SINCE_MS
    async with resources.database.read() as conn:
        found = await rows.select_absences_in_room(conn, room, since, SHOWN_MAX)
    noon = 12 * HOUR_MS  # so that a day keeps its date where the room's zone changed since
    return [
        Absence(
            row.by, row.seq, local_day(row.from_at + noon, zone), local_day(row.until_at - noon, zone), row.from_at,
            row.until_at,
        )
        for row in found
    ]  # fmt: skip


async def on_announced(writing: Writing) -> None:
    """Note a vacation, and move the dates of what waits for that member. A schedule in words changes nothing.

    Raises:
        InvalidBody: if it began before today.
    """
    if writing.body["what"] != "vacation":
        return
    tx, entry, zone = writing.tx, writing.entry, ZoneInfo(writing.info.time_zone)
    first, last = date.fromisoformat(writing.body["from_on"]), date.fromisoformat(writing.body["until_on"])
    if first < local_day(entry.at, zone):
        raise InvalidBody("A vacation begins today or later: announce the days that are left.", field="body.from_on")
    bounds = day_bounds(first, zone)[0], day_bounds(last, zone)[1]
    await matter_rows.insert_absence(tx.conn, entry.room, entry.seq, entry.by, *bounds)
    await matters.move_due_dates(tx, writing.info, entry, entry.by)
