"""Fixtures of browser tests: Chromium, a live server, a page per person, and what went wrong in any of them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, WebSocketRoute, async_playwright, expect

from app.services import accounts
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from tests.builders import Pair, build_pair
from tests.live import Live

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
COLLECTOR = """
window.violations = [];
addEventListener("securitypolicyviolation", e => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""


@dataclass
class Network:
    """The connection of one browser to the server; `cut` ends its sockets and lets none through."""

    is_cut: bool = False
    sockets: list[WebSocketRoute] = field(default_factory=list)

    async def attach(self, socket: WebSocketRoute) -> None:
        """Decide on a new socket of the page."""
        if self.is_cut:
            await socket.close(code=4000)
            return
        socket.connect_to_server()
        self.sockets.append(socket)

    async def cut(self) -> None:
        self.is_cut = True
        while self.sockets:
            await self.sockets.pop().close(code=4000)

    def mend(self) -> None:
        self.is_cut = False


@dataclass
class Person:
    """A page of somebody, and everything that went wrong in it."""

    actor: Actor | None
    page: Page
    network: Network
    errors: list[str] = field(default_factory=list)

    async def live(self) -> None:
        """Wait until the page is connected and has joined."""
        await expect(self.page.locator("html[data-live=on]")).to_be_attached(timeout=15_000)


OpenPage = Callable[..., Awaitable[Person]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium; skipped, with how to get it, where there is none."""
    path = CHROMIUM
    if path is None:
        pytest.skip("Chromium is not installed; `apt-get install chromium` brings it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def pair(live: Live) -> Pair:
    """A workroom of its own for each test."""
    return await build_pair(live.resources)


@pytest.fixture
async def open_page(chromium: Browser, live: Live) -> AsyncIterator[OpenPage]:
    """Open a page as somebody: `await open_page(actor, "/rooms/…", javascript=False)`; all are checked at the end."""
    people: list[Person] = []
    contexts: list[BrowserContext] = []

    async def open_one(actor: Actor | None, path: str, *, javascript: bool = True, **options: Any) -> Person:
        options = {"viewport": {"width": 1280, "height": 800}, "timezone_id": "Europe/Lisbon", **options}
        context = await chromium.new_context(base_url=live.url, java_script_enabled=javascript, **options)
        contexts.append(context)
        if actor is not None:
            signed = await accounts.sign_in(
                live.resources, actor.email, "correct horse", Client("127.0.0.1", "browser")
            )
            await context.add_cookies([{"name": SESSION_COOKIE, "value": signed.token, "url": live.url}])
        await context.add_init_script(COLLECTOR)
        network = Network()
        page = await context.new_page()
        if javascript:
            await page.route_web_socket("**/ws", network.attach)
        person = Person(actor, page, network)
        page.on("pageerror", lambda error: person.errors.append(str(error)))
        page.on("console", lambda m: person.errors.append(m.text) if "htmx:" in m.text else None)
        await page.goto(path)
        if javascript:
            people.append(person)
        return person

    yield open_one
    for person in people:
        assert await person.page.evaluate("window.violations") == []
        assert person.errors == []
    for context in contexts:
        await context.close()
