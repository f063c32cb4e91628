"""Million: the page of a workroom with 1,000,000 entries beside the page of one with 100.

Rule 1: one connection that is kept alive, one request at a time, the two rooms in turn: what else the machine does
meets both alike.
"""

from __future__ import annotations

from pathlib import Path

from bench.report import Figure, Row, percentile
from bench.servers.archive import Asking, archive_server

ENTRIES = 1_000_000
ROOMS = 200  # of the same person: the list at the side holds them all
REQUESTS = 150
WARM_REQUESTS = 20
GOAL_P50_MS = 20.0


def run(folder: Path, entries: int = ENTRIES, requests: int = REQUESTS) -> Row:
    """Open both rooms in turn on our server."""
    row = Row("million")
    with archive_server(entries, ROOMS) as (server, made), Asking(server, made.cookie) as asking:
        row.notes.append(f"{made.entries:,} entries and {made.rooms} rooms were made in {made.seconds:.0f} s")
        rooms = {f"{made.entries:,} entries": made.large, "100 entries": made.small}
        took: dict[str, list[float]] = {name: [] for name in rooms}
        cpu: dict[str, float] = dict.fromkeys(rooms, 0.0)
        for number in range(WARM_REQUESTS + requests):
            for name, room in rooms.items():
                before = server.cpu_seconds()
                milliseconds = asking.get(f"/rooms/{room}", b'id="e-', 100)
                if number >= WARM_REQUESTS:
                    took[name].append(milliseconds)
                    cpu[name] += server.cpu_seconds() - before
        for name, values in took.items():
            p50 = percentile(values, 0.5)
            details = {"cpu_ms": round(cpu[name] / requests * 1000, 2)}
            row.figures += [
                Figure(
                    f"room of {name}, p50", "ms", round(p50, 2), goal=f"≤ {GOAL_P50_MS:g}",
                    is_reached=p50 <= GOAL_P50_MS, details=details,
                ),
                Figure(f"room of {name}, p99", "ms", round(percentile(values, 0.99), 2)),
            ]  # fmt: skip
    return row
