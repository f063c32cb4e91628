"""Proposals: send, withdraw, decline, and open the messages with one of them (rule 1.1).

Rule 1: a freelancer has one proposal for a job; who withdrew it may send another.
Rule 2: exactly one step counts: whatever changes a proposal holds its job first, and then looks how it stands.
Rule 3: the messages of a proposal are opened once: proposal and workroom change in one commit. Before, neither of the
two can write to the other.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.errors import Conflict, Forbidden, Malformed, NotFound
from app.domain.ids import id_from_bytes, is_room_id
from app.domain.jobs import (
    NOTE_CHARS_MAX,
    PROPOSAL_CHARS_MAX,
    JobStep,
    Limited,
    ProposalState,
    ProposalStep,
    Soon,
    checked_text,
    choice,
    next_job_state,
    next_proposal_state,
    paid,
)
from app.domain.workrooms import RoomInfo, Side, checked_title
from app.services import invitations, job_mails, limits, mail, workrooms
from app.services.access import Actor, member_of, remember_room
from app.services.jobs import visible_job
from app.services.resources import Resources
from app.services.verification import require_verified
from app.storage import jobs as job_rows
from app.storage import proposals as rows
from app.storage.blocks import select_is_blocked
from app.storage.jobs import JobRow
from app.storage.proposals import ListedProposal, ProposalRow
from app.storage.writer import Tx

PROPOSALS_SHOWN_MAX = 200  # what one client can compare; a day brings 20 a person


class NewProposal(Struct, frozen=True):
    """A proposal as it was typed. `version` is the one of the offer that was read; empty fields are missing."""

    text: str = ""
    amount: str = ""
    soon: str = ""
    version: int = 0


class JobProposals(Struct, frozen=True):
    """A job with the proposals for it, for its client."""

    job: JobRow
    proposals: list[ListedProposal]


async def send_proposal(resources: Resources, actor: Actor, job: str, typed: NewProposal) -> str:
    """Propose to do a job; return the proposal's id. The same one sent twice is one.

    Raises:
        NotFound: if the actor does not see the job.
        Forbidden: if it is the actor's own.
        Malformed, TooLarge: naming the field.
        Conflict: if the job takes none, was edited since it was read, or has another proposal of the actor.
        AddressUnconfirmed: if the actor's address is not verified.
        TooMany: after twenty on one day.
    """
    text = checked_text(typed.text, PROPOSAL_CHARS_MAX, "text", "Say why the client should choose you, and how.")
    soon = choice(Soon, typed.soon, "soon", "Say how soon you can begin.")
    made = id_from_bytes(resources.random_bytes(16))

    async def work(tx: Tx) -> str:
        await job_rows.select_job(tx.conn, job, lock=True)
        present = (await visible_job(tx.conn, actor, job)).job
        if present.client == actor.account:
            raise Forbidden("This is your own job.")
        amount = paid(typed.amount, present.offer.currency, "amount")
        before = await rows.select_proposal_of(tx.conn, job, actor.account)
        if before is not None and before.state is not ProposalState.WITHDRAWN:
            if (before.text, before.amount, before.soon) == (text, amount, soon):
                return before.id
            raise Conflict("You have proposed for this job already. Withdraw that proposal to send another.")
        next_job_state(present.state, JobStep.PROPOSE)
        if present.hidden_at is not None:
            raise NotFound()
        if present.version != typed.version:
            raise Conflict(
                "The client has edited this job since you opened it. Read it again, and send your proposal if it "
                "still fits; nothing of it was lost.",
                field="version",
            )
        await require_verified(tx.conn, actor)
        await limits.take(tx, actor.account, Limited.PROPOSALS)
        row = ProposalRow(
            id=made,
            job=job,
            freelancer=actor.account,
            version=present.version,
            state=ProposalState.SENT,
            text=text,
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            soon=soon,
            sent_at=tx.now,
        )
        await rows.insert_proposal(tx.conn, row)
        await job_mails.tell_proposed(tx, resources, present, row)
        return made

    sent = await resources.database.writer.run(work)
    await mail.hint(resources)
    return sent


async def withdraw_proposal(resources: Resources, actor: Actor, proposal: str) -> str:
    """Take one's own proposal back; return its job.

    Raises:
        NotFound: if the actor has no such proposal.
        Conflict: if it was answered or taken back meanwhile; it says how it stands.
    """

    async def work(tx: Tx) -> str:
        found, job = await _held(tx, proposal)
        if found.freelancer != actor.account:
            raise NotFound()
        state = next_proposal_state(found.state, ProposalStep.WITHDRAW)
        await rows.update_proposal(tx.conn, proposal, state, answered_at=tx.now)
        return job.id

    return await resources.database.writer.run(work)


async def decline_proposal(resources: Resources, actor: Actor, proposal: str, note: str = "") -> str:
    """Decline a proposal for one's own job, with a word if there is one; return the job.

    Raises:
        NotFound: if the actor has no job with this proposal.
        Conflict: if it was answered or taken back meanwhile; it says how it stands.
    """
    word = checked_text(note, NOTE_CHARS_MAX, "note")

    async def work(tx: Tx) -> str:
        found, job = await _held_by_client(tx, actor, proposal)
        state = next_proposal_state(found.state, ProposalStep.DECLINE)
        await rows.update_proposal(tx.conn, proposal, state, answered_at=tx.now, note=word or None)
        await job_mails.tell_declined(tx, resources, job, found, word)
        return job.id

    declined = await resources.database.writer.run(work)
    await mail.hint(resources)
    return declined


async def open_messages(resources: Resources, actor: Actor, proposal: str) -> str:
    """Open the workroom of a client and a freelancer who proposed; return its id, the same one however often.

    Raises:
        NotFound: if the actor has no job with this proposal.
        Conflict: if the proposal was declined or taken back, or the job is closed or hidden.
        TooMany: after twenty workrooms on one day.
    """

    async def work(tx: Tx) -> tuple[str, RoomInfo | None]:
        found, job = await _held_by_client(tx, actor, proposal)
        if found.state is ProposalState.OPENED and found.room is not None:
            return found.room, None
        state = next_proposal_state(found.state, ProposalStep.OPEN)
        next_job_state(job.state, JobStep.OPEN_MESSAGES)
        if job.hidden_at is not None:
            raise Conflict("The operator has hidden this job, so nothing can be opened from it. Its page says why.")
        await limits.take(tx, actor.account, Limited.ROOMS)
        info = await workrooms.open_room_in(
            tx,
            resources,
            actor.account,
            found.freelancer,
            job.offer.title,
            time_zone=job.offer.time_zone,
            work_view=job.offer.work_view,
            job=job.id,
        )
        await rows.update_proposal(tx.conn, proposal, state, answered_at=tx.now, room=info.id)
        await job_rows.insert_opening(tx.conn, proposal, actor.account, info.id, tx.now)
        await job_mails.tell_opened(tx, resources, job, found, info)
        return info.id, info

    room, opened = await resources.database.writer.run(work)
    if opened is not None:
        remember_room(resources, opened)
        await mail.hint(resources)
    return room


async def proposals_for(resources: Resources, actor: Actor, job: str) -> JobProposals:
    """Return the proposals for one's own job, those that wait first.

    Raises:
        NotFound: if the actor has no such job.
    """
    async with resources.database.read() as conn:
        found = await job_rows.select_job(conn, job) if is_room_id(job) else None
        if found is None or found.client != actor.account:
            raise NotFound()
        return JobProposals(found, await rows.select_proposals_for(conn, job, actor.account, PROPOSALS_SHOWN_MAX))


async def proposal_of_room(resources: Resources, actor: Actor, room: str) -> ListedProposal | None:
    """Return the proposal that a workroom came from, for its members; None for other workrooms.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        return await rows.select_proposal_of_room(conn, room)


# A workroom without a job, for two who know each other


async def start_room(
    resources: Resources, actor: Actor, key: str, title: str, side: Side, *, time_zone: str, work_view: bool
) -> tuple[str, str]:
    """Open a workroom with oneself on `side`; return its id and a link that invites the other side.

    A form that is sent twice, under the same `key`, opens one workroom.

    Raises:
        Malformed: naming the field.
        Conflict: if somebody else's form had that key, or the other side has joined already.
        AddressUnconfirmed: if the actor's address is not verified.
        TooMany: after twenty workrooms on one day.
    """
    title = checked_title(title)
    if side not in (Side.CLIENT, Side.FREELANCER):
        raise Malformed("You begin as the client or as the freelancer.", field="side")
    if not is_room_id(key):
        raise Conflict("This form is broken. Open it anew.")

    async def work(tx: Tx) -> tuple[str, RoomInfo | None]:
        before = await job_rows.select_opening(tx.conn, key)
        if before is not None:
            account, room = before
            if account != actor.account:
                raise Conflict("This form was used before. Open it anew.")
            return room, None
        await require_verified(tx.conn, actor)
        await limits.take(tx, actor.account, Limited.ROOMS)
        client, freelancer = (actor.account, None) if side is Side.CLIENT else (None, actor.account)
        info = await workrooms.open_room_in(
            tx, resources, client, freelancer, title, time_zone=time_zone, work_view=work_view
        )
        await job_rows.insert_opening(tx.conn, key, actor.account, info.id, tx.now)
        return info.id, info

    room, opened = await resources.database.writer.run(work)
    if opened is not None:
        remember_room(resources, opened)
    other = Side.FREELANCER if side is Side.CLIENT else Side.CLIENT
    return room, await invitations.invite(resources, actor, room, other)


# Parts


async def _held(tx: Tx, proposal: str) -> tuple[ProposalRow, JobRow]:
    """Return a proposal and its job, held until the commit."""
    found = await rows.select_proposal(tx.conn, proposal) if is_room_id(proposal) else None
    if found is None:
        raise NotFound()
    job = await job_rows.select_job(tx.conn, found.job, lock=True)
    found = await rows.select_proposal(tx.conn, proposal)  # as it stands now that nobody else can change it
    assert job is not None and found is not None, "the foreign key of a proposal"
    return found, job


async def _held_by_client(tx: Tx, actor: Actor, proposal: str) -> tuple[ProposalRow, JobRow]:
    found, job = await _held(tx, proposal)
    if job.client != actor.account:
        raise NotFound()
    if found.room is None and (
        found.hidden_at is not None or await select_is_blocked(tx.conn, actor.account, found.freelancer)
    ):
        raise NotFound()
    return found, job
