"""What is restricted, as pages show it: marked by its author without script, and told wherever it stands (rule 6.4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.config import Settings
from app.services import accounts, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from tests.bodies import hourly_terms
from tests.builders import Pair, build_pair
from tests.live import Live, live_server

WORDS = "tidal berth price"
MARK = 'class="pill hush" title="Restricted: it does not leave this workroom"'


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    settings = Settings(data=tmp_path_factory.mktemp("restricted") / "data", port=0, origin="test.example")
    async with live_server(settings) as running:
        yield running


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


@asynccontextmanager
async def browsing(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, signed in as `actor`."""
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    cookies, headers = {SESSION_COOKIE: signed.token}, {"accept": "text/html"}
    async with httpx.AsyncClient(base_url=live.url, cookies=cookies, headers=headers) as client:
        yield client


async def write(live: Live, actor: Actor, room: str, kind: str = "message", ref: int | None = None, **body: str) -> int:
    """Append a restricted entry."""
    made = {"text": WORDS, **body, "restricted": True}
    return (await record.append(live.resources, actor, room, kind, made, ref)).seq


@pytest.mark.parametrize("kind", ["message", "feedback", "correction"])
async def test_words_are_marked_restricted_in_the_composer_without_script(live: Live, pair: Pair, kind: str) -> None:
    seq = (await record.append(live.resources, pair.client, pair.room, "message", {"text": "first"})).seq
    form = {"kind": kind, "text": WORDS, "ref": str(seq), "restricted": "1"}
    async with browsing(live, pair.client) as browser:
        assert 'name="restricted"' in (await browser.get(f"/rooms/{pair.room}")).text
        assert (await browser.post(f"/rooms/{pair.room}/entries", data=form)).status_code == 303
        page = (await browser.get(f"/rooms/{pair.room}")).text
    entry = await record.entry(live.resources, pair.client, pair.room, seq + 1)
    assert (entry.kind, entry.body) == (kind, {"text": WORDS, "restricted": True})
    row = page.partition(f'id="e-{pair.room}-{seq + 1}"')[2].partition("</li>")[0]
    assert "restricted</span>" in row and "data-restricted" in row.partition(">")[0]


async def test_a_file_of_a_marked_entry_is_restricted_with_it(live: Live, pair: Pair) -> None:
    form, files = {"kind": "message", "text": "prices", "restricted": "1"}, {"files": ("p.txt", b"12 a berth")}
    async with browsing(live, pair.client) as browser:
        answer = await browser.post(f"/rooms/{pair.room}/entries", data=form, files=files)
        assert answer.status_code == 303
        seq = answer.headers["location"].rpartition("-")[2]
        assert "are not logged" not in (await browser.get(f"/rooms/{pair.room}/files/{seq}/0/downloads")).text


async def test_a_comment_on_time_has_no_mark_and_a_refused_entry_keeps_its_own(live: Live, pair: Pair) -> None:
    path = f"/rooms/{pair.room}/entries"
    typed = {"text": WORDS, "restricted": "1"}
    async with browsing(live, pair.freelancer) as browser:
        comment = await browser.post(path, data={**typed, "kind": "comment", "from_segment": "1", "to_segment": "0"})
        correction = await browser.post(path, data={**typed, "kind": "correction"})
    assert (comment.status_code, correction.status_code) == (422, 422)
    assert 'name="restricted" value="1">' in comment.text and "body.restricted" not in comment.text
    assert 'name="restricted" value="1" checked' in correction.text


async def test_the_form_of_an_answer_to_a_restricted_entry_is_marked_already(live: Live, pair: Pair) -> None:
    lines = [{"who": "Ana", "text": WORDS}]
    body = {"medium": "chat", "title": WORDS, "lines": lines, "restricted": True}
    seq = (await record.append(live.resources, pair.freelancer, pair.room, "transcript", body)).seq
    path = f"/rooms/{pair.room}/compose/transcript.contested"
    async with browsing(live, pair.client) as browser:
        form = (await browser.get(path, params={"ref": seq})).text
    box = next(tag for tag in form.split("<input") if 'name="restricted"' in tag)
    assert " checked" in box.partition(">")[0]


async def test_the_mark_stands_wherever_restricted_words_are_shown(live: Live, pair: Pair) -> None:
    room = f"/rooms/{pair.room}"
    mention = await write(live, pair.freelancer, pair.room, text=f"@dana {WORDS}")
    await write(live, pair.freelancer, pair.room, "disclosure.requested", to="The office")
    pages = ("/", "/notices", f"{room}/confidentiality", "/search?q=tidal")
    async with browsing(live, pair.client) as browser:
        html = {path: (await browser.get(path)).text for path in pages}
        quoting = f"{room}/compose/agreement?ref={mention}"
        html[quoting] = (await browser.get(quoting)).text
    for path, text in html.items():
        assert MARK in text, path
        assert WORDS in re.sub("</?mark>", "", text), path


async def test_restricted_terms_are_marked_on_their_page_while_proposed_and_in_force(live: Live, pair: Pair) -> None:
    body = hourly_terms() | {"restricted": True}
    seq = (await record.append(live.resources, pair.client, pair.room, "terms.proposed", body)).seq
    async with browsing(live, pair.client) as browser:
        assert (await browser.get(f"/rooms/{pair.room}/terms")).text.count(MARK) == 1
        await record.append(live.resources, pair.freelancer, pair.room, "terms.accepted", {}, seq)
        assert (await browser.get(f"/rooms/{pair.room}/terms")).text.count(MARK) == 2, "what holds, and its version"
        side = (await browser.get(f"/rooms/{pair.room}")).text.partition('id="agreed"')[2].partition("All terms")[0]
    assert MARK in side


async def test_a_form_that_forgets_the_mark_comes_back_with_it(live: Live, pair: Pair) -> None:
    seq = await write(live, pair.client, pair.room)
    form = {"kind": "correction", "text": WORDS, "ref": str(seq)}
    async with browsing(live, pair.client) as browser:
        refused = await browser.post(f"/rooms/{pair.room}/entries", data=form)
    assert refused.status_code == 422 and "is restricted: mark the correction too." in refused.text
    assert 'name="restricted" value="1" checked' in refused.text
