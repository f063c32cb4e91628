"""Rows of one account, for its export: whole tables by the column that names their owner.

Rule 1: EXPORTED and LEFT_OUT together name every table that refers to accounts; a test sees to it.
Rule 2: what authenticates (digests of secrets, encrypted secrets) is never read.
Rule 3: what is restricted is withheld, its digest stays (rule 6.4); a secret that is handed over never leaves.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import LargeBinary, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import disclosures, entries, members, metadata, rooms

# Tables by the column that names whose row it is; the name of the file is the table's.
EXPORTED = {
    "sessions": "account",
    "tokens": "account",
    "work_sessions": "account",
    "frame_views": "account",
    "file_views": "account",
    "entry_views": "account",
    "elsewhere": "account",
    "jobs": "client",
    "proposals": "freelancer",
    "job_invitations": "invited_by",
    "blocks": "blocker",
    "reports": "reporter",
    "notices": "account",
    "notice_settings": "account",
}
HANDOVER = "handover"
RESTRICTED = b'"restricted":true'  # as canonical JSON writes the mark; within a text, its quotes would be escaped
LEFT_OUT = {
    "links": "secrets that open something, or are over",
    "second_factors": "a secret",
    "recovery_codes": "digests of secrets",
    "members": "told with the workrooms",
    "ticks": "told by the hours of the record",
    "segments": "told by the hours of the record",
    "hours": "told by the record",
    "seeds": "secret until the record reveals them",
    "frames": "told by the record; the pictures are downloaded in Work View",
    "discards": "what was destroyed",
    "uploads": "parts of files that are not there yet",
    "room_openings": "told with the workrooms",
    "seats": "told by the record",
    "digest_marks": "how far a digest has told; nobody gave it",
}


def exported_tables() -> list[Table]:
    """Return the tables to export, in the order of EXPORTED, as far as there are such."""
    return [metadata.tables[name] for name in EXPORTED if name in metadata.tables]


async def select_rows_of(
    conn: AsyncConnection, table: Table, account: str, offset: int, limit: int
) -> list[dict[str, Any]]:
    """Return some rows of an account; bytes (digests) are left out."""
    columns = [column for column in table.columns if not isinstance(column.type, LargeBinary)]
    owner = table.columns[EXPORTED[table.name]]
    query = select(*columns).where(owner == account).order_by(*table.primary_key.columns).offset(offset).limit(limit)
    return [dict(row._mapping) for row in await conn.execute(query)]


async def select_memberships(conn: AsyncConnection, account: str) -> list[dict[str, Any]]:
    """Return the workrooms of an account, with its place in each."""
    query = (
        select(rooms.c.id, rooms.c.title, rooms.c.time_zone, members.c.by, members.c.side, members.c.name)
        .add_columns(members.c.joined_at, members.c.seen_seq)
        .join(members, members.c.room == rooms.c.id)
        .where(members.c.account == account)
        .order_by(members.c.joined_at, rooms.c.id)
    )
    return [dict(row._mapping) for row in await conn.execute(query)]


async def select_written(conn: AsyncConnection, room: str, by: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return entries that somebody wrote in a room, behind a seq; `body` is null where it was erased or is withheld."""
    query = (
        select(entries.c.seq, entries.c.kind, entries.c.at, entries.c.ref, entries.c.cid)
        .add_columns(disclosures.c.body, entries.c.leaf)
        .outerjoin(disclosures, (disclosures.c.room == entries.c.room) & (disclosures.c.seq == entries.c.seq))
        .where(entries.c.room == room, entries.c.by == by, entries.c.seq > after)
        .order_by(entries.c.seq)
        .limit(limit)
    )
    return [_told(row) for row in await conn.execute(query)]


def _told(row: Any) -> dict[str, Any]:
    """Return an entry as the export tells it; with its leaf, which commits to the content, where some is withheld."""
    told = {"seq": row.seq, "kind": row.kind, "at": row.at, "ref": row.ref, "cid": row.cid, "body": None}
    if row.body is None:
        return told
    if row.kind != HANDOVER and RESTRICTED not in row.body:
        return {**told, "body": msgspec.Raw(row.body)}
    body: dict[str, Any] = msgspec.json.decode(row.body)
    body.pop("sealed", None)
    if "files" in body:
        body["files"] = [_told_file(ref) for ref in body["files"]]
    kept = None if body.get("restricted") else body
    return {**told, "body": kept, "withheld": True, "leaf": row.leaf.decode()}


def _told_file(ref: dict[str, Any]) -> dict[str, Any]:
    return {"sha256": ref["sha256"], "restricted": True} if ref.get("restricted") else ref
