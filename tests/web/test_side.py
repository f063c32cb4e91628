"""What a workroom offers without script and on a phone: its side as a page, where it opens, answers from a receipt.

Rule 1: nothing that the page does by script alone is the only way to it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from app.config import Settings
from app.services import accounts, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from tests.builders import Pair, build_pair
from tests.live import Live, live_server

NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    settings = Settings(data=tmp_path_factory.mktemp("side") / "data", port=0, origin="test.example")
    async with live_server(settings, ManualClock(NOW)) as running:
        yield running


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


async def _get(live: Live, actor: Actor, path: str, headers: dict[str, str] | None = None) -> str:
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    async with httpx.AsyncClient(
        base_url=live.url, cookies={SESSION_COOKIE: signed.token}, headers={"accept": "text/html"}
    ) as browser:
        answer = await browser.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def _say(live: Live, actor: Actor, room: str, text: str) -> int:
    return (await record.append(live.resources, actor, room, "message", {"text": text})).seq


async def test_the_side_is_a_page_and_for_the_script_a_part(live: Live, pair: Pair) -> None:
    path = f"/rooms/{pair.room}/side"
    shown = await _get(live, pair.client, path)
    assert "<h1>" in shown and "Working now" in shown and "Terms" in shown and "Proof" in shown
    assert f'class="aside" href="{path}" aria-current="page"' in shown
    part = await _get(live, pair.client, path, {"HX-Request": "true"})
    assert 'id="agreed"' in part and "<html" not in part


async def test_every_page_of_a_workroom_leads_to_its_terms(live: Live, pair: Pair) -> None:
    for place in ("", "/work-view", "/terms", "/files", "/members"):
        assert f'href="/rooms/{pair.room}/terms"' in await _get(live, pair.client, f"/rooms/{pair.room}{place}")


async def test_a_workroom_opens_at_the_first_unread_entry_or_at_its_end(live: Live, pair: Pair) -> None:
    shown = await _get(live, pair.client, f"/rooms/{pair.room}")
    assert '<p id="end"><span id="unread"></span></p>' in shown
    await _say(live, pair.freelancer, pair.room, "While you were away")
    shown = await _get(live, pair.client, f"/rooms/{pair.room}")
    assert shown.count('id="unread"') == 1 and '<li class="day new"><span id="unread">' in shown and 'id="end"' in shown


async def test_only_others_who_have_seen_everything_leave_a_mark(live: Live, pair: Pair) -> None:
    seq = await _say(live, pair.client, pair.room, "Have you seen this?")
    mark = f'class="seen" id="seen-{pair.room}-'
    assert mark not in await _get(live, pair.client, f"/rooms/{pair.room}")
    for actor in (pair.client, pair.freelancer):
        await record.mark_seen(live.resources, actor, pair.room, seq)
    shown = await _get(live, pair.client, f"/rooms/{pair.room}")
    assert re.findall(rf'{mark}(p\d)"', shown) == ["p2"]


async def test_a_receipt_leads_to_an_answer_and_to_a_correction_of_ones_own(live: Live, pair: Pair) -> None:
    seq = await _say(live, pair.client, pair.room, "The berth map is wrong")
    own = await _get(live, pair.client, f"/rooms/{pair.room}/entries/{seq}/receipt")
    theirs = await _get(live, pair.freelancer, f"/rooms/{pair.room}/entries/{seq}/receipt")
    for html in (own, theirs):
        assert f'href="/rooms/{pair.room}?answer={seq}#end"' in html
    assert f"?correct={seq}#end" in own and "?correct=" not in theirs
    opened = await _get(live, pair.freelancer, f"/rooms/{pair.room}?answer={seq}")
    assert re.search(rf'name="ref"[^>]* value="{seq}"', opened) and 'class="composer answering"' in opened
    assert re.search(r'class="quoting"><span hx-ignore>[^<]*The berth map is wrong', opened)
    opened = await _get(live, pair.client, f"/rooms/{pair.room}?correct={seq}")
    assert re.search(r'value="correction" checked', opened) and f'value="{seq}"' in opened
    assert "quoting" not in await _get(live, pair.client, f"/rooms/{pair.room}?answer=99999")
