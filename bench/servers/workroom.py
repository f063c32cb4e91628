"""The bench's own root: the real application with its limits lifted, made data, and two sockets to publish by.

    python -m bench.servers.workroom FOLDER PORT LIVE_PORT DURABLE_PORT ROOMS PEOPLE

A line on the live port is published through the bus as the next entry of the first room; a line on the durable port is
appended to its record by a caller of its own. Both are what a peer's publisher sends, less the peer's framing.

Rule 1: data is made through the services; nothing is written to a table directly.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from app.config import Settings
from app.domain.live import Appended
from app.domain.record import Entry
from app.domain.workrooms import Side
from app.services import accounts, record, workrooms
from app.services.access import Actor
from app.services.clock import SystemClock
from app.services.resources import Resources
from app.storage.blobs import Blobs
from app.storage.engine import open_database
from app.storage.keys import ReleasedSizes, load_signer
from app.storage.migrate import migrate
from realtime.bus import Bus
from realtime.fastlane import FastLaneProtocol
from realtime.hub import Hub
from realtime.protocol import entry_frame
from realtime.replay import Replay
from realtime.viewers import Viewers, viewer_endpoint

MANY = 1_000_000
MADE_AT_ONCE = 200


def settings_of(folder: Path, port: int) -> Settings:
    """Return settings whose limits a load test does not meet."""
    return Settings(
        port=port,
        data=folder,
        connections_per_account_max=MANY,
        connections_per_address_max=MANY,
        says_per_second_max=MANY,
        agent_messages_per_second_max=MANY,
        log_level="warning",
    )


async def gathered(work: list[object]) -> list[object]:
    """Await many, a few hundred at a time."""
    done: list[object] = []
    for start in range(0, len(work), MADE_AT_ONCE):
        done += await asyncio.gather(*work[start : start + MADE_AT_ONCE])  # type: ignore[call-overload]
    return done


async def make_rooms(resources: Resources, rooms: int, people: int) -> list[tuple[str, Actor, str]]:
    """Open rooms of so many people, each with an account and a token; return (room, actor, token) for each."""

    async def person(number: int) -> tuple[Actor, str]:
        actor = await accounts.create_account(resources, f"p{number}@bench.invalid", f"Person {number}")
        return actor, await accounts.new_token(resources, actor, "api", "bench")

    async def room(number: int) -> list[tuple[str, Actor, str]]:
        here = [await person(number * people + n) for n in range(people)]
        (client, _), (freelancer, _), *others = here
        opened = await workrooms.open_room(resources, client.account, freelancer.account, f"Bench {number}")
        for actor, _ in others:
            await workrooms.join(resources, actor.account, opened, Side.FREELANCER)
        return [(opened, actor, token) for actor, token in here]

    made = await gathered([room(number) for number in range(rooms)])
    return [place for places in made for place in places]  # type: ignore[attr-defined]


class Publisher(asyncio.Protocol):
    """Takes lines; `publish` gets those of one read together, as the writer's commits come."""

    def __init__(self, publish: object) -> None:
        self._publish = publish
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._publish([line.decode() for line in lines])  # type: ignore[operator]


class Publishing:
    """What the two sockets do, once the hub is there."""

    def __init__(self, resources: Resources, hub: Hub, place: tuple[str, Actor, str]) -> None:
        self._resources = resources
        self._hub = hub
        self._room, self._actor, _ = place
        self._seq = -1
        self._running: set[asyncio.Task[object]] = set()

    def live(self, texts: list[str]) -> None:
        """Publish texts as the next entries, without a record."""
        channel = self._hub.channels[self._room]
        now = self._resources.clock.record_now()
        first = max(channel.head, self._seq) + 1
        entries = [Entry(self._room, first + n, "message", "p1", now, {"text": text}) for n, text in enumerate(texts)]
        self._seq = first + len(texts) - 1
        self._resources.publish([Appended(entry) for entry in entries])

    def durable(self, texts: list[str]) -> None:
        """Append each text to the record, each for a caller of its own."""
        for text in texts:
            task: asyncio.Task[object] = asyncio.create_task(
                record.append(self._resources, self._actor, self._room, "message", {"text": text})
            )
            self._running.add(task)
            task.add_done_callback(self._running.discard)


async def authenticate(resources: Resources, websocket: WebSocket) -> tuple[Actor, str] | None:
    credential = await accounts.credential_of_token(
        resources, websocket.headers.get("authorization", "").removeprefix("Bearer "), "api"
    )
    return credential.actor, credential.id


async def no_cells(resources: object, room: object, events: object) -> object:
    return list(events)  # type: ignore[call-overload]


async def no_state(resources: object, room: object) -> object:
    return [], []


async def enqueue(task: str, key: str) -> None: ...


async def main(folder: Path, port: int, live_port: int, durable_port: int, rooms: int, people: int) -> None:
    settings = settings_of(folder, port)
    url = f"sqlite:///{folder}/workroom.db"
    migrate(url)
    bus, clock = Bus(), SystemClock()
    database = await open_database(url, clock, os.urandom, bus.publish)
    signer = load_signer(folder / "key", "bench")
    resources = Resources(settings, database, Blobs(folder), clock, os.urandom, signer,
                          ReleasedSizes(folder / "released"), bus.publish, enqueue)  # fmt: skip
    places = await make_rooms(resources, rooms, people)
    hub = Hub(resources.rooms.get)
    replay = Replay(resources, hub, no_cells, no_state)  # type: ignore[arg-type]
    viewers = Viewers(resources, hub, replay, authenticate)
    bus.subscribe(hub.publish)
    viewers.start()
    application = Starlette(routes=[WebSocketRoute("/ws", viewer_endpoint)])
    application.state.viewers = viewers
    publishing = Publishing(resources, hub, places[0])
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Publisher(publishing.live), "127.0.0.1", live_port)
    await loop.create_server(lambda: Publisher(publishing.durable), "127.0.0.1", durable_port)
    (folder / "places").write_text("".join(f"{room} {token}\n" for room, _, token in places))
    sample = Appended(Entry(places[0][0], 1000, "message", "p1", clock.record_now(), {"text": ""}))
    info = resources.rooms[places[0][0]]
    (folder / "envelope").write_text(str(len(entry_frame("json", sample, info)) - 4))
    (folder / "version").write_text(f"workroom, uvicorn {version('uvicorn')}")
    config = uvicorn.Config(application, port=port, ws=FastLaneProtocol, ws_per_message_deflate=False, backlog=4096,
                            lifespan="off", log_level="warning", timeout_graceful_shutdown=5)  # fmt: skip
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:])))
