"""The first page of somebody for whom invitations wait, under an address that they have not confirmed."""

from __future__ import annotations

import html
from urllib.parse import urlsplit

import httpx

from app.domain.workrooms import Side
from app.services import invitations, job_invitations, jobs, workrooms
from app.services.accounts import SESSION_COOKIE, Client
from tests.builders import build_account
from tests.letters import letter_to, link_of
from tests.live import Live
from tests.services.test_jobs import FORM


async def test_the_first_page_asks_to_confirm_the_address_for_which_something_waits(live: Live) -> None:
    resources = live.resources
    dana = await build_account(resources, "Dora Invites")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    link = await invitations.invite(resources, dana, room, Side.FREELANCER)
    signed, _ = await invitations.sign_up_with_invitation(
        resources, link.rpartition("/")[2], "Eve", "eve.waits@example.org", "a long enough one", Client("192.0.2.1")
    )
    offer = jobs.offer_of(resources, {**FORM, "visible_to": "invited"})
    job = await jobs.post_job(resources, dana, offer)
    headers, cookies = {"accept": "text/html"}, {SESSION_COOKIE: signed.token}
    async with httpx.AsyncClient(base_url=live.url, headers=headers, cookies=cookies) as browser:
        assert "An invitation waits" not in (await browser.get("/")).text
        await job_invitations.invite_to_job(resources, dana, job, "eve.waits@example.org")
        home = html.unescape((await browser.get("/")).text)
        assert "An invitation waits for eve.waits@example.org" in home and offer.title not in home
        assert (await browser.get(f"/jobs/{job}")).status_code == 404
        asked = await browser.post("/settings/address/again")
        assert asked.status_code == 303
        letter = await letter_to(resources, "eve.waits@example.org", "Confirm your address")
        await browser.post(urlsplit(link_of(letter)).path)
        home = html.unescape((await browser.get("/")).text)
        assert "An invitation waits" not in home and f"invites you to propose for {offer.title}" in home
