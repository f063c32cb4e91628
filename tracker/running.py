"""`start`: sets the tracker up around a spool and a link, and hands it signals, typed lines and socket requests.

Rule 1: what can be typed into the terminal can be asked over the control socket, and the other way round.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shlex
import signal
import sys
from contextlib import suppress
from typing import Any

import msgspec

from tracker import __version__
from tracker.agent import Options, Tracker
from tracker.clock import Clock
from tracker.control import listen
from tracker.display import DisplayUnreadable, IdleMeter
from tracker.home import Device, Home
from tracker.idle import IDLE_ASK_MS, IdleWatch
from tracker.link import Link, Message
from tracker.spool import Room, Spool
from tracker.status import clock_text, status_text
from tracker.terminal import Terminal

WELCOME_SECONDS = 2.0  # how long a start waits for news before it uses what it knows
FIRST_WELCOME_SECONDS = 15.0
IDLE_LOOK_SECONDS = 30.0
COMMENT_CHARS_MAX = 500


class CannotStart(Exception):
    """The session cannot begin; the sentence says why."""


class Running:
    """A tracker that runs in the foreground."""

    def __init__(self, home: Home, device: Device, clock: Clock, terminal: Terminal) -> None:
        self._terminal = terminal
        self._clock = clock
        self._home = home
        self._device = device
        self._spool = Spool(home.spool)
        if not clock.is_held:
            clock.pace = self._spool.pace(device.server)
        hello = {"device": device.name, "platform": f"{platform.system()} {platform.machine()}", "version": __version__}
        self._link = Link(device.server, device.token, hello, self._spool, clock, self._heard)
        self._tracker: Tracker | None = None
        self._idle = IdleWatch()

    async def run(self, wanted: str, options: Options) -> None:
        """Track in the workroom `wanted` (its id or title) until stopped.

        Raises:
            CannotStart: if there is no such workroom.
        """
        spool, now = self._spool, self._clock.record_now()
        spool.forget_old(now, self._clock.real_now())
        self.close_unended()
        link = asyncio.create_task(self._link.run())
        try:
            room = await self._room(wanted)
            self._hold_clock()
            self._tracker = Tracker(room, options, self._device, spool, self._clock, self._link, self._terminal)
            await self._track(self._tracker, options)
        finally:
            link.cancel()
            with suppress(asyncio.CancelledError):
                await link
            spool.close()

    def close_unended(self) -> None:
        """End what a crash left open, at its last durable tick (rule 2.4)."""
        for session in self._spool.close_unended():
            last = clock_text(session.ticked_to, "UTC")
            self._terminal.say(f"The last session did not end. It counts until its last tick, {last} UTC.")

    async def send_only(self, seconds: float) -> None:
        """Connect, keep what the server tells, and send what waits, for so long at most."""
        link = asyncio.create_task(self._link.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._link.welcomed.wait()
                await self._link.wait_settled()
        link.cancel()
        with suppress(asyncio.CancelledError):
            await link
        self._spool.close()

    @property
    def welcomed(self) -> bool:
        """Whether the server has answered, and why not if it has not."""
        return self._link.welcomed.is_set()

    @property
    def trouble(self) -> str:
        return self._link.trouble

    @property
    def skew_ms(self) -> int:
        return self._link.skew_ms

    async def _room(self, wanted: str) -> Room:
        knows_clock = self._clock.is_held or self._spool.knows_pace(self._device.server)
        seconds = WELCOME_SECONDS if self._spool.rooms() and knows_clock else FIRST_WELCOME_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._link.closed():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await self._link.welcomed.wait()
                            break
        rooms = self._spool.rooms()
        if not rooms:
            trouble = self._link.trouble or "you are not a freelancer in any"
            raise CannotStart(f"No workroom is known here: {trouble}.")
        return chosen_room(rooms, wanted)

    def _hold_clock(self) -> None:
        """Keep the clock's pace for the session to come, and say so if it is a demo's."""
        if not self._clock.is_held and self._clock.rate() != 1:
            self._terminal.say(f"This is a demo: its clock runs {self._clock.rate()} times faster.")
        self._clock.is_held = True

    async def _track(self, tracker: Tracker, options: Options) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, tracker.stop)
        server = await listen(self._home.socket, self._answer)
        typing = self._terminal.is_live and sys.stdin.isatty()
        if typing:
            loop.add_reader(sys.stdin.fileno(), self._typed)
        idle = asyncio.create_task(self._watch_idle()) if options.drawn is None else None
        try:
            await tracker.run()
        finally:
            if typing:
                loop.remove_reader(sys.stdin.fileno())
            if idle is not None:
                idle.cancel()
            server.close()
            self._home.socket.unlink(missing_ok=True)

    def _heard(self, message: Message) -> None:
        if self._tracker is not None:
            self._tracker.heard(message)

    # What is asked

    def _typed(self) -> None:
        data = os.read(sys.stdin.fileno(), 4096)
        if not data:  # closed: there is nothing more to hear
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            return
        line = data.decode(errors="replace").strip()
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()
        if not words:
            return
        do, rest = words[0], " ".join(words[1:])
        answer = self._do({"do": do.replace("-", "_"), "text": rest, "key": rest or None})
        self._terminal.say(str(answer.get("said", "")))

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._do(request)

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; `said` in the answer is for the person, `ok` says whether it was done."""
        tracker = self._tracker
        if tracker is None:
            return {"ok": False, "said": "The tracker is just starting."}
        text = str(request.get("text") or "").strip()
        match request.get("do"):
            case "status":
                status = tracker.status()
                return {"ok": True, "said": status_text(status), "status": msgspec.to_builtins(status)}
            case "stop":
                tracker.stop()
                return {"ok": True, "said": "Stopping."}
            case "comment":
                if not 1 <= len(text) <= COMMENT_CHARS_MAX:
                    return {"ok": False, "said": f"A comment has 1 to {COMMENT_CHARS_MAX} characters."}
                return {"ok": True, "said": tracker.comment(text, bool(request.get("whole_session")))}
            case "work_view" if text in ("on", "off"):
                return {"ok": True, "said": tracker.switch(text == "on")}
            case "discard":
                return {"ok": True, "said": tracker.discard_held()}
            case "idle" if text in ("keep", "discard"):
                return {"ok": True, "said": self._idle_answered(text == "keep")}
            case "dismiss":
                removed = self._spool.dismiss(request.get("key") or None)
                return {"ok": bool(removed), "said": f"{removed} removed."}
            case _:
                known = "status, stop, comment TEXT, work-view on|off, discard, idle keep|discard, dismiss [KEY]"
                return {"ok": False, "said": f"Understood here: {known}."}

    # Idle time

    async def _watch_idle(self) -> None:
        """Ask about absences for as long as this system tells of them."""
        try:
            meter = IdleMeter()
            while True:
                rate = self._clock.rate()
                now = self._clock.record_now()
                if self._idle.observe(now, meter.idle_ms() * rate) and self._tracker is not None:
                    minutes = IDLE_ASK_MS // 60_000
                    self._terminal.say(
                        f"No keyboard or pointer for {minutes} minutes. The time counts. "
                        "Keep it, or take it off: idle keep, idle discard"
                    )
                await asyncio.sleep(IDLE_LOOK_SECONDS)
        except DisplayUnreadable as error:
            self._terminal.say(f"Whether you are idle cannot be known here: {error}")

    def _idle_answered(self, keep: bool) -> str:
        stretch = self._idle.answer(self._clock.record_now())
        if stretch is None:
            return "No idle time is in question."
        if not keep and self._tracker is not None:
            self._tracker.discard_time(*stretch)
        return "Kept." if keep else "Taken off."


def chosen_room(rooms: list[Room], wanted: str) -> Room:
    """Return the room with this id or title; a part of a title will do if only one has it.

    Raises:
        CannotStart: if none or several fit, naming them.
    """
    exact = [room for room in rooms if wanted in (room.id, room.title)]
    found = exact or [room for room in rooms if wanted.casefold() in room.title.casefold()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{room.title} ({room.id})" for room in (found or rooms))
    problem = "fits several workrooms" if found else "is no workroom of yours"
    raise CannotStart(f"“{wanted}” {problem}: {names}.")
