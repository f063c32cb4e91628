"""Nothing blocks the event loop: a working server is watched while people chat, track, and look at pages.

The first round is not watched: it loads time zones, templates and static files, once in a server's life.
"""

from __future__ import annotations

import uuid

from blockbuster import blockbuster_ctx

from app.services import accounts, intake, record, tracking, workview
from app.services.ticks import TickReport
from tests.builders import Pair, build_pair
from tests.live import Live
from tests.work import header, picture


async def _one_round(live: Live, pair: Pair) -> None:
    resources = live.resources
    client = accounts.Client("127.0.0.1", "test")
    signed_in = await accounts.sign_in(resources, pair.client.email, "correct horse", client)
    session, at = str(uuid.uuid4()), resources.clock.record_now() - 1_000
    await tracking.start(resources, pair.freelancer, pair.room, session, at, device="desk", comment="", work_view=True)
    await tracking.ticks(resources, pair.freelancer, session, [TickReport(at, at + 1_000, True)])
    data = picture(at)
    await intake.take_frame(resources, pair.freelancer, header(session, at, data, at_stop=True), data)
    await tracking.stop(resources, pair.freelancer, session, at + 1_000)
    head = (await record.page(resources, pair.client, pair.room)).head
    async with live.viewer(pair.client, view="timeline", rooms={pair.room: head - 2}) as dana, live.http() as http:
        await dana.say(pair.room, "Good morning", f"cid-{head:08}")
        await dana.until("ok")
        await dana.send({"t": "seen", "room": pair.room, "seq": head})
        http.cookies.set(accounts.SESSION_COOKIE, signed_in.token)
        for path in ("/", f"/rooms/{pair.room}", f"/rooms/{pair.room}/work-view", "/static/app.css"):
            assert (await http.get(path)).status_code == 200, path
    await record.receipt(resources, pair.client, pair.room, head)
    await workview.close_due_hours(resources)


async def test_nothing_blocks_the_loop_of_a_working_server(live: Live) -> None:
    pair = await build_pair(live.resources)
    await _one_round(live, pair)
    with blockbuster_ctx(["app", "realtime", "workers"]):
        await _one_round(live, pair)
