"""The composer's forms: one address for each kind of entry, a page without script and a part of one with it.

Rule 1: what was typed comes back with every refusal, and with every row that is added or removed.
Rule 2: a form is sent under an id of its own: sent twice, it is one entry.
Rule 3: what role and state refuse is answered with the reason in the place of the form.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.bodies.agreements import TermsProposed
from app.domain.errors import Forbidden, Malformed, NotFound, WorkroomError
from app.domain.money import DECIMALS, Money
from app.domain.terms import Milestone
from app.domain.timerange import local_day
from app.domain.workrooms import Side
from app.services import record, status_reports, terms
from app.services.terms import TermsOfRoom
from app.views.compose import ANSWERING, FORMS, Form, parts_of, reason_against
from app.views.compose_parts import (
    Around,
    Field,
    Options,
    Rows,
    Typed,
    add_row,
    body_of,
    options_of,
    place_of,
    remove_row,
    typed_of,
    typed_of_body,
)
from app.views.files import ref_of
from app.views.money import money_text
from app.views.names import first_name, name_of
from app.views.rendering import days_text, page
from app.views.sentences import sentence
from app.web.errors import REFUSED, retry_headers, status_of
from app.web.multipart import PostedForm
from app.web.parts import Draft, Looking, add_entry, looking_at, number_of, posted_form, room_context, uploads_of
from app.web.parts import my_rooms as rooms_of

FIRST_CURRENCY = "EUR"  # where neither terms nor the person has said another


async def show_form(request: Request) -> Response:
    """`GET /rooms/<room>/compose/<kind>?ref=`: an empty form, or one filled in with what holds now."""
    looking, form = await _form(request)
    around = await _around(looking, form, request.query_params.get("member", ""))
    typed = await _first_values(looking, form, request, around)
    return HTMLResponse(await _html(request, looking, form, typed, around))


async def post_form(request: Request) -> Response:
    """`POST /rooms/<room>/compose/<kind>`: append the entry; or add a row, or take one out."""
    looking, form = await _form(request)
    posted = await posted_form(request)
    parts = parts_of(form)
    typed = typed_of(parts, _values(posted))
    around = await _around(looking, form, typed.value("member"))
    if typed.values.pop("show", "") or _change_rows(parts, typed):  # `show`: what a browser has kept of it
        return HTMLResponse(
            await _html(request, looking, form, typed, around, await _draft(request, posted, form, typed))
        )
    body, draft = body_of(parts, typed, around), Draft("", form.kind)
    try:
        draft = await _draft(request, posted, form, typed)
        if not typed.problems:
            seq = await add_entry(looking, draft, body | _files(posted, draft), typed.value("cid") or None)
            return _sent(request, looking, seq)
        status, headers = REFUSED, {}
    except WorkroomError as refusal:
        typed.wrong(place_of(refusal.field, typed, parts, around) or "", str(refusal))
        status = status_of(refusal)
        headers = retry_headers(refusal, status)
    return HTMLResponse(await _html(request, looking, form, typed, around, draft), status, headers)


async def _draft(request: Request, posted: PostedForm | FormData, form: Form, typed: Typed) -> Draft:
    """Return what is to be appended but for its body, with the files that came."""
    problem = posted.problem if isinstance(posted, PostedForm) else None
    return Draft("", form.kind, number_of(typed.value("ref"), "ref"), await uploads_of(request, posted), problem)


def _files(posted: PostedForm | FormData, draft: Draft) -> dict[str, Any]:
    """Return the files of the body: those that came with the form, and those that the page's script sent before.

    Raises:
        Malformed: if what the script tells of its files cannot be read.
    """
    files: list[Any] = [ref_of(row) for row in draft.uploads]
    told = posted.get("attached", "")
    if isinstance(told, str) and told:
        try:
            files += msgspec.json.decode(told, type=list[dict[str, Any]])
        except msgspec.DecodeError:
            raise Malformed("The list of files cannot be read. Attach them again.", field="files") from None
    return {"files": files} if files else {}


def _sent(request: Request, looking: Looking, seq: int) -> Response:
    if _is_part(request):
        return JSONResponse({"seq": seq}, 201)
    return RedirectResponse(f"/rooms/{looking.room.id}#e-{looking.room.id}-{seq}", 303)


async def _form(request: Request) -> tuple[Looking, Form]:
    looking = await looking_at(request)
    form = FORMS.get(request.path_params["kind"])
    if form is None:
        raise NotFound()
    if request.method != "POST":  # what was typed is refused by the service, and comes back
        every = await terms.terms_of_room(looking.resources, looking.actor, looking.room.id)
        reason = reason_against(form, looking.room, looking.member, every.pays)
        if reason is not None:
            raise Forbidden(reason or "This is for the other side to write.")
    return looking, form


def _values(posted: PostedForm | FormData) -> Mapping[str, list[str]]:
    if isinstance(posted, PostedForm):
        return posted.fields
    return {name: [v for v in posted.getlist(name) if isinstance(v, str)] for name in posted}


def _change_rows(parts: tuple[Any, ...], typed: Typed) -> bool:
    """Do what the buttons beside rows ask for; return whether one was pressed."""
    lists = {part.name: part for part in parts if isinstance(part, Rows)}
    if (added := typed.values.pop("add", "")) in lists:
        add_row(typed, added)
        return True
    name, _, number = typed.values.pop("remove", "").partition(".")
    if name in lists and number.isdecimal():
        remove_row(typed, lists[name], int(number[:3]))
        return True
    return False


async def _around(looking: Looking, form: Form, member: str) -> Around:
    """Return what the form knows of its room."""
    room, me = looking.room, looking.member
    every = await terms.terms_of_room(looking.resources, looking.actor, room.id)
    freelancers = [me] if me.side is Side.FREELANCER else room.on_side(Side.FREELANCER)
    whose = member if member in {m.by for m in freelancers} else next((m.by for m in freelancers), "")
    listed = [m for m in every.milestones if m.member == whose]
    versions = every.versions.get(whose, [])
    keys = {m.key for m in listed} | {m.key for version in versions for m in version.what.milestones}
    named = tuple((m.key, _milestone_name(m)) for m in listed)
    options: dict[str, Options] = {
        "freelancers": tuple((m.by, name_of(room, m.by)) for m in freelancers),
        "others": tuple((m.by, name_of(room, m.by)) for m in room.members.values() if m.by != me.by),
        "milestones": named,
        "milestones_or_new": (("new", "A new milestone"), *named),
    }
    if form.kind == "status_report":
        weeks = [
            week.monday for week in await status_reports.weeks_to_report(looking.resources, looking.actor, room.id)
        ]
        options["weeks"] = tuple((str(day), days_text(str(day), str(day + timedelta(days=6)))) for day in weeks)
    currency = versions[-1].what.currency if versions else FIRST_CURRENCY
    return Around(options, tuple((m.key, m.name) for m in listed), currency, tuple(keys))


def _milestone_name(milestone: Milestone) -> str:
    return f"{milestone.name}, {money_text(Money(milestone.amount_minor, milestone.currency))}"


async def _first_values(looking: Looking, form: Form, request: Request, around: Around) -> Typed:
    """Return what stands in a form before anybody typed."""
    room, parts = looking.room, parts_of(form)
    today = local_day(looking.resources.clock.record_now(), ZoneInfo(room.time_zone))
    typed = Typed({}, {})
    if form.kind == "terms.proposed":
        typed = await _terms_now(looking, request, around)
    given = {
        "pay": "hourly", "what": "vacation", "from_on": today.isoformat(),
        "time_zone": room.time_zone, "blur_max": "0", "currency": around.currency,
        "work_view": "on" if room.work_view else "", "ref": request.query_params.get("ref", ""),
    }  # fmt: skip
    if given["ref"].isdecimal() and await _is_restricted(looking, given["ref"]):
        given["restricted"] = "on"
    if "pay" in typed.values:
        given.pop("work_view")
    for part in parts:
        if isinstance(part, Field) and part.type == "select" and part.required:
            given.setdefault(part.name, next((value for value, _ in options_of(part, around)), ""))
    names = {part.name for part in parts} | {"ref"}
    for name, value in given.items():
        if name in names:
            typed.values.setdefault(name, value)
    typed.values["cid"] = secrets.token_hex(16)
    return typed


async def _is_restricted(looking: Looking, ref: str) -> bool:
    """Whether the entry that a form is about is restricted: what is said to it is, too."""
    about = await record.entry(looking.resources, looking.actor, looking.room.id, number_of(ref, "ref") or 0)
    return bool((about.body or {}).get("restricted"))


async def _terms_now(looking: Looking, request: Request, around: Around) -> Typed:
    """Return the terms form as it begins: with an open proposal (`?from=`), else with the terms in force."""
    every: TermsOfRoom = await terms.terms_of_room(looking.resources, looking.actor, looking.room.id)
    wanted = number_of(request.query_params.get("from", ""), "from")
    body: Mapping[str, Any] | None = next((e.body for m, e in every.open if m.seq == wanted and e.body), None)
    whose = str(body["member"]) if body else next((by for by, _ in around.options["freelancers"]), "")
    versions = every.versions.get(whose, [])
    if body is None and versions:
        body = _body_of_terms(versions[-1].what)
    if body is None:
        return Typed({}, {})
    kept = {name: value for name, value in body.items() if name not in ("text", "files")}
    return typed_of_body(parts_of(FORMS["terms.proposed"]), kept, str(body["currency"]))


def _body_of_terms(what: TermsProposed) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(what)
    return made


async def _html(
    request: Request, looking: Looking, form: Form, typed: Typed, around: Around, draft: Draft | None = None
) -> str:
    """Return the form: a part for the page's script, a page of its own else."""
    room, quoted = looking.room, None
    ref = typed.value("ref")
    if ref.isdecimal() and len(ref) <= 15:
        quoted = await record.entry(looking.resources, looking.actor, room.id, int(ref))
    context: dict[str, Any] = {
        "request": request,
        "actor": looking.actor,
        "room": room,
        "member": looking.member,
        "form": form,
        "inputs": parts_of(form),
        "typed": typed,
        "around": around,
        "options_of": options_of,
        "draft": draft or Draft(),
        "quoted": quoted,
        "quote": sentence(quoted, room) if quoted is not None else "",
        "quote_by": first_name(room, quoted.by) if quoted is not None else "",
        "needs_ref": form.kind in ANSWERING,
        "zones": _zones() if form.kind == "terms.proposed" else (),
        "currencies": sorted(DECIMALS),
    }
    if _is_part(request):
        return page("compose/_form.html", **context)
    summaries, _ = await rooms_of(looking)
    return page("compose/form.html", **{**await room_context(looking, summaries), **context})


@cache
def _zones() -> list[str]:
    """Return the time zones of places, to choose from."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))


def _is_part(request: Request) -> bool:
    return "hx-request" in request.headers


routes = [
    Route("/rooms/{room}/compose/{kind}", show_form),
    Route("/rooms/{room}/compose/{kind}", post_form, methods=["POST"]),
]
