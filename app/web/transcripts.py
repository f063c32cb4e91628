"""Transcripts as pages: paste or choose an original, look over what was read of it, append (rule 1.7).

Rule 1: nothing typed is lost by a refusal: the page comes back with it, and a file that has arrived stays.
Rule 2: every line can be changed or left out before it is appended; afterwards nobody can change it.
Rule 3: where days and months could be exchanged, they can be after lines were changed too: what was typed stays.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.bodies.people import TRANSCRIPT_LINES_MAX
from app.domain.chat_exports import Order
from app.domain.errors import InvalidBody, Malformed, NotFound, WorkroomError
from app.domain.transcripts import CHANNELS, MEDIA, Line, body_of_lines, check_lines, check_size, clean, fitting
from app.domain.workrooms import refusal_of_state
from app.services import record, transcripts, uploads
from app.storage.files import UploadRow
from app.views.files import ref_of
from app.views.rendering import page
from app.web.errors import retry_headers, status_of
from app.web.multipart import PostedForm
from app.web.parts import Looking, looking_at, number_of, posted_form, safe_path

FIELDS_MAX = 4 * TRANSCRIPT_LINES_MAX + 50  # who, when, text and "leave out" of each line
PASTED_BYTES_MAX = 1024 * 1024
ORDERS: tuple[Order, ...] = ("auto", "day", "month")
EXCHANGED: tuple[Order, ...] = ("day", "month")


@dataclass
class Typed:
    """What a person has chosen and typed so far."""

    medium: str = ""
    title: str = ""
    pasted: str = ""
    order: Order = "auto"
    first: str = ""
    last: str = ""
    upload: UploadRow | None = None
    restricted: bool = False
    cid: str = field(default_factory=lambda: secrets.token_hex(16))
    lines: list[Line] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    is_ambiguous: bool = False
    times: dict[str, list[str]] = field(default_factory=dict)  # of an ambiguous original: of each line, by order


Form = PostedForm | FormData


async def show_new(request: Request) -> Response:
    """`GET /rooms/<room>/transcripts/new`: paste, or choose a file."""
    looking = await looking_at(request)
    return await _new_page(request, looking, Typed(medium=_one_of(request.query_params.get("medium", ""), MEDIA, "")))


async def parse(request: Request) -> Response:
    """`POST /rooms/<room>/transcripts/parse`: what was read, to be looked over; refused, the same page again."""
    looking = await looking_at(request)
    form = await _form(request)
    typed = Typed(
        medium=_one_of(_text(form, "medium"), MEDIA, ""),
        title=_text(form, "title").strip(),
        pasted=_text(form, "pasted"),
        order=_order(_text(form, "order")),
        first=_text(form, "first").strip(),
        last=_text(form, "last").strip(),
        restricted=bool(_text(form, "restricted")),
    )
    try:
        typed.upload = await _upload(looking, form)
        if isinstance(form, PostedForm) and form.problem is not None:
            raise form.problem
        await _read(looking, typed)
        if typed.is_ambiguous:
            typed.times = {order: await _times(looking, typed, order) for order in EXCHANGED}
    except WorkroomError as error:
        return await _new_page(request, looking, typed, error)
    return _preview_page(request, looking, typed)


async def _read(looking: Looking, typed: Typed) -> None:
    if typed.upload is not None:
        row, parsed = await transcripts.read_file(
            looking.resources, looking.actor, looking.room.id, typed.upload.id, typed.order
        )
        typed.upload = row
    else:
        parsed = transcripts.read_text(typed.pasted, typed.order)
    first, last = number_of(typed.first, "first") or 1, number_of(typed.last, "last") or len(parsed.lines)
    if not 1 <= first <= last <= len(parsed.lines):
        raise InvalidBody(f"There are lines 1 to {len(parsed.lines)}. Choose some of them.", field="last")
    part = parsed.lines[first - 1 : last]
    try:
        check_size(part, first)
    except WorkroomError:
        typed.first, typed.last = str(first), str(first + fitting(part) - 1)
        raise
    typed.lines, typed.notes, typed.is_ambiguous = part, parsed.notes, parsed.is_ambiguous
    typed.medium = typed.medium or parsed.medium
    typed.title = typed.title or parsed.title
    if last < len(parsed.lines):
        typed.notes = [f"These are lines {first} to {last} of {len(parsed.lines)}.", *typed.notes]


async def _times(looking: Looking, typed: Typed, order: Order) -> list[str]:
    """Return when each line was said, if dates are read in this order."""
    other = replace(typed, order=order, lines=[], notes=[])
    await _read(looking, other)
    return [line.at or "" for line in other.lines]


def _turn(typed: Typed, order: str) -> None:
    """Read dates in another order; a time that was changed by hand stays."""
    read = list(zip(*(typed.times[each] for each in EXCHANGED), strict=True))
    for number, line in enumerate(typed.lines):
        if (line.at or "") in read[number]:
            typed.lines[number] = structs.replace(line, at=typed.times[order][number] or None)


async def append(request: Request) -> Response:
    """`POST /rooms/<room>/transcripts`: append what was looked over; or read its dates in another order."""
    looking = await looking_at(request)
    form = await request.form(max_fields=FIELDS_MAX)
    typed = _typed_preview(form)
    try:
        typed.upload = await _upload(looking, form)
        if (order := _text(form, "turn")) in typed.times:
            _turn(typed, order)
            return _preview_page(request, looking, typed)
        seq = await _append(looking, typed)
    except WorkroomError as error:
        return _preview_page(request, looking, typed, error)
    room = looking.room.id
    return RedirectResponse(f"/rooms/{room}#e-{room}-{seq}", 303)


def _typed_preview(form: FormData) -> Typed:
    who, at, said = (_texts(form, name) for name in ("who", "at", "text"))
    dropped = {int(text) for text in _texts(form, "drop") if text.isdecimal() and len(text) <= 6}
    lines = [
        Line(clean(a), clean(c), clean(b) or None) for a, b, c in zip(who, at, said, strict=False)
    ]  # forms send all three of each line
    times: dict[str, list[str]] = {order: _text(form, f"times_{order}").split("\n") for order in EXCHANGED}
    if any(len(listed) != len(lines) for listed in times.values()):
        times = {}
    return Typed(
        times=times,
        medium=_one_of(_text(form, "medium"), MEDIA, "chat"),
        title=_text(form, "title").strip(),
        restricted=bool(_text(form, "restricted")),
        cid=_text(form, "cid")[:64] or secrets.token_hex(16),
        lines=lines[:TRANSCRIPT_LINES_MAX],
        dropped=dropped,
    )


async def _append(looking: Looking, typed: Typed) -> int:
    kept = [n for n, line in enumerate(typed.lines) if n not in typed.dropped and line.text]
    lines = [typed.lines[n] for n in kept]
    try:
        check_lines(lines)
    except InvalidBody as error:
        name, _, number = (error.field or "").partition(".")
        place = f"{name}.{kept[int(number)]}" if number else name
        raise InvalidBody(str(error), field=place) from None
    check_size(lines)
    if not typed.title:
        raise InvalidBody("Give it a title, like “Call about the harbour map”.", field="title")
    body = body_of_lines(typed.medium, typed.title, lines)
    if typed.restricted:
        body["restricted"] = True
    if typed.upload is not None:
        body["files"] = [ref_of(typed.upload)]
    entry = await record.append(looking.resources, looking.actor, looking.room.id, "transcript", body, cid=typed.cid)
    return entry.seq


# The weekly question


async def set_elsewhere(request: Request) -> Response:
    """`POST /rooms/<room>/elsewhere`: where one also talks."""
    looking = await looking_at(request)
    form = await request.form()
    await transcripts.set_elsewhere(looking.resources, looking.actor, looking.room.id, _texts(form, "channels"))
    otherwise = f"/rooms/{looking.room.id}/members?done=elsewhere#elsewhere"
    return RedirectResponse(safe_path(_text(form, "next"), otherwise), 303)


async def answer_question(request: Request) -> Response:
    """`POST /rooms/<room>/elsewhere/answer`: not this week, or never again."""
    looking = await looking_at(request)
    answered = _text(await request.form(), "answer")
    if answered not in ("not_this_week", "never"):
        raise Malformed("Answer with a button of the question.", field="answer")
    await transcripts.answer_question(
        looking.resources, looking.actor, looking.room.id, never_again=answered == "never"
    )
    return RedirectResponse(f"/rooms/{looking.room.id}", 303)


# Parts


async def _form(request: Request) -> Form:
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return await request.form(max_part_size=PASTED_BYTES_MAX)
    return await posted_form(request)


async def _upload(looking: Looking, form: Form) -> UploadRow | None:
    """Return the file that came with the form, or that came before and was kept."""
    if isinstance(form, PostedForm) and form.files:
        return form.files[0]
    kept = _text(form, "upload")
    if not kept:
        return None
    try:
        return await uploads.completed(looking.resources, looking.actor, looking.room.id, kept)
    except NotFound as error:
        raise InvalidBody(str(error), field="file") from None


def _text(form: Form, name: str) -> str:
    value = form.get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def _texts(form: Form, name: str) -> list[str]:
    return [value.replace("\r\n", "\n") for value in form.getlist(name) if isinstance(value, str)]


def _one_of(text: str, known: tuple[str, ...], otherwise: str) -> str:
    return text if text in known else otherwise


def _order(text: str) -> Order:
    return next((order for order in ORDERS if order == text), "auto")


async def _new_page(request: Request, looking: Looking, typed: Typed, error: WorkroomError | None = None) -> Response:
    chosen = await transcripts.elsewhere(looking.resources, looking.actor, looking.room.id)
    return _page(request, looking, "new", typed, error, channels=CHANNELS, chosen=chosen)


def _preview_page(request: Request, looking: Looking, typed: Typed, error: WorkroomError | None = None) -> Response:
    wrong = error.field if error is not None else None
    left = len([n for n, line in enumerate(typed.lines) if n not in typed.dropped and line.text])
    return _page(request, looking, "preview", typed, error, wrong=wrong, left=left)


def _page(
    request: Request, looking: Looking, template: str, typed: Typed, error: WorkroomError | None, **context: Any
) -> Response:
    html = page(
        f"transcripts/{template}.html",
        request=request,
        actor=looking.actor,
        room=looking.room,
        member=looking.member,
        typed=typed,
        error=error,
        media=MEDIA,
        lines_max=TRANSCRIPT_LINES_MAX,
        closed=refusal_of_state(looking.room.state, "transcript"),
        **context,
    )
    status = 200 if error is None else status_of(error)
    return HTMLResponse(html, status, None if error is None else retry_headers(error, status))


routes = [
    Route("/rooms/{room}/transcripts/new", show_new),
    Route("/rooms/{room}/transcripts/parse", parse, methods=["POST"]),
    Route("/rooms/{room}/transcripts", append, methods=["POST"]),
    Route("/rooms/{room}/elsewhere", set_elsewhere, methods=["POST"]),
    Route("/rooms/{room}/elsewhere/answer", answer_question, methods=["POST"]),
]
