"""The worker: arq inside the server (the embedded default), or alone beside PostgreSQL and Redis.

Rule 1: arq's loop ends when Redis goes or anything raises; it is started again, and asks for everything at once then,
    because what was queued may be lost.
Rule 2: sweeps are asked for by a ticker of ours, those that follow the record's clock at its pace; arq's cron, which
    knows real time only, is the fallback.
Rule 3: what only this process knows (whose tracker is silent) is looked at here and never queued.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

import msgspec
import structlog
import uvloop
from arq.connections import ArqRedis
from arq.cron import CronJob, cron
from arq.worker import Worker
from redis.exceptions import RedisError

from app.config import Settings, SettingsError
from app.opening import open_resources
from app.services.resources import Resources
from workers import tasks
from workers.picture_pool import PicturePool, open_pictures, open_previews
from workers.queue import QUEUE_NAME, Queue, open_queue, serialize
from workers.tasks import Task, Work

POLL_SECONDS = 0.02  # the longest that a job waits for an idle worker
LOOK_SECONDS = 0.25  # as long for a job that another process asked for, where this one is a server with other work
JOBS_MAX = 8  # at a time: two pictures, those waiting for a process, and sweeps
REDIS_SECONDS_MAX = 5.0  # Redis that does not answer for so long counts as gone
BACK_OFF_SECONDS = (0.1, 5.0)
END_SECONDS = 1.0  # for jobs and connections to end in; Ctrl-C stops everything within 5 s
TICK_SECONDS = 0.5
HEARD_SECONDS_MAX = 5.0  # for the first answer to the queue's own client; a starting machine has much to do

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """How often a sweep is asked for, by which clock; then when arq's cron asks (None: every hour, every minute)."""

    task: Task
    every_ms: int
    clock: Literal["real", "record"]
    hour: int | None = None
    minute: int | None = None
    second: int = 0


SWEEPS = (
    Sweep(tasks.sweep_frames, 3_000, "real", second=30),
    Sweep(tasks.close_hours, 60_000, "record"),
    Sweep(tasks.erase_blobs, 5_000, "real"),
    Sweep(tasks.send_mails, 2_000, "real", second=45),
    Sweep(tasks.stop_silent, 10 * 60_000, "record", minute=10),
    Sweep(tasks.answer_silences, 60_000, "record", second=20),
    Sweep(tasks.apply_due_terms, 60_000, "record", second=25),
    Sweep(tasks.warn_due_soon, 5 * 60_000, "record", minute=15, second=5),
    Sweep(tasks.look_after_reports, 60_000, "record", second=35),
    Sweep(tasks.send_digests, 30_000, "real", second=55),
    Sweep(tasks.reveal_seeds, 3_600_000, "record", minute=5),
    Sweep(tasks.index_entries, 60_000, "real", second=50),
    Sweep(tasks.sweep_previews, 10_000, "real", second=40),
    Sweep(tasks.sweep_files, 5 * 60_000, "real", minute=20),
    Sweep(tasks.sweep_orphans, 6 * 3_600_000, "real", hour=3, minute=17),
)
SILENCE_SECONDS = 5.0  # silence shows 90 s after the last word


class Workers:
    """The worker of this process. Made by `run_workers`."""

    def __init__(self, resources: Resources, queue: Queue, pictures: PicturePool, is_alone: bool) -> None:
        self._is_alone = is_alone
        self.work = Work(resources, queue, pictures)
        self.is_connected = False  # arq's loop runs; false while Redis is away
        self._asked_at: dict[str, int] = {}

    @property
    def thumbnails_by(self) -> Counter[str]:
        """How many thumbnails were made by "job" and by "sweep"."""
        return self.work.thumbnails_by

    def start(self) -> list[asyncio.Task[None]]:
        """Start what runs until it is cancelled."""
        running = [
            asyncio.create_task(self._supervise(), name="worker"),
            asyncio.create_task(self._tick(), name="worker-ticker"),
        ]
        if not self._is_alone:
            running.append(asyncio.create_task(self._find_silent(), name="worker-silence"))
        return running

    async def _supervise(self) -> None:
        shortest, longest = BACK_OFF_SECONDS
        pause = shortest
        while True:
            started = time.monotonic()
            try:
                await self._run_arq()
            except Exception as error:  # an edge: whatever ended the loop, the next one starts clean
                if _is_cancelled():  # Redis answered the cancellation with an error of its own
                    raise asyncio.CancelledError from error
                log.warning("worker_ended", error=str(error) or type(error).__name__, again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = shortest if time.monotonic() - started > longest else min(2 * pause, longest)

    async def _run_arq(self) -> None:
        redis = self.work.queue.connect(REDIS_SECONDS_MAX)
        worker = _Worker(
            work=self.work,
            look_seconds=0.0 if self._is_alone else LOOK_SECONDS,
            functions=tasks.functions(),
            cron_jobs=_cron_jobs(),
            queue_name=QUEUE_NAME,
            redis_pool=redis,
            ctx={"work": self.work},
            on_startup=self._on_startup,
            handle_signals=False,
            max_jobs=JOBS_MAX,
            job_timeout=tasks.TASK_SECONDS_MAX,
            keep_result=0,
            poll_delay=POLL_SECONDS,
            job_serializer=serialize,
            job_deserializer=msgspec.json.decode,
            log_results=False,
            timezone=UTC,
        )
        try:
            await worker.main()
        finally:
            self.is_connected = False
            ending = asyncio.create_task(_end(worker, redis), name="worker-end")
            while not ending.done():  # `_stop` asks again and again; what ends here takes END_SECONDS at most
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({ending})

    async def _on_startup(self, ctx: dict[Any, Any]) -> None:
        self.is_connected = True
        await self.work.queue.wait_heard(HEARD_SECONDS_MAX)
        self.work.queue.mark_back()
        await self.work.queue.enqueue_again("sweep_frames", tasks.EVERYTHING)
        self._asked_at.clear()  # the ticker asks for the others

    async def _tick(self) -> None:
        await self.work.queue.wait_heard(HEARD_SECONDS_MAX)
        while not _is_cancelled():
            for sweep in SWEEPS:
                now = self._now(sweep.clock)
                task = sweep.task.__name__
                asked_at = self._asked_at.get(task)
                # The record's clock can be set back by a restored demo.
                is_due = asked_at is None or abs(now - asked_at) >= sweep.every_ms
                if is_due and await self.work.queue.enqueue_again(task, ""):
                    self._asked_at[task] = now
            await asyncio.sleep(TICK_SECONDS)

    async def _find_silent(self) -> None:
        while True:
            try:
                await tasks.find_silent(self.work.resources)
            except Exception as error:  # an edge: the next look follows
                log.warning("find_silent_failed", error=str(error) or type(error).__name__)
            await asyncio.sleep(SILENCE_SECONDS)

    def _now(self, clock: Literal["real", "record"]) -> int:
        if clock == "record":
            return self.work.resources.clock.record_now()
        return int(time.monotonic() * 1000)


def _is_cancelled() -> bool:
    """Whether the present task was told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Worker(Worker):
    """arq's worker, which asks Redis only while jobs run or after something was queued, and else now and then: 50
    questions a second would cost an idle server a fortieth of a core.
    """

    def __init__(self, *, work: Work, look_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._queue = work.queue
        self._look_seconds = look_seconds
        self._look_at = 0.0
        self._asked = -1
        self._under_way: set[str] = set()

    async def run_job(self, job_id: str, score: int) -> None:
        """Run a job, unless it runs here already: a Redis that was emptied does not know."""
        if job_id in self._under_way:
            return
        self._under_way.add(job_id)
        try:
            await super().run_job(job_id, score)
        finally:
            self._under_way.discard(job_id)

    async def _poll_iteration(self) -> None:
        if _is_cancelled():
            raise asyncio.CancelledError  # the first one was swallowed
        now = time.monotonic()
        if self.tasks or self._queue.asked != self._asked or now >= self._look_at:
            self._asked = self._queue.asked
            self._look_at = now + self._look_seconds
            await super()._poll_iteration()


async def _end(worker: Worker, redis: ArqRedis) -> None:
    """End a loop's jobs, and its connections."""
    await _end_jobs(worker)
    with suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(END_SECONDS / 2):
            await redis.aclose()


async def _end_jobs(worker: Worker) -> None:
    """Cancel the jobs of a loop that ended. The database knows what they had still to do."""
    running = set(worker.tasks.values())
    for task in running:
        task.add_done_callback(_note)
    # At the first cancellation arq tells Redis that the job is free again; if Redis hangs, a second one ends that too.
    for _ in range(2):
        for task in running:
            task.cancel()
        if running:
            _, running = await asyncio.wait(running, timeout=END_SECONDS / 4)


def _note(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # seen: the error that ended the loop was logged


async def _stop(running: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: `wait_for` of Python 3.11, which redis-py uses, can swallow a cancellation, and a
    transaction that is cancelled tells Redis so, which may hang."""
    pending = set(running)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=END_SECONDS / 4)


def _cron_jobs() -> list[CronJob]:
    return [
        cron(sweep.task, hour=sweep.hour, minute=sweep.minute, second=sweep.second, timeout=tasks.TASK_SECONDS_MAX)
        for sweep in SWEEPS
    ]


@asynccontextmanager
async def run_workers(resources: Resources, queue: Queue, *, is_alone: bool = False) -> AsyncIterator[Workers]:
    """Run the worker in this process until the block ends. `is_alone`: no tracker connects to this process."""
    logging.getLogger("arq").setLevel(logging.WARNING)  # it tells of every job
    async with open_pictures() as pictures, open_previews() as previews:
        workers = Workers(resources, queue, pictures, is_alone)
        workers.work.previews = previews
        running = workers.start()
        try:
            yield workers
        finally:
            await _stop(running)


def run_worker(settings: Settings) -> None:
    """Run a worker alone until SIGINT or SIGTERM.

    Raises:
        SettingsError: if there is no database that two processes can share, or no queue.
    """
    if not settings.database_url.startswith("postgresql") or not settings.redis_url:
        raise SettingsError(
            "A worker of its own needs WORKROOM_DATABASE_URL (postgresql://…) and WORKROOM_REDIS_URL (redis://…). "
            "With SQLite the server runs it."
        )
    uvloop.run(_work_until_stopped(settings))


async def _work_until_stopped(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_resources(settings) as resources, open_queue(settings) as queue:
        resources.enqueue = queue.enqueue
        async with run_workers(resources, queue, is_alone=True):
            log.info("worker_started")
            await stopped.wait()
