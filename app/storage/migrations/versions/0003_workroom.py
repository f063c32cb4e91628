"""What is agreed, delivered, told and found: matters, terms, files, notices, search."""

import sqlalchemy as sa
from alembic import op

from app.storage.search_index import SEARCH

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "search_erasures",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_search_erasures")),
    )
    op.create_table(
        "search_heads",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_search_heads")),
        sa.UniqueConstraint("room", name=op.f("uq_search_heads_room")),
    )
    op.create_table(
        "stored_files",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("media", sa.String(length=100), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("preview", sa.String(length=10), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_stored_files")),
    )
    op.create_index("ix_stored_files_preview_stored_at", "stored_files", ["preview", "stored_at"], unique=False)
    op.create_index("ix_stored_files_uses", "stored_files", ["uses"], unique=False)
    op.create_table(
        "absences",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_absences_room")),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_absences")),
    )
    op.create_table(
        "attachments",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media", sa.String(length=100), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_attachments_room")),
        sa.ForeignKeyConstraint(["sha256"], ["stored_files.sha256"], name=op.f("fk_attachments_sha256")),
        sa.PrimaryKeyConstraint("room", "seq", "position", name=op.f("pk_attachments")),
    )
    op.create_index("ix_attachments_sha256", "attachments", ["sha256"], unique=False)
    op.create_table(
        "digest_marks",
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_digest_marks_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_digest_marks_room")),
        sa.PrimaryKeyConstraint("account", "room", name=op.f("pk_digest_marks")),
    )
    op.create_table(
        "elsewhere",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("channels", sa.String(length=40), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_elsewhere_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_elsewhere_room")),
        sa.PrimaryKeyConstraint("room", "account", name=op.f("pk_elsewhere")),
    )
    op.create_table(
        "entry_views",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("viewed_at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_entry_views_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_entry_views_room")),
        sa.PrimaryKeyConstraint("room", "seq", "account", name=op.f("pk_entry_views")),
    )
    op.create_table(
        "file_views",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("viewed_at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_file_views_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_file_views_room")),
        sa.PrimaryKeyConstraint("room", "seq", "position", "account", name=op.f("pk_file_views")),
    )
    op.create_table(
        "handover_keys",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("cid", sa.String(length=64), nullable=True),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_handover_keys_room")),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_handover_keys")),
        sa.UniqueConstraint("room", "by", "cid", name=op.f("uq_handover_keys_room_by_cid")),
    )
    op.create_table(
        "matters",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("asked", sa.String(length=10), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("answer_seq", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(length=8), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_matters_room")),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_matters")),
    )
    op.create_index("ix_matters_room_state", "matters", ["room", "state"], unique=False)
    op.create_index("ix_matters_state_due_at", "matters", ["state", "due_at"], unique=False)
    op.create_table(
        "milestones",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("member", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=5), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("due_on", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_milestones_room")),
        sa.PrimaryKeyConstraint("room", "member", "key", name=op.f("pk_milestones")),
    )
    op.create_index("ix_milestones_room_state", "milestones", ["room", "state"], unique=False)
    op.create_table(
        "notice_settings",
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("at_once", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(length=8), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("next_digest_at", sa.BigInteger(), nullable=True),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_notice_settings_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_notice_settings")),
    )
    op.create_index("ix_notice_settings_next_digest_at", "notice_settings", ["next_digest_at"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.Column("mailed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_notices_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_notices_room")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint(
            "account", "room", "seq", "reason", "key", name=op.f("uq_notices_account_room_seq_reason_key")
        ),
    )
    op.create_index("ix_notices_account_created_at", "notices", ["account", "created_at"], unique=False)
    op.create_index("ix_notices_account_read_at", "notices", ["account", "read_at"], unique=False)
    op.create_index(
        "ix_notices_mailed_at_read_at_created_at", "notices", ["mailed_at", "read_at", "created_at"], unique=False
    )
    op.create_index("ix_notices_room_seq", "notices", ["room", "seq"], unique=False)
    op.create_table(
        "report_turns",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("member", sa.String(length=8), nullable=False),
        sa.Column("week_on", sa.String(length=10), nullable=False),
        sa.Column("reminds", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_report_turns_room")),
        sa.PrimaryKeyConstraint("room", "member", name=op.f("pk_report_turns")),
    )
    op.create_index("ix_report_turns_next_at", "report_turns", ["next_at"], unique=False)
    op.create_table(
        "seats",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("invited_by", sa.String(length=8), nullable=False),
        sa.Column("invited_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("taken_by", sa.String(length=26), nullable=True),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_seats_room")),
        sa.ForeignKeyConstraint(["taken_by"], ["accounts.id"], name=op.f("fk_seats_taken_by")),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_seats")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_seats_token_hash")),
    )
    op.create_table(
        "status_reports",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("member", sa.String(length=8), nullable=False),
        sa.Column("week_on", sa.String(length=10), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("missing_seq", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_status_reports_room")),
        sa.PrimaryKeyConstraint("room", "member", "week_on", name=op.f("pk_status_reports")),
    )
    op.create_table(
        "terms",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("member", sa.String(length=8), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("accepted_seq", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("week_at", sa.BigInteger(), nullable=True),
        sa.Column("zone_applied", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_terms_room")),
        sa.PrimaryKeyConstraint("room", "member", "version", name=op.f("pk_terms")),
    )
    op.create_index("ix_terms_week_at", "terms", ["zone_applied", "week_at"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=True),
        sa.Column("announced", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("media", sa.String(length=100), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_uploads_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_uploads_room")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_account_started_at", "uploads", ["account", "started_at"], unique=False)
    op.create_index("ix_uploads_room_started_at", "uploads", ["room", "started_at"], unique=False)
    op.create_index("ix_uploads_started_at", "uploads", ["started_at"], unique=False)
    op.add_column("room_heads", sa.Column("closed", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("rooms", sa.Column("state", sa.String(length=12), server_default="negotiating", nullable=False))
    op.add_column("rooms", sa.Column("job", sa.String(length=26), nullable=True))
    op.add_column("rooms", sa.Column("closed_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_rooms_job"), "rooms", ["job"], unique=False)
    for statement in SEARCH[op.get_bind().dialect.name]:
        op.execute(statement)
