"""Jobs in a real browser: from posting to the workroom, with and without script; accessible at every width."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from app.domain.blocks import ReportStep, Subject
from app.services import accounts, blocks, jobs, proposals, second_factor, workrooms
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.proposals import NewProposal
from tests.browser.conftest import OpenPage
from tests.browser.looks import look
from tests.builders import Pair
from tests.live import Live
from tests.services.test_jobs import FORM
from tests.services.test_second_factor import code_at

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_job_goes_from_posting_to_its_workroom(
    open_page: OpenPage, pair: Pair, live: Live, javascript: bool
) -> None:
    title = f"Harbour site, script {javascript}"
    client = (await open_page(pair.client, "/jobs", javascript=javascript)).page
    await client.get_by_role("link", name="Post a job").first.click()
    await client.get_by_label("Title").fill(title)
    await client.get_by_label("Description").fill("Berths, **soon**.")
    await client.get_by_label("From, an hour").fill("40,00")
    await client.get_by_role("button", name="Preview").click()
    await expect(client.locator("#e-low")).to_contain_text("like 45.50")
    await expect(client.get_by_label("Title")).to_have_value(title)
    await client.get_by_label("From, an hour").fill("40")
    await client.get_by_role("button", name="Preview").click()
    await expect(client.locator(".job-text strong")).to_have_text("soon")
    await client.get_by_role("button", name="Back to the form").click()
    await expect(client.get_by_role("textbox", name="Description")).to_be_visible()
    await expect(client.get_by_label("Description")).to_have_value("Berths, **soon**.")
    await client.get_by_role("button", name="Preview").click()
    await client.get_by_role("button", name="Post the job").click()
    await expect(client.get_by_role("status").first).to_contain_text("posted")

    freelancer = (await open_page(pair.freelancer, "/jobs", javascript=javascript)).page
    await freelancer.get_by_role("link", name=title).click()
    await freelancer.get_by_label("Why you").fill("I have built two.")
    await freelancer.get_by_label("Your rate").fill("38.50")
    await freelancer.get_by_role("button", name="Send the proposal").click()
    await expect(freelancer.locator("#proposal")).to_contain_text("€38.50 an hour")
    await expect(freelancer.locator("#proposal")).to_contain_text("waits for an answer")

    await client.get_by_role("link", name=re.compile("Proposals")).click()
    await client.reload()
    await client.get_by_role("button", name="Open messages").dblclick()
    await expect(client).to_have_url(re.compile(r"/rooms/\w{26}"))
    opened = [each for each in await workrooms.my_rooms(live.resources, pair.client) if each.info.title == title]
    assert len(opened) == 1
    await freelancer.reload()
    await freelancer.get_by_role("link", name="Go to the workroom").click()
    await expect(freelancer).to_have_url(re.compile(opened[0].info.id))


async def _with_factor(live: Live, operator: Actor) -> str:
    """Give an operator a second factor, without which no other page opens; return a session."""
    signed = await accounts.sign_in(live.resources, operator.email, "correct horse", Client("127.0.0.1"))
    await second_factor.begin(live.resources, operator)
    set_up = (await second_factor.factor_of(live.resources, operator)).set_up
    assert set_up is not None
    code = code_at(set_up.secret, live.resources.clock.real_now())
    await second_factor.confirm(live.resources, signed.credential, code)
    return signed.token


async def test_no_page_of_jobs_has_a_finding(open_page: OpenPage, pair: Pair, live: Live) -> None:
    resources = live.resources
    job = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
    typed = NewProposal(text="One\n\n- two", amount="48", soon="week", version=1)
    await proposals.send_proposal(resources, pair.freelancer, job, typed)
    await jobs.edit_job(resources, pair.client, job, 1, jobs.offer_of(resources, {**FORM, "low": "41"}))
    for reason in ("spam", "other"):
        other = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
        sent = await blocks.report(resources, pair.freelancer, Subject.JOB, other, reason, "Look at *it*")
    await blocks.answer_report(resources, None, sent, ReportStep.HIDE, "It was advertising.")
    olga = await accounts.create_account(resources, "olga.b@example.org", "Olga Brandt", "correct horse", operator=True)
    factor = {"name": SESSION_COOKIE, "value": await _with_factor(live, olga), "url": live.url}

    async def walk(actor: Actor | None, *paths: str) -> None:
        page = (await open_page(actor, "/about", reduced_motion="reduce")).page
        if actor is None:
            await page.context.add_cookies([factor])  # type: ignore[list-item]
        for path in paths:
            answer = await page.goto(path)
            assert answer is not None and answer.status == 200, path
            await look(page)

    own, report = f"/jobs/{job}", f"/report/account/{pair.client.account}"
    await asyncio.gather(
        walk(pair.client, "/", own, f"{own}/proposals", "/jobs?view=proposed", "/jobs/new", "/start"),
        walk(pair.freelancer, "/jobs", own, f"{own}?version=1", f"/report/job/{job}", report, "/reports"),
        walk(None, "/operator/reports", "/operator/reports?all"),
    )


async def test_the_name_of_a_member_leads_to_a_report(open_page: OpenPage, pair: Pair) -> None:
    page = (await open_page(pair.client, f"/rooms/{pair.room}/members", javascript=False)).page
    await expect(page.get_by_role("link", name="Report or block")).to_have_count(1)
    await page.get_by_role("link", name="Report or block Ana Novak").click()
    await expect(page).to_have_url(re.compile(f"/report/account/{pair.freelancer.account}$"))
    await expect(page.get_by_role("main")).to_contain_text("Ana Novak")
