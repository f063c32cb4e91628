"""What reaches a person’s pages, whatever they look at: notices, trackers of other rooms, marks of who joined."""

from __future__ import annotations

import uuid

from app.domain.workrooms import Side
from app.services import record, tracking, workrooms
from tests.agreements import build_working
from tests.builders import build_account, build_pair
from tests.live import Live


async def test_a_mention_is_counted_on_every_page_of_who_is_named(live: Live) -> None:
    pair = await build_pair(live.resources, "Mentions live")
    other = await build_pair(live.resources, "Elsewhere")
    async with (
        live.viewer(pair.freelancer, rooms={other.room: 99}) as program,
        live.viewer(pair.freelancer, "timeline", rooms={other.room: 99}) as page,
    ):
        said = await record.append(live.resources, pair.client, pair.room, "message", {"text": "@ana?"})
        told = await program.until("me", event="notices")
        while '#bell"' not in (shown := await page.next()).get("content", ""):
            pass
        assert f">{told['unread']}<" in shown["content"]
        await record.mark_seen(live.resources, pair.freelancer, pair.room, said.seq)
        assert (await program.until("me", event="notices"))["unread"] == told["unread"] - 1


async def test_a_tracker_shows_in_the_list_of_rooms_of_who_looks_elsewhere(live: Live) -> None:
    pair = await build_pair(live.resources, "Tracked elsewhere")
    other = await build_pair(live.resources, "Looked at")
    session = str(uuid.uuid4())
    async with (
        live.viewer(pair.client, rooms={other.room: 99}) as elsewhere,
        live.viewer(pair.client, "timeline", rooms={other.room: 99}) as page,
    ):
        at = live.resources.clock.record_now()
        await tracking.start(live.resources, pair.freelancer, pair.room, session, at, device="desk")
        assert (await elsewhere.until("me", event="tracking", room=pair.room))["tracking"] == "on"
        while f'#dot-{pair.room}"' not in (shown := await page.next()).get("content", ""):
            pass
        assert 'class="dot live"' in shown["content"]
        await tracking.stop(live.resources, pair.freelancer, session, at + 1)
        assert (await elsewhere.until("me", event="tracking", room=pair.room))["tracking"] == ""


async def test_who_joins_while_a_page_is_open_gets_a_mark_of_what_they_read(live: Live) -> None:
    pair = await build_pair(live.resources, "Joined later")
    mia = await build_account(live.resources, "Mia Berg")
    async with live.viewer(pair.client, "timeline", rooms={pair.room: 4}) as page:
        member = await workrooms.join(live.resources, mia.account, pair.room, Side.CLIENT)
        await record.mark_seen(live.resources, mia, pair.room, 5)
        mark = f'id="seen-{pair.room}-{member.by}"'
        while mark not in (shown := await page.next()).get("content", ""):
            pass
        assert f'hx-target="#seen-{pair.room}"' in shown["content"] and "Mia" in shown["content"]


async def test_home_notices_that_what_waits_for_whom_has_changed(live: Live) -> None:
    pair = await build_working(live.resources, "Waits live")
    head = (await record.page(live.resources, pair.client, pair.room, limit=1)).head
    async with live.viewer(pair.client, "home", rooms={pair.room: head}) as page:
        body = {"text": "The tiles came late.", "until_on": "2030-12-01"}
        asked = await record.append(live.resources, pair.freelancer, pair.room, "delay", body)
        for seq in (asked.seq, asked.seq + 1):
            while f"{pair.room}:{seq}" not in (await page.next()).get("content", ""):
                pass
            if seq == asked.seq:
                await record.append(live.resources, pair.client, pair.room, "delay.accepted", {}, ref=asked.seq)
