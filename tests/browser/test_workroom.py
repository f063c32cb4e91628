"""The workroom in a real browser: two people talk, one goes away and comes back, nothing typed is lost."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from app.services import record
from app.services.access import Actor
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live

pytestmark = pytest.mark.browser

# The rows as a reader has them: without what the page's scripts put on them.
ROWS = """log => [...log.querySelectorAll(":scope > .e")].map(row => {
  const copy = row.cloneNode(true);
  copy.classList.remove("fresh");
  for (const e of [copy, ...copy.querySelectorAll("*")])
    for (const a of ["data-l", "data-htmx-powered", "title", "tabindex"]) e.removeAttribute(a);
  return copy.outerHTML;
})"""


async def _rows(page: Page, room: str) -> list[str]:
    rows: list[str] = await page.locator(f"#log-{room}").evaluate(ROWS)
    return rows


async def _say(live: Live, actor: Actor, room: str, text: str, kind: str = "message", ref: int | None = None) -> int:
    return (await record.append(live.resources, actor, room, kind, {"text": text}, ref)).seq


async def test_two_people_talk_and_see_each_other_typing(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}", color_scheme="dark")
    await dana.live()
    await ana.live()
    await dana.page.locator("#text").press_sequentially("Morning!")
    await expect(ana.page.locator(f"#typing-{pair.room}")).to_contain_text("Dana is typing")
    await expect(dana.page.locator(f"#typing-{pair.room}")).to_be_empty()
    await dana.page.keyboard.press("Enter")
    for person in (dana, ana):
        await expect(person.page.locator(".log .msg").last).to_contain_text("Morning!")
    await expect(dana.page.locator("#text")).to_have_value("")
    await expect(dana.page.locator(".pending .e")).to_have_count(0)
    await expect(ana.page.locator("#say")).to_contain_text("Morning!")
    await expect(dana.page.locator(f"#seen-{pair.room} .seen:visible")).to_contain_text("Ana")
    await expect(dana.page.locator(f"#who-{pair.room} .on")).to_have_count(2)


async def test_who_was_away_sees_every_entry_once_in_order_as_on_a_fresh_page(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.network.cut()
    await expect(dana.page.locator(".status .s-off")).to_be_visible()
    first = await _say(live, pair.freelancer, pair.room, "While **you** were away\n\n- one\n- two")
    await _say(live, pair.client, pair.room, "From another window", "message", first)
    await _say(live, pair.freelancer, pair.room, "Rather three", "correction", first)
    last = await _say(live, pair.client, pair.room, "A note", "feedback")
    dana.network.mend()
    await expect(dana.page.locator(f"#e-{pair.room}-{last}")).to_be_attached(timeout=15_000)
    resumed = await _rows(dana.page, pair.room)
    await dana.page.reload()
    await dana.live()
    assert resumed == await _rows(dana.page, pair.room)
    seqs = await dana.page.locator(f"#log-{pair.room} > .e").evaluate_all("rows => rows.map(r => +r.dataset.seq)")
    assert seqs == list(range(last + 1))


async def test_what_was_sent_while_offline_is_kept_through_a_reload_and_sent_once(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.network.cut()
    await expect(dana.page.locator(".status .s-off")).to_be_visible()
    await dana.page.fill("#text", "Written on a train")
    await dana.page.press("#text", "Enter")
    await expect(dana.page.locator(".pending .e")).to_contain_text("Kept here")
    await dana.page.reload()
    await expect(dana.page.locator(".pending .e")).to_contain_text("Written on a train")
    dana.network.mend()
    await expect(dana.page.locator(".log:not(.pending) .msg")).to_contain_text("Written on a train", timeout=15_000)
    await expect(dana.page.locator(".pending .e")).to_have_count(0)
    found = await record.page(live.resources, pair.client, pair.room)
    assert [entry.body for entry in found.entries if entry.kind == "message"] == [{"text": "Written on a train"}]


async def test_a_draft_survives_a_reload_and_enter_does_not_send_while_composing(
    open_page: OpenPage, pair: Pair
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.page.fill("#text", "Half a sentence")
    await dana.page.locator("#text").evaluate(
        "t => t.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    await expect(dana.page.locator("#text")).to_have_value("Half a sentence")
    await dana.page.press("#text", "Shift+Enter")
    await expect(dana.page.locator("#text")).to_have_value("Half a sentence\n")
    await dana.page.reload()
    await expect(dana.page.locator("#text")).to_have_value("Half a sentence\n")


async def test_a_refusal_keeps_the_text_and_says_why(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.page.check("[name=kind][value=correction]", force=True)
    await dana.page.fill("[name=ref]", "0")
    await dana.page.fill("#text", "That is not mine to correct")
    await dana.page.press("#text", "Enter")
    failed = dana.page.locator(".pending .failed")
    await expect(failed).to_contain_text("You can correct what you wrote yourself.")
    await failed.get_by_role("button", name="Take it back").click()
    await expect(dana.page.locator("#text")).to_have_value("That is not mine to correct")


async def test_one_answers_and_corrects_from_the_row_itself(open_page: OpenPage, pair: Pair, live: Live) -> None:
    seq = await _say(live, pair.client, pair.room, "On Monday")
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    row = dana.page.locator(f"#e-{pair.room}-{seq}")
    await row.hover()
    await row.get_by_role("button", name="Correct").click()
    await dana.page.fill("#text", "On Tuesday")
    await dana.page.press("#text", "Enter")
    await expect(row.locator(".corrected")).to_have_text(f"corrected by entry {seq + 1}")


async def test_everything_works_without_script(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(None, f"/rooms/{pair.room}", javascript=False)
    await dana.page.fill("[name=email]", pair.client.email)
    await dana.page.fill("[name=password]", "correct horse")
    await dana.page.get_by_role("button", name="Sign in").click()
    await expect(dana.page).to_have_url(f"/rooms/{pair.room}")
    await dana.page.fill("#text", "Without script")
    await dana.page.get_by_role("button", name="Send").click()
    await expect(dana.page.locator(".log .msg")).to_contain_text("Without script")
    await dana.page.locator(".log .msg .seal").click()
    await expect(dana.page.get_by_role("heading", name="Proof of entry 5")).to_be_visible()
    await dana.page.goto(f"/rooms/{pair.room}/work-view")
    await dana.page.get_by_role("link", name="Day before").click()
    await expect(dana.page.locator("table.grid")).to_be_visible()


async def test_the_page_is_live_again_after_going_back_to_it(open_page: OpenPage, pair: Pair, live: Live) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.page.goto("/about")
    seq = await _say(live, pair.freelancer, pair.room, "Meanwhile")
    await dana.page.go_back()
    await dana.live()
    await expect(dana.page.locator(f"#e-{pair.room}-{seq}")).to_be_attached()


async def test_who_is_signed_out_elsewhere_goes_to_the_sign_in_page(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    from app.services import accounts

    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    for session in await accounts.sessions_of(live.resources, pair.client):
        await accounts.revoke_session(live.resources, pair.client, session.id)
    await dana.page.wait_for_url("**/sign-in?next=*")


async def test_earlier_entries_load_above_without_a_jump(open_page: OpenPage, pair: Pair, live: Live) -> None:
    for number in range(120):
        await _say(live, pair.client, pair.room, f"Message {number}")
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    top = dana.page.locator(f"#log-{pair.room} > .e").first
    first = int(await top.get_attribute("data-seq") or 0)
    await dana.page.locator("[data-earlier]").scroll_into_view_if_needed()
    before = await dana.page.locator(f"#e-{pair.room}-{first}").bounding_box()
    await dana.page.locator("[data-earlier]").click()
    await expect(dana.page.locator(f"#e-{pair.room}-0")).to_be_attached()
    after = await dana.page.locator(f"#e-{pair.room}-{first}").bounding_box()
    assert before is not None and after is not None and abs(before["y"] - after["y"]) < 60


async def test_keys_move_through_the_timeline_and_can_be_switched_off(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    page = dana.page
    for key, seq in (("k", "4"), ("k", "3")):
        await page.keyboard.press(key)
        await expect(page.locator(f'.e[data-seq="{seq}"]')).to_be_focused()
    await page.keyboard.press("c")
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.get_by_label("Keys are on").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("c")
    assert await page.evaluate("document.activeElement.id") != "text"


async def test_live_updates_can_be_paused_and_what_was_missed_comes_afterwards(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.page.locator("#pause").click()
    await expect(dana.page.locator("html[data-live=paused]")).to_be_attached()
    seq = await _say(live, pair.freelancer, pair.room, "Meanwhile")
    await dana.page.locator("#pause").click()
    await expect(dana.page.locator(f"#e-{pair.room}-{seq}")).to_be_attached()


async def test_one_finds_among_the_loaded_entries(open_page: OpenPage, pair: Pair, live: Live) -> None:
    seq = await _say(live, pair.freelancer, pair.room, "The berth map")
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await dana.live()
    await dana.page.keyboard.press("/")
    await dana.page.keyboard.type("berth")
    await expect(dana.page.locator(f"#log-{pair.room} > .e:visible")).to_have_count(1)
    await expect(dana.page.locator(f"#e-{pair.room}-{seq}")).to_be_visible()


async def test_a_correction_offers_ones_own_last_entry(open_page: OpenPage, pair: Pair, live: Live) -> None:
    mine = await record.append(live.resources, pair.freelancer, pair.room, "message", {"text": "Two days"})
    await record.append(live.resources, pair.client, pair.room, "message", {"text": "Good"})
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    number = ana.page.get_by_label("Entry number of yours to correct")
    await ana.page.get_by_label("Correction", exact=True).check()
    await expect(number).to_have_value(str(mine.seq))
    await ana.page.get_by_label("Message", exact=True).check()
    await expect(ana.page.locator("[name=ref]")).to_have_value("")
