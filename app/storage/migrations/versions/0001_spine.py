"""The first tables: accounts, workrooms with their record, Work View."""

import sqlalchemy as sa
from alembic import op

from app.storage.guards import GUARDS

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("operator", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "size", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "disclosures",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_disclosures")),
    )
    op.create_table(
        "entries",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ref", sa.BigInteger(), nullable=True),
        sa.Column("cid", sa.String(length=64), nullable=True),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_room_kind_seq", "entries", ["room", "kind", "seq"], unique=False)
    op.create_index("uq_entries_cid_room_by", "entries", ["cid", "room", "by"], unique=True)
    op.create_table(
        "erasures",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tombstone", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_erasures")),
    )
    op.create_table(
        "room_heads",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", name=op.f("pk_room_heads")),
    )
    op.create_table(
        "rooms",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("work_view", sa.Boolean(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rooms")),
    )
    op.create_table(
        "time_comments",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("from_segment", sa.BigInteger(), nullable=False),
        sa.Column("to_segment", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name=op.f("pk_time_comments")),
    )
    op.create_index("ix_time_comments_room_by_to_segment", "time_comments", ["room", "by", "to_segment"], unique=False)
    op.create_table(
        "frames",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("session", sa.String(length=36), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("media", sa.String(length=10), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("at_stop", sa.Boolean(), nullable=False),
        sa.Column("mark", sa.String(length=12), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_frames_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_frames_room")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frames")),
    )
    op.create_index("ix_frames_room_account_segment", "frames", ["room", "account", "segment"], unique=False)
    op.create_index("ix_frames_state_erased_at", "frames", ["state", "erased_at"], unique=False)
    op.create_index("uq_frames_room_seq", "frames", ["room", "seq"], unique=True)
    op.create_table(
        "hours",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("closed_seq", sa.BigInteger(), nullable=True),
        sa.Column("amended_at", sa.BigInteger(), nullable=True),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("written", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_hours_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_hours_room")),
        sa.PrimaryKeyConstraint("room", "account", "hour", name=op.f("pk_hours")),
    )
    op.create_index("ix_hours_dirty_hour", "hours", ["dirty", "hour"], unique=False)
    op.create_table(
        "links",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=12), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=True),
        sa.Column("room", sa.String(length=26), nullable=True),
        sa.Column("side", sa.String(length=10), nullable=True),
        sa.Column("invited_by", sa.String(length=26), nullable=True),
        sa.Column("label", sa.String(length=80), nullable=True),
        sa.Column("code", sa.String(length=9), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_links_account")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_code"), "links", ["code"], unique=False)
    op.create_table(
        "members",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("seen_seq", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_members_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_members_room")),
        sa.PrimaryKeyConstraint("room", "account", name=op.f("pk_members")),
        sa.UniqueConstraint("room", "by", name=op.f("uq_members_room_by")),
    )
    op.create_index("ix_members_account", "members", ["account"], unique=False)
    op.create_table(
        "seeds",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("seed", sa.LargeBinary(length=32), nullable=False),
        sa.Column("revealed_seq", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_seeds_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_seeds_room")),
        sa.PrimaryKeyConstraint("room", "account", "day", name=op.f("pk_seeds")),
    )
    op.create_index("ix_seeds_revealed_seq_day", "seeds", ["revealed_seq", "day"], unique=False)
    op.create_table(
        "segments",
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("segment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("documented_ms", sa.Integer(), nullable=False),
        sa.Column("tracked_ms", sa.Integer(), nullable=False),
        sa.Column("overlap_ms", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_segments_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_segments_room")),
        sa.PrimaryKeyConstraint("room", "account", "segment", name=op.f("pk_segments")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("user_agent", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=60), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_sessions_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_account"), "sessions", ["account"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_tokens_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_tokens_token_hash")),
    )
    op.create_index(op.f("ix_tokens_account"), "tokens", ["account"], unique=False)
    op.create_table(
        "work_sessions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.Column("work_view", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("stretch_at", sa.BigInteger(), nullable=True),
        sa.Column("last_tick_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=10), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_work_sessions_account")),
        sa.ForeignKeyConstraint(["room"], ["rooms.id"], name=op.f("fk_work_sessions_room")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_sessions")),
    )
    op.create_index("ix_work_sessions_account_ended_at", "work_sessions", ["account", "ended_at"], unique=False)
    op.create_index(
        "ix_work_sessions_ended_at_last_tick_at", "work_sessions", ["ended_at", "last_tick_at"], unique=False
    )
    op.create_index(
        "ix_work_sessions_room_account_started_at", "work_sessions", ["room", "account", "started_at"], unique=False
    )
    op.create_table(
        "discards",
        sa.Column("session", sa.String(length=36), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["work_sessions.id"], name=op.f("fk_discards_session")),
        sa.PrimaryKeyConstraint("session", "start", "end", name=op.f("pk_discards")),
    )
    op.create_index("ix_discards_account_start", "discards", ["account", "start"], unique=False)
    op.create_table(
        "frame_views",
        sa.Column("frame", sa.String(length=36), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("viewed_at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_frame_views_account")),
        sa.ForeignKeyConstraint(["frame"], ["frames.id"], name=op.f("fk_frame_views_frame")),
        sa.PrimaryKeyConstraint("frame", "account", name=op.f("pk_frame_views")),
    )
    op.create_table(
        "ticks",
        sa.Column("session", sa.String(length=36), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("documented", sa.Boolean(), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["work_sessions.id"], name=op.f("fk_ticks_session")),
        sa.PrimaryKeyConstraint("session", "start", "end", name=op.f("pk_ticks")),
    )
    op.create_index("ix_ticks_account_segment", "ticks", ["account", "segment"], unique=False)
    for statement in GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("A record is never taken back. Restore a backup instead.")
