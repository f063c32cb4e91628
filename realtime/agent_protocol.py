"""The protocol of `/agent`: what trackers send, parsed, and the answers, as JSON text. Pure: no socket, no clock.

Rule 1: whatever is JSON gets an answer that names what it answers (`n`, or a frame's `id`); only what is no JSON ends
the connection.
Rule 2: a wrong field is refused as `malformed` and named, so that one bad message never strands a week of hours.
Rule 3: a refusal is temporary only if the same message can succeed later unchanged.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from app.domain.errors import InvalidBody, Malformed, TooLarge, TooMany, WorkroomError
from app.domain.record import base64url
from app.domain.timerange import instant_text
from app.domain.wire import (
    AGENT_CONTROL_BYTES_MAX,
    AgentMessage,
    FrameHeader,
    decode_agent_message,
    decode_frame_header,
)
from app.domain.workrooms import RoomInfo
from app.domain.workview import (
    CLOCK_AHEAD_MS_MAX,
    FRAME_BYTES_MAX,
    FRAME_PIXELS_MAX,
    MEDIA_TYPES,
    TICK_MS_MAX,
)
from app.services.seeds import SeedsByRoom

_HEADER_LENGTH_BYTES = 4
_PATH = re.compile(r"`\$\.?([^`]*)`")
_NAMED = re.compile(r"field `([^`]+)`")
_ID_CHARS_MAX = 64


class NotJson(Exception):
    """What came is no JSON: the connection cannot go on."""


class Refused(msgspec.Struct, frozen=True):
    """A message that could not even be parsed, with what it called itself."""

    error: WorkroomError
    n: int | None = None
    id: str | None = None


class Picture(msgspec.Struct, frozen=True):
    """A frame as it came."""

    header: FrameHeader
    data: bytes


Parsed = AgentMessage | Picture | Refused


def parse(data: str | bytes) -> Parsed:
    """Return a message of a tracker: control messages are text, frames are bytes.

    Raises:
        NotJson: if there is no JSON in it.
    """
    return _parse_frame(data) if isinstance(data, bytes) else _parse_control(data)


def _parse_control(text: str) -> Parsed:
    encoded = text.encode(errors="replace")
    if len(encoded) > AGENT_CONTROL_BYTES_MAX:
        n, _ = _named(encoded)
        return Refused(TooLarge("A control message may have 64 KiB. Send less at once."), n)
    try:
        message: AgentMessage = decode_agent_message(encoded)
        return message
    except msgspec.ValidationError as error:
        n, _ = _named(encoded)
        return Refused(_malformed(error), n)
    except msgspec.DecodeError:
        raise NotJson() from None


def _parse_frame(data: bytes) -> Parsed:
    end = _HEADER_LENGTH_BYTES + int.from_bytes(data[:_HEADER_LENGTH_BYTES], "big")
    if len(data) < _HEADER_LENGTH_BYTES or end > len(data):
        raise NotJson()
    encoded = data[_HEADER_LENGTH_BYTES:end]
    if len(encoded) > AGENT_CONTROL_BYTES_MAX:
        return Refused(TooLarge("The header of a frame may have 64 KiB."))
    try:
        return Picture(decode_frame_header(encoded), data[end:])
    except msgspec.ValidationError as error:
        _, id = _named(encoded)
        return Refused(_malformed(error), id=id)
    except msgspec.DecodeError:
        raise NotJson() from None


def _named(encoded: bytes) -> tuple[int | None, str | None]:
    """Return `n` and `id` of a message that does not fit its schema, so that the refusal still names it."""
    try:
        raw = msgspec.json.decode(encoded)
    except msgspec.DecodeError:
        raise NotJson() from None
    if not isinstance(raw, dict):
        return None, None
    n, id = raw.get("n"), raw.get("id")
    return (
        n if isinstance(n, int) and not isinstance(n, bool) else None,
        id if isinstance(id, str) and len(id) <= _ID_CHARS_MAX else None,
    )


def _malformed(error: msgspec.ValidationError) -> Malformed:
    sentence = str(error)
    named, path = _NAMED.search(sentence), _PATH.search(sentence)
    parts = [part for part in (path and path.group(1), named and named.group(1)) if part]
    field = ".".join(parts) or None
    return Malformed(f"{sentence.split(' - at ')[0]}.", field=field)


# Answers


def message_text(t: str, **fields: Any) -> str:
    """Return a message of the server."""
    return msgspec.json.encode({"t": t, **fields}).decode()


def refused_text(error: WorkroomError, n: int | None = None, id: str | None = None) -> str:
    """Refuse a message. A bug of ours is temporary: the tracker keeps what it sent."""
    code = Malformed.code if isinstance(error, InvalidBody) else error.code
    answer: dict[str, Any] = {
        "code": code,
        "message": str(error),
        "temporary": error.temporary or code == WorkroomError.code,
    }
    if n is not None:
        answer["n"] = n
    if id is not None:
        answer["id"] = id
    if error.field is not None:
        answer["field"] = error.field.removeprefix("body.")
    if isinstance(error, TooMany):
        answer["retry_after"] = error.retry_after_seconds
    return message_text("refused", **answer)


def decoded_text(frame: str, ok: bool) -> str:
    """Say what the worker found out about a frame."""
    if ok:
        return message_text("frame_ok", id=frame)
    return message_text("frame_bad", id=frame, reason="The picture could not be decoded; the segment has no frame.")


def welcome_text(
    n: int, now: int, clock_rate: int, rooms: list[RoomInfo], by: dict[str, str], seeds: SeedsByRoom, rate_max: int
) -> str:
    """Answer a hello: the rooms to track in, the limits, and the seeds by room and UTC day (rule 2.3)."""
    return message_text(
        "welcome",
        n=n,
        server_time=instant_text(now),
        clock_rate=clock_rate,
        rooms=[
            {
                "id": info.id,
                "title": info.title,
                "time_zone": info.time_zone,
                "work_view": info.work_view,
                "by": by[info.id],
            }
            for info in rooms
        ],
        limits={
            "frame_bytes_max": FRAME_BYTES_MAX,
            "frame_pixels_max": FRAME_PIXELS_MAX,
            "media": list(MEDIA_TYPES),
            "tick_ms_max": TICK_MS_MAX,
            "ahead_ms_max": CLOCK_AHEAD_MS_MAX,
            "messages_per_second_max": rate_max,
        },
        seeds={room: {day: base64url(seed) for day, seed in days.items()} for room, days in seeds.items()},
    )
