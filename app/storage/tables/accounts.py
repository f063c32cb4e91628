"""Tables of accounts: who they are, how they sign in, what they hold."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, false

from app.storage.tables.columns import instant, metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("password_hash", String(200), nullable=True),  # null until one is set
    Column("operator", Boolean, nullable=False, default=False),
    instant("created_at"),
    instant(
        "verified_at", nullable=True
    ),  # when a link mailed to the address was opened, or the operator vouched for it
    instant("factor_at", nullable=True),  # since when a second factor is asked for; null: none is
    instant("closed_at", nullable=True),
)

sessions = Table(  # of browsers
    "sessions",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("user_agent", String(200), nullable=False),
    Column("address", String(60), nullable=False),
    instant("created_at"),
    instant("seen_at"),
    instant("expires_at"),
    Column("awaits_factor", Boolean, nullable=False, server_default=false()),  # opens nothing until the code is given
)

tokens = Table(  # bearer tokens of programs, device tokens of trackers
    "tokens",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("purpose", String(10), nullable=False),  # "api" or "device"
    Column("label", String(80), nullable=False),
    instant("created_at"),
    instant("seen_at", nullable=True),
)

links = Table(  # one-time links
    "links",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    # "sign_in", "invitation", "pairing", "sign_up", "recovery", "address"
    Column("purpose", String(12), nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=True),  # whom it signs in; else who took or confirmed it
    Column("room", String(26), nullable=True),
    Column("side", String(10), nullable=True),
    Column("invited_by", String(26), nullable=True),
    Column("label", String(80), nullable=True),
    Column("code", String(9), nullable=True, index=True),  # what a person types to pair a device
    instant("created_at"),
    instant("expires_at"),
    instant("used_at", nullable=True),
    Column("email", String(254), nullable=True),  # the address that the link was mailed to
)
Index("ix_links_email", links.c.email)

second_factors = Table(  # one an account; asked for from `accounts.factor_at` on
    "second_factors",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("secret", LargeBinary(80), nullable=False),  # encrypted: nonce, then AES-GCM
    Column("last_step", BigInteger, nullable=False),  # of the last code that was taken: each works once
    instant("created_at"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("code_hash", LargeBinary(32), primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    instant("used_at", nullable=True),
)
