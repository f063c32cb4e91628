"""Every address of the server but the sockets and `/healthz`, which the composition root adds."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from app.services.resources import Resources
from app.web import (
    account_api,
    accounts,
    blocks,
    compose,
    confidentiality,
    files,
    handovers,
    home,
    jobs,
    jobs_api,
    members,
    members_api,
    notices,
    operator,
    pairing,
    patterns,
    proposals,
    rooms,
    search,
    settings,
    side,
    sign_in,
    status_reports,
    terms,
    transcripts,
    workview,
)
from app.web.api import API_ROUTES
from app.web.static import serve_static


def routes(resources: Resources) -> list[BaseRoute]:
    """Return the routes of pages, forms, pictures, static files and the JSON API."""
    return [
        *home.routes,
        *notices.routes,
        *status_reports.routes,
        *sign_in.routes,
        *accounts.routes,
        *settings.routes,
        *pairing.routes,
        *search.routes,
        *jobs.routes,
        *proposals.routes,
        *blocks.routes,
        *operator.routes,
        *rooms.routes,
        *compose.routes,
        *side.routes,
        *workview.routes,
        *terms.routes,
        *files.routes,
        *transcripts.routes,
        *handovers.routes,
        *members.routes,
        *confidentiality.routes,
        *patterns.routes,
        *API_ROUTES,
        *account_api.api_routes,
        *search.api_routes,
        *jobs_api.api_routes,
        *workview.api_routes,
        *status_reports.api_routes,
        *terms.api_routes,
        *members_api.api_routes,
        *files.api_routes,
        Route("/static/{path:path}", serve_static),
    ]
