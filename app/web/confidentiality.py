"""Confidentiality as a page: the policy and who accepted it, what may be told outside, who took restricted things away.

Rule 1: nothing is decided here; services refuse, this shows.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.policy import POLICY_TEXT, POLICY_VERSION, policy_digest
from app.services import confidentiality
from app.views.matters import WORDS, who_must_act
from app.views.names import name_of
from app.views.rendering import page
from app.web.parts import looking_at


async def show_confidentiality(request: Request) -> Response:
    """`GET /rooms/<room>/confidentiality`"""
    looking = await looking_at(request)
    found = await confidentiality.confidentiality(looking.resources, looking.actor, looking.room.id)
    room = looking.room
    html = page(
        "confidentiality/confidentiality.html",
        request=request,
        actor=looking.actor,
        room=room,
        member=looking.member,
        found=found,
        words=WORDS,
        name=lambda by: name_of(room, by),
        who=lambda matter: who_must_act(matter, room),
        version=POLICY_VERSION,
        digest=policy_digest(),
        paragraphs=[line for line in POLICY_TEXT.split("\n") if line],
    )
    return HTMLResponse(html)


routes = [Route("/rooms/{room}/confidentiality", show_confidentiality)]
