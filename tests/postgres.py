"""A private PostgreSQL cluster from the binaries found on the machine, on a unix socket of its own.

Rule 1: a database is emptied and lent again rather than made anew, which takes a hundred times as long; one whose
    tables or guards a test has changed, or that somebody still holds, is never lent again.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.storage.migrate import migrate

_numbers = itertools.count(1)
KEPT = "alembic_version"  # the one table that is not emptied

# Everything that a test could change beside rows; equal in two databases that may stand for each other.
_SHAPE = """
SELECT md5(coalesce(string_agg(line, E'\\n' ORDER BY line), '')) FROM (
  SELECT format('%s %s %s %s', c.relname, a.attname, a.atttypid, a.attnotnull) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s %s', t.tgrelid::regclass, pg_get_triggerdef(t.oid), t.tgenabled)
    FROM pg_trigger t WHERE NOT t.tgisinternal
  UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', p.proname, md5(p.prosrc)) FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
) AS lines
"""
_TABLES = "SELECT relname FROM pg_class WHERE relkind = %s AND relnamespace = 'public'::regnamespace"


def find_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, if there is one."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    candidates = [Path(on_path).parent] if on_path else []
    for folder in [*candidates, *folders]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


class Cluster:
    """A running server; leaving the context stops it and removes its files."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="wr-pg-"))  # a socket's path must be short
        self._log = folder / "postgres.log"
        self._shape = ""  # of a database with all tables, once there is one
        self._empty: list[str] = []  # addresses of databases with all tables and no rows

    def __enter__(self) -> Cluster:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-o", options, "-l", "/dev/null", "-w", "start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self, *, migrated: bool = False) -> str:
        """Return the address of a new database, empty or with all tables."""
        if migrated and self._empty:
            return self._empty.pop()
        template = "template0"
        if migrated:
            template = "migrated"
            if not self._shape:
                self._create("migrated", "template0")
                migrate(self._address("migrated"))
                with psycopg.connect(self._address("migrated")) as connection:
                    self._shape = _shape(connection)
        name = f"workroom_{next(_numbers)}"
        self._create(name, template)
        return self._address(name)

    def give_back(self, url: str) -> None:
        """Empty a database that had all tables and is needed no more, and lend it again if it is as it was."""
        with psycopg.connect(url, options="-c lock_timeout=500", autocommit=True) as connection:
            try:
                _delete_rows(connection)
            except psycopg.errors.LockNotAvailable:
                return
            if _shape(connection) == self._shape:
                self._empty.append(url)

    def _create(self, name: str, template: str) -> None:
        with psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")

    def _address(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={quote(str(self._folder))}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr.strip() or done.stdout.strip()}")


def _shape(connection: psycopg.Connection) -> str:
    row = connection.execute(_SHAPE).fetchone()
    assert row is not None
    return str(row[0])


def _delete_rows(connection: psycopg.Connection) -> None:
    """Delete every row, past the guards and keys that hold them, with its place, and let numbers begin anew."""
    connection.execute("SET session_replication_role = replica")
    used = []
    for table in [sql.Identifier(name) for (name,) in connection.execute(_TABLES, ("r",)) if name != KEPT]:
        if connection.execute(sql.SQL("DELETE FROM {}").format(table)).rowcount:
            used.append(table)
    if used:
        connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(used)))
    for (name,) in connection.execute(_TABLES, ("S",)).fetchall():
        connection.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(name)))
