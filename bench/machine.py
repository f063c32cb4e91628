"""What the kernel says about processes: CPU seconds, memory, cores. Linux only.

Rule 1: CPU time is read from /proc/<pid>/stat, because wall time on shared machines lies.
Rule 2: the server has one core to itself and the load another, where there are two; a machine with one core is named.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[set[int], set[int]]:
    """Return the cores of the server and of the load."""
    allowed = sorted(os.sched_getaffinity(0))
    return {allowed[0]}, {allowed[-1]}


@contextlib.contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Start processes on `cores` while the block lasts: children inherit what their parent may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def process_tree(pid: int) -> list[int]:
    """Return `pid` and its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except FileNotFoundError:  # the thread ended meanwhile
                continue
    return found


def cpu_seconds(pid: int, whole: bool) -> float:
    """Return the CPU seconds (user and system, all threads) of a process; `whole`: with all its descendants."""
    total = 0
    for process in process_tree(pid) if whole else [pid]:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        counted = fields[11:15] if whole else fields[11:13]  # utime stime, and those of children that ended
        total += sum(int(field) for field in counted)
    return total / _TICKS_PER_SECOND


def rss_kib(pid: int, whole: bool) -> int:
    """Return the resident memory of a process in KiB; `whole`: with all its descendants."""
    total = 0
    for process in process_tree(pid) if whole else [pid]:
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except FileNotFoundError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total


def busy_seconds() -> tuple[float, float]:
    """Return the CPU seconds of the whole machine so far, and those of this process with its ended children."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(field) for field in fields[:7])
    times = os.times()
    ours = times.user + times.system + times.children_user + times.children_system
    return (user + nice + system + irq + softirq) / _TICKS_PER_SECOND, ours


def machine() -> dict[str, str | int]:
    """Return what is worth knowing about this machine beside a figure."""
    model = "unknown"
    memory_kib = 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory_kib = int(line.split()[1])
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kib / 1024 / 1024),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }
