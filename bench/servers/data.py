"""The data that our server is measured on, made through the services.

Rule 1: every person in a room is an account of its own, with a token of its own, as in life.
Rule 2: nothing is written to a table directly, so that the record of a bench is as good as any other.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Iterable
from datetime import date
from hashlib import sha256
from typing import TypeVar

from msgspec import Struct

from app.domain.live import CellState
from app.domain.record import base64url
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS, datetime_of, segment_of, segment_start
from app.domain.wire import FrameHeader
from app.domain.workrooms import Side
from app.domain.workview import TICK_MS_MAX
from app.services import accounts, intake, record, ticks, tracking, workrooms, workview
from app.services.access import Actor
from app.services.accounts import Client
from app.services.resources import Resources
from app.services.ticks import TickReport
from bench.screens import Screen, screens

MADE_AT_ONCE = 200
READY_SECONDS_MAX = 60.0
T = TypeVar("T")


class Place(Struct, frozen=True):
    """A person in a room: the first is the client, the second a freelancer. `device` is a token for /agent."""

    room: str
    actor: Actor
    token: str
    device: str


class Pages(Struct, frozen=True):
    """What the page row opens: a client's cookie, the room, the day with frames."""

    cookie: str
    room: str
    day: str


async def in_waves(work: Iterable[Awaitable[T]]) -> list[T]:
    """Await many, a few hundred at a time."""
    waiting, done = list(work), []
    for start in range(0, len(waiting), MADE_AT_ONCE):
        done += await asyncio.gather(*waiting[start : start + MADE_AT_ONCE])
    return done


async def make_rooms(resources: Resources, rooms: int, people: int) -> list[Place]:
    """Open rooms of so many people each, in the order of rooms."""

    async def person(number: int) -> tuple[Actor, str, str]:
        actor = await accounts.create_account(resources, f"p{number}@bench.invalid", f"Person {number}")
        token = await accounts.new_token(resources, actor, "api", "bench")
        return actor, token, await accounts.new_token(resources, actor, "device", "bench")

    async def room(number: int) -> list[Place]:
        here = [await person(number * people + n) for n in range(people)]
        client, freelancer, *others = (actor for actor, _, _ in here)
        opened = await workrooms.open_room(resources, client.account, freelancer.account, f"Bench {number}")
        for actor in others:
            await workrooms.join(resources, actor.account, opened, Side.FREELANCER)
        return [Place(opened, *person) for person in here]

    made = await in_waves(room(number) for number in range(rooms))
    return [place for places in made for place in places]


async def make_pages(resources: Resources, places: list[Place], entries: int, frames: int) -> Pages:
    """Fill the first room with messages and a day of yesterday with frames; sign its client in.

    Raises:
        TimeoutError: if the thumbnails are not made in time.
    """
    client, freelancer = places[0].actor, places[1].actor
    room = places[0].room
    link = await accounts.new_link(resources, client)
    signed_in = await accounts.sign_in_with_link(resources, link.rpartition("/")[2], Client("127.0.0.1", "bench"))
    now = resources.clock.record_now()
    start = now - now % DAY_MS - DAY_MS + 8 * HOUR_MS
    await _work(resources, freelancer, room, start, frames)
    day = datetime_of(start).date()
    await _thumbnails_ready(resources, client, room, day, frames)
    for number in range(entries):
        author = client if number % 2 else freelancer
        text = f"Message {number}: the berths of the inner harbour now show who booked them, and until when."
        await record.append(resources, author, room, "message", {"text": text})
    head = (await record.page(resources, client, room, limit=1)).head
    await record.mark_seen(resources, client, room, head)
    return Pages(signed_in.token, room, day.isoformat())


async def _work(resources: Resources, actor: Actor, room: str, start: int, frames: int) -> None:
    """Track one session, begun offline, with a frame in each segment."""
    session = str(uuid.uuid4())
    end = start + frames * SEGMENT_MS
    await tracking.start(resources, actor, room, session, start, device="bench", comment="Berths", work_view=True)
    drawn = await asyncio.to_thread(screens)
    for segment in range(segment_of(start), segment_of(end - 1) + 1):
        first = segment_start(segment)
        reports = [
            TickReport(at, at + TICK_MS_MAX, documented=True) for at in range(first, first + SEGMENT_MS, TICK_MS_MAX)
        ]
        await ticks.ticks(resources, actor, session, reports)
        screen = drawn[segment % len(drawn)]
        header = frame_header(screen, session, segment, first + SEGMENT_MS // 2)
        await intake.take_frame(resources, actor, header, screen.data)
    await tracking.stop(resources, actor, session, end)


async def _thumbnails_ready(resources: Resources, actor: Actor, room: str, day: date, frames: int) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            shown = await workview.day(resources, actor, room, on=day)
            if sum(cell.state is CellState.READY for hour in shown.hours for cell in hour.cells) == frames:
                return
            await asyncio.sleep(0.1)


def frame_header(screen: Screen, session: str, segment: int, taken_at: int) -> FrameHeader:
    """Return the header of a new frame with this picture."""
    return FrameHeader(
        id=str(uuid.uuid4()),
        session=session,
        segment=segment,
        taken_at=datetime_of(taken_at),
        width=screen.width,
        height=screen.height,
        media="image/webp",
        sha256=base64url(sha256(screen.data).digest()),
    )
