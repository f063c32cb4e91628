"""Rows of proposals.

Rule 1: functions here decide nothing and never commit.
Rule 2: what a block parts, or the operator hid, is left out of the client's lists; what has a workroom stays listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Select, and_, func, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs import ProposalState, Soon
from app.domain.money import Money
from app.storage.blocks import stands_between
from app.storage.tables import accounts, jobs, proposals


class ProposalRow(Struct, frozen=True):
    """A proposal. `note` came with the answer; `room` is there once the messages were opened."""

    id: str
    job: str
    freelancer: str
    version: int
    state: ProposalState
    text: str
    amount_minor: int
    currency: str
    soon: Soon
    sent_at: int
    answered_at: int | None = None
    note: str | None = None
    room: str | None = None
    hidden_at: int | None = None
    hidden_reason: str | None = None

    @property
    def amount(self) -> Money:
        """What the freelancer asks for: an hour, or the whole."""
        return Money(self.amount_minor, self.currency)


class ListedProposal(Struct, frozen=True):
    """A proposal with the names of its job and of the one who made it."""

    proposal: ProposalRow
    freelancer_name: str
    job_title: str
    job_version: int


_PROPOSAL = tuple(proposals.c[name] for name in ProposalRow.__struct_fields__)


async def insert_proposal(conn: AsyncConnection, row: ProposalRow) -> None:
    """Insert a proposal."""
    values = structs.asdict(row)
    await conn.execute(insert(proposals).values(**{**values, "state": row.state.value, "soon": row.soon.value}))


async def select_proposal(conn: AsyncConnection, proposal: str) -> ProposalRow | None:
    """Return a proposal, whoever asks. What changes it holds its job first."""
    found = (await conn.execute(select(*_PROPOSAL).where(proposals.c.id == proposal))).first()
    return None if found is None else _proposal(found)


async def select_proposal_of(conn: AsyncConnection, job: str, freelancer: str) -> ProposalRow | None:
    """Return the last proposal of a freelancer for a job."""
    query = select(*_PROPOSAL).where(proposals.c.job == job, proposals.c.freelancer == freelancer)
    found = (await conn.execute(query.order_by(proposals.c.sent_at.desc(), proposals.c.id).limit(1))).first()
    return None if found is None else _proposal(found)


async def select_proposals_for(conn: AsyncConnection, job: str, client: str, limit: int) -> list[ListedProposal]:
    """Return the proposals for a job as its client sees them: those that wait first, each group by time."""
    waits_last = proposals.c.state != ProposalState.SENT.value
    query = (
        _listed()
        .where(proposals.c.job == job, _reaches(client, proposals.c.freelancer))
        .order_by(waits_last, proposals.c.sent_at, proposals.c.id)
        .limit(limit)
    )
    return [_listed_row(row) for row in await conn.execute(query)]


async def select_waiting_for(conn: AsyncConnection, client: str, limit: int) -> list[tuple[str, str, int]]:
    """Return id, title and number of waiting proposals of a client's jobs that have any."""
    query = (
        select(jobs.c.id, jobs.c.title, func.count())
        .join(proposals, proposals.c.job == jobs.c.id)
        .where(
            jobs.c.client == client,
            jobs.c.state != "closed",
            proposals.c.state == ProposalState.SENT.value,
            _reaches(client, proposals.c.freelancer),
        )
        .group_by(jobs.c.id, jobs.c.title)
        .order_by(func.min(proposals.c.sent_at))
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in await conn.execute(query)]


async def update_proposal(conn: AsyncConnection, proposal: str, state: ProposalState, **values: Any) -> None:
    """Note how a proposal stands."""
    await conn.execute(update(proposals).where(proposals.c.id == proposal).values(state=state.value, **values))


async def update_proposals_withdrawn(conn: AsyncConnection, freelancer: str, now: int) -> None:
    """Withdraw all proposals of a freelancer that wait."""
    own = (proposals.c.freelancer == freelancer, proposals.c.state == ProposalState.SENT.value)
    await conn.execute(update(proposals).where(*own).values(state=ProposalState.WITHDRAWN.value, answered_at=now))


async def count_proposals_since(conn: AsyncConnection, freelancer: str, since: int) -> int:
    """Return how many proposals an account sent since an instant, withdrawn ones too."""
    query = select(func.count()).select_from(proposals)
    query = query.where(proposals.c.freelancer == freelancer, proposals.c.sent_at >= since)
    return await conn.scalar(query) or 0


async def select_rooms_of_job(conn: AsyncConnection, job: str, but: str, limit: int) -> list[str]:
    """Return the workrooms of a job but one."""
    query = select(proposals.c.room).where(
        proposals.c.job == job, proposals.c.room.is_not(None), proposals.c.room != but
    )
    found: Sequence[str | None] = (await conn.scalars(query.order_by(proposals.c.room).limit(limit))).all()
    return [room for room in found if room is not None]


async def select_proposal_of_room(conn: AsyncConnection, room: str) -> ListedProposal | None:
    """Return the proposal that a workroom came from."""
    found = (await conn.execute(_listed().where(proposals.c.room == room))).first()
    return None if found is None else _listed_row(found)


def _reaches(viewer: str, other: ColumnElement[str]) -> ColumnElement[bool]:
    unseen = or_(proposals.c.hidden_at.is_not(None), stands_between(viewer, other))
    return or_(proposals.c.room.is_not(None), and_(not_(unseen)))


def _listed() -> Select[Any]:
    return select(
        *_PROPOSAL,
        accounts.c.name.label("freelancer_name"),
        jobs.c.title.label("job_title"),
        jobs.c.version.label("job_version"),
    ).select_from(
        proposals.join(accounts, accounts.c.id == proposals.c.freelancer).join(jobs, jobs.c.id == proposals.c.job)
    )


def _proposal(row: Any) -> ProposalRow:
    values = dict(zip(ProposalRow.__struct_fields__, row, strict=False))
    return ProposalRow(**{**values, "state": ProposalState(values["state"]), "soon": Soon(values["soon"])})


def _listed_row(row: Any) -> ListedProposal:
    size = len(_PROPOSAL)
    return ListedProposal(_proposal(row[:size]), *row[size:])
