"""The JSON API of jobs and proposals (docs/protocol.md, "JSON API").

Rule 1: the same services as the pages; amounts are integers in minor units, and text as people type it where they post.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotSignedIn
from app.domain.jobs import Pay
from app.services import jobs, proposals
from app.services.access import Actor
from app.services.jobs import PAGES_MAX, JobSearch
from app.services.proposals import NewProposal
from app.services.resources import Resources
from app.views.jobs import job_json, proposal_json, summary_json
from app.web.job_schemas import DeclineProposal, EmptyRequest, PostJob, SendProposal

Body = TypeVar("Body", bound=msgspec.Struct)


async def list_jobs_json(request: Request) -> Response:
    """`GET /api/jobs?q=&pay=&open=&view=&page=`"""
    resources, actor = _context(request)
    query = request.query_params
    view, pay, page = query.get("view", "all"), query.get("pay"), query.get("page", "1")
    if view not in ("all", "invited", "proposed", "mine"):
        raise Malformed("`view` is all, invited, proposed or mine.", field="view")
    if pay is not None and pay not in list(Pay):
        raise Malformed("`pay` is hourly or fixed.", field="pay")
    if not page.isascii() or not page.isdecimal() or not 1 <= int(page[:6]) <= PAGES_MAX:
        raise Malformed(f"`page` must lie between 1 and {PAGES_MAX}.", field="page")
    search = JobSearch(
        text=query.get("q", "")[:200],
        pay=Pay(pay) if pay is not None else None,
        open_only=query.get("open", "") == "true",
        view=view,
        page=int(page),
    )
    found = await jobs.find_jobs(resources, actor, search)
    return _json({"jobs": [summary_json(each) for each in found.jobs], "page": found.page, "more": found.more})


async def post_job_json(request: Request) -> Response:
    """`POST /api/jobs`"""
    resources, actor = _context(request)
    wanted = await _posted(request, PostJob)
    form = {name: value for name, value in msgspec.structs.asdict(wanted).items() if isinstance(value, str)}
    offer = jobs.offer_of(resources, {**form, "work_view": "on" if wanted.work_view else ""})
    job = await jobs.post_job(resources, actor, offer, wanted.id)
    return await _job_answer(resources, actor, job, 201)


async def show_job_json(request: Request) -> Response:
    """`GET /api/jobs/<job>`"""
    resources, actor = _context(request)
    return await _job_answer(resources, actor, request.path_params["job"])


async def close_job_json(request: Request) -> Response:
    """`POST /api/jobs/<job>/close`"""
    resources, actor = _context(request)
    await _posted(request, EmptyRequest)
    await jobs.close_job(resources, actor, request.path_params["job"])
    return await _job_answer(resources, actor, request.path_params["job"])


async def list_proposals_json(request: Request) -> Response:
    """`GET /api/jobs/<job>/proposals`"""
    resources, actor = _context(request)
    found = await proposals.proposals_for(resources, actor, request.path_params["job"])
    return _json({"proposals": [proposal_json(listed) for listed in found.proposals]})


async def send_proposal_json(request: Request) -> Response:
    """`POST /api/jobs/<job>/proposals`"""
    resources, actor = _context(request)
    wanted = await _posted(request, SendProposal)
    typed = NewProposal(text=wanted.text, amount=wanted.amount, soon=wanted.soon, version=wanted.version)
    proposal = await proposals.send_proposal(resources, actor, request.path_params["job"], typed)
    return _json({"id": proposal, "job": request.path_params["job"]}, 201)


async def withdraw_proposal_json(request: Request) -> Response:
    """`POST /api/proposals/<proposal>/withdraw`"""
    resources, actor = _context(request)
    await _posted(request, EmptyRequest)
    proposal = request.path_params["proposal"]
    return _json({"id": proposal, "job": await proposals.withdraw_proposal(resources, actor, proposal)})


async def decline_proposal_json(request: Request) -> Response:
    """`POST /api/proposals/<proposal>/decline`"""
    resources, actor = _context(request)
    wanted = await _posted(request, DeclineProposal)
    proposal = request.path_params["proposal"]
    return _json({"id": proposal, "job": await proposals.decline_proposal(resources, actor, proposal, wanted.note)})


async def open_messages_json(request: Request) -> Response:
    """`POST /api/proposals/<proposal>/open`"""
    resources, actor = _context(request)
    await _posted(request, EmptyRequest)
    return _json({"room": await proposals.open_messages(resources, actor, request.path_params["proposal"])})


api_routes = [
    Route("/api/jobs", list_jobs_json, methods=["GET"]),
    Route("/api/jobs", post_job_json, methods=["POST"]),
    Route("/api/jobs/{job}", show_job_json, methods=["GET"]),
    Route("/api/jobs/{job}/close", close_job_json, methods=["POST"]),
    Route("/api/jobs/{job}/proposals", list_proposals_json, methods=["GET"]),
    Route("/api/jobs/{job}/proposals", send_proposal_json, methods=["POST"]),
    Route("/api/proposals/{proposal}/withdraw", withdraw_proposal_json, methods=["POST"]),
    Route("/api/proposals/{proposal}/decline", decline_proposal_json, methods=["POST"]),
    Route("/api/proposals/{proposal}/open", open_messages_json, methods=["POST"]),
]


def _context(request: Request) -> tuple[Resources, Actor]:
    actor: Actor | None = request.state.actor
    if actor is None:
        raise NotSignedIn("Send a bearer token: `Authorization: Bearer …`.")
    resources: Resources = request.app.state.resources
    return resources, actor


async def _posted(request: Request, schema: type[Body]) -> Body:
    """Return the JSON object of a request; none at all is an empty one."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=schema)
    except msgspec.ValidationError as error:
        raise Malformed(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("The body must be a JSON object.") from None


async def _job_answer(resources: Resources, actor: Actor, job: str, status: int = 200) -> Response:
    view = await jobs.job_view(resources, actor, job)
    return _json(job_json(view.job, view.mine.state.value if view.mine else None), status)


def _json(data: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(data), status, media_type="application/json")
