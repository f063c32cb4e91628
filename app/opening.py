"""Opening: from settings to the resources that services need. Used by every root: server, command line, worker.

Rule 1: with SQLite exactly one process that writes holds the data folder, by a lock file.
Rule 2: whatever is opened here is closed here.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from app.config import Settings, SettingsError
from app.domain.live import Event, RoomChanged
from app.services.access import remember_room
from app.services.checkpoints import refuse_rewound_rooms
from app.services.clock import Clock, SystemClock
from app.services.resources import Resources
from app.storage.blobs import Blobs
from app.storage.engine import open_database
from app.storage.keys import ReleasedSizes, Signer, load_signer
from app.storage.migrate import migrate

log = structlog.get_logger()


@asynccontextmanager
async def open_resources(
    settings: Settings,
    *,
    clock: Clock | None = None,
    publish: Callable[[Sequence[Event]], None] = lambda events: None,
) -> AsyncIterator[Resources]:
    """Open everything that services need, and close it again.

    Raises:
        SettingsError: if another server holds the data folder.
    """
    clock = clock or SystemClock()
    lock = await asyncio.to_thread(_lock_data, settings)
    try:
        url = database_url(settings)
        await asyncio.to_thread(migrate, url)
        signer, released = await asyncio.to_thread(_load_keys, settings)

        def announce(events: Sequence[Event]) -> None:
            for event in events:
                if isinstance(event, RoomChanged):  # what is cached of a room is replaced by the commit that changes it
                    remember_room(resources, event.info)
            publish(events)

        database = await open_database(url, clock, os.urandom, announce)
        resources = Resources(
            settings=settings,
            database=database,
            blobs=Blobs(settings.data / "blobs"),
            clock=clock,
            random_bytes=os.urandom,
            signer=signer,
            released=released,
            publish=announce,
            enqueue=_enqueue_nothing,
        )
        try:
            for room in await refuse_rewound_rooms(resources):
                log.error("record is shorter than what was signed; the room refuses writes", room=room)
            yield resources
        finally:
            await database.close()
            await asyncio.to_thread(resources.blobs.close)
    finally:
        os.close(lock)


def database_url(settings: Settings) -> str:
    """Return where the database is: SQLite in the data folder unless a setting says otherwise."""
    return settings.database_url or f"sqlite:///{(settings.data / 'workroom.sqlite3').absolute()}"


async def _enqueue_nothing(task: str, key: str) -> bool:
    """Stand in where no worker runs: sweeps find what is to do."""
    return False


def _load_keys(settings: Settings) -> tuple[Signer, ReleasedSizes]:
    key_file = Path(settings.key_file) if settings.key_file else settings.data / "key"
    signer = load_signer(key_file, settings.origin_name)
    return signer, ReleasedSizes(key_file.with_name(key_file.name + ".released"))


def _lock_data(settings: Settings) -> int:
    """Make the data folder, only ours to read, and hold it where SQLite lies in it; return what to close at the end.

    Raises:
        SettingsError: if another process holds it.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(settings.data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not database_url(settings).startswith("postgresql"):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingsError(f"Another server uses the data folder {settings.data}. Stop it first.") from None
    return descriptor
