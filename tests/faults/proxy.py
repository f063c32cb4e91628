"""A network that fails: a TCP proxy whose connections are cut, or fall silent, at any byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.faults.process import ServerProcess

CHUNK_BYTES_MAX = 2_000  # smaller than many messages: a cut falls into the middle of them


class Proxy:
    """Stands between clients and a server, and has the same addresses under another port."""

    def __init__(self, server: ServerProcess) -> None:
        self.port = 0
        self.cuts = 0
        self._server = server
        self._lines: set[_Line] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def agent_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/agent"

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        self.cuts += len(self._lines)
        for line in list(self._lines):
            line.cut()

    def silence(self) -> None:
        """Carry nothing more on the connections there are: each side believes that the other is just quiet."""
        self.cuts += len(self._lines)
        for line in self._lines:
            line.carrying.clear()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        try:
            theirs = await asyncio.open_connection("127.0.0.1", self._server.port)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(writer, theirs[1])
        self._lines.add(line)
        try:
            await asyncio.gather(line.carry(reader, theirs[1]), line.carry(theirs[0], writer))
        finally:
            self._lines.discard(line)
            line.cut()


class _Line:
    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.carrying = asyncio.Event()
        self.carrying.set()
        self._writers = writers

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(random.randint(1, CHUNK_BYTES_MAX)):
                await self.carrying.wait()
                writer.write(data)
                await writer.drain()
        self.cut()

    def cut(self) -> None:
        self.carrying.set()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def proxy_to(server: ServerProcess) -> AsyncIterator[Proxy]:
    """Run a proxy until the block ends."""
    proxy = Proxy(server)
    listening = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        proxy.cut()
