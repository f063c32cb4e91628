"""Mails about proposals: a new one for my job, mine was declined, the messages were opened with me (rule 1.1).

Rule 1: each is queued in the transaction that it tells of, and leads to one page.
Rule 2: about the proposals for one job goes one mail an hour at most; those that come meanwhile share the next one.
Rule 3: nothing is mailed between two whom a block parts, to an address that was not verified, or to who wants no mail
    of notices at once.
"""

from __future__ import annotations

from app.domain.jobs import Pay
from app.domain.notices import NOTICES_MAX, Reason
from app.domain.timerange import HOUR_MS
from app.domain.workrooms import RoomInfo
from app.services import mail, notices
from app.services.resources import Resources
from app.storage import jobs as job_rows
from app.storage import notices as notice_rows
from app.storage.accounts import select_account
from app.storage.blocks import select_is_blocked
from app.storage.jobs import JobRow
from app.storage.proposals import ProposalRow
from app.storage.writer import Tx


async def tell_proposed(tx: Tx, resources: Resources, job: JobRow, proposal: ProposalRow) -> None:
    """Mail the client that somebody proposed. The caller holds the job until the commit."""
    now = resources.clock.real_now()
    last = await job_rows.select_mailed_at(tx.conn, job.id)
    if last is not None and last > now:
        return  # the mail that waits tells of this proposal too
    wait = 0 if last is None else max(0, last + HOUR_MS - now)
    title = job.offer.title
    if wait:
        subject = f"New proposals for “{title}”"
        text = f"There are new proposals for your job “{title}” since the last mail about it."
    else:
        freelancer = await select_account(tx.conn, proposal.freelancer)
        assert freelancer is not None, "the foreign key of a proposal"
        unit = "an hour" if job.offer.pay is Pay.HOURLY else "in all"
        subject = f"{freelancer.name} proposes for “{title}”"
        text = f"{freelancer.name} proposes to do your job “{title}” for {proposal.amount} {unit}."
    text += (
        "\n\nOn the page you compare the proposals, decline them, or open the messages. Nobody can write to you before "
        "you do.\n\nThere is one mail an hour about a job at most."
    )
    button = ("See the proposals", f"/jobs/{job.id}/proposals")
    if await _mail(tx, resources, job.client, proposal.freelancer, subject, text, button, wait):
        await job_rows.update_mailed_at(tx.conn, job.id, now + wait)


async def tell_declined(tx: Tx, resources: Resources, job: JobRow, proposal: ProposalRow, note: str) -> None:
    """Mail the freelancer that the client declined, with the client's word if there is one."""
    title = job.offer.title
    text = f"{job.client_name} declined your proposal for “{title}”."
    if note:
        text += f"\n\n{job.client_name} wrote: {note}"
    button = ("See the job", f"/jobs/{job.id}")
    subject = f"Your proposal for “{title}” was declined"
    await _mail(tx, resources, proposal.freelancer, job.client, subject, text, button)


async def tell_opened(tx: Tx, resources: Resources, job: JobRow, proposal: ProposalRow, info: RoomInfo) -> None:
    """Tell the freelancer, by a notice and a mail, that the client opened the messages of their proposal."""
    account = proposal.freelancer
    await notices.tell(tx, resources, info, {account: Reason.ANSWERED}, 0)
    text = (
        f"{job.client_name} has read your proposal for “{job.offer.title}” and opened a workroom for you both.\n\n"
        "There you write to each other, agree on terms and hand over work. Nothing is agreed yet."
    )
    subject = f"{job.client_name} opened the messages with you: {job.offer.title}"
    button = ("Go to the workroom", f"/rooms/{info.id}")
    if await _mail(tx, resources, account, job.client, subject, text, button):  # the digest need not say it again
        told = await notice_rows.select_unmailed(tx.conn, account, NOTICES_MAX)
        ids = [notice.id for notice in told if notice.room == info.id]
        await notice_rows.update_mailed(tx.conn, ids, resources.clock.real_now())


async def _mail(
    tx: Tx,
    resources: Resources,
    account: str,
    about: str,
    subject: str,
    text: str,
    button: tuple[str, str],
    wait_ms: int = 0,
) -> bool:
    """Queue a mail to an account about something that another one did (rule 3); return whether it was."""
    address = await notice_rows.select_address(tx.conn, account)
    settings = await notice_rows.select_settings(tx.conn, account)
    wants = settings is None or settings.at_once
    if address is None or not wants or await select_is_blocked(tx.conn, account, about):
        return False
    label, path = button
    await mail.queue_mail(
        tx,
        resources,
        address[0],
        subject,
        f"Hello {address[1]},\n\n{text}",
        purpose="proposal",
        button=(label, f"{resources.settings.base_url}{path}"),
        unsubscribe=notices.unsubscribe_address(resources, account),
        wait_ms=wait_ms,
    )
    return True
