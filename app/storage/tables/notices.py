"""Tables of notices: what each account is told of, how it wants it mailed, and how far mails have told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from app.storage.tables.columns import instant, metadata

notices = Table(
    "notices",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("room", ForeignKey("rooms.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the entry that it is about; -1 for none
    Column("reason", String(16), nullable=False),
    Column("key", BigInteger, nullable=False),  # which one, where an entry gives several: a due date, a week; else 0
    instant("created_at"),  # by the real clock, as are the others
    instant("read_at", nullable=True),
    instant("mailed_at", nullable=True),
    UniqueConstraint("account", "room", "seq", "reason", "key"),
)
Index("ix_notices_account_read_at", notices.c.account, notices.c.read_at)
Index("ix_notices_account_created_at", notices.c.account, notices.c.created_at)
Index("ix_notices_room_seq", notices.c.room, notices.c.seq)
Index("ix_notices_mailed_at_read_at_created_at", notices.c.mailed_at, notices.c.read_at, notices.c.created_at)

notice_settings = Table(  # of accounts that were told of anything, or have chosen
    "notice_settings",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("at_once", Boolean, nullable=False),
    Column("digest", String(8), nullable=False),
    Column("hour", Integer, nullable=False),
    Column("time_zone", String(60), nullable=False),
    instant("next_digest_at", nullable=True),
    Column("turn", BigInteger, nullable=False),  # rises with every mail: of two workers one sends it
)
Index("ix_notice_settings_next_digest_at", notice_settings.c.next_digest_at)

digest_marks = Table(  # the last entry of a room that a digest to an account told
    "digest_marks",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
