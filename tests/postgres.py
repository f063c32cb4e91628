"""A private PostgreSQL cluster from the binaries found on the machine, on a unix socket of its own."""

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

from app.storage.migrate import migrate

_numbers = itertools.count(1)


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
        self._has_migrated = False

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
        template = "template0"
        if migrated:
            template = "migrated"
            if not self._has_migrated:
                self._create("migrated", "template0")
                migrate(self._address("migrated"))
                self._has_migrated = True
        name = f"workroom_{next(_numbers)}"
        self._create(name, template)
        return self._address(name)

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
