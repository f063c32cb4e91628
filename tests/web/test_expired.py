"""A form whose session is over, the second factor on the way, and the pages around them, on the whole server."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from app.domain.timerange import MINUTE_MS
from app.services import accounts, record, second_factor
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import PacedClock, SystemClock
from app.web.expired import KEPT_CHARS_MAX, kept_of
from tests.builders import build_account, build_pair
from tests.live import Live, live_server
from tests.services.test_second_factor import code_at

PASSWORD = "correct horse"


@pytest.fixture
async def browser(live: Live) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script, on the pages of the live server."""
    headers = {"accept": "text/html", "origin": live.url, "sec-fetch-site": "same-origin", "user-agent": "Firefox"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as client:
        yield client


@dataclass
class Form:
    """The form of a page: where it goes, and what it holds."""

    action: str
    fields: dict[str, str]


def form_in(page: str, action: str) -> Form:
    """Return the form of a page that goes to an address."""
    found = re.search(rf'<form[^>]* action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert found is not None, page
    fields = {}
    for tag in re.findall(r"<input[^>]*>", found[1]):
        named = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        fields[html.unescape(named.get("name", ""))] = html.unescape(named.get("value", ""))
    for name, text in re.findall(r'<textarea name="([^"]*)"[^>]*>\n(.*?)</textarea>', found[1], re.DOTALL):
        fields[html.unescape(name)] = html.unescape(text)
    return Form(action, fields)


async def in_session(live: Live, browser: httpx.AsyncClient, actor: Actor) -> None:
    live.resources.throttle.forget(f"account {actor.email}")
    signed = await accounts.sign_in(live.resources, actor.email, PASSWORD, Client("127.0.0.1", "Firefox"))
    browser.cookies.set(SESSION_COOKIE, signed.token)


async def test_a_message_typed_in_a_session_that_ended_is_sent_after_signing_in(
    live: Live, browser: httpx.AsyncClient
) -> None:
    pair = await build_pair(live.resources)
    await in_session(live, browser, pair.client)
    [session] = await accounts.sessions_of(live.resources, pair.client)
    await accounts.revoke_session(live.resources, pair.client, session.id)
    typed = 'First line\r\n<script>"second"</script> & more ü'
    path = f"/rooms/{pair.room}/entries"
    answer = await browser.post(path, data={"text": typed, "kind": "message", "cid": "cid-00000001", "password": "x-1"})
    assert answer.status_code == 401 and "what you typed is kept" in answer.text
    assert "<script>" not in answer.text.split("<main")[1] and "x-1" not in answer.text
    form = form_in(answer.text, "/sign-in")
    wrong = await browser.post("/sign-in", data=form.fields | {"email": pair.client.email, "password": "wrong one"})
    assert wrong.status_code == 422 and "password is wrong" in wrong.text
    form = form_in(wrong.text, "/sign-in")
    assert form.fields["email"] == pair.client.email and form.fields["password"] == ""
    back = await browser.post("/sign-in", data=form.fields | {"password": PASSWORD})
    assert back.status_code == 200 and "It was not sent yet" in back.text
    form = form_in(back.text, path)
    assert form.fields["text"].replace("\r\n", "\n") == typed.replace("\r\n", "\n")
    assert form.fields["cid"] == "cid-00000001" and "password" not in form.fields
    sent = await browser.post(path, data=form.fields)
    assert sent.status_code == 303
    last = (await record.page(live.resources, pair.client, pair.room, limit=1)).entries[0]
    assert last.body == {"text": typed.replace("\r\n", "\n")} and last.cid == "cid-00000001"


async def test_what_was_typed_in_a_form_of_the_composer_stands_in_that_form_again(
    live: Live, browser: httpx.AsyncClient
) -> None:
    pair = await build_pair(live.resources)
    path = f"/rooms/{pair.room}/compose/terms.proposed"
    typed = {
        "member": "p2", "pay": "hourly", "currency": "EUR", "rate_minor": "52.00", "blur_max": "1",
        "time_zone": "Europe/Lisbon", "ownership": "client", "manual_time": "on", "text": "As <agreed>",
        "cid": "cid-terms-01", "send": "1",
    }  # fmt: skip
    answer = await browser.post(path, data=typed, files={"files": ("brief.txt", b"content")})
    await in_session(live, browser, pair.client)
    back = await browser.post("/sign-in/continue", data=form_in(answer.text, "/sign-in/continue").fields)
    assert "Rate minor" not in back.text and "files have to be attached again" in back.text
    form = form_in(back.text, path)
    assert form.fields["show"] == "1" and "send" not in form.fields
    shown = await browser.post(path, data=form.fields)
    assert shown.status_code == 200 and "Rate an hour" in shown.text and "problem" not in shown.text.split("hidden")[0]
    again = form_in(shown.text, path)
    assert [again.fields[name] for name in ("cid", "currency", "rate_minor")] == ["cid-terms-01", "EUR", "52.00"]
    boxes = dict(re.findall(r'<input type="checkbox"[^>]*? name="(\w+)"([^>]*)>', shown.text))
    assert "checked" in boxes["manual_time"] and "checked" not in boxes["work_view"]
    assert '<option value="1" selected' in shown.text and "As &lt;agreed&gt;" in shown.text


async def test_the_second_factor_on_the_way_loses_nothing_either(live: Live, browser: httpx.AsyncClient) -> None:
    pair = await build_pair(live.resources)
    actor = await accounts.create_account(live.resources, "tess@example.org", "Tess", PASSWORD)
    signed = await accounts.sign_in(live.resources, actor.email, PASSWORD, Client())
    await second_factor.begin(live.resources, actor)
    set_up = (await second_factor.factor_of(live.resources, actor)).set_up
    assert set_up is not None
    now = live.resources.clock.real_now()
    codes = await second_factor.confirm(live.resources, signed.credential, code_at(set_up.secret, now))
    path = f"/rooms/{pair.room}/entries"
    answer = await browser.post(path, data={"text": "Kept over two steps"})
    form = form_in(answer.text, "/sign-in")
    asked = await browser.post("/sign-in", data=form.fields | {"email": actor.email, "password": PASSWORD})
    assert asked.status_code == 200 and (await browser.get("/settings")).status_code == 303
    wrong = await browser.post("/sign-in/code", data=form_in(asked.text, "/sign-in/code").fields | {"code": "000000"})
    assert wrong.status_code == 422 and 'id="e-code"' in wrong.text
    form = form_in(wrong.text, "/sign-in/code")
    back = await browser.post("/sign-in/code", data=form.fields | {"code": codes[0]})
    assert form_in(back.text, path).fields["text"] == "Kept over two steps"
    assert (await browser.get("/settings")).status_code == 200


async def test_who_signs_in_by_a_link_in_another_tab_goes_on_too(live: Live, browser: httpx.AsyncClient) -> None:
    pair = await build_pair(live.resources)
    path = f"/rooms/{pair.room}/entries"
    answer = await browser.post(path, data={"text": "Typed before"})
    form = form_in(answer.text, "/sign-in/continue")
    still = await browser.post("/sign-in/continue", data=form.fields)
    assert still.status_code == 401 and "Typed before" in html.unescape(still.text)
    await in_session(live, browser, pair.client)
    back = await browser.post("/sign-in/continue", data=form_in(still.text, "/sign-in/continue").fields)
    assert form_in(back.text, path).fields["text"] == "Typed before"


async def test_files_are_named_and_chosen_again(live: Live, browser: httpx.AsyncClient) -> None:
    pair = await build_pair(live.resources)
    path = f"/rooms/{pair.room}/entries"
    answer = await browser.post(path, data={"text": "See the file"}, files={"file": ("a.txt", b"secret content")})
    assert answer.status_code == 401 and "Files have to be chosen again" in answer.text
    assert "secret content" not in answer.text
    await in_session(live, browser, pair.client)
    back = await browser.post("/sign-in/continue", data=form_in(answer.text, "/sign-in/continue").fields)
    assert 'enctype="multipart/form-data"' in back.text and 'type="file" name="file"' in back.text


async def test_htmx_gets_a_word_and_the_form_keeps_what_it_holds(live: Live, browser: httpx.AsyncClient) -> None:
    pair = await build_pair(live.resources)
    answer = await browser.post(f"/rooms/{pair.room}/entries", data={"text": "Typed"}, headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-retarget"], answer.headers["hx-reswap"]) == (
        401,
        "body",
        "beforeend",
    )
    assert "Your session is over" in answer.text and "<html" not in answer.text


async def test_a_program_gets_json(live: Live) -> None:
    pair = await build_pair(live.resources)
    async with live.http() as http:
        answer = await http.post(
            f"/rooms/{pair.room}/entries", data={"text": "x"}, headers={"accept": "application/json"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "sign_in")


async def test_what_is_too_long_is_cut_and_said(live: Live, browser: httpx.AsyncClient) -> None:
    pair = await build_pair(live.resources)
    data = {"text": "short", "more": "x" * KEPT_CHARS_MAX}
    answer = await browser.post(f"/rooms/{pair.room}/entries", data=data)
    assert answer.status_code == 401 and "could not be kept" in answer.text and len(answer.text) < 20_000


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", '{"path":"//evil.example","fields":[]}', '{"path":"https://evil.example","fields":[]}']
)
async def test_only_what_this_server_wrote_is_shown_again(live: Live, browser: httpx.AsyncClient, kept: str) -> None:
    pair = await build_pair(live.resources)
    await in_session(live, browser, pair.client)
    answer = await browser.post("/sign-in/continue", data={"kept": kept})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert kept_of({"kept": kept}) is None  # type: ignore[arg-type]


async def test_an_operator_sets_up_a_second_factor_before_anything_else(live: Live, browser: httpx.AsyncClient) -> None:
    olga = await accounts.create_account(live.resources, "olga@example.org", "Olga Brandt", PASSWORD, operator=True)
    signed = await browser.post("/sign-in", data={"email": olga.email, "password": PASSWORD, "next": "/"})
    assert signed.status_code == 303
    for path in ("/", "/settings", "/pair"):
        refused = await browser.get(path)
        assert (refused.status_code, refused.headers["location"]) == (303, "/settings/second-factor")
    told = await browser.get("/api/account", headers={"accept": "application/json"})
    assert (told.status_code, told.json()["error"]["code"]) == (403, "second_factor_required")
    assert (await browser.get("/settings/second-factor")).status_code == 200
    await browser.post("/settings/second-factor/begin")
    page = (await browser.get("/settings/second-factor")).text
    assert "<svg" in page and 'class="qr"' in page
    set_up = (await second_factor.factor_of(live.resources, olga)).set_up
    assert set_up is not None
    code = code_at(set_up.secret, live.resources.clock.real_now())
    wrong = await browser.post("/settings/second-factor/confirm", data={"code": "123"})
    assert wrong.status_code == 422 and 'class="qr"' in wrong.text
    done = await browser.post("/settings/second-factor/confirm", data={"code": code})
    assert len(re.findall(r"<code>[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}</code>", done.text)) == 10
    assert done.headers["cache-control"] == "no-store"
    assert (await browser.get("/settings")).status_code == 200
    assert "recovery codes left" in (await browser.get("/settings/second-factor")).text


async def test_in_the_demo_the_operator_is_asked_by_a_banner_only(tmp_path: Path) -> None:
    now = SystemClock().real_now()
    async with live_server(Settings(data=tmp_path / "data", port=0), PacedClock(now, now, 60)) as demo:
        olga = await accounts.create_account(demo.resources, "olga@example.org", "Olga Brandt", operator=True)
        link = await accounts.new_link(demo.resources, olga)
        async with httpx.AsyncClient(base_url=demo.url, headers={"accept": "text/html"}) as client:
            assert (await client.post("/link/" + link.rpartition("/")[2])).headers["location"] == "/"
            page = await client.get("/")
            assert page.status_code == 200 and "An operator needs a second factor" in page.text
        dana = await build_account(demo.resources, "Dana Keller")
        signed = await accounts.sign_in(demo.resources, dana.email, PASSWORD, Client())
        async with httpx.AsyncClient(base_url=demo.url, cookies={SESSION_COOKIE: signed.token}) as client:
            assert "An operator needs" not in (await client.get("/")).text


async def test_a_token_alone_takes_no_account_over(live: Live) -> None:
    eve = await accounts.create_account(live.resources, "eve@example.org", "Eve")
    async with live.http(eve) as http:
        for path, body in (("password", {"password": "a new long one"}), ("address", {"email": "x@example.org"})):
            assert (await http.post(f"/api/account/{path}", json=body)).status_code == 403


async def test_signing_up_looks_alike_for_every_address_and_says_where_mail_goes(
    live: Live, browser: httpx.AsyncClient
) -> None:
    ana = await build_account(live.resources, "Ana Known")
    answers = []
    for email in (ana.email, "ana.unknown@example.org"):
        answer = await browser.post("/sign-up", data={"email": email})
        assert answer.status_code == 200 and "This server has no mail set up" in answer.text
        answers.append(answer.text.replace(email, "ADDRESS"))
    assert answers[0] == answers[1]
    wrong = await browser.post("/sign-up", data={"email": "no address"})
    assert wrong.status_code == 422 and 'value="no address"' in wrong.text and 'id="e-email"' in wrong.text


async def test_this_browser_becomes_a_tracker_and_is_listed(live: Live, browser: httpx.AsyncClient) -> None:
    ana = await build_account(live.resources, "Bea Browser")
    refused = await browser.post("/devices/browser")
    assert refused.status_code == 401 and refused.json()["error"]["code"] == "sign_in"
    await in_session(live, browser, ana)
    made = await browser.post("/devices/browser", json={"label": "Firefox at home"})
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    assert await accounts.actor_of_token(live.resources, made.json()["token"], "device") == ana
    unnamed = await browser.post("/devices/browser")
    assert unnamed.json()["label"] == "Firefox"
    assert "Firefox at home" in (await browser.get("/settings")).text


async def test_the_api_does_what_the_settings_do(live: Live) -> None:
    cleo = await build_account(live.resources, "Cleo Api")
    started = live.resources.clock.real_now()
    async with live.http(cleo) as http:
        account = (await http.get("/api/account")).json()
        assert (account["email"], account["second_factor"]) == (cleo.email, False)
        assert (await http.post("/api/account/name", json={"name": "Cleo B"})).json() == {"ok": True}
        refused = await http.post("/api/account/password", json={"password": "a new long one"})
        assert refused.status_code == 422 and refused.json()["error"]["code"] == "wrong_password"
        made = await http.post("/api/account/tokens", json={"label": "script", "purpose": "device"})
        assert made.json()["token"].startswith("wr_dev_")
        wrong = await http.post("/api/account/tokens", json={"label": "script", "purpose": "root"})
        assert wrong.status_code == 422
        tokens = (await http.get("/api/account/tokens")).json()["tokens"]
        device = next(token for token in tokens if token["purpose"] == "device")
        await http.post(f"/api/account/tokens/{device['id']}/revoke")
        assert len((await http.get("/api/account/tokens")).json()["tokens"]) == len(tokens) - 1
        signed = await accounts.sign_in(live.resources, cleo.email, PASSWORD, Client("192.0.2.9", "Old phone"))
        [session] = (await http.get("/api/account/sessions")).json()["sessions"]
        assert (session["id"], session["present"]) == (signed.credential.id, False)
        await http.post("/api/account/sessions/others/revoke")
        assert (await http.get("/api/account/sessions")).json()["sessions"] == []
        export = await http.get("/api/account/export")
        assert export.headers["content-type"] == "application/zip" and export.content.startswith(b"PK")
    assert live.resources.clock.real_now() - started < MINUTE_MS
