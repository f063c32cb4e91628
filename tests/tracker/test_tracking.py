"""Real tracker processes on a virtual display, against the fake server: sessions, commands, crashes, days offline."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import sys
from io import BytesIO

from PIL import Image

from app.domain import wire
from app.domain.timerange import DAY_MS, instant_of, instant_text, segment_of, total_ms
from app.domain.workview import frame_mark
from tests.tracker.conftest import ROOT, TrackerProcess
from tests.tracker.fake_server import ROOM, SEED, FakeServer, now_ms, until
from tracker.spool import Spool

TITLE = "Harbour booking site"


def ticks_of(server: FakeServer) -> list[wire.AgentTick]:
    return server.of(wire.AgentTick)


def stretches(server: FakeServer) -> list[tuple[int, int]]:
    return [(instant_of(tick.start), instant_of(tick.end)) for tick in ticks_of(server)]


async def test_a_session_sends_ticks_and_a_frame_at_its_moment(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    running = await tracker.begin("start", "harbour", "--comment", "The calendar")
    await until(lambda: server.frames, 20)
    said = await tracker.end(running)
    assert running.returncode == 0
    assert "Tracking in Harbour booking site. Work View is on" in said
    assert "Stopped at" in said
    (start,) = server.of(wire.AgentStart)
    (stop,) = server.of(wire.AgentStop)
    assert (start.room, start.comment, start.work_view) == (ROOM, "The calendar", True)
    listed = stretches(server)
    assert listed[0][0] == instant_of(start.at)
    assert listed[-1][1] == instant_of(stop.at)
    assert total_ms(listed) == sum(b - a for a, b in listed) == listed[-1][1] - listed[0][0]
    for header, picture in server.frames.values():
        taken_at = instant_of(header.taken_at)
        mark = frame_mark(SEED, header.segment, taken_at, [instant_of(start.at)], header.at_stop)
        assert mark is None
        assert Image.open(BytesIO(picture)).size == (header.width, header.height) == (1280, 800)
    assert {header.segment for header, _ in server.frames.values()} == {
        segment_of(at) for at in range(listed[0][0], listed[-1][1], 1000)
    }


async def test_a_tracker_paired_with_a_demo_counts_by_the_demos_clock(tracker: TrackerProcess, server: FakeServer):
    tracker.without_clock_file()
    await tracker.pair()
    before = server.record_now()
    running = await tracker.begin("start", TITLE, "--no-work-view")
    await until(lambda: len(ticks_of(server)) >= 3)
    await server.send(server.welcome() | {"server_time": instant_text(before - DAY_MS)})  # too late for this session
    heard = len(ticks_of(server))
    await until(lambda: len(ticks_of(server)) >= heard + 3)
    said = await tracker.end(running)
    assert "This is a demo: its clock runs 120 times faster." in said
    assert "The clock jumped" not in said
    listed = stretches(server)
    assert before <= listed[0][0] < listed[-1][1] <= server.record_now() < now_ms() - DAY_MS
    assert total_ms(listed) == listed[-1][1] - listed[0][0]


async def test_a_session_in_a_demo_can_start_offline(tracker: TrackerProcess, server: FakeServer):
    tracker.without_clock_file()
    await tracker.pair()
    await server.stop()
    before = server.record_now()
    running = await tracker.begin("start", TITLE, "--no-work-view")
    await until((tracker.home / "control.sock").exists)
    said = await tracker.end(running)
    assert "This is a demo" in said
    await server.start()
    await tracker.run("send")
    listed = stretches(server)
    assert before <= listed[0][0] < listed[-1][1] <= server.record_now()


async def test_a_running_tracker_is_asked_and_told_through_its_socket(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    running = await tracker.begin("start", TITLE, "--no-work-view")
    await until(lambda: server.of(wire.AgentStart))
    assert "State:      tracking" in await tracker.run("status")
    assert "runs already" in await tracker.run("start", TITLE, status=1)
    await tracker.run("comment", "Fixed the tide table")
    (comment,) = await until(lambda: server.of(wire.AgentComment))
    assert comment.text == "Fixed the tide table"
    await tracker.run("work-view", "on")
    (switched,) = await until(lambda: server.of(wire.AgentWorkView))
    assert switched.on
    await server.send({"t": "note", "room": ROOM, "ref": 4, "text": "Lovely map!", "by": "p1"})
    await server.send({"t": "watching", "room": ROOM, "count": 2})
    await until(lambda: server.of(wire.AgentTick))
    assert "Watching:   2" in await tracker.run("status")
    await tracker.run("stop")
    out, _ = await asyncio.wait_for(running.communicate(), 20)
    assert "Lovely map!" in out.decode()
    assert server.of(wire.AgentStop)
    assert "State:      stopped" in await tracker.run("status")
    assert "No tracker is running" in await tracker.run("work-view", "off", status=1)


async def test_a_frame_on_hold_can_be_discarded_with_its_time(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    running = await tracker.begin("start", TITLE, "--hold", "300")
    assert running.stdout is not None
    while b"Frame taken" not in await asyncio.wait_for(running.stdout.readline(), 20):
        pass
    assert "Discarded." in await tracker.run("discard")
    (discarded,) = await until(lambda: server.of(wire.AgentDiscard))
    segment = segment_of(instant_of(discarded.start))
    await until(lambda: any(segment_of(start) > segment for start, _ in stretches(server)), 20)
    await tracker.end(running)
    assert segment not in {header.segment for header, _ in server.frames.values()}
    late = [start for start, _ in stretches(server) if segment_of(start) == segment]
    assert all(start < instant_of(discarded.end) for start in late)


async def test_kill_9_loses_nothing_and_sends_nothing_twice(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    running = await tracker.begin("start", TITLE, "--hold", "0")
    await until(lambda: len(ticks_of(server)) >= 3, 20)
    # From here on the server hears everything and acknowledges nothing: it all stays in the spool.
    server.acknowledges = False
    known = len(server.controls)
    await asyncio.wait_for(_said(running, "Frame taken"), 20)
    running.kill()
    await running.wait()
    await server.close_all(1012)
    spool = Spool(tracker.home / "spool.sqlite")
    queued, frames = spool.queued_messages(), len(spool.waiting_frames())
    spool.close()
    assert queued + frames > 0

    server.acknowledges = True
    again = await tracker.begin("start", TITLE, "--no-work-view")
    await until(lambda: len(server.of(wire.AgentStart)) == 2, 20)
    await until(lambda: len(server.frames) >= frames, 20)
    said = await tracker.end(again)
    assert "did not end" in said
    assert server.order == sorted(server.order) == list(range(1, len(server.order) + 1))
    assert len(server.controls) >= known + queued
    assert server.repeats <= 1  # an acknowledgement may have been on its way when the process died
    first, last = server.of(wire.AgentStart)[0], server.of(wire.AgentStop)[0]
    assert first.session == last.session
    mine = [tick for tick in ticks_of(server) if tick.session == first.session]
    assert last.at == mine[-1].end
    listed = stretches(server)
    assert total_ms(listed) == sum(b - a for a, b in listed)


async def _said(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdout is not None
    while text not in (await process.stdout.readline()).decode():
        pass


async def test_a_session_can_begin_and_end_offline_and_arrives_whole_later(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    await server.stop()
    running = await tracker.begin("start", TITLE)
    await asyncio.wait_for(_said(running, "Frame taken"), 20)
    said = await tracker.end(running, signal.SIGTERM)
    assert "is sent at the next start" in said
    assert re.search(r"Waiting: .*queued", await tracker.run("status"))
    await server.start()
    await tracker.run("send")
    assert len(server.of(wire.AgentStart)) == len(server.of(wire.AgentStop)) == 1
    assert server.frames
    assert "nothing queued" in await tracker.run("status")


async def test_what_the_server_refuses_is_listed_and_can_be_dismissed(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()

    def refuse(message: object) -> dict[str, object] | None:
        if isinstance(message, wire.FrameHeader):
            return {"code": "segment_taken", "message": "This segment has its frame already.", "temporary": False}
        return None

    server.refuse = refuse
    running = await tracker.begin("start", TITLE)
    await asyncio.wait_for(_said(running, "refused"), 30)
    await tracker.end(running)
    status = await tracker.run("status")
    key = re.search(r"Refused: +frame (\S+) \(segment_taken\)", status)
    assert key is not None
    await tracker.run("dismiss", key.group(1))
    assert key.group(1) not in await tracker.run("status")


async def test_a_start_that_is_refused_ends_the_session_and_says_why(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()

    def refuse(message: object) -> dict[str, object] | None:
        return {"code": "room_closed", "message": "This workroom is closed.", "temporary": False}

    server.refuse = refuse
    running = await tracker.begin("start", TITLE)
    out, _ = await asyncio.wait_for(running.communicate(), 20)
    assert "This workroom is closed." in out.decode()


async def test_a_session_that_was_started_elsewhere_stops_here(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    running = await tracker.begin("start", TITLE, "--no-work-view")
    (start,) = await until(lambda: server.of(wire.AgentStart))
    await server.send({"t": "stopped", "session": start.session, "reason": "elsewhere"})
    out, _ = await asyncio.wait_for(running.communicate(), 20)
    assert "elsewhere" in out.decode()
    assert server.of(wire.AgentStop) == []


async def test_wrong_use_is_answered_with_a_sentence(tracker: TrackerProcess):
    assert "not paired" in await tracker.run("start", TITLE, status=1)
    await tracker.pair()
    assert "no workroom of yours" in await tracker.run("start", "Nowhere", status=1)
    assert "0 to 300" in await tracker.run("start", TITLE, "--hold", "301", status=1)
    assert "No tracker is running" in await tracker.run("stop", status=1)
    assert (tracker.home.stat().st_mode & 0o777) == 0o700
    assert ((tracker.home / "device.json").stat().st_mode & 0o777) == 0o600


async def test_check_names_what_works_and_what_does_not(tracker: TrackerProcess, server: FakeServer):
    await tracker.pair()
    said = await tracker.run("check")
    assert "Server   ✓" in said
    assert "Clock    ✗" not in said
    assert "Display  ✓ 1280 by 800" in said
    assert "Idle     ✓" in said
    tracker.environment.pop("DISPLAY")
    await server.stop()
    said = await tracker.run("check", status=1)
    assert "Server   ✗" in said
    assert "DISPLAY is not set" in said
    await server.start()


async def test_on_a_terminal_there_is_a_status_line_and_commands_can_be_typed(
    tracker: TrackerProcess, server: FakeServer
):
    await tracker.pair()
    ours, theirs = pty.openpty()
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracker", "start", TITLE, cwd=ROOT, env=tracker.environment,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    tracker.running.append(running)
    os.close(theirs)
    seen = bytearray()
    asyncio.get_running_loop().add_reader(ours, lambda: seen.extend(_read(ours)))
    try:
        await until(lambda: "● tracking · Harbour booking site · Work View on" in seen.decode(errors="replace"), 20)
        os.write(ours, b"comment The tide table is right now\n")
        (comment,) = await until(lambda: server.of(wire.AgentComment))
        assert comment.text == "The tide table is right now"
        os.write(ours, b"what\n")
        await until(lambda: "Understood here" in seen.decode(errors="replace"))
        os.write(ours, b"stop\n")
        assert await asyncio.wait_for(running.wait(), 20) == 0
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""
