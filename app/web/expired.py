"""A form that was posted after its session had ended: nothing that was typed in it is lost.

Rule 1: the answer is the sign-in page with what was posted, bounded, in one hidden field; never files or passwords.
Rule 2: after signing in, the fields stand in a form that goes where the first one went; the person sends it. What was
typed in a form of the composer goes back into that form, which alone knows what its fields are called.
Rule 3: for htmx it is a short word at the end of the page: the form on it keeps what it holds.
"""

from __future__ import annotations

import re

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message, Receive

from app.domain.errors import NotSignedIn, WorkroomError
from app.services.access import Actor
from app.views.compose import FORMS, Form
from app.views.rendering import page

FIELDS_MAX = 2_100  # a transcript that was looked over has four of each of 500 lines
KEPT_CHARS_MAX = 128 * 1024  # a text has 32 KiB; a long form has some
PARSED_BYTES_MAX = 1024 * 1024  # more is files, which are not kept anyway
LINE_CHARS_MAX = 90  # a longer value is shown in several lines
_NEVER = ("password", "present", "secret", "code")  # parts of names of fields that are not carried
_QUIET = ("cid", "kind", "next", "ref")  # fields that nobody typed
_BUTTONS = ("send", "add", "remove", "show")  # of a form of the composer
_COMPOSER = re.compile(r"/rooms/[a-z0-9]+/compose/([a-z_.]+)(?:\?.*)?")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Kept(msgspec.Struct, frozen=True):
    """What was posted: where to, the fields in their order, the names of file fields, and whether more was dropped."""

    path: str
    fields: list[tuple[str, str]]
    files: list[str] = []
    dropped: bool = False


class Posted:
    """A `receive` that remembers a form's body, so that it can be read once more. `again` is the second reading."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._body = bytearray()
        self._ended = False
        self._again = False

    async def __call__(self) -> Message:
        """Pass a message on."""
        message = await self._receive()
        if message["type"] == "http.request":
            if len(self._body) <= PARSED_BYTES_MAX:
                self._body += message.get("body", b"")
            self._ended = not message.get("more_body", False)
        return message

    async def again(self) -> Message:
        """Give what was read before, then what is still to come."""
        if not self._again:
            self._again = True
            return {"type": "http.request", "body": bytes(self._body), "more_body": not self._ended}
        return await self._receive()


def is_form(request: Request) -> bool:
    """Whether a request carries a form, of a size that may be read."""
    announced = request.headers.get("content-length", "0")
    small = announced.isdecimal() and int(announced) <= PARSED_BYTES_MAX
    return small and request.headers.get("content-type", "").startswith(_FORMS)


async def expired_response(request: Request) -> Response:
    """Return the answer to a form whose session is over."""
    if "hx-request" in request.headers:
        headers = {"hx-retarget": "body", "hx-reswap": "beforeend"}
        return HTMLResponse(page("accounts/_expired.html"), 401, headers)
    return sign_in_page(request, NotSignedIn(), kept=await _kept(request))


def sign_in_page(
    request: Request, error: WorkroomError | None, *, kept: Kept | None = None, email: str = "", status: int = 401
) -> Response:
    """Return the sign-in page that carries what was posted."""
    context = {
        "kept": kept,
        "kept_json": encoded(kept),
        "next": "/",
        "email": email,
        "error": error,
        "open_sign_up": request.app.state.resources.settings.open_sign_up,
    }
    html = page("accounts/sign_in.html", request=request, actor=None, **context)
    return HTMLResponse(html, status, {"cache-control": "no-store"})


def continue_page(request: Request, actor: Actor, kept: Kept) -> Response:
    """Return the page that offers to send what was typed, or to go on in its form (rule 2)."""
    form = form_of(kept)
    if form is not None:
        fields = [(name, value) for name, value in kept.fields if name not in _BUTTONS]
        html = page("accounts/continue.html", request=request, actor=actor, kept=kept, form=form, hidden=fields)
        return HTMLResponse(html, headers={"cache-control": "no-store"})
    shown = [(name, value) for name, value in kept.fields if value and name not in _QUIET]
    hidden = [(name, value) for name, value in kept.fields if not value or name in _QUIET]
    html = page(
        "accounts/continue.html",
        request=request,
        actor=actor,
        kept=kept,
        form=None,
        shown=[(name, label_of(name), value, "\n" in value or len(value) > LINE_CHARS_MAX) for name, value in shown],
        hidden=hidden,
    )
    return HTMLResponse(html, headers={"cache-control": "no-store"})


def form_of(kept: Kept) -> Form | None:
    """Return the form of the composer that was posted; None if it was another."""
    found = _COMPOSER.fullmatch(kept.path)
    return FORMS.get(found[1]) if found is not None else None


def label_of(name: str) -> str:
    """Return what a field is called on the page: its name in words."""
    return name.replace("_", " ").replace("-", " ").strip().capitalize() or "Field"


def encoded(kept: Kept | None) -> str:
    """Return what the hidden field holds."""
    return "" if kept is None else msgspec.json.encode(kept).decode()


def kept_of(form: FormData) -> Kept | None:
    """Return what the sign-in page carried; None if nothing, or nothing that could be ours."""
    text = form.get("kept", "")
    if not isinstance(text, str) or not text or len(text) > 8 * KEPT_CHARS_MAX:
        return None
    try:
        kept = msgspec.json.decode(text, type=Kept)
    except (msgspec.DecodeError, UnicodeError):
        return None
    here = kept.path.startswith("/") and not kept.path.startswith(("//", "/\\")) and kept.path.isprintable()
    return kept if here and len(kept.fields) <= FIELDS_MAX else None


async def _kept(request: Request) -> Kept | None:
    """Return what a request posted, bounded."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    try:
        form = await request.form(max_fields=FIELDS_MAX, max_files=FIELDS_MAX)
    except (HTTPException, WorkroomError, ClientDisconnect):  # a form that cannot be read holds nothing to keep
        return None
    fields: list[tuple[str, str]] = []
    files: list[str] = []
    chars, dropped = 0, False
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if value.filename and name not in files:
                files.append(name)
        elif not any(word in name.lower() for word in _NEVER):
            chars += len(name) + len(value)
            if chars <= KEPT_CHARS_MAX:
                fields.append((name, value))
            else:
                dropped = True
    await form.close()
    return Kept(path, fields, files, dropped)
