"""What is agreed and what waits, at the side of a workroom: terms in short, milestones, open matters.

Rule 1: the page includes it; its script asks for it again when an entry came that may have changed it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.money import Money
from app.domain.terms import MilestoneState, Terms
from app.domain.workrooms import RoomInfo
from app.services import matters, terms
from app.views.home import shown_matter
from app.views.money import money_text
from app.views.names import first_name
from app.views.rendering import days_text, page
from app.web.parts import Looking, looking_at

WAITING_SHOWN = 5
MILESTONES_SHOWN = 8
STEPS = {MilestoneState.AGREED: 1, MilestoneState.DELIVERED: 2, MilestoneState.ACCEPTED: 3}


async def agreed_context(looking: Looking) -> dict[str, Any]:
    """Return what the part shows."""
    resources, actor, room = looking.resources, looking.actor, looking.room
    every, waiting = await asyncio.gather(
        terms.terms_of_room(resources, actor, room.id), matters.matters_of(resources, actor, room.id)
    )
    return {
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


def _short(version: Terms, room: RoomInfo) -> dict[str, str]:
    """Return a freelancer's terms in two lines."""
    what = version.what
    if what.pay == "hourly":
        limit = f"{what.weekly_limit_hours} h a week" if what.weekly_limit_hours else "no weekly limit"
        said, more = f"{money_text(Money(what.rate_minor or 0, what.currency))} an hour", limit
    else:
        total = sum(m.amount_minor for m in what.milestones)
        said, more = f"{money_text(Money(total, what.currency))} fixed", f"{len(what.milestones)} milestones"
    view = "Work View asked for" if what.work_view else "without Work View"
    return {"name": first_name(room, version.member), "said": said, "more": f"{more} · {view}"}


async def show_side(request: Request) -> Response:
    """`GET /rooms/<room>/side`: the part without a page around it."""
    looking = await looking_at(request)
    return HTMLResponse(page("_agreed.html", room=looking.room, member=looking.member, **await agreed_context(looking)))


routes = [Route("/rooms/{room}/side", show_side)]
