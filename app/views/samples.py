"""Samples: a made-up room with an entry of every kind, a cell and a tracker in every state, for the patterns page.

Rule 1: every kind of `app.domain.events` and every state of a cell is here; a test compares.
"""

from __future__ import annotations

from typing import Any

from app.domain.live import Cell, CellState, TrackerState
from app.domain.record import Entry
from app.domain.timerange import HOUR_MS, SEGMENT_MS, instant_text
from app.domain.workrooms import Member, RoomInfo, Side

ROOM = "0" * 26
START = 1_795_078_800_000  # 2026-11-19, 09:00 UTC
HOUR = START // HOUR_MS
SEGMENT = START // SEGMENT_MS
SESSION = "123e4567-e89b-42d3-a456-426614174000"
DIGEST = "A" * 43
CLIENT, FREELANCER = "p1", "p2"

SAMPLE_ROOM = RoomInfo(
    id=ROOM,
    title="Harbour booking site",
    time_zone="Europe/Lisbon",
    work_view=True,
    demo=True,
    opened_at=START - 10 * HOUR_MS,
    members={
        CLIENT: Member(ROOM, "a" * 26, CLIENT, Side.CLIENT, "Dana Keller"),
        FREELANCER: Member(ROOM, "b" * 26, FREELANCER, Side.FREELANCER, "Ana Novak"),
    },
)


def _tracked(**more: Any) -> dict[str, Any]:
    return {"member": FREELANCER, "session": SESSION, "at": instant_text(START), **more}


def _frame(number: int, **more: Any) -> dict[str, Any]:
    taken_at = START + number * SEGMENT_MS + 300_000 + number * 41_000
    return {
        "member": FREELANCER, "session": SESSION, "frame": SESSION, "segment": SEGMENT + number,
        "taken_at": instant_text(taken_at), "media": "image/webp", "bytes": 48_211, "sha256": DIGEST,
        "width": 1920, "height": 1080, **more,
    }  # fmt: skip


def _hour() -> dict[str, Any]:
    documented = (720_000, 720_000, 300_000, 0, 600_000)
    tracked = (0, 0, 0, 720_000, 0)
    segments = [
        {"segment": SEGMENT + n, "documented_ms": documented[n], "tracked_ms": tracked[n], "frame": 8 + n}
        for n in range(5)
    ]
    return {"member": FREELANCER, "hour": HOUR, "rules": 0, "segments": segments}


_OPENED = {
    "format": 1, "title": SAMPLE_ROOM.title, "operator": "Workroom operator", "verifier_key": "harbour+0+A",
    "time_zone": SAMPLE_ROOM.time_zone, "work_view": True, "demo": True,
    "members": [{"by": CLIENT, "side": "client"}, {"by": FREELANCER, "side": "freelancer"}],
}  # fmt: skip
_SEEDS = [{"day": day, "sha256": DIGEST} for day in ("2026-11-19", "2026-11-20", "2026-12-02")]
_LONG = (
    "It is about **two days** on top:\n\n- the map tiles are there\n- the `berth` polygons are not\n\n"
    "I would rather finish validation first, see https://example.org/berths?zoom=3&layer=2."
)

# Kind, author, body, and the entry that it refers to, in the order of their seqs.
_SAID: tuple[tuple[str, str, dict[str, Any] | None, int | None], ...] = (
    ("room.opened", "sys", _OPENED, None),
    ("member.joined", "sys",
     {"member": FREELANCER, "account": "b" * 26, "name": "Ana Novak", "side": "freelancer"}, None),
    ("policy.accepted", FREELANCER, {"member": FREELANCER, "version": 1, "sha256": DIGEST}, None),
    ("tracking.seeds", "sys", {"member": FREELANCER, "seeds": _SEEDS}, None),
    ("message", CLIENT, {"text": "Morning! The harbour office asked whether visitors can pick a berth on the map "
                                 "instead of the list. Could you look at what that would take?"}, None),
    ("tracking.started", FREELANCER, {**_tracked(comment="Booking form validation"), "device": "laptop",
                                      "work_view": True}, None),
    ("message", FREELANCER, {"text": _LONG}, 4),
    ("frame.taken", FREELANCER, _frame(0), None),
    ("frame.taken", FREELANCER, _frame(1, mark="off_moment"), None),
    ("frame.taken", FREELANCER, _frame(2), None),
    ("frame.taken", FREELANCER, None, None),
    ("frame.taken", FREELANCER, _frame(4), None),
    ("hour.closed", "sys", _hour(), None),
    ("frame.unreadable", "sys", {"member": FREELANCER, "segment": SEGMENT + 1, "reason": "truncated"}, 8),
    ("frame.replaced", "sys", {"member": FREELANCER, "segment": SEGMENT + 2, "replacement": 11}, 9),
    ("frame.deleted", FREELANCER, {"member": FREELANCER, "segment": SEGMENT + 3}, 10),
    ("hour.amended", "sys", _hour(), 12),
    ("comment", FREELANCER, {"text": "Payment retry", "from_segment": SEGMENT, "to_segment": SEGMENT + 2}, None),
    ("feedback", CLIENT, {"text": "Could the date picker start on Monday?"}, 11),
    ("feedback", CLIENT, {"text": "Good progress here.", "member": FREELANCER, "segment": SEGMENT + 1}, None),
    ("correction", FREELANCER, {"text": "Three days, not two: I forgot the tests."}, 6),
    ("tracking.paused", FREELANCER, _tracked(), None),
    ("tracking.resumed", FREELANCER, _tracked(gap_ms=840_000), None),
    ("tracking.work_view", FREELANCER, _tracked(on=False), None),
    ("tracking.discarded", FREELANCER,
     {"member": FREELANCER, "session": SESSION, "start": instant_text(START), "end": instant_text(START + 600_000)},
     None),
    ("tracking.stopped", FREELANCER, _tracked(reason="stopped"), None),
    ("tracking.seed_revealed", "sys", {"member": FREELANCER, "day": "2026-11-18", "seed": DIGEST}, None),
    ("message", CLIENT, None, None),
    ("message", CLIENT, {"text": "Thank you. Let us do that.\nThe office opens at 9, <not> at 8."}, None),
    ("room.rewound", "sys", {"reason": "The disk failed; the newest backup was four minutes old.", "signed_size": 33,
                             "held_size": 29}, None),
)  # fmt: skip

SAMPLE_ENTRIES: tuple[Entry, ...] = tuple(
    Entry(
        ROOM, seq, kind, by, START + seq * 130_000, body, ref,
        cid=f"{seq:032d}" if kind in ("message", "feedback") else None,
        erased=15 if body is None else None,
    )
    for seq, (kind, by, body, ref) in enumerate(_SAID)
)  # fmt: skip


def sample_cells() -> list[Cell]:
    """Return a cell in every state."""
    cells = []
    for number, state in enumerate(CellState):
        framed = state in (CellState.READY, CellState.STORED)
        documented = {CellState.RUNNING: 420_000, CellState.WAITING: 700_000, CellState.MISSING: 400_000}.get(
            state, 720_000 if framed else 0
        )
        cells.append(
            Cell(
                ROOM, FREELANCER, SEGMENT + number, state,
                documented_ms=documented,
                tracked_ms=720_000 if state is CellState.UNDOCUMENTED else 0,
                frame_seq=7 + number if framed else None,
                taken_at=START + number * SEGMENT_MS + 333_000 if framed else None,
                mark="off_moment" if state is CellState.STORED else None,
                comment="Payment retry" if number in (1, 2, 3) else "",
                comment_seq=17 if number in (1, 2, 3) else None,
            )
        )  # fmt: skip
    return cells


def sample_trackers() -> list[TrackerState]:
    """Return a tracker that works, one that is silent, and one that is off."""
    working = TrackerState(
        FREELANCER, True, False, SESSION, START, "Booking form validation", True, 8_040_000, last_frame_seq=11
    )
    silent = TrackerState(FREELANCER, True, True, SESSION, START, "", False, 3_000_000)
    return [working, silent, TrackerState(FREELANCER, False, today_ms=12_000_000, last_frame_seq=7)]
