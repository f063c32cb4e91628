"""The live path of viewers, against a live server: say, live, resume, refuse, close."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.config import Settings
from app.domain.record import Entry
from app.services import accounts, record
from app.views import live as views
from realtime.replay import GAP_ENTRIES_MAX_HTML, GAP_ENTRIES_MAX_JSON
from tests.builders import Pair, build_account, build_pair
from tests.live import Live, ViewerClient, live_server


@pytest.fixture
async def pair(live: Live) -> Pair:
    return await build_pair(live.resources)


async def _say_many(live: Live, pair: Pair, count: int) -> None:
    await asyncio.gather(
        *(
            record.append(live.resources, pair.client, pair.room, "message", {"text": f"message {n}"})
            for n in range(count)
        )
    )


async def test_what_one_says_the_other_sees_and_the_sender_is_answered(live: Live, pair: Pair) -> None:
    async with (
        live.viewer(pair.client, rooms={pair.room: 4}) as dana,
        live.viewer(pair.freelancer, rooms={pair.room: 4}) as ana,
    ):
        await dana.say(pair.room, "Good morning", "cid-00000001")
        ok = await dana.until("ok")
        assert (ok["room"], ok["cid"], ok["seq"]) == (pair.room, "cid-00000001", 5)
        entry = (await ana.until("entry"))["entry"]
        assert (entry["seq"], entry["by"], entry["kind"], entry["body"]) == (
            5,
            "p1",
            "message",
            {"text": "Good morning"},
        )
        assert entry["cid"] == "cid-00000001"


async def test_the_same_cid_again_is_answered_again_and_written_once(live: Live, pair: Pair) -> None:
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        for _ in range(2):
            await dana.say(pair.room, "Once", "cid-00000001")
            assert (await dana.until("ok"))["seq"] == 5
        await dana.say(pair.room, "Other", "cid-00000001")
        assert (await dana.until("error"))["code"] == "conflict"
        await dana.say(pair.room, "Next", "cid-00000002")
        assert (await dana.until("ok"))["seq"] == 6


async def test_what_one_connection_says_stands_in_the_order_in_which_it_was_said(live: Live, pair: Pair) -> None:
    texts = ["First", "@Ana Novak, look", "Third", "@ana again", "Fifth", "Sixth"]
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        for number, text in enumerate(texts):
            await dana.say(pair.room, text, f"cid-0000000{number}")
        await dana.entries_up_to(pair.room, 4 + len(texts))
        assert [entry["body"]["text"] for entry in dana.entries(pair.room)] == texts


@pytest.mark.parametrize("away", [0, 1, 80, 250])
async def test_who_was_away_gets_every_entry_once_in_order(live: Live, pair: Pair, away: int) -> None:
    async with live.viewer(pair.client, rooms={pair.room: 4}) as stays:
        async with live.viewer(pair.freelancer, rooms={pair.room: 4}) as ana:
            await stays.say(pair.room, "before", "cid-00000001")
            await ana.entries_up_to(pair.room, 5)
        await _say_many(live, pair, away)
        saying = asyncio.create_task(_say_many(live, pair, 40))  # while it comes back
        async with live.viewer(pair.freelancer, rooms={pair.room: 5}) as back:
            await saying
            seqs = await back.entries_up_to(pair.room, 5 + away + 40)
        assert seqs == list(range(6, 5 + away + 41))


async def test_a_joiner_of_a_cold_room_reads_the_database(sqlite_settings: Settings) -> None:
    async with live_server(sqlite_settings) as first:
        pair = await build_pair(first.resources)
        await _say_many(first, pair, 150)
    async with live_server(sqlite_settings) as second, second.viewer(pair.client, rooms={pair.room: 9}) as dana:
        assert await dana.entries_up_to(pair.room, 154) == list(range(10, 155))


@pytest.mark.parametrize(("view", "limit"), [("json", GAP_ENTRIES_MAX_JSON), ("timeline", GAP_ENTRIES_MAX_HTML)])
async def test_a_long_gap_or_an_impossible_place_is_a_reset(live: Live, pair: Pair, view: str, limit: int) -> None:
    await _say_many(live, pair, limit + 1)
    head = limit + 5
    for after, mode in ((head - limit - 1, "reset"), (head + 1, "reset"), (head - limit, "replay"), (head, "live")):
        async with live.viewer(pair.client, view=view, rooms={pair.room: after}) as dana:
            assert (dana.received[-1]["head"], dana.received[-1]["mode"]) == (head, mode)


async def test_html_views_get_numbered_fragments(live: Live, pair: Pair) -> None:
    async with live.viewer(pair.freelancer, view="timeline", rooms={pair.room: 4}) as ana:
        await record.append(live.resources, pair.client, pair.room, "message", {"text": "<b>bold</b> & more"})
        while "seq" not in (message := await ana.next()):
            pass
        assert message["seq"] == 5
        assert f'hx-target="#log-{pair.room}"' in message["content"]
        assert "&lt;b&gt;bold" in message["content"]


async def test_typing_presence_and_seen_are_live_only(live: Live, pair: Pair) -> None:
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        async with live.viewer(pair.freelancer, rooms={pair.room: 4}) as ana:
            presence = await dana.until("live", event="presence")
            while presence["here"] != ["p1", "p2"]:
                presence = await dana.until("live", event="presence")
            await ana.send({"t": "typing", "room": pair.room})
            assert (await dana.until("live", event="typing"))["by"] == "p2"
            await ana.send({"t": "seen", "room": pair.room, "seq": 4})
            assert (await dana.until("live", event="seen"))["upto"] == 4
        assert (await dana.until("live", event="presence"))["here"] == ["p1"]
    assert (await record.page(live.resources, pair.client, pair.room)).head == 4


async def test_who_looks_elsewhere_hears_of_what_is_unread(live: Live, pair: Pair) -> None:
    other = await build_pair(live.resources, "Annual report")
    async with live.viewer(pair.freelancer, rooms={other.room: 4}) as ana:
        await record.append(live.resources, pair.client, pair.room, "message", {"text": "psst"})
        notice = await ana.until("me", event="unread")
        assert (notice["room"], notice["unread"]) == (pair.room, 1)


WRONG: list[tuple[str, str, str | None]] = [
    ("no json", "malformed", None),
    ("[]", "malformed", None),
    ('{"t":"dance"}', "malformed", None),
    ('{"t":"join","room":7}', "malformed", "room"),
    ('{"t":"join","room":"ROOM"}', "malformed", "room"),
    ('{"t":"say","cid":"cid-00000001"}', "malformed", "room"),
    ('{"t":"say","room":"%s","cid":"cid-00000001","kind":"nonsense","body":{"text":"x"}}', "unknown_kind", "kind"),
    ('{"t":"say","room":"%s","cid":"cid-00000001","kind":"message","body":{"text":5}}', "invalid_body", "body.text"),
    ('{"t":"say","room":"%s","cid":"cid-00000001","kind":"hour.closed","body":{"text":"x"}}', "forbidden", "kind"),
    ('{"t":"say","room":"%s","cid":"cid-00000001","kind":"comment","body":'
     '{"text":"x","from_segment":1,"to_segment":1}}', "forbidden", "kind"),
    ('{"t":"say","room":"00000000000000000000000000","cid":"cid-00000001","kind":"message","body":{"text":"x"}}',
     "not_found", None),
    ('{"t":"hello","v":1,"view":"json","rooms":{}}', "malformed", "t"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "field"), WRONG)
async def test_wrong_input_gets_a_code_and_a_sentence_and_the_connection_goes_on(
    live: Live, pair: Pair, text: str, code: str, field: str | None
) -> None:
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        await dana.connection.send(text.replace("%s", pair.room))
        error = await dana.until("error")
        assert (error["code"], error["temporary"]) == (code, False)
        assert len(error["message"]) > 10
        if field is not None:
            assert error["field"] == field
        await dana.say(pair.room, "still here", "cid-00000009")
        assert (await dana.until("ok"))["seq"] == 5


async def test_64_kib_are_taken_and_one_byte_more_is_an_answer(live: Live, pair: Pair) -> None:
    def padded(size: int) -> str:
        head = f'{{"t":"say","room":"{pair.room}","cid":"cid-00000001","kind":"message","body":{{"text":"x"}}'
        return head + " " * (size - len(head) - 1) + "}"

    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        await dana.connection.send(padded(64 * 1024))
        assert (await dana.until("ok"))["seq"] == 5
        await dana.connection.send(padded(64 * 1024 + 1))
        assert (await dana.until("error"))["code"] == "too_large"
        await dana.say(pair.room, "x" * 32_769, "cid-00000002")
        assert (await dana.until("error"))["code"] == "invalid_body"


async def _close_code(client: ViewerClient) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await client.next()
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_broken_utf8_and_bytes_close_with_their_codes(live: Live, pair: Pair) -> None:
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        await dana.connection.send(b"\xff\xfe", text=True)
        assert await _close_code(dana) == 1007
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        await dana.connection.send(b"binary")
        assert await _close_code(dana) == 4400
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        await dana.connection.send("x" * (256 * 1024 + 1))
        assert await _close_code(dana) == 1009


async def test_who_is_not_signed_in_is_accepted_and_closed_with_4401(live: Live, pair: Pair) -> None:
    foreign: list[dict[str, Any]] = [{}, {"Authorization": "Bearer wr_api_nonsense"}]
    for headers in foreign:
        async with connect(live.ws_url, additional_headers=headers) as connection:
            assert await _close_code(ViewerClient(connection)) == 4401
    signed_in = await accounts.sign_in(
        live.resources, pair.client.email, "correct horse", accounts.Client("127.0.0.1", "test")
    )
    cookie = {"Cookie": f"{accounts.SESSION_COOKIE}={signed_in.token}"}
    async with connect(live.ws_url, additional_headers=cookie, origin="https://evil.example") as connection:  # type: ignore[arg-type]
        assert await _close_code(ViewerClient(connection)) == 4401
    async with connect(live.ws_url, additional_headers=cookie, origin=live.url) as connection:  # type: ignore[arg-type]
        client = ViewerClient(connection)
        await client.send({"t": "hello", "v": 1, "view": "json", "rooms": {pair.room: 4}})
        assert (await client.until("joined"))["mode"] == "live"
        await accounts.revoke_session(live.resources, pair.client, signed_in.credential.id)
        assert await _close_code(client) == 4401


async def test_a_stranger_joins_nothing(live: Live, pair: Pair) -> None:
    stranger = await build_account(live.resources, "Mallory Strange")
    async with live.viewer(stranger) as mallory:
        await mallory.send({"t": "join", "room": pair.room, "after": -1})
        assert (await mallory.until("error"))["code"] == "not_found"


async def test_leaving_ends_delivery_and_joining_again_resumes(live: Live, pair: Pair) -> None:
    async with live.viewer(pair.client, rooms={pair.room: 4}) as dana:
        await dana.send({"t": "leave", "room": pair.room})
        await dana.say(pair.room, "unheard", "cid-00000001")
        await dana.until("ok")
        await dana.send({"t": "join", "room": pair.room, "after": 4})
        assert await dana.entries_up_to(pair.room, 5) == [5]


async def test_too_many_connections_and_too_many_says_are_refused(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=0, connections_per_account_max=2, says_per_second_max=5)
    async with live_server(settings) as live:
        pair = await build_pair(live.resources)
        async with live.viewer(pair.client, rooms={pair.room: 4}) as one, live.viewer(pair.client):
            headers = {"Authorization": f"Bearer {await live.token(pair.client)}"}
            async with connect(live.ws_url, additional_headers=headers, max_queue=None) as third:
                assert await _close_code(ViewerClient(third)) == 4429
            for n in range(30):
                await one.say(pair.room, f"message {n}", f"cid-000000{n:02}")
            error = await one.until("error")
            assert (error["code"], error["temporary"]) == ("too_many", True)


async def test_stopping_the_server_closes_with_1012_and_loses_nothing(sqlite_settings: Settings) -> None:
    async with live_server(sqlite_settings) as live:
        pair = await build_pair(live.resources)
        headers = {"Authorization": f"Bearer {await live.token(pair.client)}"}
        connection = await connect(live.ws_url, additional_headers=headers)
        dana = ViewerClient(connection)
        await dana.send({"t": "hello", "v": 1, "view": "json", "rooms": {pair.room: 4}})
        await dana.until("joined")
        for n in range(50):
            await dana.say(pair.room, f"message {n}", f"cid-000000{n:02}")
        await dana.until("ok")
    assert await _close_code(dana) == 1012
    answered = [m["seq"] for m in dana.received if m.get("t") == "ok"]
    async with live_server(sqlite_settings) as again:
        page = await record.page(again.resources, pair.client, pair.room)
    assert max(answered) <= page.head
    assert [entry.seq for entry in page.entries] == list(range(page.head + 1))


async def test_an_entry_that_cannot_be_shown_keeps_nothing_from_its_viewers(
    live: Live, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = views.timeline_content

    def failing(entry: Entry, *arguments: Any) -> str:
        if entry.body == {"text": "poison"}:
            raise ZeroDivisionError
        return real(entry, *arguments)

    monkeypatch.setattr(views, "timeline_content", failing)
    async with live.viewer(pair.freelancer, view="timeline", rooms={pair.room: 4}) as ana:
        for text in ("poison", "and then"):
            await record.append(live.resources, pair.client, pair.room, "message", {"text": text})
        while not any(message.get("seq") == 6 for message in ana.received):
            await ana.next()
        assert {m["seq"]: m["content"] for m in ana.received if "seq" in m}[5] == ""
