"""Rows of blocks and reports.

Rule 1: functions here decide nothing and never commit.
Rule 2: a block works in both directions; `stands_between` is the only place that says so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, literal, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import accounts, blocks, job_invitations, jobs, members, proposals, reports


class BlockRow(Struct, frozen=True):
    """An account that somebody blocked."""

    account: str
    name: str
    at: int


class ReportRow(Struct, frozen=True):
    """A report. `account` is whose thing it is about; `answered_by` is None where the command line answered."""

    id: str
    reporter: str
    subject: str
    subject_id: str
    account: str
    reason: str
    text: str
    state: str
    sent_at: int
    answered_at: int | None = None
    answered_by: str | None = None
    answer: str | None = None


class AnswerRow(Struct, frozen=True):
    """The operator's answer to a report."""

    state: str
    answered_at: int
    answered_by: str | None
    answer: str


class ReportedRow(Struct, frozen=True):
    """A report with the names of those concerned."""

    report: ReportRow
    reporter_name: str
    account_name: str
    account_email: str


class SubjectRow(Struct, frozen=True):
    """What a report is about: whose it is, the job it belongs to, what it says, and whether it is hidden."""

    account: str
    job: str | None
    title: str
    text: str
    hidden_at: int | None


_REPORT = tuple(reports.c[name] for name in ReportRow.__struct_fields__)
_HIDDEN_TABLES = {"job": jobs, "proposal": proposals, "invitation": job_invitations}


def stands_between(account: str, other: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that one of the two blocked the other."""
    return exists().where(
        or_(
            and_(blocks.c.blocker == account, blocks.c.blocked == other),
            and_(blocks.c.blocker == other, blocks.c.blocked == account),
        )
    )


# Blocks


async def insert_block(conn: AsyncConnection, blocker: str, blocked: str, now: int) -> None:
    """Block an account; a second time changes nothing."""
    dialect_insert = sqlite_insert if conn.dialect.name == "sqlite" else postgresql_insert
    row = {"blocker": blocker, "blocked": blocked, "at": now}
    await conn.execute(dialect_insert(blocks).on_conflict_do_nothing(), row)


async def delete_block(conn: AsyncConnection, blocker: str, blocked: str) -> bool:
    """Unblock an account; return whether it was blocked."""
    gone = await conn.execute(delete(blocks).where(blocks.c.blocker == blocker, blocks.c.blocked == blocked))
    return gone.rowcount == 1


async def select_is_blocked(conn: AsyncConnection, one: str, other: str) -> bool:
    """Return whether one of the two blocked the other."""
    pair = or_(
        and_(blocks.c.blocker == one, blocks.c.blocked == other),
        and_(blocks.c.blocker == other, blocks.c.blocked == one),
    )
    return (await conn.scalar(select(func.count()).select_from(blocks).where(pair)) or 0) > 0


async def select_blocks_of(conn: AsyncConnection, blocker: str, limit: int) -> list[BlockRow]:
    """Return whom an account blocked, the last one first."""
    query = (
        select(accounts.c.id, accounts.c.name, blocks.c.at)
        .join(blocks, blocks.c.blocked == accounts.c.id)
        .where(blocks.c.blocker == blocker)
        .order_by(blocks.c.at.desc(), accounts.c.id)
        .limit(limit)
    )
    return [BlockRow(*row) for row in await conn.execute(query)]


async def count_blocks_of(conn: AsyncConnection, blocker: str) -> int:
    """Return how many accounts an account blocked."""
    return await conn.scalar(select(func.count()).select_from(blocks).where(blocks.c.blocker == blocker)) or 0


async def select_share_room(conn: AsyncConnection, one: str, other: str) -> bool:
    """Return whether two accounts are members of the same workroom."""
    mine, theirs = members.alias(), members.alias()
    query = (
        select(mine.c.room)
        .join(theirs, theirs.c.room == mine.c.room)
        .where(mine.c.account == one, theirs.c.account == other)
        .limit(1)
    )
    return (await conn.execute(query)).first() is not None


# Reports


async def insert_report(conn: AsyncConnection, row: ReportRow) -> None:
    """Insert a report."""
    await conn.execute(insert(reports).values(**structs.asdict(row)))


async def select_open_report(conn: AsyncConnection, reporter: str, subject: str, subject_id: str) -> str | None:
    """Return the id of the report that somebody made about something and that still waits."""
    query = select(reports.c.id).where(
        reports.c.reporter == reporter,
        reports.c.subject == subject,
        reports.c.subject_id == subject_id,
        reports.c.state == "open",
    )
    found: str | None = await conn.scalar(query)
    return found


async def count_reports_since(conn: AsyncConnection, reporter: str, since: int) -> int:
    """Return how many reports an account made since an instant."""
    query = select(func.count()).select_from(reports).where(reports.c.reporter == reporter, reports.c.sent_at >= since)
    return await conn.scalar(query) or 0


async def select_report(conn: AsyncConnection, report: str, *, lock: bool = False) -> ReportRow | None:
    """Return a report; `lock` holds it until the commit."""
    query = select(*_REPORT).where(reports.c.id == report)
    found = (await conn.execute(query.with_for_update() if lock else query)).first()
    return None if found is None else ReportRow(*found)


async def select_reports(conn: AsyncConnection, *, state: str | None, limit: int) -> list[ReportedRow]:
    """Return reports: those that wait, the oldest first; or all, the newest first."""
    query = _reported()
    if state is not None:
        query = query.where(reports.c.state == state).order_by(reports.c.sent_at, reports.c.id)
    else:
        query = query.order_by(reports.c.sent_at.desc(), reports.c.id)
    return [_reported_row(row) for row in await conn.execute(query.limit(limit))]


async def select_reports_of(conn: AsyncConnection, reporter: str, limit: int) -> list[ReportedRow]:
    """Return what an account reported, the newest first."""
    query = _reported().where(reports.c.reporter == reporter).order_by(reports.c.sent_at.desc(), reports.c.id)
    return [_reported_row(row) for row in await conn.execute(query.limit(limit))]


async def count_reports_open(conn: AsyncConnection) -> int:
    """Return how many reports wait for the operator."""
    return await conn.scalar(select(func.count()).select_from(reports).where(reports.c.state == "open")) or 0


async def update_report(conn: AsyncConnection, report: str, answer: AnswerRow) -> None:
    """Note the operator's answer."""
    await conn.execute(update(reports).where(reports.c.id == report).values(**structs.asdict(answer)))


async def select_job_is_reported(conn: AsyncConnection, job: str) -> bool:
    """Return whether somebody reported a job, a proposal for it or an invitation to it."""
    query = select(reports.c.id).where(
        or_(
            and_(reports.c.subject == "job", reports.c.subject_id == job),
            and_(
                reports.c.subject == "proposal",
                reports.c.subject_id.in_(select(proposals.c.id).where(proposals.c.job == job)),
            ),
            and_(
                reports.c.subject == "invitation",
                reports.c.subject_id.in_(select(job_invitations.c.id).where(job_invitations.c.job == job)),
            ),
        )
    )
    return (await conn.execute(query.limit(1))).first() is not None


async def update_reports_about(
    conn: AsyncConnection, subject: str, subject_id: str, standing: str, answer: AnswerRow
) -> None:
    """Note the operator's answer on every report about a thing that stands as `standing`."""
    about = (reports.c.subject == subject, reports.c.subject_id == subject_id, reports.c.state == standing)
    await conn.execute(update(reports).where(*about).values(**structs.asdict(answer)))


async def select_subject(conn: AsyncConnection, subject: str, subject_id: str) -> SubjectRow | None:
    """Return what a report is about."""
    return (await select_subjects(conn, [(subject, subject_id)])).get((subject, subject_id))


async def select_subjects(
    conn: AsyncConnection, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], SubjectRow]:
    """Return what reports are about, by kind and id. One query a kind."""
    found: dict[tuple[str, str], SubjectRow] = {}
    for kind in sorted({kind for kind, _ in wanted}):
        ids = [subject_id for named, subject_id in wanted if named == kind]
        for row in await conn.execute(_subjects(kind, ids)):
            found[kind, row[0]] = SubjectRow(*row[1:])
    return found


def _subjects(kind: str, ids: list[str]) -> Select[Any]:
    if kind == "job":
        columns = (jobs.c.id, jobs.c.client, jobs.c.id.label("job"), jobs.c.title, jobs.c.description, jobs.c.hidden_at)
        return select(*columns).where(jobs.c.id.in_(ids))
    of_job = (jobs.c.id.label("job"), jobs.c.title)
    if kind == "proposal":
        proposed = (proposals.c.id, proposals.c.freelancer, *of_job, proposals.c.text, proposals.c.hidden_at)
        return select(*proposed).join(jobs, jobs.c.id == proposals.c.job).where(proposals.c.id.in_(ids))
    if kind == "invitation":
        table = job_invitations
        invited = (table.c.id, table.c.invited_by, *of_job, jobs.c.description, table.c.hidden_at)
        return select(*invited).join(jobs, jobs.c.id == table.c.job).where(table.c.id.in_(ids))
    nothing = (null().label("job"), accounts.c.name, literal("").label("text"), null().label("hidden_at"))
    return select(accounts.c.id, accounts.c.id.label("account"), *nothing).where(accounts.c.id.in_(ids))


async def update_hidden(
    conn: AsyncConnection, subject: str, subject_id: str, hidden_at: int | None, reason: str | None
) -> None:
    """Hide a job, a proposal or an invitation, or show it again."""
    table = _HIDDEN_TABLES[subject]
    values = {"hidden_at": hidden_at, "hidden_reason": reason}
    await conn.execute(update(table).where(table.c.id == subject_id).values(**values))


_reporter, _reported_account = accounts.alias("reporter"), accounts.alias("reported")


def _reported() -> Select[Any]:
    return (
        select(
            *_REPORT,
            _reporter.c.name.label("reporter_name"),
            _reported_account.c.name.label("account_name"),
            _reported_account.c.email.label("account_email"),
        )
        .join(_reporter, _reporter.c.id == reports.c.reporter)
        .join(_reported_account, _reported_account.c.id == reports.c.account)
    )


def _reported_row(row: Any) -> ReportedRow:
    size = len(_REPORT)
    return ReportedRow(ReportRow(*row[:size]), *row[size:])
