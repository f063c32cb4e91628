"""Notices: who is told of what, in the transaction of the entry that gives the reason (rules 1.5 and 1.8).

Rule 1: an entry tells an account once, for the most urgent reason; nobody is told of what they wrote themselves.
Rule 2: a notice is read when its entry was seen, when what it asks was answered, or when its reader says so.
Rule 3: whoever is told for the first time gets settings: urgent things at once, the rest once a day.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from hashlib import sha256

from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import NotFound
from app.domain.ids import id_from_bytes
from app.domain.live import AccountEvent
from app.domain.matters import ANSWERS, TRANSITIONS, MatterState
from app.domain.mentions import mentioned, names_of, texts_of
from app.domain.notices import (
    HOUR_DEFAULT,
    NOTICES_MAX,
    PRIORITY,
    Digest,
    Reason,
    checked_choice,
    next_digest_at,
)
from app.domain.record import Entry, base64url
from app.domain.timerange import DAY_MS
from app.domain.workrooms import PARTIES, RoomInfo
from app.services import workrooms
from app.services.access import Actor, read_room_info
from app.services.effects import Writing
from app.services.matters import asked_of
from app.services.resources import Resources
from app.storage import notices as rows
from app.storage import record as entry_rows
from app.storage.notices import NoticeRow, SettingsRow
from app.storage.writer import Tx

SHOWN_MAX = 100
DUE_SOON_MS = DAY_MS
WARNED_AT_ONCE = 100  # matters in one sweep; the next one goes on
STALE_AT_ONCE = 500
TOKEN_BYTES = 16


class Notice(Struct, frozen=True):
    """A notice with what its sentence needs; `entry` is None where none stands behind it."""

    row: NoticeRow
    info: RoomInfo
    entry: Entry | None


async def on_entry(writing: Writing) -> None:
    """Tell whom an entry concerns: who must answer, whose question it answers, whom it names or replies to."""
    tx, entry, info, matter = writing.tx, writing.entry, writing.info, writing.matter
    found: dict[Reason, Collection[str]] = {}
    if writing.member is not None and entry.kind in TRANSITIONS:
        asked = asked_of(entry.kind, writing.body, writing.member)
        found[Reason.WAITING] = [by for by, m in info.members.items() if asked in (by, m.side.value)]
    if matter is not None:
        found[Reason.ANSWERED] = [matter.by]
    if writing.member is not None:
        found[Reason.MENTION] = mentioned(texts_of(writing.body), names_of(info))
    if entry.ref is not None and entry.kind not in ANSWERS:
        target = (await entry_rows.select_entries(tx.conn, entry.room, [entry.ref])).get(entry.ref)
        found[Reason.REPLY] = [target.by] if target is not None else []
    if matter is not None and matter.state is not MatterState.OPEN:
        await settle(tx, writing.resources, entry.room, matter.seq)
    wanted: dict[str, Reason] = {}
    for reason in PRIORITY:
        for by in found.get(reason, ()):
            if by in info.members and by != entry.by and info.members[by].side in PARTIES:
                wanted.setdefault(info.members[by].account, reason)
    await tell(tx, writing.resources, info, wanted, entry.seq)


async def tell(
    tx: Tx, resources: Resources, info: RoomInfo, wanted: Mapping[str, Reason], seq: int, key: int = 0
) -> None:
    """Tell accounts of an entry of a room (-1: of none), each for its reason. What was told before is not repeated."""
    if not wanted:
        return
    now = resources.clock.real_now()
    made = [
        NoticeRow(id_from_bytes(resources.random_bytes(16)), account, info.id, seq, reason, key, now)
        for account, reason in wanted.items()
    ]
    await rows.insert_notices(tx.conn, made)
    await rows.insert_settings(tx.conn, [default_settings(account, info.time_zone, now) for account in wanted])
    for account in wanted:
        await rows.delete_notices_over(tx.conn, account, NOTICES_MAX)
    await publish_counts(tx, list(wanted))


def default_settings(account: str, zone: str, now: int) -> SettingsRow:
    """Return the settings of somebody who has chosen none."""
    at = next_digest_at(Digest.DAILY, HOUR_DEFAULT, zone, now)
    return SettingsRow(account, True, Digest.DAILY, HOUR_DEFAULT, zone, at)


async def settle(tx: Tx, resources: Resources, room: str, seq: int) -> None:
    """Let nobody be told any more that a matter waits: it was answered."""
    reasons = (Reason.WAITING, Reason.DUE_SOON)
    touched = await rows.update_settled(tx.conn, room, seq, reasons, resources.clock.real_now())
    await publish_counts(tx, touched)


async def settle_room(tx: Tx, resources: Resources, room: str) -> None:
    """Let nobody be told any more that something waits in a room: it was closed."""
    reasons = (Reason.WAITING, Reason.DUE_SOON)
    touched = await rows.update_settled(tx.conn, room, None, reasons, resources.clock.real_now())
    await publish_counts(tx, touched)


async def seen(tx: Tx, resources: Resources, account: str, room: str, upto: int) -> None:
    """Mark as read what an account was told about entries that it has seen now."""
    if await rows.update_seen(tx.conn, account, room, upto, resources.clock.real_now()):
        await publish_counts(tx, [account])


async def publish_counts(tx: Tx, accounts: Collection[str]) -> None:
    """Let the pages of accounts show how many notices are unread now."""
    if accounts:
        for account, unread in (await rows.count_unread(tx.conn, accounts)).items():
            tx.after_commit(AccountEvent(account, "notices", {"unread": unread}))


# Reading


async def unread(resources: Resources, account: str) -> int:
    """Return how many notices an account has not read."""
    async with resources.database.read() as connection:
        return (await rows.count_unread(connection, [account]))[account]


async def my_notices(resources: Resources, actor: Actor) -> list[Notice]:
    """Return the actor's newest notices of workrooms that they are a member of, the newest first."""
    infos = {summary.info.id: summary.info for summary in await workrooms.my_rooms(resources, actor)}
    async with resources.database.read() as connection:
        listed = await rows.select_notices(connection, actor.account, SHOWN_MAX)
        return await with_entries(connection, infos, listed)


async def with_entries(
    connection: AsyncConnection, infos: Mapping[str, RoomInfo], listed: Collection[NoticeRow]
) -> list[Notice]:
    """Return notices with their entries, in their order; those of other rooms are left out."""
    places = {(row.room, row.seq) for row in listed if row.seq >= 0}
    found = await entry_rows.select_places(connection, places) if places else []
    entries = {(entry.room, entry.seq): entry for entry in found}
    return [Notice(row, infos[row.room], entries.get((row.room, row.seq))) for row in listed if row.room in infos]


async def mark_read(resources: Resources, actor: Actor, notice: str | None = None) -> None:
    """Mark one of the actor's notices as read, or all."""

    async def work(tx: Tx) -> None:
        if await rows.update_read(tx.conn, actor.account, resources.clock.real_now(), notice):
            await publish_counts(tx, [actor.account])

    await resources.database.writer.run(work)


# Settings


async def my_settings(resources: Resources, actor: Actor) -> SettingsRow:
    """Return how the actor is mailed."""
    async with resources.database.read() as connection:
        found = await rows.select_settings(connection, actor.account)
    return found or default_settings(actor.account, "UTC", resources.clock.real_now())


async def choose(resources: Resources, actor: Actor, *, at_once: bool, digest: str, hour: str, zone: str) -> None:
    """Set how the actor is mailed.

    Raises:
        Malformed: naming the field that cannot be.
    """
    chosen, at, zone = checked_choice(digest, hour, zone)
    due_at = next_digest_at(chosen, at, zone, resources.clock.real_now())
    row = SettingsRow(actor.account, at_once, chosen, at, zone, due_at)

    async def work(tx: Tx) -> None:
        await rows.upsert_settings(tx.conn, row)

    await resources.database.writer.run(work)


def unsubscribe_address(resources: Resources, account: str) -> str:
    """Return the address that ends all mails of notices to an account (RFC 8058); it does nothing else."""
    return f"{resources.settings.base_url}/unsubscribe/{account}.{_signature(resources, account)}"


async def unsubscribe(resources: Resources, token: str) -> None:
    """End all mails of notices to the account that a token names; again changes nothing.

    Raises:
        NotFound: if we made no such token.
    """
    account = account_of_token(resources, token)
    row = structs.replace(
        default_settings(account, "UTC", resources.clock.real_now()),
        at_once=False,
        digest=Digest.NEVER,
        next_digest_at=None,
    )

    async def work(tx: Tx) -> None:
        known = await rows.select_settings(tx.conn, account)
        kept = row if known is None else structs.replace(row, hour=known.hour, time_zone=known.time_zone)
        await rows.upsert_settings(tx.conn, kept)

    await resources.database.writer.run(work)


def account_of_token(resources: Resources, token: str) -> str:
    """Return the account that a token of ours names.

    Raises:
        NotFound: if we made no such token.
    """
    account, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(resources, account).encode()):
        raise NotFound("This address is not one of ours. Change what is mailed to you in your settings.")
    return account


def _signature(resources: Resources, account: str) -> str:
    key = resources.signer.derived_key("unsubscribe")
    return base64url(hmac.digest(key, account.encode(), sha256)[:TOKEN_BYTES])


# The worker


async def warn_due_soon(resources: Resources) -> int:
    """Tell who must act that silence answers within a day; return of how many matters. What waits no more, because its
    workroom was closed, say, is marked as read."""
    await _settle_stale(resources)
    now = resources.clock.record_now()
    async with resources.database.read() as connection:
        due = await rows.select_due_soon(connection, now, now + DUE_SOON_MS, WARNED_AT_ONCE)

    async def work(tx: Tx) -> None:
        for matter in due:  # few a day; each room is read once more than it need be
            info = await read_room_info(tx.conn, matter.room)
            asked = [m.account for by, m in info.members.items() if matter.asked in (by, m.side.value)]
            wanted = dict.fromkeys(asked, Reason.DUE_SOON)
            await tell(tx, resources, info, wanted, matter.seq, matter.due_at or 0)

    if due:
        await resources.database.writer.run(work)
    return len(due)


async def _settle_stale(resources: Resources) -> None:
    async with resources.database.read() as connection:
        stale = await rows.select_stale(connection, STALE_AT_ONCE)

    async def work(tx: Tx) -> None:
        await rows.update_read_of(tx.conn, [notice for notice, _ in stale], resources.clock.real_now())
        await publish_counts(tx, sorted({account for _, account in stale}))

    if stale:
        await resources.database.writer.run(work)
