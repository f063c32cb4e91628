"""The main job on real input: a tracker on a display with programs on it, a client who watches in a real browser.

The record's clock runs faster, so that an hour window passes while one watches; everything else is as it is used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from app.config import Settings
from app.domain.live import Appended, CellChanged, CellState, Event
from app.domain.record import Entry
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS
from app.services import accounts, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import PacedClock
from realtime.bus import Bus
from tests.browser import desk
from tests.browser.conftest import COLLECTOR
from tests.builders import Pair, build_pair
from tests.live import Live, live_server

pytestmark = pytest.mark.browser

RATE = 120  # an hour window passes in 30 s
BEFORE_THE_HOUR_MS = 10 * MINUTE_MS  # of the record: the time in which pages open and the tracker starts
CELL_SECONDS_MAX = 1.0
HOUR_SECONDS_MAX = 100.0

# Notes when a page first shows a frame, a placeholder for its picture, and the loaded thumbnail: Unix ms by seq.
OBSERVER = """
window.shown = {};
window.held = {};
window.pictured = {};
const seqOf = e => (e.getAttribute("href") || e.getAttribute("src") || "").match(/\\/frames\\/(\\d+)/)?.[1];
new MutationObserver(() => {
  for (const a of document.querySelectorAll(".seg a.cell, .log .tile")) window.shown[seqOf(a)] ??= Date.now();
  for (const a of document.querySelectorAll(".seg.stored a.cell")) window.held[seqOf(a)] ??= Date.now();
}).observe(document, {childList: true, subtree: true, attributes: true, attributeFilter: ["href"]});
document.addEventListener("load", e => {
  const seq = e.target.matches?.("img[src*='thumbnail?ready']") && e.target.closest(".seg, .log") && seqOf(e.target);
  if (seq && e.target.naturalWidth === 480) window.pictured[seq] ??= Date.now();
}, true);
"""


@dataclass
class Publications:
    """When the server told its watchers what, in Unix ms."""

    taken: dict[int, float] = field(default_factory=dict)
    ready: dict[int, float] = field(default_factory=dict)

    def note(self, events: Sequence[Event]) -> None:
        now = time.time() * 1000
        for event in events:
            match event:
                case Appended(entry=Entry(kind="frame.taken", seq=seq)):
                    self.taken.setdefault(seq, now)
                case CellChanged(cell=cell) if cell.state is CellState.READY and cell.frame_seq is not None:
                    self.ready.setdefault(cell.frame_seq, now)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Publications:
    """Note what is published, before anybody hears of it."""
    noted, publish = Publications(), Bus.publish

    def noting(bus: Bus, events: Sequence[Event]) -> None:
        noted.note(events)
        publish(bus, events)

    monkeypatch.setattr(Bus, "publish", noting)
    return noted


@asynccontextmanager
async def window(browser: Browser, live: Live, actor: Actor, path: str) -> AsyncIterator[Page]:
    """Open a browser window of somebody; nothing may have gone wrong in it at the end."""
    context = await browser.new_context(base_url=live.url, viewport={"width": 1280, "height": 900})
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "browser"))
    await context.add_cookies([{"name": SESSION_COOKIE, "value": signed.token, "url": live.url}])
    await context.add_init_script(COLLECTOR + OBSERVER)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(path)
    await expect(page.locator("html[data-live=on]")).to_be_attached(timeout=15_000)
    yield page
    assert errors == []
    assert await page.evaluate("window.violations") == []
    await context.close()


async def _closed_hour(live: Live, pair: Pair) -> Entry:
    """Wait for the first hour window that was worked in from end to end: all five segments have their frame."""
    async with asyncio.timeout(HOUR_SECONDS_MAX):
        while True:
            entries = (await record.page(live.resources, pair.client, pair.room, limit=1000)).entries
            for entry in entries:
                if entry.kind == "hour.closed" and all("frame" in s for s in (entry.body or {})["segments"]):
                    return entry
            await asyncio.sleep(0.1)


async def _talk(dana: Page, ana: Page, room: str) -> None:
    """Two people chat in two windows, and see each other typing."""
    await dana.locator("#text").press_sequentially("Is the form ready?")
    await expect(ana.locator(f"#typing-{room}")).to_contain_text("Dana is typing")
    await dana.keyboard.press("Enter")
    await expect(ana.locator(".log .msg").last).to_contain_text("Is the form ready?")
    await ana.locator("#text").press_sequentially("Look: it is on the screen now.")
    await expect(dana.locator(f"#typing-{room}")).to_contain_text("Ana is typing")
    await ana.keyboard.press("Enter")
    for page in (dana, ana):
        await expect(page.locator(".log:not(.pending) .msg").last).to_contain_text("Look: it is on the screen now.")
        await expect(page.locator(".pending .e")).to_have_count(0)


async def _noted(page: Page, name: str, seqs: Sequence[int]) -> dict[int, float]:
    """Wait until a page has noted all of these frames; return when it did."""
    await page.wait_for_function(
        "([name, seqs]) => seqs.every(seq => window[name][seq])", arg=[name, list(seqs)], timeout=10_000
    )
    noted: dict[str, Any] = await page.evaluate(f"window.{name}")
    return {int(seq): at for seq, at in noted.items()}


async def _hour_is_shown(closed: Entry, room: str, dana: Page, workview: Page) -> None:
    body = closed.body or {}
    row = dana.locator(f"#e-{room}-{closed.seq}")
    await expect(row).to_contain_text("5 frames")
    total = workview.locator(f"#hour-{room}-{body['member']}-{body['hour']}")
    await expect(total).to_contain_text("closed")
    documented = sum(segment["documented_ms"] for segment in body["segments"])
    await expect(total.locator("[data-sum]")).to_have_text(f"{documented / HOUR_MS:.1f} h")
    for segment in body["segments"]:
        cell = workview.locator(f"#seg-{room}-{body['member']}-{segment['segment']}")
        await expect(cell.locator("a.cell")).to_have_attribute("href", f"/rooms/{room}/frames/{segment['frame']}")


async def test_a_client_sees_each_cell_within_a_second_its_picture_after_it_and_the_hour_close(
    chromium: Browser, tmp_path: Path, published: Publications
) -> None:
    if problem := desk.missing():
        pytest.skip(problem)
    settings = Settings(data=tmp_path / "data", port=0)
    async with AsyncExitStack() as stack:
        shown = stack.enter_context(desk.display())
        now = time.time_ns() // 1_000_000
        begins = (now - 3 * DAY_MS) // DAY_MS * DAY_MS + 10 * HOUR_MS
        clock = PacedClock(now, begins - BEFORE_THE_HOUR_MS, RATE)
        clock.save(tmp_path / "clock.json")
        live = await stack.enter_async_context(live_server(settings, clock))
        pair = await build_pair(live.resources, demo=True)
        token = (await desk.operator(settings.data, "device", pair.freelancer.email)).split()[-1]
        tracker = desk.Desk(tmp_path / "home", tmp_path / "clock.json", shown)
        await tracker.run("pair", live.url, "--token", token)
        room = f"/rooms/{pair.room}"
        await stack.enter_async_context(tracker.tracking("harbour", "--comment", "Booking form", "--hold", "0"))
        workview, dana, ana = [
            await stack.enter_async_context(window(chromium, live, actor, path))
            for actor, path in (
                (pair.client, f"{room}/work-view"),
                (pair.client, room),
                (pair.freelancer, room),
            )
        ]
        opened = max(published.taken, default=-1)
        await expect(workview.locator(f"#tracker-{pair.room}-p2")).to_contain_text("is working")
        await _talk(dana, ana, pair.room)
        closed = await _closed_hour(live, pair)
        frames = [seq for seq in published.taken if opened < seq < closed.seq]
        assert len(frames) >= 4
        await _noted(workview, "held", frames)  # a placeholder stood in each cell before its picture
        for page in (workview, dana):
            cells, pictures = await _noted(page, "shown", frames), await _noted(page, "pictured", frames)
            late = {seq: cells[seq] - published.taken[seq] for seq in frames}
            assert max(late.values()) <= CELL_SECONDS_MAX * 1000, late
            assert all(pictures[seq] >= published.ready[seq] and pictures[seq] >= cells[seq] for seq in frames)
        await _hour_is_shown(closed, pair.room, dana, workview)
        await expect(workview.locator(f"#chat-{pair.room}")).to_contain_text("Is the form ready?")
        assert "clean" in await desk.operator(settings.data, "fsck")
    assert "clean" in await desk.operator(settings.data, "fsck")
