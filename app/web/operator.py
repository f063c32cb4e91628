"""Pages of the operator: the reports of users, and what is done about each.

Rule 1: who is no operator finds nothing here.
Rule 2: the operator reads what was reported, and nothing of any workroom.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.blocks import REPORT_STEPS, ReportState, ReportStep, Subject
from app.domain.errors import NotFound, WorkroomError
from app.domain.jobs import NOTE_CHARS_MAX
from app.services import blocks
from app.services.access import Actor
from app.views import jobs as views
from app.views.rendering import page
from app.views.text import rich_text
from app.web.errors import retry_headers, status_of
from app.web.jobs import form_fields
from app.web.middleware import actor_of, resources_of

_DONE = {
    "dismiss": "The report is dismissed; its author reads your answer.",
    "hide": "It is hidden. Its author sees it with your answer, and every report about it is answered.",
}


async def list_reports(request: Request) -> Response:
    """`GET /operator/reports?all`: reports that wait, or all."""
    return await _page(request)


async def answer_report(request: Request) -> Response:
    """`POST /operator/reports/<report>/<step>`: dismiss a report, or hide what it is about."""
    actor = _operator(request)
    form = await form_fields(request)
    report = request.path_params["report"]
    try:
        step = ReportStep(request.path_params["step"])
    except ValueError:
        raise NotFound() from None
    try:
        await blocks.answer_report(resources_of(request), actor, report, step, form.get("answer", ""))
    except NotFound:
        raise
    except WorkroomError as error:
        return await _page(request, error, report, form.get("answer", ""))
    return RedirectResponse(f"/operator/reports?done={step}", 303)


routes = [
    Route("/operator/reports", list_reports, methods=["GET"]),
    Route("/operator/reports/{report}/{step}", answer_report, methods=["POST"]),
]


def _operator(request: Request) -> Actor:
    actor = actor_of(request)
    blocks.check_operator(actor)
    return actor


async def _page(request: Request, error: WorkroomError | None = None, wrong: str = "", answer: str = "") -> Response:
    actor = _operator(request)
    all_of_them = "all" in request.query_params or error is not None
    shown = await blocks.open_reports(resources_of(request), None if all_of_them else ReportState.OPEN)
    cards = [
        {
            "row": each.row,
            "about": each.about,
            "text": rich_text(each.about.text) if each.about is not None and each.about.text else "",
            "may_hide": ReportStep.HIDE in REPORT_STEPS[ReportState(each.row.report.state)]
            and each.row.report.subject != Subject.ACCOUNT,
            "may_dismiss": ReportStep.DISMISS in REPORT_STEPS[ReportState(each.row.report.state)],
        }
        for each in shown
    ]
    status = 200 if error is None else status_of(error)
    html = page(
        "operator/reports.html",
        request=request,
        actor=actor,
        error=error,
        wrong=wrong,
        answer=answer,
        cards=cards,
        all=all_of_them,
        waiting=await blocks.count_open_reports(resources_of(request)),
        reasons={reason.value: told for reason, told in views.REASONS.items()},
        note_chars_max=NOTE_CHARS_MAX,
        done=_DONE.get(request.query_params.get("done", ""), ""),
    )
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))
