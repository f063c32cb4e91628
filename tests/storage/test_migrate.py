"""Migrations lead to the very tables that the code declares, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url

from app.storage.migrate import migrate
from app.storage.search_index import OWN_TABLES
from app.storage.tables import metadata
from tests.postgres import Cluster


def _is_declared(name: str | None, kind: str, parents: Any) -> bool:
    """Whether the metadata knows it: the index of search is made by statements of its own."""
    return kind != "table" or name not in OWN_TABLES


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_migrations_and_tables_agree_and_run_twice(
    dialect: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if dialect == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        url = cluster.create_database()
    for _ in range(2):
        await asyncio.to_thread(migrate, url)
    target = make_url(url)
    driver = "sqlite" if target.get_backend_name() == "sqlite" else "postgresql+psycopg"
    engine = create_engine(target.set(drivername=driver))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_declared})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
