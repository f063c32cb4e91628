"""Frames on their way into the record and out of it, on both databases."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from app.domain.errors import (
    BadImage,
    ClockSkew,
    Conflict,
    DigestMismatch,
    NotFound,
    OutsideSegment,
    OutsideSession,
    SegmentDeleted,
    SegmentTaken,
    UnknownSession,
    WorkroomError,
)
from app.domain.live import AccountEvent, Appended, Cell, CellChanged, CellState, FrameDecoded, FrameErased
from app.domain.record import base64url
from app.domain.timerange import SEGMENT_MS, day_of_segment, instant_text, segment_of, segment_start
from app.domain.workview import moment_of
from app.services import frames, intake, record, tracking, workview
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.frames import FrameRow, select_frame
from tests.builders import Pair, build_account, build_pair
from tests.published import Published
from tests.work import MINUTE, Shift, header, picture


@pytest.fixture
async def pair(resources: Resources, clock: ManualClock) -> Pair:
    clock.now = segment_start(segment_of(clock.now))
    return await build_pair(resources)


@pytest.fixture
async def shift(resources: Resources, pair: Pair, clock: ManualClock) -> Shift:
    """Five minutes of documented work from the beginning of a segment."""
    begun = await Shift(resources, pair.freelancer, pair.room, clock).start()
    await begun.work(5 * MINUTE)
    return begun


async def cell_of(resources: Resources, pair: Pair, at: int) -> Cell:
    (cell,) = await workview.cells(resources, pair.room, {"p2": [segment_of(at)]})
    return cell


async def row_of(resources: Resources, frame: str) -> FrameRow:
    async with resources.database.read() as conn:
        row = await select_frame(conn, frame)
    assert row is not None
    return row


async def test_a_frame_is_durable_entered_and_queued_before_it_is_acknowledged(
    resources: Resources, pair: Pair, shift: Shift, published: Published
) -> None:
    data = picture()
    stored = await shift.frame(data=data)
    assert resources.blobs.frame_path(stored.frame).read_bytes() == data
    (entry,) = published.entries("frame.taken")
    assert entry.body is not None and entry.seq == stored.seq
    assert (entry.body["bytes"], entry.body["taken_at"], entry.body["mark"]) == (
        len(data), instant_text(shift.at), "no_seed",
    )  # fmt: skip
    assert published.jobs == [("make_thumbnail", stored.frame)]
    (cells,) = [event.cells for event in published.of(Appended) if event.entry is entry]
    (cell,) = cells
    assert (cell.state, cell.frame_seq, cell.documented_ms) == (CellState.STORED, stored.seq, 5 * MINUTE)


async def test_the_same_frame_again_is_acknowledged_again_and_written_once(
    resources: Resources, shift: Shift, published: Published
) -> None:
    id, data = str(uuid.uuid4()), picture()
    first = await shift.frame(data=data, id=id)
    assert await shift.frame(data=data, id=id) == first
    with pytest.raises(Conflict):
        await shift.frame(data=picture(2), id=id)
    assert resources.blobs.frame_path(id).read_bytes() == data
    assert len(published.entries("frame.taken")) == 1


async def test_the_same_frame_twice_at_once_is_written_once(
    resources: Resources, shift: Shift, published: Published
) -> None:
    id, data = str(uuid.uuid4()), picture()
    answers = await asyncio.gather(*(shift.frame(data=data, id=id) for _ in range(4)), return_exceptions=True)
    assert any(not isinstance(answer, BaseException) for answer in answers)
    assert all(answer.temporary for answer in answers if isinstance(answer, WorkroomError))
    assert len(published.entries("frame.taken")) == 1
    assert resources.blobs.frame_path(id).exists()


async def test_what_is_wrong_about_a_frame_is_refused_and_leaves_nothing(
    resources: Resources, pair: Pair, shift: Shift, clock: ManualClock, published: Published
) -> None:
    wrong: list[tuple[type[WorkroomError], dict[str, object]]] = [
        (BadImage, {"data": b"no picture"}),
        (BadImage, {"width": 161}),
        (BadImage, {"media": "image/png"}),
        (DigestMismatch, {"sha256": base64url(bytes(32))}),
        (OutsideSegment, {"segment": segment_of(shift.at) + 1}),
        (OutsideSession, {"taken_at": shift.at - 6 * MINUTE}),
        (ClockSkew, {"taken_at": clock.now + 3 * MINUTE}),
        (UnknownSession, {"session": str(uuid.uuid4())}),
    ]
    for error, changes in wrong:
        with pytest.raises(error):
            await shift.frame(**changes)  # type: ignore[arg-type]
    stranger = await build_account(resources, "Max Stranger")
    with pytest.raises(UnknownSession):
        await intake.take_frame(resources, stranger, header(shift.id, shift.at, picture()), picture())
    assert published.entries("frame.taken") == []
    assert [frame async for frame in resources.blobs.orphans(-1)] == []


async def test_a_segment_has_one_frame(resources: Resources, shift: Shift, published: Published) -> None:
    await shift.frame()
    with pytest.raises(SegmentTaken):
        await shift.frame(taken_at=shift.at - MINUTE, data=picture(2))
    assert len([frame async for frame in resources.blobs.orphans(-1)]) == 1
    assert len(published.entries("frame.taken")) == 1


async def test_a_provisional_frame_gives_way_to_a_later_stretch(
    resources: Resources, pair: Pair, shift: Shift, published: Published
) -> None:
    provisional = await shift.frame(at_stop=True)
    await shift.work(4 * MINUTE)
    final = await shift.frame(data=picture(2))
    (replaced,) = published.entries("frame.replaced")
    assert replaced.ref == provisional.seq and replaced.body is not None
    assert replaced.body["replacement"] == final.seq
    assert [event.frame for event in published.of(FrameErased)] == [provisional.frame]
    erased = await record.entry(resources, pair.client, pair.room, provisional.seq)
    assert (erased.body, erased.erased) == (None, replaced.seq)
    cell = await cell_of(resources, pair, shift.at - 1)
    assert (cell.frame_seq, cell.documented_ms) == (final.seq, 9 * MINUTE)  # no time is lost
    assert ("erase_blobs", provisional.frame) in published.jobs
    assert await frames.erase_due_blobs(resources) == 1
    assert await frames.erase_due_blobs(resources) == 0
    assert not resources.blobs.frame_path(provisional.frame).exists()
    assert resources.blobs.frame_path(final.frame).exists()


async def test_a_frame_at_its_moment_is_not_marked_and_one_off_it_is(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    seeds = (await tracking.hello(resources, pair.freelancer)).seeds[pair.room]
    shift = await Shift(resources, pair.freelancer, pair.room, clock).start()
    for off_ms in (0, 60_000):
        segment = segment_of(shift.at)
        moment = moment_of(seeds[day_of_segment(segment)], segment)
        await shift.work(SEGMENT_MS)
        taken_at = moment + off_ms if segment_of(moment + off_ms) == segment else moment - off_ms
        await shift.frame(taken_at=taken_at)
    assert [entry.body.get("mark") for entry in published.entries("frame.taken") if entry.body] == [None, "off_moment"]


async def test_a_moment_counts_from_where_documented_time_began(
    resources: Resources, pair: Pair, clock: ManualClock, published: Published
) -> None:
    seeds = (await tracking.hello(resources, pair.freelancer)).seeds[pair.room]
    segment = segment_of(clock.now)
    shift = Shift(resources, pair.freelancer, pair.room, clock)
    await shift.start(work_view=False)
    await shift.work(3 * MINUTE, documented=False)
    await tracking.work_view(resources, pair.freelancer, shift.id, True, shift.at)
    began = shift.at
    clock.now += SEGMENT_MS
    await shift.frame(
        taken_at=moment_of(seeds[day_of_segment(segment)], segment, began)
    )  # before the tick that covers it
    (entry,) = published.entries("frame.taken")
    assert entry.body is not None and "mark" not in entry.body


async def test_a_decoded_frame_is_ready_once(
    resources: Resources, pair: Pair, shift: Shift, clock: ManualClock, published: Published
) -> None:
    stored = await shift.frame()
    assert await frames.undecoded(resources, 0) == [stored.frame]
    assert await frames.undecoded(resources, 10_000) == []
    for _ in range(2):
        await frames.frame_ready(resources, stored.frame)
    assert await frames.undecoded(resources, 0) == []
    (decoded,) = published.of(FrameDecoded)
    assert (decoded.account, decoded.ok) == (pair.freelancer.account, True)
    assert published.of(CellChanged)[-1].cell.state is CellState.READY


async def test_an_unreadable_frame_leaves_its_segment_without_one(
    resources: Resources, pair: Pair, shift: Shift, published: Published
) -> None:
    stored = await shift.frame()
    for _ in range(2):
        await frames.frame_unreadable(resources, stored.frame, "not a picture")
    (entry,) = published.entries("frame.unreadable")
    assert entry.ref == stored.seq
    assert [event.ok for event in published.of(FrameDecoded)] == [False]
    assert (await cell_of(resources, pair, shift.at)).state is CellState.UNREADABLE
    again = await shift.frame(data=picture(3))
    assert (await cell_of(resources, pair, shift.at)).frame_seq == again.seq


async def test_a_deleted_frame_takes_its_segments_time_with_it_and_leaves_a_tombstone(
    resources: Resources, pair: Pair, shift: Shift, published: Published
) -> None:
    stored = await shift.frame()
    for _ in range(2):
        await frames.delete(resources, pair.freelancer, stored.frame)
    (tombstone,) = published.entries("frame.deleted")
    assert (tombstone.ref, tombstone.by) == (stored.seq, "p2")
    erased = await record.entry(resources, pair.client, pair.room, stored.seq)
    assert (erased.body, erased.erased) == (None, tombstone.seq)
    cell = await cell_of(resources, pair, shift.at)
    assert (cell.state, cell.documented_ms, cell.frame_id) == (CellState.DELETED, 0, None)
    with pytest.raises(NotFound):
        await frames.frame_file(resources, pair.client, pair.room, stored.seq, thumbnail=False)
    with pytest.raises(SegmentDeleted):
        await tracking.tick(resources, pair.freelancer, shift.id, shift.at, shift.at + MINUTE, True)
    with pytest.raises(SegmentDeleted):
        await shift.frame(data=picture(2))
    assert (await row_of(resources, stored.frame)).sha256 is None
    await frames.erase_due_blobs(resources)
    assert not resources.blobs.frame_path(stored.frame).exists()


async def test_only_the_freelancer_deletes_a_frame(resources: Resources, pair: Pair, shift: Shift) -> None:
    stored = await shift.frame()
    with pytest.raises(NotFound):
        await frames.delete(resources, pair.client, stored.frame)
    assert (await row_of(resources, stored.frame)).state == "stored"


async def test_a_look_at_a_full_size_frame_is_logged_and_told_and_a_thumbnail_is_not(
    resources: Resources, pair: Pair, shift: Shift, published: Published
) -> None:
    stored = await shift.frame()
    await frames.frame_ready(resources, stored.frame)
    for _ in range(2):
        file = await frames.frame_file(resources, pair.client, pair.room, stored.seq, thumbnail=False)
    assert (file.path, file.media) == (resources.blobs.frame_path(stored.frame), "image/webp")
    await frames.frame_file(resources, pair.client, pair.room, stored.seq, thumbnail=True)
    await frames.frame_file(resources, pair.freelancer, pair.room, stored.seq, thumbnail=False)
    (look,) = await frames.looks(resources, pair.freelancer, pair.room, stored.seq)
    assert (look.name, look.times) == ("Dana Keller", 2)
    told = published.of(AccountEvent)
    assert [(event.account, event.event, event.data["by"]) for event in told] == [
        (pair.freelancer.account, "looked", "p1")
    ] * 2
    with pytest.raises(NotFound):
        await frames.looks(resources, pair.client, pair.room, stored.seq)


async def test_only_members_see_a_frame(resources: Resources, pair: Pair, shift: Shift) -> None:
    stored = await shift.frame()
    stranger = await build_account(resources, "Max Stranger")
    with pytest.raises(NotFound):
        await frames.frame_file(resources, stranger, pair.room, stored.seq, thumbnail=False)
    with pytest.raises(NotFound):
        await frames.frame_file(resources, pair.client, pair.room, stored.seq + 1, thumbnail=False)
