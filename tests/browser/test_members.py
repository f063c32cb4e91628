"""Transcripts, handovers, members and confidentiality in a real browser: access, phone width, a whole transcript."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from app.services import record
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live

from .looks import look

pytestmark = pytest.mark.browser

CHAT = "01/09/2026, 10:00 - Ana: Friday?\n02/09/2026, 10:01 - Dana: Friday it is.\n"
SECRET = "correct-battery-77\nsecond line"


async def _filled(live: Live, pair: Pair) -> int:
    """Put something of everything into the room; return the seq of a handover to Ana."""

    async def say(actor: object, kind: str, body: dict[str, object], ref: int | None = None) -> int:
        return (await record.append(live.resources, actor, pair.room, kind, body, ref)).seq  # type: ignore[arg-type]

    await say(pair.client, "disclosure.requested", {"to": "The office", "text": "May I?"})
    approved = await say(pair.freelancer, "member.proposed", {"name": "Ben Ode", "side": "freelancer"})
    await say(pair.client, "member.approved", {}, approved)
    await say(pair.client, "member.proposed", {"name": "Mara Lind", "side": "mediator"})
    restricted = await say(pair.client, "message", {"text": "The depths", "restricted": True})
    await record.disclosure(live.resources, pair.freelancer, pair.room, restricted)
    return await say(pair.client, "handover", {"to": "p2", "label": "Host", "secret": SECRET})


async def test_no_page_has_a_finding_or_is_wider_than_a_phone(open_page: OpenPage, pair: Pair, live: Live) -> None:
    handover = await _filled(live, pair)
    room = f"/rooms/{pair.room}"
    page = (await open_page(pair.freelancer, "/about", reduced_motion="reduce")).page
    for path in ("transcripts/new", "members", "confidentiality", "close", f"handovers/{handover}"):
        await page.goto(f"{room}/{path}")
        await look(page, path)
    await page.get_by_role("button", name="Show it now, once").click()
    await expect(page.locator("#secret")).to_have_text(SECRET)
    await look(page, "the secret")
    await page.goto(f"{room}/transcripts/new")
    await page.get_by_label("What was said").fill(CHAT)
    await page.get_by_role("button", name="Look it over").click()
    await expect(page.get_by_role("heading", name="Is this what was said?")).to_be_visible()
    await look(page, "the preview")
    await page.goto(f"{room}/members")
    await page.get_by_role("button", name="Make the invitation").click()
    await look(page, "the invitation")


async def test_a_chat_export_becomes_a_transcript_that_the_other_side_confirms(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}/transcripts/new")
    await dana.page.locator("#file").set_input_files(
        {"name": "_chat.txt", "mimeType": "text/plain", "buffer": CHAT.encode()}
    )
    await dana.page.get_by_role("button", name="Read it").click()
    await dana.page.get_by_role("button", name="The month comes first").click()
    await expect(dana.page.locator("[name=at]").first).to_have_value("2026-01-09 10:00")
    await dana.page.locator("[name=text]").nth(1).fill("Friday it is, then.")
    await dana.page.get_by_role("button", name="Append the transcript").click()
    await dana.live()
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    card = ana.page.locator("[data-kind=transcript]")
    await expect(card).to_contain_text("Friday it is, then.")
    await expect(card).to_contain_text("_chat.txt")
    await card.get_by_role("button", name="Confirm").click()
    await expect(dana.page.locator("[data-kind=transcript]")).to_contain_text("Confirmed")


async def test_the_card_of_a_handover_leads_to_the_secret_and_the_copy_button_copies_it(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}", permissions=["clipboard-read", "clipboard-write"])
    await ana.live()
    await _filled(live, pair)
    await ana.page.get_by_role("button", name="Show once, then erase").click()
    await expect(ana.page.locator("#secret")).to_have_text(SECRET)
    await ana.page.get_by_role("button", name="Copy").click()
    await expect(ana.page.locator("#copied")).to_have_text("Copied")
    assert await ana.page.evaluate("navigator.clipboard.readText()") == SECRET
    await ana.page.go_back()  # the page itself is stored nowhere (`no-store`): forward asks whether to post again
    assert SECRET not in await ana.page.content()
