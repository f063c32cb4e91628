"""A whole job, from its posting to the end, played by both sides in a real browser, and again without script."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from app.domain.matters import MatterState
from app.domain.record import Entry
from app.domain.timerange import datetime_of
from app.domain.workrooms import RoomState
from app.services import matters, record
from app.services.access import room_info
from tests.browser.conftest import OpenPage, Person
from tests.builders import build_account
from tests.live import Live

pytestmark = pytest.mark.browser


class Player:
    """One side of the job: what a person does on the pages, with or without script."""

    def __init__(self, person: Person, live: Live, *, scripted: bool) -> None:
        assert person.actor is not None
        self.actor = person.actor
        self.page: Page = person.page
        self.person = person
        self.scripted = scripted
        self._live = live
        self.room = ""

    async def enter(self, room: str) -> None:
        """Go to the workroom, and be there live."""
        self.room = room
        await self.page.goto(f"/rooms/{room}")
        if self.scripted:
            await self.person.live()

    async def row(self, seq: int) -> Locator:
        """Return the row of an entry; without script the page is loaded afresh to see what is new."""
        if not self.scripted:
            await self.page.goto(f"/rooms/{self.room}?around={seq}#e-{self.room}-{seq}")
        found = self.page.locator(f"#e-{self.room}-{seq}")
        await expect(found).to_be_attached()
        return found

    async def say(self, text: str) -> None:
        if not self.scripted:
            await self.page.goto(f"/rooms/{self.room}")
        await self.page.fill("#text", text)
        await self.page.click("#composer button.primary")
        await expect(self.page.locator(f"#log-{self.room} .msg").filter(has_text=text)).to_be_visible()

    async def compose(self, kind: str, **fields: str | bool | Path) -> int:
        """Fill in the form of a kind as a person does, send it, and return the seq of the entry."""
        before = await self.head()
        await self.page.goto(f"/rooms/{self.room}/compose/{kind}")
        form = self.page.locator("#compose")
        for name, value in fields.items():
            field = form.locator(f'[name="{name.replace("__", ".")}"]')
            if isinstance(value, bool):
                await field.set_checked(value)
            elif isinstance(value, Path):
                await field.set_input_files(value)
            elif await field.first.get_attribute("type") == "radio":
                await form.locator(f'[name="{name}"][value="{value}"]').check(force=True)
            elif await field.evaluate("e => e.tagName") == "SELECT":
                await field.select_option(value)
            else:
                await field.fill(value)
        await form.locator("button.primary").click()
        await self.page.wait_for_url(f"**/rooms/{self.room}#e-*")
        if self.scripted:
            await self.person.live()
        seq = await self.head()
        assert seq > before
        by, entries = await self.pseudonym(), await self.entries()
        return next(e.seq for e in entries[::-1] if (e.kind, e.by) == (kind, by))

    async def answer(self, seq: int, word: str) -> None:
        """Press a button of an entry that waits for this side."""
        row = await self.row(seq)
        await row.get_by_role("button", name=word, exact=True).click()
        if not self.scripted:
            await self.page.wait_for_load_state()

    async def entries(self) -> list[Entry]:
        return (await record.page(self._live.resources, self.actor, self.room, limit=200)).entries

    async def head(self) -> int:
        return (await record.page(self._live.resources, self.actor, self.room, limit=1)).head

    async def pseudonym(self) -> str:
        member = (await room_info(self._live.resources, self.room)).member_of(self.actor.account)
        assert member is not None
        return member.by

    async def state_of(self, seq: int) -> MatterState:
        found = [e for e in await self.entries() if e.seq == seq]
        return (await matters.states_of(self._live.resources, self.room, found))[seq].state


async def _post_job(dana: Player, title: str) -> str:
    """Post a job with a fixed price; return its address."""
    await dana.page.goto("/jobs/new")
    await dana.page.fill("#f-title", title)
    await dana.page.fill("#f-description", "The list of berths works. **Missing**: validation and the invoice e-mail.")
    await dana.page.locator("[name=pay][value=fixed]").check(force=True)
    await dana.page.fill("#f-budget", "1200")
    await dana.page.get_by_role("button", name="Preview").click()
    await expect(dana.page.locator(".preview-bar")).to_contain_text("Nothing is posted yet")
    await dana.page.get_by_role("button", name="Post the job").click()
    await dana.page.wait_for_url(lambda url: "/jobs/" in url and not url.endswith("/new"))
    await expect(dana.page.locator("h1")).to_have_text(title)
    return dana.page.url.split("?")[0]


async def _propose(ana: Player, title: str) -> None:
    await ana.page.goto("/jobs")
    await ana.page.get_by_role("link", name=title).first.click()
    await ana.page.fill("#propose [name=text]", "I have built two booking sites for marinas.")
    await ana.page.fill("#propose [name=amount]", "1150")
    await ana.page.get_by_role("button", name="Send the proposal").click()
    await expect(ana.page.locator("#proposal")).to_contain_text("two booking sites")


async def _open_messages(dana: Player, job: str) -> str:
    await dana.page.goto(f"{job}/proposals")
    await dana.page.get_by_role("button", name="Open messages").click()
    await dana.page.wait_for_url("**/rooms/*")
    return dana.page.url.split("/rooms/")[1].split("?")[0].split("#")[0]


@pytest.mark.parametrize("scripted", [True, False], ids=["with script", "without script"])
async def test_a_job_from_posting_to_the_end(open_page: OpenPage, live: Live, tmp_path: Path, scripted: bool) -> None:
    title = f"Harbour booking site {'A' if scripted else 'B'}"
    client = await build_account(live.resources, f"Dana Keller {'A' if scripted else 'B'}")
    freelancer = await build_account(live.resources, f"Ana Novak {'A' if scripted else 'B'}")
    dana = Player(await open_page(client, "/", javascript=scripted), live, scripted=scripted)
    ana = Player(await open_page(freelancer, "/", javascript=scripted), live, scripted=scripted)
    job = await _post_job(dana, title)
    await _propose(ana, title)
    room = await _open_messages(dana, job)
    for player in (dana, ana):
        await player.enter(room)
    await dana.say("Welcome! When could you begin?")
    await ana.say("On Monday.")
    today = datetime_of(live.resources.clock.record_now()).date()
    due = [str(today + timedelta(days=n)) for n in (7, 14)]

    # Terms: Ana proposes, Dana accepts with one click, the work can begin.
    terms = await ana.compose(
        "terms.proposed", pay="fixed", currency="EUR", milestones__0__name="Validation",
        milestones__0__amount_minor="650.00", milestones__0__due_on=due[0],
    )  # fmt: skip
    await expect(await dana.row(terms)).to_contain_text("Validation")
    assert (await room_info(live.resources, room)).state is RoomState.NEGOTIATING
    await dana.answer(terms, "Accept")
    await expect((await ana.row(terms)).locator(".matter")).to_contain_text("Accepted")
    assert (await room_info(live.resources, room)).state is RoomState.ACTIVE

    # A delivery with a file, changes, and the second one, which is accepted.
    archive = tmp_path / "validation.txt"
    archive.write_text("rule 1: a boat over 12 m needs a pilot\n" * 40)
    first = await ana.compose(
        "deliverable", title="Validation", text="All fourteen rules.", milestone="m1", holds_rights=True, files=archive
    )
    await expect(await dana.row(first)).to_contain_text("validation.txt")
    await (await dana.row(first)).get_by_role("link", name="Request changes").click()
    await dana.page.fill("#compose [name=text]", "The Sunday rule is missing.")
    await dana.page.locator("#compose button.primary").click()
    await expect((await ana.row(first)).locator(".matter")).to_contain_text("Changes requested")
    second = await ana.compose(
        "deliverable", title="Validation, with Sundays", text="And the Sunday rule.", milestone="m1", holds_rights=True
    )
    await dana.enter(room)
    await dana.answer(second, "Accept delivery")
    await expect((await ana.row(second)).locator(".matter")).to_contain_text("Accepted")

    # A report, a vacation and a delay that Dana declines.
    report = await ana.compose("status_report", done="Validation", next="The invoice e-mail")
    await expect(await dana.row(report)).to_contain_text("The invoice e-mail")
    away = await ana.compose("availability", what="vacation", from_on=due[0], until_on=due[1])
    await expect(await dana.row(away)).to_contain_text("vacation")
    late = await ana.compose("delay", text="The bank has sent no keys.", until_on=due[1])
    await dana.answer(late, "Decline")
    await expect((await ana.row(late)).locator(".matter")).to_contain_text("Declined")
    assert [await ana.state_of(seq) for seq in (terms, first, second, late)] == [
        MatterState.ACCEPTED, MatterState.CHANGES_REQUESTED, MatterState.ACCEPTED, MatterState.DECLINED,
    ]  # fmt: skip

    # The end: Dana closes the workroom, and nobody writes any more.
    await dana.page.goto(f"/rooms/{room}/members")
    await dana.page.get_by_role("link", name="Close…").click()
    await dana.page.get_by_label("Close it for good").check()
    await dana.page.get_by_role("button", name="Close the workroom").click()
    await expect(dana.page.locator("main")).to_contain_text("closed")
    await ana.page.goto(f"/rooms/{room}")
    await expect(ana.page.locator("#text")).to_have_count(0)
    assert (await room_info(live.resources, room)).state is RoomState.CLOSED
