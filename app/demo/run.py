"""Running the demo: the server on the record's fast clock, and a real tracker process for each freelancer.

Rule 1: the trackers are the product's own, paired by a device token, and send through `/agent` like everybody's.
Rule 2: the clock's anchors lie in the data folder: a demo that is started again goes on where the clock is by then.
Rule 3: stopping ends the trackers first, so that their sessions end in the record, and takes 5 s at most.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import structlog
import uvloop
from sqlalchemy import func, select
from starlette.applications import Starlette

from app.config import Settings
from app.demo.history import write_history
from app.demo.story import CLIENT, JOBS, OPERATOR, Job
from app.domain.errors import WorkroomError
from app.domain.timerange import DAY_MS, MINUTE_MS
from app.main import serve_app
from app.opening import open_resources
from app.services import accounts, record, workrooms
from app.services.clock import ManualClock, PacedClock, SystemClock
from app.services.resources import Resources
from app.storage.tables import accounts as accounts_table

RATE = 60
DAYS_BACK = 7
STOP_SECONDS_MAX = 1.5  # of a tracker that was asked to end its session
SESSION_MS = 150 * MINUTE_MS  # of the record's clock: two and a half minutes at 60 times
BREAK_MS = 14 * MINUTE_MS

log = structlog.get_logger()


def run_demo(settings: Settings, *, screen: bool = False) -> None:
    """Write the history if there is none, then serve until told to stop."""
    uvloop.run(_demo(settings, screen))


async def _demo(settings: Settings, screen: bool) -> None:
    clock = await prepare(settings)
    crew = Crew(settings, screen)

    async def ready(app: Starlette) -> None:
        resources: Resources = app.state.resources
        await crew.start(resources)
        await print_links(resources)

    await serve_app(settings, clock, ready=ready, before_stop=crew.stop)


async def prepare(settings: Settings) -> PacedClock:
    """Return the demo's clock; write the history first where there is none."""
    settings.data.mkdir(parents=True, exist_ok=True)
    anchors = settings.data / "demo-clock.json"
    if not anchors.exists():
        now = SystemClock().real_now()
        first_moment = now - DAYS_BACK * DAY_MS
        manual = ManualClock(first_moment, now)
        async with open_resources(settings, clock=manual) as resources:
            async with resources.database.read() as connection:
                people = await connection.scalar(select(func.count()).select_from(accounts_table))
            if people:
                raise WorkroomError(f"{settings.data} holds a server's data and no demo's. Set DATA to another folder.")
            print("Writing some days of history …", flush=True)
            await write_history(resources, manual, first_moment)
        PacedClock(SystemClock().real_now(), first_moment, RATE).save(anchors)
    return PacedClock.load(anchors)


async def print_links(resources: Resources) -> None:
    """Print where the demo is, and a sign-in link for each person, each on a line of its own."""
    print(resources.settings.base_url)
    for role, email in (("client", CLIENT[0]), ("freelancer", JOBS[0].email), ("operator", OPERATOR[0])):
        actor = await accounts.account_of_email(resources, email)
        print(role, await accounts.new_link(resources, actor))
    print("Ctrl-C stops it.", flush=True)


class Crew:
    """The freelancers who work now: a tracker process each, one session after the other."""

    def __init__(self, settings: Settings, screen: bool) -> None:
        self._settings = settings
        self._screen = screen
        self._data = settings.data.absolute()
        self._tasks: list[asyncio.Task[None]] = []
        self._trackers: set[asyncio.subprocess.Process] = set()
        self._stopping = False  # from now on trackers end because they were told to

    async def start(self, resources: Resources) -> None:
        """Pair a device for each freelancer and let them work."""
        if self._screen:
            print("SCREEN=1: your own display is captured, as Ana's, and shown in this demo.", flush=True)
        for number, job in enumerate(JOBS):
            actor = await accounts.account_of_email(resources, job.email)
            home = self._data / "trackers" / job.drawn
            label = f"{job.name.split()[0]}'s laptop"
            for row in await accounts.tokens_of(resources, actor):
                if row.label == label:  # of an earlier run: the address may have changed since
                    await accounts.revoke_token(resources, actor, row.id)
            token = await accounts.new_token(resources, actor, "device", label)
            await self._tracker(home, None, "pair", self._settings.base_url, "--token", token)
            self._tasks.append(asyncio.create_task(self._work(resources, job, home, offset=number)))

    async def stop(self) -> None:
        """End every session and every process."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for process in self._trackers:
            with suppress(ProcessLookupError):
                process.terminate()
        if self._trackers:
            await asyncio.wait([asyncio.create_task(p.wait()) for p in self._trackers], timeout=STOP_SECONDS_MAX)
        for process in self._trackers:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, resources: Resources, job: Job, home: Path, offset: int) -> None:
        """Track session after session, with a break and a word between them."""
        drawn = None if self._screen and offset == 0 else job.drawn
        turn = offset
        while True:
            arguments = ["start", job.title, "--comment", job.tasks[turn % len(job.tasks)]]
            if drawn is not None:
                arguments += ["--drawn", drawn]
            working = asyncio.create_task(self._tracker(home, drawn, *arguments))
            try:
                await self._pass(resources, SESSION_MS + offset * 20 * MINUTE_MS, working)
            finally:
                await self._end(home, working)
            await self._say(resources, job, job.remarks[turn % len(job.remarks)])
            await self._pass(resources, BREAK_MS, None)
            turn += 1

    async def _pass(self, resources: Resources, duration_ms: int, until: asyncio.Task[int] | None) -> None:
        """Let the record's time pass, or return when a tracker ended by itself."""
        end = resources.clock.record_now() + duration_ms
        while (left := end - resources.clock.record_now()) > 0 and not (until is not None and until.done()):
            await asyncio.sleep(min(1.0, left / RATE / 1000))

    async def _end(self, home: Path, working: asyncio.Task[int]) -> None:
        if not working.done():
            await self._tracker(home, None, "stop")
            await asyncio.wait({working}, timeout=10)
        working.cancel()

    async def _say(self, resources: Resources, job: Job, text: str) -> None:
        actor = await accounts.account_of_email(resources, job.email)
        for summary in await workrooms.my_rooms(resources, actor):
            if summary.info.title == job.title:
                await record.append(resources, actor, summary.info.id, "message", {"text": text})

    async def _tracker(self, home: Path, drawn: str | None, *arguments: str) -> int:
        """Run the tracker's command line; return its status."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WORKROOM_")},
            "WORKROOM_TRACKER_CLOCK": str(self._data / "demo-clock.json"),
        }
        command = [sys.executable, "-m", "tracker", "--home", str(home), *arguments]
        if nice := shutil.which("nice"):
            command = [nice, "-n", "5", *command]
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; we end them in order
        )
        self._trackers.add(process)
        try:
            _, problem = await process.communicate()
            if process.returncode and not self._stopping:
                log.warning("tracker ended", arguments=arguments[:2], problem=problem.decode(errors="replace")[-400:])
            return process.returncode or 0
        finally:
            self._trackers.discard(process)
