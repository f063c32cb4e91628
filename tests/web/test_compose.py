"""The composer's forms, as a browser without script meets them: every kind, every refusal, and what was typed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.domain.matters import ANSWERS, TAKING_BACK
from app.domain.workrooms import NEEDS_TERMS, WRITTEN_BY_PEOPLE
from app.services import accounts, matters, record
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from app.views.compose import ANSWERING, FORMS, GROUPS
from tests.agreements import build_working
from tests.builders import Pair, build_pair
from tests.live import Live, live_server
from tests.page_model import parse

NOW = 1_790_000_000_000  # a Monday, 14:13 UTC
HOURLY = {"pay": "hourly", "currency": "EUR", "rate_minor": "45.50", "weekly_limit_hours": "40", "time_zone": "UTC"}
FIXED = {
    "pay": "fixed", "currency": "EUR", "time_zone": "Europe/Lisbon",
    "milestones.0.name": "The form", "milestones.0.amount_minor": "900", "milestones.0.due_on": "2026-10-09",
}  # fmt: skip
# What one types into the form of each kind, and who does; None: the client.
TYPED: dict[str, tuple[str, dict[str, str]]] = {
    "milestone.proposed": (
        "client", {"key": "new", "name": "The map", "amount_minor": "450.00", "due_on": "2026-11-20"}),
    "agreement": ("client", {"text": "We meet on Mondays."}),
    "deliverable": ("freelancer", {"title": "The form", "text": "Look at *it*.", "holds_rights": "on",
                                   "links": "https://example.org/a\nhttps://example.org/b", "milestone": "m1"}),
    "status_report": ("freelancer", {"done": "The form", "next": "The map", "progress.m1": "80"}),
    "availability": ("freelancer", {"what": "vacation", "from_on": "2026-12-24", "until_on": "2026-12-28"}),
    "delay": ("freelancer", {"text": "The flu.", "moves.m1": "2026-10-16"}),
    "handover": ("client", {"label": "The sandbox", "secret": "s3cret of the sandbox"}),
    "disclosure.requested": ("freelancer", {"to": "My portfolio", "text": "One picture."}),
    "member.proposed": ("client", {"name": "Omar Haddad", "side": "client"}),
}  # fmt: skip


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    settings = Settings(
        data=tmp_path_factory.mktemp("forms") / "data", port=0, origin="test.example", says_per_second_max=100_000
    )
    async with live_server(settings, ManualClock(NOW)) as running:
        yield running


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


@asynccontextmanager
async def browsing(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script."""
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    cookies, headers = {SESSION_COOKIE: signed.token}, {"accept": "text/html"}
    async with httpx.AsyncClient(base_url=live.url, cookies=cookies, headers=headers) as client:
        yield client


def fields_of(html: str) -> dict[str, str]:
    """Return what a browser would send of the form on a page, but for its buttons."""
    form = next(node for node in parse(html).find(lambda node: node.id == "compose"))
    found: dict[str, str] = {}
    for node in form.find(lambda node: "name" in node.attributes and node.tag in ("input", "select", "textarea")):
        name, kind = node.attributes["name"], node.attributes.get("type", "")
        if node.tag == "select":
            chosen = [o for o in node.elements if "selected" in o.attributes] or node.elements[:1]
            found[name] = chosen[0].attributes["value"] if chosen else ""
        elif node.tag == "textarea":
            found[name] = "".join(str(child) for child in node.children)
        elif kind in ("checkbox", "radio"):
            if "checked" in node.attributes:
                found[name] = node.attributes.get("value", "on")
        elif kind != "file":
            found[name] = node.attributes.get("value", "")
    return found


async def fill_in(
    browser: httpx.AsyncClient, room: str, kind: str, typed: dict[str, str], ref: int | None = None
) -> Any:
    """Open a form, type into it, and send it; return the answer."""
    address = f"/rooms/{room}/compose/{kind}"
    shown = await browser.get(address, params={"ref": ref} if ref is not None else {})
    assert shown.status_code == 200, shown.text
    return await browser.post(address, data={**fields_of(shown.text), **typed})


async def newest(live: Live, pair: Pair) -> Any:
    return (await record.page(live.resources, pair.client, pair.room, limit=1)).entries[-1]


async def agree(live: Live, pair: Pair, **typed: str) -> None:
    async with browsing(live, pair.client) as browser:
        sent = await fill_in(browser, pair.room, "terms.proposed", {**FIXED, **typed})
    assert sent.status_code == 303, sent.text
    seq = (await newest(live, pair)).seq
    await record.append(live.resources, pair.freelancer, pair.room, "terms.accepted", {}, seq)


async def test_terms_by_the_hour_are_proposed_by_the_form_with_amounts_as_people_write_them(
    live: Live, pair: Pair
) -> None:
    async with browsing(live, pair.freelancer) as browser:
        sent = await fill_in(browser, pair.room, "terms.proposed", {**HOURLY, "manual_time": "on", "blur_max": "2"})
        assert sent.status_code == 303
        page = await browser.get(sent.headers["location"].split("#")[0])
    entry = await newest(live, pair)
    assert entry.body == {
        "member": "p2", "pay": "hourly", "currency": "EUR", "rate_minor": 4550, "weekly_limit_hours": 40,
        "manual_time": True, "work_view": True, "blur_max": 2, "time_zone": "UTC", "ownership": "client",
    }  # fmt: skip
    assert f'id="e-{pair.room}-{entry.seq}"' in page.text and "€45.50 an hour" in page.text


@pytest.mark.parametrize("kind", TYPED)
async def test_every_form_appends_its_entry_and_its_card_is_shown(live: Live, pair: Pair, kind: str) -> None:
    side, typed = TYPED[kind]
    await agree(live, pair)
    async with browsing(live, pair.client if side == "client" else pair.freelancer) as browser:
        sent = await fill_in(browser, pair.room, kind, typed)
        assert sent.status_code == 303, re.findall(r'class="problem"[^>]*>([^<]+)', sent.text)
        entry = await newest(live, pair)
        assert entry.kind == kind
        page = (await browser.get(f"/rooms/{pair.room}")).text
    assert f'id="e-{pair.room}-{entry.seq}"' in page
    assert "s3cret" not in page


async def test_work_view_is_asked_for_with_one_form_where_the_terms_lack_it(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.freelancer) as browser:
        shown = fields_of((await browser.get(f"/rooms/{pair.room}/compose/terms.proposed")).text)
        shown.pop("work_view", None)
        sent = await browser.post(f"/rooms/{pair.room}/compose/terms.proposed", data={**shown, **HOURLY})
        assert sent.status_code == 303
    proposed = (await newest(live, pair)).seq
    await record.append(live.resources, pair.client, pair.room, "terms.accepted", {}, proposed)
    async with browsing(live, pair.client) as browser:
        sent = await fill_in(browser, pair.room, "work_view.requested", {"text": "For the map."})
    assert sent.status_code == 303
    assert (await newest(live, pair)).body == {"member": "p2", "text": "For the map."}


@pytest.mark.parametrize("kind", FORMS)
async def test_what_was_typed_comes_back_with_what_is_wrong_beside_it(live: Live, pair: Pair, kind: str) -> None:
    if kind in ANSWERING or kind == "work_view.requested":
        return
    side, typed = TYPED.get(kind, ("client", {**FIXED, "milestones.0.amount_minor": "1,500"}))
    wrong = {
        "terms.proposed": ("milestones.0.amount_minor", "1,500"), "milestone.proposed": ("amount_minor", "-5"),
        "agreement": ("text", ""), "deliverable": ("title", ""), "status_report": ("progress.m1", "180"),
        "availability": ("until_on", "2026-12-20"), "delay": ("text", ""),
        "handover": ("secret", ""), "disclosure.requested": ("to", ""), "member.proposed": ("name", "x" * 90),
    }[kind]  # fmt: skip
    await agree(live, pair)
    async with browsing(live, pair.client if side == "client" else pair.freelancer) as browser:
        sent = await fill_in(browser, pair.room, kind, {**typed, wrong[0]: wrong[1]})
    assert sent.status_code == 422, sent.status_code
    told = fields_of(sent.text)
    for name, value in {**typed, wrong[0]: wrong[1]}.items():
        if name != "secret":
            assert unescape(told[name]) == value, name
    assert re.search(rf'id="f-{re.escape(wrong[0])}"[^>]*aria-invalid="true"', sent.text), wrong
    assert f'id="e-{wrong[0]}"' in sent.text
    assert (await newest(live, pair)).kind != kind or kind == "terms.proposed"


async def test_rows_are_added_and_removed_without_script_and_keep_everything(live: Live, pair: Pair) -> None:
    address = f"/rooms/{pair.room}/compose/terms.proposed"
    async with browsing(live, pair.client) as browser:
        shown = fields_of((await browser.get(address)).text)
        more = await browser.post(address, data={**shown, **FIXED, "text": "Hello", "add": "milestones"})
        assert more.status_code == 200
        told = fields_of(more.text)
        assert told["milestones.0.name"] == "The form" and told["milestones.1.name"] == "" and told["text"] == "Hello"
        told |= {"milestones.1.name": "The map", "milestones.1.amount_minor": "7"}
        less = await browser.post(address, data={**told, "remove": "milestones.0"})
    left = fields_of(less.text)
    assert left["milestones.0.name"] == "The map" and "milestones.1.name" not in left
    assert (await newest(live, pair)).kind != "terms.proposed"


async def test_a_change_of_terms_begins_with_what_holds_and_keeps_the_keys_of_milestones(
    live: Live, pair: Pair
) -> None:
    await agree(live, pair)
    async with browsing(live, pair.freelancer) as browser:
        shown = fields_of((await browser.get(f"/rooms/{pair.room}/compose/terms.proposed")).text)
        assert (shown["milestones.0.amount_minor"], shown["milestones.0.key"]) == ("900.00", "m1")
        more = {"milestones.1.name": "The map", "milestones.1.amount_minor": "5", "milestones.1.due_on": "2026-11-20"}
        sent = await browser.post(f"/rooms/{pair.room}/compose/terms.proposed", data={**shown, **more})
        assert sent.status_code == 303
    body = (await newest(live, pair)).body
    assert [milestone["key"] for milestone in body["milestones"]] == ["m1", "m2"]


async def test_a_form_that_is_sent_twice_is_one_entry(live: Live, pair: Pair) -> None:
    address = f"/rooms/{pair.room}/compose/agreement"
    async with browsing(live, pair.client) as browser:
        shown = {**fields_of((await browser.get(address)).text), "text": "Once."}
        first, second = await browser.post(address, data=shown), await browser.post(address, data=shown)
    assert first.headers["location"] == second.headers["location"]


async def test_answers_are_given_by_plain_forms_and_one_that_comes_late_is_told_so(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.client) as dana, browsing(live, pair.freelancer) as ana:
        await fill_in(dana, pair.room, "terms.proposed", FIXED)
        seq = (await newest(live, pair)).seq
        page = (await ana.get(f"/rooms/{pair.room}")).text
        assert f'<input type="hidden" name="ref" value="{seq}">' in page
        answered = await ana.post(f"/rooms/{pair.room}/entries", data={"kind": "terms.accepted", "ref": str(seq)})
        assert answered.status_code == 303
        late = await dana.post(f"/rooms/{pair.room}/entries", data={"kind": "terms.withdrawn", "ref": str(seq)})
        assert late.status_code >= 400 and "accepted" in late.text
    assert await matters.matters_of(live.resources, pair.client, pair.room) == []


async def test_answers_that_need_words_have_a_form_with_what_they_answer(live: Live, pair: Pair) -> None:
    await agree(live, pair)
    async with browsing(live, pair.freelancer) as ana, browsing(live, pair.client) as dana:
        await fill_in(ana, pair.room, "deliverable", TYPED["deliverable"][1])
        seq = (await newest(live, pair)).seq
        shown = await dana.get(f"/rooms/{pair.room}/compose/deliverable.changes_requested", params={"ref": seq})
        assert "The form" in shown.text and f"entry {seq}" in shown.text
        sent = await fill_in(dana, pair.room, "deliverable.changes_requested", {"text": "The VAT number."}, seq)
        assert sent.status_code == 303
        page = (await dana.get(f"/rooms/{pair.room}")).text
    assert "Changes requested" in page and (await newest(live, pair)).ref == seq


async def test_before_there_are_terms_the_menu_says_what_is_missing(live: Live, pair: Pair) -> None:
    async with browsing(live, pair.freelancer) as ana:
        page = (await ana.get(f"/rooms/{pair.room}")).text
        for kind in NEEDS_TERMS & FORMS.keys():
            assert f"/compose/{kind}" not in page
            assert (await ana.get(f"/rooms/{pair.room}/compose/{kind}")).status_code == 403
        assert "Agree on terms first" in page


def test_every_kind_that_people_write_has_a_form_or_a_button() -> None:
    in_text = {"message", "feedback", "comment", "correction"}
    with_button = set(ANSWERS) - set(ANSWERING)
    offered = {form.kind for _, forms in GROUPS for form in forms}
    assert offered | ANSWERING | in_text | with_button >= WRITTEN_BY_PEOPLE
    assert with_button >= TAKING_BACK


async def test_milestones_are_offered_where_there_is_a_fixed_price(live: Live) -> None:
    reason = "Milestones belong to a fixed price."
    for pay, told in (("hourly", True), ("fixed", False)):
        made = await build_working(live.resources, pay=pay)
        async with browsing(live, made.client) as browser:
            for path in (f"/rooms/{made.room}", f"/rooms/{made.room}/work-view"):
                assert (reason in (await browser.get(path)).text) is told
            form = await browser.get(f"/rooms/{made.room}/compose/milestone.proposed")
        assert (form.status_code, reason in form.text) == ((403, True) if told else (200, False))
