"""Mail: queued in the transaction that it tells of, sent by the worker (rule 8.1).

Rule 1: a mail exists exactly if what it tells of does: `queue_mail` takes the transaction and commits nothing.
Rule 2: nothing is sent inside a transaction. A mail is claimed, tried, and its outcome stored; a worker that dies
    between the last two sends it again under the same Message-ID.
Rule 3: what a mail server refuses for good (5xx for the recipient or the text) is not tried again; everything else is,
    ever more rarely, until GIVE_UP_MS or the end of the link that it carries. The reason is kept, the text is not.
Rule 4: without WORKROOM_SMTP_URL, and in the demo, mails are files in `<data>/mail`. The pages say so.
Rule 5: all times here are of the real clock.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import format_datetime, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from app.domain.accounts import CLOSED_HOST, checked_email
from app.domain.ids import id_from_bytes
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, datetime_of
from app.services.clock import PacedClock
from app.services.resources import Resources
from app.storage import mail as rows
from app.storage.mail import MailRow
from app.storage.writer import Tx

SUBJECT_CHARS_MAX = 200
TEXT_CHARS_MAX = 64 * 1024  # a digest of many rooms; a mail of ours has a few hundred
REASON_CHARS_MAX = 500
BATCH_MAX = 20  # mails over one connection
SEND_SECONDS_MAX = 30.0  # of one run: a task has 60 s
SMTP_SECONDS_MAX = 10.0  # for any answer of the mail server
LEASE_MS = 5 * MINUTE_MS  # after so long a mail whose worker died is tried again
BACK_OFF_MS = (
    30 * SECOND_MS,
    2 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    4 * HOUR_MS,
)  # the last goes on
GIVE_UP_MS = 2 * DAY_MS  # RFC 5321 section 4.5.4.1 asks for four or five days; nobody reads a notice so old
KEPT_MS = 30 * DAY_MS  # how long it is known that a mail was sent, or why not
MAIL_FOLDER = "mail"

Compose = Callable[[MailRow], tuple[str, str]]  # text and html of a mail, in the frame that all have

log = structlog.get_logger()


async def queue_mail(
    tx: Tx,
    resources: Resources,
    to: str,
    subject: str,
    text: str,
    html: str | None = None,
    *,
    purpose: str = "notice",
    button: tuple[str, str] | None = None,
    footer: str = "",
    unsubscribe: str | None = None,
    lasts_ms: int = GIVE_UP_MS,
    wait_ms: int = 0,
) -> str:
    """Queue a mail in a transaction; return its id. Call `hint` after the commit to have it sent at once.

    A closed account gets none, and "" is returned.

    `text` is plain, its paragraphs parted by empty lines. Without `html` both forms are made from it when the mail is
    sent, with `button` (label and address), `footer` and a link to `unsubscribe` (an address that takes a POST, RFC
    8058). With `html` the two are sent as they are. It goes out after `wait_ms`; after `lasts_ms`
    more it is no longer worth sending.

    Raises:
        Malformed: if `to` is no address.
    """
    if to.endswith(CLOSED_HOST):
        return ""
    now = resources.clock.real_now() + wait_ms
    row = MailRow(
        id=id_from_bytes(resources.random_bytes(16)),
        purpose=purpose,
        to=checked_email(to),
        subject=" ".join(subject.split())[:SUBJECT_CHARS_MAX],
        text=text[:TEXT_CHARS_MAX],
        html=html,
        button="\n".join(button) if button is not None else None,
        footer=footer or None,
        unsubscribe=unsubscribe,
        created_at=now,
        give_up_at=now + min(lasts_ms, GIVE_UP_MS),
        tries=0,
        next_try_at=now,
    )
    await rows.insert_mail(tx.conn, row)
    return row.id


async def hint(resources: Resources) -> None:
    """Tell the worker that mails were queued; a sweep would find them within seconds."""
    await resources.enqueue("send_mails", "")


def goes_to_folder(resources: Resources) -> bool:
    """Whether mails are written to files instead of being sent (rule 4)."""
    return not resources.settings.smtp_url or isinstance(resources.clock, PacedClock)


def folder_note(resources: Resources) -> str:
    """Return what a page that caused a mail says where mails are written to files; empty where they are sent."""
    if not goes_to_folder(resources):
        return ""
    return f"This server has no mail set up: its operator finds the mail in the folder “{MAIL_FOLDER}” of its data."


async def send_due(resources: Resources, compose: Compose) -> int:
    """Send what is due, in batches; return how many were sent. Stops when the mail server does not answer."""
    sent, started = 0, time.monotonic()
    while time.monotonic() - started < SEND_SECONDS_MAX:
        batch = await _claim(resources)
        if not batch:
            break
        if goes_to_folder(resources):
            done = await _write_batch(resources, batch, compose)
        else:
            done = await _send_batch(resources, batch, compose)
        sent += done
        if done < len(batch):
            break
    return sent


# Sending


async def _claim(resources: Resources) -> list[MailRow]:
    """Take a batch of due mails, so that no other worker sends them too."""
    now = resources.clock.real_now()
    async with resources.database.read() as conn:
        due = await rows.select_mails_due(conn, now, BATCH_MAX)
    if not due:
        return []

    async def claim(tx: Tx) -> list[MailRow]:
        await rows.delete_mails_before(tx.conn, now - KEPT_MS)
        return [row for row in due if await rows.update_mail_claimed(tx.conn, row, now + LEASE_MS)]

    return await resources.database.writer.run(claim)


async def _write_batch(resources: Resources, batch: Sequence[MailRow], compose: Compose) -> int:
    folder = resources.settings.data / MAIL_FOLDER
    for number, row in enumerate(batch):
        name = f"{datetime_of(row.created_at):%Y%m%dT%H%M%S}-{row.id}.eml"
        data = composed(resources, row, compose).as_bytes(policy=MAIL_POLICY)
        try:
            await asyncio.to_thread(_write_durably, folder, name, data)
        except OSError as error:
            await _put_off(resources, batch[number:], f"The folder for mails cannot be written: {error.strerror}")
            return number
        await _sent(resources, row)
    return len(batch)


async def _send_batch(resources: Resources, batch: Sequence[MailRow], compose: Compose) -> int:
    """Send mails over one connection; return how many got an answer that is final."""
    client = _client(resources)
    done = 0
    try:
        await client.connect()
        for row in batch:
            message = composed(resources, row, compose)
            sender = parseaddr(str(message["From"]))[1]
            try:
                await client.sendmail(sender, [row.to], message.as_bytes(policy=MAIL_POLICY))
            except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as error:
                await _refused(resources, row, error)
            else:
                await _sent(resources, row)
            done += 1
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        reason = f"The mail server cannot be used: {str(error) or type(error).__name__}"
        log.warning("mail_not_sent", reason=reason[:REASON_CHARS_MAX], waiting=len(batch) - done)
        await _put_off(resources, batch[done:], reason)
    finally:
        client.close()
    return done


async def _refused(
    resources: Resources, row: MailRow, error: aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPDataError
) -> None:
    answer = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
    reason = f"The mail server answered {answer.code}: {answer.message}"
    if answer.code >= 500:
        await _give_up(resources, row, reason)
    else:
        await _put_off(resources, [row], reason)


async def _sent(resources: Resources, row: MailRow) -> None:
    now = resources.clock.real_now()

    async def update(tx: Tx) -> None:
        await rows.update_mail(tx.conn, row.id, sent_at=now, next_try_at=None, failed=None, **_EMPTY)

    await resources.database.writer.run(update)


async def _give_up(resources: Resources, row: MailRow, reason: str) -> None:
    log.warning("mail_given_up", mail=row.id, purpose=row.purpose, tries=row.tries + 1, reason=reason)

    async def update(tx: Tx) -> None:
        await rows.update_mail(tx.conn, row.id, next_try_at=None, failed=reason[:REASON_CHARS_MAX], **_EMPTY)

    await resources.database.writer.run(update)


async def _put_off(resources: Resources, batch: Sequence[MailRow], reason: str) -> None:
    """Try mails again later, or give those up that have waited too long."""
    now = resources.clock.real_now()
    over = [row for row in batch if now + _pause_ms(row) > row.give_up_at]

    async def update(tx: Tx) -> None:
        for row in batch:
            if row not in over:
                later = now + _pause_ms(row)
                await rows.update_mail(tx.conn, row.id, next_try_at=later, failed=reason[:REASON_CHARS_MAX])

    await resources.database.writer.run(update)
    for row in over:
        await _give_up(resources, row, reason)


_EMPTY = {
    "text": "",
    "html": None,
    "button": None,
}  # links in a mail open accounts: they are kept no longer than needed


def _pause_ms(row: MailRow) -> int:
    return BACK_OFF_MS[min(row.tries, len(BACK_OFF_MS) - 1)]


# Parts


def composed(resources: Resources, row: MailRow, compose: Compose) -> EmailMessage:
    """Return a mail as it goes out: the same bytes at every try."""
    text, html = compose(row)
    settings = resources.settings
    host = urlsplit(settings.base_url).hostname or "localhost"
    message = EmailMessage()
    message["From"] = settings.mail_from or f'"{_quotable(settings.operator)}" <workroom@{host}>'
    message["To"] = row.to
    message["Subject"] = row.subject
    message["Date"] = format_datetime(datetime_of(row.created_at))
    message["Message-ID"] = f"<{row.id}@{host}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in answer
    if row.unsubscribe:
        message["List-Unsubscribe"] = f"<{row.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_{row.id}")
    return message


def _client(resources: Resources) -> aiosmtplib.SMTP:
    parts = urlsplit(resources.settings.smtp_url)
    tls = parts.scheme == "smtps"
    host = parts.hostname or "localhost"
    named = parts.username is not None
    # STARTTLS where it is offered; where a password would cross a network, not without it.
    start_tls = None if tls or not named or host in ("localhost", "127.0.0.1", "::1") else True
    return aiosmtplib.SMTP(
        hostname=host,
        port=parts.port or (465 if tls else 587 if named else 25),
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        use_tls=tls,
        start_tls=False if tls else start_tls,
        tls_context=ssl.create_default_context() if tls or start_tls else None,
        timeout=SMTP_SECONDS_MAX,
    )


def _quotable(name: str) -> str:
    return "".join(c for c in name if c.isprintable() and c not in '"\\')


def _write_durably(folder: Path, name: str, data: bytes) -> None:
    """Write a mail to a file that only we can read; the same mail again replaces it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{name}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(folder / name)
