"""What was queued as mail, for tests: its links, as its reader would open them."""

from __future__ import annotations

import email
import re
from email.policy import default

import msgspec

from app.services.mail import MAIL_FOLDER
from app.services.resources import Resources
from app.storage.mail import MailRow, select_mails_to


async def letters_to(resources: Resources, to: str) -> list[MailRow]:
    """Return the mails to an address, the oldest first."""
    async with resources.database.read() as conn:
        return (await select_mails_to(conn, to, 50))[::-1]


async def letter_to(resources: Resources, to: str, subject: str) -> MailRow:
    """Return the last mail to an address with a subject."""
    found = [row for row in await letters_to(resources, to) if row.subject == subject]
    assert found, [row.subject for row in await letters_to(resources, to)]
    last = max(found, key=lambda row: row.created_at)
    return last if last.sent_at is None else _from_folder(resources, last)


def _from_folder(resources: Resources, row: MailRow) -> MailRow:
    """Return a mail that was written to a file with its text again: the database has forgotten it."""
    [file] = (resources.settings.data / MAIL_FOLDER).glob(f"*-{row.id}.eml")
    body = email.message_from_bytes(file.read_bytes(), policy=default).get_body(("plain",))
    assert body is not None
    text = body.get_content().replace("\r\n", "\n").partition("\n-- \n")[0]
    button = re.search(r"\n([^\n]+):\n(https?://\S+)", text)
    return msgspec.structs.replace(row, text=text, button=f"{button[1]}\n{button[2]}" if button else None)


def link_of(row: MailRow) -> str:
    """Return the address behind the button of a mail."""
    assert row.button is not None
    return row.button.split("\n")[1]


def token_of(row: MailRow) -> str:
    """Return the secret in the address behind the button of a mail."""
    return link_of(row).rpartition("/")[2]
