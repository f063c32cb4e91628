"""Rows of jobs, their versions and the invitations to them.

Rule 1: functions here decide nothing and never commit.
Rule 2: `visible_to` is the one condition of who sees a job; lists and single jobs use the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, exists, func, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs import JobState, Offer, Pay, Visibility
from app.storage.blocks import stands_between
from app.storage.tables import accounts, job_invitations, job_versions, jobs, proposals, room_openings


class JobRow(Struct, frozen=True):
    """A job: its offer in the present version, and how it stands."""

    id: str
    client: str
    client_name: str
    state: JobState
    version: int
    offer: Offer
    posted_at: int
    edited_at: int | None
    closed_at: int | None
    hidden_at: int | None
    hidden_reason: str | None


class JobSummaryRow(Struct, frozen=True):
    """A job in a list. `proposals` counts those that wait; `mine` is the state of the viewer's own proposal."""

    job: JobRow
    proposals: int
    mine: str | None
    is_invited: bool


class InvitationRow(Struct, frozen=True):
    """An invitation to a job. `account` is who came by its link."""

    id: str
    job: str
    email: str
    account: str | None
    invited_by: str
    token_hash: bytes
    sent_at: int
    expires_at: int
    hidden_at: int | None = None


_OFFER = tuple(jobs.c[name] for name in Offer.__struct_fields__)
_STATE = ("posted_at", "edited_at", "closed_at", "hidden_at", "hidden_reason")
_JOB = (
    jobs.c.id, jobs.c.client, accounts.c.name.label("client_name"), jobs.c.state, jobs.c.version,
    *_OFFER, *(jobs.c[name] for name in _STATE),
)  # fmt: skip
_INVITATION = tuple(job_invitations.c[name] for name in InvitationRow.__struct_fields__)


# Who sees a job


def invitation_of(account: str) -> ColumnElement[bool]:
    """Return the condition that an invitation is an account's: it opened the link, or verified the address."""
    own = select(accounts.c.email).where(accounts.c.id == account, accounts.c.verified_at.is_not(None))
    return or_(job_invitations.c.account == account, job_invitations.c.email == own.scalar_subquery())


def invited(account: str) -> ColumnElement[bool]:
    """Return the condition that a job's client invited this account."""
    return exists().where(
        job_invitations.c.job == jobs.c.id, job_invitations.c.hidden_at.is_(None), invitation_of(account)
    )


def visible_to(account: str) -> ColumnElement[bool]:
    """Return the condition that an account sees a job.

    Its client does. Others while it is not hidden: who has a workroom of it, whatever stands between the two; else,
    if no block does, who is invited or has proposed, and everybody where the client chose that.
    """
    own = and_(proposals.c.job == jobs.c.id, proposals.c.freelancer == account)
    chosen = or_(jobs.c.visible_to == Visibility.EVERYBODY.value, invited(account), exists().where(own))
    return or_(
        jobs.c.client == account,
        and_(
            jobs.c.hidden_at.is_(None),
            or_(
                exists().where(own, proposals.c.room.is_not(None)),
                and_(not_(stands_between(account, jobs.c.client)), chosen),
            ),
        ),
    )


# Jobs


async def insert_job(conn: AsyncConnection, job: str, client: str, offer: Offer, now: int) -> None:
    """Insert an open job in its first version."""
    values = {"id": job, "client": client, "state": JobState.OPEN.value, "version": 1, "posted_at": now}
    await conn.execute(insert(jobs).values(**values, **_offer_values(offer)))
    await _insert_version(conn, job, 1, offer, now)


async def update_offer(conn: AsyncConnection, job: str, version: int, offer: Offer, now: int) -> None:
    """Make `offer` the present one, as `version`."""
    await conn.execute(
        update(jobs).where(jobs.c.id == job).values(version=version, edited_at=now, **_offer_values(offer))
    )
    await _insert_version(conn, job, version, offer, now)


async def update_job_state(conn: AsyncConnection, job: str, state: JobState, closed_at: int | None = None) -> None:
    """Note how a job stands."""
    values: dict[str, Any] = {"state": state.value}
    if closed_at is not None:
        values["closed_at"] = closed_at
    await conn.execute(update(jobs).where(jobs.c.id == job).values(**values))


async def update_jobs_closed(conn: AsyncConnection, client: str, closed_at: int) -> None:
    """Close all jobs of a client."""
    own = (jobs.c.client == client, jobs.c.state != JobState.CLOSED.value)
    await conn.execute(update(jobs).where(*own).values(state=JobState.CLOSED.value, closed_at=closed_at))


async def select_job(conn: AsyncConnection, job: str, *, lock: bool = False) -> JobRow | None:
    """Return a job, whoever asks; `lock` holds it until the commit, so that its steps come one after another."""
    query = _jobs().where(jobs.c.id == job)
    found = (await conn.execute(query.with_for_update(of=jobs, key_share=True) if lock else query)).first()
    return None if found is None else _job(found)


async def select_visible_job(conn: AsyncConnection, job: str, account: str) -> JobSummaryRow | None:
    """Return a job if this account sees it."""
    found = (await conn.execute(_summaries(account).where(jobs.c.id == job, visible_to(account)))).first()
    return None if found is None else _summary(found)


async def select_jobs(
    conn: AsyncConnection,
    account: str,
    *,
    words: Sequence[str] = (),
    pay: Pay | None = None,
    open_only: bool = False,
    view: str = "all",
    offset: int = 0,
    limit: int,
) -> list[JobSummaryRow]:
    """Return jobs that an account sees, the newest first. `view`: "all", "mine", "invited", "proposed"."""
    query = _summaries(account).where(visible_to(account))
    for word in words:
        query = query.where(jobs.c.words.contains(word, autoescape=True))
    if pay is not None:
        query = query.where(jobs.c.pay == pay.value)
    if open_only:
        query = query.where(jobs.c.state == JobState.OPEN.value)
    if view == "mine":
        query = query.where(jobs.c.client == account)
    elif view == "invited":
        query = query.where(jobs.c.client != account, invited(account))
    elif view == "proposed":
        query = query.where(exists().where(proposals.c.job == jobs.c.id, proposals.c.freelancer == account))
    query = query.order_by(jobs.c.posted_at.desc(), jobs.c.id).offset(offset).limit(limit)
    return [_summary(row) for row in await conn.execute(query)]


async def count_jobs_since(conn: AsyncConnection, client: str, since: int) -> int:
    """Return how many jobs an account posted since an instant."""
    query = select(func.count()).select_from(jobs).where(jobs.c.client == client, jobs.c.posted_at >= since)
    return await conn.scalar(query) or 0


async def select_offer(conn: AsyncConnection, job: str, version: int) -> tuple[Offer, int] | None:
    """Return what a job offered in a version, and since when."""
    query = select(job_versions.c.offer, job_versions.c.at).where(
        job_versions.c.job == job, job_versions.c.version == version
    )
    found = (await conn.execute(query)).first()
    return None if found is None else (msgspec.json.decode(found.offer, type=Offer), found.at)


async def select_mailed_at(conn: AsyncConnection, job: str) -> int | None:
    """Return when the last mail about a job's proposals goes out, or went."""
    found: int | None = await conn.scalar(select(jobs.c.mailed_at).where(jobs.c.id == job))
    return found


async def update_mailed_at(conn: AsyncConnection, job: str, at: int) -> None:
    """Note when a mail about a job's proposals goes out."""
    await conn.execute(update(jobs).where(jobs.c.id == job).values(mailed_at=at))


async def lock_account(conn: AsyncConnection, account: str) -> None:
    """Hold an account until the commit, so that what it makes in a day is counted one after another."""
    await conn.execute(select(accounts.c.id).where(accounts.c.id == account).with_for_update(key_share=True))


# Invitations


async def insert_invitation(conn: AsyncConnection, row: InvitationRow) -> None:
    """Insert an invitation to a job."""
    await conn.execute(insert(job_invitations).values(**msgspec.structs.asdict(row)))


async def select_invitation(conn: AsyncConnection, job: str, email: str) -> InvitationRow | None:
    """Return the invitation of an address to a job."""
    query = select(*_INVITATION).where(job_invitations.c.job == job, job_invitations.c.email == email)
    found = (await conn.execute(query)).first()
    return None if found is None else InvitationRow(*found)


async def select_invitation_of(conn: AsyncConnection, job: str, account: str) -> InvitationRow | None:
    """Return an account's invitation to a job, by its verified address or by the link that it opened."""
    query = select(*_INVITATION).where(
        job_invitations.c.job == job, job_invitations.c.hidden_at.is_(None), invitation_of(account)
    )
    found = (await conn.execute(query.order_by(job_invitations.c.sent_at).limit(1))).first()
    return None if found is None else InvitationRow(*found)


async def select_address_to_verify(conn: AsyncConnection, account: str) -> str | None:
    """Return an account's address if it is not verified and invitations to open jobs wait for it."""
    query = (
        select(accounts.c.email)
        .join(job_invitations, job_invitations.c.email == accounts.c.email)
        .join(jobs, jobs.c.id == job_invitations.c.job)
        .where(
            accounts.c.id == account,
            accounts.c.verified_at.is_(None),
            job_invitations.c.account.is_(None),
            job_invitations.c.hidden_at.is_(None),
            jobs.c.state == JobState.OPEN.value,
            jobs.c.hidden_at.is_(None),
            jobs.c.client != account,
            not_(stands_between(account, jobs.c.client)),
        )
    )
    found: str | None = await conn.scalar(query.limit(1))
    return found


async def select_invitation_by_token(conn: AsyncConnection, token_hash: bytes) -> InvitationRow | None:
    """Return the invitation behind a link."""
    query = select(*_INVITATION).where(job_invitations.c.token_hash == token_hash)
    found = (await conn.execute(query)).first()
    return None if found is None else InvitationRow(*found)


async def select_invitations(conn: AsyncConnection, job: str, limit: int) -> list[InvitationRow]:
    """Return whom a job's client invited, the last one first."""
    query = select(*_INVITATION).where(job_invitations.c.job == job)
    rows = await conn.execute(query.order_by(job_invitations.c.sent_at.desc(), job_invitations.c.id).limit(limit))
    return [InvitationRow(*row) for row in rows]


async def update_invitation(conn: AsyncConnection, invitation: str, **values: Any) -> None:
    """Change an invitation: a new link, or who came by it."""
    await conn.execute(update(job_invitations).where(job_invitations.c.id == invitation).values(**values))


async def count_invitations_since(conn: AsyncConnection, account: str, since: int) -> int:
    """Return how many invitations an account sent since an instant."""
    query = select(func.count()).select_from(job_invitations)
    query = query.where(job_invitations.c.invited_by == account, job_invitations.c.sent_at >= since)
    return await conn.scalar(query) or 0


# Workrooms that somebody opened


async def insert_opening(conn: AsyncConnection, key: str, account: str, room: str, now: int) -> None:
    """Note that an account opened a workroom, under the key of the form or the proposal."""
    await conn.execute(insert(room_openings).values(key=key, account=account, room=room, at=now))


async def select_opening(conn: AsyncConnection, key: str) -> tuple[str, str] | None:
    """Return account and room of an opening."""
    query = select(room_openings.c.account, room_openings.c.room).where(room_openings.c.key == key)
    found = (await conn.execute(query)).first()
    return None if found is None else (found.account, found.room)


async def count_openings_since(conn: AsyncConnection, account: str, since: int) -> int:
    """Return how many workrooms an account opened since an instant."""
    query = select(func.count()).select_from(room_openings)
    query = query.where(room_openings.c.account == account, room_openings.c.at >= since)
    return await conn.scalar(query) or 0


# Parts


def _jobs() -> Select[Any]:
    return select(*_JOB).select_from(jobs.join(accounts, accounts.c.id == jobs.c.client))


def _summaries(account: str) -> Select[Any]:
    waiting = (
        select(func.count())
        .select_from(proposals)
        .where(
            proposals.c.job == jobs.c.id,
            proposals.c.state == "sent",
            proposals.c.hidden_at.is_(None),
            jobs.c.client == account,  # nobody else learns how many there are
            not_(stands_between(account, proposals.c.freelancer)),
        )
        .correlate(jobs)
        .scalar_subquery()
    )
    mine = (
        select(proposals.c.state)
        .where(proposals.c.job == jobs.c.id, proposals.c.freelancer == account)
        .order_by(proposals.c.sent_at.desc(), proposals.c.id)
        .limit(1)
        .correlate(jobs)
        .scalar_subquery()
    )
    return _jobs().add_columns(waiting.label("waiting"), mine.label("mine"), invited(account).label("is_invited"))


def _job(row: Any) -> JobRow:
    told = row._mapping
    values = {name: told[name] for name in Offer.__struct_fields__}
    values["skills"] = tuple(part for part in told["skills"].split(",") if part)
    offer = msgspec.convert(values, Offer)
    return JobRow(
        told["id"], told["client"], told["client_name"], JobState(told["state"]), told["version"], offer,
        *(told[name] for name in _STATE),
    )  # fmt: skip


def _summary(row: Any) -> JobSummaryRow:
    told = row._mapping
    return JobSummaryRow(_job(row), told["waiting"], told["mine"], bool(told["is_invited"]))


def _offer_values(offer: Offer) -> dict[str, Any]:
    values = {name: getattr(offer, name) for name in Offer.__struct_fields__}
    words = " ".join((offer.title, *offer.skills, offer.description)).casefold()
    return {
        **values,
        "pay": offer.pay.value,
        "visible_to": offer.visible_to.value,
        "skills": ",".join(offer.skills),
        "words": words,
    }


async def _insert_version(conn: AsyncConnection, job: str, version: int, offer: Offer, now: int) -> None:
    values = {"job": job, "version": version, "offer": msgspec.json.encode(offer), "at": now}
    await conn.execute(insert(job_versions).values(**values))
