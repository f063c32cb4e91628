"""The control socket: how `stop`, `comment`, `status` and the like reach the running tracker.

Rule 1: one line of JSON is asked, one is answered; the socket lies in the home folder, which is its user's alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

LINE_BYTES_MAX = 64 * 1024
ANSWER_SECONDS_MAX = 10.0

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NothingRuns(Exception):
    """No tracker listens on this home folder."""

    def __str__(self) -> str:
        return "No tracker is running."


@contextmanager
def _short_path(path: Path) -> Iterator[str]:
    """Give a name of the socket that fits into 108 bytes, wherever the folder lies."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def listen(path: Path, handler: Handler) -> asyncio.Server:
    """Answer requests on `path` with `handler`, which never raises."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            request = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
            writer.write(msgspec.json.encode(await handler(request)) + b"\n")
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, sock=_bound(path), limit=LINE_BYTES_MAX)


def _bound(path: Path) -> socket.socket:
    """Return a socket in the place of one that an earlier tracker may have left."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    with _short_path(path) as name:
        listener.bind(name)
    path.chmod(0o600)
    return listener


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Return the running tracker's answer.

    Raises:
        NothingRuns: if no tracker answers.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS_MAX)
        try:
            with _short_path(path) as name:
                connection.connect(name)
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as lines:
                return msgspec.json.decode(lines.readline(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError):
            raise NothingRuns from None
