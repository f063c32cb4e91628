"""Migrations lead to the very tables that the code declares, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, make_url, select, text

from app.storage.migrate import migrate
from app.storage.search_index import OWN_TABLES
from app.storage.tables import metadata, room_heads, rooms
from tests.postgres import Cluster


def _is_declared(name: str | None, kind: str, parents: Any) -> bool:
    """Whether the metadata knows it: the index of search is made by statements of its own."""
    return kind != "table" or name not in OWN_TABLES


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    return cluster.create_database()


def _engine(url: str) -> Engine:
    target = make_url(url)
    driver = "sqlite" if target.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return create_engine(target.set(drivername=driver))


async def test_migrations_and_tables_agree_and_run_twice(empty_url: str) -> None:
    for _ in range(2):
        await asyncio.to_thread(migrate, empty_url)
    engine = _engine(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_declared})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_a_database_of_the_first_version_keeps_its_people_and_rooms(empty_url: str) -> None:
    await asyncio.to_thread(migrate, empty_url, "0001")
    engine = _engine(empty_url)
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO accounts (id, email, name, operator, created_at) VALUES ('a', 'a@example.org', 'A', false, 1)",
            "INSERT INTO rooms (id, title, time_zone, work_view, demo, opened_at) "
            "VALUES ('r', 'T', 'UTC', true, false, 1)",
            "INSERT INTO members (room, account, by, side, name, seen_seq, joined_at) "
            "VALUES ('r', 'a', 'p1', 'client', 'A', -1, 1)",
            "INSERT INTO room_heads (room, size, root, peaks, at) VALUES ('r', 0, '', '', 0)",
        ):
            connection.execute(text(statement))
    await asyncio.to_thread(migrate, empty_url)
    with engine.connect() as connection:
        info = connection.execute(select(rooms.c.state, rooms.c.closed_at, rooms.c.job)).one()
        assert (info.state, info.closed_at, info.job) == ("negotiating", None, None)
        assert connection.scalar(select(room_heads.c.closed)) is False
    engine.dispose()
