"""One tracker's connection: its messages done in order, its answers, its limits. Made by `agents.agent_endpoint`.

Rule 1: messages are done in the order in which they came, by one task per connection while there is something to do;
while too much waits, the connection is not read.
Rule 2: what is acknowledged is durable. Ticks that came together are committed together.
Rule 3: a device that is refused often waits: temporary refusals tell it how long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Protocol

import structlog

from app.domain.errors import TooMany, WorkroomError
from app.domain.timerange import instant_of
from app.domain.wire import (
    AgentComment,
    AgentDiscard,
    AgentFrameDelete,
    AgentHello,
    AgentMessage,
    AgentStart,
    AgentStop,
    AgentTick,
    AgentWorkView,
    ClosedByServer,
)
from app.services import frames, intake, tracking
from app.services.accounts import Credential
from app.services.resources import Resources
from app.services.ticks import TickReport
from app.storage.frames import DELETED, READY, REPLACED, UNREADABLE
from realtime.agent_protocol import (
    NotJson,
    Parsed,
    Picture,
    Refused,
    decoded_text,
    message_text,
    parse,
    refused_text,
    welcome_text,
)
from realtime.fastlane import Lane

WAITING_MAX = 128  # messages of one connection; a tracker sends 64 ahead
WAITING_BYTES_MAX = 8 * 1024 * 1024  # two frames of the largest size
TICKS_TOGETHER_MAX = 64
REFUSALS_MAX = 100  # at once; one comes back every REFUSAL_SECONDS
REFUSAL_SECONDS = 1.0
RETRY_AFTER_SECONDS = 10
NO_DEVICE = "tracker"  # until it says hello

log = structlog.get_logger()


class Registry(Protocol):
    """Where a connection makes itself known."""

    def add(self, session: AgentSession) -> None: ...

    def remove(self, session: AgentSession) -> None: ...

    def join(self, session: AgentSession, room: str) -> None: ...

    def budget(self, account: str) -> RefusalBudget: ...


class RefusalBudget:
    """How often an account is refused before it must wait."""

    __slots__ = ("at", "left")

    def __init__(self) -> None:
        self.left = float(REFUSALS_MAX)
        self.at = 0.0

    def spend(self, now: float) -> None:
        """Count a refusal."""
        self._refill(now)
        self.left -= 1

    def check(self, now: float) -> None:
        """Check that the account need not wait.

        Raises:
            TooMany: saying how long.
        """
        self._refill(now)
        if self.left < 1:
            raise TooMany(
                "Too many messages of this account were refused. Wait a little, then send them again.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )

    def _refill(self, now: float) -> None:
        self.left = min(float(REFUSALS_MAX), self.left + (now - self.at) / REFUSAL_SECONDS)
        self.at = now


class AgentSession:
    """One connection of a tracker. Its callbacks run in the transport's callback and must not block."""

    def __init__(self, agents: Registry, resources: Resources, lane: Lane, credential: Credential) -> None:
        self.agents = agents
        self.resources = resources
        self.lane = lane
        self.actor = credential.actor
        self.credential = credential.id
        self.device = NO_DEVICE
        # The pseudonym by room, for those where this account is a freelancer; known from the first hello on.
        self.rooms: dict[str, str] = {}
        self.task: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[Parsed, int]] = deque()  # with their sizes
        self._waiting_bytes = 0
        self._attached: set[str] = set()  # work sessions that this connection carries
        self._budget = agents.budget(credential.actor.account)
        self._rate = resources.settings.agent_messages_per_second_max
        self._allowed_at = 0.0  # when the next message may be done, so that no more than `_rate` come in a second
        agents.add(self)

    # Callbacks

    def message(self, data: str | bytes) -> None:
        """Take a message from the transport."""
        try:
            parsed = parse(data)
        except NotJson:
            self.lane.close(ClosedByServer.MALFORMED, "this is no JSON")
            return
        self._put(parsed, len(data))

    def writable(self) -> None:
        """Nothing waits for this: answers are small, and a peer that reads none of them is dropped by the lane."""

    def closed(self) -> None:
        """Forget the connection; what is being stored is finished."""
        self._waiting.clear()
        self.agents.remove(self)
        for session in self._attached:
            self.resources.trackers.detach(session)
        self._attached.clear()

    def greet_again(self) -> None:
        """Send a new welcome: the account is a freelancer in one more room."""
        self._put(AgentHello(self.device), 0)

    def tell_watching(self, room: str, here: Iterable[str]) -> None:
        """Say how many others have the room's page open (rule 2.14)."""
        count = sum(by != self.rooms[room] for by in here)
        self.lane.write_text(message_text("watching", room=room, count=count))

    # Working off, in order

    def _put(self, parsed: Parsed, size: int) -> None:
        self._waiting.append((parsed, size))
        self._waiting_bytes += size
        if len(self._waiting) >= WAITING_MAX or self._waiting_bytes >= WAITING_BYTES_MAX:
            self.lane.pause_reading()
        if self.task is None:
            self.task = asyncio.create_task(self._work_off(), name="agent")

    def _take(self) -> Parsed:
        parsed, size = self._waiting.popleft()
        self._waiting_bytes -= size
        if len(self._waiting) < WAITING_MAX // 2 and self._waiting_bytes < WAITING_BYTES_MAX // 2:
            self.lane.resume_reading()
        return parsed

    async def _work_off(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting and self.lane.is_open:
                if self._allowed_at > loop.time():
                    await asyncio.sleep(self._allowed_at - loop.time())
                    continue
                parsed = self._take()
                batch = self._ticks_after(parsed) if isinstance(parsed, AgentTick) else None
                # A second's messages may come at once; more wait for their time.
                self._allowed_at = max(self._allowed_at, loop.time() - 1) + len(batch or "1") / self._rate
                if batch is not None:
                    await self._do_ticks(batch)
                else:
                    await self._do(parsed)
        except Exception:  # the edge: a bug ends this connection; what was not acknowledged comes again
            log.exception("agent message failed")
            self.lane.close(1011, "internal error")
        finally:
            self.task = None
            self._waiting_bytes = sum(size for _, size in self._waiting)

    def _ticks_after(self, first: AgentTick) -> list[AgentTick]:
        """Return a tick with those of its session that wait right behind it."""
        batch = [first]
        while self._waiting and len(batch) < TICKS_TOGETHER_MAX:
            following = self._waiting[0][0]
            if not isinstance(following, AgentTick) or following.session != first.session:
                break
            batch.append(following)
            self._take()
        return batch

    async def _do(self, parsed: Parsed) -> None:
        n = parsed.n if not isinstance(parsed, Picture) else None
        id = parsed.id if isinstance(parsed, Refused) else parsed.header.id if isinstance(parsed, Picture) else None
        try:
            self._budget.check(asyncio.get_running_loop().time())
            match parsed:
                case Refused(error=error):
                    raise error
                case Picture():
                    await self._store_frame(parsed)
                case _:
                    self.lane.write_text(await self._control(parsed))
        except WorkroomError as error:
            self._refuse(error, n, id)

    async def _control(self, message: AgentMessage) -> str:
        """Do a control message and return its answer."""
        resources, actor = self.resources, self.actor
        match message:
            case AgentHello():
                return await self._welcome(message)
            case AgentStart():
                row = await tracking.start(
                    resources,
                    actor,
                    message.room,
                    message.session,
                    instant_of(message.at),
                    device=self.device,
                    comment=message.comment,
                    work_view=message.work_view,
                )
                if row.ended_at is None:
                    self._attach(row.id)
                return message_text("started", n=message.n, session=row.id)
            case AgentWorkView():
                await tracking.work_view(resources, actor, message.session, message.on, instant_of(message.at))
            case AgentDiscard():
                start, end = instant_of(message.start), instant_of(message.end)
                await tracking.discard(resources, actor, message.session, start, end)
            case AgentFrameDelete():
                await frames.delete(resources, actor, message.id)
            case AgentComment():
                await tracking.comment(
                    resources,
                    actor,
                    message.id,
                    message.session,
                    message.from_segment,
                    message.to_segment,
                    message.text,
                )
            case AgentStop():
                await tracking.stop(resources, actor, message.session, instant_of(message.at))
                self._detach(message.session)
            case AgentTick():
                raise AssertionError("ticks are done in batches")
        return message_text("ack", n=message.n)

    async def _welcome(self, hello: AgentHello) -> str:
        self.device = hello.device
        welcome = await tracking.hello(self.resources, self.actor)
        for info in welcome.rooms:
            member = info.member_of(self.actor.account)
            if member is not None and self.lane.is_open:
                self.rooms[info.id] = member.by
                self.agents.join(self, info.id)
        return welcome_text(
            hello.n,
            self.resources.clock.record_now(),
            self.resources.clock.rate,
            welcome.rooms,
            self.rooms,
            welcome.seeds,
            self._rate,
        )

    async def _do_ticks(self, batch: list[AgentTick]) -> None:
        reports = [
            TickReport(instant_of(tick.start), instant_of(tick.end), tick.documented, tuple(tick.waiting))
            for tick in batch
        ]
        refusals: list[WorkroomError | None]
        try:
            self._budget.check(asyncio.get_running_loop().time())
            refusals = await tracking.ticks(self.resources, self.actor, batch[0].session, reports)
            self._attach(batch[0].session)
        except WorkroomError as error:
            refusals = [error] * len(batch)
        for tick, refusal in zip(batch, refusals, strict=True):
            if refusal is None:
                self.lane.write_text(message_text("ack", n=tick.n))
            else:
                self._refuse(refusal, tick.n)

    async def _store_frame(self, picture: Picture) -> None:
        stored = await intake.take_frame(self.resources, self.actor, picture.header, picture.data)
        self.lane.write_text(message_text("ack", id=picture.header.id))
        # A repeat is told what happened since: the first answer may have been lost with its connection.
        if stored.state in (READY, UNREADABLE):
            self.lane.write_text(decoded_text(picture.header.id, stored.state == READY))
        elif stored.state in (DELETED, REPLACED):
            self.lane.write_text(message_text("frame_deleted", id=picture.header.id))

    def _refuse(self, error: WorkroomError, n: int | None = None, id: str | None = None) -> None:
        if not error.temporary:
            self._budget.spend(asyncio.get_running_loop().time())
        self.lane.write_text(refused_text(error, n, id))

    def _attach(self, session: str) -> None:
        if session not in self._attached and self.lane.is_open:
            self._attached.add(session)
            self.resources.trackers.attach(session)

    def _detach(self, session: str) -> None:
        if session in self._attached:
            self._attached.discard(session)
            self.resources.trackers.detach(session)
