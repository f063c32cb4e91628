"""Patterns: every component in every state, with made-up data. The place to judge the look; a test renders it too."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.domain.timerange import MINUTE_MS
from app.services.access import Actor
from app.views.cells import cells_html, total_html
from app.views.compose import offers
from app.views.entries import entry_rows
from app.views.presence import proof_html, seen_html, typing_html, who_html
from app.views.rendering import page
from app.views.samples import (
    CLIENT,
    FREELANCER,
    HOUR,
    ROOM,
    SAMPLE_ENTRIES,
    SAMPLE_MATTERS,
    SAMPLE_ROOM,
    SEGMENT,
    sample_cells,
    sample_trackers,
)
from app.views.trackers import now_html, tracker_html
from app.web.parts import Draft

SCREENS = ("editor", "browser", "terminal")  # drawings that stand for frames
_THUMBNAIL = re.compile(rf"/rooms/{ROOM}/frames/(\d+)/thumbnail(?:\?ready)?")


async def show_patterns(request: Request) -> Response:
    """`GET /patterns`: needs no account, shows nobody's data."""
    return HTMLResponse(patterns_html(request))


def patterns_html(request: Request | None = None) -> str:
    """Return the page of all components."""
    room, cells = SAMPLE_ROOM, sample_cells()
    trackers = sample_trackers()
    html = page(
        "patterns.html",
        request=request,
        actor=Actor("a" * 26, "Dana Keller", "dana@example.org"),
        room=room,
        member=room.members[FREELANCER],
        rows=entry_rows(SAMPLE_ENTRIES, room, matters=SAMPLE_MATTERS),
        cells=[cells_html(cells[:5], room), cells_html(cells[5:], room, [True] * 4 + [False])],
        totals=[
            total_html(ROOM, FREELANCER, HOUR, 42 * MINUTE_MS, 12 * MINUTE_MS, False),
            total_html(ROOM, FREELANCER, HOUR + 1, 60 * MINUTE_MS, 0, True),
        ],
        trackers=[tracker_html(state, room) for state in trackers],
        pills=[now_html(state, room) for state in trackers],
        who=who_html(room, (CLIENT,)),
        typing=typing_html(room, FREELANCER),
        seen=seen_html(room, FREELANCER, 28),
        proof=proof_html(ROOM, 29, "harbour.example/room\n29\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"),
        cid="0" * 32,
        other="Dana",
        draft=Draft(),
        problem="Name the number of the entry that you correct.",
        offers=offers(room, room.members[FREELANCER], {FREELANCER: "hourly"}),
        segments=list(range(SEGMENT, SEGMENT + 5)),
    )
    return _THUMBNAIL.sub(lambda m: f"/static/samples/{SCREENS[int(m[1]) % len(SCREENS)]}.svg", html)


routes = [Route("/patterns", show_patterns)]
