"""Who is told of what, on both databases."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidBody
from app.domain.live import AccountEvent
from app.domain.notices import NOTICES_MAX, Digest, Reason
from app.domain.timerange import DAY_MS, HOUR_MS
from app.services import notices, record, room_closing
from app.services.access import Actor
from app.services.clock import ManualClock
from app.services.resources import Resources
from app.storage import notices as rows
from app.storage.writer import Tx
from tests.agreements import build_working
from tests.builders import build_pair
from tests.published import Published


async def told(resources: Resources, actor: Actor) -> list[tuple[str, int, bool]]:
    """Return reason, seq and whether it is read of an actor's notices, the newest first."""
    listed = await notices.my_notices(resources, actor)
    return [(n.row.reason.value, n.row.seq, n.row.read_at is not None) for n in listed]


async def test_who_is_named_or_replied_to_is_told_once_and_nobody_of_their_own_words(resources: Resources) -> None:
    pair = await build_pair(resources)
    said = await record.append(resources, pair.client, pair.room, "message", {"text": "Morning, all."})
    named = await record.append(resources, pair.client, pair.room, "message", {"text": "@ana novak, and @dana?"})
    both = await record.append(
        resources, pair.freelancer, pair.room, "message", {"text": "Yes @Dana"}, ref=named.seq, cid="c1"
    )
    await record.append(resources, pair.freelancer, pair.room, "message", {"text": "Yes @Dana"}, named.seq, "c1")
    reply = await record.append(resources, pair.freelancer, pair.room, "message", {"text": "Morning."}, ref=said.seq)
    assert await told(resources, pair.freelancer) == [("mention", named.seq, False)]
    assert sorted(await told(resources, pair.client)) == [("mention", both.seq, False), ("reply", reply.seq, False)]


async def test_a_refused_entry_tells_nobody(resources: Resources) -> None:
    pair = await build_pair(resources)
    with pytest.raises(InvalidBody):
        await record.append(resources, pair.client, pair.room, "message", {"text": "@ana"}, ref=999)
    assert await told(resources, pair.freelancer) == []


async def test_what_is_asked_is_told_to_who_must_answer_until_it_is_answered(
    resources: Resources, published: Published
) -> None:
    pair = await build_working(resources)
    published.events.clear()
    asked = await record.append(
        resources, pair.freelancer, pair.room, "delay", {"text": "The tiles came late.", "until_on": "2026-12-01"}
    )
    assert ("waiting", asked.seq, False) in await told(resources, pair.client)
    events = [e for e in published.of(AccountEvent) if e.event == "notices" and e.account == pair.client.account]
    assert events[-1].data["unread"] == await notices.unread(resources, pair.client.account)
    answered = await record.append(resources, pair.client, pair.room, "delay.accepted", {}, ref=asked.seq)
    assert ("waiting", asked.seq, True) in await told(resources, pair.client)
    assert ("answered", answered.seq, False) in await told(resources, pair.freelancer)


async def test_an_entry_that_was_seen_needs_no_notice(resources: Resources, published: Published) -> None:
    pair = await build_pair(resources)
    named = await record.append(resources, pair.client, pair.room, "message", {"text": "@ana"})
    assert await notices.unread(resources, pair.freelancer.account) == 1
    await record.mark_seen(resources, pair.freelancer, pair.room, named.seq)
    assert await notices.unread(resources, pair.freelancer.account) == 0
    assert published.of(AccountEvent)[-1].data == {"unread": 0}


async def test_notices_are_marked_read_one_by_one_and_all_at_once_by_their_owner_alone(resources: Resources) -> None:
    pair = await build_pair(resources)
    for n in range(3):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"@ana {n}"})
    first = (await notices.my_notices(resources, pair.freelancer))[0]
    await notices.mark_read(resources, pair.client, first.row.id)
    assert await notices.unread(resources, pair.freelancer.account) == 3
    await notices.mark_read(resources, pair.freelancer, first.row.id)
    assert await notices.unread(resources, pair.freelancer.account) == 2
    await notices.mark_read(resources, pair.freelancer)
    assert await notices.unread(resources, pair.freelancer.account) == 0


async def test_a_day_before_silence_answers_who_must_act_is_told_once(resources: Resources, clock: ManualClock) -> None:
    pair = await build_working(resources)
    asked = await record.append(
        resources, pair.freelancer, pair.room, "delay", {"text": "The tiles came late.", "until_on": "2026-12-01"}
    )
    clock.now += 4 * DAY_MS - HOUR_MS  # of five days
    assert await notices.warn_due_soon(resources) == 0
    clock.now += 2 * HOUR_MS
    assert await notices.warn_due_soon(resources) == 1
    assert await notices.warn_due_soon(resources) == 0
    await record.mark_seen(resources, pair.client, pair.room, asked.seq)
    assert ("due_soon", asked.seq, False) in await told(resources, pair.client)  # seeing it answers nothing
    await record.append(resources, pair.client, pair.room, "delay.declined", {}, ref=asked.seq)
    assert ("due_soon", asked.seq, True) in await told(resources, pair.client)


async def test_what_waits_no_more_because_the_workroom_was_closed_is_read(resources: Resources) -> None:
    pair = await build_working(resources)
    asked = await record.append(
        resources, pair.freelancer, pair.room, "delay", {"text": "The tiles came late.", "until_on": "2026-12-01"}
    )
    await notices.warn_due_soon(resources)
    assert ("waiting", asked.seq, False) in await told(resources, pair.client)
    await room_closing.close_room(resources, pair.client, pair.room)
    await notices.warn_due_soon(resources)
    assert ("waiting", asked.seq, True) in await told(resources, pair.client)


async def test_an_account_keeps_a_bounded_number_of_notices_and_loses_read_ones_first(resources: Resources) -> None:
    pair = await build_pair(resources)
    account = pair.client.account
    made = [
        rows.NoticeRow(f"{n:026d}", account, pair.room, n, Reason.MENTION, 0, n, None if n < 10 else 1)
        for n in range(NOTICES_MAX + 20)
    ]

    async def work(tx: Tx) -> None:
        await rows.insert_notices(tx.conn, made)
        await rows.delete_notices_over(tx.conn, account, NOTICES_MAX)

    await resources.database.writer.run(work)
    async with resources.database.read() as connection:
        left = await rows.select_notices(connection, account, 1000)
    assert len(left) == NOTICES_MAX
    assert {row.seq for row in left} == set(range(10)) | set(range(30, NOTICES_MAX + 20))


async def test_a_link_of_ours_ends_all_mails_and_no_other_does(resources: Resources) -> None:
    pair = await build_pair(resources)
    await notices.choose(resources, pair.client, at_once=True, digest="weekly", hour="7", zone="Europe/Lisbon")
    chosen = await notices.my_settings(resources, pair.client)
    assert (chosen.at_once, chosen.digest, chosen.hour) == (True, Digest.WEEKLY, 7)
    token = notices.unsubscribe_address(resources, pair.client.account).rsplit("/", 1)[1]
    await notices.unsubscribe(resources, token)
    await notices.unsubscribe(resources, token)
    ended = await notices.my_settings(resources, pair.client)
    assert (ended.at_once, ended.digest, ended.next_digest_at) == (False, Digest.NEVER, None)
    assert (ended.hour, ended.time_zone) == (7, "Europe/Lisbon")
