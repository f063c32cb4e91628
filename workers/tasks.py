"""The tasks of the worker: each thin, and safe to run twice or at the same time elsewhere.

Rule 1: a task is only a hint carried out. What is to be done is read from the database; a task that was lost is asked
    for again by a sweep.
Rule 2: a picture is decoded once: its thumbnail is there, or the frame is unreadable.
Rule 3: a picture that made its process die DEATHS_MAX times is unreadable; before that, the machine may be to blame.
Rule 4: what is temporary is tried again later; anything else ends the task and is logged, and the sweep comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Protocol, cast

import structlog
from arq.worker import Function, Retry, func

from app.domain.errors import WorkroomError
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
from app.services.resources import Resources
from app.storage.frames import select_frame
from app.views.digests import digest_writer
from app.views.mail import composer
from workers.picture_pool import PictureMissing, PicturePool, PictureProcessDied, PictureUnreadable
from workers.queue import Queue

DEATHS_MAX = 3
PREVIEW_DEATHS_MAX = 2  # a file that takes ten seconds twice is not waited for again
RETRY_SECONDS = 0.2  # times the square of the try: 0.2, 0.8, 1.8 …
TRIES_MAX = 20  # then the sweep starts anew
TASK_SECONDS_MAX = 60.0
UNDECODED_AFTER_MS = 10_000  # a job takes 0.1 s. By the record's clock, so less in the demo: no harm, see `enqueue`
SWEEP_FRAMES_MAX = 100  # at a time, so that new frames do not wait behind a week's
ORPHAN_SECONDS = 86_400.0  # a frame whose row is being written is seconds old
EVERYTHING = "all"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Work:
    """What tasks need; `ctx["work"]` of every one.

    `thumbnails_by` counts thumbnails made by "job" and by "sweep": the second is for what was lost, and says so.
    """

    resources: Resources
    queue: Queue
    pictures: PicturePool
    thumbnails_by: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)  # of picture processes, by frame; ends with the frame
    missing: set[str] = field(default_factory=set)  # frames without file: logged once, then left to fsck
    running: set[str] = field(default_factory=set)  # sweeps under way here
    previews: PicturePool | None = None  # draws attached files; None where no worker runs
    again: set[str] = field(default_factory=set)  # those asked for meanwhile: something new may have come too late


Context = dict[Any, Any]


class Task(Protocol):
    """What arq calls: its context first, then what was queued."""

    __name__: str
    __qualname__: str

    async def __call__(self, ctx: Context, *args: Any, **kwargs: Any) -> None:
        """Do the task."""


def _task(task: Callable[..., Coroutine[Any, Any, None]]) -> Task:
    """Let arq try again what failed for a temporary reason."""

    @wraps(task)
    async def run(ctx: Context, *args: Any, **kwargs: Any) -> None:
        try:
            await task(ctx, *args, **kwargs)
        except WorkroomError as error:
            if not error.temporary:
                raise
            raise _again(ctx) from error

    return cast("Task", run)


def _again(ctx: Context) -> Retry:
    return Retry(defer=RETRY_SECONDS * ctx.get("job_try", 1) ** 2)


@_task
async def make_thumbnail(ctx: Context, frame_id: str, source: str = "job") -> None:
    """Decode a frame, store its thumbnail and say that it is ready, or say that it is unreadable (rule 2.6)."""
    work: Work = ctx["work"]
    resources = work.resources
    picture = resources.blobs.frame_path(frame_id)
    if not resources.blobs.has_thumbnail(frame_id):
        try:
            thumbnail = await work.pictures.thumbnail(picture)
        except PictureUnreadable as unreadable:
            await _give_up(work, frame_id, unreadable.reason)
            return
        except PictureMissing:
            work.missing.add(frame_id)  # deleted in the meantime, or a blob that got lost
            log.warning("frame_without_picture", frame=frame_id)
            return
        except PictureProcessDied as died:
            work.deaths[frame_id] += 1
            if work.deaths[frame_id] < DEATHS_MAX:
                raise _again(ctx) from died
            await _give_up(work, frame_id, died.reason)
            return
        if not await resources.blobs.put_thumbnail(frame_id, thumbnail):
            return  # deleted while it was decoded
        work.thumbnails_by[source] += 1
    del work.deaths[frame_id]
    work.missing.discard(frame_id)
    await frames.frame_ready(resources, frame_id)


async def _give_up(work: Work, frame_id: str, reason: str) -> None:
    await frames.frame_unreadable(work.resources, frame_id, reason)
    del work.deaths[frame_id]
    log.info("frame_unreadable", frame=frame_id, reason=reason)


@_task
async def make_preview(ctx: Context, key: str, source: str = "job") -> None:
    """Draw an attached file (`key` is its SHA-256 in hex), or note that it cannot be drawn (rule 1.6)."""
    work: Work = ctx["work"]
    resources, digest = work.resources, bytes.fromhex(key)
    if work.previews is None or not await files.is_preview_due(resources, digest):
        return
    try:
        drawn = await work.previews.thumbnail(resources.blobs.files.path(digest))
        if not await resources.blobs.files.put_preview(digest, drawn):
            return  # deleted while it was drawn
        await files.preview_made(resources, digest, True)
    except PictureMissing:
        log.warning("file_missing", file=key)  # deleted in the meantime, or lost: fsck tells
    except PictureUnreadable as unreadable:
        log.info("no_preview", file=key, reason=unreadable.reason)
        await files.preview_made(resources, digest, False)
    except PictureProcessDied as died:
        work.deaths[key] += 1
        if work.deaths[key] < PREVIEW_DEATHS_MAX:
            raise _again(ctx) from died
        log.info("no_preview", file=key, reason=died.reason)
        await files.preview_made(resources, digest, False)
    del work.deaths[key]


async def _sweep(ctx: Context, name: str, act: Callable[[Work], Awaitable[object]]) -> None:
    """Run a sweep; if the same one is still running here, it goes on with another round."""
    work: Work = ctx["work"]
    work.again.add(name)
    if name in work.running:
        return
    work.running.add(name)
    try:
        while name in work.again:
            work.again.discard(name)
            await act(work)
    finally:
        work.running.discard(name)


@_task
async def sweep_frames(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Ask again for the thumbnails of frames whose job was lost; key "all": of the newest frames too."""

    async def act(work: Work) -> None:
        older_than_ms = 0 if key == EVERYTHING else UNDECODED_AFTER_MS
        found = await frames.undecoded(work.resources, older_than_ms)
        for frame_id in [frame_id for frame_id in found if frame_id not in work.missing][:SWEEP_FRAMES_MAX]:
            if not await work.queue.enqueue_again("make_thumbnail", frame_id):
                return

    await _sweep(ctx, "sweep_frames", act)


@_task
async def close_hours(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Close the hour windows that are due, and amend what changed (rule 2.11)."""
    await _sweep(ctx, "close_hours", lambda work: workview.close_due_hours(work.resources))


@_task
async def reveal_seeds(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Put the seeds of past days into the record (rule 2.3)."""
    await _sweep(ctx, "reveal_seeds", lambda work: workview.reveal_due_seeds(work.resources))


@_task
async def erase_blobs(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Destroy the pictures of deleted and replaced frames (rules 2.3 and 2.9)."""
    await _sweep(ctx, "erase_blobs", lambda work: frames.erase_due_blobs(work.resources))


@_task
async def sweep_orphans(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Remove pictures that are a day old and have no row: their transaction never came (docs/architecture.md)."""

    async def act(work: Work) -> None:
        blobs = work.resources.blobs
        async for frame_id in blobs.orphans(ORPHAN_SECONDS):
            # A frame that is sent again now gets a new file first: its age keeps it, whatever was read here.
            async with work.resources.database.read() as connection:
                row = await select_frame(connection, frame_id)
            if (row is None or row.erased_at is not None) and await blobs.delete_orphan(frame_id, ORPHAN_SECONDS):
                log.info("orphan_removed", frame=frame_id)
        await files.sweep_orphans(work.resources, ORPHAN_SECONDS)

    await _sweep(ctx, "sweep_orphans", act)


@_task
async def sweep_previews(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Ask again for the previews of files whose job was lost."""

    async def act(work: Work) -> None:
        for digest in await files.without_preview(work.resources, UNDECODED_AFTER_MS):
            if not await work.queue.enqueue_again("make_preview", digest.hex()):
                return

    await _sweep(ctx, "sweep_previews", act)


@_task
async def sweep_files(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Drop uploads that nobody attached, and remove files that nothing uses any more."""

    async def act(work: Work) -> None:
        await uploads.sweep(work.resources)
        await files.sweep_unused(work.resources)

    await _sweep(ctx, "sweep_files", act)


@_task
async def stop_silent(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """End the sessions whose tracker has brought nothing for too long."""
    await _sweep(ctx, "stop_silent", lambda work: tracking.stop_silent(work.resources))


@_task
async def send_mails(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Send the mails that are due, or write them to their folder."""
    await _sweep(ctx, "send_mails", lambda work: mail.send_due(work.resources, composer(work.resources.settings)))


@_task
async def index_entries(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Index what the server could not, and destroy the words of what was erased."""

    async def act(work: Work) -> None:
        await indexing.index_missed(work.resources)
        await indexing.destroy_forgotten(work.resources)

    await _sweep(ctx, "index_entries", act)


@_task
async def answer_silences(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Answer what nobody answered in time (rule 1.5)."""
    await _sweep(ctx, "answer_silences", lambda work: writing.answer_silences(work.resources))


@_task
async def apply_due_terms(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Let workrooms show the time zone that their terms have since this week (rule 2.12)."""
    await _sweep(ctx, "apply_due_terms", lambda work: terms.apply_due_terms(work.resources))


@_task
async def warn_due_soon(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Tell who must act that silence answers within a day (rule 1.5)."""
    await _sweep(ctx, "warn_due_soon", lambda work: notices.warn_due_soon(work.resources))


@_task
async def look_after_reports(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Remind of status reports that are due, and write down those that are missing (rule 5.4)."""
    await _sweep(ctx, "look_after_reports", lambda work: status_reports.take_turns(work.resources))


@_task
async def send_digests(ctx: Context, key: str = "", source: str = "sweep") -> None:
    """Queue the mails of what people were told of and have not read."""
    await _sweep(
        ctx,
        "send_digests",
        lambda work: digests.send_due(work.resources, digest_writer(work.resources.settings)),
    )


async def find_silent(resources: Resources) -> None:
    """Show which trackers have become silent (rule 2.5). Only the process that holds their sockets knows, so this is
    called there and never queued.
    """
    await tracking.find_silent(resources)


SWEEPS = (
    sweep_frames,
    close_hours,
    reveal_seeds,
    answer_silences,
    apply_due_terms,
    stop_silent,
    erase_blobs,
    sweep_orphans,
    sweep_previews,
    sweep_files,
    send_mails,
    warn_due_soon,
    look_after_reports,
    send_digests,
    index_entries,
)


def functions() -> list[Function]:
    """Return every task as arq runs it: results are not kept, for they would block the same task for as long."""
    return [
        func(task, name=task.__name__, keep_result=0, timeout=TASK_SECONDS_MAX, max_tries=TRIES_MAX)
        for task in (make_thumbnail, make_preview, *SWEEPS)
    ]
