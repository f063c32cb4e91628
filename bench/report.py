"""Figures, the table that is printed, and build/bench.json.

Rule 1: a figure says its goal and whether it was reached; a peer that did not run is named with the reason.
Rule 2: rows of earlier runs stay in the file until they are measured again, each with its own date.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import machine

REPORT = Path("build") / "bench.json"


@dataclass
class Figure:
    """One line of the table. `ratio` is ours by the best peer that the goal names, where there is one."""

    name: str
    unit: str
    ours: float | None
    peers: dict[str, float] = field(default_factory=dict)
    ratio: float | None = None
    goal: str = ""
    is_reached: bool | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Row:
    """What one row of docs/benchmarks.md measured. `versions` by server, `skipped` by peer with the reason.

    `others_share` is the share of the machine that programs outside of the bench used meanwhile.
    """

    name: str
    figures: list[Figure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    others_share: float = 0.0


def median(values: list[float]) -> float:
    """Return the median of at least one value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of at least one value do not exceed."""
    return sorted(values)[int((len(values) - 1) * share)]


def number(value: float | None) -> str:
    """Return a figure as the table shows it: three significant digits or whole thousands."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def progress(figure: Figure) -> str:
    """Return one figure in a line, for while the row still runs."""
    peers = ", ".join(f"{name} {number(value)}" for name, value in figure.peers.items())
    return f"   {figure.name}: {number(figure.ours)} {figure.unit}" + (f" ({peers})" if peers else "")


def table(row: Row) -> str:
    """Return a row as aligned text."""
    peers = list(dict.fromkeys(peer for figure in row.figures for peer in figure.peers))
    lines = [["", "unit", "ours", *peers, "ratio", "goal", ""]]
    for figure in row.figures:
        reached = {True: "reached", False: "MISSED", None: ""}[figure.is_reached]
        values = [number(figure.peers.get(peer)) for peer in peers]
        lines.append(
            [figure.name, figure.unit, number(figure.ours), *values, number(figure.ratio), figure.goal, reached]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"== {row.name}"]
    for line in lines:
        cells = [
            cell.ljust(w) if i < 2 or i >= len(line) - 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
    text += [f"skipped: {peer}: {reason}" for peer, reason in row.skipped.items()]
    text += [f"note: {note}" for note in row.notes]
    return "\n".join(text)


def write(row: Row, path: Path = REPORT) -> None:
    """Put a row into the report; the others stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"rows": {}}
    if path.exists():
        report = json.loads(path.read_text())
    entry = asdict(row)
    entry["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    entry["machine"] = machine()
    report["rows"][row.name] = entry
    report["date"], report["machine"] = entry["date"], entry["machine"]
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    temporary.replace(path)
