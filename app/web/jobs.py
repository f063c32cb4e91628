"""Pages of jobs: find, read, post, edit, close, invite.

Rule 1: everything works as a plain form; a refused form comes back with everything that was typed and the sentence.
Rule 2: a job is shown before it is posted: the page of the preview carries the form's fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotFound, WorkroomError
from app.domain.jobs import (
    DESCRIPTION_CHARS_MAX,
    JOB_STEPS,
    NOTE_CHARS_MAX,
    PROPOSAL_CHARS_MAX,
    JobStep,
    Offer,
    Pay,
    ProposalState,
)
from app.services import job_invitations, jobs, mail
from app.services.jobs import JobSearch, JobView
from app.views import jobs as views
from app.views.rendering import page
from app.views.text import rich_text
from app.web.errors import retry_headers, status_of
from app.web.middleware import actor_of, resources_of

FIELDS_MAX = 40  # more than any form here has
FIELD_CHARS_MAX = 20_000  # beyond every limit of the services, so that they name what is too long
_TYPED = tuple(views.EMPTY_FORM)
VIEWS = {"all": "All jobs", "invited": "For you", "proposed": "My proposals", "mine": "My jobs"}


async def list_jobs(request: Request) -> Response:
    """`GET /jobs?view=&q=&pay=&open=&page=`: jobs that one sees, the newest first."""
    actor, query = actor_of(request), request.query_params
    search = JobSearch(
        text=query.get("q", "")[:200],
        pay=next((pay for pay in Pay if pay.value == query.get("pay")), None),
        open_only="open" in query,
        view=query.get("view", "all") if query.get("view") in VIEWS else "all",
        page=int(query.get("page", "1"))
        if query.get("page", "1").isdecimal() and len(query.get("page", "1")) < 4
        else 1,
    )
    found = await jobs.find_jobs(resources_of(request), actor, search)
    return _page(request, "list", search=search, found=found, views=VIEWS, me=actor.account)


async def show_job(request: Request) -> Response:
    """`GET /jobs/<job>`: a job, and what one can do with it; `?version=` shows what a proposal answered."""
    return await job_page(request)


async def job_page(
    request: Request,
    error: WorkroomError | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    job: str | None = None,
    about: str = "",
    link: job_invitations.Invited | None = None,
) -> Response:
    """Return the page of a job; `typed` and `error` are of the form `about` ("proposal", "invite" or "")."""
    resources, actor = resources_of(request), actor_of(request)
    asked = number_of(request.query_params.get("version", ""), 0) or None
    view = await jobs.job_view(resources, actor, job or request.path_params["job"], asked)
    shown = view.asked or view.job.offer
    return _page(
        request,
        "job",
        error,
        view=view,
        job=view.job,
        offer=shown,
        facts=facts_of(shown),
        description=rich_text(shown.description),
        may_propose=_may_propose(view),
        mine_html=rich_text(view.mine.text) if view.mine else "",
        mine_amount=views.amount_of(view.mine, view.job.offer) if view.mine else "",
        mine_soon=views.SOON[view.mine.soon] if view.mine else "",
        steps=JOB_STEPS[view.job.state],
        step=JobStep,
        soon=views.SOON,
        typed=typed or {},
        about=about,
        link=link,
        mail_note=mail.folder_note(resources),
        proposal_chars_max=PROPOSAL_CHARS_MAX,
        note_chars_max=NOTE_CHARS_MAX,
    )


def _may_propose(view: JobView) -> bool:
    return (
        not view.is_client
        and view.asked is None
        and JobStep.PROPOSE in JOB_STEPS[view.job.state]
        and view.job.hidden_at is None
        and (view.mine is None or view.mine.state is ProposalState.WITHDRAWN)
    )


def facts_of(offer: Offer) -> list[tuple[str, str, str]]:
    """Return what a job says at a glance: icon, name, value."""
    work_view = ("monitor-play", "asked for") if offer.work_view else ("monitor-off", "not asked for")
    found = [
        ("badge-check" if offer.pay is Pay.FIXED else "timer", "Pay", views.pay_text(offer)),
        ("hourglass", "Hours", views.hours_text(offer)),
        ("calendar", "Start", views.start_text(offer)),
        ("globe", "Time zone", offer.time_zone),
        (work_view[0], "Work View", work_view[1]),
    ]
    return [fact for fact in found if fact[2]]


# Posting and editing


async def show_new(request: Request) -> Response:
    """`GET /jobs/new`: the empty form."""
    actor_of(request)
    return _form_page(request, views.EMPTY_FORM, jobs.new_id(resources_of(request)))


async def post_job(request: Request) -> Response:
    """`POST /jobs/new`: preview, back to the form, or post; which is what the button says."""
    resources, actor = resources_of(request), actor_of(request)
    form = await form_fields(request)
    typed, made = _typed(form), form.get("job", "")
    if form.get("act") == "edit":
        return _form_page(request, typed, made)
    try:
        offer = jobs.offer_of(resources, typed)
        if form.get("act") != "post":
            return _preview_page(request, offer, typed, made)
        job = await jobs.post_job(resources, actor, offer, made)
    except WorkroomError as error:
        return _form_page(request, typed, made, error)
    return RedirectResponse(f"/jobs/{job}?done=posted", 303)


async def show_edit(request: Request) -> Response:
    """`GET /jobs/<job>/edit`: the form with what the job offers."""
    view = await _own(request)
    if JobStep.EDIT not in JOB_STEPS[view.job.state]:
        return RedirectResponse(f"/jobs/{view.job.id}", 303)
    return _form_page(request, views.form_of(view.job.offer), view.job.id, version=view.job.version)


async def edit_job(request: Request) -> Response:
    """`POST /jobs/<job>/edit`: preview, back to the form, or save."""
    resources, actor = resources_of(request), actor_of(request)
    view = await _own(request)
    form = await form_fields(request)
    typed, job = _typed(form), view.job.id
    version = number_of(form.get("version", ""), 0)
    if form.get("act") == "edit":
        return _form_page(request, typed, job, version=version)
    try:
        offer = jobs.offer_of(resources, typed)
        if form.get("act") != "post":
            return _preview_page(request, offer, typed, job, version=version)
        await jobs.edit_job(resources, actor, job, version, offer)
    except WorkroomError as error:
        return _form_page(request, typed, job, error, version=view.job.version)  # who saves again has read it
    return RedirectResponse(f"/jobs/{job}?done=edited", 303)


async def close_job(request: Request) -> Response:
    """`POST /jobs/<job>/close`."""
    job = request.path_params["job"]
    try:
        await jobs.close_job(resources_of(request), actor_of(request), job)
    except NotFound:
        raise
    except WorkroomError as error:
        return await job_page(request, error)
    return RedirectResponse(f"/jobs/{job}?done=closed", 303)


async def invite(request: Request) -> Response:
    """`POST /jobs/<job>/invitations`: invite an address; the page shows the link once."""
    form = await form_fields(request)
    job = request.path_params["job"]
    try:
        link = await job_invitations.invite_to_job(resources_of(request), actor_of(request), job, form.get("email", ""))
    except NotFound:
        raise
    except WorkroomError as error:
        return await job_page(request, error, form, about="invite")
    response = await job_page(request, link=link)
    response.headers["cache-control"] = "no-store"
    return response


async def show_job_invitation(request: Request) -> Response:
    """`GET /job-invitations/<token>`: what a link invites to, and the way in."""
    token = request.path_params["token"]
    shown = await job_invitations.job_invitation(resources_of(request), token, request.state.actor)
    offer = shown.job.offer
    html = page(
        "jobs/invitation.html",
        request=request,
        actor=request.state.actor,
        token=token,
        job=shown.job,
        facts=facts_of(offer),
        snippet=views.snippet(offer),
    )
    return HTMLResponse(html)


async def take_job_invitation(request: Request) -> Response:
    """`POST /job-invitations/<token>`: from now on this account sees the job."""
    job = await job_invitations.take_job_invitation(
        resources_of(request), actor_of(request), request.path_params["token"]
    )
    return RedirectResponse(f"/jobs/{job}", 303)


routes = [
    Route("/jobs", list_jobs, methods=["GET"]),
    Route("/jobs/new", show_new, methods=["GET"]),
    Route("/jobs/new", post_job, methods=["POST"]),
    Route("/jobs/{job}", show_job, methods=["GET"]),
    Route("/jobs/{job}/edit", show_edit, methods=["GET"]),
    Route("/jobs/{job}/edit", edit_job, methods=["POST"]),
    Route("/jobs/{job}/close", close_job, methods=["POST"]),
    Route("/jobs/{job}/invitations", invite, methods=["POST"]),
    Route("/job-invitations/{token}", show_job_invitation, methods=["GET"]),
    Route("/job-invitations/{token}", take_job_invitation, methods=["POST"]),
]


# Parts


_DONE = {
    "posted": "The job is posted. Those who see it can propose from now on.",
    "edited": "The job was changed. Proposals made before keep the version that they answered.",
    "closed": "The job is closed. Workrooms that it brought about go on.",
    "sent": "Your proposal is sent. You hear from the client here, and in a workroom once they open the messages.",
    "withdrawn": "Your proposal is withdrawn.",
    "declined": "The proposal is declined.",
}


async def form_fields(request: Request) -> dict[str, str]:
    """Return the text fields of a form.

    Raises:
        Malformed: if one is longer than any may be.
    """
    found = {}
    for name, value in (await request.form(max_fields=FIELDS_MAX, max_files=0)).items():
        if not isinstance(value, str) or len(value) > FIELD_CHARS_MAX or "\0" in value:
            raise Malformed("This field is too long, or no text.", field=name[:40])
        found[name] = value
    return found


def number_of(text: str, otherwise: int) -> int:
    """Return the whole number that a field holds, or `otherwise`."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else otherwise


def done_of(request: Request) -> str:
    """Return what was just done, for the page that follows a form."""
    return _DONE.get(request.query_params.get("done", ""), "")


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    return {name: form.get(name, "") for name in _TYPED}


async def _own(request: Request) -> JobView:
    view = await jobs.job_view(resources_of(request), actor_of(request), request.path_params["job"])
    if not view.is_client:
        raise NotFound()
    return view


def _form_page(
    request: Request,
    typed: Mapping[str, str],
    job: str,
    error: WorkroomError | None = None,
    *,
    version: int | None = None,
) -> Response:
    return _page(
        request,
        "form",
        error,
        typed=typed,
        job=job,
        version=version,
        pays=Pay,
        visible=views.VISIBLE,
        currencies=views.CURRENCIES,
        zones=views.ZONES,
        description_chars_max=DESCRIPTION_CHARS_MAX,
        today=jobs.today(resources_of(request)).isoformat(),
    )


def _preview_page(
    request: Request, offer: Offer, typed: Mapping[str, str], job: str, *, version: int | None = None
) -> Response:
    return _page(
        request,
        "preview",
        offer=offer,
        facts=facts_of(offer),
        description=rich_text(offer.description),
        typed=typed,
        job=job,
        version=version,
        visible=views.VISIBLE[offer.visible_to],
    )


def _page(request: Request, template: str, error: WorkroomError | None = None, **context: Any) -> Response:
    status = 200 if error is None else status_of(error)
    html = page(
        f"jobs/{template}.html",
        request=request,
        actor=request.state.actor,
        error=error,
        done=done_of(request),
        pay_text=views.pay_text,
        snippet=views.snippet,
        job_states=views.JOB_STATES,
        proposal_states=views.PROPOSAL_STATES,
        **context,
    )
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))
