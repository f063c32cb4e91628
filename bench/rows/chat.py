"""Chat: 1,000 rooms of two; what is said over a socket is durable before `ok`, and then on the other's socket.

Rule 1: first the most that a closed loop reaches, then latencies at half of it in an open loop, counted from when a say
was due, so that a pause of the server is not hidden by a client that waits for it.
Rule 2: every say must have been answered and shown once, or the row fails.
Bound, beside it: Redis Streams XADD with `appendfsync always`, which checks no access and proves nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.load import load
from bench.process import BenchFailed, Missing
from bench.report import Figure, Row, median
from bench.servers.ours import chat_server
from bench.servers.redis_stream import xadd_per_second

ROOMS = 1_000
OUTSTANDING = 512
ROUND_SECONDS = 4.0
ROUNDS = 3
GOAL_PER_SECOND = 3_000
GOAL_P99_MS = 40.0


def run(folder: Path, rooms: int = ROOMS, rounds: int = ROUNDS, seconds: float = ROUND_SECONDS) -> Row:
    """Measure ours, and the bound where Redis is installed."""
    row = Row("chat")
    bound: dict[str, float] = {}
    try:
        label, per_second = xadd_per_second(folder / "redis")
        row.versions["Redis XADD"], bound["Redis XADD"] = label, per_second
    except Missing as missing:
        row.skipped["Redis XADD"] = str(missing)
    with chat_server(folder / "ours", rooms) as ours:
        row.versions["ours"] = ours.server.version
        options = [
            "--port",
            str(ours.server.port),
            "--pairs",
            str(rooms),
            "--places",
            str(ours.places),
            "--header",
            "Authorization: Bearer %k",
        ]
        with load("chat", options) as people:
            _checked(people.ask(f"max {OUTSTANDING} 1"))  # warm
            rates, per_cpu, details = [], [], {}
            for _ in range(rounds):
                before = ours.server.cpu_seconds()
                found = _checked(people.ask(f"max {OUTSTANDING} {seconds}"))
                spent = ours.server.cpu_seconds() - before
                rates.append(found["finished_in_time"] / found["seconds"])
                per_cpu.append(found["said"] / max(spent, 0.01))
                details = {"server_cpu_seconds": round(spent, 2), "load_cpu_seconds": found["load_cpu_seconds"]}
                details |= {"closed_loop_p50_ms": found["p50_ms"], "closed_loop_p99_ms": found["p99_ms"]}
            best = median(rates)
            paces = [_checked(people.ask(f"pace {best / 2:.0f} {seconds}")) for _ in range(rounds)]
            paced = sorted(paces, key=lambda found: float(found["p99_ms"]))[rounds // 2]
    ratio = best / bound["Redis XADD"] if bound else None
    row.figures = [
        Figure("said and shown", "messages/s", round(best), {k: round(v) for k, v in bound.items()},
               ratio and round(ratio, 3), f"≥ {GOAL_PER_SECOND:,}", best >= GOAL_PER_SECOND,
               {**details, "rounds": [round(rate) for rate in rates]}),
        Figure("per CPU second of the server", "messages/CPU s", round(median(per_cpu))),
        Figure("say to the other's socket at half of it, p50", "ms", round(paced["p50_ms"], 2), details=paced),
        Figure("say to the other's socket at half of it, p99", "ms", round(paced["p99_ms"], 2), {}, None,
               f"≤ {GOAL_P99_MS:g}", paced["p99_ms"] <= GOAL_P99_MS),
    ]  # fmt: skip
    return row


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    if found["lost"] or found["doubled"] or found["errors"] or found["gone"]:
        raise BenchFailed(
            f"chat: {found['lost']} lost, {found['doubled']} doubled, {found['errors']} refused, {found['gone']} cut"
        )
    return found
