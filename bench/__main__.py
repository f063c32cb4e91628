"""`python -m bench [ROW…]`: measure ours beside the peers on this machine, print a table, write build/bench.json."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from bench import machine
from bench.process import BenchFailed
from bench.report import REPORT, Row, table, write

ROWS = {
    "fan-out": "fan_out",
    "chat": "chat",
    "idle": "idle",
    "live-frame": "live_frame",
    "page": "page",
}


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
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=REPORT.parent) as folder:
            try:
                row = run(Path(folder).resolve())
            except BenchFailed as problem:
                print(f"== {name}\nFAILED: {problem}", flush=True)
                failed.append(name)
                continue
        print(table(row), flush=True)
        write(row)
        failed += [name for figure in row.figures if figure.is_reached is False]
    print(f"written to {REPORT}" + (f"; not reached: {', '.join(dict.fromkeys(failed))}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
