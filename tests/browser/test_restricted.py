"""Restricting words in the composer (rule 6.4): the box, its draft, and a correction that is marked by itself."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.looks import look
from tests.builders import Pair

pytestmark = pytest.mark.browser


async def test_the_box_marks_an_entry_keeps_with_its_draft_and_marks_its_correction(
    open_page: OpenPage, pair: Pair
) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    box, text = ana.page.get_by_label("Restricted", exact=True), ana.page.locator("#text")
    await box.check()
    await text.fill("tidal berth price")
    await ana.page.reload()
    await expect(text).to_have_value("tidal berth price")
    await expect(box).to_be_checked()
    await look(ana.page)
    await ana.live()
    await text.press("Enter")
    row = ana.page.locator(".log:not(.pending) > .card-row", has_text="tidal berth price")
    await expect(row.locator(".pill", has_text="restricted")).to_be_visible()
    await expect(box).not_to_be_checked()
    await row.hover()
    await row.get_by_role("button", name="Correct").click()
    await expect(box).to_be_checked()
    await text.fill("berth price")
    await text.press("Enter")
    await expect(ana.page.locator(".log:not(.pending) .pill", has_text="restricted")).to_have_count(2)
    await ana.page.get_by_label("Comment on time").check()
    await expect(box).to_be_hidden()
