"""A story in which an entry of every kind is written, by the services that write them for people and trackers."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from zoneinfo import ZoneInfo

from PIL import Image

from app.domain.bodies.system import RoomJobAwarded
from app.domain.errors import RecordRewound
from app.domain.events import body_of
from app.domain.record import Draft
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS, datetime_of, segment_of
from app.domain.workrooms import SYSTEM, Side
from app.services import (
    frames,
    handovers,
    record,
    room_closing,
    status_reports,
    tracking,
    workrooms,
    workview,
    writing,
)
from app.services.access import Actor
from app.services.checkpoints import accept_rewound_room
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.writer import Tx
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

    async def chapters(self, *, ends: bool = True) -> AsyncIterator[str]:
        """Tell a chapter at each turn; yields what it was about. The last one, if it `ends`, closes the workroom."""
        last = (self._it_ends,) if ends else ()
        for chapter in (
            self._people_talk,
            self._work_begins,
            self._a_picture_is_replaced_and_one_is_broken,
            self._a_pause_and_work_without_pictures,
            self._an_hour_closes,
            self._a_frame_is_deleted,
            self._terms_are_agreed,
            self._work_is_delivered,
            self._things_are_told_and_asked,
            self._a_secret_is_handed_over,
            self._somebody_joins,
            self._the_operator_accepts_a_loss,
            self._days_later,
            self._nobody_answers,
            *last,
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

    async def _terms_are_agreed(self) -> None:
        dana, ana = self.pair.client, self.pair.freelancer
        terms = {
            "member": "p2", "pay": "fixed", "currency": "EUR", "time_zone": "UTC", "work_view": False,
            "milestones": [{"key": "m1", "name": "The form", "amount_minor": 90_000, "due_on": "2026-11-27"}],
        }  # fmt: skip
        await self.say(ana, "terms.withdrawn", await self.say(ana, "terms.proposed", **terms))
        refused = await self.say(dana, "terms.proposed", **terms)
        await self.say(ana, "terms.declined", refused, text="Work View is missing.")
        await self.say(ana, "terms.accepted", await self.say(dana, "terms.proposed", **terms))
        await self.say(ana, "work_view.declined", await self.say(dana, "work_view.requested", member="p2"))
        await self.say(ana, "work_view.accepted", await self.say(dana, "work_view.requested", member="p2"))
        stone = {"member": "p2", "key": "m2", "name": "The map", "amount_minor": 45_000, "due_on": "2026-12-11"}
        for by, other, answer in ((ana, dana, "accepted"), (dana, ana, "declined"), (ana, ana, "withdrawn")):
            asked = await self.say(by, "milestone.proposed", **stone)
            await self.say(other, f"milestone.{answer}", asked)
        await self.say(dana, "agreement", text="Shown to the office on *Monday*.", restricted=True)

    async def _work_is_delivered(self) -> None:
        dana, ana = self.pair.client, self.pair.freelancer
        work = {"title": "The form", "text": "With tests.", "holds_rights": True, "milestone": "m1"}
        again = await self.say(ana, "deliverable", **work)
        await self.say(dana, "deliverable.changes_requested", again, text="The VAT number.")
        await self.say(dana, "deliverable.accepted", await self.say(ana, "deliverable", **work))
        today = datetime_of(self.clock.now, ZoneInfo("UTC")).date()
        monday = today - timedelta(days=today.weekday())
        await self.say(ana, "status_report", week_on=monday.isoformat(), done="The form", next="The map")

    async def _things_are_told_and_asked(self) -> None:
        dana, ana = self.pair.client, self.pair.freelancer
        await self.say(ana, "availability", what="schedule", from_on="2026-10-01", text="Mondays")
        late = {"text": "The flu.", "moves": [{"milestone": "m2", "due_on": "2026-12-18"}]}
        await self.say(dana, "delay.declined", await self.say(ana, "delay", **late))
        await self.say(dana, "delay.accepted", await self.say(ana, "delay", **late))
        heard = {"medium": "call", "title": "The map", "lines": [{"who": "Dana", "text": "Yes."}]}
        await self.say(ana, "transcript.contested", await self.say(dana, "transcript", **heard), text="I did not.")
        await self.say(ana, "transcript.confirmed", await self.say(dana, "transcript", **heard))
        ask = {"to": "My portfolio", "text": "One picture."}
        await self.say(dana, "disclosure.approved", await self.say(ana, "disclosure.requested", **ask))
        await self.say(dana, "disclosure.declined", await self.say(ana, "disclosure.requested", **ask))
        for by, other, answer in ((dana, ana, "approved"), (dana, ana, "declined"), (dana, dana, "withdrawn")):
            asked = await self.say(by, "member.proposed", name="Omar Haddad", side="client")
            await self.say(other, f"member.{answer}", asked)

    async def _a_secret_is_handed_over(self) -> None:
        dana, room = self.pair.client, self.pair.room
        shown = await self.say(dana, "handover", to="p2", label="The sandbox", secret="once and never again")
        await handovers.receive(self.resources, self.pair.freelancer, room, shown)
        await self.say(dana, "handover", to="p2", label="The old key", secret="never seen")

    async def _nobody_answers(self) -> None:
        await self.say(self.pair.freelancer, "delay", text="The bank.", until_on="2026-12-01")
        await status_reports.take_turns(self.resources)
        self.clock.now += 20 * DAY_MS
        await writing.answer_silences(self.resources)
        await status_reports.take_turns(self.resources)

    async def _it_ends(self) -> None:
        async def tell(tx: Tx) -> None:  # as an award in another workroom of the job does
            kind, body = body_of(RoomJobAwarded())
            await tx.append(Draft(self.pair.room, kind, SYSTEM, body))

        await self.resources.database.writer.run(tell, rooms=(self.pair.room,))
        await room_closing.close_room(self.resources, self.pair.client, self.pair.room, "All done.")
