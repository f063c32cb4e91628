"""Who may do what (PRODUCT, section 1): every role, with every kind, through both entrances, in every state of a room.

Rule 1: the table is written out here and never read from the code.
Rule 2: what may be written is really written; what may not leaves the record as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import websockets

from app.config import Settings
from app.domain.errors import Forbidden, OthersToAnswer
from app.domain.events import KINDS
from app.domain.matters import ANSWERS, TAKING_BACK
from app.domain.workrooms import RoomState, Side
from app.services import accounts, record, room_closing, second_factor, workrooms
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from app.views.compose import FORMS, parts_of
from app.views.compose_parts import Field, typed_of_body
from tests.agreements import agree, write
from tests.bodies import CLIENT, FREELANCER, body_for
from tests.builders import Pair, build_account
from tests.conftest import NOW
from tests.live import Live, ViewerClient, live_server
from tests.services.test_second_factor import code_at

ROLES = ("client", "freelancer", "second client", "mediator", "stranger", "operator")
BOTH = frozenset({"client", "freelancer", "second client"})
CLIENTS = frozenset({"client", "second client"})
OWN = frozenset({"freelancer"})

# "message, agreement, transcript, availability, delay, correction, feedback": both sides.
# "propose and answer terms, milestones, members": both sides, never one's own proposal.
# "track, comment on time, deliver, status report": the freelancer. "accept a delivery": the client.
# A mediator writes questions and decisions only; the operator who is no member reads metadata only.
MAY_WRITE: dict[str, frozenset[str]] = {
    "message": BOTH,
    "agreement": BOTH,
    "correction": BOTH,
    "feedback": BOTH,
    "availability": BOTH,
    "delay": BOTH,
    "delay.accepted": BOTH,
    "delay.declined": BOTH,
    "transcript": BOTH,
    "transcript.confirmed": BOTH,
    "transcript.contested": BOTH,
    "terms.proposed": BOTH,
    "terms.accepted": BOTH,
    "terms.declined": BOTH,
    "terms.withdrawn": BOTH,
    "milestone.proposed": BOTH,
    "milestone.accepted": BOTH,
    "milestone.declined": BOTH,
    "milestone.withdrawn": BOTH,
    "member.proposed": BOTH,
    "member.approved": BOTH,
    "member.declined": BOTH,
    "member.withdrawn": BOTH,
    "disclosure.requested": BOTH,
    "disclosure.approved": BOTH,
    "disclosure.declined": BOTH,
    "handover": BOTH,
    "work_view.requested": CLIENTS,
    "work_view.accepted": OWN,
    "work_view.declined": OWN,
    "deliverable": OWN,
    "deliverable.accepted": CLIENTS,
    "deliverable.changes_requested": CLIENTS,
    "comment": OWN,
    "status_report": OWN,
}
# Before there are terms the work has not begun: these are refused, and there is nothing that these could answer.
BEFORE_TERMS = {
    "deliverable": "forbidden",
    "delay": "forbidden",
    "status_report": "forbidden",
    "milestone.proposed": "forbidden",
    "work_view.requested": "invalid_body",
    "deliverable.accepted": "invalid_body",
    "deliverable.changes_requested": "invalid_body",
    "delay.accepted": "invalid_body",
    "delay.declined": "invalid_body",
    "milestone.accepted": "invalid_body",
    "milestone.declined": "invalid_body",
    "milestone.withdrawn": "invalid_body",
    "work_view.accepted": "invalid_body",
    "work_view.declined": "invalid_body",
}

STATUS_MEANS = {303: "written", 403: "forbidden", 404: "not_found", 409: "room_closed", 422: "invalid_body"}


def expected(role: str, kind: str, state: RoomState) -> str:
    """Return what becomes of an entry: "written", or the code of its refusal."""
    if role in ("stranger", "operator"):
        return "not_found"
    if role not in MAY_WRITE.get(kind, frozenset()):
        return "forbidden"
    if state is RoomState.CLOSED:
        return "room_closed"
    return BEFORE_TERMS.get(kind, "written") if state is RoomState.NEGOTIATING else "written"


@dataclass(frozen=True)
class Cast:
    """Everybody, by role."""

    live: Live
    people: dict[str, Actor]
    sessions: dict[str, str]

    async def room(self, state: RoomState, kind: str = "") -> str:
        """Open a workroom of these people in a state, with terms that allow what `kind` needs."""
        resources = self.live.resources
        client, freelancer = self.people["client"].account, self.people["freelancer"].account
        room = await workrooms.open_room(resources, client, freelancer, f"{kind} {state.value}")
        await workrooms.join(resources, self.people["second client"].account, room, Side.CLIENT)
        await workrooms.join(resources, self.people["mediator"].account, room, Side.MEDIATOR)
        pair = Pair(room, self.people["client"], self.people["freelancer"])
        if state is not RoomState.NEGOTIATING:
            fixed = {"pay": "fixed"} if kind.startswith("milestone.") else {}
            await agree(resources, pair, work_view=not kind.startswith("work_view."), **fixed)
        if state is RoomState.CLOSED:
            await room_closing.close_room(resources, pair.client, room)
        return room

    async def ref(self, room: str, role: str, kind: str) -> int | None:
        """Return an entry that `kind` can be about: what the other side asks, or what is taken back or corrected."""
        if kind == "correction":
            return (await write(self.live.resources, self.people[role], room, "message")).seq
        if kind not in ANSWERS:
            return None
        is_client = role in CLIENTS
        by_client = is_client if kind in TAKING_BACK else not is_client
        asker = self.people["client" if by_client else "freelancer"]
        return (await write(self.live.resources, asker, room, ANSWERS[kind])).seq

    async def head(self, room: str) -> int:
        return (await record.page(self.live.resources, self.people["client"], room, limit=1)).head


@pytest.fixture(scope="module")
async def cast(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cast]:
    data = tmp_path_factory.mktemp("who") / "data"
    settings = Settings(data=data, port=0, origin="test.example", says_per_second_max=100_000)
    async with live_server(settings, ManualClock(NOW)) as live:
        names = ("Dana Keller", "Ana Novak", "Cleo Marsh", "Mia Lang", "Sam Stone")
        people = dict(zip(ROLES, [await build_account(live.resources, name) for name in names], strict=False))
        people["operator"] = await accounts.create_account(
            live.resources, "operator@example.org", "Opal Reed", "correct horse", operator=True
        )
        browser = Client("127.0.0.1", "browser")
        sessions = {
            role: await accounts.sign_in(live.resources, actor.email, "correct horse", browser)
            for role, actor in people.items()
        }
        operator = people["operator"]  # opens no page without a second factor
        await second_factor.begin(live.resources, operator)
        set_up = (await second_factor.factor_of(live.resources, operator)).set_up
        assert set_up is not None
        code = code_at(set_up.secret, live.resources.clock.real_now())
        await second_factor.confirm(live.resources, sessions["operator"].credential, code)
        yield Cast(live, people, {role: signed.token for role, signed in sessions.items()})


@asynccontextmanager
async def browser_of(cast: Cast, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """Be signed in as in a browser, by a cookie."""
    cookies, headers = {SESSION_COOKIE: cast.sessions[role]}, {"Origin": cast.live.url}
    async with httpx.AsyncClient(base_url=cast.live.url, cookies=cookies, headers=headers, timeout=10) as http:
        yield http


def message(role: str, kind: str, ref: int | None, cid: str) -> dict[str, Any]:
    """Return what is sent: the same for both entrances."""
    body = body_for(kind, **({"to": CLIENT if role == "freelancer" else FREELANCER} if kind == "handover" else {}))
    return {"kind": kind, "body": body, "cid": cid} | ({} if ref is None else {"ref": ref})


def form_of(room: str, sent: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return where the page's form for such an entry goes, and its fields."""
    kind, body = sent["kind"], sent["body"]
    fields = {"cid": sent["cid"], "ref": str(sent.get("ref", ""))}
    if kind in FORMS:
        parts = parts_of(FORMS[kind])
        for part in parts:  # a select that nobody touched says its first choice
            if isinstance(part, Field) and part.type == "select" and part.required and isinstance(part.options, tuple):
                fields[part.name] = part.options[0][0]
        typed = typed_of_body(parts, body, str(body.get("currency", "EUR")))
        return f"/rooms/{room}/compose/{kind}", fields | typed.values
    if kind == "transcript":
        lines = [{"who": line["who"], "at": "", "text": line["text"]} for line in body["lines"]]
        said = {name: [line[name] for line in lines] for name in ("who", "at", "text")}
        return f"/rooms/{room}/transcripts", fields | said | {"medium": body["medium"], "title": body["title"]}
    return f"/rooms/{room}/entries", fields | {"kind": kind} | {name: str(value) for name, value in body.items()}


async def try_page(http: httpx.AsyncClient, room: str, sent: dict[str, Any]) -> str:
    """Send it as a page without script does: a form that is answered with another page."""
    address, fields = form_of(room, sent)
    answer = await http.post(address, data=fields)
    if answer.status_code == 303:
        assert answer.headers["location"].startswith(f"/rooms/{room}#e-"), answer.headers["location"]
    return STATUS_MEANS.get(answer.status_code, str(answer.status_code))


async def try_socket(viewer: ViewerClient, room: str, sent: dict[str, Any]) -> str:
    """Send it as a live page does, over the socket."""
    await viewer.send({"t": "say", "room": room, **sent})
    while True:
        answer = await viewer.next()
        if answer.get("cid") == sent["cid"] and answer["t"] in ("ok", "error"):
            return "written" if answer["t"] == "ok" else str(answer["code"])


async def written_in(cast: Cast, rooms: dict[str, str], state: RoomState, kind: str) -> str:
    """Return a workroom to write in: a new one for what can be done once only."""
    if kind.startswith("work_view.") or (kind == "terms.accepted" and state is RoomState.NEGOTIATING):
        return await cast.room(state, kind)
    terms = "milestone." if kind.startswith("milestone.") else ""
    if terms not in rooms:
        rooms[terms] = await cast.room(state, terms)
    return rooms[terms]


def test_the_table_names_kinds_that_there_are() -> None:
    assert MAY_WRITE.keys() < KINDS.keys()
    assert BEFORE_TERMS.keys() < MAY_WRITE.keys()


@pytest.mark.parametrize("state", list(RoomState))
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_writes_what_the_table_says(cast: Cast, role: str, state: RoomState) -> None:
    shared = await cast.room(state)
    head = await cast.head(shared)
    outcomes: dict[tuple[str, str], str] = {}
    wanted: dict[tuple[str, str], str] = {}
    rooms: dict[str, str] = {}  # in which something is written, by the terms that they have
    actor = cast.people[role]
    try:
        async with cast.live.viewer(actor) as viewer, browser_of(cast, role) as http:
            for number, kind in enumerate(sorted(KINDS)):
                want = expected(role, kind, state)
                for entrance in ("page", "socket"):
                    room, ref = shared, 0 if kind in ANSWERS or kind == "correction" else None
                    if want == "written":
                        room = await written_in(cast, rooms, state, kind)
                        ref = await cast.ref(room, role, kind)
                    sent = message(role, kind, ref, f"{entrance}-{number}")
                    wanted[kind, entrance] = want
                    if entrance == "page":
                        outcomes[kind, entrance] = await try_page(http, room, sent)
                    else:
                        outcomes[kind, entrance] = await try_socket(viewer, room, sent)
    except websockets.ConnectionClosed as closed:
        pytest.fail(f"the socket ended: {closed}")
    assert {key: (got, wanted[key]) for key, got in outcomes.items() if got != wanted[key]} == {}
    assert await cast.head(shared) == head


@pytest.mark.parametrize("kind", sorted({ANSWERS[kind] for kind in ANSWERS} - {"handover"}))
async def test_nobody_answers_their_own_side(cast: Cast, kind: str) -> None:
    for role in sorted(MAY_WRITE[kind]):
        room = await cast.room(RoomState.ACTIVE, kind)
        asked = await write(cast.live.resources, cast.people[role], room, kind)
        other = {"client": "second client", "second client": "client", "freelancer": "freelancer"}[role]
        for answer in sorted(a for a, about in ANSWERS.items() if about == kind and a not in TAKING_BACK):
            with pytest.raises((OthersToAnswer, Forbidden)):
                await write(cast.live.resources, cast.people[other], room, answer, asked.seq)
