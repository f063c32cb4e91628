"""Schemas of the JSON API of one's account: what its routes take and answer (app/web/openapi.py describes them)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    """One's own account."""

    id: str
    name: str
    email: str
    email_verified: bool
    has_password: bool
    second_factor: bool
    recovery_codes_left: int
    operator: bool
    created_at: str


class NewName(Struct, frozen=True):
    name: str


class NewAddress(Struct, frozen=True):
    """A link is mailed to `email`; the account changes to it when the link is opened."""

    email: str
    present_password: str = ""


class NewPassword(Struct, frozen=True):
    """All one's sessions end; with `end_tokens` also all other tokens and trackers."""

    password: str
    present_password: str = ""
    end_tokens: bool = True


class ListedSession(Struct, frozen=True, forbid_unknown_fields=True):
    """A signed-in browser. `present`: the request came with it."""

    id: str
    user_agent: str
    address: str
    created_at: str
    seen_at: str
    present: bool


class Sessions(Struct, frozen=True, forbid_unknown_fields=True):
    sessions: list[ListedSession]


class ListedToken(Struct, frozen=True, forbid_unknown_fields=True):
    """A token of a program ("api") or of a tracker ("device")."""

    id: str
    purpose: str
    label: str
    created_at: str
    seen_at: str | None


class Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    tokens: list[ListedToken]


class NewToken(Struct, frozen=True):
    label: str
    purpose: Literal["api", "device"] = "api"


class MadeToken(Struct, frozen=True, forbid_unknown_fields=True):
    """The token itself, given out once."""

    token: str


class Done(Struct, frozen=True, forbid_unknown_fields=True):
    """It was done; there is nothing else to say."""

    ok: bool = True
