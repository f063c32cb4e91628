"""The load programs, in C so that they cost less than what they measure; compiled at run time into build/.

Rule 1: a program is driven by lines on stdin and answers each with one line of JSON; it ends when stdin does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.process import BenchFailed, Missing, stop

SOURCES = Path(__file__).parent
ANSWER_SECONDS_MAX = 180.0


def compiled(name: str) -> Path:
    """Return the program `name`, compiled if its source is newer.

    Raises:
        Missing: if there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("no C compiler: install gcc")
    source, program = SOURCES / f"{name}.c", Path("build") / "bench-load" / name
    newest = max(source.stat().st_mtime, (SOURCES / "ws.h").stat().st_mtime)
    if not program.exists() or program.stat().st_mtime < newest:
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-Wall", "-o", str(fresh), str(source)], check=True)
        fresh.replace(program)
    return program


class Load:
    """A running load program. `ready` is its first answer: all connections are open and said hello."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.ready: dict[str, Any] = {}

    def answer(self, seconds_max: float = ANSWER_SECONDS_MAX) -> dict[str, Any]:
        """Return the next answer."""
        output = self._process.stdout
        assert output is not None
        if not select.select([output], [], [], seconds_max)[0]:
            raise BenchFailed("the load program does not answer")
        line = output.readline()
        if not line:
            raise BenchFailed(f"the load program ended with {self._process.wait()}; its words are above")
        found: dict[str, Any] = json.loads(line)
        return found

    def tell(self, command: str) -> None:
        """Give a command whose answer is fetched later."""
        commands = self._process.stdin
        assert commands is not None
        commands.write(f"{command}\n".encode())
        commands.flush()

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and return its answer."""
        self.tell(command)
        return self.answer()

    def settle(self) -> None:
        """Wait until nothing comes any more: replays and greetings are over."""
        for _ in range(60):
            if self.ask("count 0.5")["reads"] == 0:
                return
        raise BenchFailed("the watchers never came to rest")


@contextlib.contextmanager
def load(name: str, options: Sequence[str], wait: bool = True) -> Iterator[Load]:
    """Run a load program pinned to the load's core; with `wait`, once all its connections are ready."""
    command = [str(compiled(name)), *options]
    with machine.pinned(machine.cores()[1]):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    program = Load(process)
    try:
        if wait:
            program.ready = program.answer()
        yield program
    finally:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        stop(process)
