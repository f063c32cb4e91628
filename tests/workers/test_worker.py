"""The worker: the job itself makes the thumbnail, and whatever is lost with Redis is found again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from arq.worker import Retry, Worker
from PIL import Image

from app.config import Settings
from app.domain.errors import Busy
from app.services import (
    digests,
    files,
    frames,
    indexing,
    mail,
    notices,
    status_reports,
    terms,
    tracking,
    uploads,
    workview,
    writing,
)
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.blobs import Blobs
from workers import main, tasks
from workers.main import Workers, run_workers
from workers.picture_pool import PicturePool, PictureProcessDied, open_pictures
from workers.queue import EmbeddedServer, Queue, found_programs
from workers.tasks import Work

MINUTE_MS = 60_000


class Rows:
    """Stands in for the services: frames by id with their state, and how often each sweep ran."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.ready_at: dict[str, float] = {}
        self.reasons: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.failures: list[Exception] = []

    async def frame_ready(self, resources: Resources, frame_id: str) -> None:
        if self.failures:
            raise self.failures.pop()
        assert resources.blobs.has_thumbnail(frame_id)
        self.states[frame_id] = "ready"
        self.ready_at[frame_id] = time.monotonic()

    async def frame_unreadable(self, resources: Resources, frame_id: str, reason: str) -> None:
        self.states[frame_id] = "unreadable"
        self.reasons[frame_id] = reason

    async def undecoded(self, resources: Resources, older_than_ms: int) -> list[str]:
        self.calls["undecoded"] += 1
        return [frame_id for frame_id, state in self.states.items() if state == "stored"]

    def counting(self, name: str) -> Callable[..., Any]:
        async def count(*_: object) -> None:
            self.calls[name] += 1

        return count


async def _no_previews(*_: object) -> list[bytes]:
    return []


ELSEWHERE: dict[Any, tuple[str, ...]] = {  # what sweeps ask for that has nothing to do with frames
    writing: ("answer_silences",),
    terms: ("apply_due_terms",),
    uploads: ("sweep",),
    files: ("sweep_unused", "sweep_orphans"),
    indexing: ("index_missed", "destroy_forgotten"),
    notices: ("warn_due_soon",),
    status_reports: ("take_turns",),
    digests: ("send_due",),
}


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    found = Rows()
    for name in ("frame_ready", "frame_unreadable", "undecoded"):
        monkeypatch.setattr(frames, name, getattr(found, name))
    monkeypatch.setattr(frames, "erase_due_blobs", found.counting("erase_due_blobs"))
    monkeypatch.setattr(workview, "close_due_hours", found.counting("close_due_hours"))
    monkeypatch.setattr(workview, "reveal_due_seeds", found.counting("reveal_due_seeds"))
    monkeypatch.setattr(mail, "send_due", found.counting("send_due"))
    monkeypatch.setattr(files, "without_preview", _no_previews)
    for service, names in ELSEWHERE.items():
        for name in names:
            monkeypatch.setattr(service, name, found.counting(name))
    for name in ("find_silent", "stop_silent"):
        monkeypatch.setattr(tracking, name, found.counting(name))
    return found


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    blobs = Blobs(tmp_path / "blobs")
    nothing = cast(Any, None)
    yield Resources(
        settings=Settings(data=tmp_path),
        database=nothing,
        blobs=blobs,
        clock=ManualClock(1_700_000_000_000),
        random_bytes=os.urandom,
        signer=nothing,
        released=nothing,
        publish=lambda events: None,
        enqueue=nothing,
    )
    blobs.close()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("pictures") / "screen.webp"
    Image.effect_noise((1920, 1080), 20).convert("RGB").save(path, quality=80, method=0)
    return path.read_bytes()


async def stored(resources: Resources, rows: Rows, data: bytes) -> str:
    frame_id = str(uuid.uuid4())
    await resources.blobs.put_frame(frame_id, data)
    rows.states[frame_id] = "stored"
    return frame_id


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(resources: Resources, folder: Path) -> AsyncIterator[tuple[Workers, Queue, EmbeddedServer]]:
    server = EmbeddedServer(found_programs()[0], folder)
    assert await server.start()
    queue = Queue(server.url)
    try:
        async with run_workers(resources, queue) as workers:
            await until(lambda: workers.is_connected)
            yield workers, queue, server
    finally:
        await queue.close()
        await server.stop()


@pytest.fixture
async def pictures() -> AsyncIterator[PicturePool]:
    async with open_pictures(size=1) as pool:
        yield pool


@pytest.fixture
async def work(resources: Resources, pictures: PicturePool, tmp_path: Path) -> AsyncIterator[Work]:
    queue = Queue(f"unix://{tmp_path}/nobody.sock")
    yield Work(resources, queue, pictures)
    await queue.close()


async def test_the_job_makes_the_thumbnail_in_time_and_no_sweep_does(
    resources: Resources, rows: Rows, picture: bytes, tmp_path: Path
) -> None:
    async with running(resources, tmp_path) as (workers, queue, _):
        waits = []
        for _ in range(10):
            frame_id = await stored(resources, rows, picture)
            started = time.monotonic()
            assert await queue.enqueue("make_thumbnail", frame_id)
            await until(lambda frame_id=frame_id: rows.states[frame_id] == "ready")  # type: ignore[misc]
            waits.append(rows.ready_at[frame_id] - started)
        assert workers.thumbnails_by == {"job": 10}
        assert sorted(waits)[5] < 0.3


async def test_an_idle_worker_asks_redis_seldom(resources: Resources, rows: Rows, tmp_path: Path) -> None:
    assert hasattr(Worker, "_poll_iteration"), "workers.main replaces this part of arq"
    async with running(resources, tmp_path) as (workers, queue, _):
        redis = queue.connect(1.0)

        async def looks() -> int:
            return int((await redis.info("commandstats"))["cmdstat_zrangebyscore"]["calls"])

        await until(lambda: rows.calls["close_due_hours"] > 0 and not workers.work.running)
        before, started = await looks(), time.monotonic()
        await asyncio.sleep(2 * main.LOOK_SECONDS)
        assert await looks() - before < (time.monotonic() - started) / main.POLL_SECONDS * 0.8
        await redis.aclose()


async def test_everything_catches_up_after_redis_was_killed(
    resources: Resources, rows: Rows, picture: bytes, tmp_path: Path
) -> None:
    async with running(resources, tmp_path) as (workers, queue, server):
        assert server.process_id is not None
        ids = [await stored(resources, rows, picture) for _ in range(20)]
        for frame_id in ids[:10]:
            await queue.enqueue("make_thumbnail", frame_id)
        os.kill(server.process_id, signal.SIGKILL)
        for frame_id in ids[10:]:
            await queue.enqueue("make_thumbnail", frame_id)  # most of these hints are lost
        await until(lambda: set(rows.states.values()) == {"ready"})
        # A job that was cancelled after it had stored its thumbnail did not count it.
        assert 0 < workers.thumbnails_by.total() <= 20


async def test_everything_catches_up_after_redis_was_emptied(
    resources: Resources, rows: Rows, picture: bytes, tmp_path: Path
) -> None:
    async with running(resources, tmp_path) as (workers, queue, _):
        ids = [await stored(resources, rows, picture) for _ in range(20)]
        for frame_id in ids:
            await queue.enqueue("make_thumbnail", frame_id)
        redis = queue.connect(1.0)
        await redis.flushall()
        await redis.aclose()
        await until(lambda: set(rows.states.values()) == {"ready"})
        assert workers.thumbnails_by.total() == 20
        assert workers.thumbnails_by["sweep"] > 0


async def test_frames_from_before_the_start_get_their_thumbnails(
    resources: Resources, rows: Rows, picture: bytes, tmp_path: Path
) -> None:
    frame_id = await stored(resources, rows, picture)
    async with running(resources, tmp_path) as (workers, _, _):
        await until(lambda: rows.states[frame_id] == "ready")
        assert workers.thumbnails_by == {"sweep": 1}


async def test_a_bad_picture_holds_up_no_other(
    resources: Resources, rows: Rows, picture: bytes, tmp_path: Path
) -> None:
    async with running(resources, tmp_path) as (_, queue, _):
        bad = await stored(resources, rows, b"no picture at all")
        good = await stored(resources, rows, picture)
        for frame_id in (bad, good):
            await queue.enqueue("make_thumbnail", frame_id)
        await until(lambda: set(rows.states.values()) == {"ready", "unreadable"})
        assert rows.reasons == {bad: "broken"}


async def test_hours_are_looked_at_by_the_records_clock(resources: Resources, rows: Rows, tmp_path: Path) -> None:
    clock = resources.clock
    assert isinstance(clock, ManualClock)
    async with running(resources, tmp_path):
        await until(lambda: rows.calls["close_due_hours"] >= 1)
        await until(lambda: rows.calls["find_silent"] >= 1)
        for passes in range(2, 5):
            clock.now += MINUTE_MS
            await until(lambda passes=passes: rows.calls["close_due_hours"] >= passes)  # type: ignore[misc]
        assert rows.calls["reveal_due_seeds"] == 1
        clock.now += 60 * MINUTE_MS
        await until(lambda: rows.calls["reveal_due_seeds"] == 2)


async def test_stopping_is_quick_even_with_redis_hanging(
    resources: Resources, rows: Rows, picture: bytes, tmp_path: Path
) -> None:
    async with running(resources, tmp_path) as (_, queue, server):
        for _ in range(10):
            await queue.enqueue("make_thumbnail", await stored(resources, rows, picture))
        assert server.process_id is not None
        os.kill(server.process_id, signal.SIGSTOP)
        started = time.monotonic()
    assert time.monotonic() - started < 2.5


async def test_a_picture_is_decoded_once_however_often_it_is_asked_for(work: Work, rows: Rows, picture: bytes) -> None:
    frame_id = await stored(work.resources, rows, picture)
    for _ in range(3):
        await tasks.make_thumbnail({"work": work}, frame_id)
    assert work.thumbnails_by == {"job": 1}


async def test_what_is_temporary_is_tried_again(work: Work, rows: Rows, picture: bytes) -> None:
    frame_id = await stored(work.resources, rows, picture)
    rows.failures.append(Busy())
    with pytest.raises(Retry):
        await tasks.make_thumbnail({"work": work, "job_try": 1}, frame_id)
    await tasks.make_thumbnail({"work": work, "job_try": 2}, frame_id)
    assert rows.states[frame_id] == "ready"
    assert work.thumbnails_by == {"job": 1}


async def test_a_sweep_asked_for_while_it_runs_goes_on_with_another_round(
    work: Work, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    async def erase(resources: Resources) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            await tasks.erase_blobs({"work": work}, "a frame deleted just now")

    monkeypatch.setattr(frames, "erase_due_blobs", erase)
    await tasks.erase_blobs({"work": work})
    assert rounds == 2
    assert not work.running


async def test_a_picture_that_kills_its_process_three_times_is_unreadable(
    work: Work, rows: Rows, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(pool: PicturePool, path: Path) -> bytes:
        raise PictureProcessDied("killed")

    monkeypatch.setattr(PicturePool, "thumbnail", die)
    frame_id = await stored(work.resources, rows, picture)
    for _ in range(tasks.DEATHS_MAX - 1):
        with pytest.raises(Retry):
            await tasks.make_thumbnail({"work": work}, frame_id)
        assert rows.states[frame_id] == "stored"
    await tasks.make_thumbnail({"work": work}, frame_id)
    assert rows.reasons == {frame_id: "killed"}
    assert not work.deaths


async def test_a_frame_deleted_before_its_job_leaves_nothing(work: Work, rows: Rows, picture: bytes) -> None:
    frame_id = await stored(work.resources, rows, picture)
    await work.resources.blobs.delete_frame(frame_id)
    await tasks.make_thumbnail({"work": work}, frame_id)
    assert rows.states[frame_id] == "stored"
    assert not work.resources.blobs.has_thumbnail(frame_id)


async def test_a_frame_deleted_while_it_is_decoded_leaves_nothing(
    work: Work, rows: Rows, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame_id = await stored(work.resources, rows, picture)
    decode = PicturePool.thumbnail

    async def decode_and_delete(pool: PicturePool, path: Path) -> bytes:
        data = await decode(pool, path)
        await work.resources.blobs.delete_frame(frame_id)
        return data

    monkeypatch.setattr(PicturePool, "thumbnail", decode_and_delete)
    await tasks.make_thumbnail({"work": work}, frame_id)
    assert rows.states[frame_id] == "stored"
    assert not work.resources.blobs.has_thumbnail(frame_id)
