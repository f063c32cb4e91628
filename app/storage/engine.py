"""The database: one URL, one writing connection, a few reading ones; SQLite (aiosqlite) or PostgreSQL (psycopg).

Rule 1: everything that is written goes through the one writer (`Database.writer`); readers cannot write.
Rule 2: on SQLite the writing connection alone checkpoints the WAL, and one server process owns the file (a lock file).
Rule 3: what differs between the two databases is here and in `guards.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from sqlalchemy import event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from app.storage.writer import Clock, Publish, RandomBytes, Writer

Dialect = Literal["sqlite", "postgresql"]
READERS = 4  # threads of SQLite, connections of PostgreSQL; pages are short, two cores cannot use more

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit that was acknowledged survives a loss of power
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA secure_delete=ON",  # an erased body leaves no bytes in the file
    "PRAGMA mmap_size=0",
    "PRAGMA cache_size=-16000",
)


class Database:
    """An open database. Made by `open_database`."""

    def __init__(self, dialect: Dialect, write_engine: AsyncEngine, read_engine: AsyncEngine, writer: Writer) -> None:
        self.dialect: Dialect = dialect
        self.writer = writer
        self._write_engine = write_engine
        self._read_engine = read_engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that reads one consistent state and cannot write."""
        async with self._read_engine.connect() as connection:
            yield connection

    async def rewrite(self, statements: Sequence[str]) -> None:
        """Run maintenance that PostgreSQL allows in no transaction, beside the writer and in nobody's way."""
        engine = create_async_engine(self._write_engine.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                for statement in statements:
                    await connection.exec_driver_sql(statement)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Finish what was accepted, then close every connection."""
        await self.writer.close()
        await self._read_engine.dispose()
        await self._write_engine.dispose()


async def open_database(url: str, clock: Clock, random_bytes: RandomBytes, publish: Publish) -> Database:
    """Open the database at `url` (`sqlite:///…` or `postgresql://…`), whose tables must be there already."""
    dialect: Dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
    if dialect == "sqlite":
        write_engine = _sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1, pragmas=_SQLITE_PRAGMAS)
        readers = (*_SQLITE_PRAGMAS[2:], "PRAGMA query_only=1")
        read_engine = _sqlite_engine(url, begin="BEGIN", pool_size=READERS, pragmas=readers)
    else:
        target = make_url(url).set(drivername="postgresql+psycopg")
        write_engine = create_async_engine(target, pool_size=1, max_overflow=0)
        read_engine = create_async_engine(
            target,
            pool_size=READERS,
            max_overflow=READERS,
            pool_pre_ping=True,
            connect_args={"options": "-c default_transaction_read_only=on -c jit=off"},  # pages are short queries
        )
    writer = Writer(write_engine, dialect, clock, random_bytes, publish)
    await writer.start()
    return Database(dialect, write_engine, read_engine, writer)


def _sqlite_engine(url: str, begin: str, pool_size: int, pragmas: Sequence[str]) -> AsyncEngine:
    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite"),
        pool_size=pool_size,
        max_overflow=0,
        # Transactions begin where `begin` says, not where the driver guesses.
        connect_args={"isolation_level": None},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
