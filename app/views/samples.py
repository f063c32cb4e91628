"""Samples: a made-up room with an entry of every kind, a cell and a tracker in every state, for the patterns page.

Rule 1: every kind of `app.domain.events`, every state of a matter and every state of a cell is here; a test compares.
"""

from __future__ import annotations

from typing import Any

from app.domain.live import Cell, CellState, TrackerState
from app.domain.matters import SILENCE, SYSTEM, Matter, MatterState
from app.domain.record import Entry
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS, instant_text
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

_FIXED = {
    "member": FREELANCER, "pay": "fixed", "currency": "EUR", "time_zone": "Europe/Lisbon", "work_view": False,
    "milestones": [
        {"key": "m1", "name": "Design, round 2", "amount_minor": 120_000, "due_on": "2026-11-27"},
        {"key": "m2", "name": "Berth map", "amount_minor": 90_000, "due_on": "2026-12-04"},
    ],
    "mediator": "Ines Prado", "ownership": "freelancer",
}  # fmt: skip
_HOURLY = {
    "member": FREELANCER, "pay": "hourly", "currency": "EUR", "time_zone": "Europe/Lisbon", "work_view": True,
    "rate_minor": 4_800, "weekly_limit_hours": 40, "weekly_deposit": True, "blur_max": 1, "manual_time": True,
    "text": "As we said on the phone: from **Monday** on.",
}  # fmt: skip
_MILESTONE = {
    "member": FREELANCER, "key": "m3", "name": "Opening day", "amount_minor": 45_000, "due_on": "2026-12-18",
    "currency": "EUR", "text": "Both of us on call while the office opens.",
}  # fmt: skip
_DELIVERY = {
    "title": "Booking form, validated", "holds_rights": True, "milestone": "m1", "third_party": "The map tiles, ODbL",
    "text": "All fourteen rules, with tests.\n\n- `make check` passes\n- the invoice mail is in",
    "links": ["https://git.example.org/harbour/booking?at=4f1e98c2"],
    "files": [{"name": "booking-form.zip", "media": "application/zip", "bytes": 4_182_331, "sha256": DIGEST}],
}  # fmt: skip
_DELAY = {"text": "The bank has not opened the sandbox yet.", "until_on": "2026-12-07",
          "moves": [{"milestone": "m2", "due_on": "2026-12-07"}]}  # fmt: skip
_HEARD = [
    {"who": "Dana Keller", "text": "Shall we drop the list once the map is there?", "at": "14 Nov 2026, 17:02"},
    {"who": "Ana Novak", "text": "Keep it: people on phones will not pick a berth on a map.", "at": "17:05"},
]
_REPORT = {
    "week_on": "2026-11-16", "done": "- Form validation, 14 rules\n- Invoice e-mail", "next": "- Payment retry",
    "blocked": "Sandbox keys from the bank",
    "progress": [{"milestone": "m1", "percent": 100}, {"milestone": "m2", "percent": 35}], "asks_release": ["m1"],
}  # fmt: skip
_RESTRICTED = {"restricted": True}

# What people agree, deliver and tell: name, kind, author, body, the name of the entry that it refers to.
_TYPED: tuple[tuple[str, str, str, dict[str, Any] | None, str], ...] = (
    ("fixed", "terms.proposed", CLIENT, _FIXED, ""),
    ("", "terms.declined", FREELANCER, {"text": "By the hour, please."}, "fixed"),
    ("lapsed", "terms.proposed", CLIENT, _FIXED, ""),
    ("", "terms.declined", SYSTEM, {"by_silence": True}, "lapsed"),
    ("back", "terms.proposed", FREELANCER, _HOURLY, ""),
    ("", "terms.withdrawn", FREELANCER, {}, "back"),
    ("terms", "terms.proposed", FREELANCER, _HOURLY, ""),
    ("", "terms.accepted", CLIENT, {}, "terms"),
    ("", "room.activated", SYSTEM, {}, ""),
    ("hourly", "terms.proposed", CLIENT, {**_HOURLY, "rate_minor": 5_200, **_RESTRICTED}, ""),
    ("view", "work_view.requested", CLIENT, {"member": FREELANCER, "text": "For the map only."}, ""),
    ("", "work_view.accepted", FREELANCER, {}, "view"),
    ("view2", "work_view.requested", CLIENT, {"member": FREELANCER}, ""),
    ("", "work_view.declined", FREELANCER, {"text": "Not while I test payments."}, "view2"),
    ("stone", "milestone.proposed", FREELANCER, _MILESTONE, ""),
    ("stone2", "milestone.proposed", CLIENT, {**_MILESTONE, "key": "m2", "name": "Berth map"}, ""),
    ("", "milestone.accepted", FREELANCER, {}, "stone2"),
    ("", "milestone.declined", CLIENT, {}, "stone"),
    ("", "milestone.withdrawn", FREELANCER, {}, "stone"),
    ("agreed", "agreement", CLIENT, {"text": "The office sees the map on **3 December**, at ten."}, ""),
    ("work", "deliverable", FREELANCER, _DELIVERY, ""),
    ("", "deliverable.changes_requested", CLIENT, {"text": "The invoice lacks the VAT number."}, "work"),
    ("work2", "deliverable", FREELANCER, {**_DELIVERY, "title": "Booking form, with VAT number"}, ""),
    ("", "deliverable.accepted", CLIENT, {"text": "Thank you!"}, "work2"),
    ("work3", "deliverable", FREELANCER, {"title": "Map tiles", "text": "All of them.", "holds_rights": True}, ""),
    (
        "",
        "availability",
        FREELANCER,
        {"what": "vacation", "from_on": "2026-12-24", "until_on": "2026-12-28", "text": "Offline."},
        "",
    ),
    (
        "",
        "availability",
        CLIENT,
        {"what": "schedule", "from_on": "2026-12-01", "text": "Monday to Thursday, 9 to 15"},
        "",
    ),
    ("late", "delay", FREELANCER, _DELAY, ""),
    ("late2", "delay", FREELANCER, {"text": "The flu.", "until_on": "2026-12-01"}, ""),
    ("", "delay.accepted", CLIENT, {}, "late2"),
    ("", "delay.declined", SYSTEM, {"by_silence": True}, "late"),
    ("heard", "transcript", CLIENT, {"medium": "chat", "title": "List or map", "lines": _HEARD}, ""),
    ("", "transcript.confirmed", FREELANCER, {}, "heard"),
    ("call", "transcript", FREELANCER, {"medium": "call", "title": "About the budget", "lines": _HEARD * 4}, ""),
    ("", "transcript.contested", CLIENT, {"text": "I said that I would ask, not that we do it."}, "call"),
    ("mail", "transcript", CLIENT, {"medium": "email", "title": "Re: opening", "lines": _HEARD[:1], **_RESTRICTED}, ""),
    ("", "status_report", FREELANCER, _REPORT, ""),
    ("", "status_report.missing", SYSTEM, {"member": FREELANCER, "week_on": "2026-11-09"}, ""),
    (
        "tell",
        "disclosure.requested",
        FREELANCER,
        {"to": "My portfolio", "text": "One picture of the map, without the prices."},
        "",
    ),
    ("", "disclosure.approved", CLIENT, {}, "tell"),
    ("tell2", "disclosure.requested", FREELANCER, {"to": "A conference", "text": "How we draw berths."}, ""),
    ("", "disclosure.declined", CLIENT, {"text": "Not before the opening."}, "tell2"),
    ("bookkeeper", "member.proposed", CLIENT, {"name": "Omar Haddad", "side": "client", "text": "Our bookkeeper."}, ""),
    ("", "member.approved", FREELANCER, {}, "bookkeeper"),
    ("mediator", "member.proposed", FREELANCER, {"name": "Ines Prado", "side": "mediator"}, ""),
    ("", "member.declined", CLIENT, {}, "mediator"),
    ("", "member.withdrawn", FREELANCER, {}, "mediator"),
    ("key", "handover", CLIENT, {"to": FREELANCER, "label": "Bank sandbox, user harbour", "sealed": "A" * 60}, ""),
    ("key2", "handover", CLIENT, None, ""),
    ("seen", "handover.received", FREELANCER, {"label": "Database password"}, "key2"),
    ("key3", "handover", CLIENT, None, ""),
    ("unseen", "handover.expired", SYSTEM, {"label": "Old key"}, "key3"),
    ("", "message", FREELANCER, {"text": "The prices of the other harbour, for your eyes only.", **_RESTRICTED}, ""),
    ("", "room.job_awarded", SYSTEM, {}, ""),
    ("", "room.closed", SYSTEM, {"member": CLIENT, "reason": "All done, and paid."}, ""),
)

_FIRST_TYPED = len(_SAID)
_SEQS = {name: seq for seq, (name, *_) in enumerate(_TYPED, start=_FIRST_TYPED) if name}
_ERASED_BY = {"key2": "seen", "key3": "unseen"}


def _at(seq: int) -> int:
    return START + seq * 130_000


SAMPLE_ENTRIES: tuple[Entry, ...] = (
    *(
        Entry(
            ROOM, seq, kind, by, _at(seq), body, ref,
            cid=f"{seq:032d}" if kind in ("message", "feedback") else None,
            erased=15 if body is None else None,
        )
        for seq, (kind, by, body, ref) in enumerate(_SAID)
    ),
    *(
        Entry(
            ROOM, seq, kind, by, _at(seq), body, _SEQS.get(ref),
            erased=_SEQS[_ERASED_BY[name]] if name in _ERASED_BY else None,
        )
        for seq, (name, kind, by, body, ref) in enumerate(_TYPED, start=_FIRST_TYPED)
    ),
)  # fmt: skip

# How some of them stand: name, state, which entry answered, and who did. Any other that needs an answer is open.
_STATES: dict[str, tuple[MatterState, str]] = {
    "fixed": (MatterState.DECLINED, FREELANCER),
    "lapsed": (MatterState.DECLINED, SYSTEM),
    "back": (MatterState.WITHDRAWN, FREELANCER),
    "terms": (MatterState.ACCEPTED, CLIENT),
    "view": (MatterState.ACCEPTED, FREELANCER),
    "stone2": (MatterState.ACCEPTED, FREELANCER),
    "work": (MatterState.CHANGES_REQUESTED, CLIENT),
    "work2": (MatterState.ACCEPTED, CLIENT),
    "late2": (MatterState.ACCEPTED, CLIENT),
    "heard": (MatterState.CONFIRMED, FREELANCER),
    "call": (MatterState.CONTESTED, CLIENT),
    "tell2": (MatterState.DECLINED, CLIENT),
    "bookkeeper": (MatterState.ACCEPTED, FREELANCER),
    "key2": (MatterState.RECEIVED, FREELANCER),
    "key3": (MatterState.EXPIRED, SYSTEM),
}


def _sample_matter(entry: Entry, name: str) -> Matter:
    side = SAMPLE_ROOM.members[entry.by].side
    state, answered_by = _STATES.get(name, (MatterState.OPEN, None))
    days = SILENCE[entry.kind].days
    answered = state is not MatterState.OPEN
    return Matter(
        ROOM, entry.seq, entry.kind, entry.by, side.value,
        FREELANCER if entry.kind == "handover" else side.other.value, state, entry.at,
        due_at=entry.at + days * DAY_MS if days else None,
        answer_seq=entry.seq + 1 if answered else None, answered_by=answered_by,
        answered_at=_at(entry.seq + 1) if answered else None,
    )  # fmt: skip


SAMPLE_MATTERS: dict[int, Matter] = {
    entry.seq: _sample_matter(entry, name)
    for entry, (name, *_) in zip(SAMPLE_ENTRIES[_FIRST_TYPED:], _TYPED, strict=True)
    if entry.kind in SILENCE
}


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
