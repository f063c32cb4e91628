"""Frames through the worker, with the real services on both databases."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from app.config import Settings, SettingsError
from app.domain.live import CellChanged, CellState, FrameDecoded
from app.domain.timerange import HOUR_MS
from app.services import frames
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.builders import build_pair
from tests.published import Published
from tests.work import MINUTE, Shift, picture
from workers import tasks
from workers.main import Workers, run_worker, run_workers
from workers.picture_pool import PicturePool
from workers.queue import EmbeddedServer, Queue, found_programs

ROOT = Path(__file__).resolve().parents[2]
TWO_DAYS = 2 * 86_400


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def working(resources: Resources, folder: Path) -> AsyncIterator[Workers]:
    server = EmbeddedServer(found_programs()[0], folder)
    assert await server.start()
    queue = Queue(server.url)
    resources.enqueue = queue.enqueue
    try:
        async with run_workers(resources, queue) as workers:
            await until(lambda: workers.is_connected)
            yield workers
    finally:
        await queue.close()
        await server.stop()


@pytest.fixture
async def shift(resources: Resources, clock: ManualClock) -> Shift:
    pair = await build_pair(resources)
    return await Shift(resources, pair.freelancer, pair.room, clock).start()


def age(path: Path) -> None:
    then = path.stat().st_mtime - TWO_DAYS
    os.utime(path, (then, then))


async def test_a_frame_becomes_ready_by_its_job_and_everybody_hears_of_it(
    resources: Resources, shift: Shift, published: Published, tmp_path: Path
) -> None:
    async with working(resources, tmp_path) as workers:
        await shift.work(MINUTE)
        stored = await shift.frame()
        await until(lambda: bool(published.of(FrameDecoded)))
        assert published.of(FrameDecoded)[0] == FrameDecoded(shift.actor.account, stored.frame, True)
        assert published.of(CellChanged)[-1].cell.state is CellState.READY
        thumbnail = Image.open(resources.blobs.thumbnail_path(stored.frame))
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (160, 90))
        assert workers.thumbnails_by == {"job": 1}


async def test_a_picture_that_cannot_be_decoded_is_entered_as_unreadable(
    resources: Resources, shift: Shift, published: Published, tmp_path: Path
) -> None:
    target = io.BytesIO()
    Image.effect_noise((160, 90), 90).save(target, "PNG")
    broken = bytearray(target.getvalue())
    broken[60:200] = bytes(140)  # the header is right, the stream is not
    async with working(resources, tmp_path):
        await shift.work(MINUTE)
        stored = await shift.frame(data=bytes(broken), media="image/png")
        await until(lambda: bool(published.of(FrameDecoded)))
        assert published.of(FrameDecoded)[0].ok is False
        entry = published.entries("frame.unreadable")[0]
        assert entry.ref == stored.seq


async def test_the_hour_closes_when_the_records_clock_has_passed_it(
    resources: Resources, shift: Shift, clock: ManualClock, published: Published, tmp_path: Path
) -> None:
    async with working(resources, tmp_path):
        await shift.work(5 * MINUTE)
        clock.now += 2 * HOUR_MS
        await until(lambda: bool(published.entries("hour.closed")))


async def test_orphans_of_a_day_go_and_stored_frames_stay(resources: Resources, shift: Shift) -> None:
    await shift.work(MINUTE)
    stored = (await shift.frame()).frame
    orphan, young = str(uuid.uuid4()), str(uuid.uuid4())
    for frame_id in (orphan, young):
        await resources.blobs.put_frame(frame_id, picture())
    for frame_id in (stored, orphan):
        age(resources.blobs.frame_path(frame_id))
    queue = Queue("unix:///nobody.sock")
    await tasks.sweep_orphans({"work": tasks.Work(resources, queue, PicturePool(0, 1.0))})
    await queue.close()
    assert not resources.blobs.frame_path(orphan).exists()
    assert resources.blobs.frame_path(stored).exists()
    assert resources.blobs.frame_path(young).exists()


async def test_the_picture_of_a_deleted_frame_is_destroyed_at_once(
    resources: Resources, shift: Shift, tmp_path: Path
) -> None:
    async with working(resources, tmp_path):
        await shift.work(MINUTE)
        stored = (await shift.frame()).frame
        await until(lambda: resources.blobs.has_thumbnail(stored))
        await frames.delete(resources, shift.actor, stored)
        path = resources.blobs.frame_path(stored)
        await until(lambda: not path.exists() and not resources.blobs.has_thumbnail(stored), seconds=2.0)


def test_a_worker_alone_asks_for_what_it_needs() -> None:
    with pytest.raises(SettingsError, match="WORKROOM_DATABASE_URL"):
        run_worker(Settings())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite belongs to the server alone
async def test_a_worker_alone_serves_postgresql_until_it_is_told_to_stop(
    resources: Resources, shift: Shift, settings: Settings, tmp_path: Path
) -> None:
    await shift.work(MINUTE)
    server = EmbeddedServer(found_programs()[0], tmp_path)
    assert await server.start()
    worker = subprocess.Popen(
        [sys.executable, "-c", "import os\nfrom app.config import read_settings\nfrom workers.main import run_worker\n"
         "run_worker(read_settings(os.environ))"],
        cwd=ROOT,
        env=os.environ
        | {
            "WORKROOM_DATABASE_URL": settings.database_url,
            "WORKROOM_REDIS_URL": server.url,
            "WORKROOM_DATA": str(settings.data),
            "WORKROOM_ORIGIN": settings.origin,
        },
    )  # fmt: skip
    queue = Queue(server.url)
    resources.enqueue = queue.enqueue
    try:
        stored = await shift.frame()
        await until(lambda: resources.blobs.has_thumbnail(stored.frame))
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=5) == 0
        await queue.close()
        await server.stop()
