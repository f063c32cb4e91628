"""The spool: nothing is lost, nothing is numbered twice, and what was refused stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.domain import wire
from app.domain.timerange import DAY_MS, segment_start
from tracker.spool import Frame, FrameState, Room, Spool

SEGMENT = 2_490_000
START = segment_start(SEGMENT)
ROOM = "0123456789abcdefghjkmnpqrs"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.sqlite")
    yield opened
    opened.close()


def a_frame(id: str, segment: int = SEGMENT, at_stop: bool = False, due_at: int = 0) -> Frame:
    return Frame(id, "s", ROOM, segment, segment_start(segment) + 1, due_at, FrameState.WAITING, at_stop)


def test_messages_are_what_the_server_decodes_and_keep_their_order(spool: Spool):
    spool.begin("s", ROOM, START, "calendar", work_view=True)
    spool.tick("s", START, START + 60_000, True, [SEGMENT])
    spool.discard("s", START, START + 10)
    spool.end("s", START + 60_000)
    decoded = [wire.decode_agent_message(payload) for _, _, payload in spool.messages_after(0, 10)]
    kinds = [wire.AgentStart, wire.AgentTick, wire.AgentDiscard, wire.AgentStop]
    assert [type(message) for message in decoded] == kinds
    assert [message.n for message in decoded] == [1, 2, 3, 4]


def test_a_number_is_never_used_twice_even_after_everything_was_acknowledged(tmp_path: Path):
    first = Spool(tmp_path / "spool.sqlite")
    first.enqueue("s", {"t": "stop"})
    first.acknowledge([1])
    first.close()
    again = Spool(tmp_path / "spool.sqlite")
    assert again.enqueue("s", {"t": "stop"}) == 2
    again.close()


def test_a_session_that_did_not_end_is_closed_at_its_last_tick(spool: Spool):
    spool.begin("s", ROOM, START, "", work_view=True)
    spool.tick("s", START, START + 60_000, True, [])
    assert [session.id for session in spool.close_unended()] == ["s"]
    assert spool.close_unended() == []
    stop = wire.decode_agent_message(spool.messages_after(2, 1)[0][2])
    assert isinstance(stop, wire.AgentStop)
    assert stop.at.timestamp() * 1000 == START + 60_000


def test_contiguous_ticks_become_one_stretch_and_todays_time_leaves_out_what_was_discarded(spool: Spool):
    spool.begin("s", ROOM, START, "", work_view=True)
    for minute in range(5):
        spool.tick("s", START + minute * 60_000, START + (minute + 1) * 60_000, True, [])
    spool.discard("s", START + 60_000, START + 120_000)
    assert spool.time_between(START, START + DAY_MS) == 4 * 60_000
    assert spool.time_between(START, START + 90_000) == 60_000
    assert spool.time_between(START, START + DAY_MS, "another room") == 0


def test_a_frame_stays_until_it_is_confirmed(spool: Spool):
    spool.add_frame(a_frame("f"), b"{}", b"picture", 0)
    assert spool.frame_message("f") == b"\x00\x00\x00\x02{}picture"
    spool.frame_stored("f")
    assert spool.waiting_frames() == []
    assert spool.frame_message("f") is not None
    spool.frame_confirmed("f")
    assert spool.frame_message("f") is None
    assert spool.framed_segments(ROOM, SEGMENT) == {SEGMENT: True}


def test_a_provisional_frame_that_was_not_sent_gives_way_to_the_later_one(spool: Spool):
    spool.add_frame(a_frame("early", at_stop=True), b"{}", b"1", 0)
    assert spool.framed_segments(ROOM, SEGMENT) == {SEGMENT: False}
    spool.add_frame(a_frame("late"), b"{}", b"2", 0)
    assert [frame.id for frame in spool.waiting_frames()] == ["late"]
    assert spool.frame_message("early") is None


def test_a_refused_frame_stays_with_its_reason_until_dismissed(spool: Spool):
    spool.add_frame(a_frame("f"), b"{}", b"picture", 0)
    spool.refuse_frame("f", "segment_taken", "This segment has its frame already.", 5)
    assert [(r.key, r.code) for r in spool.refusals()] == [("f", "segment_taken")]
    assert spool.frame_message("f") is not None
    assert spool.dismiss("f") == 1
    assert spool.frame_message("f") is None
    assert spool.dismiss("f") == 0


def test_a_refused_message_moves_to_the_refusals(spool: Spool):
    spool.begin("s", ROOM, START, "", work_view=True)
    assert spool.refuse_message(1, "room_closed", "closed", 5) == ("s", "start")
    assert spool.queued_messages() == 0
    assert [r.what for r in spool.refusals()] == ["start"]


def test_refusals_are_kept_for_30_days_and_unsent_frames_for_ever(spool: Spool):
    spool.add_frame(a_frame("refused"), b"{}", b"1", 0)
    spool.add_frame(a_frame("waiting", SEGMENT + 1), b"{}", b"2", 0)
    spool.refuse_frame("refused", "bad_image", "", 0)
    spool.forget_old(START, 29 * DAY_MS)
    assert len(spool.refusals()) == 1
    spool.forget_old(START, 31 * DAY_MS)
    assert spool.refusals() == []
    assert spool.frame("refused") is None
    assert spool.frame("waiting") is not None


def test_seeds_of_the_server_are_kept_and_a_missing_one_is_made_once(spool: Spool):
    spool.store_welcome([Room(ROOM, "Site")], {ROOM: {"2026-11-22": bytes(32)}}, START)
    assert spool.seed(ROOM, "2026-11-22") == bytes(32)
    own = spool.seed(ROOM, "2026-12-30")
    assert own == spool.seed(ROOM, "2026-12-30") != bytes(32)
    assert not spool.has_server_seed(ROOM, SEGMENT)


def test_a_message_that_follows_an_unacknowledged_start_is_known_as_such(spool: Spool):
    spool.begin("s", ROOM, START, "", work_view=True)
    spool.tick("s", START, START + 1, True, [])
    spool.add_frame(a_frame("f"), b"{}", b"1", 0)
    assert spool.start_is_queued_for(2)
    assert spool.start_is_queued_for("f")
    assert not spool.start_is_queued_for(1)
    spool.acknowledge_start("s")
    assert not spool.start_is_queued_for(2)


def test_the_file_is_its_users_alone(spool: Spool, tmp_path: Path):
    assert (tmp_path / "spool.sqlite").stat().st_mode & 0o777 == 0o600


def test_the_number_is_part_of_what_is_sent(spool: Spool):
    spool.enqueue("s", {"t": "work_view", "session": "s", "on": True, "at": "2026-11-22T00:00:00.000Z"})
    assert msgspec.json.decode(spool.messages_after(0, 1)[0][2])["n"] == 1
