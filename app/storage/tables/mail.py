"""The table of mails: what is to be sent, what was, and why something could not be."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from app.storage.tables.columns import instant, metadata

mails = Table(
    "mails",
    metadata,
    Column("id", String(26), primary_key=True),  # also the name of its Message-ID: stable over all tries
    Column("purpose", String(24), nullable=False),
    Column("to", String(254), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("text", Text, nullable=False),  # emptied once it was sent: links in it open accounts
    Column("html", Text, nullable=True),  # null: made from the text, in the frame that all mails have
    Column("button", Text, nullable=True),  # "label\naddress"
    Column("footer", Text, nullable=True),
    Column("unsubscribe", String(500), nullable=True),
    instant("created_at"),
    instant("give_up_at"),
    Column("tries", Integer, nullable=False),
    instant("next_try_at", nullable=True),  # null once it was sent or given up
    instant("sent_at", nullable=True),
    Column("failed", String(500), nullable=True),  # why the last try failed
)
Index("ix_mails_next_try_at", mails.c.next_try_at)
