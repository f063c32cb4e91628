"""Pages of reports and blocks: report a job, a proposal, an invitation or a member; whom one blocked; one's reports.

Rule 1: report and block stand on one page, since after a block there is nothing left to report.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.blocks import REASON_CHARS_MAX, Subject
from app.domain.errors import NotFound, WorkroomError
from app.services import blocks
from app.views import jobs as views
from app.views.rendering import page
from app.web.errors import retry_headers, status_of
from app.web.jobs import form_fields
from app.web.middleware import actor_of, resources_of

_CALLED = {
    Subject.JOB: "this job",
    Subject.PROPOSAL: "this proposal",
    Subject.INVITATION: "this invitation",
    Subject.ACCOUNT: "this member",
}
_DONE = {
    "reported": "Thank you. The operator reads your report; the answer will stand here.",
    "blocked": "The account is blocked, and was not told.",
    "unblocked": "The block is gone.",
}


async def show_report(request: Request) -> Response:
    """`GET /report/<subject>/<id>`: what is wrong?"""
    actor_of(request)
    return await _report_page(request, {})


async def send_report(request: Request) -> Response:
    """`POST /report/<subject>/<id>`: report, report and block, or only block; which is what the button says."""
    resources, actor = resources_of(request), actor_of(request)
    subject, subject_id = _named(request)
    form = await form_fields(request)
    try:
        if form.get("act") == "block":
            thing = await blocks.reportable(resources, actor, subject, subject_id)
            await blocks.block_account(resources, actor, thing.account)
            return RedirectResponse("/reports?done=blocked", 303)
        await blocks.report(
            resources,
            actor,
            subject,
            subject_id,
            form.get("reason", ""),
            form.get("text", ""),
            block=form.get("block") == "on",
        )
    except NotFound:
        raise
    except WorkroomError as error:
        return await _report_page(request, form, error)
    return RedirectResponse("/reports?done=reported", 303)


async def list_reports(request: Request) -> Response:
    """`GET /reports`: what one reported, with the answers; and whom one blocked."""
    resources, actor = resources_of(request), actor_of(request)
    html = page(
        "jobs/reports.html",
        request=request,
        actor=actor,
        reports=await blocks.my_reports(resources, actor),
        blocked=await blocks.blocks_of(resources, actor),
        reasons={reason.value: told for reason, told in views.REASONS.items()},
        called={subject.value: told for subject, told in _CALLED.items()},
        answer_of=views.report_answer,
        done=_DONE.get(request.query_params.get("done", ""), ""),
    )
    return HTMLResponse(html)


async def unblock(request: Request) -> Response:
    """`POST /blocks/<account>/remove`."""
    await blocks.unblock_account(resources_of(request), actor_of(request), request.path_params["account"])
    return RedirectResponse("/reports?done=unblocked", 303)


routes = [
    Route("/report/{subject}/{id}", show_report, methods=["GET"]),
    Route("/report/{subject}/{id}", send_report, methods=["POST"]),
    Route("/reports", list_reports, methods=["GET"]),
    Route("/blocks/{account}/remove", unblock, methods=["POST"]),
]


def _named(request: Request) -> tuple[Subject, str]:
    try:
        return Subject(request.path_params["subject"]), request.path_params["id"]
    except ValueError:
        raise NotFound() from None


async def _report_page(request: Request, typed: Mapping[str, str], error: WorkroomError | None = None) -> Response:
    subject, subject_id = _named(request)
    thing = await blocks.reportable(resources_of(request), actor_of(request), subject, subject_id)
    status = 200 if error is None else status_of(error)
    html = page(
        "jobs/report.html",
        request=request,
        actor=request.state.actor,
        error=error,
        thing=thing,
        called=_CALLED[subject],
        reasons=views.REASONS,
        typed={name: typed.get(name, "") for name in ("reason", "text", "block")},
        reason_chars_max=REASON_CHARS_MAX,
    )
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))
