"""Page: a workroom with 100 entries, and a day of Work View with 40 frames: milliseconds and kilobytes.

Rule 1: one connection that is kept alive, one request at a time, from the load's core: what is measured is the server's
time to answer, with loopback in it and nobody else in the way.
"""

from __future__ import annotations

import gzip
import os
import time
from http.client import HTTPConnection
from pathlib import Path

from bench import machine
from bench.process import BenchFailed, Server
from bench.report import Figure, Row, percentile
from bench.servers.ours import ours

ENTRIES = 100
FRAMES = 40
REQUESTS = 200
WARM_REQUESTS = 20
GOAL_P50_MS = 20.0


def run(folder: Path, requests: int = REQUESTS) -> Row:
    """Measure both pages on our server."""
    row = Row("page")
    with ours(folder, rooms=1, people=2, entries=ENTRIES, frames=FRAMES) as server:
        row.versions["ours"] = server.server.version
        pages = server.made.pages
        assert pages is not None
        headers = {"Cookie": f"workroom_session={pages.cookie}", "Accept-Encoding": "gzip"}
        connection = HTTPConnection("127.0.0.1", server.server.port, timeout=10)
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, machine.cores()[1])
        try:
            for name, path, wanted in (
                (f"workroom, {ENTRIES} entries", f"/rooms/{pages.room}", (b'id="e-', ENTRIES)),
                (
                    f"Work View, {FRAMES} frames",
                    f"/rooms/{pages.room}/work-view?day={pages.day}",
                    (b"thumbnail?ready", FRAMES),
                ),
            ):
                row.figures += _measure(connection, name, path, headers, wanted, requests, server.server)
        finally:
            os.sched_setaffinity(0, allowed)
            connection.close()
    return row


def _measure(
    connection: HTTPConnection,
    name: str,
    path: str,
    headers: dict[str, str],
    wanted: tuple[bytes, int],
    requests: int,
    server: Server,
) -> list[Figure]:
    took: list[float] = []
    body, encoding, cpu = b"", "", 0.0
    for number in range(WARM_REQUESTS + requests):
        if number == WARM_REQUESTS:
            cpu = server.cpu_seconds()
        start = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if number >= WARM_REQUESTS:
            took.append((time.perf_counter() - start) * 1000)
        encoding = answer.headers.get("content-encoding", "")
        if answer.status != 200:
            raise BenchFailed(f"{path} answers {answer.status}")
    spent = (server.cpu_seconds() - cpu) / requests * 1000
    plain = gzip.decompress(body) if encoding == "gzip" else body
    mark, count = wanted
    found = plain.count(mark)
    if found < count:
        raise BenchFailed(f"{path} shows {found} of what it should")
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    sizes = {"plain_kb": len(plain) / 1000, "gzip_kb": len(gzip.compress(plain, 6)) / 1000, "cpu_ms": round(spent, 2)}
    return [
        Figure(
            f"{name}, p50", "ms", round(p50, 2), goal=f"≤ {GOAL_P50_MS:g}", is_reached=p50 <= GOAL_P50_MS, details=sizes
        ),
        Figure(f"{name}, p99", "ms", round(p99, 2)),
        Figure(f"{name}, sent{f' ({encoding})' if encoding else ''}", "KB", round(len(body) / 1000, 1)),
    ]
