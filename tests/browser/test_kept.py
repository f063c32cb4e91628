"""What a browser keeps of a room: nobody else's words under one's name, and no tab drops what another tab holds."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from app.services import accounts, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live

pytestmark = pytest.mark.browser


async def become(page: Page, live: Live, actor: Actor) -> None:
    """Sign in as somebody in the browser of `page`."""
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "browser"))
    await page.context.add_cookies([{"name": SESSION_COOKIE, "value": signed.token, "url": live.url}])


async def messages(live: Live, pair: Pair) -> list[tuple[str | None, str]]:
    found = await record.page(live.resources, pair.client, pair.room)
    return [(entry.by, entry.body["text"]) for entry in found.entries if entry.kind == "message" and entry.body]


async def tab(page: Page, room: str) -> Page:
    """Open the room in one more tab of the same browser, connected."""
    other = await page.context.new_page()
    await other.goto(f"/rooms/{room}")
    await expect(other.locator("html[data-live=on]")).to_be_attached(timeout=15_000)
    return other


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.press("#text", "Enter")


async def test_what_one_person_left_unsent_is_neither_shown_nor_sent_under_another_name(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    page = dana.page
    await dana.live()
    await page.evaluate("localStorage.setItem('draft-" + pair.room + "', '{}')")  # as it was kept before
    await page.locator("#more summary").click()
    await page.locator('#more a[href$="/compose/agreement"]').click()
    await page.get_by_label("What was agreed").fill("Of Dana, agreed")
    await page.keyboard.press("Escape")
    await dana.network.cut()
    await expect(page.locator(".status .s-off")).to_be_visible()
    await say(page, "Of Dana, unsent")
    await expect(page.locator(".pending .e")).to_contain_text("Kept here")
    await page.fill("#text", "Of Dana, half")
    await page.locator("summary", has_text="your account").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in*")
    dana.network.mend()
    await become(page, live, pair.freelancer)
    await page.goto(f"/rooms/{pair.room}")
    await dana.live()
    await expect(page.locator(".pending .e")).to_have_count(0)
    await expect(page.locator("#text")).to_have_value("")
    await page.locator("#more summary").click()
    await page.locator('#more a[href$="/compose/agreement"]').click()
    await expect(page.get_by_label("What was agreed")).to_have_value("")
    await page.keyboard.press("Escape")
    await say(page, "Of Ana")
    await expect(page.locator(".log:not(.pending) .msg", has_text="Of Ana")).to_be_visible()
    assert await messages(live, pair) == [("p2", "Of Ana")]
    await become(page, live, pair.client)
    await page.goto(f"/rooms/{pair.room}")
    await expect(page.locator("#text")).to_have_value("Of Dana, half")
    await expect(page.locator(".log:not(.pending) .msg", has_text="Of Dana, unsent")).to_be_visible(timeout=15_000)
    await expect(page.locator(".pending .e")).to_have_count(0)
    assert await messages(live, pair) == [("p2", "Of Ana"), ("p1", "Of Dana, unsent")]
    keys: list[str] = await page.evaluate("Object.keys(localStorage)")
    assert keys and all(key.startswith(f"{pair.room}-p1-") for key in keys)


@pytest.mark.parametrize("before", [True, False])
async def test_a_draft_of_one_tab_outlives_what_another_tab_sends(
    live: Live, pair: Pair, open_page: OpenPage, before: bool
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    other = await tab(dana.page, pair.room) if before else None
    first = await tab(dana.page, pair.room)
    await first.fill("#text", "AAA")
    other = other or await tab(dana.page, pair.room)
    await say(other, "quick ok")
    await expect(other.locator(".log:not(.pending) .msg", has_text="quick ok")).to_be_visible()
    await first.close()
    again = await tab(dana.page, pair.room)
    await expect(again.locator("#text")).to_have_value("AAA")
    await again.press("#text", "Enter")
    await expect(again.locator(".log:not(.pending) .msg", has_text="AAA")).to_be_visible()
    await again.reload()
    await expect(again.locator("#text")).to_have_value("")


async def test_a_draft_that_was_changed_or_emptied_after_a_reload_does_not_come_back(
    pair: Pair, open_page: OpenPage
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    for words in ("One", "One and two", ""):
        await dana.page.fill("#text", words)
        await dana.page.reload()
        await expect(dana.page.locator("#text")).to_have_value(words)
        await dana.live()


async def test_a_message_that_waits_in_one_tab_outlives_what_another_tab_sends(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    other = await tab(dana.page, pair.room)
    await dana.network.cut()
    await expect(dana.page.locator(".status .s-off")).to_be_visible()
    await say(dana.page, "From the train")
    await expect(dana.page.locator(".pending .e")).to_contain_text("Kept here")
    await say(other, "From the desk")
    await expect(other.locator(".log:not(.pending) .msg", has_text="From the desk")).to_be_visible()
    await expect(other.locator(".pending .e")).to_have_count(0)
    await dana.page.goto("about:blank")
    again = await tab(dana.page, pair.room)
    await expect(again.locator(".log:not(.pending) .msg", has_text="From the train")).to_be_visible(timeout=15_000)
    await expect(again.locator(".pending .e")).to_have_count(0)
    await again.reload()
    assert await messages(live, pair) == [("p1", "From the desk"), ("p1", "From the train")]


async def test_a_page_that_stayed_open_while_somebody_else_signed_in_sends_nothing_in_their_name(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.network.cut()
    await expect(dana.page.locator(".status .s-off")).to_be_visible()
    await say(dana.page, "Of Dana, unsent")
    await become(dana.page, live, pair.freelancer)  # in another tab
    dana.network.mend()
    await expect(dana.page.locator('body[data-by="p2"]')).to_be_attached(timeout=15_000)
    await dana.live()
    await expect(dana.page.locator(".pending .e")).to_have_count(0)
    assert await messages(live, pair) == []
