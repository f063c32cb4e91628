"""The messages of `/ws` and `/agent`: their schemas, and nothing of how they travel. See docs/protocol.md.

Rule 1: every message is an object with a `t` that names its type.
Rule 2: a new optional field may be added; a field never changes its meaning.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

PROTOCOL_VERSION = 1
WS_MESSAGE_BYTES_MAX = 64 * 1024
WS_FRAME_BYTES_MAX = 256 * 1024  # what the protocol lets in, so that 64 KiB and one byte is an answer, not a close
AGENT_CONTROL_BYTES_MAX = 64 * 1024
AGENT_FRAME_BYTES_MAX = 4 * 1024 * 1024 + 64 * 1024
HEARTBEAT_SECONDS = 25
HELLO_SECONDS_MAX = 10
ROOMS_PER_CONNECTION_MAX = 200

RoomId = Annotated[str, Meta(pattern="^[0-9a-z]{26}$")]
Position = Annotated[int, Meta(ge=-1, le=2**53 - 1)]
ClientId = Annotated[str, Meta(min_length=8, max_length=64, pattern="^[A-Za-z0-9_-]+$")]
Aware = Annotated[datetime, Meta(tz=True)]
VIEWS = ("timeline", "workview", "home", "json")


class ClosedByServer:
    """Close codes. 4000 to 4399: connect again; 4400 to 4999: do not."""

    GOING_AWAY = 1012
    SLOW = 4000
    RESYNC = 4001
    HELLO_TIMEOUT = 4002
    MALFORMED = 4400
    SIGN_IN = 4401
    FORBIDDEN = 4403
    TOO_MANY = 4429


# Viewers: what a client sends on /ws


class Hello(Struct, tag_field="t", tag="hello", frozen=True):
    v: int
    view: str
    rooms: dict[str, Position] = {}


class Join(Struct, tag_field="t", tag="join", frozen=True):
    room: RoomId
    after: Position = -1


class Leave(Struct, tag_field="t", tag="leave", frozen=True):
    room: RoomId


class Say(Struct, tag_field="t", tag="say", frozen=True):
    room: RoomId
    cid: ClientId
    kind: str
    body: dict[str, Any]
    ref: Annotated[int, Meta(ge=0)] | None = None


class Seen(Struct, tag_field="t", tag="seen", frozen=True):
    room: RoomId
    seq: Annotated[int, Meta(ge=0)]


class Typing(Struct, tag_field="t", tag="typing", frozen=True):
    room: RoomId


ViewerMessage = Hello | Join | Leave | Say | Seen | Typing


# Trackers: what a tracker sends on /agent. `n` counts; each message is acknowledged by its n once durable.


class AgentHello(Struct, tag_field="t", tag="hello", frozen=True):
    device: Annotated[str, Meta(min_length=1, max_length=80)]
    platform: Annotated[str, Meta(max_length=80)] = ""
    version: Annotated[str, Meta(max_length=40)] = ""
    n: int = 0


class AgentStart(Struct, tag_field="t", tag="start", frozen=True):
    n: int
    session: str
    room: RoomId
    at: Aware
    comment: Annotated[str, Meta(max_length=500)] = ""
    work_view: bool = True


class AgentTick(Struct, tag_field="t", tag="tick", frozen=True, rename={"start": "from", "end": "to"}):
    n: int
    session: str
    start: Aware
    end: Aware
    documented: bool
    waiting: list[int] = []


class AgentWorkView(Struct, tag_field="t", tag="work_view", frozen=True):
    n: int
    session: str
    on: bool
    at: Aware


class AgentDiscard(Struct, tag_field="t", tag="discard", frozen=True, rename={"start": "from", "end": "to"}):
    n: int
    session: str
    start: Aware
    end: Aware


class AgentFrameDelete(Struct, tag_field="t", tag="frame_delete", frozen=True):
    n: int
    id: str


class AgentComment(Struct, tag_field="t", tag="comment", frozen=True):
    """`id` makes a repeat harmless; the session's room is meant."""

    n: int
    id: str
    session: str
    from_segment: Annotated[int, Meta(ge=0)]
    to_segment: Annotated[int, Meta(ge=0)]
    text: Annotated[str, Meta(min_length=1, max_length=500)]


class AgentStop(Struct, tag_field="t", tag="stop", frozen=True):
    n: int
    session: str
    at: Aware


AgentMessage = (
    AgentHello | AgentStart | AgentTick | AgentWorkView | AgentDiscard | AgentFrameDelete | AgentComment | AgentStop
)


class FrameHeader(Struct, frozen=True):
    """The JSON header of a binary frame message: 4-byte big-endian length, this header, the picture's bytes."""

    id: str
    session: str
    segment: Annotated[int, Meta(ge=0, le=2**40)]
    taken_at: Aware
    width: Annotated[int, Meta(ge=1, le=65535)]
    height: Annotated[int, Meta(ge=1, le=65535)]
    media: str
    sha256: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$")]
    blur: Annotated[int, Meta(ge=0, le=3)] = 0
    at_stop: bool = False


decode_viewer_message = msgspec.json.Decoder(ViewerMessage).decode
decode_agent_message = msgspec.json.Decoder(AgentMessage).decode
decode_frame_header = msgspec.json.Decoder(FrameHeader).decode


def frame_message(header: FrameHeader, picture: bytes) -> bytes:
    """Return the binary message of a frame."""
    encoded = msgspec.json.encode(header)
    return len(encoded).to_bytes(4, "big") + encoded + picture
