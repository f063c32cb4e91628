"""Tables of files: uploads on their way, what is stored by digest, what is attached to entries, who downloaded it.

Rule 1: `stored_files.uses` counts the attachments of a digest and the finished uploads of it that are not attached yet.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from app.storage.tables.columns import instant, metadata

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("room", ForeignKey("rooms.id"), nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("bytes", Integer, nullable=True),  # null while a form brings it: nobody has said how much comes
    Column("announced", LargeBinary(32), nullable=True),  # the digest that the client says it has
    Column("sha256", LargeBinary(32), nullable=True),  # null until it is complete
    Column("media", String(100), nullable=True),
    instant("started_at"),  # by the real clock: limits and sweeps are about disks
    instant("completed_at", nullable=True),
    instant("used_at", nullable=True),  # when it was attached for the first time
)
Index("ix_uploads_account_started_at", uploads.c.account, uploads.c.started_at)
Index("ix_uploads_room_started_at", uploads.c.room, uploads.c.started_at)
Index("ix_uploads_started_at", uploads.c.started_at)

stored_files = Table(
    "stored_files",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("bytes", Integer, nullable=False),
    Column("media", String(100), nullable=False),
    Column("uses", Integer, nullable=False),
    Column("preview", String(10), nullable=False),  # "none", "waiting", "ready", "failed"
    instant("stored_at"),
)
Index("ix_stored_files_uses", stored_files.c.uses)
Index("ix_stored_files_preview_stored_at", stored_files.c.preview, stored_files.c.stored_at)

attachments = Table(
    "attachments",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("sha256", ForeignKey("stored_files.sha256"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("media", String(100), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("restricted", Boolean, nullable=False),
)
Index("ix_attachments_sha256", attachments.c.sha256)

file_views = Table(  # downloads of restricted files (rule 6.4)
    "file_views",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    instant("first_at"),
    instant("viewed_at"),
    Column("times", Integer, nullable=False),
)
