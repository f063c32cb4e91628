"""Home: the first page of a person with 200 workrooms, with unread entries in each; milliseconds.

Rule 1: one connection that is kept alive, one request at a time.
"""

from __future__ import annotations

from pathlib import Path

from bench.report import Figure, Row, percentile
from bench.rows.million import ENTRIES, ROOMS
from bench.servers.archive import Asking, archive_server

REQUESTS = 150
WARM_REQUESTS = 20
GOAL_P50_MS = 30.0


def run(folder: Path, entries: int = ENTRIES, requests: int = REQUESTS) -> Row:
    """Measure the home page on our server."""
    row = Row("home")
    with archive_server(entries, ROOMS) as (server, made), Asking(server, made.cookie) as asking:
        for _ in range(WARM_REQUESTS):
            asking.get("/", b"room-card", made.rooms)
        before = server.cpu_seconds()
        took = [asking.get("/", b"room-card", made.rooms) for _ in range(requests)]
        cpu = (server.cpu_seconds() - before) / requests * 1000
        p50 = percentile(took, 0.5)
        row.figures = [
            Figure(
                f"home, {made.rooms} rooms, p50", "ms", round(p50, 2), goal=f"≤ {GOAL_P50_MS:g}",
                is_reached=p50 <= GOAL_P50_MS, details={"cpu_ms": round(cpu, 2)},
            ),
            Figure(f"home, {made.rooms} rooms, p99", "ms", round(percentile(took, 0.99), 2)),
        ]  # fmt: skip
    return row
