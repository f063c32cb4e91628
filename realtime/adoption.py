"""Adoption: gives an accepted WebSocket to a session, by the fast lane, or by plain ASGI where there is none.

Rule 1: a session sees the same `Lane` either way; the fallback serves test clients and other servers.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from realtime.fastlane import LANE, Lane, Session

QUEUED_FRAMES_MAX = 1_000


async def adopt(websocket: WebSocket, make_session: Callable[[Lane], Session]) -> None:
    """Give the connection to the session that `make_session` makes for its lane.

    With the fast lane this returns at once and the connection lives on; else it returns when the connection ends.
    """
    lane: Lane | None = websocket.scope["extensions"].get(LANE) if "extensions" in websocket.scope else None
    if lane is not None:
        lane.adopt(make_session(lane))
        return
    plain = AsgiLane(websocket)
    await plain.serve(make_session(plain))


class AsgiLane:
    """A lane over ASGI's `send`: one task writes, in order."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._out: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue(QUEUED_FRAMES_MAX)
        self._open = True
        self._reading = asyncio.Event()
        self._reading.set()

    @property
    def is_open(self) -> bool:
        return self._open and self._websocket.application_state is WebSocketState.CONNECTED

    @property
    def is_writable(self) -> bool:
        return self.is_open and not self._out.full()

    @property
    def is_drained(self) -> bool:
        return self._out.empty()

    def adopt(self, session: Session) -> None:
        raise TypeError("a plain lane is served, not adopted")

    def write(self, frames: bytes) -> None:
        if not self.is_open:
            return
        if self._out.full():
            self.abort()
        else:
            self._out.put_nowait(frames)

    def write_text(self, text: str) -> None:
        self._put(text.encode())

    def close(self, code: int, reason: str = "") -> None:
        self._put((code, reason))

    def abort(self) -> None:
        self._open = False
        while not self._out.empty():
            self._out.get_nowait()
        self._out.put_nowait((1006, ""))

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    async def serve(self, session: Session) -> None:
        """Carry messages between the websocket and the session until it ends."""
        writing = asyncio.create_task(self._write_out())
        try:
            while self._open:
                await self._reading.wait()
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    break
                session.message(event.get("text") or event.get("bytes") or "")
        except WebSocketDisconnect:
            pass
        finally:
            self._open = False
            writing.cancel()
            session.closed()

    def _put(self, item: bytes | tuple[int, str]) -> None:
        if isinstance(item, bytes):
            item = struct.pack("!BBQ", 0x81, 127, len(item)) + item
        if self.is_open and not self._out.full():
            self._out.put_nowait(item)

    async def _write_out(self) -> None:
        while True:
            item = await self._out.get()
            if isinstance(item, tuple):
                self._open = False
                await self._websocket.close(item[0] if item[0] != 1006 else 1011, item[1])
                return
            for text in texts_of_frames(item):
                await self._websocket.send_text(text)


def texts_of_frames(frames: bytes) -> list[str]:
    """Return the texts of complete, unmasked server frames."""
    texts, at = [], 0
    while at < len(frames):
        size, at = frames[at + 1], at + 2
        if size == 126:
            size, at = int.from_bytes(frames[at : at + 2], "big"), at + 2
        elif size == 127:
            size, at = int.from_bytes(frames[at : at + 8], "big"), at + 8
        texts.append(frames[at : at + size].decode())
        at += size
    return texts
