"""Mails of what was not read: when they go out, to whom, and what they say; on both databases."""

from __future__ import annotations

import asyncio
from datetime import datetime

from app.config import Settings
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS, instant_of
from app.services import checkpoints, digests, mail, notices, record
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage.accounts import update_account
from app.storage.mail import MailRow, select_mails_to
from app.storage.writer import Tx
from app.views.digests import digest_writer
from tests.builders import Pair, build_pair

SECRET = "the password of the harbour"


async def verified(resources: Resources, pair: Pair, at: int | None = 1) -> Pair:
    """Let the addresses of both be verified, or with None not."""

    async def work(tx: Tx) -> None:
        for actor in (pair.client, pair.freelancer):
            await update_account(tx.conn, actor.account, verified_at=at)

    await resources.database.writer.run(work)
    return pair


async def send(resources: Resources) -> int:
    return await digests.send_due(resources, digest_writer(resources.settings))


async def mails_to(resources: Resources, actor: Actor) -> list[MailRow]:
    async with resources.database.read() as connection:
        return await select_mails_to(connection, actor.email, 50)


async def say(resources: Resources, pair: Pair, text: str, **more: object) -> None:
    await record.append(resources, pair.client, pair.room, "message", {"text": text, **more})


async def test_a_mention_is_mailed_once_after_ten_minutes_unread(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources))
    await say(resources, pair, "@ana could you look?")
    clock.now += 10 * MINUTE_MS - 1
    assert await send(resources) == 0
    clock.now += 1
    assert await send(resources) == 1
    assert await send(resources) == 0
    [sent] = await mails_to(resources, pair.freelancer)
    assert sent.subject == "You were mentioned in Harbour booking site"
    assert "@ana could you look?" in sent.text and sent.html is not None and "@ana could you look?" in sent.html
    assert await mails_to(resources, pair.client) == []


async def test_who_has_read_it_or_wants_no_mail_gets_none(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources))
    await say(resources, pair, "@ana one")
    await record.mark_seen(resources, pair.freelancer, pair.room, 50)
    clock.now += 11 * MINUTE_MS
    assert await send(resources) == 0
    await notices.choose(resources, pair.freelancer, at_once=False, digest="never", hour="8", zone="UTC")
    await say(resources, pair, "@ana two")
    clock.now += 9 * DAY_MS
    assert await send(resources) == 0


async def test_an_address_that_was_never_verified_gets_no_mail(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources), None)
    await say(resources, pair, "@ana one")
    clock.now += 3 * DAY_MS
    assert await send(resources) == 0


async def test_the_daily_digest_comes_at_the_chosen_local_hour_and_tells_nothing_twice(
    resources: Resources, clock: ManualClock
) -> None:
    pair = await verified(resources, await build_pair(resources))
    await notices.choose(resources, pair.freelancer, at_once=True, digest="daily", hour="18", zone="Europe/Lisbon")
    await say(resources, pair, "The office opens at 9.")
    await say(resources, pair, "@ana could you look?")
    clock.now += 11 * MINUTE_MS
    assert await send(resources) == 1  # what is urgent
    await say(resources, pair, "And a third thing.")
    clock.now = instant_of(datetime.fromisoformat("2026-09-21T17:59:59+01:00"))
    assert await send(resources) == 0
    clock.now += 1000
    assert await send(resources) == 1
    newest = (await mails_to(resources, pair.freelancer))[0]
    assert newest.subject == "2 new in Harbour booking site"
    assert "opens at 9" in newest.text and "third thing" in newest.text and "could you look" not in newest.text
    clock.now += DAY_MS
    assert await send(resources) == 0
    await say(resources, pair, "A fourth.")
    clock.now += DAY_MS
    assert await send(resources) == 1
    newest = (await mails_to(resources, pair.freelancer))[0]
    assert "fourth" in newest.text and "third thing" not in newest.text


async def test_a_weekly_digest_comes_on_monday(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources))
    await notices.choose(resources, pair.freelancer, at_once=False, digest="weekly", hour="8", zone="UTC")
    await say(resources, pair, "@ana could you look?")
    clock.now = instant_of(datetime.fromisoformat("2026-09-28T07:59:00+00:00"))
    assert await send(resources) == 0
    clock.now += MINUTE_MS
    assert await send(resources) == 1


async def test_a_mail_tells_nothing_that_is_restricted(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources))
    await say(resources, pair, f"@ana {SECRET}", restricted=True)
    await say(resources, pair, f"{SECRET}, again", restricted=True)
    clock.now += 11 * MINUTE_MS
    await send(resources)
    clock.now += DAY_MS
    await send(resources)
    sent = await mails_to(resources, pair.freelancer)
    assert len(sent) == 2
    for row in sent:
        assert SECRET not in row.subject + row.text + (row.html or "")
        assert "a restricted entry" in row.text


async def test_a_long_absence_is_fifty_sentences_and_a_number(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources))
    for n in range(62):
        await say(resources, pair, f"@ana number {n}.")
    clock.now += 2 * DAY_MS
    assert await send(resources) == 1
    [sent] = await mails_to(resources, pair.freelancer)
    assert sent.text.count("\n* ") == 50
    assert "and 12 more" in sent.text
    clock.now += 2 * DAY_MS
    assert await send(resources) == 0


async def test_a_mail_carries_the_newest_checkpoint_and_one_click_ends_them(
    resources: Resources, settings: Settings, clock: ManualClock
) -> None:
    pair = await verified(resources, await build_pair(resources))
    await say(resources, pair, "@ana could you look?")
    signed = await checkpoints.sign_checkpoints(resources, [pair.room])
    clock.now += HOUR_MS
    assert await send(resources) == 1
    [sent] = await mails_to(resources, pair.freelancer)
    assert signed[pair.room][1].decode().strip() in sent.text
    message = mail.composed(resources, sent, lambda row: (row.text, row.html or ""))
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = str(message["List-Unsubscribe"]).strip("<>").rsplit("/", 1)[1]
    await notices.unsubscribe(resources, token)
    await say(resources, pair, "@ana once more")
    clock.now += 9 * DAY_MS
    assert await send(resources) == 0


async def test_two_workers_at_once_send_a_mail_once(resources: Resources, clock: ManualClock) -> None:
    pair = await verified(resources, await build_pair(resources))
    await say(resources, pair, "@ana could you look?")
    clock.now += HOUR_MS
    assert sum(await asyncio.gather(send(resources), send(resources), send(resources))) == 1
    assert len(await mails_to(resources, pair.freelancer)) == 1
