"""The page of a workroom's terms and its JSON, as a browser without script and a program meet them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape

import httpx
import msgspec
import pytest

from app.config import Settings
from app.demo.agreed import HARBOUR, REPORT
from app.domain.bodies.agreements import TermsProposed
from app.domain.terms import fields_of, terms_of
from app.domain.timerange import datetime_of
from app.domain.workrooms import RoomState, Side
from app.services import accounts, matters, workrooms
from app.services.access import Actor, room_info
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from app.services.terms import terms_at
from app.views.samples import SAMPLE_ROOM
from app.views.terms import RoomTerms, compared_lines, terms_lines, terms_summary
from tests.agreements import agree, build_working, write
from tests.bodies import fixed_terms, hourly_terms
from tests.builders import build_account, build_pair
from tests.conftest import NOW
from tests.live import Live, live_server


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    data = tmp_path_factory.mktemp("terms") / "data"
    settings = Settings(data=data, port=0, origin="test.example", says_per_second_max=100_000)
    async with live_server(settings, ManualClock(NOW)) as running:
        yield running


@asynccontextmanager
async def browsing(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, signed in."""
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    headers = {"accept": "text/html", "origin": live.url}
    async with httpx.AsyncClient(base_url=live.url, cookies={SESSION_COOKIE: signed.token}, headers=headers) as browser:
        yield browser


def text_of(html: str) -> str:
    """Return what a page says, without its tags."""
    return re.sub(r" ([,.])", r"\1", " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split()))


def forms(html: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Return address and hidden fields of the forms of a page, by the word on their button."""
    found = {}
    for action, inside in re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', html, re.DOTALL):
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', inside))
        word = text_of(re.sub(r"<input[^>]*>", "", inside))
        found[word] = (unescape(action), {name: unescape(value) for name, value in fields.items()})
    return found


async def press(browser: httpx.AsyncClient, html: str, word: str) -> httpx.Response:
    action, fields = forms(html)[word]
    return await browser.post(action, data=fields)


async def test_terms_are_accepted_on_their_page(live: Live) -> None:
    pair = await build_pair(live.resources)
    await write(live.resources, pair.client, pair.room, "terms.proposed", text="Validation <first>.")
    async with browsing(live, pair.client) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/terms")).text
        assert {"Accept", "Decline"}.isdisjoint(forms(html)) and "Take back" in forms(html)
        assert "Waiting for Ana until 5 Oct, 14:13, then the proposal lapses" in text_of(html)
    async with browsing(live, pair.freelancer) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/terms")).text
        assert "Dana Keller proposes" in html and "€45.50 an hour" in html and "Validation &lt;first&gt;." in html
        assert f'href="/rooms/{pair.room}/compose/terms.proposed?from=5"' in html
        answer = await press(browser, html, "Accept")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/rooms/{pair.room}/terms?of=p2")
        again = await press(browser, html, "Accept")  # a double click
        assert again.status_code == 303
        late = await press(browser, html, "Decline")
        assert late.status_code == 409 and "This was accepted already, by entry 6." in text_of(late.text)
        html = (await browser.get(answer.headers["location"])).text
    said = text_of(html)
    assert "What holds now Pay €45.50 an hour Weekly limit 20 h a week, at most €910" in said
    assert "Version 1: asked by Dana, entry 5 ; accepted by Ana, entry 6, 21 Sep, 15:13." in said
    assert (await room_info(live.resources, pair.room)).state is RoomState.ACTIVE


async def test_a_change_is_shown_beside_what_holds_and_says_from_when(live: Live) -> None:
    pair = await build_working(live.resources)
    await agree(live.resources, pair, rate_minor=5000, weekly_limit_hours=30, time_zone="Europe/Berlin")
    await write(live.resources, pair.freelancer, pair.room, "terms.proposed", rate_minor=6000)
    async with browsing(live, pair.client) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/terms")).text
        old = (await browser.get(f"/rooms/{pair.room}/terms?before=2&after=1")).text
        odd = (await browser.get(f"/rooms/{pair.room}/terms?before=x&after=99&of=p9")).text
    said = text_of(html)
    assert "From Monday, 28 September 2026 Weekly limit 30 h a week, at most €1,500 Time zone Europe/Berlin" in said
    assert "Pay differs €50 an hour €60 an hour" in said  # beside what holds
    assert "Pay differs €45.50 an hour €50 an hour" in said  # the last two versions
    assert "Manual time allowed, not protected allowed, not protected" in said
    assert "Pay differs €50 an hour €45.50 an hour" in text_of(old)
    assert text_of(odd) == text_of(html)
    assert "Pay, weekly limit, time zone" in said


async def test_work_view_is_asked_for_with_one_click_and_accepted_with_one(live: Live) -> None:
    pair = await build_working(live.resources, work_view=False)
    async with browsing(live, pair.client) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/terms")).text
        assert (await press(browser, html, "Ask for Work View")).status_code == 303
        assert (await press(browser, html, "Ask for Work View")).status_code == 303  # a double click
    (waiting,) = await matters.matters_of(live.resources, pair.client, pair.room)
    assert waiting.kind == "work_view.requested"
    async with browsing(live, pair.freelancer) as browser:
        html = (await browser.get(f"/rooms/{pair.room}/terms")).text
        assert "Ask for Work View" not in html
        posted = {"kind": "work_view.accepted", "ref": str(waiting.seq)}
        assert (await browser.post(f"/rooms/{pair.room}/entries", data=posted)).status_code == 303
    held = await terms_at(live.resources, pair.room, "p2", NOW)
    assert held is not None and held.what.work_view


async def test_milestones_and_several_freelancers_have_their_place(live: Live) -> None:
    pair = await build_working(live.resources, pay="fixed")
    other = await build_account(live.resources, "Bo Lind")
    await workrooms.join(live.resources, other.account, pair.room, Side.FREELANCER)
    await write(live.resources, pair.freelancer, pair.room, "deliverable", milestone="m1")
    async with browsing(live, pair.client) as browser:
        html = text_of((await browser.get(f"/rooms/{pair.room}/terms")).text)
        bo = text_of((await browser.get(f"/rooms/{pair.room}/terms?of=p3")).text)
    assert "Terms with Ana Novak" in html and re.search(r"Design 5 October 2026 €1,000 delivered entry \d+", html)
    assert "Terms with Bo Lind" in bo and "No terms yet." in bo
    async with browsing(live, other) as browser:
        assert "Terms with Bo Lind" in text_of((await browser.get(f"/rooms/{pair.room}/terms")).text)


async def test_before_a_freelancer_joins_the_page_says_so(live: Live) -> None:
    client = await build_account(live.resources, "Cleo Marsh")
    room = await workrooms.open_room(live.resources, client.account, None, "To come")
    stranger = await build_account(live.resources, "Sam Stone")
    async with browsing(live, client) as browser:
        assert "No freelancer has joined yet." in (await browser.get(f"/rooms/{room}/terms")).text
    async with browsing(live, stranger) as browser:
        assert (await browser.get(f"/rooms/{room}/terms")).status_code == 404


async def test_programs_read_the_same_terms(live: Live) -> None:
    pair = await build_working(live.resources)
    await agree(live.resources, pair, weekly_limit_hours=30)
    proposed = await write(live.resources, pair.freelancer, pair.room, "terms.proposed", rate_minor=6000)
    async with live.http(pair.client) as http:
        answer = await http.get(f"/api/rooms/{pair.room}/terms")
    found = msgspec.convert(answer.json(), RoomTerms, strict=True)
    (ana,) = found.freelancers
    assert ana.in_force is not None
    assert (ana.in_force.version, ana.in_force.weekly_limit_hours, ana.in_force.week_on) == (2, 20, "2026-09-21")
    assert [version.body["weekly_limit_hours"] for version in ana.versions] == [20, 30]
    assert [(o.seq, o.asked, (o.body or {})["rate_minor"]) for o in found.open] == [(proposed.seq, "client", 6000)]
    async with live.http(await build_account(live.resources, "Max Frost")) as http:
        assert (await http.get(f"/api/rooms/{pair.room}/terms")).status_code == 404
    async with live.http() as http:
        assert (await http.get(f"/api/rooms/{pair.room}/terms")).status_code == 401


# The words


def test_every_field_of_terms_is_told_by_one_line() -> None:
    bodies = (
        hourly_terms(text="A note.", mediator="Mia", weekly_deposit=True),
        fixed_terms(text="A note.", blur_max=1),
    )
    told = set[str]()
    for body in bodies:
        fields = [field for line in terms_lines(terms_of(body), SAMPLE_ROOM) for field in line.fields]
        assert len(fields) == len(set(fields))
        told |= set(fields)
    assert {field for body in bodies for field in fields_of(terms_of(body))} - told == {"restricted"}
    assert set(TermsProposed.__struct_fields__) - {"files", "restricted", "milestones"} <= told


def test_a_summary_is_in_plain_words() -> None:
    day = datetime_of(NOW).date()
    assert ("Pay", "€45 an hour") in terms_summary(HARBOUR[0].body_on(day), SAMPLE_ROOM)
    fixed = terms_summary(REPORT[0].body_on(day), SAMPLE_ROOM)
    assert ("Pay", "€1,600, fixed, in 3 milestones") in fixed
    assert ("Milestone 1", "Letter of the board, €400, due 22 September 2026") in fixed


def test_lines_of_two_versions_keep_their_order() -> None:
    before, after = terms_of(fixed_terms()), terms_of(hourly_terms())
    lines = compared_lines(before, after, SAMPLE_ROOM)
    assert [line.label for line in lines][:6] == [
        "Freelancer", "Pay", "Milestone 1", "Milestone 2", "Weekly limit", "Manual time",
    ]  # fmt: skip
    assert [(line.before is None, line.after is None) for line in lines][2:5] == [
        (False, True), (False, True), (True, False),
    ]  # fmt: skip
