"""Live frame: trackers push real 1080p screens; five viewers each have Work View open on a socket.

Rule 1: open loop: frames leave at their times, whatever the server does; latencies count from when a frame was due.
Rule 2: every viewer must see the cell of every frame, and its thumbnail, or the row fails.
The server may use all cores here: it decodes pictures in processes of its own. The load is small and has the last core.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from app.domain.timerange import SEGMENT_MS, datetime_of, segment_of
from app.domain.wire import AgentHello, AgentStart, frame_message
from bench import machine
from bench.process import BenchFailed
from bench.report import Figure, Row, percentile
from bench.screens import Screen, screens
from bench.servers.data import frame_header
from bench.servers.ours import Ours, ours

TRACKERS = 20
VIEWERS_EACH = 5
FRAMES_PER_SECOND = 10.0
SECONDS = 15.0
WARM_FRAMES = 20
PATIENCE_SECONDS = 15.0
GOAL_CELL_P99_MS = 100.0
GOAL_THUMBNAIL_P99_MS = 300.0

_CELL = re.compile(r'<td class="seg (\w+)[^"]*" id="seg-([0-9a-z]{26})-p\d+-(\d+)"')


Frame = tuple[str, int]  # room and segment


@dataclass
class Watch:
    """When each frame was due, and when each viewer (by number) first saw its cell and its thumbnail."""

    due: dict[Frame, float] = field(default_factory=dict)
    cells: dict[Frame, dict[int, float]] = field(default_factory=dict)
    thumbnails: dict[Frame, dict[int, float]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def is_complete(self) -> bool:
        """Whether all viewers saw everything that was sent."""
        return all(len(self.thumbnails.get(frame, ())) == VIEWERS_EACH for frame in self.due)


def run(folder: Path, seconds: float = SECONDS) -> Row:
    """Measure on our server."""
    row = Row("live-frame")
    drawn = screens()
    with ours(folder, rooms=TRACKERS, people=2, cores=os.sched_getaffinity(0)) as server:
        row.versions["ours"] = server.server.version
        before = server.server.cpu_seconds(whole=True)
        with machine.pinned(machine.cores()[1]):
            watch = asyncio.run(_drive(server, drawn, seconds))
        spent = server.server.cpu_seconds(whole=True) - before
    for frame in sorted(watch.due, key=lambda frame: watch.due[frame])[:WARM_FRAMES]:
        del watch.due[frame]
    cells = [(seen - due) * 1000 for frame, due in watch.due.items() for seen in watch.cells[frame].values()]
    thumbnails = [(seen - due) * 1000 for frame, due in watch.due.items() for seen in watch.thumbnails[frame].values()]
    details = {
        "frames": len(watch.due),
        "sightings": len(cells),
        "server_cpu_seconds_with_children": round(spent, 1),
        "frame_kb": round(sum(len(screen.data) for screen in drawn) / len(drawn) / 1000, 1),
    }
    for name, values, goal in (
        ("send to cell", cells, GOAL_CELL_P99_MS),
        ("send to thumbnail", thumbnails, GOAL_THUMBNAIL_P99_MS),
    ):
        p99 = percentile(values, 0.99)
        row.figures.append(Figure(f"{name}, p50", "ms", round(percentile(values, 0.5), 1), details=details))
        row.figures.append(Figure(f"{name}, p99", "ms", round(p99, 1), goal=f"≤ {goal:g}", is_reached=p99 <= goal))
    row.notes.append(f"{FRAMES_PER_SECOND:g} frames/s from {TRACKERS} trackers, {VIEWERS_EACH} viewers each")
    row.notes.append("the server and its picture processes may use all cores")
    return row


async def _drive(server: Ours, drawn: list[Screen], seconds: float) -> Watch:
    watch = Watch()
    address = f"ws://127.0.0.1:{server.server.port}"
    places = server.made.places
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        running: list[asyncio.Task[None]] = []
        for client, freelancer in zip(places[::2], places[1::2], strict=True):
            for _ in range(VIEWERS_EACH):
                viewer = await _open(stack, f"{address}/ws", client[1])
                await viewer.send(f'{{"t":"hello","v":1,"view":"workview","rooms":{{"{client[0]}":-1}}}}')
                running.append(group.create_task(_view(viewer, len(running), watch)))
            tracker = await _open(stack, f"{address}/agent", freelancer[2])
            running.append(group.create_task(_track(tracker, freelancer[0], drawn, watch, seconds, len(running))))
        frames = TRACKERS * _frames_each(seconds)
        deadline = time.monotonic() + seconds + PATIENCE_SECONDS
        while time.monotonic() < deadline and not (len(watch.due) == frames and watch.is_complete()):
            await asyncio.sleep(0.05)
        for task in running:
            task.cancel()
    if watch.refusals or not watch.is_complete():
        seen = sum(map(len, watch.thumbnails.values()))
        raise BenchFailed(f"{len(watch.due)} frames sent, {seen} thumbnails seen; refusals: {watch.refusals[:3]}")
    return watch


async def _open(stack: AsyncExitStack, address: str, token: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    return await stack.enter_async_context(
        connect(address, additional_headers=headers, compression=None, max_size=None)
    )


async def _view(viewer: ClientConnection, number: int, watch: Watch) -> None:
    """Note when a cell comes, and when its thumbnail is ready."""
    async for message in viewer:
        now = time.monotonic()
        content = msgspec.json.decode(message).get("content", "")
        for state, room, segment in _CELL.findall(content):
            frame = room, int(segment)
            if frame in watch.due and state in ("stored", "ready"):
                watch.cells.setdefault(frame, {}).setdefault(number, now)
                if state == "ready":
                    watch.thumbnails.setdefault(frame, {}).setdefault(number, now)


async def _track(
    tracker: ClientConnection, room: str, drawn: list[Screen], watch: Watch, seconds: float, number: int
) -> None:
    """Send frames at their times: one in each of the last segments, as a tracker does that was offline."""
    count = _frames_each(seconds)
    session = str(uuid.uuid4())
    now = time.time_ns() // 1_000_000
    first = segment_of(now) - count - 1
    await tracker.send(msgspec.json.encode(AgentHello("bench")).decode())
    started = datetime_of(first * SEGMENT_MS)
    await tracker.send(msgspec.json.encode(AgentStart(n=1, session=session, room=room, at=started)).decode())
    answering = asyncio.create_task(_answers(tracker, watch))
    start = time.monotonic() + 1.0 + number / (VIEWERS_EACH + 1) / FRAMES_PER_SECOND
    for turn in range(count):
        segment = first + turn
        screen = drawn[(segment + number) % len(drawn)]
        header = frame_header(screen, session, segment, segment * SEGMENT_MS + SEGMENT_MS // 2)
        message = frame_message(header, screen.data)
        due = start + turn * TRACKERS / FRAMES_PER_SECOND
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        watch.due[room, segment] = due
        await tracker.send(message)
    await answering  # until the connection ends: what is refused late counts too


def _frames_each(seconds: float) -> int:
    return int(FRAMES_PER_SECOND * seconds / TRACKERS)


async def _answers(tracker: ClientConnection, watch: Watch) -> None:
    async for message in tracker:
        if '"refused"' in str(message) or "frame_bad" in str(message):
            watch.refusals.append(str(message)[:200])
