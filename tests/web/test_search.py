"""Pages of search, as a browser without script meets them; and the API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.domain.workrooms import WRITTEN_BY_PEOPLE
from app.services import accounts, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.indexing import index_missed
from app.views.search import kind_groups
from tests.builders import Pair, build_account, build_pair, erase
from tests.live import Live


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


async def _say(live: Live, actor: Actor, room: str, *texts: str) -> list[int]:
    said = [(await record.append(live.resources, actor, room, "message", {"text": text})).seq for text in texts]
    await index_missed(live.resources)
    return said


async def test_results_are_marked_escaped_and_lead_to_their_entries(live: Live, pair: Pair) -> None:
    (seq,) = await _say(
        live, pair.client, pair.room, "The <b>Harbour</b> & its berths, " + "far away " * 60 + "harbour"
    )
    async with browsing(live, pair.freelancer) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/search", params={"q": "harbour"})).text
    assert "The &lt;b&gt;<mark>Harbour</mark>&lt;/b&gt; &amp; its berths" in html
    assert f'href="/rooms/{pair.room}/entries/{seq}"' in html
    assert 'value="harbour"' in html


async def test_the_controls_narrow_what_the_box_asks_for(live: Live, pair: Pair) -> None:
    await _say(live, pair.client, pair.room, "berth of the client")
    await _say(live, pair.freelancer, pair.room, "berth of the freelancer")
    path = f"/rooms/{pair.room}/search"
    async with browsing(live, pair.client) as browser:
        by = (await browser.get(path, params={"q": "berth", "person": "p2"})).text
        assert "of the freelancer" in by and "of the client" not in by and '<option value="p2" selected>' in by
        kind = (await browser.get(path, params={"q": "berth", "kind": "comment"})).text
        assert "Nothing was found" in kind and '<option value="comment" selected>' in kind
        days = (await browser.get(path, params={"q": "berth", "before": "2001-01-01"})).text
        assert "Nothing was found" in days
        everywhere = (await browser.get("/search", params={"q": "berth", "person": "dana"})).text
        assert "of the client" in everywhere and "of the freelancer" not in everywhere


async def test_results_go_on_to_their_end(live: Live, pair: Pair) -> None:
    seqs = await _say(live, pair.client, pair.room, *[f"berth {n}" for n in range(45)])
    found: list[int] = []
    address = f"/rooms/{pair.room}/search?q=berth"
    async with browsing(live, pair.client) as browser:
        while address:
            html = (await browser.get(address)).text
            found += [int(seq) for seq in re.findall(r'class="at" href="/rooms/\w+/entries/(\d+)"', html)]
            more = re.search(r'href="([^"]+)" hx-get', html)
            address = more[1].replace("&amp;", "&") if more else ""
    assert found == seqs[::-1]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"q": "x" * 301}, "A search may have 300 characters"),
        ({"q": "x", "after": "tomorrow"}, "Write the day like 2026-11-19"),
        ({"q": "x", "after": "2026-11-19", "before": "2026-11-19"}, "The second day must be later"),
        ({"q": "x", "kind": "frame.taken"}, "Nobody writes entries of this kind"),
        ({"q": "x", "more": "1.2.3"}, "`more` must be what the page before gave"),
    ],
)
async def test_what_cannot_be_searched_is_said_and_stays(
    live: Live, pair: Pair, params: dict[str, str], sentence: str
) -> None:
    async with browsing(live, pair.client) as browser:
        answer = await browser.get(f"/rooms/{pair.room}/search", params=params)
        assert answer.status_code == 422
        assert sentence in answer.text and f'value="{params["q"]}"' in answer.text
        while_typing = await browser.get(f"/rooms/{pair.room}/search", params=params, headers={"hx-request": "true"})
        assert while_typing.status_code == 200 and sentence in while_typing.text and "<html" not in while_typing.text


async def test_nothing_asked_shows_how_to_ask(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        for path in ("/search", f"/rooms/{pair.room}/search", "/search?q=%22%22"):
            answer = await browser.get(path)
            assert answer.status_code == 200 and "What are you looking for?" in answer.text


async def test_strangers_find_nothing_and_learn_nothing(live: Live, pair: Pair) -> None:
    await _say(live, pair.client, pair.room, "berth")
    stranger = await build_account(live.resources, f"Sam {pair.room[:6]}")
    async with browsing(live, stranger) as browser:
        assert "Nothing was found" in (await browser.get("/search?q=berth")).text
        here = await browser.get(f"/rooms/{pair.room}/search?q=berth")
        nowhere = await browser.get(f"/rooms/{'0' * 26}/search?q=berth")
        assert here.status_code == nowhere.status_code == 404


async def test_erased_content_is_found_no_more(live: Live, pair: Pair) -> None:
    (seq,) = await _say(live, pair.client, pair.room, "zebrasecret")
    await erase(live.resources, pair.room, seq)
    async with browsing(live, pair.client) as browser:
        assert "<mark>" not in (await browser.get(f"/rooms/{pair.room}/search?q=zebrasecret")).text


async def test_the_api_finds_the_same(live: Live, pair: Pair) -> None:
    first, second = await _say(live, pair.client, pair.room, "berth <one>", "berth two")
    token = await accounts.new_token(live.resources, pair.client, "api", "test")
    async with httpx.AsyncClient(base_url=live.url, headers={"authorization": f"Bearer {token}"}) as program:
        asked = {"q": "berth", "room": pair.room, "limit": "1"}
        page = (await program.get("/api/search", params=asked)).json()
        assert [found["seq"] for found in page["results"]] == [second]
        rest = (await program.get("/api/search", params={**asked, "more": page["more"]})).json()
        assert [(found["seq"], found["snippet"]) for found in rest["results"]] == [
            (first, "<mark>berth</mark> &lt;one&gt;")
        ]
        assert rest["more"] is None
        for wrong in ({"limit": "0"}, {"limit": "x"}, {"q": "x" * 301}, {"more": "?"}):
            refused = await program.get("/api/search", params={"q": "berth", **wrong})
            assert refused.status_code == 422 and refused.json()["error"]["field"] in wrong
    async with httpx.AsyncClient(base_url=live.url) as nobody:
        assert (await nobody.get("/api/search?q=berth")).status_code == 401


def test_the_filter_names_every_kind_that_people_write_once_in_words() -> None:
    listed = [(kind, word) for _, kinds in kind_groups() for kind, word in kinds]
    assert sorted(kind for kind, _ in listed) == sorted(WRITTEN_BY_PEOPLE)
    assert len({word for _, word in listed}) == len(listed) and not [word for _, word in listed if "_" in word]
    assert ("deliverable.changes_requested", "Delivery: changes requested") in listed
