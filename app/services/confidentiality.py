"""Confidentiality: the policy and who accepted it, what may be told outside, and what is restricted on top (rule 6.4).

Rule 1: the download of the content of a restricted entry is logged before a byte of it is sent; every member sees who.
Rule 2: what is handed over is downloaded by nobody: it is shown once, to its receiver (rule 1.10).
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.errors import Forbidden
from app.domain.matters import Matter
from app.domain.record import Entry
from app.domain.workrooms import Member
from app.services.access import Actor, member_of
from app.services.resources import Resources
from app.storage import confidentiality as rows
from app.storage import matters as matter_rows
from app.storage import record as record_rows
from app.storage.confidentiality import ViewRow
from app.storage.writer import Tx

ACCEPTANCES_MAX = 200
REQUESTS_MAX = 100  # the newest
VIEWS_MAX = 200
REQUEST = "disclosure.requested"
ANSWERS = frozenset({"disclosure.approved", "disclosure.declined"})


class Request(Struct, frozen=True):
    """What somebody wants to tell a third party, how it stands, and the answer, where there is one."""

    entry: Entry
    matter: Matter
    answer: Entry | None


class Confidentiality(Struct, frozen=True):
    """What the page of a room shows: acceptances oldest first, requests and downloads newest first."""

    acceptances: list[Entry]
    requests: list[Request]
    views: list[ViewRow]


async def confidentiality(resources: Resources, actor: Actor, room: str) -> Confidentiality:
    """Return who accepted the policy, what was asked, and who downloaded what is restricted.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        accepted = await record_rows.select_of_kinds(conn, room, frozenset({"policy.accepted"}), ACCEPTANCES_MAX)
        asked = await record_rows.select_of_kinds(conn, room, frozenset({REQUEST}), REQUESTS_MAX)
        answers = await record_rows.select_of_kinds(conn, room, ANSWERS, REQUESTS_MAX)
        standing = await matter_rows.select_matters(conn, room, [entry.seq for entry in asked])
        views = await rows.select_views(conn, room, VIEWS_MAX)
    by_seq = {entry.seq: entry for entry in answers}
    requests = [
        Request(entry, standing[entry.seq], by_seq.get(standing[entry.seq].answer_seq or -1))
        for entry in reversed(asked)
        if entry.seq in standing
    ]
    return Confidentiality(accepted, requests, views)


async def note_download(resources: Resources, member: Member, entry: Entry) -> None:
    """Log that a member takes away the content of a restricted entry, before it is sent.

    Raises:
        Forbidden: for a secret that is handed over.
    """
    if entry.body is None:
        return
    if entry.kind == "handover":
        raise Forbidden(
            "A secret is shown once, to its receiver, and never downloaded. The receipt of its entry holds."
        )
    if not is_restricted(entry):
        return
    now = resources.clock.record_now()

    async def work(tx: Tx) -> None:
        await rows.upsert_entry_view(tx.conn, entry.room, entry.seq, member.account, now)

    await resources.database.writer.run(work)


def is_restricted(entry: Entry) -> bool:
    """Whether an entry, or a file of it, is withheld from what leaves the workroom."""
    body = entry.body or {}
    return bool(body.get("restricted")) or any(ref.get("restricted") for ref in body.get("files", ()))
