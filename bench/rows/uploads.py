"""Uploads: what one of 50 MiB takes of memory, and what ten at once do to chat.

Rule 1: memory is the highest resident size of the server's process, as the kernel marks it, less what it was
    before. The first upload of the server's life counts, too: the worst of the rounds is the figure.
Rule 2: chat is paced at the same rate without uploads and with ten that never end: each is followed by the next as soon
    as it is whole. Latencies count from when a say was due (see `chat.py`).
Rule 3: uploads come over loopback as fast as the server takes them, which is faster than any of its users could.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bench.load import Load, load
from bench.process import BenchFailed
from bench.report import Figure, Row, median
from bench.servers.ours import Ours, chat_server

ROOMS = 100
FILE_BYTES = 50 * 1024 * 1024
UPLOADERS = 10
PACE_PER_SECOND = 500
SECONDS = 8.0
ROUNDS = 3
SEND_BYTES = 256 * 1024
GOAL_MIB = 2.0
GOAL_RATIO = 2.0


def run(folder: Path, rooms: int = ROOMS, rounds: int = ROUNDS, seconds: float = SECONDS) -> Row:
    """Measure ours; no peer takes part."""
    row = Row("uploads")
    with chat_server(folder / "ours", rooms) as ours:
        row.versions["ours"] = ours.server.version
        people = [(room, token) for room, token, _ in ours.made.places]
        memory = [_memory_of_one(ours, people[0]) for _ in range(rounds)]
        options = ["--port", str(ours.server.port), "--pairs", str(rooms), "--places", str(ours.places)]
        with load("chat", [*options, "--header", "Authorization: Bearer %k"]) as chat:
            chat.ask(f"pace {PACE_PER_SECOND} 1")  # warm
            alone, beside, taken = [], [], []
            for _ in range(rounds):
                alone.append(_paced(chat, seconds))
                found, mib = _beside_uploads(ours, people, chat, seconds)
                beside.append(found)
                taken.append(mib / seconds)
    usual, loaded = median([f["p99_ms"] for f in alone]), median([f["p99_ms"] for f in beside])
    mib = max(memory)
    row.figures = [
        Figure("memory while one of 50 MiB arrives, beyond the usual", "MiB", round(mib, 2), {}, None,
               f"≤ {GOAL_MIB:g}", mib <= GOAL_MIB, {"rounds": [round(value, 2) for value in memory]}),
        Figure("chat's p99 without uploads", "ms", round(usual, 2), details={"p50_ms": [f["p50_ms"] for f in alone]}),
        Figure("chat's p99 beside ten uploads", "ms", round(loaded, 2), {}, round(loaded / usual, 2),
               f"≤ {GOAL_RATIO:g} × the usual", loaded <= GOAL_RATIO * usual,
               {"p50_ms": [f["p50_ms"] for f in beside], "p99_ms": [f["p99_ms"] for f in beside],
                "alone_p99_ms": [f["p99_ms"] for f in alone]}),
        Figure("uploaded meanwhile", "MiB/s", round(median(taken), 1)),
    ]  # fmt: skip
    return row


def _paced(chat: Load, seconds: float) -> dict[str, Any]:
    found = chat.ask(f"pace {PACE_PER_SECOND} {seconds}")
    if found["lost"] or found["doubled"] or found["errors"] or found["gone"]:
        raise BenchFailed(f"uploads: chat lost {found['lost']}, doubled {found['doubled']}, refused {found['errors']}")
    return found


# Uploads


class Uploader:
    """Somebody who uploads to a room of theirs."""

    def __init__(self, port: int, room: str, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"authorization": f"Bearer {token}"}
        self._room = room
        self.sent = 0

    def upload(self, size: int, ending: threading.Event | None = None) -> None:
        """Upload `size` random bytes, then take them back; give up when `ending` is set."""
        address = self._begin(size)
        seed = os.urandom(SEND_BYTES)
        piece = memoryview(seed)
        self._connection.putrequest("PATCH", address)
        for name, value in {**self._headers, "upload-offset": "0", "content-length": str(size)}.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()
        left = size
        while left:
            if ending is not None and ending.is_set():
                self._connection.close()
                return
            part = piece[:left]
            self._connection.send(part)
            left -= len(part)
            self.sent += len(part)
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status != 200 or not msgspec.json.decode(told)["file"]:
            raise BenchFailed(f"an upload got {answer.status}: {told[:200]!r}")
        self._ask("DELETE", address)

    def close(self) -> None:
        self._connection.close()

    def _begin(self, size: int) -> str:
        told = self._ask("POST", f"/api/rooms/{self._room}/uploads", {"name": "plan.bin", "bytes": size})
        address: str = msgspec.json.decode(told)["address"]
        return address

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        self._connection.request(method, path, msgspec.json.encode(body) if body else None, self._headers)
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status >= 300:
            raise BenchFailed(f"{method} {path} got {answer.status}: {told[:200]!r}")
        return told


def _memory_of_one(ours: Ours, place: tuple[str, str]) -> float:
    """Return by how many MiB the server grew, at its highest, while one file of 50 MiB arrived."""
    uploader = Uploader(ours.server.port, *place)
    time.sleep(0.5)
    before = ours.server.rss_kib()
    process = Path(f"/proc/{ours.server.pid}")
    (process / "clear_refs").write_text("5")  # the kernel's own mark of the highest size begins anew
    uploader.upload(FILE_BYTES)
    uploader.close()
    marks = [line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    return (int(marks[0].split()[1]) - before) / 1024


def _beside_uploads(
    ours: Ours, people: Sequence[tuple[str, str]], chat: Load, seconds: float
) -> tuple[dict[str, Any], float]:
    """Return what chat found while ten uploads ran, and how many MiB they brought."""
    ending, failed = threading.Event(), []
    uploaders = [Uploader(ours.server.port, *place) for place in people[: 2 * UPLOADERS : 2]]

    def work(uploader: Uploader) -> None:
        try:
            while not ending.is_set():
                uploader.upload(FILE_BYTES, ending)
        except (OSError, BenchFailed, http.client.HTTPException) as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(uploader,)) for uploader in uploaders]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    start = sum(uploader.sent for uploader in uploaders)
    try:
        found = _paced(chat, seconds)
    finally:
        sent = sum(uploader.sent for uploader in uploaders) - start
        ending.set()
        for thread in threads:
            thread.join()
        for uploader in uploaders:
            with suppress(OSError):
                uploader.close()
    if failed:
        raise BenchFailed(f"uploads: {failed[0]}")
    return found, sent / 2**20
