"""`check`: tries what a session needs, one thing after the other, and says how to mend what does not work (rule 3.1).

Rule 1: nothing that is captured here is stored or sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.domain.timerange import SECOND_MS
from tracker.agent import SKEW_MS_MAX
from tracker.capture import CaptureFailed, Request, drawn_from_environment, take
from tracker.clock import Clock
from tracker.display import DisplayUnreadable, IdleMeter
from tracker.home import Device, Home
from tracker.running import Running
from tracker.terminal import Terminal

CONNECT_SECONDS = 4.0


def report(home: Home, device: Device, clock: Clock, screen: int, say: Callable[[str], None]) -> int:
    """Say a line for each thing tried; return 0 if time and frames can be sent, else 1."""
    fine = [
        _server(home, device, clock, say),
        _display(screen, clock, say),
        _idle(say),
    ]
    return 0 if all(fine) else 1


def _server(home: Home, device: Device, clock: Clock, say: Callable[[str], None]) -> bool:
    async def connect() -> Running:
        running = Running(home, device, clock, Terminal())
        await running.send_only(CONNECT_SECONDS)
        return running

    running = asyncio.run(connect())
    if not running.welcomed:
        say(f"Server   ✗ {device.server}: {running.trouble or 'no answer'}.")
        return False
    say(f"Server   ✓ {device.server}")
    seconds = abs(running.skew_ms) // SECOND_MS
    if abs(running.skew_ms) > SKEW_MS_MAX:
        say(f"Clock    ✗ {seconds} s off the server's. Switch on network time (timedatectl set-ntp true).")
        return False
    say(f"Clock    ✓ within {seconds + 1} s of the server's")
    return True


def _display(screen: int, clock: Clock, say: Callable[[str], None]) -> bool:
    try:
        picture = asyncio.run(take(Request(screen, drawn=drawn_from_environment(), at=clock.record_now())))
    except CaptureFailed as error:
        say(f"Display  ✗ {error}")
        return False
    if picture.uniform:
        say("Display  ✗ The picture is all one colour. Is the screen off, or may this program not capture it?")
        return False
    say(f"Display  ✓ {picture.width} by {picture.height}, {len(picture.data) // 1024 + 1} KiB as a frame")
    return True


def _idle(say: Callable[[str], None]) -> bool:
    """Idle time that cannot be known keeps nobody from working, so this never fails."""
    try:
        IdleMeter().idle_ms()
        say("Idle     ✓ this display tells how long keyboard and pointer were still")
    except DisplayUnreadable as error:
        say(f"Idle     – cannot be known here: {error}")
    return True
