"""The running tracker: joins the session with spool, link, capture, terminal and control socket.

Rule 1: an effect of the session is durable in the spool before anything is sent.
Rule 2: a frame is taken at its moment and waits here for its hold; until then it can be discarded (rule 2.14).
Rule 3: Ctrl-C, SIGTERM and `stop` end the session cleanly; a second Ctrl-C leaves at once and loses nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from app.domain.record import base64url
from app.domain.timerange import SECOND_MS, datetime_of, instant_text, segment_end, segment_of, segment_start
from app.domain.wire import FrameHeader
from tracker.capture import CaptureFailed, Picture, Request, take
from tracker.clock import Clock
from tracker.home import Device
from tracker.link import Link
from tracker.schedule import Schedule
from tracker.session import Effect, Ended, FrameDue, Gapped, Phase, Session, Switched, Ticked
from tracker.spool import Frame, FrameState, Room, Spool
from tracker.status import Status, clock_text, duration_text, status_line, stored_status, today_ms
from tracker.terminal import Terminal

JUMP_MS = 90 * SECOND_MS  # rule 2.5, by the machine's clock
LOOK_SECONDS = 5.0  # how often the clock is read: a sleep is noticed to within this
RETRY_SECONDS = (1.0, 3.0, 10.0, 30.0)  # after a capture failed; the last one repeats until the segment is over
FINISH_SECONDS = 4.0  # how long the last messages may take once the session is over
SKEW_MS_MAX = 30 * SECOND_MS  # of the machine's clock against the server's before it is worth a word
HOLD_MS_MAX = 300 * SECOND_MS


class Options(msgspec.Struct, frozen=True):
    """What `start` was asked for."""

    comment: str = ""
    work_view: bool = True
    hold_ms: int = 30 * SECOND_MS
    screen: int = 1
    blur: int = 0
    drawn: str | None = None


class Tracker:
    """One session, from start to stop."""

    def __init__(
        self, room: Room, options: Options, device: Device, spool: Spool, clock: Clock, link: Link, terminal: Terminal
    ) -> None:
        self._options = options
        self._device = device
        self._spool = spool
        self._clock = clock
        self._link = link
        self._terminal = terminal
        self._room = room
        now = clock.record_now()
        schedule = Schedule(lambda day: spool.seed(room.id, day))
        framed = spool.framed_segments(room.id, segment_of(now))
        self.session = Session(str(uuid.uuid4()), room.id, now, options.work_view, schedule, framed)
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        # Woken when something changes what is due next.
        self._changed = asyncio.Event()
        self._taking: dict[FrameDue, asyncio.Task[None]] = {}
        self._watching = 0
        self._last_trouble = ""
        self._today_ms = 0

    # The life of the session

    async def run(self) -> None:
        """Track until stopped; return once the session is over and, if the server can be reached, told."""
        session, options = self.session, self._options
        self._spool.begin(session.id, self._room.id, session.began_at, options.comment, options.work_view)
        self._link.wake()
        if options.work_view and not self._spool.has_server_seed(self._room.id, segment_of(session.began_at)):
            self._terminal.say("The server's seed for today is not here: frames taken now will be marked.")
        view = "on: one frame in every twelve minutes" if options.work_view else "off: no frames are taken"
        self._terminal.say(f"Tracking in {self._room.title}. Work View is {view}. Ctrl-C stops.")
        self._count_today()
        while not self._stopping.is_set() and session.phase is not Phase.ENDED:
            self._apply(session.advance(self._clock.record_now(), self._jump_ms()))
            self.refresh()
            self._changed.clear()
            seconds = min(self._clock.seconds_until(session.next_due()), LOOK_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(seconds, 0.005)):
                    await self._changed.wait()
        if session.phase is not Phase.ENDED:
            self._apply(session.end(self._clock.record_now(), self._jump_ms()))
        await self._finish()

    async def _finish(self) -> None:
        """Take the last frame, wait for its hold, and send what is left, unless asked to leave."""
        leaving = asyncio.create_task(self._leaving.wait())
        taken = asyncio.create_task(self._all_taken())
        await asyncio.wait([taken, leaving], return_when=asyncio.FIRST_COMPLETED)
        self._count_today()
        today = duration_text(self._today_ms)
        self._terminal.say(f"Stopped at {self._time(self.session.ticked_to)}. Today: {today}.")
        held = [frame.due_at for frame in self._spool.waiting_frames()]
        seconds = self._clock.seconds_until(max(held)) if held else 0.0
        if seconds > 1 and self._link.state == "online":
            self._terminal.say(f"One frame is on hold for {round(seconds)} s. Ctrl-C leaves it for the next start.")
        settled = asyncio.create_task(self._link.wait_settled())
        timeout = FINISH_SECONDS + seconds if self._link.state == "online" else 0.5
        await asyncio.wait([settled, leaving], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in (settled, leaving, taken, *self._taking.values()):
            task.cancel()
        if not self._link.settled():
            self._terminal.say("What is not sent yet stays here and is sent at the next start.")
        self._terminal.clear()

    async def _all_taken(self) -> None:
        while self._taking:
            await asyncio.wait(self._taking.values())

    def stop(self) -> None:
        """End the session; asked a second time, leave at once."""
        if self._stopping.is_set():
            self._leaving.set()
        self._stopping.set()
        self._changed.set()

    def _jump_ms(self) -> int:
        return JUMP_MS * self._clock.rate()

    def _apply(self, effects: list[Effect]) -> None:
        for due in effects:  # before the ticks, so that these can say that a frame is to come
            if isinstance(due, FrameDue):
                self._taking[due] = asyncio.create_task(self._take(due))
        for effect in effects:
            match effect:
                case Ticked(start, end, documented):
                    waiting = sorted({*self._spool.waiting_segments(), *(due.segment for due in self._taking)})
                    self._spool.tick(self.session.id, start, end, documented, waiting)
                    self._count_today()
                case Switched(on, at):
                    message = {"t": "work_view", "session": self.session.id, "on": on, "at": instant_text(at)}
                    self._spool.enqueue(self.session.id, message)
                    self._terminal.say(f"Work View is {'on' if on else 'off'} since {self._time(at)}.")
                case Gapped(start, end):
                    self._terminal.say(
                        f"The clock jumped from {self._time(start)} to {self._time(end)} (sleep?). "
                        "The time between is not counted."
                    )
                case Ended(at):
                    self._spool.end(self.session.id, at)
        if effects:
            self._link.wake()

    # Frames

    async def _take(self, due: FrameDue) -> None:
        try:
            picture = await self._picture(due)
            if picture is not None:
                self._store(due, picture)
        finally:
            del self._taking[due]
        self._link.wake()
        self.refresh()

    async def _picture(self, due: FrameDue) -> Picture | None:
        """Take the picture, trying again while the segment lasts; None if there is none."""
        attempt = 0
        while True:
            options = self._options
            try:
                return await take(Request(options.screen, options.blur, options.drawn, due.at))
            except CaptureFailed as error:
                if str(error) != self._last_trouble:
                    self._terminal.say(f"No frame could be taken: {error}")
                self._last_trouble = str(error)
            over = self._clock.record_now() >= segment_end(due.segment) or self._stopping.is_set()
            if due.at_stop or over:
                self._terminal.say(f"The segment of {self._time(segment_start(due.segment))} has no frame.")
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]):
                    await self._stopping.wait()
            attempt += 1

    def _store(self, due: FrameDue, picture: Picture) -> None:
        """Keep the frame until its hold is over and the server has it."""
        late_ms = max(0, picture.grabbed_at - self._clock.real_at(due.at))
        if late_ms > JUMP_MS and self.session.phase is not Phase.ENDED:
            self._apply(self.session.advance(self._clock.record_now(), self._jump_ms()))
            if self.session.stretch_from > due.at:  # the machine slept meanwhile: the picture shows another time
                self.session.frame_missed(due.segment)
                return
        last = due.at if due.at_stop else segment_end(due.segment)
        if self.session.phase is Phase.ENDED:
            last = min(last, self.session.ticked_to)
        taken_at = min(due.at + late_ms, last)
        header = FrameHeader(
            id=str(uuid.uuid4()), session=self.session.id, segment=due.segment, taken_at=datetime_of(taken_at),
            width=picture.width, height=picture.height, media=picture.media,
            sha256=base64url(sha256(picture.data).digest()), blur=self._options.blur, at_stop=due.at_stop,
        )  # fmt: skip
        frame = Frame(
            header.id, self.session.id, self._room.id, due.segment, taken_at,
            taken_at + self._options.hold_ms, FrameState.WAITING, due.at_stop,
        )  # fmt: skip
        encoded = msgspec.json.encode(msgspec.structs.asdict(header) | {"taken_at": instant_text(taken_at)})
        self._spool.add_frame(frame, encoded, picture.data, self._clock.real_now())
        self._last_trouble = ""
        hold = (
            f", sent in {self._options.hold_ms // SECOND_MS} s unless you discard it" if self._options.hold_ms else ""
        )
        self._terminal.say(f"Frame taken at {self._time(taken_at)}{hold}.")
        if picture.uniform:
            self._terminal.say("That frame is all one colour. If your screen is not, check what may be captured.")

    # What the server says

    def heard(self, message: dict[str, Any]) -> None:
        """Act on what the link passes on."""
        match message.get("t"):
            case "note":
                segment = message.get("segment")
                about = f" on {self._time(segment_start(segment))}" if isinstance(segment, int) else ""
                self._terminal.say(f"✉ Note{about}: {message.get('text', '')}")
            case "watching" if message.get("room") == self._room.id:
                self._watching = int(message.get("count") or 0)
            case "frame_deleted":
                self._deleted(str(message.get("id")))
            case "frame_bad":
                self._terminal.say(f"The server could not read a frame: {message.get('reason', '')}")
            case "refused" if not message.get("temporary"):
                self._terminal.say(f"The server refused a {message.get('what', 'frame')}: {message.get('message', '')}")
                if message.get("what") == "start" and message.get("session") == self.session.id:
                    self._end_here()
            case "stopped" if message.get("session") == self.session.id and message.get("reason") != "silent":
                self._terminal.say(f"The server ended this session ({message.get('reason', '')}).")
                self._end_here()
            case "settings":
                self._spool.remember("settings", msgspec.json.encode(message).decode())
            case "checkpoint":
                self._spool.remember(f"checkpoint {message.get('room', '')}", msgspec.json.encode(message).decode())
            case "link" if message.get("trouble"):
                rest = "Nothing more is sent" if self._link.closed() else "Time and frames are kept and sent later"
                self._terminal.say(f"Offline: {message['trouble']}. {rest}.")
            case "welcome":
                self._watching = 0
                self._say_clock_trouble()
        self.refresh()

    def _say_clock_trouble(self) -> None:
        if abs(self._link.skew_ms) > SKEW_MS_MAX:
            fast = "ahead of" if self._link.skew_ms > 0 else "behind"
            seconds = abs(self._link.skew_ms) // SECOND_MS
            self._terminal.say(
                f"This computer's clock is {seconds} s {fast} the server's. Set it, or frames are marked."
            )

    def _end_here(self) -> None:
        if self.session.phase is not Phase.ENDED:
            self.session.end_at_last_tick()
            self._spool.end(self.session.id, self.session.ticked_to, tell=False)
        self._changed.set()

    def _deleted(self, id: str) -> None:
        frame = self._spool.frame(id)
        if frame is None:
            return
        # A provisional frame that gave way to a later one of its segment costs no time (rule 2.3).
        replaced = frame.at_stop and self._spool.framed_segments(frame.room, frame.segment).get(frame.segment)
        if not replaced:
            self._forfeit(id, "was deleted; its time is off the timesheet")

    def _forfeit(self, id: str, fate: str) -> None:
        frame = self._spool.frame(id)
        if frame is not None:
            self.session.forfeit(frame.segment)
            self._terminal.say(f"The frame of {self._time(frame.taken_at)} {fate}.")

    # What the freelancer says

    def comment(self, text: str, whole_session: bool) -> str:
        """Write a comment for the present segment, or for the session so far."""
        first, last = self.session.segments_so_far()
        message = {
            "t": "comment", "id": str(uuid.uuid4()), "session": self.session.id,
            "from_segment": first if whole_session else last, "to_segment": last, "text": text,
        }  # fmt: skip
        self._spool.enqueue(self.session.id, message)
        self._link.wake()
        return f"Comment written for {'the session so far' if whole_session else 'the present twelve minutes'}."

    def switch(self, on: bool) -> str:
        """Switch Work View."""
        self._apply(self.session.switch(on, self._clock.record_now(), self._jump_ms()))
        self._changed.set()
        return f"Work View is {'on' if self.session.work_view else 'off'}."

    def discard_held(self) -> str:
        """Destroy the frame that is on hold; its segment's time goes with it (rule 2.14)."""
        now = self._clock.record_now()
        held = [frame for frame in self._spool.waiting_frames() if frame.due_at > now]
        if not held:
            return "No frame is on hold."
        frame = held[-1]
        self._spool.drop_frame(frame.id)
        self._forfeit(frame.id, "is destroyed; the time of its twelve minutes is not counted")
        start = max(segment_start(frame.segment), self.session.began_at)
        end = min(segment_end(frame.segment), self.session.ticked_to)
        if start < end:
            self._spool.discard(frame.session, start, end)
        self._count_today()
        self._link.wake()
        return "Discarded."

    def discard_time(self, start: int, end: int) -> None:
        """Take a stretch off the session's time."""
        start, end = max(start, self.session.began_at), min(end, self.session.ticked_to)
        if start < end:
            self._spool.discard(self.session.id, start, end)
            self._count_today()
            self._link.wake()

    # What shows

    def _count_today(self) -> None:
        self._today_ms = today_ms(self._spool, self._clock.record_now(), self._room)

    def _time(self, instant: int) -> str:
        return clock_text(instant, self._room.time_zone)

    def status(self) -> Status:
        """Return what `status` and the status line show."""
        status = stored_status(self._spool, self._clock.record_now(), self._room)
        status.state = {Phase.RUNNING: "tracking", Phase.PAUSED: "paused", Phase.ENDED: "stopped"}[self.session.phase]
        status.server = self._device.server
        status.session, status.since = self.session.id, self.session.began_at
        status.work_view = self.session.work_view
        status.link, status.trouble, status.watching = self._link.state, self._link.trouble, self._watching
        return status

    def refresh(self) -> None:
        """Bring the terminal's status line up to date."""
        if self._terminal.is_live:
            self._terminal.show(status_line(self.status()))
