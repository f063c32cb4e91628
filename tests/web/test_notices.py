"""The pages of notices, of status reports and of what waits, as browsers without script ask for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.services import accounts, notices, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from tests.agreements import build_working
from tests.bodies import monday
from tests.live import Live


@asynccontextmanager
async def browsing(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, signed in."""
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    async with httpx.AsyncClient(base_url=live.url, cookies={SESSION_COOKIE: signed.token}) as client:
        yield client


async def page(browser: httpx.AsyncClient, path: str) -> str:
    answer = await browser.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, path
    return answer.text


def bell(html: str) -> str:
    return html.split('id="bell">')[1].split("<")[0]


async def test_a_notice_is_counted_in_every_head_and_read_by_a_button(live: Live) -> None:
    pair = await build_working(live.resources, "Notices")
    async with browsing(live, pair.freelancer) as ana:
        await ana.post("/notices/read")
        assert bell(await page(ana, "/")) == ""
        said = await record.append(
            live.resources, pair.client, pair.room, "message", {"text": "@ana, is <b>this</b> yours?"}
        )
        for path in ("/", "/notices", f"/rooms/{pair.room}", "/settings/notices"):
            assert bell(await page(ana, path)) == "1"
        html = await page(ana, "/notices")
        assert f'href="/rooms/{pair.room}/entries/{said.seq}"' in html
        assert "is &lt;b&gt;this&lt;/b&gt; yours?" in html
        notice = (await notices.my_notices(live.resources, pair.freelancer))[0]
        answer = await ana.post(f"/notices/{notice.row.id}/read")
        assert (answer.status_code, answer.headers["location"]) == (303, "/notices")
        assert bell(await page(ana, "/notices")) == ""


async def test_a_name_in_a_text_is_marked_for_everybody(live: Live) -> None:
    pair = await build_working(live.resources, "Marked")
    await record.append(live.resources, pair.client, pair.room, "message", {"text": "Thanks @Ana, not x@ana.example"})
    async with browsing(live, pair.client) as dana:
        html = await page(dana, f"/rooms/{pair.room}")
    assert html.count('<b class="at-name">@Ana</b>') == 1


async def test_what_waits_stands_on_the_first_page_of_who_must_act_and_of_who_asked(live: Live) -> None:
    pair = await build_working(live.resources, "Waits & waits")
    asked = await record.append(
        live.resources, pair.freelancer, pair.room, "delay", {"text": "The tiles came late.", "until_on": "2030-12-01"}
    )
    path = f"/rooms/{pair.room}/entries/{asked.seq}"
    async with browsing(live, pair.client) as dana, browsing(live, pair.freelancer) as ana:
        mine, theirs = (await page(dana, "/")).split('id="mine"')[0], (await page(ana, "/")).split('id="mine"')[0]
        assert path in mine.split("Waiting for others")[0] and "then the dates stay" in mine
        assert path in theirs.split("Waiting for others")[1]
        part = await dana.get("/waiting", headers={"hx-request": "true"})
        assert path in part.text and "<html" not in part.text
        assert (await dana.get("/waiting")).headers["location"] == "/"
        await record.append(live.resources, pair.client, pair.room, "delay.accepted", {}, ref=asked.seq)
        assert path not in (await page(dana, "/")).split('id="mine"')[0]


async def test_settings_come_back_as_typed_when_they_are_refused(live: Live) -> None:
    pair = await build_working(live.resources, "Settings")
    form = {"digest": "weekly", "hour": "7", "time_zone": "Mars/Olympus"}
    async with browsing(live, pair.client) as dana:
        answer = await dana.post("/settings/notices", data=form, headers={"accept": "text/html"})
        assert answer.status_code == 422
        assert 'value="Mars/Olympus"' in answer.text and "is no time zone" in answer.text
        assert 'value="weekly" checked' in answer.text and '<option value="7" selected>' in answer.text
        answer = await dana.post("/settings/notices", data={**form, "time_zone": "Europe/Lisbon"})
        assert answer.headers["location"] == "/settings/notices?done"
        assert "Saved." in await page(dana, "/settings/notices?done")


@pytest.mark.parametrize("body", [{"List-Unsubscribe": "One-Click"}, {}])
async def test_one_click_ends_the_mails_without_signing_in(live: Live, body: dict[str, str]) -> None:
    pair = await build_working(live.resources, "Unsubscribe")
    actor: Actor = pair.freelancer
    await notices.choose(live.resources, actor, at_once=True, digest="daily", hour="8", zone="UTC")
    path = "/unsubscribe/" + notices.unsubscribe_address(live.resources, actor.account).rsplit("/", 1)[1]
    async with httpx.AsyncClient(base_url=live.url) as program:
        assert "End these mails?" in (await program.get(path)).text
        assert (await notices.my_settings(live.resources, actor)).at_once
        assert (await program.post(path, data=body)).status_code == 200
        assert (await program.post(path[:-1] + "!")).status_code == 404
    assert not (await notices.my_settings(live.resources, actor)).at_once


async def test_reports_are_listed_by_week_as_a_page_and_as_json(live: Live) -> None:
    pair = await build_working(live.resources, "Reports", pay="fixed")
    week = monday(live.resources.clock.record_now())
    body = {
        "week_on": week, "done": "The @dana form.", "next": "The map.",
        "progress": [{"milestone": "m1", "percent": 60}], "asks_release": ["m1"],
    }  # fmt: skip
    async with browsing(live, pair.freelancer) as ana, browsing(live, pair.client) as dana:
        assert "Write the report" in await page(ana, f"/rooms/{pair.room}/reports")
        assert "Write the report" not in await page(dana, f"/rooms/{pair.room}/reports")
        sent = await record.append(live.resources, pair.freelancer, pair.room, "status_report", body)
        html = await page(dana, f"/rooms/{pair.room}/reports")
        assert 'value="60"' in html and "Asks for release: Design" in html and '<b class="at-name">@dana</b>' in html
        answer = (await dana.get(f"/api/rooms/{pair.room}/reports")).json()
    [listed] = answer["reports"]
    assert (listed["week_on"], listed["seq"], listed["late"], listed["missing_seq"]) == (week, sent.seq, False, None)
    [due] = answer["due"]
    assert (due["seq"] == sent.seq) is (due["week_on"] == week)  # on a weekend the first is due a week later
