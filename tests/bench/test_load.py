"""The load programs against small servers: what they count is what was sent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.load import load
from bench.process import BenchFailed
from bench.servers.peers import broadcast

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler; `apt-get install gcc` brings one")


def test_watchers_count_every_message_that_was_published(tmp_path: Path) -> None:
    with broadcast(tmp_path) as peer:
        options = ["--port", str(peer.server.port), "--count", "7", *peer.join, *peer.publish]
        with load("watch", options) as watchers:
            found = watchers.ask("publish 4 0.2")
    assert found["published"] > 0
    assert found["least"] == found["most"] == found["published"]
    assert found["deliveries"] == 7 * found["published"]
    assert found["gone"] == 0


def test_a_paced_publisher_keeps_its_rate_and_measures_latencies(tmp_path: Path) -> None:
    with broadcast(tmp_path) as peer:
        options = ["--port", str(peer.server.port), "--count", "2", "--stamped", *peer.join, *peer.publish]
        with load("watch", options) as watchers:
            found = watchers.ask("pace 100 0.5")
    assert 48 <= found["published"] <= 51
    assert found["samples"] == 2 * found["published"]
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]


def test_messages_of_every_length_of_header_are_counted(tmp_path: Path) -> None:
    with broadcast(tmp_path) as peer:
        for size in (32, 125, 126, 4000):
            options = ["--port", str(peer.server.port), "--count", "1", "--message-bytes", str(size)]
            with load("watch", [*options, *peer.join, *peer.publish]) as watchers:
                found = watchers.ask("publish 8 0.1")
            header = 2 if size < 126 else 4
            assert found["bytes"] == found["published"] * (size + header)


def test_a_server_that_refuses_the_upgrade_fails_the_row(tmp_path: Path) -> None:
    with broadcast(tmp_path) as peer:
        options = ["--port", str(peer.server.port), "--count", "1", "--path", "/watch bad path"]
        with pytest.raises(BenchFailed), load("watch", options):
            pass
