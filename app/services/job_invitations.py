"""Invitations to a job: by e-mail address, to somebody with an account or without (rule 1.1).

Rule 1: who invites does not learn whether an address has an account, nor whether a block stands between the two: every
invitation is kept and looks sent.
Rule 2: the job is seen by the account that verified the address, and by the one that opened the link first. An address
    that somebody only typed shows nothing: it may be another person's.
Rule 3: the link works for 14 days; who has come by it stays invited.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.accounts import INVITATION_MS, checked_email
from app.domain.errors import Conflict, LinkSpent, Malformed, NotFound
from app.domain.ids import is_room_id
from app.domain.jobs import JobStep, Limited, day_start, next_job_state
from app.services import limits, mail
from app.services.access import Actor
from app.services.jobs import new_id
from app.services.links import digest_of, new_secret
from app.services.resources import Resources
from app.services.verification import require_verified
from app.storage import jobs as rows
from app.storage.accounts import select_account_by_email
from app.storage.blocks import select_is_blocked
from app.storage.jobs import InvitationRow, JobRow
from app.storage.writer import Tx


class Invited(Struct, frozen=True):
    """An invitation that was just sent: its link is shown only now."""

    email: str
    link: str


class InvitedTo(Struct, frozen=True):
    """What the page of a link shows before it is taken."""

    job: JobRow


async def invite_to_job(resources: Resources, actor: Actor, job: str, email: str) -> Invited:
    """Invite somebody to one's own job, and mail them.

    Raises:
        NotFound: if the actor has no such job.
        Malformed: if this is no address, or the actor's own.
        Conflict: if the job takes none, or this address was invited today already.
        AddressUnconfirmed: if the actor's address is not verified.
        TooMany: after twenty on one day.
    """
    secret = new_secret(resources)
    link = f"{resources.settings.base_url}/job-invitations/{secret}"

    async def work(tx: Tx) -> str:
        present = await rows.select_job(tx.conn, job, lock=True) if is_room_id(job) else None
        if present is None or present.client != actor.account:
            raise NotFound()
        address = checked_email(email)
        if address == actor.email:
            raise Malformed("This is your own address.", field="email")
        next_job_state(present.state, JobStep.INVITE)
        if present.hidden_at is not None:
            raise Conflict("The operator has hidden this job, so nobody can be invited to it. Its page says why.")
        before = await rows.select_invitation(tx.conn, job, address)
        if before is not None and before.sent_at >= day_start(tx.now):
            raise Conflict(f"You have invited {address} today already. You can remind them tomorrow.", field="email")
        await require_verified(tx.conn, actor)
        await limits.take(tx, actor.account, Limited.INVITATIONS)
        expires_at = resources.clock.real_now() + INVITATION_MS
        if before is None:
            row = InvitationRow(
                id=new_id(resources),
                job=job,
                email=address,
                account=None,
                invited_by=actor.account,
                token_hash=digest_of(secret),
                sent_at=tx.now,
                expires_at=expires_at,
            )
            await rows.insert_invitation(tx.conn, row)
        else:
            await rows.update_invitation(
                tx.conn, before.id, token_hash=digest_of(secret), sent_at=tx.now, expires_at=expires_at
            )
        await _tell(tx, resources, actor, present, address, link)
        return address

    address = await resources.database.writer.run(work)
    await mail.hint(resources)
    return Invited(address, link)


async def job_invitation(resources: Resources, token: str, actor: Actor | None) -> InvitedTo:
    """Return what a link invites to.

    Raises:
        LinkSpent: if somebody else took it, it is too old or never was, or a block or the operator stands before it.
    """
    _, job = await _open(resources, token, actor)
    return InvitedTo(job)


async def take_job_invitation(resources: Resources, actor: Actor, token: str) -> str:
    """Take an invitation by its link, so that this account sees the job; return the job.

    Raises:
        LinkSpent: as `job_invitation` does.
    """
    invitation, job = await _open(resources, token, actor)
    if job.client == actor.account:
        return job.id

    async def work(tx: Tx) -> None:
        await rows.select_job(tx.conn, job.id, lock=True)
        present = await rows.select_invitation_by_token(tx.conn, invitation.token_hash)
        if present is None or present.account not in (None, actor.account):
            raise LinkSpent()
        await rows.update_invitation(tx.conn, present.id, account=actor.account)

    await resources.database.writer.run(work)
    return job.id


async def _open(resources: Resources, token: str, actor: Actor | None) -> tuple[InvitationRow, JobRow]:
    async with resources.database.read() as conn:
        invitation = await rows.select_invitation_by_token(conn, digest_of(token))
        if invitation is None or invitation.hidden_at is not None:
            raise LinkSpent()
        job = await rows.select_job(conn, invitation.job)
        assert job is not None, "the foreign key of an invitation"
        if actor is not None and await select_is_blocked(conn, actor.account, job.client):
            raise LinkSpent()
    taken_by_actor = actor is not None and actor.account in (invitation.account, job.client)
    if job.hidden_at is not None or (
        not taken_by_actor and (invitation.account is not None or invitation.expires_at <= resources.clock.real_now())
    ):
        raise LinkSpent()
    return invitation, job


async def _tell(tx: Tx, resources: Resources, actor: Actor, job: JobRow, address: str, link: str) -> None:
    """Mail an invitation, unless a block stands between the two: the only place that does."""
    account = await select_account_by_email(tx.conn, address)
    if account is not None and await select_is_blocked(tx.conn, actor.account, account.id):
        return
    text = (
        f"{actor.name} invites you to propose for the job “{job.offer.title}”.\n\n"
        "The link below shows the job. You sign in, or make an account, to read it in full and to answer. It works "
        "for 14 days.\n\n"
        "If you do not know this person, ignore this mail, or report the invitation on the job's page."
    )
    await mail.queue_mail(
        tx,
        resources,
        address,
        f"{actor.name} invites you to a job: {job.offer.title}",
        text,
        purpose="job_invitation",
        button=("See the job", link),
        lasts_ms=INVITATION_MS,
    )
