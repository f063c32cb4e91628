"""Tables of jobs: offers and their versions, proposals, invitations; blocks and reports.

Rule 1: amounts are integers in minor units of the currency beside them.
Rule 2: `hidden_at` is set by the operator; what is hidden is shown to its author only, with the reason.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from app.storage.tables.columns import instant, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("client", ForeignKey("accounts.id"), nullable=False),
    Column("state", String(10), nullable=False),  # "open", "awarded", "closed"
    Column("version", Integer, nullable=False),
    Column("title", String(120), nullable=False),
    Column("description", Text, nullable=False),
    Column("pay", String(8), nullable=False),  # "hourly", "fixed"
    Column("currency", String(3), nullable=False),
    Column("low_minor", BigInteger, nullable=False),
    Column("high_minor", BigInteger, nullable=False),
    Column("weekly_hours", Integer, nullable=True),
    Column("start_on", String(10), nullable=True),  # null: as soon as possible
    Column("time_zone", String(60), nullable=False),
    Column("skills", String(400), nullable=False),  # with commas
    Column("work_view", Boolean, nullable=False),
    Column("visible_to", String(10), nullable=False),  # "everybody", "invited"
    Column("words", Text, nullable=False),  # title, skills and description as they are searched
    instant("posted_at"),
    instant("edited_at", nullable=True),
    instant("closed_at", nullable=True),
    instant("hidden_at", nullable=True),
    Column("hidden_reason", String(500), nullable=True),
    instant("mailed_at", nullable=True),  # when the last mail about its proposals goes out, by the real clock
)
Index("ix_jobs_posted_at", jobs.c.posted_at)
Index("ix_jobs_client_posted_at", jobs.c.client, jobs.c.posted_at)

job_versions = Table(  # what an offer said, so that a proposal keeps what it answered
    "job_versions",
    metadata,
    Column("job", ForeignKey("jobs.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("offer", LargeBinary, nullable=False),  # JSON
    instant("at"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("job", ForeignKey("jobs.id"), nullable=False),
    Column("freelancer", ForeignKey("accounts.id"), nullable=False),
    Column("version", Integer, nullable=False),  # of the offer that it answers
    Column("state", String(10), nullable=False),  # "sent", "withdrawn", "declined", "opened"
    Column("text", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),  # of an hour, or of the whole
    Column("currency", String(3), nullable=False),
    Column("soon", String(10), nullable=False),
    instant("sent_at"),
    instant("answered_at", nullable=True),
    Column("note", String(500), nullable=True),  # a word with the answer
    Column("room", String(26), nullable=True),
    instant("hidden_at", nullable=True),
    Column("hidden_reason", String(500), nullable=True),
)
Index(  # one proposal that counts for each freelancer and job; who withdrew may propose again
    "uq_proposals_job_freelancer",
    proposals.c.job,
    proposals.c.freelancer,
    unique=True,
    sqlite_where=text("state != 'withdrawn'"),
    postgresql_where=text("state != 'withdrawn'"),
)
Index("ix_proposals_freelancer_sent_at", proposals.c.freelancer, proposals.c.sent_at)
Index("ix_proposals_room", proposals.c.room)

job_invitations = Table(
    "job_invitations",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("job", ForeignKey("jobs.id"), nullable=False),
    Column("email", String(254), nullable=False),  # as it is compared
    Column("account", ForeignKey("accounts.id"), nullable=True),  # who came by its link, under whatever address
    Column("invited_by", ForeignKey("accounts.id"), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    instant("sent_at"),
    instant("expires_at"),  # the link; who has come by it stays invited
    instant("hidden_at", nullable=True),
    Column("hidden_reason", String(500), nullable=True),
)
Index("uq_job_invitations_job_email", job_invitations.c.job, job_invitations.c.email, unique=True)
Index("ix_job_invitations_email", job_invitations.c.email)
Index("ix_job_invitations_account", job_invitations.c.account)
Index("ix_job_invitations_invited_by_sent_at", job_invitations.c.invited_by, job_invitations.c.sent_at)

room_openings = Table(  # who opened which workroom, and by which form: so that a form opens one, and a day has a limit
    "room_openings",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("room", String(26), nullable=False),
    instant("at"),
)
Index("ix_room_openings_account_at", room_openings.c.account, room_openings.c.at)

blocks = Table(
    "blocks",
    metadata,
    Column("blocker", ForeignKey("accounts.id"), primary_key=True),
    Column("blocked", ForeignKey("accounts.id"), primary_key=True),
    instant("at"),
)
Index("ix_blocks_blocked", blocks.c.blocked)

reports = Table(
    "reports",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("reporter", ForeignKey("accounts.id"), nullable=False),
    Column("subject", String(12), nullable=False),  # "job", "proposal", "invitation", "account"
    Column("subject_id", String(26), nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=False),  # whose it is
    Column("reason", String(12), nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(10), nullable=False),  # "open", "dismissed", "hidden"
    instant("sent_at"),
    instant("answered_at", nullable=True),
    Column("answered_by", ForeignKey("accounts.id"), nullable=True),  # null: by the command line
    Column("answer", String(500), nullable=True),
)
Index("ix_reports_state_sent_at", reports.c.state, reports.c.sent_at)
Index("ix_reports_reporter_sent_at", reports.c.reporter, reports.c.sent_at)
Index("ix_reports_subject_subject_id", reports.c.subject, reports.c.subject_id)
