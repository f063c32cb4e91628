"""Transcripts, handovers, members and confidentiality as a browser without script and as a program meet them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape

import httpx
import pytest

from app.config import Settings
from app.domain.timerange import DAY_MS
from app.services import accounts, members, record, transcripts
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE, Client
from app.services.clock import ManualClock
from tests.builders import Pair, build_account, build_pair
from tests.live import Live, live_server

NOW = 1_790_000_000_000
SECRET = "correct-battery-<b>77</b>"
CHAT = "01/09/2026, 10:00 - Ana: Friday?\n02/09/2026, 10:01 - Dana: Friday <it> is.\n"


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    settings = Settings(
        data=tmp_path_factory.mktemp("members") / "data", port=0, origin="test.example", says_per_second_max=100_000
    )
    async with live_server(settings, ManualClock(NOW)) as running:
        yield running


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


@asynccontextmanager
async def browsing(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    signed = await accounts.sign_in(live.resources, actor.email, "correct horse", Client("127.0.0.1", "test"))
    cookies = {SESSION_COOKIE: signed.token}
    async with httpx.AsyncClient(base_url=live.url, cookies=cookies, headers={"accept": "text/html"}) as client:
        yield client


@asynccontextmanager
async def program(live: Live, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    token = await accounts.new_token(live.resources, actor, "api", "test")
    async with httpx.AsyncClient(base_url=live.url, headers={"authorization": f"Bearer {token}"}) as client:
        yield client


def fields_of(html: str) -> dict[str, list[str]]:
    """Return what the last form of a page would send."""
    form = html[html.rindex('<form class="form"') :]
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input\b[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or " checked" in tag):
            found.setdefault(name[1], []).append(unescape(value[1] if value else ""))
    for name, value in re.findall(r'<textarea[^>]*name="(\w+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        found.setdefault(name, []).append(unescape(value))
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found.setdefault(name, []).append(chosen[1] if chosen else "")
    return found


# Transcripts


async def test_a_chat_is_pasted_looked_over_changed_and_appended(live: Live, pair: Pair) -> None:
    base = f"/rooms/{pair.room}/transcripts"
    async with browsing(live, pair.client) as browser:
        assert "Look it over" in (await browser.get(f"{base}/new")).text
        preview = await browser.post(f"{base}/parse", data={"pasted": CHAT})
        assert preview.status_code == 200 and "can be read in two ways" in preview.text
        turned = await browser.post(f"{base}/parse", data={"pasted": CHAT, "order": "month"})
        fields = fields_of(turned.text)
        assert fields["at"] == ["2026-01-09 10:00", "2026-02-09 10:01"]
        assert fields["text"] == ["Friday?", "Friday <it> is."]
        fields |= {"title": ["About Friday"], "drop": ["0"], "who": ["Ana", "Dana Keller"]}
        done = await browser.post(base, data=fields)
        assert done.status_code == 303
        again = await browser.post(base, data=fields)
        assert again.headers["location"] == done.headers["location"], "sent twice, it is one entry"
    entry = await record.entry(live.resources, pair.client, pair.room, int(done.headers["location"].rsplit("-", 1)[1]))
    assert entry.body == {
        "medium": "chat",
        "title": "About Friday",
        "lines": [{"who": "Dana Keller", "text": "Friday <it> is.", "at": "2026-02-09 10:01"}],
    }


async def test_dates_are_exchanged_after_lines_were_changed_and_what_was_typed_stays(live: Live, pair: Pair) -> None:
    base = f"/rooms/{pair.room}/transcripts"
    async with browsing(live, pair.client) as browser:
        fields = fields_of((await browser.post(f"{base}/parse", data={"pasted": CHAT})).text)
        assert fields["at"] == ["2026-09-01 10:00", "2026-09-02 10:01"]
        fields |= {"title": ["About Friday"], "text": ["Friday, then?", "It is."], "at": [fields["at"][0], "noon"]}
        fields |= {"drop": ["1"], "restricted": ["1"]}
        turned = await browser.post(base, data=fields | {"turn": ["month"]})
        assert turned.status_code == 200
        again = fields_of(turned.text)
        assert again["at"] == ["2026-01-09 10:00", "noon"]
        assert {name: again[name] for name in fields if name != "at"} == {n: v for n, v in fields.items() if n != "at"}
        back = fields_of((await browser.post(base, data=again | {"turn": ["day"], "title": [""]})).text)
        assert (back["at"], back["title"]) == (fields["at"], [""])


async def test_an_eml_is_chosen_and_the_original_goes_with_it(live: Live, pair: Pair) -> None:
    mail = (
        b"From: Ana <ana@example.org>\r\nSubject: The map\r\nDate: Mon, 21 Sep 2026 14:13:20 +0200\r\n\r\n"
        + b"Friday.\r\n" * 10
    )
    base = f"/rooms/{pair.room}/transcripts"
    async with browsing(live, pair.client) as browser:
        preview = await browser.post(f"{base}/parse", files={"file": ("map.eml", mail)}, data={"medium": ""})
        assert preview.status_code == 200 and "map.eml" in preview.text
        done = await browser.post(base, data=fields_of(preview.text))
        assert done.status_code == 303, done.text
        seq = int(done.headers["location"].rsplit("-", 1)[1])
        original = await browser.get(f"/rooms/{pair.room}/files/{seq}/0")
    assert original.content == mail
    body = (await record.entry(live.resources, pair.client, pair.room, seq)).body
    assert body is not None and body["lines"][0]["at"] == "2026-09-21T14:13:20+02:00"


async def test_nothing_typed_is_lost_by_a_refusal(live: Live, pair: Pair) -> None:
    base = f"/rooms/{pair.room}/transcripts"
    async with browsing(live, pair.client) as browser:
        long = "\n".join(f"[12:{n % 60:02}] Ana: line {n}" for n in range(620))
        refused = await browser.post(f"{base}/parse", data={"pasted": long, "title": "T"})
        assert refused.status_code == 413 and "take lines 1 to 500 now" in refused.text
        assert "line 619" in refused.text and 'value="500"' in refused.text
        part = await browser.post(f"{base}/parse", data={"pasted": long, "first": "501", "last": "620"})
        fields = fields_of(part.text)
        assert part.status_code == 200 and len(fields["text"]) == 120
        fields |= {"who": ["Ana"] * 3 + [""] + ["Ana"] * 116, "title": ["Kept <title>"], "drop": ["1"]}
        refused = await browser.post(base, data=fields)
        kept = fields_of(refused.text)
        assert refused.status_code == 422 and "Say who said it" in refused.text
        assert (kept["title"], kept["drop"], kept["text"], kept["cid"]) == (
            ["Kept <title>"], ["1"], fields["text"], fields["cid"],
        )  # fmt: skip
        empty = await browser.post(f"{base}/parse", data={"pasted": " "})
        assert empty.status_code == 422 and "Paste what was said" in empty.text


async def test_a_file_that_cannot_be_read_stays_and_another_may_take_its_place(live: Live, pair: Pair) -> None:
    base = f"/rooms/{pair.room}/transcripts"
    async with browsing(live, pair.client) as browser:
        refused = await browser.post(f"{base}/parse", files={"file": ("x.zip", b"PK\x03\x04 rest")})
        assert refused.status_code == 422 and "archive" in refused.text and "x.zip" in refused.text
        upload = re.search(r'name="upload" value="(\w+)"', refused.text)
        assert upload is not None
        better = await browser.post(
            f"{base}/parse", data={"upload": upload[1]}, files={"file": ("c.txt", CHAT.encode())}
        )
        assert better.status_code == 200 and "c.txt" in better.text


async def test_the_question_stands_above_the_composer_until_it_is_answered(live: Live, pair: Pair) -> None:
    room = f"/rooms/{pair.room}"
    async with browsing(live, pair.client) as browser:
        saved = await browser.post(f"{room}/elsewhere", data={"channels": ["email", "phone"]})
        assert saved.status_code == 303
        assert "Was anything agreed" not in (await browser.get(room)).text
        clock = live.resources.clock
        assert isinstance(clock, ManualClock)
        clock.now += 7 * DAY_MS
        assert "Was anything agreed by e-mail or phone this week?" in (await browser.get(room)).text
        assert (await browser.post(f"{room}/elsewhere/answer", data={"answer": "perhaps"})).status_code == 422
        await browser.post(f"{room}/elsewhere/answer", data={"answer": "not_this_week"})
        assert "Was anything agreed" not in (await browser.get(room)).text
        await browser.post(f"{room}/elsewhere/answer", data={"answer": "never"})
        assert await transcripts.elsewhere(live.resources, pair.client, pair.room) == ()


# Handovers


async def test_only_a_post_of_the_receiver_shows_a_secret_and_only_once(live: Live, pair: Pair) -> None:
    body = {"to": "p2", "label": "Host", "secret": SECRET}
    seq = (await record.append(live.resources, pair.client, pair.room, "handover", body)).seq
    path = f"/rooms/{pair.room}/handovers/{seq}"
    async with browsing(live, pair.client) as sender, browsing(live, pair.freelancer) as receiver:
        assert "Sealed until Ana Novak looks" in (await sender.get(path)).text
        refused = await sender.post(path)
        assert refused.status_code == 403 and SECRET not in unescape(refused.text)
        for _ in range(2):  # a look ahead spends nothing
            shown = await receiver.get(path)
            assert "Show it now, once" in shown.text and SECRET not in unescape(shown.text)
        secret = await receiver.post(path)
        assert secret.status_code == 200 and secret.headers["cache-control"] == "no-store"
        assert SECRET in unescape(secret.text) and SECRET not in secret.text, "shown as text, never as markup"
        again = await receiver.post(path)
        assert again.status_code == 409 and "It was shown to you" in again.text
        assert "ask Dana Keller to hand it over again" in again.text
        assert SECRET not in unescape(again.text + (await receiver.get(path)).text)


async def test_a_refused_handover_never_gives_the_secret_back(live: Live, pair: Pair) -> None:
    form = {"kind": "handover", "text": "x", "to": "p9", "label": "Host", "secret": SECRET}
    async with browsing(live, pair.client) as browser, program(live, pair.client) as script:
        answer = await browser.post(f"/rooms/{pair.room}/compose/handover", data=form)
        assert answer.status_code >= 400 and SECRET not in unescape(answer.text)
        body = {"to": "p9", "label": "Host", "secret": SECRET}
        told = await script.post(f"/api/rooms/{pair.room}/entries", json={"kind": "handover", "body": body})
        assert told.status_code == 422 and told.json()["error"]["field"] == "body.to" and SECRET not in told.text


async def test_a_program_receives_a_secret_and_sees_nothing_of_what_is_sealed(live: Live, pair: Pair) -> None:
    base = f"/api/rooms/{pair.room}"
    body = {"to": "p2", "label": "Host", "secret": SECRET}
    async with program(live, pair.client) as sender, program(live, pair.freelancer) as receiver:
        seq = (await sender.post(f"{base}/entries", json={"kind": "handover", "body": body})).json()["seq"]
        listed = (await receiver.get(f"{base}/entries")).json()["entries"][-1]
        assert listed["body"] == {"to": "p2", "label": "Host"}
        assert (await receiver.get(f"{base}/entries/{seq}/disclosure")).status_code == 403
        assert (await receiver.get(f"{base}/handovers/{seq}")).status_code == 405
        assert (await receiver.post(f"{base}/handovers/{seq}")).json() == {"secret": SECRET}
        again = await receiver.post(f"{base}/handovers/{seq}")
        assert again.json()["error"]["code"] == "already_answered"


# Members, and closing


async def test_members_are_proposed_invited_and_join_by_the_pages(live: Live, pair: Pair) -> None:
    proposal = {"name": "Ben <Ode>", "side": "freelancer"}
    seq = (await record.append(live.resources, pair.client, pair.room, "member.proposed", proposal)).seq
    page = f"/rooms/{pair.room}/members"
    ben = await build_account(live.resources, f"Ben {pair.room[:6]}")
    async with browsing(live, pair.client) as browser, browsing(live, ben) as newcomer:
        assert (await browser.post(f"{page}/{seq}/invitation")).status_code == 403
        await record.append(live.resources, pair.freelancer, pair.room, "member.approved", {}, seq)
        assert "Make the invitation" in (await browser.get(page)).text
        made = await browser.post(f"{page}/{seq}/invitation")
        link = re.search(r"/invitation/([\w-]+)<", made.text)
        assert made.headers["cache-control"] == "no-store" and link is not None
        assert "as the <b>freelancer</b>" in (await newcomer.get(f"/invitation/{link[1]}")).text
        joined = await newcomer.post(f"/invitation/{link[1]}")
        assert joined.headers["location"] == f"/rooms/{pair.room}"
        shown = (await browser.get(page)).text
        assert f"Joined as {ben.name}" in shown and "Ben &lt;Ode&gt;" in shown
        assert (await newcomer.get(f"/rooms/{pair.room}")).status_code == 200


async def test_a_mediator_is_told_when_the_workroom_opens_to_them(live: Live, pair: Pair) -> None:
    proposal = {"name": "Mara", "side": "mediator"}
    seq = (await record.append(live.resources, pair.client, pair.room, "member.proposed", proposal)).seq
    await record.append(live.resources, pair.freelancer, pair.room, "member.approved", {}, seq)
    link = await members.invite_approved(live.resources, pair.client, pair.room, seq)
    mara = await build_account(live.resources, f"Mara {pair.room[:6]}")
    async with browsing(live, mara) as browser, program(live, mara) as script:
        joined = await browser.post("/invitation/" + link.rsplit("/", 1)[1])
        landed = await browser.get(joined.headers["location"])
        assert landed.status_code == 200 and "You are named as mediator of" in landed.text
        refused = await browser.get(f"/rooms/{pair.room}")
        assert refused.status_code == 403 and "while a dispute is open" in refused.text
        home = (await browser.get("/")).text
        assert "Named as mediator" in home and f'href="/rooms/{pair.room}"' not in home
        assert (await script.get("/api/rooms")).json() == {"rooms": []}
        told = (await script.get(f"/api/rooms/{pair.room}/entries")).json()
        assert told["error"]["code"] == "forbidden"


async def test_closing_asks_once_more_and_says_what_it_means(live: Live, pair: Pair) -> None:
    body = {"to": "p2", "label": "Host", "secret": SECRET}
    await record.append(live.resources, pair.client, pair.room, "handover", body)
    path = f"/rooms/{pair.room}/close"
    async with browsing(live, pair.client) as browser:
        shown = (await browser.get(path)).text
        assert "nobody can open it again" in shown and "a secret that nobody looked at is erased" in shown
        refused = await browser.post(path, data={"reason": "The work <is> done"})
        assert refused.status_code == 422 and "The work &lt;is&gt; done" in refused.text
        closed = await browser.post(path, data={"reason": "The work is done", "sure": "1"})
        assert closed.status_code == 303
        assert "closed already" in (await browser.get(path)).text
        again = await browser.post(path, data={"sure": "1"})
        assert again.status_code == 409
        refused = await browser.post(
            f"/rooms/{pair.room}/transcripts", data={"title": "x", "who": "a", "at": "", "text": "b"}
        )
        assert refused.status_code == 409 and "closed" in refused.text


async def test_a_program_closes_a_workroom(live: Live, pair: Pair) -> None:
    async with program(live, pair.client) as script:
        wrong = await script.post(f"/api/rooms/{pair.room}/close", json={"why": "x"})
        assert wrong.status_code == 422
        closed = await script.post(f"/api/rooms/{pair.room}/close", json={"reason": "Done"})
        assert closed.status_code == 201
        entry = await record.entry(live.resources, pair.client, pair.room, closed.json()["seq"])
        assert entry.kind == "room.closed" and (entry.body or {})["reason"] == "Done"
        assert (await script.post(f"/api/rooms/{pair.room}/close")).json()["error"]["code"] == "room_closed"


# Confidentiality


async def test_the_page_tells_requests_answers_and_downloads(live: Live, pair: Pair) -> None:
    restricted = {"text": "The depths", "restricted": True}
    seq = (await record.append(live.resources, pair.freelancer, pair.room, "message", restricted)).seq
    asked = {"to": "The <office>", "text": "May I show it?"}
    request = (await record.append(live.resources, pair.freelancer, pair.room, "disclosure.requested", asked)).seq
    await record.append(live.resources, pair.client, pair.room, "disclosure.approved", {}, request)
    async with browsing(live, pair.client) as browser:
        await browser.get(f"/rooms/{pair.room}/entries/{seq}/disclosure")
        shown = (await browser.get(f"/rooms/{pair.room}/confidentiality")).text
    assert "The &lt;office&gt;" in shown and "approved" in shown
    assert f"entry {seq}</a></td>" in shown and shown.count("accepted version 1") == 2
    assert "The depths" not in shown


async def test_a_stranger_finds_none_of_these_pages(live: Live, pair: Pair) -> None:
    stranger = await build_account(live.resources, f"Eve {pair.room[:6]}")
    async with browsing(live, stranger) as browser:
        for path in ("transcripts/new", "members", "confidentiality", "close", "handovers/1"):
            assert (await browser.get(f"/rooms/{pair.room}/{path}")).status_code == 404
        for path in ("transcripts/parse", "transcripts", "elsewhere", "members/1/invitation", "close", "handovers/1"):
            assert (await browser.post(f"/rooms/{pair.room}/{path}", data={"x": "y"})).status_code == 404


async def test_a_transcript_that_was_looked_over_survives_the_end_of_the_session(live: Live, pair: Pair) -> None:
    fields = {
        "title": "Kept",
        "who": ["Ana"] * 500,
        "at": [""] * 500,
        "text": [f"passage {n}" for n in range(500)],
    }
    async with httpx.AsyncClient(base_url=live.url, headers={"accept": "text/html"}) as nobody:
        answer = await nobody.post(f"/rooms/{pair.room}/transcripts", data=fields)
    assert answer.status_code == 401
    assert "passage 0" in unescape(answer.text) and "passage 499" in unescape(answer.text)


async def test_a_secret_does_not_survive_the_end_of_the_session(live: Live, pair: Pair) -> None:
    form = {"to": "p2", "label": "Host", "secret": SECRET}
    async with httpx.AsyncClient(base_url=live.url, headers={"accept": "text/html"}) as nobody:
        answer = await nobody.post(f"/rooms/{pair.room}/compose/handover", data=form)
    assert "Host" in answer.text and SECRET not in unescape(answer.text)
