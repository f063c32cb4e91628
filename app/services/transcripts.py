"""Transcripts: originals read into lines, the original attached, and the weekly question (rule 1.7).

Rule 1: reading changes nothing: what was read is shown to be looked over, and appended like any other entry.
Rule 2: whether a member is asked is decided when their page is made, by `app.domain.transcripts`; no one else is told.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.domain.chat_exports import Order, parse_chat
from app.domain.errors import InvalidBody, Malformed, TooLarge
from app.domain.mail_files import looks_like_mail, parse_mail
from app.domain.transcripts import CHANNELS, Parsed, decoded, question_is_due
from app.domain.workrooms import RoomState
from app.services import uploads
from app.services.access import Actor, member_of, room_info
from app.services.effects import Writing
from app.services.resources import Resources
from app.storage import members as rows
from app.storage.files import UploadRow
from app.storage.members import ElsewhereRow
from app.storage.writer import Tx

ORIGINAL_BYTES_MAX = 8 * 1024 * 1024  # read at once; a mail with larger files in it is saved without them
CHAT_BYTES_MAX = 2 * 1024 * 1024  # thirty thousand messages: sixty transcripts


def read_text(text: str, order: Order = "auto") -> Parsed:
    """Return what a person has pasted, as lines.

    Raises:
        InvalidBody: if there is nothing.
    """
    if not text.strip():
        raise InvalidBody("Paste what was said, or choose a file.", field="pasted")
    data = text.encode("utf-8", "replace")
    if len(data) > CHAT_BYTES_MAX:
        raise TooLarge("This is more than 2 MiB. Paste a part of it.", field="pasted")
    return parse_mail(data) if looks_like_mail(data) else parse_chat(text, order)


async def read_file(
    resources: Resources, actor: Actor, room: str, upload: str, order: Order = "auto"
) -> tuple[UploadRow, Parsed]:
    """Return one's upload, and what it says: an e-mail (`.eml`) or a chat as text.

    Raises:
        NotFound: if the actor has no such upload here.
        TooLarge, Malformed: if it cannot be read, with what to do instead.
    """
    row = await uploads.completed(resources, actor, room, upload)
    assert row.sha256 is not None and row.size is not None, "complete uploads have both"
    if row.size > ORIGINAL_BYTES_MAX:
        raise TooLarge(
            "This file is larger than 8 MiB. Save the mail without its files, or a part of the chat.", field="file"
        )
    return row, await asyncio.to_thread(_read, resources.blobs.files.path(row.sha256), order)


def _read(path: Path, order: Order) -> Parsed:
    data = path.read_bytes()
    if looks_like_mail(data):
        return parse_mail(data)
    if data.startswith(b"PK\x03\x04"):
        raise Malformed(
            "This is an archive. Unpack it, and choose the text file in it, often `_chat.txt`.", field="file"
        )
    if len(data) > CHAT_BYTES_MAX:
        raise TooLarge("This chat is larger than 2 MiB. Choose a part of it, or paste one.", field="file")
    is_wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in data[:4096] and not is_wide:
        raise Malformed("This is neither a mail (.eml) nor a chat as text. Export the chat as text.", field="file")
    text = decoded(data)
    if not text.strip():
        raise Malformed("This file is empty.", field="file")
    return parse_chat(text, order)


# The weekly question


async def on_transcript(writing: Writing) -> None:
    """Whoever transcribes has answered the question."""
    if writing.member is not None:
        await rows.update_elsewhere_answered(
            writing.tx.conn, writing.entry.room, writing.member.account, writing.entry.at
        )


async def elsewhere(resources: Resources, actor: Actor, room: str) -> tuple[str, ...]:
    """Return where the actor said that they also talk: of "email", "chat", "phone".

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as conn:
        found = await rows.select_elsewhere(conn, room, actor.account)
    return found.channels if found is not None else ()


async def set_elsewhere(resources: Resources, actor: Actor, room: str, channels: list[str]) -> None:
    """Say where one also talks with the other side; nowhere, and one is not asked.

    Raises:
        NotFound: if the actor is no member.
        InvalidBody: for a channel that there is not.
    """
    await member_of(resources, actor, room)
    if unknown := [name for name in channels if name not in CHANNELS]:
        raise InvalidBody(f"`{unknown[0][:20]}` is none of {', '.join(CHANNELS)}.", field="channels")
    chosen = tuple(name for name in CHANNELS if name in channels)

    async def work(tx: Tx) -> None:
        before = await rows.select_elsewhere(tx.conn, room, actor.account)
        since = before.since if before is not None and before.channels else tx.now
        answered = before.answered_at if before is not None else None
        await rows.replace_elsewhere(tx.conn, room, actor.account, ElsewhereRow(chosen, since, answered))

    await resources.database.writer.run(work)


async def question_for(resources: Resources, actor: Actor, room: str) -> list[str]:
    """Return the words of the channels about which the actor is asked now; of none, where nothing is asked.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)
    if (await room_info(resources, room)).state is RoomState.CLOSED:
        return []
    async with resources.database.read() as conn:
        found = await rows.select_elsewhere(conn, room, actor.account)
    if found is None or not found.channels:
        return []
    is_due = question_is_due(found.since, found.answered_at, resources.clock.record_now())
    return [CHANNELS[name] for name in found.channels] if is_due else []


async def answer_question(resources: Resources, actor: Actor, room: str, *, never_again: bool = False) -> None:
    """Dismiss the question: for a week, or for good.

    Raises:
        NotFound: if the actor is no member.
    """
    await member_of(resources, actor, room)

    async def work(tx: Tx) -> None:
        if never_again:
            await rows.replace_elsewhere(tx.conn, room, actor.account, ElsewhereRow((), tx.now, tx.now))
        else:
            await rows.update_elsewhere_answered(tx.conn, room, actor.account, tx.now)

    await resources.database.writer.run(work)
