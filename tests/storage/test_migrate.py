"""Migrations lead to the very tables that the code declares, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url

from app.config import Settings
from app.opening import database_url
from app.storage.migrate import migrate
from app.storage.search_index import OWN_TABLES
from app.storage.tables import metadata


def _is_declared(name: str | None, kind: str, parents: Any) -> bool:
    """Whether the metadata knows it: the index of search is made by statements of its own."""
    return kind != "table" or name not in OWN_TABLES


async def test_migrations_and_tables_agree_and_run_twice(settings: Settings) -> None:
    settings.data.mkdir()
    url = database_url(settings)
    for _ in range(2):
        await asyncio.to_thread(migrate, url)
    target = make_url(url)
    driver = "sqlite" if target.get_backend_name() == "sqlite" else "postgresql+psycopg"
    engine = create_engine(target.set(drivername=driver))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_declared})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
