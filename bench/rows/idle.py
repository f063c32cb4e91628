"""Idle: 10,000 connections that do nothing, each joined to one of 1,000 rooms: memory and CPU of the server.

Rule 1: resident memory after all have joined, less before the first, by their number; without
the kernel's buffers.
Rule 2: a server gets a few connections that end again before the first reading, so that what it loads once is loaded.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.load import load
from bench.process import BenchFailed, Missing, Server
from bench.report import Figure, Row
from bench.servers.ours import idle_server
from bench.servers.peers import PEERS

CONNECTIONS = 10_000
ROOMS = 1_000
SETTLE_SECONDS = 3.0
IDLE_SECONDS = 20.0
GOAL_KIB = 13.0


def run(folder: Path, connections: int = CONNECTIONS, idle_seconds: float = IDLE_SECONDS) -> Row:
    """Measure ours and every peer that is installed, one after the other."""
    row = Row("idle")
    memory: dict[str, float] = {}
    cpu: dict[str, float] = {}
    details: dict[str, object] = {}
    with idle_server(folder / "ours", ROOMS) as ours:
        row.versions["ours"] = ours.server.version
        options = [*ours.join, "--places", str(ours.places)]
        memory["ours"], cpu["ours"], details["ours"] = _measure(ours.server, options, connections, idle_seconds)
        names = ours.places.with_name("names")
        names.write_text(ours.places.read_text())
        for name, start in PEERS.items():
            try:
                with start(folder / name) as peer:
                    row.versions[name] = peer.server.version
                    options = [*peer.join, "--places", str(names)]
                    memory[name], cpu[name], details[name] = _measure(peer.server, options, connections, idle_seconds)
            except Missing as missing:
                row.skipped[name] = str(missing)
    for title, unit, values, goal in (
        ("memory", "KiB/connection", memory, GOAL_KIB),
        ("CPU while idle", "ms/s", cpu, None),
    ):
        ours_value = values.pop("ours")
        best = min(values.values(), default=None)
        row.figures.append(
            Figure(
                name=f"{connections:,} connections, {title}",
                unit=unit,
                ours=round(ours_value, 2),
                peers={name: round(value, 2) for name, value in values.items()},
                ratio=round(ours_value / best, 2) if best else None,
                goal=f"≤ {goal:g} KiB" if goal else "",
                is_reached=ours_value <= goal if goal else None,
                details=details,
            )
        )
    row.notes.append("ratio: ours by the lowest peer; lower is better")
    return row


def _measure(server: Server, options: list[str], count: int, seconds: float) -> tuple[float, float, dict[str, float]]:
    """Return KiB a connection, CPU milliseconds a second, and details."""
    common = ["--port", str(server.port), *options]
    with load("watch", [*common, "--count", "50"]):
        pass
    time.sleep(0.5)
    before, cpu_at_start = server.rss_kib(), server.cpu_seconds()
    with load("watch", [*common, "--count", str(count)]) as watchers:
        opened_cpu = server.cpu_seconds() - cpu_at_start
        time.sleep(SETTLE_SECONDS)
        cpu, start = server.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        spent = (server.cpu_seconds() - cpu) / (time.monotonic() - start)
        after = server.rss_kib()
        left = watchers.ask("count 0.05")
        if left["gone"]:
            raise BenchFailed(f"{server.name}: {left['gone']} connections ended while idle")
        details = {
            "rss_before_kib": before,
            "rss_after_kib": after,
            "open_seconds": watchers.ready["seconds"],
            "open_cpu_seconds": round(opened_cpu, 2),
        }
    return (after - before) / count, spent * 1000, details
