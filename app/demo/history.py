"""The demo's history: the days before its first moment, written through the services on a clock that is set by hand.

Rule 1: the same services as live work: sessions, ticks, frames at their moments, messages, hours that close.
Rule 2: a few drawings stand for many moments; each frame is a file of its own all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import structlog

from app.demo.story import CLIENT, JOBS, OPERATOR, PASSWORD, Job, Said, Worked
from app.domain.record import base64url
from app.domain.timerange import DAY_MS, MINUTE_MS, datetime_of, segment_end, segment_of, segment_start, utc_day
from app.domain.wire import FrameHeader
from app.domain.workview import TICK_MS_MAX, moment_of
from app.services import accounts, intake, record, ticks, tracking, workrooms
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.services.seeds import reveal_seeds
from app.services.ticks import TickReport
from app.services.workview import close_due_hours
from tracker import pictures, screens

DRAWINGS = 8  # a person; drawing and encoding takes a fifth of a second each

log = structlog.get_logger()


@dataclass(frozen=True)
class Picture:
    """An encoded screen."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Step:
    """One thing that happened, at a record instant."""

    at: int
    job: Job
    what: Said | Worked


async def write_history(resources: Resources, clock: ManualClock, first_moment: int) -> None:
    """Create the demo's people and rooms and everything that happened before `first_moment`."""
    lines: list[tuple[Job, Said | Worked]] = []
    for job in JOBS:
        lines += [(job, said) for said in job.said]
        lines += [(job, worked) for worked in job.worked]
    days_before = max(line.day for _, line in lines)
    midnight = first_moment - first_moment % DAY_MS
    clock.now = midnight - days_before * DAY_MS
    client = await accounts.create_account(resources, *CLIENT, PASSWORD)
    await accounts.create_account(resources, *OPERATOR, PASSWORD, operator=True)
    rooms: dict[str, str] = {}
    people: dict[str, Actor] = {}
    for job in JOBS:
        freelancer = await accounts.create_account(resources, job.email, job.name, PASSWORD)
        people[job.email] = freelancer
        rooms[job.email] = await workrooms.open_room(
            resources, client.account, freelancer.account, job.title, time_zone=job.time_zone, demo=True
        )
    drawings = {job.drawn: await asyncio.to_thread(_draw, job.drawn) for job in JOBS}
    steps = [Step(midnight - line.day * DAY_MS + line.minute * MINUTE_MS, job, line) for job, line in lines]
    for step in sorted(steps, key=lambda step: step.at):
        room, freelancer = rooms[step.job.email], people[step.job.email]
        if isinstance(step.what, Said):
            clock.now = max(clock.now, step.at)
            author = client if step.what.by == "client" else freelancer
            await record.append(resources, author, room, "message", {"text": step.what.text})
        else:
            await _work(resources, clock, freelancer, room, step, drawings[step.job.drawn])
        await close_due_hours(resources)
    clock.now = first_moment
    await close_due_hours(resources)
    await reveal_seeds(resources)
    for room in rooms.values():
        page = await record.page(resources, client, room, limit=1)
        await record.mark_seen(resources, client, room, page.head - 2)
        for freelancer in people.values():
            if resources.rooms[room].member_of(freelancer.account) is not None:
                await record.mark_seen(resources, freelancer, room, page.head)


async def _work(
    resources: Resources, clock: ManualClock, actor: Actor, room: str, step: Step, drawings: list[Picture]
) -> None:
    """Track one session: ticks of a minute, and a frame at the moment of each segment."""
    assert isinstance(step.what, Worked)
    start, end = step.at, step.at + step.what.minutes * MINUTE_MS
    clock.now = start
    seeds = (await tracking.hello(resources, actor)).seeds[room]
    session = _uuid(f"{room} {start}")
    await tracking.start(
        resources, actor, room, session, start, device="Ana's laptop", comment=step.what.comment, work_view=True
    )
    clock.now = end
    for segment in range(segment_of(start), segment_of(end - 1) + 1):
        first, last = max(start, segment_start(segment)), min(end, segment_end(segment))
        reports = [
            TickReport(at, min(at + TICK_MS_MAX, last), documented=True) for at in range(first, last, TICK_MS_MAX)
        ]
        await ticks.ticks(resources, actor, session, reports)
        moment = moment_of(seeds[utc_day(first)], segment, first)
        taken_at, at_stop = (moment, False) if moment < last else (last, True)
        picture = drawings[segment % len(drawings)]
        header = FrameHeader(
            id=_uuid(f"{session} {segment}"),
            session=session,
            segment=segment,
            taken_at=datetime_of(taken_at),
            width=picture.width,
            height=picture.height,
            media="image/webp",
            sha256=base64url(hashlib.sha256(picture.data).digest()),
            at_stop=at_stop,
        )
        await intake.take_frame(resources, actor, header, picture.data)
    await tracking.stop(resources, actor, session, end)


def _draw(persona: str) -> list[Picture]:
    drawn = []
    for number in range(DRAWINGS):
        data, picture = pictures.encoded(screens.draw(persona, number))
        drawn.append(Picture(data, picture.width, picture.height))
    return drawn


def _uuid(text: str) -> str:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
