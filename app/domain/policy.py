"""The confidentiality policy that joining a workroom accepts (rule 6.4): a versioned text, committed by its digest."""

from __future__ import annotations

from hashlib import sha256

from app.domain.record import base64url

POLICY_VERSION = 1

POLICY_TEXT = """\
What you learn in a workroom is confidential.

1. Messages, files, frames, terms and everything else in a workroom are for its members. You may not pass them on, in \
whole or in part, to anybody else, during the work or after it.
2. If you want to show something to a third party, ask the other side first. Their answer is part of the record.
3. Everything that happens in a workroom is recorded, and nobody can change that record: not you, not the other side, \
not the operator of this server.
4. The operator cannot read your workroom, except as a mediator while a dispute or a claim is open.
5. The record is kept for at least twelve months after the last work. A freelancer may delete frames before a \
timesheet is submitted; that a frame was deleted stays on record.
6. Work View is always optional. The freelancer can switch it off at any time.
"""


def policy_digest() -> str:
    """Return what `policy.accepted` carries: base64url of the text's SHA-256."""
    return base64url(sha256(POLICY_TEXT.encode()).digest())
