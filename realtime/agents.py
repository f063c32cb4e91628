"""Agents: the `/agent` endpoint, and what all connected trackers are to be told (docs/protocol.md, "Trackers").

Rule 1: authentication, limits and close codes come before the connection is adopted; afterwards a refusal is an answer,
and only what is no JSON closes (4400).
Rule 2: trackers hear of what concerns their account from the same events as viewers, after the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from starlette.websockets import WebSocket

from app.domain.errors import NotSignedIn, WorkroomError
from app.domain.live import (
    AccessRevoked,
    Appended,
    CheckpointReleased,
    Event,
    FrameDecoded,
    FrameErased,
    Presence,
)
from app.domain.record import Entry
from app.domain.wire import ClosedByServer
from app.domain.workrooms import Side
from app.services import accounts, tracking
from app.services.accounts import Credential
from app.services.resources import Resources
from realtime.adoption import adopt
from realtime.agent_protocol import decoded_text, message_text
from realtime.agent_session import AgentSession, RefusalBudget
from realtime.hub import Hub
from realtime.viewers import is_same_origin

LOOK_SECONDS = 5.0  # how often silent trackers are looked for: 90 s plus this
SWEEP_LOOKS = 12  # sessions that were never ended are looked for once a minute
DRAIN_BATCH = 200

log = structlog.get_logger()


class Agents:
    """All tracker connections of this process, and what they are to be told."""

    def __init__(self) -> None:
        self.by_account: dict[str, set[AgentSession]] = {}
        self.by_room: dict[str, set[AgentSession]] = {}
        self.budgets: dict[str, RefusalBudget] = {}
        self._hub: Hub | None = None  # knows who is watching; set with the first connection
        self._looking: asyncio.Task[None] | None = None

    def start(self, resources: Resources, hub: Hub) -> None:
        """Begin to look for trackers that fell silent, and to hear who is watching; the first connection does this."""
        if self._looking is None:
            self._hub = hub
            hub.presence_changed = self.watching
            self._looking = asyncio.create_task(self._look(resources), name="agents")

    async def drain(self) -> None:
        """Close every connection with 1012; what is not acknowledged comes again."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None
        sessions = [session for listed in self.by_account.values() for session in listed]
        for start in range(0, len(sessions), DRAIN_BATCH):
            for session in sessions[start : start + DRAIN_BATCH]:
                session.lane.close(ClosedByServer.GOING_AWAY, "restarting")
            await asyncio.sleep(0)
        await asyncio.gather(*(session.task for session in sessions if session.task), return_exceptions=True)

    def add(self, session: AgentSession) -> None:
        """Take a connection in."""
        self.by_account.setdefault(session.actor.account, set()).add(session)

    def remove(self, session: AgentSession) -> None:
        """Forget a connection that closed."""
        _discard(self.by_account, session.actor.account, session)
        for room in session.rooms:
            _discard(self.by_room, room, session)

    def join(self, session: AgentSession, room: str) -> None:
        """Tell a connection from now on what happens in a room, and soon who is there already."""
        self.by_room.setdefault(room, set()).add(session)
        channel = self._hub.channels.get(room) if self._hub is not None else None
        if channel is not None:
            present = channel.present()
            asyncio.get_running_loop().call_soon(session.tell_watching, room, present)

    def watching(self, presence: Presence) -> None:
        """Tell the trackers of a room how many others have its page open."""
        for session in self.by_room.get(presence.room, ()):
            session.tell_watching(presence.room, presence.here)

    def budget(self, account: str) -> RefusalBudget:
        """Return what an account may still get refused."""
        return self.budgets.setdefault(account, RefusalBudget())

    def publish(self, events: Sequence[Event]) -> None:
        """Tell trackers what concerns them."""
        for event in events:
            match event:
                case Appended(entry=entry) if entry.room in self.by_room or entry.kind == "member.joined":
                    self._appended(entry)
                case FrameDecoded(account=account, frame=frame, ok=ok):
                    self._tell(account, decoded_text(frame, ok))
                case FrameErased(account=account, frame=frame):
                    self._tell(account, message_text("frame_deleted", id=frame))
                case CheckpointReleased(room=room, size=size, note=note) if room in self.by_room:
                    text = message_text("checkpoint", room=room, size=size, note=note)
                    for session in self.by_room[room]:
                        session.lane.write_text(text)
                case AccessRevoked(credential=credential):
                    for listed in list(self.by_account.values()):
                        for session in list(listed):
                            if session.credential == credential:
                                session.lane.close(ClosedByServer.SIGN_IN, "signed out")

    def _appended(self, entry: Entry) -> None:
        body = entry.body or {}
        match entry.kind:
            case "tracking.stopped" if body.get("reason") != "stopped":
                text = message_text("stopped", session=body["session"], reason=body["reason"])
                for session in self.by_room[entry.room]:
                    if session.rooms[entry.room] == body["member"]:
                        session.lane.write_text(text)
            case "feedback":
                note = {"room": entry.room, "ref": entry.ref, "text": body.get("text", ""), "by": entry.by}
                for session in self.by_room[entry.room]:
                    own = session.rooms[entry.room]
                    if own != entry.by and body.get("member", own) == own:
                        session.lane.write_text(message_text("note", **note, segment=body.get("segment")))
            case "member.joined" if body.get("side") == Side.FREELANCER:
                for session in self.by_account.get(body["account"], ()):
                    session.greet_again()

    def _tell(self, account: str, text: str) -> None:
        for session in self.by_account.get(account, ()):
            session.lane.write_text(text)

    async def _look(self, resources: Resources) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1
            try:
                await tracking.find_silent(resources)
                if looks % SWEEP_LOOKS == 0:
                    await tracking.stop_silent(resources)
            except WorkroomError as error:
                log.warning("looking for silent trackers failed", error=str(error))
            except Exception:  # the edge: the next look may succeed
                log.exception("looking for silent trackers failed")


def _discard(index: dict[str, set[AgentSession]], key: str, session: AgentSession) -> None:
    listed = index.get(key)
    if listed is not None:
        listed.discard(session)
        if not listed:
            del index[key]


async def agent_endpoint(websocket: WebSocket) -> None:
    """`GET /agent`: authenticate the tracker, accept, and give the connection to a session."""
    resources: Resources = websocket.app.state.resources
    agents: Agents = websocket.app.state.agents
    credential = await _authenticate(resources, websocket)
    await websocket.accept()
    if credential is None:
        await websocket.close(ClosedByServer.SIGN_IN, "pair this device first")
        return
    open_already = len(agents.by_account.get(credential.actor.account, ()))
    if open_already >= resources.settings.connections_per_account_max:
        await websocket.close(ClosedByServer.TOO_MANY, "too many connections")
        return
    agents.start(resources, websocket.app.state.hub)
    await adopt(websocket, lambda lane: AgentSession(agents, resources, lane, credential))


async def _authenticate(resources: Resources, websocket: WebSocket) -> Credential | None:
    """Return whose tracker this is: by a device token, or, for a browser, by the cookie of a page of ours."""
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() == "bearer":
            return await accounts.credential_of_token(resources, token.strip(), "device")
        if is_same_origin(websocket, resources.settings.base_url):
            cookie = websocket.cookies.get(accounts.SESSION_COOKIE, "")
            return await accounts.credential_of_session(resources, cookie)
    except NotSignedIn:
        pass
    return None
