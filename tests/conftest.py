"""Fixtures: real databases, real resources, a real server. Every one starts what it needs and ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from app.config import Settings
from app.opening import open_resources
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.live import Live, live_server
from tests.postgres import Cluster, find_binaries
from tests.published import Published

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z: a Monday, in the fourth segment of its hour


@pytest.fixture(scope="session", autouse=True)
def quiet_log() -> None:
    """Keep what the program logs out of the tests' output; failures show it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A private PostgreSQL server; skipped, with how to get it, where there are no binaries."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; `apt-get install postgresql` brings it")
    with Cluster(binaries, tmp_path_factory.mktemp("postgres")) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: every test that uses it runs on both."""
    if request.param == "sqlite":
        return ""  # in the data folder
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    return cluster.create_database()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data=tmp_path / "data", database_url=database_url, origin="test.example", says_per_second_max=100_000
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def published() -> Published:
    """What services published, in order."""
    return Published()


@pytest.fixture
async def resources(settings: Settings, clock: ManualClock, published: Published) -> AsyncIterator[Resources]:
    """Open resources on either database, with a clock that stands still and a list of what was published."""
    async with open_resources(settings, clock=clock, publish=published.publish) as opened:
        opened.enqueue = published.enqueue
        yield opened


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """One server for all tests of a module; each builds its own workroom."""
    data = tmp_path_factory.mktemp("live") / "data"
    settings = Settings(data=data, port=0, origin="test.example", says_per_second_max=100_000)
    async with live_server(settings) as running:
        yield running


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    """Settings of a server on its embedded defaults, at a port that the system chooses."""
    return Settings(data=tmp_path / "data", port=0, origin="test.example", says_per_second_max=100_000)
