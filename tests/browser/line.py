"""A line between browser and server that can be cut, or hang as a network does whose other end is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Line:
    """Passes bytes on to a server; `url` is where the browser finds it."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None and parts.port is not None
        self._target = parts.hostname, parts.port
        self._writers: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._is_cut = False
        self.url = ""

    def cut(self) -> None:
        """Break what is connected, and refuse what comes."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def hang(self) -> None:
        """Take everything and deliver nothing: no end of the connection hears of it."""
        self._passes.clear()

    def mend(self) -> None:
        """Let new connections through. Those that hung never come back."""
        for writer in self._writers:
            writer.transport.abort()
        self._is_cut = False
        self._passes.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection of a browser."""
        if self._is_cut:
            writer.transport.abort()
            return
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            await self._passes.wait()
            far, beyond = await asyncio.open_connection(*self._target)
            self._writers.add(beyond)
            await asyncio.gather(self._carry(reader, beyond), self._carry(far, writer))
        except OSError:
            writer.transport.abort()
        finally:
            for end in (writer, beyond):
                if end is not None:
                    end.close()
                    self._writers.discard(end)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def open_line(target: str) -> AsyncIterator[Line]:
    """Run a line to a server until the block ends."""
    line = Line(target)
    server = await asyncio.start_server(line.connected, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        line.cut()
