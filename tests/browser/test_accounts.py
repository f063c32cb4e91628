"""Accounts in a real browser, with script switched off, and every page of theirs looked at with axe."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from app.services import accounts, addresses, recovery, second_factor
from app.services.accounts import SESSION_COOKIE, Client
from tests.builders import Pair, build_account
from tests.letters import letter_to, link_of
from tests.live import Live
from tests.services.test_second_factor import code_at

from .conftest import OpenPage
from .looks import look

pytestmark = pytest.mark.browser


async def test_somebody_signs_up_sets_up_a_second_factor_and_signs_in_without_script(
    open_page: OpenPage, live: Live
) -> None:
    email = "newcomer@example.org"
    person = await open_page(None, "/sign-in", javascript=False)
    page = person.page
    await page.get_by_role("link", name="Open an account").click()
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("button", name="Send me the link").click()
    await expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    await page.goto(urlsplit(link_of(await letter_to(live.resources, email, "Finish signing up"))).path)
    await page.get_by_label("Your name").fill("Nora Newcomer")
    await page.get_by_label("Password").fill("a long enough one")
    await page.get_by_role("button", name="Open the account").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Nora")
    await page.goto("/settings")
    await page.get_by_role("link", name="Set it up").click()
    await page.get_by_role("button", name="Set it up").click()
    actor = await accounts.account_of_email(live.resources, email)
    set_up = (await second_factor.factor_of(live.resources, actor)).set_up
    assert set_up is not None
    await page.get_by_label("Six digits").fill(code_at(set_up.secret, live.resources.clock.real_now()))
    await page.get_by_role("button", name="Switch it on").click()
    codes = await page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    await page.goto("/settings")
    await page.get_by_role("button", name="Sign out: ").click()
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill("a long enough one")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Code").fill(codes[0])
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Nora")


async def test_a_message_outlives_its_session_without_script(open_page: OpenPage, pair: Pair, live: Live) -> None:
    person = await open_page(pair.client, f"/rooms/{pair.room}", javascript=False)
    page = person.page
    await page.locator("textarea[name=text]").fill("Typed for\nan hour")
    await person.page.context.clear_cookies()
    await page.locator(".composer button.primary, .composer button[type=submit], .composer .btn").last.click()
    await expect(page.get_by_text("Your session was over")).to_be_visible()
    await page.get_by_label("E-mail address").fill(pair.client.email)
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_label("Text")).to_have_value("Typed for\nan hour")
    await page.get_by_role("button", name="Send it now").click()
    await expect(page.locator(".log").get_by_text("Typed for")).to_be_visible()


async def test_no_page_of_accounts_has_a_finding(open_page: OpenPage, live: Live) -> None:
    vera, here, new = await build_account(live.resources, "Vera"), Client("192.0.2.30"), "new@example.org"
    await addresses.ask_sign_up(live.resources, new, here)
    begin = link_of(await letter_to(live.resources, new, "Finish signing up"))
    await recovery.ask_recovery(live.resources, vera.email, here)
    recover = link_of(await letter_to(live.resources, vera.email, "Set a new password"))
    stranger = await open_page(None, "/about", reduced_motion="reduce")
    for path in ("/sign-in", "/sign-up", "/recover", urlsplit(begin).path, urlsplit(recover).path):
        await stranger.page.goto(path)
        await look(stranger.page)
    person = await open_page(vera, "/settings", reduced_motion="reduce")
    await look(person.page)
    for path in ("/settings/second-factor", "/settings/close", "/settings?done=name"):
        await person.page.goto(path)
        await look(person.page)
    await second_factor.begin(live.resources, vera)
    await person.page.goto("/settings/second-factor")
    await look(person.page)
    set_up = (await second_factor.factor_of(live.resources, vera)).set_up
    assert set_up is not None
    await person.page.get_by_label("Six digits").fill(code_at(set_up.secret, live.resources.clock.real_now()))
    await person.page.get_by_role("button", name="Switch it on").click()
    await expect(person.page.locator(".codes")).to_be_visible()
    await look(person.page)
    await person.page.goto("/settings/second-factor")
    await look(person.page)
    waiting = await accounts.sign_in(live.resources, vera.email, "correct horse", here)
    await stranger.page.context.add_cookies([{"name": SESSION_COOKIE, "value": waiting.token, "url": live.url}])
    await stranger.page.goto("/sign-in/code")
    await expect(stranger.page.get_by_label("Code")).to_be_visible()
    await look(stranger.page)
