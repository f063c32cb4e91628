"""A story in which an entry of every kind is written, by the services that write them for people and trackers."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator

from PIL import Image

from app.domain.errors import RecordRewound
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS, segment_of
from app.domain.workrooms import Side
from app.services import frames, record, tracking, workrooms, workview
from app.services.access import Actor
from app.services.checkpoints import accept_rewound_room
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.builders import Pair, build_account
from tests.work import MINUTE, Shift, picture


def broken_picture() -> bytes:
    """Return a PNG whose header is right and whose pixels cannot be decoded."""
    target = io.BytesIO()
    Image.effect_noise((160, 90), 90).convert("RGB").save(target, "PNG")
    data = bytearray(target.getvalue())
    data[60:200] = bytes(140)
    return bytes(data)


class Story:
    """Tells the story chapter by chapter; `clock` is the server's, and stands at a full hour when it begins."""

    def __init__(self, resources: Resources, pair: Pair, clock: ManualClock) -> None:
        self.resources = resources
        self.pair = pair
        self.clock = clock
        self.began = clock.now
        self.shift = Shift(resources, pair.freelancer, pair.room, clock)

    async def chapters(self) -> AsyncIterator[str]:
        """Tell a chapter at each turn; yields what it was about."""
        for chapter in (
            self._people_talk,
            self._work_begins,
            self._a_picture_is_replaced_and_one_is_broken,
            self._a_pause_and_work_without_pictures,
            self._an_hour_closes,
            self._a_frame_is_deleted,
            self._somebody_joins,
            self._the_operator_accepts_a_loss,
            self._days_later,
        ):
            await chapter()
            yield chapter.__name__.replace("_", " ").strip()

    async def say(self, actor: Actor, kind: str, ref: int | None = None, cid: str | None = None, **body: object) -> int:
        return (await record.append(self.resources, actor, self.pair.room, kind, body, ref, cid)).seq

    async def _people_talk(self) -> None:
        dana, ana = self.pair.client, self.pair.freelancer
        first = await self.say(dana, "message", text="Can it start on **Monday**?", cid="cid-of-the-story")
        await self.say(ana, "message", text="Yes:\n\n- the form\n- the <b>list</b> & more", ref=first)
        await self.say(dana, "correction", text="On Tuesday, I mean.", ref=first)
        await self.say(dana, "correction", text="No, Monday was right.", ref=first)
        await self.say(dana, "feedback", text="Lovely so far.", member="p2", segment=segment_of(self.clock.now))

    async def _work_begins(self) -> None:
        await tracking.hello(self.resources, self.pair.freelancer)
        await self.shift.start("The form")
        for number in range(2):
            await self.shift.work(SEGMENT_MS)
            stored = await self.shift.frame(taken_at=self.shift.at - MINUTE, data=picture(number))
        await self.say(self.pair.client, "feedback", text="Could the picker be larger?", ref=stored.seq)

    async def _a_picture_is_replaced_and_one_is_broken(self) -> None:
        await self.shift.work(4 * MINUTE)
        await self.shift.frame(data=picture(10), at_stop=True)
        await self.shift.work(8 * MINUTE)
        await self.shift.frame(taken_at=self.shift.at - MINUTE, data=picture(11))
        await self.shift.work(SEGMENT_MS)
        broken = broken_picture()
        stored = await self.shift.frame(taken_at=self.shift.at - MINUTE, data=broken, media="image/png")
        await frames.frame_unreadable(self.resources, stored.frame, "The worker may have said so before.")

    async def _a_pause_and_work_without_pictures(self) -> None:
        ana, shift = self.pair.freelancer, self.shift
        shift.at += 2 * MINUTE  # nothing is reported: a pause
        await tracking.work_view(self.resources, ana, shift.id, False, shift.at)
        await shift.work(6 * MINUTE, documented=False)
        await tracking.work_view(self.resources, ana, shift.id, True, shift.at)
        await shift.work(3 * MINUTE)
        await tracking.discard(self.resources, ana, shift.id, shift.at - MINUTE, shift.at)
        last = segment_of(shift.at - 1)
        await tracking.comment(self.resources, ana, str(uuid.uuid4()), shift.id, last - 1, last, "Copy of the form")
        await self.say(ana, "comment", text="Before lunch, and after", from_segment=last - 4, to_segment=last + 6)

    async def _an_hour_closes(self) -> None:
        await self.shift.work(HOUR_MS - (self.shift.at - self.began) + 2 * MINUTE)
        self.clock.now = self.began + HOUR_MS + 11 * MINUTE
        await workview.close_due_hours(self.resources)

    async def _a_frame_is_deleted(self) -> None:
        entries = (await record.page(self.resources, self.pair.client, self.pair.room, limit=1000)).entries
        taken = [entry for entry in entries if entry.kind == "frame.taken" and entry.body is not None]
        assert taken[0].body is not None
        await frames.delete(self.resources, self.pair.freelancer, taken[0].body["frame"])
        gone = (await record.page(self.resources, self.pair.client, self.pair.room)).head
        await self.say(self.pair.freelancer, "correction", text="It showed a password.", ref=gone)
        self.clock.now += 2 * MINUTE
        await workview.close_due_hours(self.resources)

    async def _somebody_joins(self) -> None:
        other = await build_account(self.resources, "Omar Haddad")
        await workrooms.join(self.resources, other.account, self.pair.room, Side.CLIENT)
        await self.say(other, "message", text="Hello, I check the books.")

    async def _the_operator_accepts_a_loss(self) -> None:
        self.resources.database.writer.refused_rooms[self.pair.room] = RecordRewound()
        await accept_rewound_room(self.resources, self.pair.room, "The disk of Monday was restored on Tuesday.")

    async def _days_later(self) -> None:
        await self.shift.stop()
        self.clock.now += 2 * DAY_MS
        await workview.close_due_hours(self.resources)
        await workview.reveal_seeds(self.resources)
        await self.say(self.pair.client, "message", text="Thank you both.")
