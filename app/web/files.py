"""Files over HTTP: uploads that can be resumed, forms with files, downloads, previews, who downloaded what.

The requests of an upload have the shape of draft-ietf-httpbis-resumable-upload: POST creates, PATCH appends at
`upload-offset`, HEAD (or GET) tells the offset, DELETE cancels. The size is announced once, when it is created.

Rule 1: nothing of a file can run: it is a download, of a type that its bytes say, never sniffed, in a sandbox. Only
    pictures that we made ourselves and escaped text are shown in a page.
Rule 2: nothing is decided here; services refuse, this passes pieces on.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.errors import Malformed, NotFound, OffsetMismatch
from app.domain.files import FILE_BYTES_MAX, PREVIEW_MEDIA, TEXT, disposition
from app.services import files, uploads
from app.services.files import Download
from app.services.uploads import Arrived
from app.views.files import shown_row, upload_json
from app.views.rendering import page
from app.web.errors import error_response, wants_json
from app.web.multipart import is_multipart, read_form
from app.web.openapi import NewUpload
from app.web.parts import Looking, looking_at, my_rooms, room_context

SANDBOX = "sandbox; default-src 'none'"
CHUNK_BYTES = 128 * 1024


# Uploads


async def create_upload(request: Request) -> Response:
    """`POST /rooms/<room>/uploads`: announce a file, or bring files as a form."""
    looking = await looking_at(request)
    if is_multipart(request):
        return await _take_form(request, looking)
    try:
        new = msgspec.json.decode(await request.body(), type=NewUpload)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body must be a JSON object with `name` and `bytes`: {error}.") from None
    row = await uploads.begin(
        looking.resources, looking.actor, looking.room.id, new.name, new.bytes, _announced(new.sha256)
    )
    address = f"{request.url.path}/{row.id}"
    headers = _progress_headers(Arrived(row, 0)) | {"location": address, "upload-limit": f"max-size={FILE_BYTES_MAX}"}
    return JSONResponse(upload_json(row, 0, address), 201, headers)


def _announced(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Malformed("`sha256` must be a SHA-256 in base64url.", field="sha256") from None


async def _take_form(request: Request, looking: Looking) -> Response:
    room = looking.room.id
    form = await read_form(
        request, lambda name, pieces: uploads.receive_whole(looking.resources, looking.actor, room, name, pieces)
    )
    if form.problem is not None:
        raise form.problem
    if wants_json(request):
        told = [upload_json(row, row.size or 0, f"{request.url.path}/{row.id}") for row in form.files]
        return JSONResponse({"uploads": told}, 201)
    return RedirectResponse(f"/rooms/{room}/files", 303)


async def append_upload(request: Request) -> Response:
    """`PATCH /rooms/<room>/uploads/<upload>`: a piece that begins at `upload-offset`, of any length."""
    looking = await looking_at(request)
    offset = request.headers.get("upload-offset", "")
    if not offset.isdecimal() or len(offset) > 15:
        raise Malformed("The header `upload-offset` must say where this piece begins.", field="upload-offset")
    upload = request.path_params["upload"]
    try:
        arrived = await uploads.receive(
            looking.resources, looking.actor, looking.room.id, upload, int(offset), request.stream()
        )
    except OffsetMismatch as mismatch:
        response = error_response(request, mismatch)
        response.headers["upload-offset"] = str(mismatch.received)
        return response
    return _told(request, arrived)


async def show_upload(request: Request) -> Response:
    """`HEAD` or `GET /rooms/<room>/uploads/<upload>`: how much has arrived."""
    looking = await looking_at(request)
    upload = request.path_params["upload"]
    return _told(request, await uploads.progress(looking.resources, looking.actor, looking.room.id, upload))


async def cancel_upload(request: Request) -> Response:
    """`DELETE /rooms/<room>/uploads/<upload>`, or `POST …/delete` from a form."""
    looking = await looking_at(request)
    await uploads.cancel(looking.resources, looking.actor, looking.room.id, request.path_params["upload"])
    if request.method == "POST":
        return RedirectResponse(f"/rooms/{looking.room.id}/files", 303)
    return Response(status_code=204)


def _told(request: Request, arrived: Arrived) -> Response:
    told = upload_json(arrived.upload, arrived.received, request.url.path)
    return JSONResponse(told, headers=_progress_headers(arrived))


def _progress_headers(arrived: Arrived) -> dict[str, str]:
    return {
        "upload-offset": str(arrived.received),
        "upload-complete": "?1" if arrived.is_complete else "?0",
        "upload-length": str(arrived.upload.size),
        "cache-control": "no-store",
    }


# Downloads and previews


async def download_file(request: Request) -> Response:
    """`GET /rooms/<room>/files/<seq>/<n>`: a file of an entry; of a restricted one the download is logged."""
    looking, seq, position = await _place(request)
    is_sent = request.method == "GET"
    room = looking.room.id
    found = await files.download(looking.resources, looking.actor, room, seq, position, logged=is_sent)
    return await _sent(request, found)


async def download_upload(request: Request) -> Response:
    """`GET /rooms/<room>/files/<upload>`: one's own file, before it is attached to anything."""
    looking = await looking_at(request)
    upload = request.path_params["upload"]
    return await _sent(request, await files.download_own(looking.resources, looking.actor, looking.room.id, upload))


async def show_preview(request: Request) -> Response:
    """`GET /rooms/<room>/files/<seq>/<n>/preview`: the picture of a file, or a drawing while there is none."""
    looking, seq, position = await _place(request)
    found = await files.preview(looking.resources, looking.actor, looking.room.id, seq, position)
    if found.state == "none":
        raise NotFound()
    if found.state == "ready":
        headers = {"etag": f'"{found.sha256.hex()}.preview"', "content-disposition": "inline"}
        return await _file(request, found.path, PREVIEW_MEDIA, headers)
    word = "Preview to come" if found.state == "waiting" else "No preview"
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="160"><rect width="240" height="160" fill="#8882"/>'
        f'<text x="120" y="84" font-family="sans-serif" font-size="13" fill="#888" text-anchor="middle">{word}</text>'
        "</svg>"
    )
    return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "no-store"} | _SAFE)


async def show_text(request: Request) -> Response:
    """`GET /rooms/<room>/files/<seq>/<n>/text`: the beginning of a file of text, escaped; a part, or a page."""
    looking, seq, position = await _place(request)
    resources, actor, room = looking.resources, looking.actor, looking.room
    text, is_all = await files.text_preview(resources, actor, room.id, seq, position)
    context: dict[str, Any] = {"text": text, "is_all": is_all}
    if "hx-request" in request.headers:
        return HTMLResponse(page("files/_text.html", **context))
    shown = shown_row(await files.attachment(resources, actor, room.id, seq, position))
    return HTMLResponse(page("files/text.html", request=request, actor=actor, room=room, file=shown, **context))


async def show_downloads(request: Request) -> Response:
    """`GET /rooms/<room>/files/<seq>/<n>/downloads`: who downloaded a restricted file, and when."""
    looking, seq, position = await _place(request)
    resources, actor, room = looking.resources, looking.actor, looking.room
    shown = shown_row(await files.attachment(resources, actor, room.id, seq, position))
    context = {"file": shown, "downloads": await files.downloads(resources, actor, room.id, seq, position)}
    return HTMLResponse(page("files/downloads.html", request=request, actor=actor, room=room, **context))


async def list_files(request: Request) -> Response:
    """`GET /rooms/<room>/files?before=`: every file of a workroom, the newest first, and one's own not yet attached."""
    looking = await looking_at(request)
    before = request.query_params.get("before", "")
    if before and (not before.isdecimal() or len(before) > 15):
        raise Malformed("`before` must be a whole number.", field="before")
    resources, actor, room = looking.resources, looking.actor, looking.room
    found = await files.files_of(resources, actor, room.id, int(before) if before else None)
    summaries, _ = await my_rooms(looking)
    context = {
        **await room_context(looking, summaries),
        "files": [shown_row(row) for row in found],
        "earlier": found[-1].seq if len(found) == files.FILES_PER_PAGE else None,
        "waiting": [
            upload_json(row, row.size or 0, f"/rooms/{room.id}/uploads/{row.id}")
            for row in await uploads.mine(resources, actor, room.id)
        ],
    }
    return HTMLResponse(page("files/list.html", request=request, actor=actor, **context))


_SAFE = {"content-security-policy": SANDBOX, "x-content-type-options": "nosniff"}


async def _place(request: Request) -> tuple[Looking, int, int]:
    return await looking_at(request), request.path_params["seq"], request.path_params["position"]


async def _sent(request: Request, found: Download) -> Response:
    headers = {"etag": f'"{found.sha256.hex()}"', "content-disposition": disposition(found.name)}
    if found.restricted:
        headers["cache-control"] = "no-store"
    return await _file(
        request, found.path, "text/plain; charset=utf-8" if found.media == TEXT else found.media, headers
    )


class _Sending(FileResponse):
    chunk_size = CHUNK_BYTES


async def _file(request: Request, path: Any, media: str, headers: dict[str, str]) -> Response:
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers={"etag": headers["etag"]} | _SAFE)
    try:
        stat = await asyncio.to_thread(path.stat)
    except FileNotFoundError:  # its content was erased since
        raise NotFound() from None
    return _Sending(path, media_type=media, headers=headers | _SAFE, stat_result=stat)


def _routes(start: str) -> list[Route]:
    place = f"{start}/rooms/{{room}}/files/{{seq:int}}/{{position:int}}"
    return [
        Route(f"{start}/rooms/{{room}}/uploads", create_upload, methods=["POST"]),
        Route(f"{start}/rooms/{{room}}/uploads/{{upload}}", show_upload),
        Route(f"{start}/rooms/{{room}}/uploads/{{upload}}", append_upload, methods=["PATCH"]),
        Route(f"{start}/rooms/{{room}}/uploads/{{upload}}", cancel_upload, methods=["DELETE"]),
        Route(place, download_file),
        Route(f"{place}/preview", show_preview),
    ]


_FILE = "/rooms/{room}/files/{seq:int}/{position:int}"
routes = [
    *_routes(""),
    Route("/rooms/{room}/uploads/{upload}/delete", cancel_upload, methods=["POST"]),
    Route("/rooms/{room}/files", list_files),
    Route("/rooms/{room}/files/{upload}", download_upload),
    Route(f"{_FILE}/text", show_text),
    Route(f"{_FILE}/downloads", show_downloads),
]
api_routes = _routes("/api")
