"""The worker's sweeps for notices and reports, as the server runs them: asked for by name, done once."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default

from sqlalchemy import update

from app.domain.timerange import DAY_MS
from app.services import record
from app.storage.accounts import update_account
from app.storage.tables import notices
from app.storage.writer import Tx
from tests.agreements import build_working
from tests.live import DEADLINE_SECONDS, Live


async def test_a_mention_that_nobody_read_becomes_a_mail_in_the_folder(live: Live) -> None:
    resources = live.resources
    pair = await build_working(resources, "Mailed")
    await record.append(resources, pair.client, pair.room, "message", {"text": "@ana could you look?"})

    async def make_old(tx: Tx) -> None:
        await update_account(tx.conn, pair.freelancer.account, verified_at=1)
        changed = update(notices).where(notices.c.account == pair.freelancer.account)
        await tx.conn.execute(changed.values(created_at=resources.clock.real_now() - DAY_MS))

    await resources.database.writer.run(make_old)
    await resources.enqueue("send_digests", "")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (found := list((resources.settings.data / "mail").glob("*.eml"))):
            await asyncio.sleep(0.05)
    [sent] = [message_from_bytes(path.read_bytes(), policy=default) for path in found]
    assert sent["To"] == pair.freelancer.email
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    bodies = [part.get_content() for part in sent.walk() if part.get_content_maintype() == "text"]
    assert len(bodies) == 2 and all("@ana could you look?" in body for body in bodies)
