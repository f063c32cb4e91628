"""`python -m bench [ROW…]`: measure ours beside the peers on this machine, print a table, write build/bench.json."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from bench import machine
from bench.process import BenchFailed
from bench.report import REPORT, Row, table, write

OTHERS_SHARE_MAX = 0.1  # what a desktop does beside the bench
ROWS = {
    "fan-out": "fan_out",
    "chat": "chat",
    "idle": "idle",
    "live-frame": "live_frame",
    "page": "page",
    "home": "home",
    "million": "million",
    "search": "search",
    "uploads": "uploads",
}


def _others_share(before: tuple[float, float], seconds: float) -> float:
    """Return how much of the machine's CPU time went to programs that the bench did not start."""
    busy, ours = (after - start for after, start in zip(machine.busy_seconds(), before, strict=True))
    return round(max(0.0, busy - ours) / seconds / len(os.sched_getaffinity(0)), 3)


def main() -> int:
    """Run the rows named on the command line, or all; return 0 if every goal was reached."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("row", nargs="*", choices=[*ROWS, []], help="rows to measure; all where none is named")
    names = parser.parse_args().row or list(ROWS)
    server, load = machine.cores()
    print(f"server on core {min(server)}, load on core {min(load)}; {machine.machine()}", flush=True)
    if server == load:
        print("there is one core: server and load share it", flush=True)
    failed = []
    for name in names:
        run: Callable[[Path], Row] = import_module(f"bench.rows.{ROWS[name]}").run
        # Beside the report, not in /tmp, which may be memory: an fsync must reach a disk.
        REPORT.parent.mkdir(exist_ok=True)
        start, before = time.monotonic(), machine.busy_seconds()
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=REPORT.parent) as folder:
            try:
                row = run(Path(folder).resolve())
            except BenchFailed as problem:
                print(f"== {name}\nFAILED: {problem}", flush=True)
                failed.append(name)
                continue
        row.others_share = _others_share(before, time.monotonic() - start)
        if row.others_share > OTHERS_SHARE_MAX:
            share = f"{row.others_share:.0%} of the machine"
            row.notes.append(f"other programs used {share}: latencies and rates per second say little")
        print(table(row), flush=True)
        write(row)
        failed += [name for figure in row.figures if figure.is_reached is False]
    print(f"written to {REPORT}" + (f"; not reached: {', '.join(dict.fromkeys(failed))}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
