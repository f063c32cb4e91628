"""An entry as one short sentence: for lists, titles, mails, and people who listen.

Rule 1: every kind has one; a test compares. What is restricted is named and not told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from app.domain.record import Entry
from app.domain.timerange import segment_end, segment_start
from app.domain.workrooms import RoomInfo
from app.views.names import first_name
from app.views.rendering import clock, days_text
from app.views.text import one_line

Body = dict[str, Any]


def sentence(entry: Entry, room: RoomInfo, *, withhold: bool = False) -> str:
    """Return one short sentence. `withhold`: it leaves the workroom, and says nothing of what is restricted."""
    body = entry.body
    if body is None:
        return f"{entry.kind} {entry.seq}: the content was erased."
    whom = first_name(room, str(body.get("member", entry.by)) if entry.by == "sys" else entry.by)
    if withhold and body.get("restricted"):
        return f"{whom}: a restricted entry. Read it in the workroom."
    if body.get("by_silence"):
        return f"Nobody answered entry {entry.ref} in time: {entry.kind.split('.')[-1].replace('_', ' ')}."
    return SENTENCES[entry.kind](whom, body, room)


def is_restricted(entry: Entry) -> bool:
    """Whether an entry is restricted: where its sentence is shown, so is the mark (rule 6.4)."""
    return entry.body is not None and bool(entry.body.get("restricted"))


def _says(prefix: str, field: str = "text") -> Callable[[str, Body, RoomInfo], str]:
    return lambda who, body, room: f"{who}{prefix}: {one_line(body[field])}"


def _answers(what: str) -> Callable[[str, Body, RoomInfo], str]:
    def told(who: str, body: Body, room: RoomInfo) -> str:
        return f"{who} {what}" + (f": {one_line(body['text'])}" if body.get("text") else ".")

    return told


def _availability(who: str, body: Body, room: RoomInfo) -> str:
    if body["what"] == "vacation":
        return f"{who} announced a vacation, {days_text(body['from_on'], body['until_on'])}."
    return f"{who} works: {one_line(body['text'])}"


def _sunday(monday: str) -> str:
    return (date.fromisoformat(monday) + timedelta(days=6)).isoformat()


def _hour(body: dict[str, Any], room: RoomInfo) -> str:
    first = clock(segment_start(body["hour"] * 5), room.time_zone)
    last = clock(segment_end(body["hour"] * 5 + 4), room.time_zone)
    minutes = sum(s["documented_ms"] for s in body["segments"]) // 60_000
    return f"{first} to {last}, {minutes} minutes documented."


SENTENCES: dict[str, Callable[[str, Body, RoomInfo], str]] = {
    "message": _says(""),
    "agreement": _says(" (agreed)"),
    "correction": _says(" (correction)"),
    "feedback": _says(" (note)"),
    "comment": _says(" (on time)"),
    "deliverable": _says(" delivered", "title"),
    "deliverable.accepted": _answers("accepted the delivery"),
    "deliverable.changes_requested": _answers("asks for changes"),
    "availability": _availability,
    "delay": _says(" announced a delay"),
    "delay.accepted": _answers("accepted the delay"),
    "delay.declined": _answers("declined the delay"),
    "transcript": _says(" transcribed", "title"),
    "transcript.confirmed": _answers("confirmed the transcript"),
    "transcript.contested": _answers("contested the transcript"),
    "status_report": _says(" reported", "done"),
    "disclosure.requested": _says(" asks to tell a third party", "to"),
    "disclosure.approved": _answers("approved the disclosure"),
    "disclosure.declined": _answers("declined the disclosure"),
    "handover": _says(" handed over a secret", "label"),
    "terms.proposed": lambda who, body, room: f"{who} proposed {body['pay']} terms.",
    "terms.accepted": _answers("accepted the terms"),
    "terms.declined": _answers("declined the terms"),
    "terms.withdrawn": _answers("took the terms back"),
    "work_view.requested": _answers("asks for Work View"),
    "work_view.accepted": _answers("accepted Work View"),
    "work_view.declined": _answers("declined Work View"),
    "milestone.proposed": _says(" proposed a milestone", "name"),
    "milestone.accepted": _answers("accepted the milestone"),
    "milestone.declined": _answers("declined the milestone"),
    "milestone.withdrawn": _answers("took the milestone back"),
    "member.proposed": lambda who, body, room: f"{who} proposed {body['name']} as {body['side']}.",
    "member.approved": _answers("agreed to the new member"),
    "member.declined": _answers("declined the new member"),
    "member.withdrawn": _answers("took the new member back"),
    "handover.received": _says(" received a secret", "label"),
    "handover.expired": lambda who, body, room: f"A secret was erased unseen: {one_line(body['label'])}",
    "status_report.missing": lambda who, body, room: (
        f"{who}’s status report is missing, for {days_text(body['week_on'], _sunday(body['week_on']))}."
    ),
    "room.activated": lambda who, body, room: "The terms hold: work can begin.",
    "room.closed": lambda who, body, room: f"{who} closed the workroom.",
    "room.job_awarded": lambda who, body, room: "The job was awarded in another workroom.",
    "room.opened": lambda who, body, room: f"Workroom {body['title']} opened.",
    "room.rewound": lambda who, body, room: f"Entries were lost; the record goes on. Why: {one_line(body['reason'])}",
    "member.joined": lambda who, body, room: f"{body['name']} joined as {body['side']}.",
    "policy.accepted": lambda who, body, room: f"{who} accepted the confidentiality policy.",
    "tracking.seeds": lambda who, body, room: f"The moments of {who}’s frames were sealed.",
    "tracking.seed_revealed": lambda who, body, room: f"The moments of {who}’s frames of {body['day']} were revealed.",
    "tracking.started": lambda who, body, room: f"{who} started tracking.",
    "tracking.stopped": lambda who, body, room: f"{who} stopped tracking.",
    "tracking.paused": lambda who, body, room: f"{who}’s session paused.",
    "tracking.resumed": lambda who, body, room: f"{who}’s session went on.",
    "tracking.work_view": lambda who, body, room: f"{who} switched Work View {'on' if body['on'] else 'off'}.",
    "tracking.discarded": lambda who, body, room: f"{who} took time off.",
    "frame.taken": lambda who, body, room: f"A frame of {who} was stored.",
    "frame.replaced": lambda who, body, room: f"A later frame of {who} took the place of an earlier one.",
    "frame.unreadable": lambda who, body, room: f"A frame of {who} cannot be read.",
    "frame.deleted": lambda who, body, room: f"{who} deleted a frame.",
    "hour.closed": lambda who, body, room: f"{who}’s hour is closed: {_hour(body, room)}",
    "hour.amended": lambda who, body, room: f"{who}’s hour was amended: {_hour(body, room)}",
}
