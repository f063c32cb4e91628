"""Files over HTTP: resumed, posted in forms, sent so that nothing in them can run."""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx
import pytest
from PIL import Image

from app.domain.errors import AccountExists
from app.domain.record import base64url
from app.services import accounts, files, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from tests.builders import Pair, build_account, build_pair
from tests.live import Live

TEXT = b"<script>alert(1)</script>\nBerth 12 is free.\n"
READY_SECONDS = 15.0


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


@asynccontextmanager
async def browsing(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, signed in."""
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    cookies, headers = {SESSION_COOKIE: signed.token}, {"accept": "text/html"}
    async with httpx.AsyncClient(base_url=live.url, cookies=cookies, headers=headers, timeout=30.0) as client:
        yield client


async def begin(http: httpx.AsyncClient, room: str, data: bytes, name: str = "berths.txt", **more: Any) -> str:
    answer = await http.post(f"/api/rooms/{room}/uploads", json={"name": name, "bytes": len(data), **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == "0" and answer.headers["location"] == answer.json()["address"]
    address: str = answer.json()["address"]
    return address


async def upload(http: httpx.AsyncClient, room: str, data: bytes, name: str = "berths.txt") -> dict[str, Any]:
    address = await begin(http, room, data, name)
    answer = await http.patch(address, content=data, headers={"upload-offset": "0"})
    assert answer.status_code == 200, answer.text
    ref: dict[str, Any] = answer.json()["file"]
    return ref


async def attached(live: Live, pair: Pair, data: bytes, name: str, **more: Any) -> int:
    """Upload a file as Dana and send it; return the entry's seq."""
    async with live.http(pair.client) as http:
        ref = {**await upload(http, pair.room, data, name), **more}
        body = {"text": "See there.", "files": [ref]}
        answer = await http.post(f"/api/rooms/{pair.room}/entries", json={"kind": "message", "body": body})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["seq"])


async def test_an_upload_goes_on_where_the_connection_was_lost(live: Live, pair: Pair) -> None:
    data = os.urandom(3_000_000)
    async with live.http(pair.client) as http:
        address = await begin(http, pair.room, data, "plan.bin", sha256=base64url(sha256(data).digest()))

        async def lost() -> AsyncIterator[bytes]:
            yield data[:1_000_000]
            await asyncio.sleep(0)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await http.patch(address, content=lost(), headers={"upload-offset": "0"})
        lies = live.resources.blobs.files.upload_path(address.rsplit("/", 1)[1])
        async with asyncio.timeout(READY_SECONDS):
            while not lies.exists() or lies.stat().st_size == 0:  # what was sent is still being read
                await asyncio.sleep(0.01)
        told = await http.head(address)
        received = int(told.headers["upload-offset"])
        assert 0 < received <= 1_000_000 and told.headers["upload-complete"] == "?0"
        wrong = await http.patch(address, content=data, headers={"upload-offset": "0"})
        assert wrong.status_code == 409 and wrong.json()["error"]["code"] == "offset_mismatch"
        assert int(wrong.headers["upload-offset"]) == received
        done = await http.patch(address, content=data[received:], headers={"upload-offset": str(received)})
        assert done.headers["upload-complete"] == "?1"
        assert done.json()["file"] == {
            "name": "plan.bin", "media": "application/octet-stream", "bytes": len(data),
            "sha256": base64url(sha256(data).digest()),
        }  # fmt: skip
        again = await http.patch(address, content=b"", headers={"upload-offset": str(len(data))})
        assert again.json() == done.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a"}, None),
        ({"name": "a", "bytes": -1}, "bytes"),
        ({"name": "a", "bytes": 1, "sha256": "x"}, "sha256"),
    ],
)
async def test_an_upload_that_cannot_be_is_refused(
    live: Live, pair: Pair, body: dict[str, Any], field: str | None
) -> None:
    async with live.http(pair.client) as http:
        answer = await http.post(f"/api/rooms/{pair.room}/uploads", json=body)
        assert answer.status_code == 422 and answer.json()["error"]["field"] == field
        large = await http.post(f"/api/rooms/{pair.room}/uploads", json={"name": "film", "bytes": 50 * 2**20 + 1})
        assert large.status_code == 413 and "50 MiB" in large.json()["error"]["message"]


async def test_a_cancelled_upload_is_gone(live: Live, pair: Pair) -> None:
    async with live.http(pair.client) as http:
        address = await begin(http, pair.room, TEXT)
        assert (await http.delete(address)).status_code == 204
        assert (await http.delete(address)).status_code == 204
        assert (await http.get(address)).status_code == 404


async def test_a_download_cannot_run_and_can_be_resumed(live: Live, pair: Pair) -> None:
    seq = await attached(live, pair, TEXT, 'berth "12"\u202e\n.html')
    async with browsing(live, pair.freelancer) as browser:
        got = await browser.get(f"/rooms/{pair.room}/files/{seq}/0")
        assert got.content == TEXT
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert got.headers["content-disposition"].startswith('attachment; filename="berth _12_.html"')
        assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert got.headers["x-content-type-options"] == "nosniff"
        tag = got.headers["etag"]
        assert tag == f'"{sha256(TEXT).hexdigest()}"'
        part = await browser.get(f"/rooms/{pair.room}/files/{seq}/0", headers={"range": "bytes=8-13", "if-range": tag})
        assert (part.status_code, part.content) == (206, TEXT[8:14])
        same = await browser.get(f"/rooms/{pair.room}/files/{seq}/0", headers={"if-none-match": tag})
        assert same.status_code == 304
        page = (await browser.get(f"/rooms/{pair.room}")).text
        assert f'href="/rooms/{pair.room}/files/{seq}/0"' in page and "berth _12_.html" in page
        shown = await browser.get(f"/rooms/{pair.room}/files/{seq}/0/text")
        assert "&lt;script&gt;alert(1)" in shown.text and "<script>alert" not in shown.text
        assert "berth _12_.html" in (await browser.get(f"/rooms/{pair.room}/files")).text


async def test_a_stranger_sees_no_file_and_no_upload(live: Live, pair: Pair) -> None:
    seq = await attached(live, pair, TEXT, "berths.txt")
    async with live.http(pair.client) as http:
        address = await begin(http, pair.room, TEXT)
    try:
        stranger = await build_account(live.resources, "Eve Stone")
    except AccountExists:
        stranger = await accounts.account_of_email(live.resources, "eve.stone@example.org")
    async with browsing(live, stranger) as browser:
        place = f"/rooms/{pair.room}/files/{seq}/0"
        upload_id = address.rsplit("/", 1)[1]
        for path in (place, f"{place}/text", f"{place}/preview", f"{place}/downloads", f"/rooms/{pair.room}/files",
                     f"/rooms/{pair.room}/files/{upload_id}", f"/rooms/{pair.room}/uploads/{upload_id}"):  # fmt: skip
            assert (await browser.get(path)).status_code == 404, path


async def test_downloads_of_a_restricted_file_are_logged_before_a_byte_is_sent(live: Live, pair: Pair) -> None:
    seq = await attached(live, pair, TEXT, "berths.txt", restricted=True)
    async with browsing(live, pair.freelancer) as browser:
        place = f"/rooms/{pair.room}/files/{seq}/0"
        assert (await browser.head(place)).status_code == 200
        assert "Nobody has downloaded it yet" in (await browser.get(f"{place}/downloads")).text
        for headers in ({}, {"range": "bytes=5-"}):
            assert (await browser.get(place, headers=headers)).headers["cache-control"] == "no-store"
        assert (await browser.get(f"{place}/text")).status_code == 404
        assert "restricted" in (await browser.get(f"/rooms/{pair.room}")).text
    async with browsing(live, pair.client) as browser:
        listed = (await browser.get(f"{place}/downloads")).text
        assert re.search(r"Ana Novak</th>.*<td>2</td>", listed, re.DOTALL)


async def test_a_form_without_script_brings_text_and_files_together(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        sent = await browser.post(
            f"/rooms/{pair.room}/entries",
            data={"text": "Both plans.", "kind": "message", "cid": "form-with-files"},
            files=[("files", ("one.txt", TEXT)), ("files", ("two.bin", os.urandom(2_000_000))), ("files", ("", b""))],
        )
        assert sent.status_code == 303, sent.text
        page = (await browser.get(f"/rooms/{pair.room}")).text
        assert "Both plans." in page and "one.txt" in page and "two.bin" in page


async def test_a_refused_form_keeps_its_text_and_its_files(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        refused = await browser.post(
            f"/rooms/{pair.room}/entries",
            data={"text": "x" * 33_000, "kind": "message", "cid": "too-long"},
            files=[("files", ("plan.txt", TEXT))],
        )
        assert refused.status_code == 422 and "longer than 32 KiB" in refused.text and "x" * 33_000 in refused.text
        (kept,) = re.findall(r'name="upload" value="(\w+)" checked', refused.text)
        data = {"text": "Shorter.", "kind": "message", "upload": kept}
        sent = await browser.post(f"/rooms/{pair.room}/entries", data=data)
        assert sent.status_code == 303
        assert "plan.txt" in (await browser.get(f"/rooms/{pair.room}")).text


async def test_a_file_that_is_too_large_for_a_form_keeps_what_was_typed(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        refused = await browser.post(
            f"/rooms/{pair.room}/entries",
            data={"text": "With the film.", "kind": "message"},
            files=[("files", ("film.bin", bytes(50 * 2**20 + 1)))],
        )
        assert refused.status_code == 413 and "With the film." in refused.text and "50 MiB" in refused.text
    head = await record.page(live.resources, pair.client, pair.room, limit=1)
    assert head.entries[-1].kind != "message"


async def test_a_picture_s_preview_is_made_and_comes_live(live: Live, pair: Pair) -> None:
    made = io.BytesIO()
    Image.new("RGB", (2000, 1000), (20, 90, 160)).save(made, "PNG")
    async with live.viewer(pair.freelancer, view="timeline", rooms={pair.room: 0}) as viewer:
        seq = await attached(live, pair, made.getvalue(), "harbour.png")
        place = f"a-{pair.room}-{seq}-0"
        async with asyncio.timeout(READY_SECONDS):
            while True:
                message = await viewer.next()
                if place in message.get("content", ""):
                    break
            while (await files.preview(live.resources, pair.client, pair.room, seq, 0)).state != "ready":
                await asyncio.sleep(0.05)
    async with browsing(live, pair.freelancer) as browser:
        got = await browser.get(f"/rooms/{pair.room}/files/{seq}/0/preview")
        assert got.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(got.content)).size == (960, 480)
