"""Resumed equals loaded afresh, for an entry of every kind: rows, cells and json, from memory and from the database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.domain.events import KINDS
from app.domain.timerange import DAY_MS, HOUR_MS, SEGMENT_MS
from app.services import (
    accounts,
    frames,
    notices,
    record,
    status_reports,
    terms,
    tracking,
    workview,
    writing,
)
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from app.services.resources import Resources
from tests.builders import Pair, build_pair
from tests.conftest import NOW
from tests.live import DEADLINE_SECONDS, Live, ViewerClient, live_server
from tests.page_model import Node, PageModel
from tests.story import Story
from tests.work import MINUTE, Shift

DAY = "2026-09-21"
# Whatever writes into records by itself, as the clock passes.
SWEEPS: tuple[Callable[[Resources], Awaitable[object]], ...] = (
    tracking.stop_silent,
    workview.close_due_hours,
    workview.reveal_due_seeds,
    terms.apply_due_terms,
    writing.answer_silences,
    notices.warn_due_soon,
    status_reports.take_turns,
)
PAGES = {"timeline": "", "workview": f"/work-view?day={DAY}"}


class Watcher:
    """An open page: a model of it that applies whatever its socket gets."""

    def __init__(self, page: PageModel, client: ViewerClient, room: str) -> None:
        self.page = page
        self.client = client
        self.room = room

    async def catch_up(self, head: int) -> None:
        """Take messages until the entry `head` and the snapshot that follows a join are here."""
        snapshot = False
        while not (snapshot and self.page.seqs[self.room] >= head):
            await self.next()
            content = self.client.received[-1].get("content", "")
            snapshot = snapshot or ("seq" not in self.client.received[-1] and f"#typing-{self.room}" in content)

    async def next(self) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            text = await self.client.connection.recv()
        assert isinstance(text, str)
        self.client.received.append(httpx.Response(200, text=text).json())
        self.page.take(text)


@dataclass
class Told:
    """The story's end: its server, and the pages as they were loaded after each chapter."""

    live: Live
    pair: Pair
    cookies: dict[str, str]
    clock: ManualClock
    head: int = -1
    loaded: list[tuple[str, str]] = field(default_factory=list)  # view and html
    stayed: dict[str, Watcher] = field(default_factory=dict)  # pages that were open all the time

    async def load(self, view: str) -> str:
        """Return a page of the client's, as a browser gets it."""
        async with httpx.AsyncClient(base_url=self.live.url, cookies=self.cookies, timeout=DEADLINE_SECONDS) as http:
            answer = await http.get(f"/rooms/{self.pair.room}{PAGES[view]}")
            assert answer.status_code == 200
            return answer.text

    async def watch(self, html: str) -> PageModel:
        """Open a page as it was loaded once, and bring it to the head."""
        page = PageModel(html)
        async with self.live.viewer(self.pair.client, view=page.view) as client:
            await client.send({"t": "join", "room": self.pair.room, "after": page.seqs[self.pair.room]})
            await Watcher(page, client, self.pair.room).catch_up(self.head)
        return page


async def _settled(live: Live, actor: Actor, room: str) -> int:
    """Run the sweeps until none has anything left to write, so that the worker's find nothing either; return the head.

    Each writes what is due in one transaction with that it is done, so a turn that wrote nothing is the last one.
    """
    head, before = 0, -1
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await frames.undecoded(live.resources, 0):
            await asyncio.sleep(0.02)
        while head != before:
            for sweep in SWEEPS:
                await sweep(live.resources)
            before, head = head, (await record.page(live.resources, actor, room, limit=1)).head
    return head


async def _signed_in(live: Live, clock: ManualClock) -> Told:
    pair = await build_pair(live.resources)
    browser = Client("127.0.0.1", "test")
    signed = await accounts.sign_in(live.resources, pair.client.email, "correct horse", browser)
    return Told(live, pair, {SESSION_COOKIE: signed.token}, clock)


@pytest.fixture(scope="module", params=["memory", "database"])
async def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    """A server on which the story was told, while a client looked at every page after every chapter.

    What is missed comes from memory where somebody watches all the time, and else from the database.
    """
    settings = Settings(data=tmp_path_factory.mktemp("story") / "data", port=0, origin="test.example")
    clock = ManualClock(NOW // HOUR_MS * HOUR_MS)
    async with live_server(settings, clock) as live, AsyncExitStack() as watching:
        made = await _signed_in(live, clock)
        pair = made.pair
        for view in PAGES:
            made.loaded.append((view, await made.load(view)))
            if request.param == "memory":
                page = PageModel(made.loaded[-1][1])
                client = await watching.enter_async_context(live.viewer(pair.freelancer, view, page.seqs))
                made.stayed[view] = Watcher(page, client, pair.room)
        async for _ in Story(live.resources, pair, clock).chapters():
            for view in PAGES:
                made.loaded.append((view, await made.load(view)))
        made.head = await _settled(live, pair.client, pair.room)
        yield made


def _rows(page: PageModel) -> dict[str, str]:
    """Return the rows by seq, in the order in which they stand."""
    (log,) = [node for node in page.find("log") if node.id.startswith("log-")]
    return {row.attributes["data-seq"]: row.html() for row in log.elements if "e" in row.classes}


def _chat(page: PageModel) -> list[str]:
    (log,) = [node for node in page.find("log") if node.id.startswith("chat-")]
    return [row.html() for row in log.elements]


def _without_place(cell: Node) -> str:
    """Return a cell without what the page's script works out from its neighbours (`mid`) and the day (`out`)."""
    return re.sub(r'(class="seg \w+)(?: mid)?(?: out)?"', r'\1"', cell.html())


def _cells(page: PageModel) -> dict[str, str]:
    return {cell.id: _without_place(cell) for cell in page.find("seg")}


def _totals(page: PageModel) -> dict[str, str]:
    return {total.id: total.html() for total in page.find("sum")}


async def test_the_story_has_every_kind(told: Told) -> None:
    entries = (await record.page(told.live.resources, told.pair.client, told.pair.room, limit=1000)).entries
    assert {entry.kind for entry in entries} == set(KINDS)
    assert [entry.seq for entry in entries] == list(range(told.head + 1))


async def test_a_resumed_timeline_has_the_rows_of_a_fresh_one(told: Told) -> None:
    fresh = await told.watch(await told.load("timeline"))
    for html in [html for view, html in told.loaded if view == "timeline"]:
        begun = PageModel(html).seqs[told.pair.room]
        resumed = await told.watch(html)
        assert resumed.received == list(range(begun + 1, told.head + 1))
        rows, shown = _rows(resumed), _rows(fresh)
        assert list(rows) == [str(seq) for seq in range(int(next(iter(rows))), told.head + 1)]
        assert {seq: rows[seq] for seq in shown if seq in rows} == {seq: shown[seq] for seq in shown if seq in rows}


async def test_a_resumed_work_view_has_the_cells_the_totals_and_the_chat_of_a_fresh_one(
    told: Told,
) -> None:
    fresh = await told.watch(await told.load("workview"))
    for html in [html for view, html in told.loaded if view == "workview"]:
        resumed = await told.watch(html)
        assert _cells(resumed) == _cells(fresh)
        assert _totals(resumed) == _totals(fresh)
        assert _chat(resumed)[-25:] == _chat(fresh)


async def test_a_page_that_stayed_open_shows_what_a_fresh_one_does(told: Told) -> None:
    for view, watcher in told.stayed.items():
        await watcher.catch_up(told.head)
        fresh = await told.watch(await told.load(view))
        assert watcher.page.received == list(range(5, told.head + 1))
        if view == "timeline":
            rows, shown = _rows(watcher.page), _rows(fresh)
            assert {seq: rows[seq] for seq in shown} == shown
        else:
            assert (_cells(watcher.page), _totals(watcher.page)) == (_cells(fresh), _totals(fresh))


async def test_a_placeholder_gives_way_to_the_picture_that_came_while_nobody_watched(
    sqlite_settings: Settings,
) -> None:
    clock = ManualClock(NOW // HOUR_MS * HOUR_MS)
    async with live_server(sqlite_settings, clock) as live:
        told = await _signed_in(live, clock)
        shift = await Shift(live.resources, told.pair.freelancer, told.pair.room, clock).start()
        await shift.work(SEGMENT_MS)
        enqueue, live.resources.enqueue = live.resources.enqueue, _nobody_works
        stored = await shift.frame(taken_at=shift.at - MINUTE)
        html = await told.load("timeline")
        assert f"/frames/{stored.seq}/thumbnail?ready" not in html
        await enqueue("make_thumbnail", stored.frame)
        told.head = await _settled(live, told.pair.client, told.pair.room)
        await shift.work(HOUR_MS)
        clock.now += DAY_MS  # what follows a join shows no longer how the frame is
        await workview.close_due_hours(live.resources)
        told.head = await _settled(live, told.pair.client, told.pair.room)
        assert _rows(await told.watch(html)) == _rows(await told.watch(await told.load("timeline")))


async def _nobody_works(task: str, key: str) -> bool:
    return False


async def test_resumed_json_is_what_the_api_gives(told: Told) -> None:
    room = told.pair.room
    async with told.live.http(told.pair.client) as http, told.live.viewer(told.pair.client) as client:
        for after in [*range(-1, told.head, 4), told.head - 1]:
            answer: dict[str, Any] = (
                await http.get(f"/api/rooms/{room}/entries", params={"after": after, "limit": 500})
            ).json()
            client.received.clear()
            await client.send({"t": "join", "room": room, "after": after})
            await client.entries_up_to(room, told.head)
            assert client.entries(room) == answer["entries"]
            assert answer["head"] == told.head


async def test_what_was_erased_is_nowhere_to_be_resumed(told: Told) -> None:
    room = told.pair.room
    async with told.live.viewer(told.pair.client, rooms={room: -1}) as client:
        await client.entries_up_to(room, told.head)
    erased = [entry for entry in client.entries(room) if "erased" in entry]
    assert len(erased) == 4 and all(entry["body"] is None for entry in erased)
