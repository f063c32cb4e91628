"""Servers under test: started on a free port of loopback, pinned to a core, stopped by their pid.

Rule 1: every process that the bench starts ends with the block that started it, also when the block raises.
Rule 2: only pids that the bench started are signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine

START_SECONDS_MAX = 120.0  # with the making of data
STOP_SECONDS_MAX = 10.0


class Missing(Exception):
    """A peer that is not installed. The sentence says what to install."""


class BenchFailed(Exception):
    """A server or a load program did not do what the row needs."""


@dataclass
class Server:
    """A running server. `version` goes into the report; `whole`: its child processes serve connections too."""

    name: str
    version: str
    pid: int
    port: int
    whole: bool = False

    def cpu_seconds(self, whole: bool | None = None) -> float:
        """CPU seconds so far, of all threads, and of the children where they count."""
        return machine.cpu_seconds(self.pid, self.whole if whole is None else whole)

    def rss_kib(self) -> int:
        """Resident KiB now."""
        return machine.rss_kib(self.pid, self.whole)


def free_port() -> int:
    """Return a port of loopback that nobody listens on, below those that clients are given."""
    for _ in range(100):
        port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BenchFailed("no free port on loopback")


def wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path, ready: Path | None) -> None:
    """Wait until something listens on `port`, or until the server has written the file `ready`.

    Raises:
        BenchFailed: if the process ends first, with the end of its log.
    """
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready is not None:
            if ready.exists():
                return
        else:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        time.sleep(0.05)
    raise BenchFailed(f"{process.args!r} is not ready on {port}:\n{log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def running(
    name: str,
    version: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    cores: set[int] | None = None,
    whole: bool = False,
    ready: Path | None = None,
) -> Iterator[Server]:
    """Run `command` pinned to the server's core (or `cores`) while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as output, machine.pinned(cores or machine.cores()[0]):
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        wait_until_ready(port, process, log, ready)
        yield Server(name, version, process.pid, port, whole)
    except BaseException:
        text = log.read_text(errors="replace")[-3000:]
        if text.strip():
            print(f"--- the end of the log of {name} ---\n{text}", flush=True)
        raise
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and end it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
