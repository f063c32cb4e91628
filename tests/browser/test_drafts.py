"""No form of jobs loses what was typed: closed tab, lost connection, validation error, expired session."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from app.services import accounts, blocks, jobs
from app.services.accounts import SESSION_COOKIE, Client
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live
from tests.services.test_jobs import FORM

pytestmark = pytest.mark.browser

KEPT = re.compile("^Kept from before")


async def _tab(context: BrowserContext, path: str) -> Page:
    page = await context.new_page()
    await page.goto(path)
    return page


async def _drafts(page: Page) -> list[str]:
    """Return the keys of what this browser keeps, once the page has settled what became of its forms."""
    await page.wait_for_load_state("load")
    found: list[str] = await page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('kept-'))")
    return found


async def test_a_job_outlives_a_closed_tab_a_refusal_and_its_preview(open_page: OpenPage, pair: Pair) -> None:
    first = (await open_page(pair.client, "/jobs/new")).page
    context = first.context
    await first.get_by_label("Title").fill("A harbour")
    await first.get_by_label("Description").fill("Berths,\nsoon")
    await first.get_by_label("A fixed price").check()
    await first.get_by_label("Budget in all").fill("a lot")
    await first.get_by_label("Currency").select_option("USD")
    await first.get_by_label("Only those you invite").check()
    page = await _tab(context, "/jobs/new")  # as a tab that was closed leaves it
    await expect(page.get_by_text(KEPT)).to_be_visible()
    await expect(page.get_by_label("Description")).to_have_value("Berths,\nsoon")
    await expect(page.get_by_label("Currency")).to_have_value("USD")
    for label in ("A fixed price", "Only those you invite"):
        await expect(page.get_by_label(label)).to_be_checked()
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#e-budget")).to_be_visible()
    await expect(page.get_by_label("Title")).to_have_value("A harbour")
    await expect(page.get_by_text(KEPT)).to_have_count(0)
    page = await _tab(context, "/jobs/new")  # closed where it was refused
    await page.get_by_label("Budget in all").fill("900")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("button", name="Post the job")).to_be_visible()
    page = await _tab(context, "/jobs/new")  # closed at the preview
    await expect(page.get_by_label("Budget in all")).to_have_value("900")
    await page.get_by_role("button", name="Preview").click()
    await page.get_by_role("button", name="Post the job").click()
    await expect(page.get_by_role("status").first).to_contain_text("posted")
    assert await _drafts(page) == []
    page = await _tab(context, "/jobs/new")
    await expect(page.get_by_label("Title")).to_have_value("")


async def test_what_was_kept_can_be_discarded(open_page: OpenPage, pair: Pair) -> None:
    page = (await open_page(pair.client, "/jobs/new")).page
    await page.get_by_label("Title").fill("No")
    await page.reload()
    await page.get_by_role("button", name="Discard it").click()
    await expect(page.get_by_label("Title")).to_have_value("")
    await expect(page.get_by_text(KEPT)).to_have_count(0)
    assert await _drafts(page) == []


async def test_a_proposal_outlives_a_lost_connection_and_a_closed_tab(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    resources = live.resources
    job = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
    page = (await open_page(pair.freelancer, f"/jobs/{job}")).page
    context = page.context
    await page.get_by_label("Why you").fill("I have built two.")
    await page.get_by_label("Your rate").fill("48")
    await context.set_offline(True)
    await page.get_by_role("button", name="Send the proposal").click()
    await expect(page.get_by_role("alert")).to_contain_text("there is no connection")
    await expect(page.get_by_label("Why you")).to_have_value("I have built two.")
    await context.set_offline(False)
    page = await _tab(context, f"/jobs/{job}")
    await expect(page.get_by_text(KEPT)).to_be_visible()
    await expect(page.get_by_label("Your rate")).to_have_value("48")
    await page.get_by_label("Your rate").fill("much")
    await page.get_by_role("button", name="Send the proposal").click()
    await expect(page.locator("#e-amount")).to_be_visible()
    await expect(page.get_by_label("Why you")).to_have_value("I have built two.")
    await page.get_by_label("Your rate").fill("48")
    await page.get_by_role("button", name="Send the proposal").dblclick()
    await expect(page.locator("#proposal")).to_contain_text("waits for an answer")
    assert await _drafts(page) == []


async def test_a_form_of_an_expired_session_is_kept_until_it_was_sent(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    resources = live.resources
    job = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
    page = (await open_page(pair.freelancer, f"/jobs/{job}")).page
    await page.get_by_label("Why you").fill("I have\nbuilt two.")
    await page.get_by_label("Your rate").fill("48")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Send the proposal").click()
    await expect(page.get_by_text("Your session was over")).to_be_visible()
    assert len(await _drafts(page)) == 1
    await page.get_by_label("E-mail address").fill(pair.freelancer.email)
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_label("Text")).to_have_value("I have\nbuilt two.")
    assert len(await _drafts(page)) == 1
    await page.get_by_role("button", name="Send it now").click()
    await expect(page.locator("#proposal")).to_contain_text("waits for an answer")
    assert await _drafts(page) == []


async def test_who_leaves_the_sign_in_page_finds_the_draft_again(open_page: OpenPage, pair: Pair, live: Live) -> None:
    page = (await open_page(pair.client, "/jobs/new")).page
    await page.get_by_label("Title").fill("A harbour")
    await page.get_by_label("Description").fill("Berths")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_text("Your session was over")).to_be_visible()
    signed = await accounts.sign_in(live.resources, pair.client.email, "correct horse", Client("127.0.0.1"))
    await page.context.add_cookies([{"name": SESSION_COOKIE, "value": signed.token, "url": live.url}])
    await page.goto("/jobs")
    await page.goto("/jobs/new")
    await expect(page.get_by_label("Title")).to_have_value("A harbour")


async def test_an_edit_says_where_the_job_has_changed_since(open_page: OpenPage, pair: Pair, live: Live) -> None:
    resources = live.resources
    job = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
    page = (await open_page(pair.client, f"/jobs/{job}/edit")).page
    await page.get_by_label("Title").fill("Mine")
    await page.reload()
    await expect(page.get_by_label("Title")).to_have_value("Mine")
    await jobs.edit_job(resources, pair.client, job, 1, jobs.offer_of(resources, {**FORM, "low": "41"}))
    await page.reload()
    await expect(page.get_by_text("has changed since")).to_be_visible()
    await expect(page.get_by_label("Title")).to_have_value(FORM["title"])
    await page.get_by_role("button", name="Show it").click()
    await expect(page.get_by_label("Title")).to_have_value("Mine")
    await expect(page.get_by_label("From, an hour")).to_have_value("40.00")


async def test_a_report_and_a_pasted_chat_are_kept(open_page: OpenPage, pair: Pair, live: Live) -> None:
    resources = live.resources
    job = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
    person = await open_page(pair.freelancer, f"/report/job/{job}")
    page = person.page
    await page.get_by_label("What the operator should know").fill("It asks for a password.")
    await page.reload()
    await expect(page.get_by_label("What the operator should know")).to_have_value("It asks for a password.")
    await page.get_by_label("Something else").check()
    await page.get_by_role("button", name="Send the report").click()
    await page.wait_for_url("**/reports**")
    assert [each.report.subject_id for each in await blocks.my_reports(resources, pair.freelancer)] == [job]
    assert await _drafts(page) == []
    await page.goto(f"/rooms/{pair.room}/transcripts/new")
    await page.get_by_label("What was said").fill("Ana: The map can wait.\nDana: Agreed.")
    await page.get_by_role("button", name="Look it over").click()
    await page.locator("[name=text]").first.fill("The map waits.")
    assert len(await _drafts(page)) == 2
    page = await _tab(page.context, f"/rooms/{pair.room}/transcripts/new")  # closed at the preview
    await expect(page.get_by_label("What was said")).to_have_value("Ana: The map can wait.\nDana: Agreed.")
    await page.get_by_role("button", name="Look it over").click()
    await expect(page.locator("[name=text]").first).to_have_value("The map waits.")
    await page.get_by_label("Title").fill("On the map")
    await page.get_by_role("button", name="Append the transcript").click()
    await expect(page).to_have_url(re.compile(f"/rooms/{pair.room}#"))
    await page.goto(f"/rooms/{pair.room}/transcripts/new")
    await expect(page.get_by_label("What was said")).to_have_value("")
    assert await _drafts(page) == []
