"""Access for everybody: no finding of axe in either theme and layout, nothing wider than a phone."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from app.domain.workrooms import Side
from app.services import accounts, invitations, record, workrooms
from tests.browser.conftest import OpenPage
from tests.browser.looks import fits, look
from tests.builders import Pair
from tests.live import Live
from tests.work import MINUTE, picture

from .test_workview import _shift

pytestmark = pytest.mark.browser


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


async def test_no_page_has_a_finding_or_is_wider_than_the_screen(open_page: OpenPage, pair: Pair, live: Live) -> None:
    frame = await _filled(live, pair)
    room = f"/rooms/{pair.room}"
    paths = ["/", room, f"{room}/work-view", f"{room}/frames/{frame}", f"{room}/entries/0/receipt", "/settings"]
    page = (await open_page(pair.freelancer, "/about", reduced_motion="reduce")).page
    await look(page)
    for path in [*paths, "/patterns", "/pair"]:
        await page.goto(path)
        await page.wait_for_load_state("networkidle") if path == "/patterns" else None
        await look(page)
        await page.set_viewport_size({"width": 768, "height": 700})
        await fits(page, path)


async def test_no_page_of_a_stranger_has_a_finding(open_page: OpenPage, pair: Pair, live: Live) -> None:
    link = await accounts.new_link(live.resources, pair.client)
    room = await workrooms.open_room(live.resources, pair.client.account, None, "New")
    invitation = await invitations.invite(live.resources, pair.client, room, Side.FREELANCER)
    page = (await open_page(None, "/about", reduced_motion="reduce")).page
    for path in ["/none", "/sign-in", *(urlsplit(address).path for address in (link, invitation))]:
        answer = await page.goto(path)
        assert answer is not None and answer.status == (404 if path == "/none" else 200), path
        await look(page)


async def test_the_workroom_speaks_in_a_log_and_not_in_its_list(open_page: OpenPage, pair: Pair) -> None:
    dana = await open_page(pair.client, f"/rooms/{pair.room}")
    assert await dana.page.locator("#say").get_attribute("role") == "log"
    assert await dana.page.locator(f"#log-{pair.room}").get_attribute("aria-live") is None
