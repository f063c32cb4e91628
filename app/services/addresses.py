"""Addresses: an account begins with a verified one, and changes it for another that is verified first (rule 8.1).

Rule 1: an address is verified by opening a link that was mailed to it; the link works once, within a day.
Rule 2: every question about an address is answered alike, whether it has an account or not: what is so is said in a
    mail to the address itself.
Rule 3: name and password of a new account are chosen behind the link: who typed somebody else's address knows neither.
Rule 4: a change is told to the old address.
"""

from __future__ import annotations

from app.domain.accounts import ADDRESS_MS, LINKS_MAILED_MAX, SIGN_UP_MS, checked_email, checked_name
from app.domain.errors import AccountExists, Malformed, NotSignedIn, SignUpClosed
from app.services import mail
from app.services.access import Actor
from app.services.accounts import Client, SignedIn, insert_account, new_account, open_session
from app.services.links import add_link, open_link, take_link
from app.services.passwords import count_attempt
from app.services.recovery import check_present_password
from app.services.resources import Resources
from app.storage import accounts as rows
from app.storage.accounts import AccountRow
from app.storage.writer import Tx


async def ask_sign_up(resources: Resources, email: str, client: Client) -> None:
    """Mail a link by which an account begins; to an address that has one, a mail that says so.

    Raises:
        SignUpClosed: if this server takes no new accounts.
        Malformed: if this is no address.
        TooMany: after too many questions from one place.
    """
    if not resources.settings.open_sign_up:
        raise SignUpClosed()
    email = checked_email(email)
    count_attempt(resources, [f"sign-up {client.address}", f"sign-up {email}"])
    now = resources.clock.real_now()

    async def ask(tx: Tx) -> None:
        if await rows.count_links_mailed(tx.conn, email, "sign_up", now) >= LINKS_MAILED_MAX:
            return
        account = await rows.select_account_by_email(tx.conn, email)
        token = await add_link(tx, resources, "sign_up", SIGN_UP_MS, email=email)  # counts; of no use to an account
        if account is None:
            await _mail_sign_up(tx, resources, email, token)
        else:
            await _mail_has_account(tx, resources, account)

    await resources.database.writer.run(ask)
    await mail.hint(resources)


async def signing_up(resources: Resources, token: str) -> str:
    """Return the address that a sign-up link verifies.

    Raises:
        LinkSpent: if it was used before, is older than a day, or never was.
    """
    return (await open_link(resources, token, "sign_up")).email or ""


async def sign_up(resources: Resources, token: str, name: str, password: str, client: Client) -> SignedIn:
    """Begin an account with a verified address, and sign it in.

    Raises:
        LinkSpent: as `signing_up` does.
        Malformed: naming the field.
        AccountExists: if the address got an account in the meantime.
    """
    email = await signing_up(resources, token)
    account = await new_account(resources, email, name, password, verified=True)

    async def work(tx: Tx) -> SignedIn:
        await insert_account(tx, account)
        await take_link(tx, resources, token, "sign_up", account.id)
        await rows.delete_links_mailed(tx.conn, email, "sign_up")
        return await open_session(tx, resources, account, client)

    return await resources.database.writer.run(work)


async def change_name(resources: Resources, actor: Actor, name: str) -> None:
    """Change one's name. Records keep the name that was committed when one joined.

    Raises:
        Malformed: if it is empty or too long.
    """
    name = checked_name(name)

    async def update(tx: Tx) -> None:
        await rows.update_account(tx.conn, actor.account, name=name)

    await resources.database.writer.run(update)


async def change_address(resources: Resources, actor: Actor, email: str, present: str) -> None:
    """Mail a link to another address; the account changes to it when the link is opened.

    Raises:
        Malformed: if this is no address, or the present one.
        WrongPassword: if the present password is another.
        TooMany: after too many attempts.
    """
    email = checked_email(email)
    account = await check_present_password(resources, actor, present)
    if email == account.email and account.verified_at is not None:
        raise Malformed("This is your address already.", field="email")
    count_attempt(resources, [f"address {actor.account}"])

    async def ask(tx: Tx) -> None:
        other = await rows.select_account_by_email(tx.conn, email)
        if other is not None and other.id != account.id:
            await _mail_has_account(tx, resources, other)
        else:
            await ask_address(tx, resources, account, email)

    await resources.database.writer.run(ask)
    await mail.hint(resources)


async def confirm_again(resources: Resources, actor: Actor) -> None:
    """Mail once more the link that confirms the address one has."""
    count_attempt(resources, [f"address {actor.account}"])

    async def ask(tx: Tx) -> None:
        account = await rows.select_account(tx.conn, actor.account)
        if account is None:
            raise NotSignedIn()
        if account.verified_at is None:
            await ask_address(tx, resources, account)

    await resources.database.writer.run(ask)
    await mail.hint(resources)


async def ask_address(tx: Tx, resources: Resources, account: AccountRow, email: str | None = None) -> None:
    """Queue the mail by which an account's address, or another one for it, is verified."""
    to = email or account.email
    now = resources.clock.real_now()
    if await rows.count_links_mailed(tx.conn, to, "address", now) >= LINKS_MAILED_MAX:
        return
    token = await add_link(tx, resources, "address", ADDRESS_MS, account=account.id, email=to)
    await mail.queue_mail(
        tx,
        resources,
        to,
        "Confirm your address",
        f"Hello {account.name},\n\nplease confirm that {to} is your address: notices and links to recover your "
        "Workroom account go there. The link works once, within a day.\n\nIf you have no such account, do nothing.",
        purpose="address",
        button=("Confirm the address", f"{resources.settings.base_url}/address/{token}"),
        lasts_ms=ADDRESS_MS,
    )


async def confirming(resources: Resources, token: str) -> str:
    """Return the address that a link confirms; LinkSpent if it no longer does."""
    return (await open_link(resources, token, "address")).email or ""


async def confirm_address(resources: Resources, token: str) -> str:
    """Make the address of a link the verified one of its account; return it.

    Raises:
        LinkSpent: if it was used before, is older than a day, or never was.
        AccountExists: if another account took the address in the meantime.
    """
    now = resources.clock.real_now()

    async def work(tx: Tx) -> str:
        link = await take_link(tx, resources, token, "address")
        assert link.account is not None and link.email is not None, "such a link names both"
        account = await rows.select_account(tx.conn, link.account)
        assert account is not None, "the foreign key of a link"
        other = await rows.select_account_by_email(tx.conn, link.email)
        if other is not None and other.id != account.id:
            raise AccountExists("Another account has this address by now.")
        await rows.update_account(tx.conn, account.id, email=link.email, verified_at=now)
        if link.email != account.email:
            await rows.delete_links_of(tx.conn, account.id, "recovery", "sign_in", "address")
            await _mail_address_changed(tx, resources, account, link.email)
        return link.email

    email = await resources.database.writer.run(work)
    await mail.hint(resources)
    return email


# Mails


async def _mail_sign_up(tx: Tx, resources: Resources, email: str, token: str) -> None:
    await mail.queue_mail(
        tx,
        resources,
        email,
        "Finish signing up",
        "Somebody, probably you, wants to open a Workroom account with this address.\n\nThe link leads to a page on "
        "which you choose your name and password; the account begins there. It works once, within a day.\n\n"
        "If that was not you, do nothing: there is no account.",
        purpose="sign_up",
        button=("Choose name and password", f"{resources.settings.base_url}/sign-up/{token}"),
        lasts_ms=SIGN_UP_MS,
    )


async def _mail_has_account(tx: Tx, resources: Resources, account: AccountRow) -> None:
    await mail.queue_mail(
        tx,
        resources,
        account.email,
        "You have an account already",
        f"Hello {account.name},\n\nsomebody, probably you, typed this address where a new one was asked for. It has a "
        "Workroom account already: sign in with it, and if the password is lost, set a new one from there.\n\n"
        "If that was not you, do nothing.",
        purpose="sign_up",
        button=("Sign in", f"{resources.settings.base_url}/sign-in"),
        lasts_ms=SIGN_UP_MS,
    )


async def _mail_address_changed(tx: Tx, resources: Resources, account: AccountRow, email: str) -> None:
    await mail.queue_mail(
        tx,
        resources,
        account.email,
        "Your address was changed",
        f"Hello {account.name},\n\nyour Workroom account has another e-mail address now: {_masked(email)}. Mail no "
        f"longer comes here.\n\nIf that was not you, write to the operator of this server, "
        f"{resources.settings.operator}, at once.",
        purpose="security",
    )


def _masked(email: str) -> str:
    """Return an address by its first letter and its host: enough to know one's own by."""
    local, _, host = email.partition("@")
    return f"{local[:1]}…@{host}"
