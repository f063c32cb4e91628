"""Rows of the bench, small: they run against the real application and say what they measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.process import Missing
from bench.report import Figure, Row, median, percentile, table, write
from bench.rows import chat, fan_out, idle
from bench.servers import ours, peers

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler; `apt-get install gcc` brings one"
)


@pytest.fixture
def only_broadcast(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where neither nginx nor NATS is installed."""

    def missing(folder: Path) -> object:
        raise Missing("it is not installed")

    for module in (fan_out, idle):
        monkeypatch.setattr(module, "PEERS", {"nchan": missing, "websockets.broadcast": peers.broadcast})


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody compares the figures of these runs: rounds may be short, servers need no crowd and no time to settle."""
    monkeypatch.setattr(fan_out, "ROUND_SECONDS", 0.3)
    monkeypatch.setattr(fan_out, "WARM_SECONDS", 0.1)
    monkeypatch.setattr(ours, "WATCHED_PEOPLE", 10)
    monkeypatch.setattr(idle, "SETTLE_SECONDS", 0.2)
    monkeypatch.setattr(idle, "ROOMS", 20)


@needs_compiler
def test_every_watcher_of_the_real_application_gets_every_message(tmp_path: Path, only_broadcast: None) -> None:
    row = fan_out.run(tmp_path, sizes={20: (4,)}, rounds=1)
    (figure,) = row.figures
    assert figure.ours is not None
    assert figure.ours > 0
    assert figure.peers["websockets.broadcast"] > 0
    assert row.skipped == {"nchan": "it is not installed"}
    assert abs(figure.details["ours"]["bytes_per_delivery"] - 304) <= 3, "the peers' messages are as large as ours"


@needs_compiler
def test_everything_said_in_the_chat_row_is_answered_and_shown_once(tmp_path: Path) -> None:
    row = chat.run(tmp_path, rooms=4, rounds=1, seconds=0.3)
    said = next(figure for figure in row.figures if figure.name == "said and shown")
    assert said.ours is not None
    assert said.ours > 0


@needs_compiler
def test_idle_connections_of_the_real_application_stay_open(tmp_path: Path, only_broadcast: None) -> None:
    row = idle.run(tmp_path, connections=50, idle_seconds=0.3)
    assert {figure.unit for figure in row.figures} == {"KiB/connection", "ms/s"}


def test_the_table_names_what_was_missed_and_what_was_skipped() -> None:
    row = Row("fan-out", skipped={"NATS": "NATS is not installed (Debian: nats-server)"})
    row.figures = [Figure("1,000 watchers", "deliveries/CPU s", 100_000, {"nchan": 130_000}, 0.77, "≥ 1.2", False)]
    text = table(row)
    assert "MISSED" in text
    assert "130,000" in text
    assert "skipped: NATS: NATS is not installed (Debian: nats-server)" in text


def test_the_report_keeps_the_rows_of_earlier_runs(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    write(Row("idle", [Figure("memory", "KiB", 9.5)]), report)
    write(Row("page", [Figure("p50", "ms", 12.0)]), report)
    rows = json.loads(report.read_text())["rows"]
    assert set(rows) == {"idle", "page"}
    assert rows["idle"]["figures"][0]["ours"] == 9.5
    assert rows["page"]["date"]
    assert rows["page"]["machine"]["cores"] >= 1


def test_medians_and_percentiles_are_of_what_was_measured() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert percentile([float(value) for value in range(101)], 0.99) == 99.0
