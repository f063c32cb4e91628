"""Pages of accounts and the edge of HTTP, as a browser and a program meet them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.domain.workrooms import Side
from app.services import accounts, invitations, workrooms
from app.services.accounts import Client
from app.services.resources import Resources
from app.views.browsers import browser_name
from app.web import accounts as pages
from app.web import pairing, settings, sign_in
from app.web.errors import on_http_exception
from app.web.middleware import BODY_BYTES_MAX, Edge, actor_of
from tests.builders import build_account
from tests.letters import letter_to, token_of

BASE = "http://127.0.0.1:8000"
PASSWORD = "correct horse"


async def _who(request: Request) -> Response:
    return PlainTextResponse(actor_of(request).email)


async def _bug(request: Request) -> Response:
    raise RuntimeError("a secret detail")


async def _read(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Pages are tested on SQLite; the services below them are on both."""
    return ""


@pytest.fixture
def app(resources: Resources) -> Starlette:
    made = Starlette(
        routes=[
            *pages.routes,
            *sign_in.routes,
            *settings.routes,
            *pairing.routes,
            Route("/who", _who),
            Route("/api/who", _who),
            Route("/bug", _bug),
            Route("/api/bug", _bug),
            Route("/read", _read, methods=["POST"]),
        ],
        middleware=[Middleware(Edge, settings=resources.settings)],
        exception_handlers={HTTPException: on_http_exception},
    )
    made.state.resources = resources
    return made


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on our own pages: it sends Origin and Sec-Fetch-Site with what it posts."""
    headers = {"accept": "text/html", "origin": BASE, "sec-fetch-site": "same-origin", "user-agent": "Firefox"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=headers) as client:
        yield client


@pytest.fixture
async def program(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


async def enter(browser: httpx.AsyncClient, email: str, target: str = "/who") -> httpx.Response:
    return await browser.post("/sign-in", data={"email": email, "password": PASSWORD, "next": target})


async def test_signing_in_leads_where_one_wanted_to_go(browser: httpx.AsyncClient, resources: Resources) -> None:
    ana = await build_account(resources, "Ana Novak")
    asked = await browser.get("/who?x=1")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=/who%3Fx%3D1")
    shown = await browser.get(asked.headers["location"])
    assert '<input type="hidden" name="next" value="/who?x=1">' in shown.text
    signed = await enter(browser, ana.email, "/who?x=1")
    assert (signed.status_code, signed.headers["location"]) == (303, "/who?x=1")
    cookie = signed.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie and "secure" not in cookie
    assert (await browser.get("/who")).text == ana.email


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", ""])
async def test_signing_in_never_leads_elsewhere(browser: httpx.AsyncClient, resources: Resources, target: str) -> None:
    ana = await build_account(resources, "Ana Novak")
    assert (await enter(browser, ana.email, target)).headers["location"] == "/"


async def test_a_wrong_password_keeps_what_was_typed_but_not_the_password(
    browser: httpx.AsyncClient, resources: Resources
) -> None:
    answer = await browser.post("/sign-in", data={"email": "a<b@x.y", "password": "wrong-one", "next": "/who"})
    assert answer.status_code == 422
    assert 'value="a&lt;b@x.y"' in answer.text and 'value="/who"' in answer.text
    assert "wrong-one" not in answer.text and "password is wrong" in answer.text


async def test_too_many_attempts_are_told_when_to_come_back(browser: httpx.AsyncClient, resources: Resources) -> None:
    for _ in range(resources.settings.sign_in_attempts_max):
        await browser.post("/sign-in", data={"email": "a@x.y", "password": "wrong"})
    answer = await browser.post("/sign-in", data={"email": "a@x.y", "password": "wrong"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")


async def test_signing_out_ends_the_session(browser: httpx.AsyncClient, resources: Resources) -> None:
    ana = await build_account(resources, "Ana Novak")
    await enter(browser, ana.email)
    answer = await browser.post("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert await accounts.sessions_of(resources, ana) == []
    assert (await browser.get("/who")).status_code == 303


async def test_looking_at_a_link_does_not_spend_it(browser: httpx.AsyncClient, resources: Resources) -> None:
    ana = await build_account(resources, "Ana Novak")
    path = (await accounts.new_link(resources, ana)).removeprefix(BASE)
    for _ in range(2):
        assert "Sign in" in (await browser.get(path)).text
    assert (await browser.post(path)).headers["location"] == "/"
    assert (await browser.get("/who")).text == ana.email
    spent = await browser.post(path)
    assert spent.status_code == 410 and "used before" in spent.text
    assert (await browser.get(path)).status_code == 410


async def test_a_newcomer_signs_up_by_an_invitation(browser: httpx.AsyncClient, resources: Resources) -> None:
    dana = await build_account(resources, "Dana Keller")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    path = (await invitations.invite(resources, dana, room, Side.FREELANCER)).removeprefix(BASE)
    shown = await browser.get(path)
    assert "A logo" in shown.text and "Dana Keller invites you" in shown.text and "confidential" in shown.text
    short = await browser.post(path, data={"name": "Ana", "email": "ana@x.y", "password": "short"})
    assert short.status_code == 422
    assert 'value="ana@x.y"' in short.text and 'id="e-password"' in short.text
    joined = await browser.post(path, data={"name": "Ana", "email": "ana@x.y", "password": "a long enough one"})
    assert (joined.status_code, joined.headers["location"]) == (303, f"/rooms/{room}")
    assert (await browser.get("/who")).text == "ana@x.y"


async def test_who_signed_up_by_an_invitation_is_asked_on_every_page_to_confirm_the_address(
    browser: httpx.AsyncClient, resources: Resources
) -> None:
    dana = await build_account(resources, "Dana Keller")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    path = (await invitations.invite(resources, dana, room, Side.FREELANCER)).removeprefix(BASE)
    await browser.post(path, data={"name": "Ana", "email": "ana@example.org", "password": PASSWORD})
    banner = "confirm that ana@example.org is your address"
    for page in ("/settings", "/pair"):
        assert banner in (await browser.get(page)).text
    refused = await browser.post("/settings/tokens", data={"label": "my script"})
    assert refused.status_code == 403 and "Confirm your e-mail address first" in refused.text
    asked = await browser.post("/settings/address/again")
    assert "A link was mailed" in (await browser.get(asked.headers["location"])).text
    link = token_of(await letter_to(resources, "ana@example.org", "Confirm your address"))
    await browser.post(f"/address/{link}")
    assert banner not in (await browser.get("/settings")).text


async def test_who_is_signed_in_joins_with_one_button(browser: httpx.AsyncClient, resources: Resources) -> None:
    dana = await build_account(resources, "Dana Keller")
    ana = await build_account(resources, "Ana Novak")
    room = await workrooms.open_room(resources, dana.account, None, "A logo")
    path = (await invitations.invite(resources, dana, room, Side.FREELANCER)).removeprefix(BASE)
    await enter(browser, ana.email)
    assert "You are signed in as Ana Novak" in (await browser.get(path)).text
    assert (await browser.post(path)).headers["location"] == f"/rooms/{room}"


async def test_settings_list_and_revoke_sessions_devices_and_tokens(
    browser: httpx.AsyncClient, resources: Resources
) -> None:
    ana = await build_account(resources, "Ana Novak")
    await enter(browser, ana.email)
    other = await accounts.sign_in(resources, ana.email, PASSWORD, Client("192.0.2.7", "Old phone"))
    await accounts.new_token(resources, ana, "device", "Ana's laptop")
    shown = (await browser.get("/settings")).text
    assert "Old phone" in shown and "192.0.2.7" in shown and "Ana&#39;s laptop" in shown and "this browser" in shown
    await browser.post(f"/settings/sessions/{other.credential.id}/revoke")
    [device] = await accounts.tokens_of(resources, ana)
    await browser.post(f"/settings/tokens/{device.id}/revoke")
    shown = (await browser.get("/settings")).text
    assert "Old phone" not in shown and "Ana&#39;s laptop" not in shown


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605 Version/20 Safari/605", "Safari on macOS"),
        ("curl/8.5", "curl/8.5"),
        ("", "A browser that did not say which"),
    ],
)
def test_a_session_is_called_what_people_call_their_browser(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


async def test_a_new_token_is_shown_once_and_opens_the_api(
    browser: httpx.AsyncClient, program: httpx.AsyncClient, resources: Resources
) -> None:
    ana = await build_account(resources, "Ana Novak")
    await enter(browser, ana.email)
    made = await browser.post("/settings/tokens", data={"label": "my script"})
    found = re.search(r"wr_api_[\w-]{43}", made.text)
    assert found is not None
    shown = (await browser.get("/settings")).text
    assert "my script" in shown and "wr_api_" not in shown
    assert (await program.get("/api/who", headers={"authorization": f"Bearer {found[0]}"})).text == ana.email
    assert (await program.get("/who", headers={"authorization": f"Bearer {found[0]}"})).status_code == 303


async def test_the_password_is_changed_with_the_present_one(browser: httpx.AsyncClient, resources: Resources) -> None:
    ana = await build_account(resources, "Ana Novak")
    await enter(browser, ana.email)
    refused = await browser.post("/settings/password", data={"present": "wrong", "password": "a new long one"})
    assert refused.status_code == 422 and 'id="e-present"' in refused.text
    changed = await browser.post("/settings/password", data={"present": PASSWORD, "password": "a new long one"})
    assert changed.headers["location"] == "/settings?done=password"
    everything = {"present": "a new long one", "password": PASSWORD, "end_tokens": "yes"}
    ended = (await browser.post("/settings/password", data=everything)).headers["location"]
    assert ended == "/settings?done=password-tokens" and "all trackers were ended" in (await browser.get(ended)).text
    assert (await browser.get("/who")).text == ana.email
    await accounts.sign_in(resources, ana.email, PASSWORD, Client())


async def test_a_tracker_is_paired_in_the_browser(
    browser: httpx.AsyncClient, program: httpx.AsyncClient, resources: Resources
) -> None:
    ana = await build_account(resources, "Ana Novak")
    started = (await program.post("/pair/start", json={"device": "Ana's laptop"})).json()
    assert re.fullmatch("[A-Z]{4}-[0-9]{4}", started["user_code"])
    assert started["verification_uri"] == f"{BASE}/pair"
    poll = {"device_code": started["device_code"]}
    pending = await program.post("/pair/token", json=poll)
    assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")
    await enter(browser, ana.email)
    assert "Ana&#39;s laptop" in (await browser.get("/pair", params={"code": started["user_code"]})).text
    done = await browser.post("/pair", data={"code": started["user_code"], "answer": "confirm"})
    assert "is paired with your account" in done.text
    token = (await program.post("/pair/token", data=poll)).json()["token"]
    assert await accounts.actor_of_token(resources, token, "device") == ana
    assert (await program.post("/pair/token", json=poll)).json()["error"] == "expired_token"


async def test_a_wrong_code_is_told_beside_its_field(browser: httpx.AsyncClient, resources: Resources) -> None:
    ana = await build_account(resources, "Ana Novak")
    await enter(browser, ana.email)
    answer = await browser.get("/pair", params={"code": "zzzz-0000"})
    assert answer.status_code == 404 and 'id="e-code"' in answer.text and 'value="zzzz-0000"' in answer.text


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"device": 5}', b"{}", b'{"device": "\xff"}', b'{"device": "a\\u0000"}']
)
async def test_what_a_tracker_posts_is_checked(program: httpx.AsyncClient, content: bytes) -> None:
    answer = await program.post("/pair/start", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "malformed")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "origin": BASE}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": BASE}, 303),
        ({}, 303),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": BASE}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8001"}, 403),
    ],
)
async def test_another_site_cannot_post_for_one(
    program: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await program.post("/sign-out", headers=headers)).status_code == status


async def test_every_answer_carries_the_security_headers(browser: httpx.AsyncClient) -> None:
    for path in ("/sign-in", "/who", "/nowhere", "/bug"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])


async def test_a_bug_leaks_nothing_but_its_request_id(browser: httpx.AsyncClient, program: httpx.AsyncClient) -> None:
    page = await browser.get("/bug")
    assert page.status_code == 500
    assert "secret" not in page.text and page.headers["x-request-id"] in page.text
    answer = await program.get("/api/bug")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal" and "secret" not in answer.text


async def test_a_page_that_is_not_there_is_told_in_the_form_that_was_asked_for(
    browser: httpx.AsyncClient, program: httpx.AsyncClient
) -> None:
    page = await browser.get("/nowhere")
    assert page.status_code == 404 and "<h1" in page.text
    answer = await program.get("/api/nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    refused = await browser.post("/settings")
    assert refused.status_code == 405 and "does not take requests of this method" in refused.text
    told = await browser.post("/settings", headers={"accept": "application/json"})
    assert (told.status_code, told.json()["error"]["code"]) == (405, "method_not_allowed")
    assert told.headers["allow"].startswith(("GET", "HEAD"))


async def test_broken_text_is_refused_and_never_a_bug(browser: httpx.AsyncClient, resources: Resources) -> None:
    ana = await build_account(resources, "Ana Novak")
    form = {"content-type": "application/x-www-form-urlencoded"}
    for content in (b"email=%FF%FE&password=x", b"email=%ED%A0%80&password=x", b"=&&==", b"\xff"):
        assert (await browser.post("/sign-in", content=content, headers=form)).status_code == 422
    assert (await browser.post("/sign-in", data={"email": "a\0@x.y", "password": "x"})).status_code == 422
    assert (await browser.post("/sign-in", files={"email": b"x", "password": b"y"})).status_code == 422
    await enter(browser, ana.email)
    assert (await browser.post("/settings/sessions/%00/revoke")).status_code == 404
    assert (await browser.get("/link/%FF")).status_code == 410


async def test_a_request_has_a_limit_whether_it_says_its_length_or_not(program: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65536 + 1):
            yield bytes(65536)

    assert (await program.post("/read", content=bytes(BODY_BYTES_MAX))).status_code == 200
    assert (await program.post("/read", content=bytes(BODY_BYTES_MAX + 1))).status_code == 413
    assert (await program.post("/read", content=pieces())).status_code == 413


async def test_a_program_is_told_what_is_wrong_with_its_token(program: httpx.AsyncClient) -> None:
    for token in ("", "nonsense", "wr_dev_x", "wr_api_" + "x" * 43):
        answer = await program.get("/api/who", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "sign_in")


async def test_a_script_that_is_signed_out_is_led_to_the_sign_in_page(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/who", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/sign-in?next=/who")
