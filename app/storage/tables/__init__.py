"""Tables, once for SQLite and PostgreSQL; one module per noun. The storage and the services import them from here."""

from app.storage.tables.accounts import accounts, links, recovery_codes, second_factors, sessions, tokens
from app.storage.tables.columns import metadata
from app.storage.tables.confidentiality import entry_views
from app.storage.tables.files import attachments, file_views, stored_files, uploads
from app.storage.tables.handovers import handover_keys
from app.storage.tables.jobs import (
    blocks,
    job_invitations,
    job_versions,
    jobs,
    proposals,
    reports,
    room_openings,
)
from app.storage.tables.mail import mails
from app.storage.tables.matters import absences, matters
from app.storage.tables.members import elsewhere, seats
from app.storage.tables.notices import digest_marks, notice_settings, notices
from app.storage.tables.search import search_erasures, search_heads
from app.storage.tables.status_reports import report_turns, status_reports
from app.storage.tables.terms import milestones, terms
from app.storage.tables.workrooms import (
    checkpoints,
    disclosures,
    entries,
    erasures,
    members,
    room_heads,
    rooms,
)
from app.storage.tables.workview import (
    discards,
    frame_views,
    frames,
    hours,
    seeds,
    segments,
    ticks,
    time_comments,
    work_sessions,
)

__all__ = [
    "absences",
    "accounts",
    "attachments",
    "blocks",
    "checkpoints",
    "digest_marks",
    "discards",
    "disclosures",
    "elsewhere",
    "entries",
    "entry_views",
    "erasures",
    "file_views",
    "frame_views",
    "frames",
    "handover_keys",
    "hours",
    "job_invitations",
    "job_versions",
    "jobs",
    "links",
    "mails",
    "matters",
    "members",
    "metadata",
    "milestones",
    "notice_settings",
    "notices",
    "proposals",
    "recovery_codes",
    "report_turns",
    "reports",
    "room_heads",
    "room_openings",
    "rooms",
    "search_erasures",
    "search_heads",
    "seats",
    "second_factors",
    "seeds",
    "segments",
    "sessions",
    "status_reports",
    "stored_files",
    "terms",
    "ticks",
    "time_comments",
    "tokens",
    "uploads",
    "work_sessions",
]
