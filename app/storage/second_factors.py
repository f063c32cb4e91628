"""Rows of second factors and their recovery codes.

Rule 1: a code is taken by one UPDATE that names its unused state, so that two takers cannot both succeed.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import recovery_codes, second_factors


class FactorRow(msgspec.Struct, frozen=True):
    """A second factor; asked for once `accounts.factor_at` is set. `secret` is encrypted."""

    account: str
    secret: bytes
    last_step: int
    created_at: int


_FACTOR = tuple(second_factors.c[name] for name in FactorRow.__struct_fields__)


async def insert_factor(conn: AsyncConnection, row: FactorRow) -> None:
    """Insert the second factor of an account in place of one that it may have."""
    await conn.execute(delete(second_factors).where(second_factors.c.account == row.account))
    await conn.execute(insert(second_factors).values(**msgspec.structs.asdict(row)))


async def select_factor(conn: AsyncConnection, account: str) -> FactorRow | None:
    """Return the second factor of an account, set up or only begun."""
    found = (await conn.execute(select(*_FACTOR).where(second_factors.c.account == account))).first()
    return None if found is None else FactorRow(*found)


async def update_factor_step(conn: AsyncConnection, account: str, step: int) -> bool:
    """Take the code of a step; return whether no code of it or of a later one was taken before."""
    statement = (
        update(second_factors)
        .where(second_factors.c.account == account, second_factors.c.last_step < step)
        .values(last_step=step)
    )
    return (await conn.execute(statement)).rowcount == 1


async def delete_factor(conn: AsyncConnection, account: str) -> None:
    """Delete the second factor of an account and its recovery codes."""
    await conn.execute(delete(second_factors).where(second_factors.c.account == account))
    await conn.execute(delete(recovery_codes).where(recovery_codes.c.account == account))


async def insert_recovery_codes(conn: AsyncConnection, account: str, hashes: Iterable[bytes]) -> None:
    """Insert recovery codes in place of those that an account had."""
    await conn.execute(delete(recovery_codes).where(recovery_codes.c.account == account))
    await conn.execute(insert(recovery_codes), [{"code_hash": code, "account": account} for code in hashes])


async def update_recovery_code_used(conn: AsyncConnection, account: str, code_hash: bytes, now: int) -> bool:
    """Take a recovery code; return whether it was one and unused."""
    statement = (
        update(recovery_codes)
        .where(
            recovery_codes.c.code_hash == code_hash,
            recovery_codes.c.account == account,
            recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return (await conn.execute(statement)).rowcount == 1


async def count_recovery_codes(conn: AsyncConnection, account: str) -> int:
    """Return how many recovery codes are left."""
    query = select(func.count()).where(recovery_codes.c.account == account, recovery_codes.c.used_at.is_(None))
    return int((await conn.execute(query)).scalar_one())
