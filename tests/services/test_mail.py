"""Mail as a service, against a real SMTP server: sent once, tried again, given up, or written to the folder."""

from __future__ import annotations

import asyncio
import email
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from app.domain.errors import Malformed, NotFound
from app.services import mail
from app.services.clock import ManualClock, PacedClock
from app.services.resources import Resources
from app.storage.mail import MailRow, select_mails_to
from app.storage.writer import Tx
from app.views.mail import composer

TO = "ana@example.org"


@dataclass
class MailServer:
    """A mail server that keeps what it took, and refuses as it is told: answers by recipient, each once in turn."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    data_answers: list[str] = field(default_factory=list)
    connections: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answers.get(address):
            return self.answers[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_answers:
            return self.data_answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.taken.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@asynccontextmanager
async def listening(handler: MailServer) -> AsyncIterator[None]:
    """Let a mail server listen on a port of its own."""

    def connected() -> SMTP:
        handler.connections += 1
        return SMTP(handler, hostname="mail.test")

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    handler.port = server.sockets[0].getsockname()[1]
    yield
    server.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    handler = MailServer()
    async with listening(handler):
        yield handler


@pytest.fixture
def sending(resources: Resources, server: MailServer) -> Resources:
    """Resources whose mails go to the server."""
    resources.settings = replace(
        resources.settings, smtp_url=f"smtp://127.0.0.1:{server.port}", url="https://work.example.net"
    )
    return resources


async def queue(resources: Resources, to: str = TO, **options: Any) -> str:
    async def work(tx: Tx) -> str:
        return await mail.queue_mail(tx, resources, to, "Grüße from Workroom", "One.\n\nTwo <b>.", **options)

    return await resources.database.writer.run(work)


async def send(resources: Resources) -> int:
    return await mail.send_due(resources, composer(resources.settings))


async def row(resources: Resources, to: str = TO) -> MailRow:
    async with resources.database.read() as conn:
        [found] = await select_mails_to(conn, to, 2)
    return found


async def test_a_mail_is_sent_once_in_both_forms(sending: Resources, server: MailServer) -> None:
    sent = await queue(sending, button=("Open it", "https://work.example.net/x?a=1&b=2"), footer="Checkpoint 12\nabc")
    assert await send(sending) == 1
    assert await send(sending) == 0
    [message] = server.taken
    assert (message["To"], message["Subject"]) == (TO, "Grüße from Workroom")
    assert message["Message-ID"] == f"<{sent}@work.example.net>"
    assert message["Auto-Submitted"] == "auto-generated" and message["List-Unsubscribe"] is None
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None and html is not None
    told = plain.get_content().replace("\r\n", "\n")
    assert "One.\n\nTwo <b>." in told and "https://work.example.net/x?a=1&b=2" in told and "Checkpoint 12" in told
    told = html.get_content()
    assert "Two &lt;b&gt;." in told and 'href="https://work.example.net/x?a=1&amp;b=2"' in told and "abc" in told


async def test_what_was_sent_is_known_but_its_links_are_not(sending: Resources, server: MailServer) -> None:
    await queue(sending, button=("Open", "https://work.example.net/secret"))
    await send(sending)
    found = await row(sending)
    assert found.sent_at is not None and found.next_try_at is None
    assert (found.text, found.button) == ("", None)


async def test_a_mail_exists_only_if_its_transaction_does(sending: Resources, server: MailServer) -> None:
    async def work(tx: Tx) -> None:
        await mail.queue_mail(tx, sending, TO, "Never", "Never.")
        raise NotFound()

    with pytest.raises(NotFound):
        await sending.database.writer.run(work)
    assert await send(sending) == 0 and server.taken == []


async def test_a_mail_that_is_refused_for_now_is_tried_again_under_the_same_id(
    sending: Resources, server: MailServer, clock: ManualClock
) -> None:
    server.answers[TO] = ["450 Try later"]
    server.data_answers = ["451 Greylisted"]
    sent = await queue(sending)
    await send(sending)
    assert server.taken == []
    for pause in mail.BACK_OFF_MS[:2]:
        assert "45" in ((await row(sending)).failed or "")
        clock.now += pause - 1
        await send(sending)
        assert server.taken == []
        clock.now += 1
        await send(sending)
    [message] = server.taken
    assert message["Message-ID"] == f"<{sent}@work.example.net>"
    assert ((await row(sending)).tries, (await row(sending)).failed) == (3, None)


async def test_mails_wait_for_a_server_that_is_away(sending: Resources, server: MailServer, clock: ManualClock) -> None:
    right = sending.settings.smtp_url
    sending.settings = replace(sending.settings, smtp_url="smtp://127.0.0.1:1")
    for number in range(3):
        await queue(sending, f"ana{number}@example.org")
    assert await send(sending) == 0
    assert "cannot be used" in ((await row(sending, "ana2@example.org")).failed or "")
    sending.settings = replace(sending.settings, smtp_url=right)
    clock.now += mail.BACK_OFF_MS[0]
    assert await send(sending) == 3
    assert server.connections == 1


async def test_an_address_that_does_not_exist_is_given_up_at_once_and_others_are_not(
    sending: Resources, server: MailServer, clock: ManualClock
) -> None:
    server.answers["gone@example.org"] = ["550 No such user here"]
    await queue(sending, "gone@example.org")
    await queue(sending)
    await send(sending)
    assert [message["To"] for message in server.taken] == [TO]
    found = await row(sending, "gone@example.org")
    assert found.failed == "The mail server answered 550: No such user here"
    assert (found.next_try_at, found.sent_at, found.text) == (None, None, "")


async def test_a_mail_is_given_up_after_two_days_and_the_reason_is_kept(
    sending: Resources, server: MailServer, clock: ManualClock
) -> None:
    server.answers[TO] = ["450 Try later"] * 100
    await queue(sending)
    tries, started = 0, clock.now
    while (due := (await row(sending)).next_try_at) is not None:
        clock.now = due
        await send(sending)
        tries += 1
        assert tries < 50
    assert clock.now - started <= mail.GIVE_UP_MS
    found = await row(sending)
    assert found.failed == "The mail server answered 450: Try later" and found.tries == tries > 10


async def test_a_mail_whose_link_is_over_is_not_sent_any_more(
    sending: Resources, server: MailServer, clock: ManualClock
) -> None:
    server.answers[TO] = ["450 Try later"] * 100
    await queue(sending, lasts_ms=mail.BACK_OFF_MS[0] + 1)
    await send(sending)
    clock.now += mail.BACK_OFF_MS[0]
    await send(sending)
    assert (await row(sending)).next_try_at is None


@pytest.mark.parametrize(
    "to", ["", "ana", "ana@", "a b@example.org", "ana@example.org\nBcc: x@y.z", "ana@exa mple.org"]
)
async def test_what_is_no_address_is_refused_at_once(sending: Resources, to: str) -> None:
    with pytest.raises(Malformed):
        await queue(sending, to)


async def test_two_workers_do_not_send_the_same_mails(sending: Resources, server: MailServer) -> None:
    for number in range(30):
        await queue(sending, f"ana{number}@example.org")
    await asyncio.gather(send(sending), send(sending), send(sending))
    await send(sending)
    assert sorted(message["To"] for message in server.taken) == sorted(f"ana{n}@example.org" for n in range(30))


async def test_a_mail_whose_worker_died_is_sent_by_the_next(
    sending: Resources, server: MailServer, clock: ManualClock
) -> None:
    await queue(sending)
    assert len(await mail._claim(sending)) == 1
    assert await send(sending) == 0
    clock.now += mail.LEASE_MS
    assert await send(sending) == 1


async def test_unsubscribing_takes_one_click(sending: Resources, server: MailServer) -> None:
    await queue(sending, unsubscribe="https://work.example.net/unsubscribe/abc")
    await send(sending)
    [message] = server.taken
    assert message["List-Unsubscribe"] == "<https://work.example.net/unsubscribe/abc>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "https://work.example.net/unsubscribe/abc" in str(message.get_body(("plain",)))


async def test_a_mail_that_brings_its_own_forms_is_left_as_it_is(sending: Resources, server: MailServer) -> None:
    await queue(sending, html="<p>My own</p>")
    await send(sending)
    [message] = server.taken
    html = message.get_body(("html",))
    assert html is not None and html.get_content().strip() == "<p>My own</p>"


async def test_a_subject_cannot_carry_a_header(sending: Resources, server: MailServer) -> None:
    async def work(tx: Tx) -> None:
        await mail.queue_mail(tx, sending, TO, "Hi\r\nBcc: eve@example.org", "x")

    await sending.database.writer.run(work)
    await send(sending)
    assert server.taken[0]["Subject"] == "Hi Bcc: eve@example.org" and server.taken[0]["Bcc"] is None


async def test_without_a_mail_server_mails_are_files_that_only_the_server_s_user_reads(resources: Resources) -> None:
    sent = await queue(resources)
    assert "no mail set up" in mail.folder_note(resources)
    assert await send(resources) == 1
    [file] = files_of(resources)
    assert file.name.endswith(f"-{sent}.eml") and stat.S_IMODE(file.stat().st_mode) == 0o600
    message = email.message_from_bytes(file.read_bytes(), policy=default)
    assert (message["To"], message["Subject"]) == (TO, "Grüße from Workroom")
    assert (await row(resources)).sent_at is not None


async def test_the_demo_writes_to_nobody(sending: Resources, server: MailServer, clock: ManualClock) -> None:
    sending.clock = PacedClock(clock.now, clock.now, 60)
    await queue(sending)
    assert await send(sending) == 1
    assert server.taken == [] and len(files_of(sending)) == 1


async def test_a_folder_that_cannot_be_written_keeps_mails_waiting(resources: Resources, clock: ManualClock) -> None:
    folder = resources.settings.data / mail.MAIL_FOLDER
    folder.write_text("in the way")
    await queue(resources)
    assert await send(resources) == 0
    folder.unlink()
    clock.now += mail.BACK_OFF_MS[0]
    assert await send(resources) == 1


async def test_what_is_known_of_old_mails_is_forgotten(
    sending: Resources, server: MailServer, clock: ManualClock
) -> None:
    await queue(sending)
    await send(sending)
    clock.now += mail.KEPT_MS + 1
    await queue(sending, "ben@example.org")
    await send(sending)
    async with sending.database.read() as conn:
        assert await select_mails_to(conn, TO, 2) == []


def files_of(resources: Resources) -> list[Path]:
    return sorted((resources.settings.data / mail.MAIL_FOLDER).glob("*.eml"))
