"""Work View in a real browser: a cell fills while one watches, the picture opens large, a note reaches the room."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from app.domain.timerange import HOUR_MS, day_bounds, instant_text, local_day, segment_of
from app.services import record
from app.services.clock import ManualClock
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live
from tests.work import MINUTE, Shift, picture

pytestmark = pytest.mark.browser


async def _shift(live: Live, pair: Pair, minutes_ago: int = 26) -> Shift:
    """A session that began some minutes ago, by the server's clock."""
    clock = ManualClock(live.resources.clock.record_now())
    started = clock.now - minutes_ago * MINUTE
    return await Shift(live.resources, pair.freelancer, pair.room, clock).start("Booking form", at=started)


async def test_a_cell_fills_while_a_client_watches(open_page: OpenPage, pair: Pair, live: Live) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}/work-view")
    await dana.live()
    shift = await _shift(live, pair)
    cell = dana.page.locator(f"#seg-{pair.room}-p2-{segment_of(shift.at)}")
    await expect(dana.page.locator(f"#tracker-{pair.room}-p2")).to_contain_text("is working")
    stored = await shift.frame(data=picture(7))
    await expect(cell.locator("a.cell")).to_have_attribute("href", f"/rooms/{pair.room}/frames/{stored.seq}")
    await expect(cell).to_have_class("seg ready", timeout=10_000)
    await expect(cell.locator("img")).to_have_js_property("complete", True)
    assert await cell.locator("img").evaluate("img => img.naturalWidth") == 160, "the picture, not a broken one"
    shot = dana.page.locator(f"#shot-{pair.room}-p2 a.last")
    await expect(shot).to_have_attribute("href", f"/rooms/{pair.room}/frames/{stored.seq}")
    assert await shot.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth)") == 160
    await shift.work(6 * MINUTE, keep_clock=True)
    row = cell.locator("xpath=..")
    await expect(row.locator("[data-sum]")).to_have_text("0.1 h")
    await expect(dana.page.locator("[data-day-total]")).to_have_text("0.1 h")


async def test_an_hour_comes_out_of_its_fold_when_time_arrives_in_it(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    day = local_day(live.resources.clock.record_now(), ZoneInfo("UTC")) - timedelta(days=2)
    path = f"/rooms/{pair.room}/work-view?day={day}"
    midnight = day_bounds(day, ZoneInfo("UTC"))[0]
    earlier = Shift(live.resources, pair.freelancer, pair.room, ManualClock(midnight))
    await (await earlier.start("Booking form", at=midnight)).work(5 * MINUTE, keep_clock=True)
    dana = await open_page(pair.client, path)
    await dana.live()
    folds = dana.page.locator(".fold-head span")
    await expect(folds).to_have_text(["01:00 to 00:00, nothing tracked"])
    later = Shift(live.resources, pair.freelancer, pair.room, ManualClock(midnight + 10 * HOUR_MS))
    await (await later.start("Booking form", at=midnight + 10 * HOUR_MS)).work(5 * MINUTE, keep_clock=True)
    await expect(folds).to_have_text(["01:00 to 10:00, nothing tracked", "11:00 to 00:00, nothing tracked"])
    cell = dana.page.locator(f"#seg-{pair.room}-p2-{segment_of(midnight + 10 * HOUR_MS)}")
    await expect(cell).to_be_visible()
    assert await dana.page.locator(".grid th[scope=row]").count() == 24
    shown = await folds.all_text_contents()
    await dana.page.reload()
    assert await folds.all_text_contents() == shown, "as the server folds it"


async def test_the_picture_opens_large_and_a_note_on_it_reaches_the_room(
    open_page: OpenPage, pair: Pair, live: Live
) -> None:
    shift = await _shift(live, pair, 38)
    first = await shift.frame(data=picture(1))
    await shift.work(13 * MINUTE, keep_clock=True)
    second = await shift.frame(data=picture(2))
    await shift.work(12 * MINUTE, keep_clock=True)
    third = await shift.frame(data=picture(4))
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    dana = await open_page(pair.client, f"/rooms/{pair.room}/work-view")
    await dana.live()
    await ana.live()
    await dana.page.locator(f"a.cell[href$='/frames/{first.seq}']").click()
    dialog = dana.page.locator("#frame")
    await expect(dialog.locator(".frame-view")).to_have_attribute("data-seq", str(first.seq))
    await dana.page.keyboard.press("ArrowRight")
    await expect(dialog.locator(".frame-view")).to_have_attribute("data-seq", str(second.seq))
    for key, seq in (("ArrowRight", third.seq), ("ArrowLeft", second.seq)):
        await dana.page.keyboard.press(key)
        await expect(dialog.locator(".frame-view")).to_have_attribute("data-seq", str(seq))
    await dialog.get_by_label("Note to Ana").fill("Could the picker start on Monday?")
    await dialog.get_by_role("button", name="Write the note").click()
    await expect(dialog.locator(".frame-said")).to_contain_text("Could the picker start on Monday?")
    await expect(ana.page.locator(".log .fb")).to_contain_text("Could the picker start on Monday?")
    await expect(dana.page.locator(f"#chat-{pair.room}")).to_contain_text("Could the picker start on Monday?")
    await dana.page.keyboard.press("Escape")
    await expect(dialog).not_to_be_visible()
    await expect(dana.page.locator(f"a.cell[href$='/frames/{second.seq}']")).to_be_focused()


async def test_a_note_on_an_older_frame_shows_beside_it(open_page: OpenPage, pair: Pair, live: Live) -> None:
    shift = await _shift(live, pair, 170)
    stored = await shift.frame(data=picture(1))
    for number in range(60):
        await record.append(live.resources, pair.freelancer, pair.room, "message", {"text": f"Line {number}"})
    dana = await open_page(pair.client, f"/rooms/{pair.room}/work-view?at={instant_text(shift.at)}")
    await dana.live()
    cell = dana.page.locator(f"a.cell[href$='/frames/{stored.seq}']")
    await cell.click()
    dialog = dana.page.locator("#frame")
    await dialog.get_by_label("Note to Ana").fill("Is this the old form?")
    await dialog.get_by_role("button", name="Write the note").click()
    await expect(dialog.locator(".frame-said")).to_contain_text("Is this the old form?")


@pytest.mark.parametrize("path", ["", "/work-view"])
async def test_a_frame_that_is_deleted_leaves_an_open_dialog_at_once(
    open_page: OpenPage, pair: Pair, live: Live, path: str
) -> None:
    shift = await _shift(live, pair)
    stored = await shift.frame(data=picture(3))
    dana = await open_page(pair.client, f"/rooms/{pair.room}{path}")
    await dana.live()
    await dana.page.locator(f"a[data-frame][href$='/frames/{stored.seq}']").first.click()
    dialog = dana.page.locator("#frame")
    await expect(dialog.locator("figure img")).to_be_visible()
    await dialog.get_by_label("Note to Ana").fill("What is")
    await record.append(live.resources, pair.freelancer, pair.room, "feedback", {"text": "Wait"}, stored.seq)
    await expect(dialog.locator(".frame-said")).to_contain_text("Wait")
    await expect(dialog.get_by_label("Note to Ana")).to_have_value("What is")
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}/frames/{stored.seq}")
    await ana.page.get_by_text("Delete this frame").click()
    await ana.page.get_by_role("button", name="Delete the frame and its time").click()
    await expect(dialog.locator("figure img")).to_have_count(0, timeout=3_000)
    await expect(dialog.locator("figure")).to_contain_text("erased")


async def test_a_deleted_frame_is_gone_from_open_pages_at_once(open_page: OpenPage, pair: Pair, live: Live) -> None:
    shift = await _shift(live, pair)
    stored = await shift.frame(data=picture(3))
    dana = await open_page(pair.client, f"/rooms/{pair.room}/work-view")
    room = await open_page(pair.client, f"/rooms/{pair.room}")
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}/frames/{stored.seq}")
    await dana.live()
    await room.live()
    await ana.page.get_by_text("Delete this frame").click()
    await ana.page.get_by_role("button", name="Delete the frame and its time").click()
    cell = dana.page.locator(f"#seg-{pair.room}-p2-{segment_of(shift.at)}")
    await expect(cell).to_contain_text("deleted by Ana")
    await expect(cell.locator("img")).to_have_count(0)
    await expect(room.page.locator(f"#f-{pair.room}-{stored.seq}")).to_contain_text("deleted")


async def test_the_clock_of_the_page_can_be_ones_own(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}/work-view", timezone_id="Asia/Tokyo")
    await dana.page.get_by_role("link", name="My time").click()
    assert await dana.page.evaluate("document.documentElement.dataset.zone") == "Asia/Tokyo"
    await expect(dana.page.locator("p.mute").first).to_contain_text("times in your zone")
