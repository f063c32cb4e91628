"""Viewers: the `/ws` endpoint and the session of each browser or program (docs/protocol.md).

Rule 1: authentication, limits and close codes happen here, before the connection is adopted.
Rule 2: a message that needs no await is done in the callback; the others wait in a bounded slot, in their order, and
while it is full the connection is not read.
Rule 3: a refusal is an answer; only what breaks the protocol closes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from starlette.websockets import WebSocket

from app.domain.errors import Busy, Malformed, TooMany, WorkroomError
from app.domain.record import Entry
from app.domain.wire import (
    HEARTBEAT_SECONDS,
    HELLO_SECONDS_MAX,
    PROTOCOL_VERSION,
    ROOMS_PER_CONNECTION_MAX,
    VIEWS,
    ClosedByServer,
    Hello,
    Join,
    Leave,
    Say,
    Seen,
    Typing,
)
from app.services import record
from app.services.access import Actor, known_member_of, member_of
from app.services.resources import Resources
from realtime.adoption import adopt
from realtime.channel import Viewer
from realtime.fastlane import Lane
from realtime.hub import Hub
from realtime.protocol import cid_of, error_frame, heartbeat_frame, ok_frame, parse_viewer_message
from realtime.replay import Replay

WAITING_MAX = 64  # messages of one connection that wait for an await
UNANSWERED_MAX = 256  # says of one connection on their way to the disk
DRAIN_BATCH = 500
TYPING_INTERVAL_SECONDS = 1.0

log = structlog.get_logger()
Authenticate = Callable[[Resources, WebSocket], Awaitable[tuple[Actor, str] | None]]


class Viewers:
    """All viewer connections of this process: their limits, their heartbeat, their end."""

    def __init__(self, resources: Resources, hub: Hub, replay: Replay, authenticate: Authenticate) -> None:
        self.resources = resources
        self.hub = hub
        self.replay = replay
        self.authenticate = authenticate
        self.sessions: set[ViewerSession] = set()
        self.by_address: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._tend(), name="viewers")

    async def drain(self) -> None:
        """Close every connection with 1012, in batches, so that not all come back in the same instant."""
        if self._task is not None:
            self._task.cancel()
        waiting = list(self.sessions)
        for start in range(0, len(waiting), DRAIN_BATCH):
            for session in waiting[start : start + DRAIN_BATCH]:
                session.viewer.lane.close(ClosedByServer.GOING_AWAY, "restarting")
            await asyncio.sleep(0.02)
        await self.replay.close()

    def refusal(self, actor: Actor, address: str) -> bool:
        """Whether this connection would be one too many."""
        settings = self.resources.settings
        return (
            len(self.sessions) >= settings.connections_max
            or len(self.hub.accounts.get(actor.account, ())) >= settings.connections_per_account_max
            or self.by_address.get(address, 0) >= settings.connections_per_address_max
        )

    async def _tend(self) -> None:
        """Heartbeats, spread over their interval, and the end of connections that do not move."""
        beat = 0
        while True:
            await asyncio.sleep(1)
            beat = (beat + 1) % HEARTBEAT_SECONDS
            for session in list(self.sessions):
                if session.beat == beat:
                    session.send_heartbeat()
            self.hub.drop_stalled()


class ViewerSession:
    """One connection. Its callbacks run in the transport's callback and must not block."""

    __slots__ = (
        "actor",
        "address",
        "beat",
        "greeted",
        "hello_timer",
        "running",
        "typed_at",
        "unanswered",
        "viewer",
        "viewers",
        "waiting",
    )

    def __init__(self, viewers: Viewers, lane: Lane, actor: Actor, credential: str, address: str) -> None:
        self.viewers = viewers
        self.viewer = Viewer(lane, actor.account, credential)
        self.actor = actor
        self.address = address
        self.greeted = False
        self.running = False  # whether a task works off `waiting`
        self.waiting: deque[Join | Say | Seen] | None = None
        self.unanswered = 0
        self.typed_at = 0.0
        self.beat = len(viewers.sessions) % HEARTBEAT_SECONDS
        loop = asyncio.get_running_loop()
        self.hello_timer: asyncio.TimerHandle | None = loop.call_later(HELLO_SECONDS_MAX, self._no_hello)
        viewers.sessions.add(self)
        viewers.by_address[address] = viewers.by_address.get(address, 0) + 1
        viewers.hub.add_viewer(self.viewer)

    # Callbacks of the lane

    def message(self, data: str | bytes) -> None:
        """Take one message."""
        if isinstance(data, bytes):
            self.viewer.lane.close(ClosedByServer.MALFORMED, "text messages only")
            return
        try:
            message = parse_viewer_message(data)
            if isinstance(message, Hello):
                self._hello(message)
            elif not self.greeted:
                raise Malformed("Say hello first.", field="t")
            else:
                self._handle(message)
        except WorkroomError as error:
            self.viewer.lane.write(error_frame(error, cid_of(data)))

    def writable(self) -> None:
        """Go on where the connection stalled."""
        self.viewers.hub.resume(self.viewer)

    def closed(self) -> None:
        """Forget the connection."""
        self._cancel_hello_timer()
        viewers = self.viewers
        viewers.sessions.discard(self)
        left = viewers.by_address.get(self.address, 1) - 1
        if left:
            viewers.by_address[self.address] = left
        else:
            viewers.by_address.pop(self.address, None)
        viewers.hub.remove_viewer(self.viewer)

    def send_heartbeat(self) -> None:
        """Say where the rooms stand; a client that is behind joins again."""
        subscriptions = self.viewer.subscriptions
        heads = {room: subscription.channel.head for room, subscription in subscriptions.items()}
        if self.viewer.lane.is_writable:
            self.viewer.lane.write(heartbeat_frame(heads))

    # Messages

    def _hello(self, message: Hello) -> None:
        if message.v != PROTOCOL_VERSION:
            raise Malformed(f"This server speaks version {PROTOCOL_VERSION}.", field="v")
        if message.view not in VIEWS:
            raise Malformed(f"`view` is one of {', '.join(VIEWS)}.", field="view")
        if self.greeted:
            raise Malformed("There is one hello in a connection; use join and leave.", field="t")
        self.greeted = True
        self._cancel_hello_timer()
        self.viewer.view = message.view
        for room, after in message.rooms.items():
            self._wait(Join(room, after))

    def _handle(self, message: Join | Leave | Say | Seen | Typing) -> None:
        match message:
            case Say() if not self.running and record.is_words(message.kind, message.body, message.ref):
                self._say(message)
            case Join() | Say() | Seen():
                self._wait(message)
            case Leave(room=room):
                self.viewers.hub.leave(self.viewer, room)
            case Typing(room=room):
                self._typing(room)

    def _say(self, message: Say) -> None:
        """Hand a say to the writer in this very callback, if the access is known."""
        member = known_member_of(self.viewers.resources, self.actor, message.room)
        if member is None:
            self._wait(message)
            return
        if self.unanswered >= UNANSWERED_MAX:
            raise Busy()
        future = record.submit(self.viewers.resources, member, message.kind, message.body, None, message.cid)
        self.unanswered += 1
        future.add_done_callback(lambda done: self._answer(message, done))

    def _answer(self, message: Say, done: asyncio.Future[Entry]) -> None:
        self.unanswered -= 1
        error = done.exception()
        if error is None:
            self.viewer.lane.write(ok_frame(message.room, message.cid, done.result().seq))
        elif isinstance(error, WorkroomError):
            self.viewer.lane.write(error_frame(error, message.cid, message.room))

    def _typing(self, room: str) -> None:
        subscription = self.viewer.subscriptions.get(room)
        now = asyncio.get_running_loop().time()
        if subscription is None or now - self.typed_at < TYPING_INTERVAL_SECONDS:
            return
        self.typed_at = now
        member = subscription.channel.room.member_of(self.actor.account)
        if member is not None:
            self.viewers.hub.typing(subscription.channel, member.by)

    # What must await, in order

    def _wait(self, message: Join | Say | Seen) -> None:
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.append(message)
        if len(self.waiting) >= WAITING_MAX:
            self.viewer.lane.pause_reading()
        if not self.running:
            self.running = True
            task = asyncio.create_task(self._work_off())
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

    async def _work_off(self) -> None:
        try:
            while self.waiting and self.viewer.lane.is_open:
                message = self.waiting.popleft()
                if len(self.waiting) < WAITING_MAX // 2:
                    self.viewer.lane.resume_reading()
                cid = message.cid if isinstance(message, Say) else None
                try:
                    await self._do(message)
                except WorkroomError as error:
                    self.viewer.lane.write(error_frame(error, cid, message.room))
        except Exception:  # the edge: a bug in one message ends its connection, not the process
            log.exception("viewer message failed")
            self.viewer.lane.close(1011, "internal error")
        finally:
            self.running = False
            self.waiting = None

    async def _do(self, message: Join | Say | Seen) -> None:
        resources = self.viewers.resources
        match message:
            case Join(room=room, after=after):
                if len(self.viewer.subscriptions) >= ROOMS_PER_CONNECTION_MAX:
                    raise TooMany("That are too many workrooms for one connection. Leave one first.", field="room")
                await member_of(resources, self.actor, room)
                await self.viewers.replay.join(self.viewer, room, after)
            case Say():
                entry = await record.append(
                    resources, self.actor, message.room, message.kind, message.body, message.ref, message.cid
                )
                self.viewer.lane.write(ok_frame(message.room, message.cid, entry.seq))
            case Seen(room=room, seq=seq):
                await record.mark_seen(resources, self.actor, room, seq)

    def _no_hello(self) -> None:
        self.hello_timer = None
        self.viewer.lane.close(ClosedByServer.HELLO_TIMEOUT, "no hello")

    def _cancel_hello_timer(self) -> None:
        if self.hello_timer is not None:
            self.hello_timer.cancel()
            self.hello_timer = None


_tasks: set[asyncio.Task[None]] = set()  # the loop keeps only weak references to tasks


async def viewer_endpoint(websocket: WebSocket) -> None:
    """`GET /ws`: authenticate, accept, and give the connection to a session."""
    viewers: Viewers = websocket.app.state.viewers
    authenticated = await viewers.authenticate(viewers.resources, websocket)
    await websocket.accept()
    if authenticated is None:  # a refused handshake would make browsers retry for ever
        await websocket.close(ClosedByServer.SIGN_IN, "sign in")
        return
    actor, credential = authenticated
    address = websocket.client.host if websocket.client is not None else ""
    if viewers.refusal(actor, address):
        await websocket.close(ClosedByServer.TOO_MANY, "too many connections")
        return
    await adopt(websocket, lambda lane: ViewerSession(viewers, lane, actor, credential, address))


def is_same_origin(websocket: WebSocket, base_url: str) -> bool:
    """Whether a browser's socket comes from a page of this server (a program sends no Origin)."""
    origin = websocket.headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    return origin == base_url or parts.netloc == websocket.headers.get("host")
