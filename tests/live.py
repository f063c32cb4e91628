"""A live server in the tests' own loop, and the clients that talk to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from app.config import Settings
from app.main import Server, running_app, server_config
from app.services import accounts
from app.services.access import Actor
from app.services.clock import Clock
from app.services.resources import Resources

DEADLINE_SECONDS = 10.0


@dataclass
class Live:
    """A server that answers at `url`."""

    app: Starlette
    resources: Resources
    url: str
    server: Server

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/ws"

    @property
    def agent_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/agent"

    async def token(self, actor: Actor, purpose: str = "api") -> str:
        """Return a new bearer token of an account."""
        return await accounts.new_token(self.resources, actor, purpose, "test")

    @asynccontextmanager
    async def viewer(
        self, actor: Actor, view: str = "json", rooms: dict[str, int] | None = None, **options: Any
    ) -> AsyncIterator[ViewerClient]:
        """Connect as a program of `actor`, say hello, and join `rooms` (each behind a seq)."""
        headers = {"Authorization": f"Bearer {await self.token(actor)}"}
        options = {"compression": None, "max_queue": None, **options}
        async with connect(self.ws_url, additional_headers=headers, **options) as connection:
            client = ViewerClient(connection)
            await client.send({"t": "hello", "v": 1, "view": view, "rooms": rooms or {}})
            for _ in rooms or {}:
                await client.until("joined")
            yield client

    @asynccontextmanager
    async def http(self, actor: Actor | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client, with a bearer token of `actor` if one is given."""
        headers = {"Authorization": f"Bearer {await self.token(actor)}"} if actor else {}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=DEADLINE_SECONDS) as client:
            yield client


class ViewerClient:
    """One `/ws` connection. `received` keeps every message, so that nothing waited for is missed."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        await self.connection.send(msgspec.json.encode(message).decode())

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            message: dict[str, Any] = msgspec.json.decode(await self.connection.recv())
        self.received.append(message)
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a type whose fields have these values; skip the others."""
        while True:
            message = await self.next()
            if message.get("t") == kind and all(message.get(name) == value for name, value in fields.items()):
                return message

    async def say(self, room: str, text: str, cid: str, **more: Any) -> None:
        body = {"text": text}
        await self.send({"t": "say", "room": room, "cid": cid, "kind": "message", "body": body, **more})

    def entries(self, room: str) -> list[dict[str, Any]]:
        """Return the entries received of a room, in the order in which they came."""
        return [m["entry"] for m in self.received if m.get("t") == "entry" and m["room"] == room]

    async def entries_up_to(self, room: str, seq: int) -> list[int]:
        """Wait for the entry `seq` of a room; return the seqs of all that came."""
        while not any(entry["seq"] >= seq for entry in self.entries(room)):
            await self.next()
        return [entry["seq"] for entry in self.entries(room)]


@asynccontextmanager
async def live_server(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Live]:
    """Run the whole server on a free port until the context ends."""
    async with running_app(settings, clock) as app:
        server = Server(server_config(app, settings))
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart takes the same port again
        listening.bind(("127.0.0.1", settings.port))
        listening.listen(1024)
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield Live(app, app.state.resources, url, server)
        finally:
            server.should_exit = True
            await serving
