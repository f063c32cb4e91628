"""Our own server under test: started like a peer, on data that it makes through the services before it is measured.

Rule 1: it is the real application (`bench.servers.workroom` runs it); the bench adds two sockets to publish by.
Rule 2: its data lies in the row's folder, on a real disk, so that every fsync is real.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.process import Server, free_port, running
from bench.servers.workroom import Made, Scenario

LIVE, DURABLE = "live", "durable"  # published through the hub alone; appended to the record first
WATCHED_PEOPLE = 100  # members of the fan-out's room; more watchers are further connections of theirs


@dataclass
class Ours:
    """Our running server. `places` is a file of lines "<room> <token>", one for each person in each room."""

    server: Server
    made: Made
    places: Path
    publish_ports: dict[str, int]

    @property
    def join(self) -> list[str]:
        """Options of `watch` to join as a program does, with a bearer token."""
        hello = '{"t":"hello","v":1,"view":"json","rooms":{"%r":-1}}'
        join = ["--path", "/ws", "--hello", hello, "--ready", '"t":"joined"', "--prefix", '{"t":"entry"']
        return [*join, "--header", "Authorization: Bearer %k", "--places", str(self.places)]

    def publish(self, how: str, message_bytes: int) -> list[str]:
        """Options of `watch` to publish so that a message has `message_bytes` on the wire, as the peers' have."""
        text_bytes = max(message_bytes - self.made.envelope_bytes, 32)
        return ["--publish", "line", "--publish-port", str(self.publish_ports[how]), "--message-bytes", str(text_bytes)]


@contextlib.contextmanager
def ours(
    folder: Path, rooms: int, people: int, entries: int = 0, frames: int = 0, cores: set[int] | None = None
) -> Iterator[Ours]:
    """Run our server with `rooms` workrooms of `people` members each, every one an account of its own."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    port, live, durable = free_port(), free_port(), free_port()
    scenario = Scenario(str(folder), port, live, durable, rooms, people, entries, frames)
    command = [sys.executable, "-m", "bench.servers.workroom", msgspec.json.encode(scenario).decode()]
    made_file = folder / "made"
    with running("workroom", "", command, port, folder, cores=cores, ready=made_file) as server:
        made = msgspec.json.decode(made_file.read_bytes(), type=Made)
        server.version = made.version
        places = folder / "places"
        places.write_text("".join(f"{room} {token}\n" for room, token, _ in made.places))
        yield Ours(server, made, places, {LIVE: live, DURABLE: durable})


def fan_out_server(folder: Path) -> contextlib.AbstractContextManager[Ours]:
    """One room with many members."""
    return ours(folder, rooms=1, people=WATCHED_PEOPLE)


def idle_server(folder: Path, rooms: int) -> contextlib.AbstractContextManager[Ours]:
    """Rooms of two, whose members have several connections each."""
    return ours(folder, rooms=rooms, people=2)


def chat_server(folder: Path, rooms: int) -> contextlib.AbstractContextManager[Ours]:
    """Rooms of two."""
    return ours(folder, rooms=rooms, people=2)
