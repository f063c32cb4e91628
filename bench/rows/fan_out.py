"""Fan-out: one room, many watchers, messages as fast as they are taken: deliveries per CPU second of the server.

Rule 1: every server gets the same load from the same client: 300 bytes a message on the wire, at most `window` messages
on their way to the watchers at any time. What is not bounded is measured by how it fails, not by how fast it is.
Rule 2: rounds alternate between the servers, and the median counts, because the machine is shared.
Rule 3: a round counts only if every watcher got every message.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import Load, load
from bench.process import BenchFailed, Missing, Server
from bench.report import Figure, Row, median, progress
from bench.servers.ours import DURABLE, LIVE, fan_out_server
from bench.servers.peers import PEERS

MESSAGE_BYTES = 300
ROUND_SECONDS = 1.5
ROUNDS = 3
WARM_SECONDS = 0.5
OURS = "ours"
GOAL_RATIO = 1.2
GOAL_PEERS = ("nchan", "NATS")
# Watchers, and how many messages may be on their way: one shows the cost of a write, more show what joining saves.
SIZES = {100: (16,), 1_000: (16, 1, 64), 10_000: (16,)}
DURABLE_WINDOW = 64


@dataclass
class Contender:
    """A server with its watchers, and what it reached by window."""

    name: str
    server: Server
    watchers: Load
    rates: dict[int, list[float]] = field(default_factory=dict)
    details: dict[int, dict[str, float]] = field(default_factory=dict)

    def measure(self, window: int, seconds: float) -> float:
        """Run one round; return deliveries per CPU second.

        Raises:
            BenchFailed: if a watcher missed a message, or got one twice.
        """
        before = self.server.cpu_seconds()
        found = self.watchers.ask(f"publish {window} {seconds}")
        spent = self.server.cpu_seconds() - before
        if not found["least"] == found["most"] == found["published"] or found["gone"]:
            raise BenchFailed(
                f"{self.name}: published {found['published']}, watchers got {found['least']} to {found['most']}"
            )
        rate = float(found["deliveries"]) / max(spent, 0.01)
        self.details[window] = {
            "server_cpu_seconds": round(spent, 2),
            "load_cpu_seconds": found["load_cpu_seconds"],
            "messages_per_second": round(found["published"] / found["seconds"]),
            "bytes_per_delivery": round(found["bytes"] / max(found["deliveries"], 1), 1),
        }
        return rate


def run(folder: Path, sizes: dict[int, tuple[int, ...]] | None = None, rounds: int = ROUNDS) -> Row:
    """Measure all sizes, ours and every peer that is installed."""
    row = Row("fan-out")
    for watchers, windows in (sizes or SIZES).items():
        with contextlib.ExitStack() as stack:
            contenders = _contenders(stack, folder / str(watchers), watchers, row)
            for window in windows:
                _alternate(contenders, window, rounds, row)
                is_goal = watchers == 1000 and window == windows[0]
                row.figures.append(_figure(contenders, watchers, window, is_goal))
                print(progress(row.figures[-1]), flush=True)
        if watchers == 1000:
            row.figures.append(_durable(folder, watchers, rounds))
            print(progress(row.figures[-1]), flush=True)
    row.notes.append("window: messages on their way at once; every message is 300 bytes on the wire, entries as JSON")
    return row


def _contenders(stack: contextlib.ExitStack, folder: Path, count: int, row: Row) -> list[Contender]:
    ours = stack.enter_context(fan_out_server(folder / "ours"))
    row.versions["ours"] = ours.server.version
    options = ["--count", str(count), "--port", str(ours.server.port), *ours.join, *ours.publish(LIVE, MESSAGE_BYTES)]
    found = [Contender(OURS, ours.server, stack.enter_context(load("watch", options)))]
    for name, start in PEERS.items():
        try:
            peer = stack.enter_context(start(folder / name))
        except Missing as missing:
            row.skipped[name] = str(missing)
            continue
        row.versions[name] = peer.server.version
        options = ["--count", str(count), "--port", str(peer.server.port), *peer.join, *peer.publish]
        options += ["--message-bytes", str(MESSAGE_BYTES)]
        found.append(Contender(name, peer.server, stack.enter_context(load("watch", options))))
    return found


def _alternate(contenders: list[Contender], window: int, rounds: int, row: Row) -> None:
    """Measure all in turn. A peer that loses messages is out, with the reason; if ours does, the row fails."""
    for contender in contenders:
        contender.watchers.settle()
    for turn in range(rounds + 1):  # the first warms up
        for contender in list(contenders):
            try:
                rate = contender.measure(window, ROUND_SECONDS if turn else WARM_SECONDS)
            except BenchFailed as problem:
                if contender.name == OURS:
                    raise
                contenders.remove(contender)
                row.skipped[contender.name] = str(problem)
                continue
            if turn:
                contender.rates.setdefault(window, []).append(rate)


def _figure(contenders: list[Contender], watchers: int, window: int, is_goal: bool) -> Figure:
    medians = {contender.name: median(contender.rates[window]) for contender in contenders}
    ours = medians.pop(OURS)
    best = max((medians[name] for name in GOAL_PEERS if name in medians), default=None)
    ratio = ours / best if best else None
    return Figure(
        name=f"{watchers:,} watchers, window {window}",
        unit="deliveries/CPU s",
        ours=round(ours),
        peers={name: round(value) for name, value in medians.items()},
        ratio=ratio and round(ratio, 2),
        goal=f"≥ {GOAL_RATIO} × best of {' and '.join(GOAL_PEERS)}" if is_goal else "",
        is_reached=ratio >= GOAL_RATIO if is_goal and ratio is not None else None,
        details={contender.name: contender.details[window] for contender in contenders},
    )


def _durable(folder: Path, watchers: int, rounds: int) -> Figure:
    """Ours alone, with each message appended to the record by a caller of its own and fsynced before it is shown."""
    with fan_out_server(folder / "durable") as ours:
        options = ["--count", str(watchers), "--port", str(ours.server.port), *ours.join]
        options += ours.publish(DURABLE, MESSAGE_BYTES)
        with load("watch", options) as program:
            contender = Contender(OURS, ours.server, program)
            _alternate([contender], DURABLE_WINDOW, rounds, Row("durable"))
    return Figure(
        name=f"{watchers:,} watchers, durable, window {DURABLE_WINDOW}",
        unit="deliveries/CPU s",
        ours=round(median(contender.rates[DURABLE_WINDOW])),
        details=contender.details[DURABLE_WINDOW],
    )
