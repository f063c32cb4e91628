"""A peer: `websockets.broadcast` on uvloop. Whoever connects to /watch hears what is said on /pub.

python -m bench.servers.broadcast PORT
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

WATCHERS: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """Serve one connection until it ends."""
    assert connection.request is not None
    if connection.request.path == "/pub":
        async for message in connection:
            broadcast(WATCHERS, message)
        return
    WATCHERS.add(connection)
    try:
        await connection.send("joined")
        await connection.wait_closed()
    finally:
        WATCHERS.discard(connection)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    async with serve(handle, "127.0.0.1", port, compression=None, backlog=4096, write_limit=262144):
        await asyncio.Future()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
