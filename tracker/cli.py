"""The command line: `pair`, `start`, `stop`, `comment`, `status` and what else a freelancer asks of the tracker.

Rule 1: a session runs in the foreground and shows that it does; there is no hidden mode (rule 2.1).
Rule 2: commands reach a running tracker over its socket; when none runs, those that can work on the spool do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import uuid
from typing import Any

from app.domain.timerange import SECOND_MS, segment_of
from tracker.clock import Clock, ClockUnreadable, clock_from_environment
from tracker.control import NothingRuns, ask
from tracker.home import AlreadyRunning, Device, Home, NotPaired
from tracker.pairing import PairingFailed, checked_server, pair

FAILED = 1
SEND_SECONDS = 600.0  # a week offline over a slow line; what is left is sent another time
PAIR_SECONDS = 3.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tracker", description="Track time in a workroom.")
    parser.add_argument("--home", metavar="DIR", help="folder of this device's token and queue")
    commands = parser.add_subparsers(dest="command", required=True)

    add = commands.add_parser("pair", help="connect this computer with your account")
    add.add_argument("server", help="address of the server, like https://workroom.example.org")
    add.add_argument("--token", help="a device token that the server's operator made")
    add.add_argument("--name", default=platform.node() or "computer", help="what to call this device")

    add = commands.add_parser("start", help="track time until Ctrl-C")
    add.add_argument("room", help="the workroom's title, a part of it, or its id")
    add.add_argument("--comment", default="", metavar="TEXT", help="what you are going to do")
    add.add_argument("--no-work-view", action="store_true", help="report time, but take no frames")
    add.add_argument("--hold", type=int, default=30, metavar="SECONDS",
                     help="how long a frame waits here, where you can discard it (0 to 300; 30)")  # fmt: skip
    add.add_argument("--screen", type=int, default=1, metavar="N", help="which screen; 0 is all of them (1)")
    add.add_argument("--blur", type=int, default=0, choices=range(4), help="0 none to 3 strong (0)")
    add.add_argument("--drawn", metavar="NAME", help="draw screens of a made-up person instead (for demonstrations)")

    commands.add_parser("stop", help="end the session")
    add = commands.add_parser("comment", help="say what you are doing")
    add.add_argument("text")
    add.add_argument("--session", action="store_true", help="for the whole session so far, not the present 12 minutes")
    add = commands.add_parser("work-view", help="switch Work View while tracking")
    add.add_argument("text", choices=["on", "off"])
    commands.add_parser("discard", help="destroy the frame that is on hold, with its twelve minutes")
    add = commands.add_parser("idle", help="answer the question about idle time")
    add.add_argument("text", choices=["keep", "discard"])
    commands.add_parser("status", help="what the tracker does, and what waits or was refused")
    add = commands.add_parser("dismiss", help="remove what the server refused")
    add.add_argument("key", nargs="?", help="as `status` lists it")
    add.add_argument("--all", action="store_true", help="everything that was refused")
    add = commands.add_parser("check", help="try everything: server, clock, display, idle time")
    add.add_argument("--screen", type=int, default=1, metavar="N", help="which screen; 0 is all of them (1)")
    commands.add_parser("send", help="send what waits here, without tracking")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    from tracker.running import CannotStart

    os.umask(0o077)
    given = _parser().parse_args(arguments)
    home = Home.chosen(given.home)
    try:
        match given.command:
            case "pair":
                return _pair(home, given)
            case "start":
                return _start(home, given)
            case "send":
                return _send(home, clock_from_environment(), SEND_SECONDS)
            case "check":
                return _check(home, given)
            case _:
                return _ask(home, given)
    except (NotPaired, AlreadyRunning, NothingRuns, PairingFailed, ClockUnreadable, CannotStart) as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130


def _pair(home: Home, given: argparse.Namespace) -> int:
    server = checked_server(given.server)
    home.lock()
    token = given.token or pair(server, given.name, print)
    home.store_device(Device(server, token, given.name))
    print(f"This device is paired with {server}.")
    _send(home, clock_from_environment(), PAIR_SECONDS)
    return 0


def _start(home: Home, given: argparse.Namespace) -> int:
    from tracker.agent import HOLD_MS_MAX, Options
    from tracker.capture import drawn_from_environment
    from tracker.running import Running
    from tracker.terminal import Terminal

    hold_ms = given.hold * SECOND_MS
    if not 0 <= hold_ms <= HOLD_MS_MAX:
        print("--hold takes 0 to 300 seconds.", file=sys.stderr)
        return FAILED
    drawn = given.drawn or drawn_from_environment()
    options = Options(given.comment, not given.no_work_view, hold_ms, given.screen, given.blur, drawn)
    clock, device = clock_from_environment(), home.device()
    if not home.lock_is_held:
        home.lock()
    asyncio.run(Running(home, device, clock, Terminal()).run(given.room, options))
    return 0


def _send(home: Home, clock: Clock, seconds: float) -> int:
    """Connect once: learn the workrooms, send what waits."""
    from tracker.running import Running
    from tracker.terminal import Terminal

    device = home.device()
    if not home.lock_is_held:
        home.lock()

    async def send() -> Running:
        running = Running(home, device, clock, Terminal())
        running.close_unended()
        await running.send_only(seconds)
        return running

    running = asyncio.run(send())
    if not running.welcomed:
        print(f"The server cannot be reached now: {running.trouble or 'no answer'}.")
        return FAILED
    return 0


def _check(home: Home, given: argparse.Namespace) -> int:
    """Say what works and what does not, and how to mend it (rule 3.1)."""
    from tracker.selftest import report

    device = home.device()
    if not home.lock_is_held:
        home.lock()
    return report(home, device, clock_from_environment(), given.screen, print)


def _ask(home: Home, given: argparse.Namespace) -> int:
    if given.command == "dismiss" and not given.key and not given.all:
        print("Say which: a KEY that `status` lists, or --all.", file=sys.stderr)
        return FAILED
    request = {
        "do": given.command.replace("-", "_"),
        "text": getattr(given, "text", None),
        "whole_session": getattr(given, "session", False),
        "key": getattr(given, "key", None),
    }
    try:
        answer = ask(home.socket, request)
    except NothingRuns:
        answer = _without_tracker(home, request)
    print(answer["said"])
    return 0 if answer["ok"] else FAILED


def _without_tracker(home: Home, request: dict[str, Any]) -> dict[str, Any]:
    """Answer from the spool.

    Raises:
        NothingRuns: for what only a running tracker can do.
    """
    from tracker.spool import Spool
    from tracker.status import status_text, stored_status

    if request["do"] not in ("status", "comment", "dismiss", "stop"):
        raise NothingRuns
    device, clock = home.device(), clock_from_environment()
    home.lock()
    spool = Spool(home.spool)
    if not clock.is_held:
        clock.pace = spool.pace(device.server)
    try:
        last = spool.last_session()
        match request["do"]:
            case "status":
                room = next((room for room in spool.rooms() if last and room.id == last.room), None)
                status = stored_status(spool, clock.record_now(), room)
                status.server = device.server
                return {"ok": True, "said": status_text(status)}
            case "dismiss":
                removed = spool.dismiss(request["key"])
                return {"ok": bool(removed), "said": f"{removed} removed."}
            case "comment" if last is not None and request["text"]:
                first, to = segment_of(last.began_at), segment_of(max(last.began_at, last.ticked_to - 1))
                message = {"t": "comment", "id": str(uuid.uuid4()), "session": last.id, "text": request["text"],
                           "from_segment": first if request["whole_session"] else to, "to_segment": to}  # fmt: skip
                spool.enqueue(last.id, message)
                return {"ok": True, "said": "Comment stored for the last session; it is sent at the next start."}
        if request["do"] == "stop" and spool.close_unended():
            return {"ok": True, "said": "The session that a crash left open is ended at its last tick."}
        raise NothingRuns
    finally:
        spool.close()
