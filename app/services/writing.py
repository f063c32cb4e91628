"""Writing: the one way in which a person's entry gets into a record, from the page and from the socket.

Rule 1: access, then schema, then the state of the workroom and of the matter, then the writer: nobody else appends a
person's entry.
Rule 2: what is refused writes nothing and says which field.
Rule 3: an entry that is words alone takes the short way: a row in the writer's next multi-row insert. Any other runs as
a unit of its own, with its effect and its answer in one transaction.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from app.domain.errors import AlreadyAnswered, Forbidden, InvalidBody, RoomClosed, TooLarge, WorkroomError
from app.domain.events import KINDS, REF_REQUIRED, checked_body
from app.domain.matters import ANSWERS, SILENCE, SYSTEM, TRANSITIONS, Matter
from app.domain.record import Body, Draft, Entry
from app.domain.workrooms import Member, RoomInfo, RoomState, refusal_of_state
from app.services import (
    absences,
    deliveries,
    files,
    handovers,
    jobs,
    matters,
    milestones,
    notices,
    status_reports,
    terms,
    transcripts,
)
from app.services.access import Actor, check_may_write, member_of, read_room_info, room_info
from app.services.effects import Effect, Writing
from app.services.resources import Resources
from app.services.segments import append_comment
from app.storage import matters as matter_rows
from app.storage import record as rows
from app.storage.writer import Tx

CID_CHARS_MAX = 64
NO_SUCH_ENTRY = "There is no entry of this number in this workroom. Name another."
DUE_AT_ONCE = 100  # silences in one sweep; the next sweep goes on

log = structlog.get_logger()

EFFECTS: dict[str, Effect] = {
    "terms.proposed": terms.on_proposed,
    "terms.accepted": terms.on_accepted,
    "terms.withdrawn": terms.on_withdrawn,
    "work_view.requested": terms.on_work_view_requested,
    "work_view.accepted": terms.on_work_view_accepted,
    "milestone.proposed": milestones.on_proposed,
    "milestone.accepted": milestones.on_accepted,
    "milestone.withdrawn": milestones.on_withdrawn,
    "delay": milestones.on_delay,
    "delay.accepted": milestones.on_delay_accepted,
    "deliverable": deliveries.on_delivered,
    "deliverable.accepted": deliveries.on_answered,
    "deliverable.changes_requested": deliveries.on_answered,
    "availability": absences.on_announced,
    "status_report": status_reports.on_status_report,
    "transcript": transcripts.on_transcript,
    "handover": handovers.on_handover,
    "handover.expired": handovers.on_expired,
}


def checked_draft(
    resources: Resources, member: Member, kind: str, body: Any, ref: int | None, cid: str | None
) -> Draft:
    """Return the entry that a member wants to append, if role and schema allow it.

    Raises:
        Forbidden: if the member's side may not write it, whatever its body.
        UnknownKind, InvalidBody: if it does not fit its kind.
    """
    if kind in KINDS:
        check_may_write(member, kind)
    if kind == handovers.KIND:
        body = handovers.with_sealed(resources, member, body, cid)
    checked = checked_body(kind, body)
    if ref is None and kind in REF_REQUIRED:
        does = "corrects" if kind == "correction" else "answers"
        raise InvalidBody(f"Name the number of the entry that this {does}.", field="ref")
    if ref is not None and ref < 0:
        raise InvalidBody(NO_SUCH_ENTRY, field="ref")
    if cid is not None and len(cid) > CID_CHARS_MAX:
        raise TooLarge("An id may have 64 characters.", field="cid")
    return Draft(member.room, kind, member.by, checked, ref, cid)


def submit(
    resources: Resources, member: Member, kind: str, body: Any, ref: int | None = None, cid: str | None = None
) -> asyncio.Future[Entry]:
    """Queue an entry of a member whose access is known; the future gives it once durable.

    The hot path of the socket: no await before the commit.

    Raises:
        WorkroomError: whatever refuses it at once.
    """
    draft = checked_draft(resources, member, kind, body, ref, cid)
    resources.says.take(member.account, resources.clock.real_now())
    if kind == "comment":  # it changes cells
        return asyncio.ensure_future(append_comment(resources, draft))
    if is_words(kind, body, ref):
        return resources.database.writer.submit(draft)
    return asyncio.ensure_future(_append(resources, member, draft))


async def append(
    resources: Resources,
    actor: Actor,
    room: str,
    kind: str,
    body: Any,
    ref: int | None = None,
    cid: str | None = None,
) -> Entry:
    """Append an entry on behalf of a person; return it once it is durable. A repeat of a `cid` returns the first.

    Raises:
        NotFound: if the actor is no member.
        UnknownKind, InvalidBody, Forbidden, Conflict, Busy, Unavailable, RoomClosed, AlreadyAnswered, OthersToAnswer:
            see their sentences.
    """
    member = await member_of(resources, actor, room)
    return await asyncio.shield(submit(resources, member, kind, body, ref, cid))


def is_words(kind: str, body: Any, ref: int | None) -> bool:
    """Whether an entry, whose body may not be checked yet, does nothing but say something: no answer, no reference, no
    effect, no file, nobody called by name. Such a one is committed in the order in which it is submitted; a caller
    who keeps an order waits for any other before it submits the next."""
    return (
        ref is None
        and kind not in TRANSITIONS
        and kind not in EFFECTS
        and kind != "comment"
        and isinstance(body, dict)
        and not body.get("files")
        and "@" not in str(body.get("text", ""))
    )


async def _append(resources: Resources, member: Member, draft: Draft) -> Entry:
    others = await _other_rooms(resources, draft)

    async def work(tx: Tx) -> Entry:
        info = await read_room_info(tx.conn, draft.room)
        final = await handovers.with_own_key(tx, resources, draft) if draft.kind == handovers.KIND else draft
        if draft.cid is not None and (known := await tx.find(final)) is not None:
            return known  # a repeat: what it did is done
        _check_state(info, draft.kind)
        if draft.ref is not None:
            await _check_ref(tx, member, draft, draft.ref)
        answered = None
        if draft.kind in ANSWERS and draft.ref is not None:
            answered = await matters.check_answer(tx, member, draft.kind, draft.ref)
        entry = await tx.append(final)
        await tx.flush()
        await _follow(Writing(resources, tx, info, member, entry, answered, others))
        return entry

    return await resources.database.writer.run(work, rooms=(draft.room, *others))


async def _follow(writing: Writing) -> None:
    """Do what an appended entry does: answer, ask, and have its kind's effect."""
    tx, entry = writing.tx, writing.entry
    if writing.matter is not None:
        settled = await matters.answer(tx, writing.matter, entry)
        writing = Writing(writing.resources, tx, writing.info, writing.member, entry, settled, writing.others)
    if writing.member is not None:
        await files.attach(tx, writing.resources, writing.member, entry)
        await matters.ask(tx, writing.resources, writing.info, writing.member, entry)
    effect = EFFECTS.get(entry.kind)
    if effect is not None:
        await effect(writing)
    await notices.on_entry(writing)


async def _other_rooms(resources: Resources, draft: Draft) -> tuple[str, ...]:
    """Return the further workrooms that an entry is told to: a unit names its rooms before it begins."""
    if draft.kind != "terms.accepted":
        return ()
    job = (await room_info(resources, draft.room)).job
    if job is None:
        return ()
    async with resources.database.read() as connection:
        return tuple(await jobs.other_rooms(connection, job, draft.room))


def _check_state(info: RoomInfo, kind: str) -> None:
    refusal = refusal_of_state(info.state, kind)
    if refusal is not None:
        raise RoomClosed(refusal) if info.state is RoomState.CLOSED else Forbidden(refusal, field="kind")


async def _check_ref(tx: Tx, member: Member, draft: Draft, ref: int) -> None:
    if ref >= tx.head(draft.room).size:
        raise InvalidBody(NO_SUCH_ENTRY, field="ref")
    is_correction = draft.kind == "correction"
    if not is_correction and not (draft.kind in ANSWERS and draft.body.get("text")):
        return
    await tx.flush()
    target = (await rows.select_entries(tx.conn, draft.room, [ref])).get(ref)
    if target is None:
        return
    if is_correction and target.by != member.by:
        raise InvalidBody("You can correct what you wrote yourself.", field="ref")
    if target.body is not None and target.body.get("restricted") and not draft.body.get("restricted"):
        what = "correct is restricted: mark the correction" if is_correction else "answer is restricted: mark the words"
        raise InvalidBody(f"The entry that you {what} too.", field="body.restricted")


async def answer_silences(resources: Resources) -> int:
    """Answer what nobody answered in time (rule 1.5), as the system; return how many. For the worker."""
    async with resources.database.read() as connection:
        due = await matter_rows.select_due(connection, resources.clock.record_now(), DUE_AT_ONCE)
    done = 0
    for matter in due:
        try:
            await _answer_silence(resources, matter)
            done += 1
        except AlreadyAnswered:
            continue
        except WorkroomError as error:
            log.warning("silence not answered", room=matter.room, seq=matter.seq, code=error.code)
    return done


async def _answer_silence(resources: Resources, matter: Matter) -> None:
    kind = SILENCE[matter.kind].answer
    assert kind is not None
    body: Body = {"label": matter.title} if kind == "handover.expired" else {"by_silence": True}
    draft = Draft(matter.room, kind, SYSTEM, body, matter.seq)
    others = await _other_rooms(resources, draft)

    async def work(tx: Tx) -> None:
        info = await read_room_info(tx.conn, matter.room)
        nobody = Member(matter.room, "", SYSTEM, info.members[matter.by].side, "")
        answered = await matters.check_answer(tx, nobody, kind, matter.seq)
        entry = await tx.append(draft)
        await tx.flush()
        await _follow(Writing(resources, tx, info, None, entry, answered, others))

    await resources.database.writer.run(work, rooms=(matter.room, *others))
