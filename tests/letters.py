"""What was queued as mail, for tests: its links, as its reader would open them."""

from __future__ import annotations

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
    return max(found, key=lambda row: row.created_at)


def link_of(row: MailRow) -> str:
    """Return the address behind the button of a mail."""
    assert row.button is not None
    return row.button.split("\n")[1]


def token_of(row: MailRow) -> str:
    """Return the secret in the address behind the button of a mail."""
    return link_of(row).rpartition("/")[2]
