"""Blocks and reports: how a person keeps another one away, and tells the operator (rule 1.1).

Rule 1: a block works in both directions and tells nobody: what it hides looks like what is not there. Workrooms that
two have already go on, since their record is the evidence of both.
Rule 2: a report names a thing that its author sees; it is answered by the operator, and its author reads the answer.
Rule 3: what the operator hides is kept, is shown to its author with the reason, and can be shown again.
"""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.blocks import (
    REASON_CHARS_MAX,
    ReportReason,
    ReportState,
    ReportStep,
    Subject,
    next_report_state,
)
from app.domain.errors import Malformed, NotFound, TooMany
from app.domain.ids import is_room_id
from app.domain.jobs import NOTE_CHARS_MAX, Limited, checked_text, choice
from app.services import limits
from app.services.access import Actor
from app.services.jobs import new_id, visible_job
from app.services.resources import Resources
from app.storage import blocks as rows
from app.storage import jobs as job_rows
from app.storage import proposals as proposal_rows
from app.storage.accounts import select_account
from app.storage.blocks import AnswerRow, BlockRow, ReportedRow, ReportRow, SubjectRow
from app.storage.writer import Tx

BLOCKS_MAX = 500  # a person who blocks more wants another server
REPORTS_SHOWN_MAX = 200


class Reported(Struct, frozen=True):
    """A thing that can be reported: what the page shows of it, and whose it is."""

    subject: Subject
    subject_id: str
    title: str
    account: str
    account_name: str


class ShownReport(Struct, frozen=True):
    """A report with what it is about, as it stands now."""

    row: ReportedRow
    about: SubjectRow | None


# Blocks


async def block_account(resources: Resources, actor: Actor, account: str) -> None:
    """Block an account. It is not told.

    Raises:
        Malformed: if it is one's own.
        NotFound: if there is no such account.
        TooMany: after five hundred.
    """
    if account == actor.account:
        raise Malformed("This is your own account.", field="account")

    async def work(tx: Tx) -> None:
        if not is_room_id(account) or await select_account(tx.conn, account) is None:
            raise NotFound()
        if await rows.count_blocks_of(tx.conn, actor.account) >= BLOCKS_MAX:
            raise TooMany(f"You have blocked {BLOCKS_MAX} accounts, which is the limit. Unblock one first.")
        await rows.insert_block(tx.conn, actor.account, account, tx.now)

    await resources.database.writer.run(work)


async def unblock_account(resources: Resources, actor: Actor, account: str) -> None:
    """Take a block away; a second time changes nothing."""

    async def work(tx: Tx) -> None:
        await rows.delete_block(tx.conn, actor.account, account)

    await resources.database.writer.run(work)


async def blocks_of(resources: Resources, actor: Actor) -> list[BlockRow]:
    """Return whom the actor blocked, the last one first."""
    async with resources.database.read() as conn:
        return await rows.select_blocks_of(conn, actor.account, BLOCKS_MAX)


# Reports


async def reportable(resources: Resources, actor: Actor, subject: Subject, subject_id: str) -> Reported:
    """Return a thing that the actor sees and can report.

    Raises:
        NotFound: if there is none, or not for the actor.
    """
    async with resources.database.read() as conn:
        return await _reportable(conn, actor, subject, subject_id)


async def report(
    resources: Resources,
    actor: Actor,
    subject: Subject,
    subject_id: str,
    reason: str,
    text: str,
    *,
    block: bool = False,
) -> str:
    """Report a thing to the operator, and block its author if that is wanted; return the report's id.

    Who reported it already, and has no answer yet, changes nothing.

    Raises:
        NotFound: if the actor does not see the thing.
        Malformed, TooLarge: naming the field.
        TooMany: after twenty on one day.
    """
    why = choice(ReportReason, reason, "reason", "Choose what is wrong.")
    told = checked_text(text, REASON_CHARS_MAX, "text", "Say what is wrong." if why is ReportReason.OTHER else "")
    made = new_id(resources)

    async def work(tx: Tx) -> str:
        thing = await _reportable(tx.conn, actor, subject, subject_id)
        if block:
            await rows.insert_block(tx.conn, actor.account, thing.account, tx.now)
        before = await rows.select_open_report(tx.conn, actor.account, subject.value, subject_id)
        if before is not None:
            return before
        await limits.take(tx, actor.account, Limited.REPORTS)
        row = ReportRow(
            id=made,
            reporter=actor.account,
            subject=subject.value,
            subject_id=subject_id,
            account=thing.account,
            reason=why.value,
            text=told,
            state=ReportState.OPEN.value,
            sent_at=tx.now,
        )
        await rows.insert_report(tx.conn, row)
        return made

    return await resources.database.writer.run(work)


async def my_reports(resources: Resources, actor: Actor) -> list[ReportedRow]:
    """Return what the actor reported, with the answers, the newest first."""
    async with resources.database.read() as conn:
        return await rows.select_reports_of(conn, actor.account, REPORTS_SHOWN_MAX)


# The operator's side


async def open_reports(resources: Resources, state: ReportState | None = ReportState.OPEN) -> list[ShownReport]:
    """Return reports for the operator: those that wait, the oldest first; or all (None), the newest first."""
    async with resources.database.read() as conn:
        found = await rows.select_reports(conn, state=None if state is None else state.value, limit=REPORTS_SHOWN_MAX)
        about = await rows.select_subjects(conn, [(row.report.subject, row.report.subject_id) for row in found])
    return [ShownReport(row, about.get((row.report.subject, row.report.subject_id))) for row in found]


async def count_open_reports(resources: Resources) -> int:
    """Return how many reports wait for the operator."""
    async with resources.database.read() as conn:
        return await rows.count_reports_open(conn)


def check_operator(actor: Actor) -> None:
    """Check that the actor is an operator; for others there is nothing here.

    Raises:
        NotFound: if not.
    """
    if not actor.operator:
        raise NotFound()


async def answer_report(
    resources: Resources, actor: Actor | None, report: str, step: ReportStep, answer: str = ""
) -> ReportRow:
    """Dismiss a report, or hide what it is about; `actor` is an operator, or None for the command line.

    Hiding answers every waiting report about the same thing. Dismissing one whose thing was hidden shows it again.

    Raises:
        NotFound: if there is no such report, or the actor is no operator.
        Malformed: if an account is to be hidden: accounts are not.
        Conflict: if it was answered already; it says how it stands.
    """
    if actor is not None:
        check_operator(actor)
    word = checked_text(
        answer, NOTE_CHARS_MAX, "answer", "Say why: its author reads it." if step is ReportStep.HIDE else ""
    )

    async def work(tx: Tx) -> ReportRow:
        found = await rows.select_report(tx.conn, report, lock=True) if is_room_id(report) else None
        if found is None:
            raise NotFound("There is no such report. `report list` shows those there are.")
        state = next_report_state(ReportState(found.state), step)
        if step is ReportStep.HIDE and found.subject == Subject.ACCOUNT:
            raise Malformed("An account cannot be hidden. Hide what it posted, or dismiss the report with an answer.")
        answered = AnswerRow(state.value, tx.now, actor.account if actor is not None else None, word)
        if step is ReportStep.HIDE:
            await rows.update_hidden(tx.conn, found.subject, found.subject_id, tx.now, word)
            await rows.update_reports_about(tx.conn, found.subject, found.subject_id, "open", answered)
        elif found.state == ReportState.HIDDEN:
            await rows.update_hidden(tx.conn, found.subject, found.subject_id, None, None)
            await rows.update_reports_about(tx.conn, found.subject, found.subject_id, "hidden", answered)
        else:
            await rows.update_report(tx.conn, report, answered)
        return found

    return await resources.database.writer.run(work)


# Parts


async def _reportable(conn: AsyncConnection, actor: Actor, subject: Subject, subject_id: str) -> Reported:
    if not is_room_id(subject_id):
        raise NotFound()
    about = await rows.select_subject(conn, subject.value, subject_id)
    if about is None or about.account == actor.account:
        raise NotFound()
    if subject is Subject.JOB:
        await visible_job(conn, actor, subject_id)
    elif subject is Subject.PROPOSAL:
        await _check_own_proposal(conn, actor, subject_id)
    elif subject is Subject.INVITATION:
        assert about.job is not None, "an invitation is to a job"
        mine = await job_rows.select_invitation_of(conn, about.job, actor.account)
        if mine is None or mine.id != subject_id:
            raise NotFound()
    elif not await rows.select_share_room(conn, actor.account, subject_id):
        raise NotFound()
    account = await select_account(conn, about.account)
    if account is None:
        raise NotFound()
    return Reported(subject, subject_id, about.title, about.account, account.name)


async def _check_own_proposal(conn: AsyncConnection, actor: Actor, proposal: str) -> None:
    found = await proposal_rows.select_proposal(conn, proposal)
    job = await job_rows.select_job(conn, found.job) if found is not None else None
    if job is None or job.client != actor.account:
        raise NotFound()
