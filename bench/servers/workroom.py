"""The bench's own root: the real application with its limits lifted, made data, and two sockets to publish by.

    python -m bench.servers.workroom SCENARIO      (as JSON, see `Scenario`)

A line on the live port is published through the hub as the next entry of the first room; a line on the durable port is
appended to its record by a caller of its own. Both are what a peer's publisher sends, less the peer's framing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct
from starlette.applications import Starlette

from app.config import Settings
from app.domain.live import Appended
from app.domain.record import Entry
from app.main import serve_app
from app.services import record
from app.services.resources import Resources
from bench.servers.data import Pages, Place, make_pages, make_rooms
from realtime.hub import Hub
from realtime.protocol import entry_frame

MANY = 1_000_000


class Scenario(Struct, frozen=True):
    """What to serve. `entries` and `frames` fill the first room for the page row."""

    folder: str
    port: int
    live_port: int
    durable_port: int
    rooms: int
    people: int
    entries: int = 0
    frames: int = 0


class Made(Struct, frozen=True):
    """What the bench needs to know of the data. Places are (room, token, device token)."""

    version: str
    envelope_bytes: int
    places: list[tuple[str, str, str]]
    pages: Pages | None = None


class Publisher(asyncio.Protocol):
    """Takes lines; `publish` gets those of one read together, as the commits of the writer come."""

    def __init__(self, publish: Callable[[list[str]], None]) -> None:
        self._publish = publish
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Take what came, up to the last end of a line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._publish([line.decode() for line in lines])


class Publishing:
    """What the two sockets do."""

    def __init__(self, resources: Resources, hub: Hub, place: Place) -> None:
        self._resources = resources
        self._hub = hub
        self._place = place
        self._running: set[asyncio.Task[Entry]] = set()

    def live(self, texts: list[str]) -> None:
        """Publish texts as the next entries, without a record."""
        room = self._place.room
        first = self._hub.channels[room].head + 1
        now = self._resources.clock.record_now()
        self._hub.publish(
            [Appended(Entry(room, first + n, "message", "p1", now, {"text": text})) for n, text in enumerate(texts)]
        )

    def durable(self, texts: list[str]) -> None:
        """Append each text to the record, each for a caller of its own."""
        place = self._place
        for text in texts:
            appending = record.append(self._resources, place.actor, place.room, "message", {"text": text})
            task = asyncio.create_task(appending)
            self._running.add(task)
            task.add_done_callback(self._running.discard)


def settings_of(scenario: Scenario) -> Settings:
    """Return settings whose limits a load test does not meet."""
    return Settings(
        port=scenario.port,
        data=Path(scenario.folder) / "data",
        connections_max=MANY,
        connections_per_account_max=MANY,
        connections_per_address_max=MANY,
        says_per_second_max=MANY,
        agent_messages_per_second_max=MANY,
        upload_mib_per_day_max=MANY,
        log_level="warning",
    )


async def prepare(app: Starlette, scenario: Scenario) -> None:
    """Make the data, open the two sockets, and say so in the file `made`."""
    resources: Resources = app.state.resources
    hub: Hub = app.state.hub
    places = await make_rooms(resources, scenario.rooms, scenario.people)
    pages = await make_pages(resources, places, scenario.entries, scenario.frames) if scenario.entries else None
    publishing = Publishing(resources, hub, places[0])
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Publisher(publishing.live), "127.0.0.1", scenario.live_port)
    await loop.create_server(lambda: Publisher(publishing.durable), "127.0.0.1", scenario.durable_port)
    room = places[0].room
    sample = Appended(Entry(room, 1000, "message", "p1", resources.clock.record_now(), {"text": ""}))
    envelope = len(entry_frame("json", sample, resources.rooms[room])) - 4  # less the header of the WebSocket frame
    made = Made(
        version=f"uvicorn {version('uvicorn')}, uvloop {version('uvloop')}",
        envelope_bytes=envelope,
        places=[(place.room, place.token, place.device) for place in places],
        pages=pages,
    )
    fresh = Path(scenario.folder) / "made.new"
    fresh.write_bytes(msgspec.json.encode(made))
    fresh.replace(fresh.with_suffix(""))


def main() -> None:
    """Serve the scenario until the process is ended."""
    scenario = msgspec.json.decode(sys.argv[1], type=Scenario)

    async def ready(app: Starlette) -> None:
        await prepare(app, scenario)

    uvloop.run(serve_app(settings_of(scenario), ready=ready))


if __name__ == "__main__":
    main()
