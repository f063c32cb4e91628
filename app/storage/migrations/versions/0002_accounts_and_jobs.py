"""Accounts whole, mail, jobs with their proposals."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column("to", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("button", sa.Text(), nullable=True),
        sa.Column("footer", sa.Text(), nullable=True),
        sa.Column("unsubscribe", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index("ix_mails_next_try_at", "mails", ["next_try_at"], unique=False)
    op.create_table(
        "blocks",
        sa.Column("blocker", sa.String(length=26), nullable=False),
        sa.Column("blocked", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["blocked"], ["accounts.id"], name=op.f("fk_blocks_blocked")),
        sa.ForeignKeyConstraint(["blocker"], ["accounts.id"], name=op.f("fk_blocks_blocker")),
        sa.PrimaryKeyConstraint("blocker", "blocked", name=op.f("pk_blocks")),
    )
    op.create_index("ix_blocks_blocked", "blocks", ["blocked"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client", sa.String(length=26), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("pay", sa.String(length=8), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("low_minor", sa.BigInteger(), nullable=False),
        sa.Column("high_minor", sa.BigInteger(), nullable=False),
        sa.Column("weekly_hours", sa.Integer(), nullable=True),
        sa.Column("start_on", sa.String(length=10), nullable=True),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("skills", sa.String(length=400), nullable=False),
        sa.Column("work_view", sa.Boolean(), nullable=False),
        sa.Column("visible_to", sa.String(length=10), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.Column("edited_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("hidden_at", sa.BigInteger(), nullable=True),
        sa.Column("hidden_reason", sa.String(length=500), nullable=True),
        sa.Column("mailed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["client"], ["accounts.id"], name=op.f("fk_jobs_client")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_client_posted_at", "jobs", ["client", "posted_at"], unique=False)
    op.create_index("ix_jobs_posted_at", "jobs", ["posted_at"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_recovery_codes_account")),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_index(op.f("ix_recovery_codes_account"), "recovery_codes", ["account"], unique=False)
    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("reporter", sa.String(length=26), nullable=False),
        sa.Column("subject", sa.String(length=12), nullable=False),
        sa.Column("subject_id", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("reason", sa.String(length=12), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(length=26), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_reports_account")),
        sa.ForeignKeyConstraint(["answered_by"], ["accounts.id"], name=op.f("fk_reports_answered_by")),
        sa.ForeignKeyConstraint(["reporter"], ["accounts.id"], name=op.f("fk_reports_reporter")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_reporter_sent_at", "reports", ["reporter", "sent_at"], unique=False)
    op.create_index("ix_reports_state_sent_at", "reports", ["state", "sent_at"], unique=False)
    op.create_index("ix_reports_subject_subject_id", "reports", ["subject", "subject_id"], unique=False)
    op.create_table(
        "room_openings",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("room", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_room_openings_account")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_room_openings")),
    )
    op.create_index("ix_room_openings_account_at", "room_openings", ["account", "at"], unique=False)
    op.create_table(
        "second_factors",
        sa.Column("account", sa.String(length=26), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=80), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_second_factors_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "job_invitations",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("job", sa.String(length=26), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("account", sa.String(length=26), nullable=True),
        sa.Column("invited_by", sa.String(length=26), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("hidden_at", sa.BigInteger(), nullable=True),
        sa.Column("hidden_reason", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_job_invitations_account")),
        sa.ForeignKeyConstraint(["invited_by"], ["accounts.id"], name=op.f("fk_job_invitations_invited_by")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_job_invitations_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_job_invitations_token_hash")),
    )
    op.create_index("ix_job_invitations_account", "job_invitations", ["account"], unique=False)
    op.create_index("ix_job_invitations_email", "job_invitations", ["email"], unique=False)
    op.create_index("ix_job_invitations_invited_by_sent_at", "job_invitations", ["invited_by", "sent_at"], unique=False)
    op.create_index("uq_job_invitations_job_email", "job_invitations", ["job", "email"], unique=True)
    op.create_table(
        "job_versions",
        sa.Column("job", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offer", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_job_versions_job")),
        sa.PrimaryKeyConstraint("job", "version", name=op.f("pk_job_versions")),
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("job", sa.String(length=26), nullable=False),
        sa.Column("freelancer", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("soon", sa.String(length=10), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("room", sa.String(length=26), nullable=True),
        sa.Column("hidden_at", sa.BigInteger(), nullable=True),
        sa.Column("hidden_reason", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["freelancer"], ["accounts.id"], name=op.f("fk_proposals_freelancer")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_proposals_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    )
    op.create_index("ix_proposals_freelancer_sent_at", "proposals", ["freelancer", "sent_at"], unique=False)
    op.create_index("ix_proposals_room", "proposals", ["room"], unique=False)
    op.create_index(
        "uq_proposals_job_freelancer",
        "proposals",
        ["job", "freelancer"],
        unique=True,
        sqlite_where=sa.text("state != 'withdrawn'"),
        postgresql_where=sa.text("state != 'withdrawn'"),
    )
    op.add_column("accounts", sa.Column("verified_at", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("factor_at", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("closed_at", sa.BigInteger(), nullable=True))
    op.add_column("links", sa.Column("email", sa.String(length=254), nullable=True))
    op.create_index("ix_links_email", "links", ["email"], unique=False)
    op.add_column("sessions", sa.Column("awaits_factor", sa.Boolean(), server_default=sa.false(), nullable=False))
