"""Pages of workrooms, as a browser without script meets them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.config import Settings
from app.domain.timerange import DAY_MS, SEGMENT_MS, instant_text, local_day
from app.services import accounts, frames, record, room_closing
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from app.verify import verify
from app.views.entries import entry_rows
from app.views.rendering import STATIC
from tests.builders import Pair, build_account, build_pair, erase
from tests.live import Live, live_server
from tests.work import MINUTE, Shift

NOW = 1_790_000_000_000  # a Monday, 14:13 UTC
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    settings = Settings(
        data=tmp_path_factory.mktemp("pages") / "data", port=0, origin="test.example", says_per_second_max=100_000
    )
    async with live_server(settings, ManualClock(NOW)) as running:
        yield running


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


@asynccontextmanager
async def browsing(live: Live, actor: Actor | None) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, signed in as `actor`."""
    cookies = {}
    if actor is not None:
        signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
        cookies[SESSION_COOKIE] = signed.token
    async with httpx.AsyncClient(base_url=live.url, cookies=cookies, headers=HTML) as client:
        yield client


async def _say(live: Live, actor: Actor, room: str, text: str, kind: str = "message", ref: int | None = None) -> int:
    return (await record.append(live.resources, actor, room, kind, {"text": text}, ref)).seq


async def test_who_is_not_signed_in_signs_in_first_and_comes_back(live: Live, pair: Pair) -> None:
    async with browsing(live, None) as browser:
        answer = await browser.get(f"/rooms/{pair.room}")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/sign-in?next=/rooms/{pair.room}"
        assert (await browser.get("/")).headers["location"] == "/sign-in"


async def test_home_lists_rooms_with_what_is_unread(live: Live, pair: Pair) -> None:
    await _say(live, pair.freelancer, pair.room, "Two days on top")
    async with browsing(live, pair.client) as browser:
        html = (await browser.get("/")).text
    assert f'href="/rooms/{pair.room}#unread"' in html
    assert "Waiting for you" in html and "1 unread entry in Harbour booking site" in html
    assert "Ana: Two days on top" in html


async def test_the_workroom_shows_the_rows_that_the_socket_sends(live: Live, pair: Pair) -> None:
    await _say(live, pair.client, pair.room, "Morning! *Could* you look at <this>?")
    async with browsing(live, pair.freelancer) as browser:
        html = (await browser.get(f"/rooms/{pair.room}")).text
    found = await record.page(live.resources, pair.client, pair.room)
    for row in entry_rows(found.entries, live.resources.rooms[pair.room]):
        assert str(row) in html
    assert "While you were away · 1 new" in html
    assert f'data-rooms="{pair.room}:{found.head}"' in html


async def test_an_entry_is_posted_without_script_once_even_if_posted_twice(live: Live, pair: Pair) -> None:
    form = {"kind": "message", "text": "One\r\ntwo", "cid": "0123456789abcdef"}
    async with browsing(live, pair.client) as browser:
        first = await browser.post(f"/rooms/{pair.room}/entries", data=form)
        again = await browser.post(f"/rooms/{pair.room}/entries", data=form)
    assert first.status_code == 303 and first.headers["location"] == again.headers["location"]
    seq = int(first.headers["location"].rsplit("-", 1)[1])
    assert (await record.entry(live.resources, pair.client, pair.room, seq)).body == {"text": "One\ntwo"}


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"kind": "correction", "text": "Kept text"}, "Name the number of the entry that this corrects."),
        ({"kind": "nonsense", "text": "Kept text"}, "There is no entry of the kind"),
        (
            {"kind": "comment", "text": "Kept text", "from_segment": "1", "to_segment": "2"},
            "This is for the freelancer to do.",
        ),
        ({"kind": "message", "text": "Kept text", "ref": "99999"}, "There is no entry of this number"),
        ({"kind": "message", "text": "Kept text " * 4000}, "longer than 32 KiB"),
    ],
)
async def test_a_refused_entry_comes_back_with_its_text(
    live: Live, pair: Pair, form: dict[str, str], sentence: str
) -> None:
    async with browsing(live, pair.client) as browser:
        answer = await browser.post(f"/rooms/{pair.room}/entries", data=form)
    assert 400 <= answer.status_code < 500
    assert sentence in answer.text.replace("&#39;", "'")
    assert "Kept text" in answer.text


async def test_a_number_that_is_none_is_refused_with_a_sentence(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        answer = await browser.post(f"/rooms/{pair.room}/entries", data={"text": "x", "ref": "twelve"})
        assert answer.status_code == 422 and "`ref` must be a whole number" in answer.text
        told = await browser.post(
            f"/rooms/{pair.room}/entries", data={"text": " "}, headers={"accept": "application/json"}
        )
        assert told.status_code == 422 and told.json()["error"]["field"] == "body.text"


async def test_others_do_not_learn_that_a_room_exists(live: Live, pair: Pair) -> None:
    stranger = await build_account(live.resources, f"Sam {pair.room[:6]}")
    async with browsing(live, stranger) as browser:
        for path in (
            "",
            "/work-view",
            "/entries/0",
            "/entries/0/receipt",
            "/entries/0/disclosure",
            "/frames/0/thumbnail",
            "/earlier?before=3",
        ):
            here = await browser.get(f"/rooms/{pair.room}{path}")
            nowhere = await browser.get(f"/rooms/{'0' * 26}{path}")
            assert here.status_code == nowhere.status_code == 404, path
        assert (await browser.post(f"/rooms/{pair.room}/entries", data={"text": "x"})).status_code == 404


async def test_earlier_entries_come_as_rows_alone_or_as_a_page(live: Live, pair: Pair) -> None:
    for number in range(130):
        await _say(live, pair.client, pair.room, f"Message {number}")
    async with browsing(live, pair.client) as browser:
        html = (await browser.get(f"/rooms/{pair.room}")).text
        first = int(re.findall(rf'id="e-{pair.room}-(\d+)"', html)[0])
        assert f"before={first}" in html
        part = (await browser.get(f"/rooms/{pair.room}/earlier?before={first}")).text
        assert "<html" not in part and part.count('<li class="e ') == first
        page = (await browser.get(f"/rooms/{pair.room}?before={first}")).text
        assert "To the latest entries" in page and "hx-ws:connect" not in page


async def test_a_permalink_leads_to_its_entry_in_the_timeline(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        answer = await browser.get(f"/rooms/{pair.room}/entries/1")
        assert answer.headers["location"] == f"/rooms/{pair.room}?around=1#e-{pair.room}-1"
        html = (await browser.get(answer.headers["location"])).text
        assert f'id="e-{pair.room}-1"' in html
        assert (await browser.get(f"/rooms/{pair.room}/entries/99999")).status_code == 404


async def test_the_receipt_of_an_entry_is_shown_and_downloaded(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/entries/2/receipt")).text
        assert "Proof of entry 2" in html and "tlog-proof" in html
        file = await browser.get(f"/rooms/{pair.room}/entries/2/receipt?download")
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.text.startswith("c2sp.org/tlog-proof@v1")


async def test_receipt_and_content_of_a_page_verify_by_the_command_that_it_shows(live: Live, pair: Pair) -> None:
    seq = await _say(live, pair.client, pair.room, "Ça va?")
    path = f"/rooms/{pair.room}/entries/{seq}"
    async with browsing(live, pair.freelancer) as browser:
        html = (await browser.get(f"{path}/receipt")).text
        receipt = await browser.get(f"{path}/receipt?download")
        content = await browser.get(f"{path}/disclosure")
    assert f'href="{path}/disclosure" download="entry-{seq}.disclosure.json"' in html
    assert content.headers["content-disposition"] == f'attachment; filename="entry-{seq}.disclosure.json"'
    assert content.headers["cache-control"] == "no-store"
    (key,) = re.findall(r"--key (\S+)</pre>", html)
    assert list(verify(receipt.content, content.content, key))[-1] == 'content: {"text": "Ça va?"}'


async def test_a_program_gets_the_same_content_by_its_token(live: Live, pair: Pair) -> None:
    seq = await _say(live, pair.client, pair.room, "for a program")
    token = await accounts.new_token(live.resources, pair.client, "api", "test")
    async with httpx.AsyncClient(base_url=live.url, headers={"authorization": f"Bearer {token}"}) as program:
        receipt = await program.get(f"/api/rooms/{pair.room}/entries/{seq}/receipt")
        content = await program.get(f"/api/rooms/{pair.room}/entries/{seq}/disclosure")
        assert (await program.get(f"/api/rooms/{pair.room}/entries/99999/disclosure")).status_code == 404
    assert content.headers["content-type"] == "application/json"
    key = live.resources.signer.verifier_key(pair.room)
    assert list(verify(receipt.content, content.content, key))[-1] == 'content: {"text": "for a program"}'


async def test_the_receipt_of_an_erased_entry_offers_no_content_and_says_why(live: Live, pair: Pair) -> None:
    said = await _say(live, pair.client, pair.room, "gone soon")
    tombstone = await erase(live.resources, pair.room, said)
    path = f"/rooms/{pair.room}/entries/{said}"
    async with browsing(live, pair.freelancer) as browser:
        html = (await browser.get(f"{path}/receipt")).text
        assert "Download content" not in html and f'erased by <a href="/rooms/{pair.room}/entries/{tombstone}' in html
        refused = await browser.get(f"{path}/disclosure")
    assert refused.status_code == 404 and f"was erased by entry {tombstone}" in refused.text
    async with browsing(live, await build_account(live.resources, "Stranger")) as browser:
        assert "erased" not in (await browser.get(f"{path}/disclosure")).text


async def test_the_day_of_work_view_is_a_table_with_folded_empty_hours(live: Live, pair: Pair) -> None:
    clock = live.resources.clock
    assert isinstance(clock, ManualClock)
    shift = await Shift(live.resources, pair.freelancer, pair.room, clock).start("Booking form", at=NOW - 30 * MINUTE)
    await shift.work(20 * MINUTE, keep_clock=True)
    await shift.work(5 * MINUTE, documented=False, keep_clock=True)
    async with browsing(live, pair.client) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/work-view")).text
        assert html.count('<th scope="row">') == 24
        assert "nothing tracked" in html and "Booking form" in html
        assert "Work View off" in html and "0.4 h" in html
        utc = (await browser.get(f"/rooms/{pair.room}/work-view?zone=mine&mine=Asia/Kolkata")).text
        assert 'data-zone="Asia/Kolkata"' in utc and utc.count('<th scope="row">') == 25
        assert 'class="seg empty out"' in utc, "cells of the neighbouring day are greyed"
        for wrong in ("?day=yesterday", "?zone=mine&mine=Moon/Sea"):
            assert (await browser.get(f"/rooms/{pair.room}/work-view{wrong}")).status_code == 422


async def test_a_frame_has_a_page_a_picture_and_can_be_deleted_by_its_freelancer(live: Live, pair: Pair) -> None:
    clock = live.resources.clock
    assert isinstance(clock, ManualClock)
    shift = await Shift(live.resources, pair.freelancer, pair.room, clock).start(at=NOW - 20 * MINUTE)
    stored = await shift.frame(taken_at=NOW - 19 * MINUTE)
    await shift.work(10 * MINUTE, keep_clock=True)
    seq = stored.seq
    async with browsing(live, pair.client) as dana, browsing(live, pair.freelancer) as ana:
        html = (await dana.get(f"/rooms/{pair.room}/frames/{seq}")).text
        assert "Note to Ana" in html and "Delete this frame" not in html
        part = (await dana.get(f"/rooms/{pair.room}/frames/{seq}", headers={"hx-request": "true"})).text
        assert part.lstrip().startswith("<link") and "<article" in part and "<html" not in part
        picture = await dana.get(f"/rooms/{pair.room}/frames/{seq}/image")
        assert picture.headers["content-type"] == "image/webp"
        assert picture.headers["cache-control"] == "no-store" and "etag" not in picture.headers
        assert (await dana.post(f"/rooms/{pair.room}/frames/{seq}/delete")).status_code == 404
        assert "are taken off your time" in (await ana.get(f"/rooms/{pair.room}/frames/{seq}")).text
        assert (await ana.post(f"/rooms/{pair.room}/frames/{seq}/delete")).status_code == 303
        assert (await dana.get(f"/rooms/{pair.room}/frames/{seq}/image")).status_code == 404
        assert "The picture was erased" in (await dana.get(f"/rooms/{pair.room}/frames/{seq}")).text
        assert "deleted by Ana" in (await dana.get(f"/rooms/{pair.room}/work-view")).text


async def test_the_page_of_an_erased_frame_knows_its_freelancer_and_segment_but_no_minute(
    live: Live, pair: Pair
) -> None:
    clock = live.resources.clock
    assert isinstance(clock, ManualClock)
    begin = NOW // SEGMENT_MS * SEGMENT_MS - DAY_MS  # long before the entries say it
    shift = await Shift(live.resources, pair.freelancer, pair.room, clock).start(at=begin)
    seqs = [(await shift.frame(taken_at=begin + n * SEGMENT_MS + 7 * MINUTE)).seq for n in range(3)]
    await shift.work(3 * SEGMENT_MS, keep_clock=True)
    async with browsing(live, pair.client) as dana, browsing(live, pair.freelancer) as ana:
        before = (await dana.get(f"/rooms/{pair.room}/frames/{seqs[1]}")).text
        minute = instant_text(begin + SEGMENT_MS + 7 * MINUTE)
        assert f'datetime="{minute}"' in before
        await ana.post(f"/rooms/{pair.room}/frames/{seqs[1]}/delete")
        html = (await dana.get(f"/rooms/{pair.room}/frames/{seqs[1]}")).text
        assert "Erased frame" in html and "· Ana</small>" in html and minute not in html
        assert f'datetime="{instant_text(begin + SEGMENT_MS)}"' in html
        for seq in (seqs[0], seqs[2]):
            assert f'href="/rooms/{pair.room}/frames/{seq}"' in html
        assert "Delete this frame" not in (await ana.get(f"/rooms/{pair.room}/frames/{seqs[1]}")).text


async def test_only_a_thumbnail_that_is_still_to_come_is_a_drawing(
    live: Live, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(task: str, key: str) -> None:
        """The hint to the worker does not arrive, so the frame waits for the sweep."""

    monkeypatch.setattr(live.resources, "enqueue", lost)
    clock = live.resources.clock
    assert isinstance(clock, ManualClock)
    shift = await Shift(live.resources, pair.freelancer, pair.room, clock).start(at=NOW - 20 * MINUTE)
    stored = await shift.frame(taken_at=NOW - 19 * MINUTE)
    path = f"/rooms/{pair.room}/frames/{stored.seq}/thumbnail"
    async with browsing(live, pair.client) as browser:
        answer = await browser.get(path)
        assert answer.headers["content-type"] == "image/svg+xml" and answer.headers["cache-control"] == "no-store"
        await frames.delete(live.resources, pair.freelancer, stored.frame)
        for gone in (path, f"/rooms/{pair.room}/frames/0/thumbnail", f"/rooms/{pair.room}/frames/999/thumbnail"):
            assert (await browser.get(gone)).status_code == 404, gone


async def test_static_files_are_packed_versioned_and_bounded_to_their_folder(live: Live) -> None:
    async with browsing(live, None) as browser:
        css = await browser.get("/static/app.css")
        assert css.headers["content-encoding"] == "gzip" and css.headers["cache-control"] == "no-cache"
        assert css.text == (STATIC / "app.css").read_text()
        again = await browser.get("/static/app.css", headers={"if-none-match": css.headers["etag"]})
        assert again.status_code == 304
        assert "immutable" in (await browser.get("/static/vendor/htmx-4.0.1.min.js")).headers["cache-control"]
        assert (await browser.get("/static/../app/config.py")).status_code == 404
        assert (await browser.get("/static/%2e%2e/pyproject.toml")).status_code == 404


async def test_pages_for_everybody_need_no_account(live: Live) -> None:
    async with browsing(live, None) as browser:
        assert "Confidentiality policy" in (await browser.get("/about")).text
        assert "Entries of every kind" in (await browser.get("/patterns")).text


def test_the_sample_of_today_is_a_monday() -> None:
    assert local_day(NOW, ZoneInfo("UTC")).weekday() == 0


async def test_a_handover_that_closing_erased_says_so(live: Live) -> None:
    pair = await build_pair(live.resources)
    body = {"to": "p2", "label": "Staging server", "secret": "correct-horse-battery-staple"}
    handed = await record.append(live.resources, pair.client, pair.room, "handover", body)
    await room_closing.close_room(live.resources, pair.client, pair.room)
    async with browsing(live, pair.freelancer) as browser:
        page = (await browser.get(f"/rooms/{pair.room}/handovers/{handed.seq}")).text
    assert "The workroom was closed before you looked." in page and "Nobody looked" not in page


async def test_home_starts_a_workroom_also_where_there_are_some(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as browser:
        assert 'href="/start"' in (await browser.get("/")).text
