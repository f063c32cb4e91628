"""Passwords of accounts: changed by those who know the present one, recovered by mail by those who do not (rule 8.1).

Rule 1: asking for recovery is answered alike whether the address has an account or not.
Rule 2: the link works once, within an hour; all sessions end with it unless one says otherwise, and all tokens and
    trackers in any case: who lost the account to somebody gets it back alone.
Rule 3: a second factor is asked for afterwards all the same.
Rule 4: where recovery is the first proof of the address, somebody else may have signed up with it: all that they left
    ends, their sessions and their second factor too.
"""

from __future__ import annotations

from app.domain.accounts import LINKS_MAILED_MAX, RECOVERY_MS, checked_email
from app.domain.errors import WrongPassword
from app.services import mail
from app.services.access import Actor
from app.services.accounts import (
    Client,
    SignedIn,
    account_of_email,
    new_link,
    open_session,
    own_account,
    publish_revoked,
)
from app.services.links import add_link, open_link, take_link
from app.services.passwords import count_attempt, hash_password, try_password
from app.services.resources import Resources
from app.storage import accounts as rows
from app.storage.accounts import AccountRow
from app.storage.second_factors import delete_factor
from app.storage.writer import Tx

_PRESENT = "The present password is wrong. Nothing was changed."


async def set_password(
    resources: Resources,
    actor: Actor,
    new: str,
    present: str = "",
    *,
    session: str | None = None,
    end_tokens: bool = True,
) -> None:
    """Set the password of one's account; all its other sessions end, and tokens and trackers unless they are to stay.

    `session` is what one asks with, a session or a token; it goes on.

    Raises:
        Malformed: if the new one is too short or too long.
        WrongPassword: if there is a present one and it is another.
        TooMany: after too many attempts.
    """
    hashed = await hash_password(new)
    row = await check_present_password(resources, actor, present)

    async def update(tx: Tx) -> list[str]:
        await rows.update_password(tx.conn, actor.account, hashed)
        await rows.delete_links_of(tx.conn, actor.account, "recovery")
        if row.verified_at is not None:  # a change of address that somebody else began
            await rows.delete_links_of(tx.conn, actor.account, "address")
        gone = await rows.delete_sessions_of(tx.conn, actor.account, but=session)
        if end_tokens:
            gone += await end_tokens_of(tx, actor.account, but=session)
        if row.password_hash is not None:
            ended = "All its other sessions were ended" + (", and all its tokens and trackers." if end_tokens else ".")
            await tell_password_changed(tx, resources, row.email, ended)
        return gone

    publish_revoked(resources, await resources.database.writer.run(update))


async def end_tokens_of(tx: Tx, account: str, but: str | None = None) -> list[str]:
    """Revoke the tokens and trackers of an account, with pairings that nobody fetched yet; return what to publish."""
    await rows.delete_links_of(tx.conn, account, "pairing")
    return await rows.delete_tokens_of(tx.conn, account, but=but)


async def check_present_password(resources: Resources, actor: Actor, present: str) -> AccountRow:
    """Check the password that one types again before something grave; return one's account as it is stored.

    An account without a password has been entered by a link: its session is proof enough.

    Raises:
        WrongPassword: if it has another password.
        TooMany: after too many attempts.
    """
    row = await own_account(resources, actor)
    if row.password_hash is not None:
        keys = (f"password {actor.account}",)
        await try_password(resources, keys, row.password_hash, present, WrongPassword(_PRESENT, field="present"))
    return row


async def tell_password_changed(tx: Tx, resources: Resources, email: str, ended: str) -> None:
    """Queue the mail that tells the owner of an account that its password is another now."""
    await mail.queue_mail(
        tx,
        resources,
        email,
        "Your password was changed",
        f"The password of your Workroom account was just changed. {ended}\n\n"
        "If that was you, there is nothing to do. If not, set a new one now: whoever changed it can read your mail, "
        "or used a browser in which you were signed in.",
        purpose="security",
        button=("Set a new password", f"{resources.settings.base_url}/recover"),
    )


async def ask_recovery(resources: Resources, email: str, client: Client) -> None:
    """Mail a link that sets a new password, if the address has an account (rule 1).

    Raises:
        Malformed: if this is no address.
        TooMany: after too many questions from one place.
    """
    email = checked_email(email)
    count_attempt(resources, [f"recovery {client.address}", f"recovery {email}"])
    now = resources.clock.real_now()

    async def ask(tx: Tx) -> None:
        account = await rows.select_account_by_email(tx.conn, email)
        if account is None or await rows.count_links_mailed(tx.conn, email, "recovery", now) >= LINKS_MAILED_MAX:
            return
        token = await add_link(tx, resources, "recovery", RECOVERY_MS, account=account.id, email=email)
        await mail.queue_mail(
            tx,
            resources,
            email,
            "Set a new password",
            f"Hello {account.name},\n\nthis link sets a new password for your Workroom account. It works once, within "
            "an hour.\n\nIf you did not ask for it, do nothing: your password stays as it is.",
            purpose="recovery",
            button=("Set a new password", f"{resources.settings.base_url}/recover/{token}"),
            lasts_ms=RECOVERY_MS,
        )

    await resources.database.writer.run(ask)
    await mail.hint(resources)


async def recovering(resources: Resources, token: str) -> str:
    """Return the address whose account a recovery link opens.

    Raises:
        LinkSpent: if it was used before, is older than an hour, or never was.
    """
    return (await open_link(resources, token, "recovery")).email or ""


async def can_keep(resources: Resources, token: str) -> bool:
    """Whether the sessions of the account behind a recovery link may be kept (rule 4).

    Raises:
        LinkSpent: as `recovering` does.
    """
    link = await open_link(resources, token, "recovery")
    async with resources.database.read() as conn:
        account = await rows.select_account(conn, link.account or "")
    return account is not None and account.verified_at is not None


async def recover(resources: Resources, token: str, password: str, client: Client, *, keep: bool = False) -> SignedIn:
    """Set a new password by a recovery link, and sign in; all other sessions end unless they are to be kept, and all
    tokens and trackers in any case.

    Raises:
        LinkSpent: as `recovering` does.
        Malformed: if the password is too short or too long.
    """
    await open_link(resources, token, "recovery")
    hashed = await hash_password(password)
    now = resources.clock.real_now()

    async def work(tx: Tx) -> tuple[SignedIn, list[str]]:
        link = await take_link(tx, resources, token, "recovery")
        assert link.account is not None, "a recovery link names its account"
        before = await rows.select_account(tx.conn, link.account)
        assert before is not None, "the foreign key of a link"
        kept = keep and before.verified_at is not None
        if before.verified_at is None:
            await delete_factor(tx.conn, link.account)
            await rows.update_account(tx.conn, link.account, factor_at=None)
        await rows.update_account(tx.conn, link.account, password_hash=hashed, verified_at=now)
        await rows.delete_links_of(tx.conn, link.account, "recovery", "sign_in", "address")
        gone = [] if kept else await rows.delete_sessions_of(tx.conn, link.account)
        gone += await end_tokens_of(tx, link.account)
        account = await rows.select_account(tx.conn, link.account)
        assert account is not None, "the foreign key of a link"
        ended = "All its tokens and trackers were" if kept else "All its sessions, tokens and trackers were"
        await tell_password_changed(tx, resources, account.email, f"{ended} ended.")
        return await open_session(tx, resources, account, client), gone

    signed, gone = await resources.database.writer.run(work)
    publish_revoked(resources, gone)
    await mail.hint(resources)
    return signed


async def reset_account(resources: Resources, email: str) -> str:
    """Take password, sessions, tokens, trackers and older links away from an account whose owner lost them, and tell
    the owner by mail; return a sign-in link.

    Raises:
        NotFound: if no account has this address.
    """
    actor = await account_of_email(resources, email)

    async def update(tx: Tx) -> list[str]:
        await rows.update_password(tx.conn, actor.account, None)
        await rows.delete_links_of(tx.conn, actor.account, "sign_in", "recovery", "address")
        await mail.queue_mail(
            tx,
            resources,
            actor.email,
            "Your account was reset",
            f"Hello {actor.name},\n\nthe operator of this server has reset your Workroom account: its password was "
            "taken away, and all its sessions, tokens and trackers were ended. Pair your tracker again once you are "
            "signed in.\n\nIf you did not ask for that, write to the operator, "
            f"{resources.settings.operator}, at once.",
            purpose="security",
        )
        return await rows.delete_sessions_of(tx.conn, actor.account) + await end_tokens_of(tx, actor.account)

    publish_revoked(resources, await resources.database.writer.run(update))
    await mail.hint(resources)
    return await new_link(resources, actor)
