"""Accounts: what an address, a name and a password must look like, and how long secrets live. Pure."""

from __future__ import annotations

import re

from app.domain.errors import Malformed
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS

NAME_CHARS_MAX = 80
EMAIL_CHARS_MAX = 254  # RFC 5321 section 4.5.3.1.3
PASSWORD_CHARS_MIN = 10  # NIST SP 800-63B asks for 8 at least; length counts, composition does not
PASSWORD_CHARS_MAX = 256  # argon2 hashes any length; this bounds the work of a hostile one
SESSION_MS = 30 * DAY_MS
SIGN_IN_LINK_MS = 24 * HOUR_MS
SIGN_UP_MS = 24 * HOUR_MS
RECOVERY_MS = HOUR_MS
ADDRESS_MS = 24 * HOUR_MS
FACTOR_WAIT_MS = 10 * MINUTE_MS  # from the password to the code
CLOSED_HOST = "@closed.invalid"  # RFC 2606: nobody's; the address of a closed account is free again
LINKS_MAILED_MAX = 3  # to one address for one purpose, until they are used or over: nobody's mailbox is flooded
INVITATION_MS = 14 * DAY_MS

# What browsers accept in a field for addresses (HTML, "valid e-mail address"): narrower than RFC 5322, as mail is.
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


def checked_email(text: str) -> str:
    """Return the address as it is compared: without space, in lower case.

    Raises:
        Malformed: if it has not the form of an address.
    """
    email = text.strip().lower()
    if len(email) > EMAIL_CHARS_MAX or not _EMAIL.fullmatch(email):
        raise Malformed("This is no e-mail address. Write it like ana@example.org.", field="email")
    return email


def checked_name(text: str) -> str:
    """Return a name with single spaces.

    Raises:
        Malformed: if it is empty or too long.
    """
    name = " ".join(text.split())
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise Malformed(f"A name has 1 to {NAME_CHARS_MAX} characters.", field="name")
    return name


def checked_password(text: str) -> str:
    """Return a password that may be set.

    Raises:
        Malformed: if it is too short or too long.
    """
    if not PASSWORD_CHARS_MIN <= len(text) <= PASSWORD_CHARS_MAX:
        raise Malformed(
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters. A short sentence is a good one.",
            field="password",
        )
    return text


def initials(name: str) -> str:
    """Return one or two capital letters that stand for a name."""
    words = name.split()
    letters = words[0][:2] if len(words) == 1 else words[0][:1] + words[-1][:1]
    return letters.upper()
