"""The side of a workroom: who works, what waits, terms in short, milestones, this week's hours, the proof.

Rule 1: the page includes it; its script asks for what is agreed again when an entry came that may have changed it.
Rule 2: where the screen has no room for it beside the timeline, it is a page of its own at the same address.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.checkpoint import parse_checkpoint
from app.domain.money import Money
from app.domain.terms import MilestoneState, Terms
from app.domain.workrooms import PARTIES, RoomInfo, Side
from app.services import matters, terms, workview
from app.services.checkpoints import latest_checkpoint
from app.views.home import shown_matter
from app.views.money import money_text
from app.views.names import first_name
from app.views.presence import proof_html
from app.views.rendering import days_text, page
from app.web.parts import Looking, looking_at, my_rooms, room_context

WAITING_SHOWN = 5
MILESTONES_SHOWN = 8
STEPS = {MilestoneState.AGREED: 1, MilestoneState.DELIVERED: 2, MilestoneState.ACCEPTED: 3}


async def side_context(looking: Looking) -> dict[str, Any]:
    """Return what the side shows, beyond what every page of a room has."""
    room = looking.room
    agreed, week, note = await asyncio.gather(
        agreed_context(looking), _week(looking), latest_checkpoint(looking.resources, looking.actor, room.id)
    )
    return {
        **agreed,
        "invite": not all(room.on_side(side) for side in PARTIES),
        "week": week,
        "proof": proof_html(room.id, parse_checkpoint(note).size, note.decode()),
    }


async def agreed_context(looking: Looking) -> dict[str, Any]:
    """Return what is agreed and what waits."""
    resources, actor, room = looking.resources, looking.actor, looking.room
    every, waiting = await asyncio.gather(
        terms.terms_of_room(resources, actor, room.id), matters.matters_of(resources, actor, room.id)
    )
    return {
        "pays": every.pays,
        "short_terms": [_short(versions[-1], room) for versions in every.versions.values() if versions],
        "milestones": [
            {
                "name": m.name,
                "amount": money_text(Money(m.amount_minor, m.currency)),
                "due": days_text(m.due_on, m.due_on),
                "state": m.state.value,
                "step": STEPS[m.state],
            }
            for m in every.milestones[:MILESTONES_SHOWN]
        ],
        "milestones_more": max(0, len(every.milestones) - MILESTONES_SHOWN),
        "waiting_here": [shown_matter(matter, room) for matter in waiting[:WAITING_SHOWN]],
        "waiting_more": max(0, len(waiting) - WAITING_SHOWN),
    }


def _short(version: Terms, room: RoomInfo) -> dict[str, Any]:
    """Return a freelancer's terms in two lines."""
    what = version.what
    if what.pay == "hourly":
        limit = f"{what.weekly_limit_hours} h a week" if what.weekly_limit_hours else "no weekly limit"
        said, more = f"{money_text(Money(what.rate_minor or 0, what.currency))} an hour", limit
    else:
        total = sum(m.amount_minor for m in what.milestones)
        said, more = f"{money_text(Money(total, what.currency))} fixed", f"{len(what.milestones)} milestones"
    view = "Work View asked for" if what.work_view else "without Work View"
    return {
        "name": first_name(room, version.member),
        "said": said,
        "more": f"{more} · {view}",
        "restricted": what.restricted,
    }


async def _week(looking: Looking) -> list[dict[str, Any]]:
    """Return this week's hours of each freelancer."""
    made = []
    weeks = await workview.weeks(looking.resources, looking.actor, looking.room.id)
    for member in looking.room.on_side(Side.FREELANCER):
        documented = sum(day.documented_ms for day in weeks[member.by])
        tracked = sum(day.tracked_ms for day in weeks[member.by])
        made.append(
            {
                "name": member.name,
                "total_ms": documented + tracked,
                "documented_ms": documented,
                "tracked_ms": tracked,
            }
        )
    return made


async def show_side(request: Request) -> Response:
    """`GET /rooms/<room>/side`: the side as a page; for the page's script what is agreed, without a page around it."""
    looking = await looking_at(request)
    if "hx-request" in request.headers:
        agreed = await agreed_context(looking)
        return HTMLResponse(page("_agreed.html", room=looking.room, member=looking.member, **agreed))
    summaries, _ = await my_rooms(looking)
    around, side = await asyncio.gather(room_context(looking, summaries), side_context(looking))
    return HTMLResponse(page("side.html", request=request, actor=looking.actor, **around, **side))


routes = [Route("/rooms/{room}/side", show_side)]
