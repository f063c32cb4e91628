"""Files in a real browser: dropped, chosen, paused and resumed, kept over a reload, sent, shown, and without script."""

from __future__ import annotations

import asyncio
import io
import os
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, Route, expect

from app.services import files, record
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live

TEXT = "Berth 12 is free from Monday.\n<script>alert(1)</script>"
DROP = """
([name, text]) => {
  const data = new DataTransfer(), to = document.getElementById("scroll");
  data.items.add(new File([text], name, {type: "text/html"}));
  for (const kind of ["dragenter", "dragover", "drop"])
    to.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}
"""
PASTE = """
([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  document.getElementById("text").dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
}
"""


def picture() -> bytes:
    made = io.BytesIO()
    Image.linear_gradient("L").resize((1200, 700)).convert("RGB").save(made, "PNG")
    return made.getvalue()


async def choose(page: Page, *chosen: tuple[str, bytes]) -> None:
    named = [{"name": name, "mimeType": "text/plain", "buffer": data} for name, data in chosen]
    await page.locator("#text").focus()
    await page.set_input_files("input[name=files]", named)  # type: ignore[arg-type]


async def test_files_go_with_an_entry_and_the_other_side_sees_them_live(pair: Pair, open_page: OpenPage) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    await ana.live()
    await dana.live()
    await choose(ana.page, ("harbour.png", picture()), ("plan.bin", os.urandom(3_000_000)))
    await expect(ana.page.locator(".chips li")).to_have_count(2)
    await ana.page.locator("#text").focus()
    await ana.page.evaluate(DROP, ["berths.html", TEXT])
    await ana.page.evaluate(PASTE, ["note.txt", "Pasted."])
    await expect(ana.page.locator(".chips li")).to_have_count(4)
    await expect(ana.page.locator(".chips progress")).to_have_count(0)
    await ana.page.locator(".chips li", has_text="plan.bin").get_by_label("restricted").check()
    await ana.page.fill("#text", "The plans.")
    await ana.page.press("#text", "Enter")
    card = dana.page.locator(".card-row", has_text="The plans.")
    await expect(card.locator(".files li")).to_have_count(4)
    await expect(ana.page.locator(".chips li")).to_have_count(0)
    await expect(card.locator("img[alt=Preview]")).to_have_js_property("naturalWidth", 960)
    await expect(card.locator(".files li", has_text="plan.bin")).to_contain_text("restricted")
    await card.locator(".files li", has_text="berths.html").get_by_text("Show text").click()
    await expect(card.locator("pre")).to_contain_text("<script>alert(1)</script>")


async def test_an_upload_pauses_without_connection_and_goes_on_by_itself(
    pair: Pair, open_page: OpenPage, live: Live
) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    pieces: list[str] = []

    async def cut(route: Route) -> None:
        if route.request.method == "PATCH":
            pieces.append(route.request.headers["upload-offset"])
            if len(pieces) <= 2:
                await route.abort("connectionfailed")
                return
        await route.continue_()

    await ana.page.route("**/uploads/*", cut)
    await choose(ana.page, ("plan.bin", os.urandom(2_000_000)))
    chip = ana.page.locator(".chips li")
    await expect(chip).to_contain_text("paused: no connection")
    await ana.page.fill("#text", "Wait for it.")
    await ana.page.press("#text", "Enter")
    await expect(ana.page.locator("#composer .problem")).to_contain_text("still on its way")
    assert await ana.page.input_value("#text") == "Wait for it."
    await expect(chip.get_by_label("restricted")).to_be_visible(timeout=15_000)
    assert len(pieces) == 3


async def test_chips_survive_a_reload_and_can_be_removed(pair: Pair, open_page: OpenPage) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    await choose(ana.page, ("one.txt", b"One."), ("two.txt", b"Two."))
    await expect(ana.page.locator(".chips").get_by_label("restricted")).to_have_count(2)
    await ana.page.reload()
    await ana.live()
    await expect(ana.page.locator(".chips li")).to_have_count(2)
    await ana.page.get_by_label("Remove one.txt").click()
    await ana.page.locator("#text").focus()
    await ana.page.keyboard.press("Enter")
    card = ana.page.locator(".log:not(.pending) .card-row", has_text="two.txt")
    await expect(card.locator(".files li")).to_have_count(1)
    await ana.page.reload()
    await expect(ana.page.locator(".chips li")).to_have_count(0)


async def test_a_file_that_was_chosen_before_its_script_came_goes_with_the_entry(
    pair: Pair, open_page: OpenPage
) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    page, coming = ana.page, asyncio.Event()

    async def late(route: Route) -> None:
        await coming.wait()
        await route.continue_()

    await page.route("**/files*.js", late)
    await page.set_input_files("input[name=files]", {"name": "plan.txt", "mimeType": "text/plain", "buffer": b"1"})
    await page.fill("#text", "The plan.")
    await page.press("#text", "Enter")
    await expect(page.locator("#text")).to_have_value("The plan.")
    coming.set()
    await expect(page.locator(".chips").get_by_label("restricted")).to_have_count(1)
    await page.press("#text", "Enter")
    card = page.locator(".log:not(.pending) .card-row", has_text="The plan.")
    await expect(card.locator(".files li")).to_have_count(1)


@pytest.mark.parametrize("javascript", [True, False])
async def test_files_alone_can_be_sent_and_no_text_names_them(
    pair: Pair, open_page: OpenPage, live: Live, javascript: bool
) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}", javascript=javascript)
    if javascript:
        await ana.live()
    for count, words in ((1, "See the attached file."), (2, "See the 2 attached files.")):
        await choose(ana.page, *((f"plan-{n}.txt", b"Plan.") for n in range(count)))
        if javascript:
            await expect(ana.page.locator(".chips").get_by_label("restricted")).to_have_count(count)
        await ana.page.get_by_role("button", name="Send").click()
        card = ana.page.locator(".log:not(.pending) .card-row", has_text=words)
        await expect(card.locator(".files li")).to_have_count(count)
    await ana.page.get_by_role("button", name="Send").click()
    await expect(ana.page.locator("#composer .problem")).to_be_visible()
    found = (await record.page(live.resources, pair.client, pair.room)).entries
    assert [e.body["text"] for e in found if e.kind == "message" and e.body] == [
        "See the attached file.",
        "See the 2 attached files.",
    ]


async def test_a_file_that_is_too_large_says_so_beside_it(pair: Pair, open_page: OpenPage, tmp_path: Path) -> None:
    large = tmp_path / "film.mp4"
    with large.open("wb") as file:
        file.truncate(50 * 2**20 + 1)
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}")
    await ana.live()
    await ana.page.locator("#text").focus()
    await ana.page.set_input_files("input[name=files]", large)
    await expect(ana.page.locator(".chips .why")).to_contain_text("50 MiB")


async def test_without_script_a_form_brings_files_too(
    pair: Pair, open_page: OpenPage, live: Live, tmp_path: Path
) -> None:
    ana = await open_page(pair.freelancer, f"/rooms/{pair.room}", javascript=False)
    plan = tmp_path / "plan.txt"
    plan.write_text(TEXT)
    await ana.page.fill("#text", "Here is the plan.")
    await ana.page.set_input_files("input[name=files]", plan)
    await ana.page.get_by_role("button", name="Send").click()
    card = ana.page.locator(".card-row", has_text="Here is the plan.")
    await expect(card.locator(".files li")).to_have_count(1)
    await card.get_by_text("Show text").click()
    await card.get_by_role("link", name="Open it").click()
    await expect(ana.page.locator("pre")).to_contain_text("<script>alert(1)</script>")
    await ana.page.goto(f"/rooms/{pair.room}/files")
    async with ana.page.expect_download() as downloading:
        await ana.page.get_by_role("link", name=re.compile("plan.txt")).click()
    assert (await downloading.value).suggested_filename == "plan.txt"
    assert len(await files.files_of(live.resources, pair.client, pair.room)) == 1
