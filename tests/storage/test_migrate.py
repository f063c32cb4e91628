"""Migrations lead to the very tables that the code declares, on both databases."""

from __future__ import annotations

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url

from app.config import Settings
from app.opening import database_url
from app.storage.migrate import migrate
from app.storage.tables import metadata


async def test_migrations_and_tables_agree_and_run_twice(settings: Settings) -> None:
    settings.data.mkdir()
    url = database_url(settings)
    for _ in range(2):
        await asyncio.to_thread(migrate, url)
    target = make_url(url)
    driver = "sqlite" if target.get_backend_name() == "sqlite" else "postgresql+psycopg"
    engine = create_engine(target.set(drivername=driver))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
