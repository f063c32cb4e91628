"""The bound of chat: Redis Streams, XADD with `appendfsync always`, pipelined as deep as the chat is."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from bench.process import Missing, free_port, running

SECONDS = 3.0
PIPELINE = 512  # as many as the chat row has says unanswered


def xadd_per_second(folder: Path) -> tuple[str, float]:
    """Return Redis's version, and entries per second that were on disk before they were answered.

    Raises:
        Missing: if redis-server is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise Missing("Redis is not installed (Debian: redis-server)")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    label = "redis " + said.partition("v=")[2].split()[0]
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder.resolve()), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    text = b"w" * 100
    command_of = [
        _command(b"XADD", b"room:%d" % (n % 1000), b"*", b"by", b"p1", b"text", text) for n in range(PIPELINE)
    ]
    batch = b"".join(command_of)
    with running("redis", label, command, port, folder), socket.create_connection(("127.0.0.1", port)) as client:
        done, start = 0, time.monotonic()
        while time.monotonic() - start < SECONDS:
            client.sendall(batch)
            answers = 0
            while answers < PIPELINE * 2:  # a bulk answer has two lines
                answers += client.recv(1 << 16).count(b"\n")
            done += PIPELINE
        return label, done / (time.monotonic() - start)


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
