"""What the tracker says of itself: one structure for the terminal's line, for `status`, and for the control socket.

Rule 1: while it is on, it says so (rule 2.1); a frame that waits, time that is not counted and what was refused show.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from app.domain.timerange import HOUR_MS, MINUTE_MS, datetime_of, day_bounds, local_day
from tracker.spool import Refusal, Room, Spool


class Status(msgspec.Struct):
    """Instants in Unix ms of the record's clock. `held` counts frames in their hold, which can be discarded."""

    state: str = "stopped"
    server: str = ""
    room: str = ""
    time_zone: str = "UTC"
    session: str = ""
    since: int | None = None
    work_view: bool = False
    now: int = 0
    today_ms: int = 0
    last_frame_at: int | None = None
    messages_queued: int = 0
    frames_queued: int = 0
    held: int = 0
    link: str = "offline"
    trouble: str = ""
    watching: int = 0
    refusals: list[Refusal] = []


def stored_status(spool: Spool, now: int, room: Room | None) -> Status:
    """Return what the spool alone tells."""
    zone = ZoneInfo(room.time_zone) if room is not None else ZoneInfo("UTC")
    last, waiting = spool.last_frame(), spool.waiting_frames()
    held = sum(frame.due_at > now for frame in waiting)
    return Status(
        room=room.title if room else "",
        time_zone=zone.key,
        now=now,
        today_ms=today_ms(spool, now, room),
        last_frame_at=last.taken_at if last else None,
        messages_queued=spool.queued_messages(),
        frames_queued=len(waiting) - held,
        held=held,
        refusals=spool.refusals(),
    )


def today_ms(spool: Spool, now: int, room: Room | None) -> int:
    """Return the time of the present day, in the time zone of the room; of all rooms without one."""
    zone = ZoneInfo(room.time_zone) if room is not None else ZoneInfo("UTC")
    return spool.time_between(*day_bounds(local_day(now, zone), zone), room.id if room else None)


def clock_text(instant: int, zone: str) -> str:
    """Return hours and minutes in a time zone: `10:24`."""
    return datetime_of(instant, ZoneInfo(zone)).strftime("%H:%M")


def duration_text(duration_ms: int) -> str:
    """Return `3 h 12 min`."""
    return f"{duration_ms // HOUR_MS} h {duration_ms % HOUR_MS // MINUTE_MS:02d} min"


def queue_text(status: Status) -> str:
    """Return what waits here, in words."""
    parts = []
    if status.held:
        parts.append(f"{status.held} on hold")
    if status.frames_queued:
        parts.append(f"{_counted(status.frames_queued, 'frame')} queued")
    if status.messages_queued > 1:  # one message is on its way most of the time
        parts.append(f"{status.messages_queued} messages queued")
    return ", ".join(parts) or "nothing queued"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def status_line(status: Status) -> str:
    """Return the one line that a terminal keeps up to date."""
    view = "Work View on" if status.work_view else "Work View off"
    parts = [f"● {status.state} · {status.room}", view, f"today {duration_text(status.today_ms)}"]
    if status.last_frame_at is not None:
        parts.append(f"last frame {clock_text(status.last_frame_at, status.time_zone)}")
    parts.append(queue_text(status))
    if status.link != "online":
        parts.append(f"{status.link}: {status.trouble}" if status.trouble else status.link)
    elif status.watching:
        parts.append(f"{_counted(status.watching, 'person').replace('persons', 'people')} watching")
    if status.refusals:
        parts.append(f"{len(status.refusals)} refused")
    return " · ".join(parts)


def status_text(status: Status) -> str:
    """Return what `status` prints: a line for each thing worth knowing."""
    rows = [("State", status.state)]
    if status.since is not None:
        began = clock_text(status.since, status.time_zone)
        rows += [("Workroom", status.room), ("Since", f"{began} ({status.time_zone})")]
        rows.append(("Work View", "on: one frame in every twelve minutes" if status.work_view else "off"))
    rows.append(("Today", duration_text(status.today_ms)))
    if status.last_frame_at is not None:
        rows.append(("Last frame", clock_text(status.last_frame_at, status.time_zone)))
    rows.append(("Waiting", queue_text(status)))
    rows.append(("Server", f"{status.server} ({status.link}{': ' + status.trouble if status.trouble else ''})"))
    if status.since is not None:
        rows.append(("Watching", str(status.watching)))
    lines = [f"{name + ':':<12}{value}" for name, value in rows]
    for refusal in status.refusals:
        lines.append(f"{'Refused:':<12}{refusal.what} {refusal.key} ({refusal.code}): {refusal.reason}")
    if status.refusals:
        lines.append(f"{'':<12}Remove with: python -m tracker dismiss KEY, or dismiss --all")
    return "\n".join(lines)
