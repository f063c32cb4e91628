"""Notices, reports and the first page in a real browser: what concerns somebody comes by itself."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from app.services import notices, record
from tests.agreements import build_working
from tests.bodies import monday
from tests.browser.conftest import OpenPage
from tests.browser.looks import look
from tests.builders import Pair
from tests.live import Live

pytestmark = pytest.mark.browser


async def test_a_mention_rings_the_bell_wherever_one_is_and_looking_at_it_ends_that(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    await notices.mark_read(live.resources, pair.freelancer)
    ana = await open_page(pair.freelancer, "/notices")
    await ana.live()
    await expect(ana.page.locator("#bell")).to_be_empty()
    said = await record.append(live.resources, pair.client, pair.room, "message", {"text": "@ana, yours?"})
    await expect(ana.page.locator("#bell")).to_have_text("1")
    await expect(ana.page.locator(".notices .new")).to_contain_text("@ana, yours?")  # the list came by itself
    await ana.page.locator(".notices .new .said").click()
    await expect(ana.page).to_have_url(re.compile(f"#e-{pair.room}-{said.seq}$"))
    await expect(ana.page.locator("b.at-name")).to_have_text("@ana")
    await ana.live()
    await expect(ana.page.locator("#bell")).to_be_empty()


async def test_what_waits_comes_and_goes_on_the_first_page(open_page: OpenPage, live: Live) -> None:
    pair = await build_working(live.resources, "Comes and goes")
    dana = await open_page(pair.client, "/")
    await dana.live()
    body = {"text": "The tiles came late.", "until_on": "2030-12-01"}
    asked = await record.append(live.resources, pair.freelancer, pair.room, "delay", body)
    link = dana.page.locator(f'#waits a[href="/rooms/{pair.room}/entries/{asked.seq}"]')
    await expect(link).to_have_text("Ana announced a delay")
    await record.append(live.resources, pair.client, pair.room, "delay.accepted", {}, ref=asked.seq)
    await expect(link).to_have_count(0)


async def test_a_report_appears_while_its_page_is_open(open_page: OpenPage, live: Live) -> None:
    pair = await build_working(live.resources, "Reports live")
    dana = await open_page(pair.client, f"/rooms/{pair.room}/reports")
    await dana.live()
    body = {"week_on": monday(live.resources.clock.record_now()), "done": "The form.", "next": "The map."}
    await record.append(live.resources, pair.freelancer, pair.room, "status_report", body)
    await expect(dana.page.locator(".report")).to_contain_text("The form.")


async def test_notices_and_their_mails_are_managed_without_script(open_page: OpenPage, pair: Pair, live: Live) -> None:
    await record.append(live.resources, pair.client, pair.room, "message", {"text": "@ana, yours?"})
    ana = await open_page(pair.freelancer, "/notices", javascript=False)
    await ana.page.get_by_role("button", name="Mark all read").click()
    await expect(ana.page.locator("#bell")).to_be_empty()
    await ana.page.get_by_role("link", name="What is mailed").click()
    await ana.page.get_by_label("Never").check()
    await ana.page.get_by_role("button", name="Save").click()
    await expect(ana.page.locator(".done")).to_contain_text("Saved.")
    await expect(ana.page.get_by_label("Never")).to_be_checked()


async def test_no_page_has_a_finding_or_is_wider_than_the_screen(open_page: OpenPage, live: Live) -> None:
    pair = await build_working(live.resources, "Findings", pay="fixed")
    week = monday(live.resources.clock.record_now())
    said = {"week_on": week, "done": "The form, @dana.", "next": "The map.", "asks_release": ["m1"]}
    progress = [{"milestone": "m1", "percent": 60}]
    await record.append(live.resources, pair.freelancer, pair.room, "status_report", {**said, "progress": progress})
    await record.append(live.resources, pair.client, pair.room, "message", {"text": "@ana, yours?"})
    body = {"text": "The tiles came late.", "until_on": "2030-12-01"}
    await record.append(live.resources, pair.client, pair.room, "delay", body)
    ended = notices.unsubscribe_address(live.resources, pair.freelancer.account).removeprefix(
        live.resources.settings.base_url
    )
    page = (await open_page(pair.freelancer, "/about", reduced_motion="reduce")).page
    for path in ["/", "/notices", f"/rooms/{pair.room}/reports", "/settings/notices", ended]:
        await page.goto(path)
        await look(page, path)
