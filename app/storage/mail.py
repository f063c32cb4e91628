"""Rows of mails. Functions here decide nothing and never commit."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import mails


class MailRow(msgspec.Struct, frozen=True):
    """A mail. `text` and `html` are empty once it was sent; `button` is a label, a line feed and an address."""

    id: str
    purpose: str
    to: str
    subject: str
    text: str
    html: str | None
    button: str | None
    footer: str | None
    unsubscribe: str | None
    created_at: int
    give_up_at: int
    tries: int
    next_try_at: int | None
    sent_at: int | None = None
    failed: str | None = None


_MAIL = tuple(mails.c[name] for name in MailRow.__struct_fields__)


async def insert_mail(conn: AsyncConnection, row: MailRow) -> None:
    """Insert a mail that is to be sent."""
    await conn.execute(insert(mails).values(**msgspec.structs.asdict(row)))


async def select_mails_due(conn: AsyncConnection, now: int, limit: int) -> list[MailRow]:
    """Return mails whose next try is due, the oldest first."""
    query = select(*_MAIL).where(mails.c.next_try_at <= now).order_by(mails.c.next_try_at, mails.c.id).limit(limit)
    return [MailRow(*row) for row in await conn.execute(query)]


async def update_mail_claimed(conn: AsyncConnection, row: MailRow, next_try_at: int) -> bool:
    """Put off the next try, so that no other worker makes this one; return whether none did already."""
    statement = (
        update(mails)
        .where(mails.c.id == row.id, mails.c.next_try_at == row.next_try_at)
        .values(next_try_at=next_try_at, tries=mails.c.tries + 1)
    )
    return (await conn.execute(statement)).rowcount == 1


async def update_mail(conn: AsyncConnection, mail: str, **values: Any) -> None:
    """Change a mail after a try."""
    await conn.execute(update(mails).where(mails.c.id == mail).values(**values))


async def select_mails_to(conn: AsyncConnection, to: str, limit: int) -> list[MailRow]:
    """Return the newest mails to an address."""
    query = select(*_MAIL).where(mails.c.to == to).order_by(mails.c.created_at.desc(), mails.c.id).limit(limit)
    return [MailRow(*row) for row in await conn.execute(query)]


async def delete_mails_before(conn: AsyncConnection, sent_before: int) -> None:
    """Delete mails that were done with, and made, before an instant."""
    done = or_(mails.c.sent_at.is_not(None), and_(mails.c.next_try_at.is_(None), mails.c.failed.is_not(None)))
    await conn.execute(delete(mails).where(done, mails.c.created_at < sent_before))


async def delete_mails_to(conn: AsyncConnection, to: str) -> None:
    """Delete the mails to an address that nobody is to write to any more."""
    await conn.execute(delete(mails).where(mails.c.to == to))
