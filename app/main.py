"""The composition root: Settings → Resources → Starlette, and the server around it.

Rule 1: the configuration is read here, in `app.cli` and in `workers.main`, and nowhere else.
Rule 2: stopping ends things in the order in which they depend on each other, within 5 s, and loses nothing.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.config import Settings, SettingsError
from app.control import serve_control
from app.domain.errors import NotSignedIn
from app.domain.live import Appended
from app.domain.workrooms import RoomInfo
from app.opening import open_resources
from app.services import accounts, mail, matters, workview
from app.services.access import Actor
from app.services.checkpoints import CheckpointTask
from app.services.clock import Clock
from app.services.indexing import IndexTask
from app.services.resources import Resources
from app.web.errors import on_http_exception
from app.web.middleware import Edge
from app.web.routes import routes
from realtime.agents import Agents, agent_endpoint
from realtime.bus import Bus
from realtime.fastlane import FastLaneProtocol
from realtime.hub import Hub
from realtime.replay import Replay
from realtime.unread import Unread
from realtime.viewers import Viewers, is_same_origin, viewer_endpoint
from workers.main import run_workers
from workers.queue import open_queue

SHUTDOWN_SECONDS_MAX = 2  # for requests that are under way; sockets are drained before
PING_INTERVAL_SECONDS = 60.0  # heartbeats find dead peers earlier; pings are for those that only listen
PING_TIMEOUT_SECONDS = 30.0
BACKLOG = 4096  # a herd of reconnecting browsers
# How many new objects start a collection. At Python's 700 the collector took a quarter of the time of a busy chat, and
# stopped it for 200 ms at a time with 2,000 connections: nearly everything dies by its reference count.
COLLECT_AFTER_OBJECTS = (10_000, 20, 50)

log = structlog.get_logger()


@asynccontextmanager
async def running_app(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Starlette]:
    """Run everything but the listening socket: database, live path, worker, checkpoints, control socket."""
    bus = Bus()
    async with (
        open_resources(settings, clock=clock, publish=bus.publish) as resources,
        open_queue(settings) as queue,
    ):
        resources.enqueue = queue.enqueue
        if mail.goes_to_folder(resources):
            log.warning("no mail is sent, it is written to a folder", folder=str(settings.data / mail.MAIL_FOLDER))
        app = create_app(resources, bus)
        checkpoints = CheckpointTask(resources)
        bus.subscribe(checkpoints.note)
        signing = asyncio.create_task(checkpoints.run(), name="checkpoints")
        index = IndexTask(resources)
        bus.subscribe(index.note)
        indexing = asyncio.create_task(index.run(), name="index")
        try:
            async with (
                serve_control(resources, settings.data / "control.sock"),
                run_workers(resources, queue),
            ):
                app.state.viewers.start()
                yield app
                await drain(app)
        finally:
            index.stop()
            await indexing
            checkpoints.stop()
            await signing


def create_app(resources: Resources, bus: Bus) -> Starlette:
    """Return the application over open resources; needs a running loop."""
    hub = Hub(resources.rooms.get)
    replay = Replay(resources, hub, _decorate, workview.live_state)
    Unread(resources, hub)
    agents = Agents()
    bus.subscribe(hub.publish)
    bus.subscribe(agents.publish)
    app = Starlette(
        routes=[
            *routes(resources),
            WebSocketRoute("/ws", viewer_endpoint),
            WebSocketRoute("/agent", agent_endpoint),
            Route("/healthz", _healthz),
        ],
        middleware=[Middleware(Edge, settings=resources.settings)],
        exception_handlers={HTTPException: on_http_exception},
    )
    app.state.resources = resources
    app.state.hub = hub
    app.state.agents = agents
    app.state.viewers = Viewers(resources, hub, replay, authenticate_viewer)
    return app


async def _decorate(resources: Resources, info: RoomInfo, events: Sequence[Appended]) -> list[Appended]:
    """Return old entries with the cells and matters that they changed."""
    return await matters.with_matters(resources, info, await workview.with_cells(resources, info, events))


async def authenticate_viewer(resources: Resources, websocket: WebSocket) -> tuple[Actor, str] | None:
    """Return who opened a socket and by which credential: a bearer token, or the cookie of a page of ours."""
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() == "bearer":
            credential = await accounts.credential_of_token(resources, token.strip(), "api")
        elif is_same_origin(websocket, resources.settings.base_url):
            cookie = websocket.cookies.get(accounts.SESSION_COOKIE, "")
            credential = await accounts.credential_of_session(resources, cookie)
        else:
            return None
    except NotSignedIn:
        return None
    return credential.actor, credential.id


async def drain(app: Starlette) -> None:
    """Close all sockets in batches: viewers resume by seq, trackers keep what is not acknowledged."""
    await app.state.agents.drain()
    await app.state.viewers.drain()


class Server(uvicorn.Server):
    """uvicorn's server, which drains our sockets before it closes what is left, and leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        app = self.config.app
        assert isinstance(app, Starlette)
        await drain(app)
        await super().shutdown(sockets)


def server_config(app: Starlette, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves us."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws=FastLaneProtocol,
        ws_per_message_deflate=False,  # 52 KiB a connection, and milliseconds of the loop for a large message
        ws_ping_interval=PING_INTERVAL_SECONDS,
        ws_ping_timeout=PING_TIMEOUT_SECONDS,
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
    )


async def serve_app(
    settings: Settings,
    clock: Clock | None = None,
    *,
    ready: Callable[[Starlette], Awaitable[None]] | None = None,
    before_stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until a signal says stop. `ready` runs once the app answers, `before_stop` while it still does.

    Raises:
        SettingsError: if the address cannot be opened.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    with _listening(settings) as listening:
        async with running_app(settings, clock) as app:
            server = Server(server_config(app, settings))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            waiting = asyncio.create_task(stopping.wait())
            try:
                while not server.started and not serving.done():
                    await asyncio.sleep(0.01)
                gc.collect()
                gc.freeze()  # modules and templates live as long as the process: no use in looking at them again
                gc.set_threshold(*COLLECT_AFTER_OBJECTS)
                if ready is not None:
                    await ready(app)
                await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                if before_stop is not None:
                    await before_stop()
                server.should_exit = True
                await serving


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Open the address before anything else is, so that a second server fails at once and clearly.

    Raises:
        SettingsError: if it is taken, or not ours to open.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.port))
        except OSError as error:
            problem = f"{settings.host}:{settings.port} cannot be opened: {error.strerror}. Set another WORKROOM_PORT."
            raise SettingsError(problem) from None
        listening.listen(BACKLOG)
        listening.setblocking(False)
        yield listening


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop."""

    async def announce(app: Starlette) -> None:
        print(settings.base_url, flush=True)

    uvloop.run(serve_app(settings, ready=announce))


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")
