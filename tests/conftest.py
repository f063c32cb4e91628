"""Fixtures: real databases, real resources, a real server. Every one starts what it needs and ends it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import argon2
import pytest
import structlog

from app.config import Settings
from app.opening import open_resources
from app.services import passwords
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.migrate import migrate
from tests.live import Live, live_server
from tests.postgres import Cluster, find_binaries
from tests.published import Published

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z: a Monday, in the fourth segment of its hour


@pytest.fixture(scope="session", autouse=True)
def quiet_log() -> None:
    """Keep what the program logs out of the tests' output; failures show it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash passwords with the least that argon2 allows: a test makes two accounts, and a server's own hash takes a
    fifth of a second of a core (tests/services/test_accounts.py looks at the real one)."""
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", hasher)
        patch.setattr(passwords, "_NO_PASSWORD", hasher.hash("no account has this one"))
        yield


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables; tests begin with a copy of it."""
    path = tmp_path_factory.mktemp("migrated") / "workroom.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A private PostgreSQL server; skipped, with how to get it, where there are no binaries."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; `apt-get install postgresql` brings it")
    with Cluster(binaries, tmp_path_factory.mktemp("postgres")) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with all tables and no rows: every test that uses it runs on both."""
    if request.param == "sqlite":
        furnish_data(tmp_path / "data", request.getfixturevalue("migrated_file"))
        yield ""  # in the data folder
        return
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    url = cluster.create_database(migrated=True)
    yield url
    cluster.give_back(url)


def furnish_data(data: Path, migrated_file: Path) -> None:
    """Make a data folder that holds a database with all tables."""
    data.mkdir(mode=0o700)
    shutil.copyfile(migrated_file, data / "workroom.sqlite3")


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
async def live(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> AsyncIterator[Live]:
    """One server for all tests of a module; each builds its own workroom."""
    data = tmp_path_factory.mktemp("live") / "data"
    furnish_data(data, migrated_file)
    settings = Settings(data=data, port=0, origin="test.example", says_per_second_max=100_000)
    async with live_server(settings) as running:
        yield running


@pytest.fixture
def sqlite_settings(tmp_path: Path, migrated_file: Path) -> Settings:
    """Settings of a server on its embedded defaults, at a port that the system chooses."""
    furnish_data(tmp_path / "data", migrated_file)
    return Settings(data=tmp_path / "data", port=0, origin="test.example", says_per_second_max=100_000)
