"""Migrations: bring the tables of a database to this version, by Alembic.

Synchronous; runs before the server serves.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to a revision, the newest as a rule; one that has it is left as it is."""
    target = make_url(url)
    driver = "sqlite" if target.get_backend_name() == "sqlite" else "postgresql+psycopg"
    engine = create_engine(target.set(drivername=driver))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()
