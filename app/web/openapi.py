"""The description of the JSON API (OpenAPI 3.1), made from schemas and from the routes themselves.

Rule 1: a route without an operation here is an error, so that none goes undescribed.
Rule 2: a test holds the real answers against the schemas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.routing import Route

from app.domain.events import KINDS
from app.services.record import PAGE_ENTRIES_MAX
from app.views.status_reports import JsonReports
from app.views.terms import RoomTerms
from app.web import account_schemas as account
from app.web import job_schemas

JSON = "application/json"
_CONVERTOR = re.compile(r":\w+}")


class ListedRoom(Struct, frozen=True, forbid_unknown_fields=True):
    """A workroom of this account. `unread` counts what others wrote behind `seen`."""

    id: str
    title: str
    head: int
    seen: int
    unread: int
    by: str
    side: str


class Rooms(Struct, frozen=True, forbid_unknown_fields=True):
    rooms: list[ListedRoom]


class ShownMember(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    side: str


class Room(Struct, frozen=True, forbid_unknown_fields=True):
    """A workroom; `members` by pseudonym, `by` is one's own."""

    id: str
    title: str
    time_zone: str
    work_view: bool
    demo: bool
    opened_at: str
    members: dict[str, ShownMember]
    by: str
    head: int


class ShownEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry. `body` is null where it was erased, by the entry `erased`; its schema is the one of its kind."""

    seq: int
    kind: str
    by: str
    at: str
    ref: int | None
    cid: str | None
    body: dict[str, Any] | None
    erased: int | None = None


class Entries(Struct, frozen=True, forbid_unknown_fields=True):
    entries: list[ShownEntry]
    head: int


class AppendedEntry(Struct, frozen=True, forbid_unknown_fields=True):
    room: str
    seq: int
    cid: str | None


class CloseRoom(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a workroom is closed, for everybody in it to read; it may be left out."""

    reason: str | None = None


class MadeInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    """An invitation. It is told once; the one before, for the same person, opens nothing any more."""

    link: str


class ReceivedSecret(Struct, frozen=True, forbid_unknown_fields=True):
    """What was handed over. It was erased in the moment in which it was told."""

    secret: str


class FoundEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry that was found. `snippet` is html, in which `<mark>` is the only tag."""

    room: str
    title: str
    seq: int
    kind: str
    by: str
    name: str
    at: str
    snippet: str


class FoundEntries(Struct, frozen=True, forbid_unknown_fields=True):
    """Entries that were found, the newest first; `more` asks for those behind."""

    results: list[FoundEntry]
    more: str | None


class Consistency(Struct, frozen=True, forbid_unknown_fields=True, rename={"size1": "from", "size2": "to"}):
    """Hashes in base64."""

    size1: int
    size2: int
    proof: list[str]


class Refusal(Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    message: str
    field: str | None = None


class Error(Struct, frozen=True, forbid_unknown_fields=True):
    error: Refusal


class NewEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /api/rooms/{room}/entries` takes: a `say` without its room."""

    kind: str
    body: dict[str, Any]
    cid: str | None = None
    ref: int | None = None


class NewUpload(Struct, frozen=True):
    """A file to be uploaded. `sha256` in base64url, where it is known: the whole is held against it."""

    name: str
    bytes: int
    sha256: str | None = None


class UploadedFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What `files` of an entry's body takes."""

    name: str
    media: str
    bytes: int
    sha256: str


class Upload(Struct, frozen=True, forbid_unknown_fields=True):
    """An upload, of which `received` bytes have arrived at `address`; `file` once it is complete."""

    id: str
    name: str
    bytes: int | None
    received: int
    address: str
    file: UploadedFile | None


class Operation(Struct, frozen=True):
    """What one route does. `answer` is a schema, or the media type of what is no JSON."""

    summary: str
    answer: type[Struct] | str
    query: tuple[str, ...] = ()
    body: type[Struct] | None = None
    status: int = 200


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/api/openapi.json"): Operation("This description", JSON),
    ("GET", "/api/search"): Operation(
        "Entries with words, in one workroom or in all", FoundEntries, query=("q", "room", "more", "limit")
    ),
    ("GET", "/api/account"): Operation("One's own account", account.Account),
    ("POST", "/api/account/name"): Operation("Change one's name", account.Done, body=account.NewName),
    ("POST", "/api/account/address"): Operation(
        "Have a link mailed to another address", account.Done, body=account.NewAddress, status=202
    ),
    ("POST", "/api/account/password"): Operation("Set a password", account.Done, body=account.NewPassword),
    ("GET", "/api/account/sessions"): Operation("Where one is signed in", account.Sessions),
    ("POST", "/api/account/sessions/others/revoke"): Operation("End all sessions but this one", account.Done),
    ("POST", "/api/account/sessions/{id}/revoke"): Operation("End a session", account.Done),
    ("GET", "/api/account/tokens"): Operation("One's tokens and devices", account.Tokens),
    ("POST", "/api/account/tokens"): Operation("Make a token", account.MadeToken, body=account.NewToken, status=201),
    ("POST", "/api/account/tokens/{id}/revoke"): Operation("Revoke a token or a device", account.Done),
    ("GET", "/api/account/export"): Operation("What the server keeps of one's account", "application/zip"),
    ("GET", "/api/rooms"): Operation("The workrooms of this account", Rooms),
    ("GET", "/api/rooms/{room}"): Operation("A workroom and its members", Room),
    ("GET", "/api/rooms/{room}/entries"): Operation("Entries behind a seq", Entries, query=("after", "limit")),
    ("POST", "/api/rooms/{room}/entries"): Operation("Append an entry", AppendedEntry, body=NewEntry, status=201),
    ("GET", "/api/rooms/{room}/entries/{seq}/receipt"): Operation("The receipt of an entry", "text/plain"),
    ("GET", "/api/rooms/{room}/entries/{seq}/disclosure"): Operation("The content that a receipt commits to", JSON),
    ("GET", "/api/rooms/{room}/checkpoint"): Operation("The newest signed checkpoint", "text/plain"),
    ("GET", "/api/rooms/{room}/consistency"): Operation(
        "Proof that a record continues a smaller one", Consistency, query=("from", "to")
    ),
    ("POST", "/api/rooms/{room}/close"): Operation("Close a workroom", AppendedEntry, body=CloseRoom, status=201),
    ("POST", "/api/rooms/{room}/members/{seq}/invitation"): Operation(
        "Invite somebody whom both sides agreed on", MadeInvitation, status=201
    ),
    ("POST", "/api/rooms/{room}/handovers/{seq}"): Operation("Receive a secret, once", ReceivedSecret),
    ("GET", "/api/rooms/{room}/reports"): Operation("Status reports by week, and those due next", JsonReports),
    ("GET", "/api/rooms/{room}/terms"): Operation("What was agreed, every version, and what is proposed", RoomTerms),
    ("GET", "/api/rooms/{room}/frames/{seq}/image"): Operation("The picture of a frame; looking is logged", "image/*"),
    ("GET", "/api/rooms/{room}/frames/{seq}/thumbnail"): Operation("Its thumbnail", "image/webp"),
    ("POST", "/api/rooms/{room}/uploads"): Operation("Announce a file", Upload, body=NewUpload, status=201),
    ("GET", "/api/rooms/{room}/uploads/{upload}"): Operation("How much of a file has arrived", Upload),
    ("PATCH", "/api/rooms/{room}/uploads/{upload}"): Operation(
        "Bring a piece of a file, which begins at the header `upload-offset`", Upload
    ),
    ("DELETE", "/api/rooms/{room}/uploads/{upload}"): Operation("Cancel an upload", JSON, status=204),
    ("GET", "/api/rooms/{room}/files/{seq}/{position}"): Operation(
        "A file of an entry; the download of a restricted one is logged", "application/octet-stream"
    ),
    ("GET", "/api/rooms/{room}/files/{seq}/{position}/preview"): Operation("Its picture", "image/webp"),
}

OPERATIONS |= {
    ("GET", "/api/jobs"): Operation(
        "Jobs that this account sees, the newest first", job_schemas.Jobs, query=("q", "pay", "open", "view", "page")
    ),
    ("POST", "/api/jobs"): Operation("Post a job", job_schemas.ShownJob, body=job_schemas.PostJob, status=201),
    ("GET", "/api/jobs/{job}"): Operation("A job", job_schemas.ShownJob),
    ("POST", "/api/jobs/{job}/close"): Operation(
        "Close one's job", job_schemas.ShownJob, body=job_schemas.EmptyRequest
    ),
    ("GET", "/api/jobs/{job}/proposals"): Operation("The proposals for one's job", job_schemas.Proposals),
    ("POST", "/api/jobs/{job}/proposals"): Operation(
        "Propose", job_schemas.ChangedProposal, body=job_schemas.SendProposal, status=201
    ),
    ("POST", "/api/proposals/{proposal}/withdraw"): Operation(
        "Take back", job_schemas.ChangedProposal, body=job_schemas.EmptyRequest
    ),
    ("POST", "/api/proposals/{proposal}/decline"): Operation(
        "Decline", job_schemas.ChangedProposal, body=job_schemas.DeclineProposal
    ),
    ("POST", "/api/proposals/{proposal}/open"): Operation(
        "Open the messages", job_schemas.OpenedMessages, body=job_schemas.EmptyRequest
    ),
}


def openapi_document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of the API's routes.

    Raises:
        KeyError: if a route has no operation.
    """
    answers = [op.answer for op in OPERATIONS.values() if not isinstance(op.answer, str)]
    bodies = [op.body for op in OPERATIONS.values() if op.body is not None]
    _, components = msgspec.json.schema_components(
        [*KINDS.values(), *answers, *bodies, NewEntry, Error], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _CONVERTOR.sub("}", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            described = _described(path, route.endpoint.__name__, OPERATIONS[method, path])
            paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Workroom", "version": "1"},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def _described(path: str, name: str, operation: Operation) -> dict[str, Any]:
    parameters = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": _parameter(part[1:-1])}
        for part in path.split("/")
        if part.startswith("{")
    ]
    parameters += [{"name": part, "in": "query", "schema": _parameter(part)} for part in operation.query]
    media, schema = (operation.answer, {}) if isinstance(operation.answer, str) else (JSON, _ref(operation.answer))
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            str(operation.status): {"description": operation.summary, "content": {media: {"schema": schema}}},
            "4XX": {"description": "A refusal", "content": {JSON: {"schema": _ref(Error)}}},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {"content": {JSON: {"schema": _ref(operation.body)}}, "required": True}
    return described


def _parameter(name: str) -> dict[str, Any]:
    """Return the schema of a parameter: an id, or a whole number."""
    if name in ("room", "upload", "id", "job", "proposal"):
        return {"type": "string", "pattern": "^[0-9a-z]{26}$"}
    if name in ("q", "more", "pay", "view", "open"):
        return {"type": "string"}
    most = PAGE_ENTRIES_MAX if name == "limit" else 2**53 - 1
    return {"type": "integer", "minimum": {"after": -1, "seq": 0, "position": 0}.get(name, 1), "maximum": most}


def _ref(schema: type[Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema.__name__}"}
