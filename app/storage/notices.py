"""Rows of notices, of how an account wants them mailed, and of how far its digests have told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.matters import Matter, MatterState
from app.domain.notices import AT_ONCE, NOT_BY_READING, Digest, Reason
from app.domain.workrooms import WRITTEN_BY_PEOPLE
from app.storage.matters import matter_of
from app.storage.tables import accounts, checkpoints, digest_marks, entries, matters, members, notice_settings, notices
from app.storage.tracking import upsert


class NoticeRow(msgspec.Struct, frozen=True):
    """Something that an account is told. `seq` is -1 where no entry stands behind it."""

    id: str
    account: str
    room: str
    seq: int
    reason: Reason
    key: int
    created_at: int
    read_at: int | None = None
    mailed_at: int | None = None


class SettingsRow(msgspec.Struct, frozen=True):
    """How an account wants to be mailed; `turn` rises with every mail."""

    account: str
    at_once: bool
    digest: Digest
    hour: int
    time_zone: str
    next_digest_at: int | None
    turn: int = 0


_NOTICE = tuple(notices.c[name] for name in NoticeRow.__struct_fields__)
_CAN_BE_MAILED = (accounts.c.verified_at.is_not(None), accounts.c.closed_at.is_(None))
_SETTINGS = tuple(notice_settings.c[name] for name in SettingsRow.__struct_fields__)


def _notice(row: Any) -> NoticeRow:
    made = NoticeRow(*row)
    return msgspec.structs.replace(made, reason=Reason(made.reason))


def _settings(row: Any) -> SettingsRow:
    made = SettingsRow(*row)
    return msgspec.structs.replace(made, digest=Digest(made.digest))


# Notices


async def insert_notices(conn: AsyncConnection, rows: Sequence[NoticeRow]) -> None:
    """Store notices, but those that are there."""
    if rows:
        await conn.execute(upsert(conn, notices).on_conflict_do_nothing(), [msgspec.to_builtins(row) for row in rows])


async def delete_notices_over(conn: AsyncConnection, account: str, keep: int) -> None:
    """Delete what is more than `keep`: the oldest that were read, then the oldest."""
    over = (
        select(notices.c.id)
        .where(notices.c.account == account)
        .order_by(notices.c.read_at.is_not(None), notices.c.created_at.desc(), notices.c.id)
        .offset(keep)
        .limit(keep)
    )
    found = list((await conn.execute(over)).scalars())
    if found:
        await conn.execute(delete(notices).where(notices.c.id.in_(found)))


async def count_unread(conn: AsyncConnection, listed: Collection[str]) -> dict[str, int]:
    """Return how many notices are unread, by account."""
    query = (
        select(notices.c.account, func.count().label("unread"))
        .where(notices.c.account.in_(listed), notices.c.read_at.is_(None))
        .group_by(notices.c.account)
    )
    counted = {row.account: row.unread for row in await conn.execute(query)}
    return {account: counted.get(account, 0) for account in listed}


async def select_notices(conn: AsyncConnection, account: str, limit: int) -> list[NoticeRow]:
    """Return an account's notices, the newest first."""
    query = select(*_NOTICE).where(notices.c.account == account)
    ordered = query.order_by(notices.c.created_at.desc(), notices.c.id).limit(limit)
    return [_notice(row) for row in await conn.execute(ordered)]


async def update_read(conn: AsyncConnection, account: str, now: int, notice: str | None = None) -> int:
    """Mark a notice of an account as read, or all; return how many were not."""
    statement = update(notices).where(notices.c.account == account, notices.c.read_at.is_(None))
    if notice is not None:
        statement = statement.where(notices.c.id == notice)
    return (await conn.execute(statement.values(read_at=now))).rowcount


async def update_seen(conn: AsyncConnection, account: str, room: str, upto: int, now: int) -> int:
    """Mark as read what an account was told about entries of a room up to a seq; return how many there were."""
    statement = update(notices).where(
        notices.c.account == account,
        notices.c.read_at.is_(None),
        notices.c.room == room,
        notices.c.seq.between(0, upto),
        notices.c.reason.not_in([reason.value for reason in NOT_BY_READING]),
    )
    return (await conn.execute(statement.values(read_at=now))).rowcount


async def update_settled(
    conn: AsyncConnection, room: str, seq: int | None, reasons: Collection[Reason], now: int, key: int | None = None
) -> list[str]:
    """Mark as read, for everybody, what was told about an entry (None: about any of the room) for these reasons;
    return the accounts."""
    told = [
        notices.c.room == room,
        notices.c.reason.in_([reason.value for reason in reasons]),
        notices.c.read_at.is_(None),
    ]
    if seq is not None:
        told.append(notices.c.seq == seq)
    if key is not None:
        told.append(notices.c.key == key)
    found = sorted(set((await conn.execute(select(notices.c.account).where(*told))).scalars()))
    if found:
        await conn.execute(update(notices).where(*told).values(read_at=now))
    return found


async def select_due_soon(conn: AsyncConnection, now: int, until: int, limit: int) -> list[Matter]:
    """Return open matters that silence answers until then, and of which nobody was told that it does."""
    told = exists().where(
        notices.c.room == matters.c.room,
        notices.c.seq == matters.c.seq,
        notices.c.reason == Reason.DUE_SOON.value,
        notices.c.key == matters.c.due_at,
    )
    query = select(matters).where(
        matters.c.state == MatterState.OPEN.value, matters.c.due_at > now, matters.c.due_at <= until, ~told
    )
    return [matter_of(row) for row in await conn.execute(query.order_by(matters.c.due_at).limit(limit))]


async def select_stale(conn: AsyncConnection, limit: int) -> list[tuple[str, str]]:
    """Return unread notices (id, account) that something waits which waits no more: however it ended."""
    open_still = exists().where(
        matters.c.room == notices.c.room, matters.c.seq == notices.c.seq, matters.c.state == MatterState.OPEN.value
    )
    reasons = (Reason.WAITING.value, Reason.DUE_SOON.value)
    query = select(notices.c.id, notices.c.account).where(
        notices.c.read_at.is_(None), notices.c.reason.in_(reasons), ~open_still
    )
    return [(row.id, row.account) for row in await conn.execute(query.limit(limit))]


async def update_read_of(conn: AsyncConnection, ids: Collection[str], now: int) -> None:
    """Mark notices as read."""
    await conn.execute(
        update(notices).where(notices.c.id.in_(list(ids)), notices.c.read_at.is_(None)).values(read_at=now)
    )


# Settings


async def select_settings(conn: AsyncConnection, account: str) -> SettingsRow | None:
    """Return how an account wants to be mailed, if it was ever told of anything."""
    row = (await conn.execute(select(*_SETTINGS).where(notice_settings.c.account == account))).first()
    return None if row is None else _settings(row)


async def insert_settings(conn: AsyncConnection, rows: Sequence[SettingsRow]) -> None:
    """Store settings, but of accounts that have some."""
    if rows:
        values = [msgspec.to_builtins(row) for row in rows]
        await conn.execute(upsert(conn, notice_settings).on_conflict_do_nothing(), values)


async def upsert_settings(conn: AsyncConnection, row: SettingsRow) -> None:
    """Store what somebody has chosen; the turn stays as it is."""
    statement = upsert(conn, notice_settings).values(**msgspec.to_builtins(row))
    chosen = ("at_once", "digest", "hour", "time_zone", "next_digest_at")
    changed = {name: statement.excluded[name] for name in chosen}
    await conn.execute(statement.on_conflict_do_update(index_elements=["account"], set_=changed))


async def update_turn(conn: AsyncConnection, row: SettingsRow, next_digest_at: int | None) -> bool:
    """Take the turn to mail an account; return whether nobody else has taken it."""
    statement = (
        update(notice_settings)
        .where(notice_settings.c.account == row.account, notice_settings.c.turn == row.turn)
        .values(turn=row.turn + 1, next_digest_at=next_digest_at)
    )
    return (await conn.execute(statement)).rowcount == 1


# Mails


async def select_at_once_due(conn: AsyncConnection, told_before: int, limit: int) -> list[str]:
    """Return accounts with unread, unmailed notices for urgent reasons that are older than that."""
    query = (
        select(notices.c.account)
        .select_from(
            notices.join(notice_settings, notice_settings.c.account == notices.c.account).join(
                accounts, accounts.c.id == notices.c.account
            )
        )
        .where(
            notices.c.mailed_at.is_(None),
            notices.c.read_at.is_(None),
            notices.c.created_at <= told_before,
            notices.c.reason.in_([reason.value for reason in AT_ONCE]),
            notice_settings.c.at_once.is_(True),
            *_CAN_BE_MAILED,
        )
        .distinct()
        .limit(limit)
    )
    return list((await conn.execute(query)).scalars())


async def select_digests_due(conn: AsyncConnection, now: int, limit: int) -> list[str]:
    """Return accounts whose digest is due, the longest waiting first."""
    query = (
        select(notice_settings.c.account)
        .join(accounts, accounts.c.id == notice_settings.c.account)
        .where(notice_settings.c.next_digest_at <= now, *_CAN_BE_MAILED)
    )
    return list((await conn.execute(query.order_by(notice_settings.c.next_digest_at).limit(limit))).scalars())


async def select_address(conn: AsyncConnection, account: str) -> tuple[str, str] | None:
    """Return address and name of an account that can be mailed: its address was verified, and it is not closed."""
    query = select(accounts.c.email, accounts.c.name).where(accounts.c.id == account, *_CAN_BE_MAILED)
    row = (await conn.execute(query)).first()
    return None if row is None else (row.email, row.name)


async def select_unmailed(conn: AsyncConnection, account: str, limit: int) -> list[NoticeRow]:
    """Return an account's notices that are neither read nor mailed, the oldest first."""
    query = select(*_NOTICE).where(
        notices.c.account == account, notices.c.mailed_at.is_(None), notices.c.read_at.is_(None)
    )
    return [_notice(row) for row in await conn.execute(query.order_by(notices.c.created_at, notices.c.id).limit(limit))]


async def update_mailed(conn: AsyncConnection, ids: Collection[str], now: int) -> None:
    """Note that notices were mailed."""
    await conn.execute(update(notices).where(notices.c.id.in_(list(ids))).values(mailed_at=now))


async def select_untold(conn: AsyncConnection, account: str, limit: int) -> list[tuple[str, int]]:
    """Return what others wrote that an account has neither read nor been told of by a digest: rooms and seqs, oldest
    first in each room."""
    since = func.coalesce(digest_marks.c.seq, -1)
    listed = members.outerjoin(
        digest_marks, and_(digest_marks.c.account == members.c.account, digest_marks.c.room == members.c.room)
    )
    behind = and_(
        entries.c.room == members.c.room,
        entries.c.seq > members.c.seen_seq,
        entries.c.seq > since,
        entries.c.kind.in_(WRITTEN_BY_PEOPLE),
        entries.c.by != members.c.by,
    )
    query = (
        select(entries.c.room, entries.c.seq)
        .select_from(listed.join(entries, behind))
        .where(members.c.account == account)
        .order_by(entries.c.room, entries.c.seq)
        .limit(limit)
    )
    return [(row.room, row.seq) for row in await conn.execute(query)]


async def select_mailed_places(conn: AsyncConnection, account: str, since: int) -> set[tuple[str, int]]:
    """Return the entries (room, seq) that mails have told an account of since then."""
    query = select(notices.c.room, notices.c.seq).where(notices.c.account == account, notices.c.mailed_at >= since)
    return {(row.room, row.seq) for row in await conn.execute(query)}


async def select_newest_checkpoints(conn: AsyncConnection, rooms: Collection[str]) -> dict[str, bytes]:
    """Return the newest checkpoint of rooms."""
    newest = (
        select(checkpoints.c.room, func.max(checkpoints.c.size).label("size"))
        .where(checkpoints.c.room.in_(list(rooms)))
        .group_by(checkpoints.c.room)
        .subquery()
    )
    query = select(checkpoints.c.room, checkpoints.c.note).join(
        newest, and_(newest.c.room == checkpoints.c.room, newest.c.size == checkpoints.c.size)
    )
    return {row.room: row.note for row in await conn.execute(query)}


async def upsert_marks(conn: AsyncConnection, account: str, seqs: dict[str, int]) -> None:
    """Note how far a digest has told of rooms."""
    if seqs:
        statement = upsert(conn, digest_marks)
        statement = statement.on_conflict_do_update(
            index_elements=["account", "room"], set_={"seq": statement.excluded.seq}
        )
        await conn.execute(statement, [{"account": account, "room": room, "seq": seq} for room, seq in seqs.items()])


async def delete_notices_of(conn: AsyncConnection, account: str) -> None:
    """Delete what an account that is closed was told of, and how it wanted that."""
    for table in (notices, notice_settings, digest_marks):
        await conn.execute(delete(table).where(table.c.account == account))
