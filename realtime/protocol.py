"""The protocol of `/ws`: messages in and out as bytes. Pure: no socket, no clock, no database.

Rule 1: an answer names what it answers (`room`, `cid`); an error has a code, a sentence and `temporary`.
Rule 2: what everybody gets is encoded once per view, as a complete frame.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import structlog

from app.domain.errors import Malformed, TooLarge, WorkroomError
from app.domain.live import (
    AccountEvent,
    Appended,
    Cell,
    CellChanged,
    CheckpointReleased,
    Event,
    Presence,
    Seen,
    TrackerChanged,
    TrackerState,
    Typing,
)
from app.domain.wire import WS_MESSAGE_BYTES_MAX, ViewerMessage, decode_viewer_message
from app.domain.workrooms import RoomInfo
from app.views import live
from app.views.entries import entry_json
from realtime.fastlane import text_frame

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()
_PATH = re.compile(r"`\$\.?([^`]*)`")
_NAMED = re.compile(r"field `([^`]+)`")


def parse_viewer_message(text: str) -> ViewerMessage:
    """Return the message that a viewer sent.

    Raises:
        TooLarge: over 64 KiB.
        Malformed: naming the field that is wrong.
    """
    if len(text) > WS_MESSAGE_BYTES_MAX or len(text.encode()) > WS_MESSAGE_BYTES_MAX:
        raise TooLarge()
    try:
        message: ViewerMessage = decode_viewer_message(text)
        return message
    except msgspec.ValidationError as error:
        sentence = str(error)
        named, path = _NAMED.search(sentence), _PATH.search(sentence)
        field = (path and path.group(1)) or (named and named.group(1)) or None
        raise Malformed(f"{sentence.split(' - at ')[0]}.", field=field) from None
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Malformed("A message is a JSON object with a `t`.") from None


def cid_of(text: str) -> str | None:
    """Return the `cid` of a message that could not be parsed, so that the error still names it."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    cid = value.get("cid") if isinstance(value, dict) else None
    return cid if isinstance(cid, str) and len(cid) <= 64 else None


def joined_frame(room: str, by: str, head: int, mode: str) -> bytes:
    """Answer a join. `by` is who the joiner is in the room: a page that was somebody else's must not go on.

    `mode`: live, replay (the missing entries follow) or reset (load the page afresh).
    """
    return text_frame(_encode({"t": "joined", "room": room, "by": by, "head": head, "mode": mode}))


def ok_frame(room: str, cid: str, seq: int) -> bytes:
    """Tell the sender that an entry is durable."""
    return text_frame(_encode({"t": "ok", "room": room, "cid": cid, "seq": seq}))


def error_frame(error: WorkroomError, cid: str | None = None, room: str | None = None) -> bytes:
    """Tell the sender what was refused and why."""
    message: dict[str, Any] = {"t": "error", "cid": cid, "code": error.code, "message": str(error)}
    message["temporary"] = error.temporary
    if room is not None:
        message["room"] = room
    if error.field is not None:
        message["field"] = error.field
    return text_frame(_encode(message))


def heartbeat_frame(heads: dict[str, int]) -> bytes:
    """Tell a client where its rooms stand."""
    return text_frame(_encode({"t": "hb", "heads": heads}))


def entry_frame(view: str, event: Appended, room: RoomInfo) -> bytes:
    """Return the numbered frame of an entry for all viewers of a view.

    An entry that cannot be shown is a number without content: it must not keep what follows from its viewers.
    """
    entry = event.entry
    if view == "json":
        return text_frame(_encode({"t": "entry", "room": room.id, "seq": entry.seq, "entry": entry_json(entry)}))
    try:
        content = _content(view, event, room)
    except Exception:  # the edge between the record, which stands, and a template, which may be wrong
        log.exception("entry cannot be shown", room=room.id, seq=entry.seq, view=view)
        content = ""
    return text_frame(_encode({"room": room.id, "seq": entry.seq, "content": content}))


def _content(view: str, event: Appended, room: RoomInfo) -> str:
    if view == "timeline":
        return live.timeline_content(event.entry, room, event.cells, event.matters)
    if view == "workview":
        return live.workview_content(event, room)
    return live.home_content(event, room)


def live_frame(view: str, event: Event, room: RoomInfo) -> bytes | None:
    """Return the unnumbered frame of a live event, or None where the view does not show it."""
    if view == "json":
        data = live_json(event)
        if data is None:
            return None
        return text_frame(_encode({"t": "live", "room": room.id, **data}))
    content = live.live_content(view, event, room)
    return text_frame(_encode({"room": room.id, "content": content})) if content else None


def live_json(event: Event) -> dict[str, Any] | None:
    """Return a live event as programs get it."""
    match event:
        case Typing(by=by):
            return {"event": "typing", "by": by}
        case Presence(here=here):
            return {"event": "presence", "here": here}
        case Seen(by=by, seq=seq):
            return {"event": "seen", "by": by, "upto": seq}
        case TrackerChanged(state=state):
            return {"event": "tracker", "tracker": state}
        case CellChanged(cell=cell):
            return {"event": "cell", "cell": cell}
        case CheckpointReleased(size=size, note=note):
            return {"event": "checkpoint", "size": size, "note": note}
    return None


def snapshot_frame(
    view: str, room: RoomInfo, here: tuple[str, ...], states: list[TrackerState], cells: list[Cell]
) -> bytes:
    """Return what a viewer needs after a join beside the entries: presence, trackers, recent cells."""
    if view == "json":
        snapshot = {"t": "live", "room": room.id, "event": "snapshot", "here": here, "trackers": states, "cells": cells}
        return text_frame(_encode(snapshot))
    content = live.snapshot_content(view, room, here, states, cells)
    return text_frame(_encode({"room": room.id, "content": content}))


def account_frame(view: str, event: AccountEvent) -> bytes | None:
    """Return what is for one account only."""
    if view == "json":
        return text_frame(_encode({"t": "me", "event": event.event, **event.data}))
    content = live.account_content(event)
    return text_frame(_encode({"me": True, "content": content})) if content else None
