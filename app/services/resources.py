"""Resources: what services need, passed to each as its first argument. Made once by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from app.config import Settings
from app.domain.live import Event
from app.domain.workrooms import RoomInfo
from app.services.clock import Clock
from app.services.throttle import Allowances, Throttle
from app.services.trackers import Trackers
from app.storage.blobs import Blobs
from app.storage.engine import Database
from app.storage.keys import ReleasedSizes, Signer

Enqueue = Callable[[str, str], Awaitable[object]]


@dataclass(slots=True)
class Resources:
    """`publish` takes events after commit; `enqueue` (task, key) hints to the worker and never fails.

    `rooms` caches what every page of a room needs; `services.access` fills it and drops what changed.
    `throttle` counts attempts to sign in and to pair, `says` what an account writes; `trackers` knows which sessions
    were heard of.
    """

    settings: Settings
    database: Database
    blobs: Blobs
    clock: Clock
    random_bytes: Callable[[int], bytes]
    signer: Signer
    released: ReleasedSizes
    publish: Callable[[Sequence[Event]], None]
    enqueue: Enqueue
    rooms: dict[str, RoomInfo] = field(default_factory=dict)
    throttle: Throttle = field(init=False)
    says: Allowances = field(init=False)
    trackers: Trackers = field(default_factory=Trackers)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.settings.sign_in_attempts_max)
        self.says = Allowances(self.settings.says_per_second_max)
