"""The demo's history: the days before its first moment, written through the services on a clock that is set by hand.

Rule 1: the same services as live work: sessions, ticks, frames at their moments, messages, hours that close.
Rule 2: screens are drawn for the very moment of their frame, by a few processes beside this one.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from app.demo.agreed import SIGNS, SIGNS_PROPOSAL, Wrote
from app.demo.story import CLIENT, JOBS, OPERATOR, PASSWORD, Job, Said, Worked
from app.domain.jobs import Soon
from app.domain.record import base64url
from app.domain.timerange import DAY_MS, MINUTE_MS, datetime_of, segment_end, segment_of, segment_start, utc_day
from app.domain.wire import FrameHeader
from app.domain.workview import TICK_MS_MAX, moment_of
from app.services import accounts, intake, jobs, proposals, record, ticks, tracking, uploads, workrooms
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.proposals import NewProposal
from app.services.resources import Resources
from app.services.seeds import reveal_seeds
from app.services.ticks import TickReport
from app.services.workview import close_due_hours
from app.views.files import ref_of
from tracker import pictures, screens

DRAWING_PROCESSES = 2  # a screen takes a fifth of a second to draw and encode; there are about seventy

log = structlog.get_logger()


@dataclass(frozen=True)
class Picture:
    """An encoded screen, drawn for the instant `taken_at`."""

    taken_at: int
    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Step:
    """One thing that happened, at a record instant."""

    at: int
    act: Callable[[], Awaitable[object]]


async def write_history(resources: Resources, clock: ManualClock, first_moment: int) -> None:
    """Create the demo's people and rooms and everything that happened before `first_moment`."""
    lines: list[tuple[Job, Said | Wrote | Worked]] = []
    for job in JOBS:
        lines += [(job, wrote) for wrote in job.wrote]
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
    context = multiprocessing.get_context("spawn")  # a fork would copy the loop that we run in
    with ProcessPoolExecutor(DRAWING_PROCESSES, context) as drawing:
        await _live_through(resources, clock, _steps(resources, lines, client, people, rooms, midnight, drawing))
    clock.now = first_moment
    await _offer_signs(resources, client, people[JOBS[-1].email])
    await close_due_hours(resources)
    await reveal_seeds(resources)
    await _read_most(resources, client, list(people.values()), list(rooms.values()))


def _steps(
    resources: Resources,
    lines: list[tuple[Job, Said | Wrote | Worked]],
    client: Actor,
    people: dict[str, Actor],
    rooms: dict[str, str],
    midnight: int,
    drawing: Executor,
) -> list[Step]:
    steps: list[Step] = []
    seqs: dict[tuple[str, str], int] = {}
    for job, line in lines:
        at = midnight - line.day * DAY_MS + line.minute * MINUTE_MS
        room, freelancer = rooms[job.email], people[job.email]
        if isinstance(line, Said):
            author, body = client if line.by == "client" else freelancer, {"text": line.text}
            steps.append(Step(at, partial(record.append, resources, author, room, "message", body)))
        elif isinstance(line, Wrote):
            author = client if line.by == "client" else freelancer
            steps.append(Step(at, partial(_write, resources, author, room, line, at, seqs)))
        else:
            end = at + line.minutes * MINUTE_MS
            steps += _Work(resources, freelancer, room, at, end, line.comment, job.drawn, drawing).steps()
    return sorted(steps, key=lambda step: step.at)


async def _write(
    resources: Resources, author: Actor, room: str, line: Wrote, at: int, seqs: dict[tuple[str, str], int]
) -> None:
    """Append an entry; `seqs` knows those that are answered later by their names."""
    body = line.body_on(datetime_of(at).date())
    if line.files:
        body = body | {"files": [await _attach(resources, author, room, *file) for file in line.files]}
    entry = await record.append(
        resources, author, room, line.kind, body, seqs[room, line.answers] if line.answers else None
    )
    seqs[room, line.name] = entry.seq


async def _attach(resources: Resources, author: Actor, room: str, name: str, text: str) -> dict[str, Any]:
    """Upload a file as its author; return what an entry says of it."""

    async def pieces() -> AsyncIterator[bytes]:
        yield text.encode()

    return ref_of(await uploads.receive_whole(resources, author, room, name, pieces()))


async def _offer_signs(resources: Resources, client: Actor, freelancer: Actor) -> None:
    """Post a job that has a proposal and waits for its client."""
    job = await jobs.post_job(resources, client, SIGNS)
    await proposals.send_proposal(
        resources, freelancer, job, NewProposal(SIGNS_PROPOSAL, "580", Soon.FORTNIGHT.value, version=1)
    )


async def _live_through(resources: Resources, clock: ManualClock, steps: list[Step]) -> None:
    for step in steps:
        clock.now = max(clock.now, step.at)
        await step.act()
        await close_due_hours(resources)


async def _read_most(resources: Resources, client: Actor, people: list[Actor], rooms: list[str]) -> None:
    """Let everybody have read everything, but the client the last words of each room."""
    for room in rooms:
        head = (await record.page(resources, client, room, limit=1)).head
        await record.mark_seen(resources, client, room, head - 6)
        for freelancer in people:
            if resources.rooms[room].member_of(freelancer.account) is not None:
                await record.mark_seen(resources, freelancer, room, head)


@dataclass
class _Work:
    """A session of the history: ticks of a minute, and a frame at the moment of each segment."""

    resources: Resources
    actor: Actor
    room: str
    start: int
    end: int
    comment: str
    persona: str
    drawing: Executor
    pictures: dict[int, Future[Picture]] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """Return the session as steps: its start, each segment when it has passed, its end."""
        found = [Step(self.start, self._begin)]
        for segment in self._segments():
            found.append(Step(min(self.end, segment_end(segment)), partial(self._segment, segment)))
        return [*found, Step(self.end, self._stop)]

    @property
    def session(self) -> str:
        return _uuid(f"{self.room} {self.start}")

    def _segments(self) -> range:
        return range(segment_of(self.start), segment_of(self.end - 1) + 1)

    async def _begin(self) -> None:
        seeds = (await tracking.hello(self.resources, self.actor)).seeds[self.room]
        for segment in self._segments():
            first, last = max(self.start, segment_start(segment)), min(self.end, segment_end(segment))
            taken_at = min(moment_of(seeds[utc_day(first)], segment, first), last)
            self.pictures[segment] = self.drawing.submit(_draw, self.persona, taken_at)
        device = f"{self.actor.name.split()[0]}'s laptop"
        await tracking.start(
            self.resources, self.actor, self.room, self.session, self.start, device=device, comment=self.comment
        )

    async def _segment(self, segment: int) -> None:
        first, last = max(self.start, segment_start(segment)), min(self.end, segment_end(segment))
        reports = [TickReport(at, min(at + TICK_MS_MAX, last), True) for at in range(first, last, TICK_MS_MAX)]
        await ticks.ticks(self.resources, self.actor, self.session, reports)
        picture = await asyncio.wrap_future(self.pictures.pop(segment))
        header = FrameHeader(
            id=_uuid(f"{self.session} {segment}"),
            session=self.session,
            segment=segment,
            taken_at=datetime_of(picture.taken_at),
            width=picture.width,
            height=picture.height,
            media="image/webp",
            sha256=base64url(hashlib.sha256(picture.data).digest()),
            at_stop=picture.taken_at == last,
        )
        await intake.take_frame(self.resources, self.actor, header, picture.data)

    async def _stop(self) -> None:
        await tracking.stop(self.resources, self.actor, self.session, self.end)


def _draw(persona: str, at: int) -> Picture:
    data, picture = pictures.encoded(screens.draw(persona, at))
    return Picture(at, data, picture.width, picture.height)


def _uuid(text: str) -> str:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
