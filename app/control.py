"""The private socket by which operator commands reach a server that works: `data/control.sock`, mode 0600.

Rule 1: only who may open the file may command: there is no other check.
Rule 2: a connection carries one command and one answer, each a line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

from app.domain.errors import WorkroomError
from app.services import operator
from app.services.resources import Resources

LINE_BYTES_MAX = 64 * 1024
ANSWER_SECONDS_MAX = 60.0
_ADDRESS_BYTES_MAX = 100  # a unix socket's address has 108 bytes on Linux, 104 elsewhere

log = structlog.get_logger()


class Question(msgspec.Struct, frozen=True):
    command: str
    arguments: dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """The lines to print, or the sentence that says why not."""

    lines: list[str]
    refusal: str | None = None


class NoServer(Exception):
    """No server listens on this socket."""


@asynccontextmanager
async def serve_control(resources: Resources, path: Path) -> AsyncIterator[None]:
    """Answer commands on the socket at `path` while the context lasts. The caller holds the data folder."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            line = await reader.readuntil(b"\n")
            writer.write(msgspec.json.encode(await _answer(resources, line)) + b"\n")
            await writer.drain()
        writer.close()

    listening = _listen(path)
    server = await asyncio.start_unix_server(answer, sock=listening, limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        _forget(path)
        server.close()
        await server.wait_closed()


async def ask_server(path: Path, command: str, arguments: dict[str, Any]) -> Answer:
    """Send a command to the server that listens at `path` and return its answer.

    Raises:
        NoServer: if none does, or it stopped before it answered.
    """
    try:
        with _address(path) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=LINE_BYTES_MAX)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoServer() from None
    try:
        writer.write(msgspec.json.encode(Question(command, arguments)) + b"\n")
        await writer.drain()
        line = await asyncio.wait_for(reader.readuntil(b"\n"), ANSWER_SECONDS_MAX)
        return msgspec.json.decode(line, type=Answer)
    except (asyncio.IncompleteReadError, ConnectionError):
        raise NoServer() from None
    finally:
        writer.close()


async def _answer(resources: Resources, line: bytes) -> Answer:
    try:
        question = msgspec.json.decode(line, type=Question)
        return Answer(await operator.run(resources, question.command, question.arguments))
    except msgspec.DecodeError as error:
        return Answer([], f"The command could not be read: {error}.")
    except WorkroomError as refusal:
        return Answer([], str(refusal))
    except Exception as bug:  # the edge: the server goes on
        log.error("command failed", exc_info=bug)
        return Answer([], "The command failed; the server's log says why.")


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.setblocking(False)
    path.unlink(missing_ok=True)  # one that a killed server left
    with _address(path) as address:
        before = os.umask(0o177)
        try:
            listening.bind(address)
        finally:
            os.umask(before)
    return listening


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give the address of a socket, also where its folder's name is longer than an address may be."""
    if len(os.fsencode(path)) <= _ADDRESS_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
