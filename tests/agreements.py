"""Builders of agreements: a workroom with terms, and an open matter of every kind, made through the services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.matters import TAKING_BACK, TRANSITIONS, MatterState
from app.domain.record import Entry
from app.services import record
from app.services.access import Actor
from app.services.resources import Resources
from tests.bodies import body_for, fixed_terms, hourly_terms
from tests.builders import Pair, build_pair

BY_FREELANCER = frozenset({"deliverable", "delay", "transcript"})  # who asks here; the other kinds the client
NEEDS_FIXED = frozenset({"milestone.proposed"})


@dataclass(frozen=True)
class Asked:
    """An open matter: who asked, and who must answer."""

    pair: Pair
    entry: Entry
    asker: Actor
    answerer: Actor


async def write(
    resources: Resources,
    actor: Actor,
    room: str,
    kind: str,
    ref: int | None = None,
    cid: str | None = None,
    **body: Any,
) -> Entry:
    """Append an entry with a body that fits; `body` are fields that take the place of its own."""
    return await record.append(resources, actor, room, kind, body_for(kind, **body), ref, cid)


async def agree(resources: Resources, pair: Pair, **terms: Any) -> Entry:
    """Propose terms as the client, and accept them as the freelancer; hourly unless `pay` says otherwise."""
    now = resources.clock.record_now()
    body = fixed_terms(now, **terms) if terms.get("pay") == "fixed" else hourly_terms(**terms)
    proposed = await record.append(resources, pair.client, pair.room, "terms.proposed", body)
    return await write(resources, pair.freelancer, pair.room, "terms.accepted", proposed.seq)


async def build_working(resources: Resources, title: str = "Harbour booking site", **terms: Any) -> Pair:
    """Open a workroom of Dana and Ana, with terms that both accepted."""
    pair = await build_pair(resources, title)
    await agree(resources, pair, **terms)
    return pair


async def build_asked(resources: Resources, kind: str, **body: Any) -> Asked:
    """Open a workroom with terms, and in it a matter of this kind."""
    terms: dict[str, Any] = {"pay": "fixed"} if kind in NEEDS_FIXED else {"work_view": kind != "work_view.requested"}
    pair = await build_working(resources, kind, **terms)
    if kind == "handover":
        body = {"to": "p2", **body}
    asker, answerer = (pair.freelancer, pair.client) if kind in BY_FREELANCER else (pair.client, pair.freelancer)
    return Asked(pair, await write(resources, asker, pair.room, kind, **body), asker, answerer)


def answers_to(kind: str) -> list[str]:
    """Return how the one who was asked can answer an open matter of this kind."""
    return [answer for answer in TRANSITIONS[kind][MatterState.OPEN] if answer not in TAKING_BACK]
