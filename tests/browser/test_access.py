"""Access for everybody: no finding of axe in either theme or at phone width, nothing wider than a phone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.domain.workrooms import Side
from app.services import accounts, invitations, record, workrooms
from tests.browser.conftest import OpenPage
from tests.builders import Pair
from tests.live import Live
from tests.work import MINUTE, picture

from .test_workview import _shift

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe-4.min.js").read_text()
RUN = """axe.run({rules: {'target-size': {enabled: true}}})
    .then(result => result.violations.map(v => [v.id, v.nodes.map(n => n.html + n.failureSummary)]))"""


async def _filled(live: Live, pair: Pair) -> int:
    """Put something of everything into the room; return the seq of a frame."""
    first = await record.append(live.resources, pair.client, pair.room, "message", {"text": "See https://example.org"})
    await record.append(live.resources, pair.client, pair.room, "correction", {"text": "No"}, first.seq)
    shift = await _shift(live, pair)
    stored = await shift.frame(data=picture(5))
    await shift.work(13 * MINUTE, keep_clock=True)
    await shift.work(5 * MINUTE, documented=False, keep_clock=True)
    await record.append(live.resources, pair.freelancer, pair.room, "feedback", {"text": "Look"}, stored.seq)
    return stored.seq


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_no_page_has_a_finding(open_page: OpenPage, pair: Pair, live: Live, scheme: str, width: int) -> None:
    frame = await _filled(live, pair)
    room = f"/rooms/{pair.room}"
    paths = ["/", room, f"{room}/work-view", f"{room}/frames/{frame}", f"{room}/entries/0/receipt", "/settings"]
    person = await open_page(
        pair.freelancer,
        "/about",
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    for path in [*paths, "/patterns", "/pair", "/about"]:
        await person.page.goto(path)
        await person.page.wait_for_load_state("networkidle") if path == "/patterns" else None
        await person.page.evaluate(AXE)
        assert await person.page.evaluate(RUN) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_of_a_stranger_has_a_finding(open_page: OpenPage, pair: Pair, live: Live, scheme: str) -> None:
    link = await accounts.new_link(live.resources, pair.client)
    room = await workrooms.open_room(live.resources, pair.client.account, None, "New")
    invitation = await invitations.invite(live.resources, pair.client, room, Side.FREELANCER)
    person = await open_page(
        None, "/about", color_scheme=scheme, viewport={"width": 390, "height": 800}, reduced_motion="reduce"
    )
    for path in ["/none", "/sign-in", *(urlsplit(address).path for address in (link, invitation))]:
        answer = await person.page.goto(path)
        assert answer is not None and answer.status == (404 if path == "/none" else 200), path
        await person.page.evaluate(AXE)
        assert await person.page.evaluate(RUN) == [], path


@pytest.mark.parametrize("width", [320, 390, 768])
async def test_nothing_is_wider_than_the_screen(open_page: OpenPage, pair: Pair, live: Live, width: int) -> None:
    frame = await _filled(live, pair)
    room = f"/rooms/{pair.room}"
    person = await open_page(pair.freelancer, "/about", viewport={"width": width, "height": 700})
    for path in ["/", room, f"{room}/work-view", f"{room}/frames/{frame}", f"{room}/entries/0/receipt", "/settings",
                 "/patterns", "/pair", "/sign-in"]:  # fmt: skip
        await person.page.goto(path)
        assert await person.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


async def test_the_workroom_speaks_in_a_log_and_not_in_its_list(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    assert await dana.page.locator("#say").get_attribute("role") == "log"
    assert await dana.page.locator(f"#log-{pair.room}").get_attribute("aria-live") is None
