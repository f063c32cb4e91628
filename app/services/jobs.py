"""Jobs: post, edit, close, find, award; and who sees which (rule 1.1).

Rule 1: every account can be the client of one job and the freelancer of another.
Rule 2: a job that one may not see looks like one that is not there; so does one behind a block, in both directions.
Rule 3: whatever changes a job or its proposals holds the job's row first, so that steps come one after another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import date

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import Conflict, Malformed, NotFound
from app.domain.ids import id_from_bytes, is_room_id
from app.domain.jobs import (
    JobState,
    JobStep,
    Limited,
    Offer,
    Pay,
    next_job_state,
    offer_of_form,
    words_of,
)
from app.domain.record import Draft
from app.domain.timerange import datetime_of
from app.domain.workrooms import SYSTEM
from app.services import limits
from app.services.access import Actor
from app.services.resources import Resources
from app.services.verification import require_verified
from app.storage import blocks as block_rows
from app.storage import jobs as rows
from app.storage import proposals as proposal_rows
from app.storage.jobs import InvitationRow, JobRow, JobSummaryRow
from app.storage.proposals import ProposalRow
from app.storage.writer import Tx

JOBS_PER_PAGE = 20  # a page to read through
PAGES_MAX = 50  # a thousand jobs: who looks further needs other words
INVITATIONS_SHOWN_MAX = 200
OTHER_ROOMS_MAX = 200  # workrooms of one job that hear of its award: one unit of work writes to all


class JobSearch(Struct, frozen=True):
    """What is looked for. `view` is "all", "mine", "invited" or "proposed"; `page` counts from 1."""

    text: str = ""
    pay: Pay | None = None
    open_only: bool = False
    view: str = "all"
    page: int = 1


class JobsPage(Struct, frozen=True):
    """A page of jobs, and whether there are more behind it."""

    jobs: list[JobSummaryRow]
    page: int
    more: bool


class JobView(Struct, frozen=True):
    """A job as one account sees it.

    `asked` is another version than the present one, where that was asked for, and `asked_at` since when it was
    offered. `mine` is one's own last proposal, `invitation` one's own; `invitations` are shown to the client only.
    """

    job: JobRow
    is_client: bool
    is_invited: bool
    waiting: int
    mine: ProposalRow | None
    proposals_left: int
    invitation: InvitationRow | None
    invitations: list[InvitationRow]
    asked: Offer | None = None
    asked_version: int | None = None
    asked_at: int | None = None


class Waiting(Struct, frozen=True):
    """What waits for somebody: jobs that they are invited to, and proposals for their own (id, title, number).

    `to_verify` is their address if invitations wait for it and it is not verified yet: they see none of them before.
    """

    invited: list[JobSummaryRow]
    proposals: list[tuple[str, str, int]]
    to_verify: str | None = None


def new_id(resources: Resources) -> str:
    """Return an id for a job or another thing of this module that a form is going to make, once."""
    return id_from_bytes(resources.random_bytes(16))


def offer_of(resources: Resources, form: Mapping[str, str]) -> Offer:
    """Return the offer that a form describes, as `offer_of_form` does.

    Raises:
        Malformed, TooLarge: naming the field.
    """
    return offer_of_form(form, today(resources))


def today(resources: Resources) -> date:
    """Return the present day of the record's clock, in UTC."""
    return datetime_of(resources.clock.record_now()).date()


async def post_job(resources: Resources, actor: Actor, offer: Offer, job: str | None = None) -> str:
    """Post a job; return its id. With an id that a form brought, a form that is sent twice posts one job.

    Raises:
        Malformed: if the id is none.
        Conflict: if somebody else's job has that id.
        AddressUnconfirmed: if the actor's address is not verified.
        TooMany: after ten on one day.
    """
    made = new_id(resources) if job is None else job
    if not is_room_id(made):
        raise Malformed("This form is broken. Open it anew.", field="job")

    async def work(tx: Tx) -> None:
        present = await rows.select_job(tx.conn, made)
        if present is not None:
            if present.client != actor.account:
                raise Conflict("This form was used before. Open it anew.", field="job")
            return
        await require_verified(tx.conn, actor)
        await limits.take(tx, actor.account, Limited.JOBS)
        await rows.insert_job(tx.conn, made, actor.account, offer, tx.now)

    await resources.database.writer.run(work)
    return made


async def edit_job(resources: Resources, actor: Actor, job: str, version: int, offer: Offer) -> None:
    """Offer something else from now on; proposals made before keep the version that they answered.

    `version` is the one that was edited. An offer that is the same changes nothing.

    Raises:
        NotFound: if the actor has no such job.
        Conflict: if the job is not open, or was edited elsewhere since.
    """

    async def work(tx: Tx) -> None:
        present = await _own_job(tx, actor, job, JobStep.EDIT)
        if present.offer == offer:
            return
        if present.version != version:
            raise Conflict(
                "This job was edited in another window meanwhile. Below stands what you typed here; compare it with "
                "the job, and save again to keep yours.",
                field="version",
            )
        await rows.update_offer(tx.conn, job, version + 1, offer, tx.now)

    await resources.database.writer.run(work)


async def close_job(resources: Resources, actor: Actor, job: str) -> None:
    """Close a job: nothing can be added to it; workrooms that it brought about go on.

    Raises:
        NotFound: if the actor has no such job.
        Conflict: if it is closed already.
    """

    async def work(tx: Tx) -> None:
        present = await _own_job(tx, actor, job, JobStep.CLOSE)
        await rows.update_job_state(tx.conn, job, next_job_state(present.state, JobStep.CLOSE), tx.now)

    await resources.database.writer.run(work)


async def find_jobs(resources: Resources, actor: Actor, search: JobSearch) -> JobsPage:
    """Return jobs that the actor sees and that fit, the newest first. One query."""
    page = min(max(search.page, 1), PAGES_MAX)
    async with resources.database.read() as conn:
        found = await rows.select_jobs(
            conn,
            actor.account,
            words=words_of(search.text),
            pay=search.pay,
            open_only=search.open_only,
            view=search.view,
            offset=(page - 1) * JOBS_PER_PAGE,
            limit=JOBS_PER_PAGE + 1,
        )
    return JobsPage(found[:JOBS_PER_PAGE], page, len(found) > JOBS_PER_PAGE and page < PAGES_MAX)


async def job_view(resources: Resources, actor: Actor, job: str, version: int | None = None) -> JobView:
    """Return a job as the actor sees it, with another version of its offer if one is asked for.

    Raises:
        NotFound: if there is no such job, or not for the actor; or no such version.
    """
    async with resources.database.read() as conn:
        found = await visible_job(conn, actor, job)
        is_client = found.job.client == actor.account
        mine = None if is_client else await proposal_rows.select_proposal_of(conn, job, actor.account)
        invitations = await rows.select_invitations(conn, job, INVITATIONS_SHOWN_MAX) if is_client else []
        invitation = None
        if found.is_invited:
            invitation = await rows.select_invitation_of(conn, job, actor.account)
        asked = None
        if version is not None and version != found.job.version:
            if not (is_client or (mine is not None and mine.version == version)):
                raise NotFound()
            asked = await rows.select_offer(conn, job, version)
            if asked is None:
                raise NotFound()
    return JobView(
        job=found.job,
        is_client=is_client,
        is_invited=found.is_invited,
        waiting=found.proposals,
        mine=mine,
        proposals_left=await limits.left_today(resources, actor, Limited.PROPOSALS),
        invitation=invitation,
        invitations=invitations,
        asked=asked[0] if asked else None,
        asked_version=version if asked else None,
        asked_at=asked[1] if asked else None,
    )


async def waiting_for(resources: Resources, actor: Actor) -> Waiting:
    """Return what jobs have for the actor's home page: invitations not yet answered, proposals to answer."""
    async with resources.database.read() as conn:
        invited = await rows.select_jobs(conn, actor.account, view="invited", open_only=True, limit=JOBS_PER_PAGE)
        proposals = await proposal_rows.select_waiting_for(conn, actor.account, JOBS_PER_PAGE)
        to_verify = await rows.select_address_to_verify(conn, actor.account)
    return Waiting([found for found in invited if found.mine is None], proposals, to_verify)


async def visible_job(conn: AsyncConnection, actor: Actor, job: str) -> JobSummaryRow:
    """Return a job that the actor sees. The operator sees one that was reported.

    Raises:
        NotFound: for any other.
    """
    if not is_room_id(job):
        raise NotFound()
    found = await rows.select_visible_job(conn, job, actor.account)
    if found is not None:
        return found
    if actor.operator and await block_rows.select_job_is_reported(conn, job):
        reported = await rows.select_job(conn, job)
        if reported is not None:
            return JobSummaryRow(reported, 0, None, False)
    raise NotFound()


# An award in one workroom tells the others


async def other_rooms(conn: AsyncConnection, job: str, room: str) -> list[str]:
    """Return the workrooms of a job but `room`, at most 200: a unit of work names them before it begins."""
    return await proposal_rows.select_rooms_of_job(conn, job, room, OTHER_ROOMS_MAX)


async def on_award(tx: Tx, resources: Resources, job: str, room: str) -> list[str]:
    """Note that terms were accepted in `room`: the job is awarded, and its other workrooms hear of it.

    The unit of work must have named `other_rooms`; one that was opened since is left out. A second award tells nobody
    again. Returns the rooms that were told.
    """
    present = await rows.select_job(tx.conn, job, lock=True)
    if present is None or present.state is not JobState.OPEN:
        return []
    await rows.update_job_state(tx.conn, job, next_job_state(present.state, JobStep.AWARD))
    told = []
    for other in await other_rooms(tx.conn, job, room):
        with contextlib.suppress(NotFound):  # opened since the unit named its rooms
            await tx.append(Draft(other, "room.job_awarded", SYSTEM, {}))
            told.append(other)
    return told


async def leave_jobs(tx: Tx, account: str) -> None:
    """Close the jobs and withdraw the proposals of an account that is being closed; its workrooms are not touched."""
    await rows.update_jobs_closed(tx.conn, account, tx.now)
    await proposal_rows.update_proposals_withdrawn(tx.conn, account, tx.now)


# Parts


async def _own_job(tx: Tx, actor: Actor, job: str, step: JobStep) -> JobRow:
    """Return the actor's own job, held until the commit, if it can take a step."""
    present = await rows.select_job(tx.conn, job, lock=True) if is_room_id(job) else None
    if present is None or present.client != actor.account:
        raise NotFound()
    next_job_state(present.state, step)
    return present
