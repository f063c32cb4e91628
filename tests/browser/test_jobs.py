"""Jobs in a real browser: from posting to the workroom, with and without script; accessible at every width."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from app.domain.blocks import Subject
from app.services import blocks, jobs, proposals, workrooms
from app.services.proposals import NewProposal
from tests.browser.conftest import OpenPage
from tests.browser.test_access import AXE, RUN
from tests.builders import Pair
from tests.live import Live
from tests.services.test_jobs import FORM

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
async def test_no_page_of_jobs_has_a_finding(
    open_page: OpenPage, pair: Pair, live: Live, scheme: str, width: int
) -> None:
    resources = live.resources
    job = await jobs.post_job(resources, pair.client, jobs.offer_of(resources, FORM))
    typed = NewProposal(text="One\n\n- two", amount="48", soon="week", version=1)
    await proposals.send_proposal(resources, pair.freelancer, job, typed)
    await jobs.edit_job(resources, pair.client, job, 1, jobs.offer_of(resources, {**FORM, "low": "41"}))
    await blocks.report(resources, pair.freelancer, Subject.JOB, job, "spam", "")
    looks = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
    for actor, paths in (
        (pair.client, ["/", "/jobs?view=proposed", "/jobs/new", "/start", f"/jobs/{job}", f"/jobs/{job}/proposals"]),
        (pair.freelancer, ["/jobs", f"/jobs/{job}", f"/jobs/{job}?version=1", f"/report/job/{job}", "/reports"]),
    ):
        person = await open_page(actor, "/about", **looks)
        for path in paths:
            answer = await person.page.goto(path)
            assert answer is not None and answer.status == 200, path
            await person.page.evaluate(AXE)
            assert await person.page.evaluate(RUN) == [], path
            assert await person.page.evaluate("document.documentElement.scrollWidth") <= width, path
