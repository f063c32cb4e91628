"""The composer's forms and the buttons of matters, in a real browser: nothing typed is lost, one click is one entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from app.services import record
from app.services.access import Actor
from tests.browser.conftest import OpenPage, Person
from tests.browser.looks import NARROW, look
from tests.builders import Pair
from tests.live import Live

FIXED: dict[str, Any] = {
    "member": "p2", "pay": "fixed", "currency": "EUR", "time_zone": "Europe/Lisbon", "work_view": False,
    "milestones": [{"key": "m1", "name": "The form", "amount_minor": 90_000, "due_on": "2026-11-27"}],
}  # fmt: skip


async def say(live: Live, actor: Actor, pair: Pair, kind: str, ref: int | None = None, **body: Any) -> int:
    return (await record.append(live.resources, actor, pair.room, kind, body, ref)).seq


async def agree(live: Live, pair: Pair) -> None:
    await say(
        live, pair.freelancer, pair, "terms.accepted", await say(live, pair.client, pair, "terms.proposed", **FIXED)
    )


async def kinds(live: Live, pair: Pair) -> list[str]:
    return [entry.kind for entry in (await record.page(live.resources, pair.client, pair.room)).entries]


async def open_form(page: Page, kind: str) -> Locator:
    await page.locator("#more summary").click()
    await page.locator(f'#more a[href$="/compose/{kind}"]').click()
    form = page.locator("#compose")
    await expect(form).to_be_visible()
    return form


async def room_of(open_page: OpenPage, actor: Actor, pair: Pair, **options: Any) -> Person:
    person = await open_page(actor, f"/rooms/{pair.room}", **options)
    await person.live()
    return person


async def test_what_is_typed_survives_a_closed_tab_and_is_dropped_once_it_was_sent(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    await agree(live, pair)
    page = (await room_of(open_page, pair.freelancer, pair)).page
    form = await open_form(page, "deliverable")
    await form.get_by_label("What is delivered").fill("The form, validated")
    await form.get_by_label("What it is").fill("Fourteen rules.")
    await form.get_by_label("I hold the rights").check()
    await page.reload()
    form = await open_form(page, "deliverable")
    await expect(form.get_by_label("What is delivered")).to_have_value("The form, validated")
    await expect(form.get_by_label("I hold the rights")).to_be_checked()
    await expect(form).to_contain_text("what you typed before")
    await form.get_by_role("button", name="Deliver").last.dblclick()
    await expect(page.locator(".sheet-head", has_text="The form, validated")).to_be_visible()
    await expect(form).to_have_count(0)
    await expect(page.locator("#text")).to_be_focused()
    assert (await kinds(live, pair)).count("deliverable") == 1
    form = await open_form(page, "deliverable")
    await expect(form.get_by_label("What is delivered")).to_have_value("")


async def test_what_is_wrong_stands_beside_its_field_and_rows_are_added_in_place(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    page = (await room_of(open_page, pair.client, pair)).page
    form = await open_form(page, "terms.proposed")
    await form.get_by_role("radio", name="Fixed price").check()
    await expect(form.get_by_label("Rate an hour")).to_be_hidden()
    await form.get_by_label("What is done").fill("The form")
    await form.get_by_role("button", name="Add a milestone").click()
    await expect(form.get_by_label("What is done")).to_have_count(2)
    await expect(form.get_by_label("What is done").nth(1)).to_be_focused()
    await form.get_by_label("What is done").nth(1).fill("The map")
    await form.get_by_label("Amount").nth(0).fill("1,500")
    await form.get_by_label("Amount").nth(1).fill("450.00")
    for number in range(2):
        await form.get_by_label("Due").nth(number).fill("2026-11-27")
    await form.get_by_role("button", name="Propose these terms").last.click()
    wrong = form.get_by_label("Amount").nth(0)
    await expect(wrong).to_have_attribute("aria-invalid", "true")
    await expect(wrong).to_be_focused()
    await expect(wrong).to_have_value("1,500")
    await expect(form.locator(".problem", has_text="dot before its decimals")).to_be_visible()
    await wrong.fill("1500")
    await form.get_by_role("button", name="Propose these terms").last.click()
    await expect(page.locator(".sheet", has_text="€1,950, fixed, in 2 milestones")).to_be_visible()


async def test_a_lost_connection_and_an_ended_session_keep_the_form_and_it_can_be_sent_again(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    person = await room_of(open_page, pair.client, pair)
    page, context = person.page, person.page.context
    form = await open_form(page, "agreement")
    await form.get_by_label("What was agreed").fill("We meet on Mondays.")
    send = form.get_by_role("button", name="Write it down").last
    await context.set_offline(True)
    await send.click()
    await expect(form.locator(".problem")).to_contain_text("no connection")
    await context.set_offline(False)
    cookies = await context.cookies()
    await context.clear_cookies()
    await send.click()
    await expect(form.locator(".problem")).to_contain_text("Your session is over")
    await expect(form.get_by_role("link", name="Sign in in another tab")).to_have_attribute("target", "_blank")
    await expect(form.get_by_label("What was agreed")).to_have_value("We meet on Mondays.")
    await context.add_cookies([{k: c[k] for k in ("name", "value", "domain", "path")} for c in cookies])  # type: ignore[list-item, literal-required]
    await send.click()
    await expect(page.locator(".slip", has_text="We meet on Mondays.")).to_be_visible(timeout=15_000)
    assert (await kinds(live, pair)).count("agreement") == 1


async def test_a_secret_is_kept_nowhere_in_the_browser(live: Live, pair: Pair, open_page: OpenPage) -> None:
    page = (await room_of(open_page, pair.client, pair)).page
    form = await open_form(page, "handover")
    await form.get_by_label("What it opens").fill("The sandbox")
    await form.get_by_label("The secret").fill("never to be kept")
    assert "never to be kept" not in await page.evaluate("JSON.stringify(localStorage)")
    await form.get_by_role("button", name="Hand over").last.click()
    await expect(page.locator(".sheet", has_text="The sandbox")).to_be_visible()
    assert "never to be kept" not in await page.content()


async def test_a_secret_is_dropped_only_when_asked_twice_and_what_stands_beside_it_is_kept(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    page = (await room_of(open_page, pair.client, pair)).page
    form = await open_form(page, "handover")
    await form.get_by_label("The secret").fill("never to be kept")
    await form.get_by_label("What it opens").fill("The sandbox")
    await page.keyboard.press("Escape")
    await expect(form.locator(".problem[role=alert]")).to_contain_text("kept nowhere")
    await expect(form.get_by_label("The secret")).to_be_focused()
    await expect(form.get_by_label("The secret")).to_have_value("never to be kept")
    await page.keyboard.type("!")  # it stays, so it is asked for again
    await form.get_by_label("Close the form").click()
    await expect(form.get_by_label("The secret")).to_have_value("never to be kept!")
    await page.keyboard.press("Escape")
    await expect(form).to_have_count(0)
    form = await open_form(page, "handover")
    await expect(form.get_by_label("What it opens")).to_have_value("The sandbox")
    await expect(form.get_by_label("The secret")).to_have_value("")
    assert "never to be kept" not in await page.evaluate("JSON.stringify(localStorage)")
    await form.get_by_label("Close the form").click()
    await expect(form).to_have_count(0)


async def test_one_click_answers_on_both_pages_and_a_double_click_answers_once(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    dana, ana = await room_of(open_page, pair.client, pair), await room_of(open_page, pair.freelancer, pair)
    seq = await say(live, pair.client, pair, "terms.proposed", **FIXED)
    mine, theirs = (p.page.locator(f"#s-{pair.room}-{seq}") for p in (ana, dana))
    await expect(theirs.get_by_role("button", name="Take back")).to_be_visible()
    await expect(theirs.get_by_role("button", name="Accept")).to_be_hidden()
    await expect(ana.page.locator("#agreed")).to_contain_text("Waiting here")
    await ana.page.evaluate("window.stayed = true")
    await mine.get_by_role("button", name="Accept").dblclick()
    for matter in (mine, theirs):
        await expect(matter).to_contain_text("Accepted by Ana")
        await expect(matter.get_by_role("button")).to_have_count(0)
    await expect(ana.page.locator("#agreed")).to_contain_text("€900 fixed")
    await expect(dana.page.locator("#agreed")).to_contain_text("€900 fixed")
    assert await ana.page.evaluate("window.stayed") and (await kinds(live, pair)).count("terms.accepted") == 1


async def test_an_answer_that_comes_late_is_told_beside_the_button(live: Live, pair: Pair, open_page: OpenPage) -> None:
    person = await room_of(open_page, pair.freelancer, pair)
    seq = await say(live, pair.client, pair, "terms.proposed", **FIXED)
    matter = person.page.locator(f"#s-{pair.room}-{seq}")
    await expect(matter.get_by_role("button", name="Accept")).to_be_visible()
    await person.network.cut()
    await say(live, pair.client, pair, "terms.withdrawn", seq)
    await matter.get_by_role("button", name="Accept").click()
    await expect(matter.locator(".problem")).to_contain_text("withdrawn already")
    person.network.mend()
    await expect(matter).to_contain_text("Taken back by Dana", timeout=15_000)
    await expect(matter.get_by_role("button")).to_have_count(0)


async def test_an_answer_that_needs_words_opens_its_form_with_what_it_answers(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    await agree(live, pair)
    work = {"title": "The form", "text": "With tests.", "holds_rights": True, "milestone": "m1"}
    seq = await say(live, pair.freelancer, pair, "deliverable", **work)
    page = (await room_of(open_page, pair.client, pair)).page
    await page.locator(f"#s-{pair.room}-{seq}").get_by_role("link", name="Request changes").click()
    form = page.locator("#compose")
    await expect(form.locator(".quoted")).to_contain_text("The form")
    await form.get_by_label("What must change").fill("The VAT number.")
    await form.get_by_role("button", name="Request the changes").last.click()
    await expect(page.locator(f"#s-{pair.room}-{seq}")).to_contain_text("Changes requested by Dana")


async def test_the_keyboard_opens_the_menu_and_leaves_the_form(live: Live, pair: Pair, open_page: OpenPage) -> None:
    page = (await room_of(open_page, pair.client, pair)).page
    await page.locator("#text").focus()
    await page.keyboard.press("/")
    await expect(page.locator("#more .menu-box")).to_be_visible()
    await expect(page.locator("#more a").first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#compose")).to_be_visible()
    await expect(page.locator("#composer")).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(page.locator("#compose")).to_have_count(0)
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.type("1/2 of it")
    await expect(page.locator("#text")).to_have_value("1/2 of it")


async def test_files_go_with_a_delivery(live: Live, pair: Pair, open_page: OpenPage, tmp_path: Path) -> None:
    await agree(live, pair)
    page = (await room_of(open_page, pair.freelancer, pair)).page
    form = await open_form(page, "deliverable")
    await form.get_by_label("What is delivered").fill("Notes")
    await form.get_by_label("What it is").fill("As text.")
    await form.get_by_label("I hold the rights").check()
    (tmp_path / "notes.txt").write_text("Berths and tides.")
    await form.get_by_label("Attach files").set_input_files(tmp_path / "notes.txt")
    await expect(form.locator(".chips li", has_text="notes.txt").get_by_text("restricted")).to_be_visible()
    await form.get_by_role("button", name="Deliver").last.click()
    await expect(page.locator(".sheet .files", has_text="notes.txt")).to_be_visible()


@pytest.mark.parametrize("side", ["client", "freelancer"])
async def test_every_form_can_be_used_by_everybody_at_every_width(
    live: Live, pair: Pair, open_page: OpenPage, side: str
) -> None:
    await agree(live, pair)
    actor = pair.client if side == "client" else pair.freelancer
    page = (await room_of(open_page, actor, pair, viewport={"width": NARROW, "height": 720})).page
    links = await page.locator("#more a[data-compose]").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert len(links) >= 8
    for href in links:
        form = await open_form(page, href.split("/")[-1])
        assert await form.evaluate("f => f.scrollWidth <= f.clientWidth + 1"), href
        body = form.locator(".compose-body")
        assert await body.evaluate("b => b.scrollWidth <= b.clientWidth + 1"), href
        await look(page, href, wide=NARROW)
        await form.get_by_role("link", name="Close the form").click()


async def test_every_card_can_be_read_by_everybody(open_page: OpenPage) -> None:
    page = (await open_page(None, "/patterns", viewport={"width": 360, "height": 800})).page
    await look(page, wide=360)


async def test_a_job_is_agreed_delivered_and_accepted_without_script(
    live: Live, pair: Pair, open_page: OpenPage
) -> None:
    dana = (await open_page(pair.client, f"/rooms/{pair.room}", javascript=False)).page
    ana = (await open_page(pair.freelancer, f"/rooms/{pair.room}", javascript=False)).page
    await dana.get_by_text("More", exact=True).click()
    await dana.get_by_role("link", name=re.compile("^Terms Rate")).click()
    form = dana.locator("#compose")
    await form.get_by_label("Rate an hour").fill("45.50")
    await form.get_by_role("button", name="Propose these terms").last.click()
    await expect(dana.locator(".sheet", has_text="€45.50 an hour")).to_be_visible()
    await ana.reload()
    await ana.get_by_role("button", name="Accept", exact=True).click()
    await expect(ana.locator(".matter.accepted")).to_be_visible()
    await ana.goto(f"/rooms/{pair.room}/compose/deliverable")
    form = ana.locator("#compose")
    await form.get_by_label("What is delivered").fill("The form")
    await form.get_by_label("What it is").fill("With tests.")
    await form.get_by_label("I hold the rights").check()
    await form.get_by_role("button", name="Deliver").last.click()
    await dana.goto(f"/rooms/{pair.room}")
    await dana.get_by_role("button", name="Accept delivery").click()
    await expect(dana.locator(".ev", has_text="accepted the delivery")).to_be_visible()
