"""Builders of tracked time: a freelancer at work, reporting through the services as a tracker does."""

from __future__ import annotations

import io
import random
import uuid
from hashlib import sha256

from PIL import Image

from app.domain.record import base64url
from app.domain.timerange import datetime_of, segment_end, segment_of
from app.domain.wire import FrameHeader
from app.domain.workview import TICK_MS_MAX
from app.services import intake, tracking
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.intake import Stored
from app.services.resources import Resources
from app.services.ticks import TickReport

MINUTE = 60_000


def picture(seed: int = 1, size: tuple[int, int] = (160, 90)) -> bytes:
    """Return a small lossless WebP that differs by seed."""
    noise = random.Random(seed).randbytes(size[0] * size[1] // 16 * 3)
    target = io.BytesIO()
    Image.frombytes("RGB", (size[0] // 4, size[1] // 4), noise[: size[0] // 4 * (size[1] // 4) * 3]).resize(size).save(
        target, "WEBP", lossless=True
    )
    return target.getvalue()


def header(session: str, taken_at: int, data: bytes, /, **changes: object) -> FrameHeader:
    """Return the header of a frame of 160 × 90 pixels, with `changes`."""
    fields: dict[str, object] = {
        "id": str(uuid.uuid4()),
        "session": session,
        "segment": segment_of(taken_at),
        "taken_at": datetime_of(taken_at),
        "width": 160,
        "height": 90,
        "media": "image/webp",
        "sha256": base64url(sha256(data).digest()),
    }
    return FrameHeader(**{**fields, **changes})  # type: ignore[arg-type]


class Shift:
    """One session of a freelancer; `now` of the clock follows what is reported."""

    def __init__(self, resources: Resources, actor: Actor, room: str, clock: ManualClock) -> None:
        self.resources = resources
        self.actor = actor
        self.room = room
        self.clock = clock
        self.id = str(uuid.uuid4())
        self.at = clock.now

    async def start(self, comment: str = "", work_view: bool = True, at: int | None = None) -> Shift:
        self.at = self.clock.now if at is None else at
        await tracking.start(
            self.resources, self.actor, self.room, self.id, self.at,
            device="desk", comment=comment, work_view=work_view,
        )  # fmt: skip
        return self

    def reports(self, until: int, documented: bool = True) -> list[TickReport]:
        """Return ticks from where the shift is to `until`, cut as trackers cut them."""
        listed = []
        while self.at < until:
            end = min(until, self.at + TICK_MS_MAX, segment_end(segment_of(self.at)))
            listed.append(TickReport(self.at, end, documented))
            self.at = end
        return listed

    async def work(self, duration_ms: int, documented: bool = True, keep_clock: bool = False) -> None:
        """Report ticks for this long, and let the clock follow."""
        reports = self.reports(self.at + duration_ms, documented)
        if not keep_clock:
            self.clock.now = max(self.clock.now, self.at)
        refusals = await tracking.ticks(self.resources, self.actor, self.id, reports)
        assert refusals == [None] * len(reports)

    async def frame(self, taken_at: int | None = None, data: bytes | None = None, **changes: object) -> Stored:
        """Send a frame taken now, or then."""
        data = picture() if data is None else data
        taken_at = self.at if taken_at is None else taken_at
        return await intake.take_frame(self.resources, self.actor, header(self.id, taken_at, data, **changes), data)

    async def stop(self, at: int | None = None) -> None:
        await tracking.stop(self.resources, self.actor, self.id, self.at if at is None else at)
