"""Whoever was away, in whatever way, has every entry once, in order, on a page like one that was loaded afresh."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from app.config import Settings
from app.domain.timerange import HOUR_MS
from app.services import accounts, record
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from tests.browser.conftest import ARGUMENTS, CHROMIUM, COLLECTOR
from tests.browser.line import Line, open_line
from tests.builders import Pair, build_pair
from tests.conftest import NOW
from tests.live import Live, live_server
from tests.story import Story

pytestmark = pytest.mark.browser

DAY = "2026-09-21"  # of NOW
CHAPTERS_BEFORE = 3  # are told while the page is open
DRAFT, TYPED_AWAY = "Half a sentence", "Written on a train"

# What a reader has of the page, without what its scripts note on it, its clocks, and where reading stopped.
ROWS = """log => {
  const plain = element => {
    const copy = element.cloneNode(true);
    for (const e of copy.querySelectorAll(".acts-row")) e.remove();
    for (const e of [copy, ...copy.querySelectorAll("*")]) {
      e.classList.remove("fresh");
      if (e.getAttribute("class") === "") e.removeAttribute("class");
      for (const a of ["data-l", "data-htmx-powered", "title", "tabindex"]) e.removeAttribute(a);
    }
    return copy.outerHTML;
  };
  return [...log.querySelectorAll(log.dataset.rows)].map(plain);
}"""


class Place:
    """A server at a port of its own, a line to it, and a browser's windows there."""

    def __init__(self, settings: Settings, context: BrowserContext) -> None:
        self.settings = settings
        self.context = context
        self.clock = ManualClock(NOW // HOUR_MS * HOUR_MS)
        self.live: Live
        self.line: Line
        self.pair: Pair
        self._running = AsyncExitStack()
        self.room: Page
        self.workview: Page

    async def start(self) -> None:
        self.live = await self._running.enter_async_context(live_server(self.settings, self.clock))
        port = urlsplit(self.live.url).port
        assert port is not None
        self.settings = replace(self.settings, port=port)  # where a restart comes back

    async def stop(self) -> None:
        await self._running.aclose()

    async def open(self, path: str) -> Page:
        """Open a window and wait until it is live."""
        page = await self.context.new_page()
        await page.goto(f"{self.line.url}{path}")
        await is_live(page)
        return page

    @property
    def paths(self) -> tuple[str, str]:
        room = f"/rooms/{self.pair.room}"
        return room, f"{room}/work-view?day={DAY}"

    async def type_away(self) -> None:
        """Send a message from a page that is not connected, and begin another one."""
        await expect(self.room.locator("html[data-live=off]")).to_be_attached(timeout=15_000)
        await self.room.fill("#text", TYPED_AWAY)
        await self.room.press("#text", "Enter")
        await expect(self.room.locator(".pending .e")).to_contain_text(TYPED_AWAY)
        await self.room.fill("#text", DRAFT)


async def is_live(page: Page) -> None:
    await expect(page.locator("html[data-live=on]")).to_be_attached(timeout=20_000)


async def has_come_to(page: Page, room: str, head: int) -> None:
    await expect(page.locator(f"#e-{room}-{head}")).to_be_attached(timeout=20_000)


async def _rows(page: Page, container: str, rows: str) -> list[str]:
    found = page.locator(container)
    await found.evaluate("(e, rows) => { e.dataset.rows = rows }", rows)
    made: list[str] = await found.evaluate(ROWS)
    return made


class ClosedTab:
    """Both windows are closed, and opened again later."""

    typed_away = False

    async def leave(self, place: Place) -> None:
        await place.room.fill("#text", DRAFT)
        await place.room.close()
        await place.workview.close()

    async def back(self, place: Place) -> None:
        room, workview = place.paths
        place.room, place.workview = await place.open(room), await place.open(workview)


class CutLine:
    """The network refuses every connection for a while."""

    typed_away = True

    async def leave(self, place: Place) -> None:
        place.line.cut()
        await place.type_away()

    async def back(self, place: Place) -> None:
        place.line.mend()


class DeadNetwork:
    """The network is switched off: sockets hang, and only the browser says so."""

    typed_away = True

    async def leave(self, place: Place) -> None:
        place.line.hang()
        await place.context.set_offline(True)
        await place.type_away()

    async def back(self, place: Place) -> None:
        place.line.mend()
        await place.context.set_offline(False)


class Restart:
    """The server stops, and starts again with the same data at the same port."""

    typed_away = True

    async def leave(self, place: Place) -> None:
        await place.stop()
        await place.type_away()
        await place.start()

    async def back(self, place: Place) -> None:
        """It comes back by itself."""


class Backwards:
    """Both windows go elsewhere, and back."""

    typed_away = False

    async def leave(self, place: Place) -> None:
        await place.room.fill("#text", DRAFT)
        for page in (place.room, place.workview):
            await page.evaluate("addEventListener('pageshow', e => { window.cameBack = e.persisted })")
            await page.goto(f"{place.line.url}/about")

    async def back(self, place: Place) -> None:
        for page in (place.room, place.workview):
            await page.go_back(wait_until="commit")
        assert await place.room.evaluate("window.cameBack"), "the page was not kept by the browser"


AWAY = [ClosedTab, CutLine, DeadNetwork, Restart, Backwards]


@pytest.fixture(scope="module")
async def keeping_chromium() -> AsyncIterator[Browser]:
    """A browser which keeps the pages that one leaves; Playwright usually switches that off."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `apt-get install chromium` brings it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def _place(browser: Browser, data: Path) -> AsyncIterator[Place]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Lisbon")
    await context.add_init_script(COLLECTOR)
    place = Place(Settings(data=data, port=0, origin="test.example"), context)
    await place.start()
    try:
        async with open_line(place.live.url) as place.line:
            place.pair = await build_pair(place.live.resources)
            client = Client("127.0.0.1", "browser")
            signed = await accounts.sign_in(place.live.resources, place.pair.client.email, "correct horse", client)
            await context.add_cookies([{"name": SESSION_COOKIE, "value": signed.token, "url": place.line.url}])
            yield place
            await context.close()
    finally:
        await place.stop()


@pytest.mark.parametrize("way", AWAY, ids=lambda way: way.__name__)
async def test_who_was_away_has_what_a_fresh_page_has(keeping_chromium: Browser, tmp_path: Path, way: Any) -> None:
    away = way()
    async with _place(keeping_chromium, tmp_path / "data") as place:
        path, workview_path = place.paths
        place.room, place.workview = await place.open(path), await place.open(workview_path)
        story = Story(place.live.resources, place.pair, place.clock)
        chapters = story.chapters(ends=False)  # who is back still writes
        for _ in range(CHAPTERS_BEFORE):
            await anext(chapters)
        await away.leave(place)
        story.resources = story.shift.resources = place.live.resources
        async for _ in chapters:
            pass
        await away.back(place)
        await is_live(place.room)
        if away.typed_away:
            arrived = place.room.locator(f"#log-{place.pair.room} > .msg", has_text=TYPED_AWAY)
            await expect(arrived).to_have_count(1, timeout=20_000)
            await expect(place.room.locator(".pending .e")).to_have_count(0)
        entries = (await record.page(place.live.resources, place.pair.client, place.pair.room, limit=1000)).entries
        said = [entry for entry in entries if entry.body and entry.body.get("text") == TYPED_AWAY]
        assert len(said) == (1 if away.typed_away else 0)
        await _compare(place, entries[-1].seq)
        assert await place.room.input_value("#text") == DRAFT
        for page in (place.room, place.workview):
            assert await page.evaluate("window.violations") == []


async def _compare(place: Place, head: int) -> None:
    """Hold the pages that were away against pages that are loaded now."""
    room = place.pair.room
    path, workview_path = place.paths
    await has_come_to(place.room, room, head)
    seqs = await place.room.locator(f"#log-{room} > .e").evaluate_all("rows => rows.map(row => +row.dataset.seq)")
    assert seqs == list(range(head + 1))
    fresh, fresh_workview = await place.open(path), await place.open(workview_path)
    for container, rows in (
        (f"#log-{room}", ":scope > :nth-last-child(-n+80):not(.new, .earlier)"),
        (f"#who-{room}", ":scope > *"),
    ):
        await expect_same(place.room, fresh, container, rows)
    for container, rows in ((".grid", ".seg, .sum"), (f"#chat-{room}", ":scope > :nth-last-child(-n+20)")):
        await expect_same(place.workview, fresh_workview, container, rows)


async def expect_same(resumed: Page, fresh: Page, container: str, rows: str) -> None:
    """Wait until two pages show the same: what a snapshot repairs comes a moment after the entries."""
    had: list[str] = []
    has: list[str] = [""]
    for _ in range(100):
        had, has = await _rows(resumed, container, rows), await _rows(fresh, container, rows)
        if had == has:
            break
        await resumed.wait_for_timeout(50)
    assert len(had) == len(has)
    assert [pair for pair in zip(had, has, strict=True) if pair[0] != pair[1]] == []
