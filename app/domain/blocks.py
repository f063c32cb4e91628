"""Reports: what can be reported, why, and how a report moves on (rule 1.1). Pure.

Rule 1: every answer is a row of REPORT_STEPS; a missing row is a refusal that says how the report stands.
"""

from __future__ import annotations

from enum import StrEnum

from app.domain.errors import Conflict

REASON_CHARS_MAX = 2_000  # what the operator needs to know


class ReportState(StrEnum):
    OPEN = "open"
    DISMISSED = "dismissed"
    HIDDEN = "hidden"


class ReportStep(StrEnum):
    DISMISS = "dismiss"
    HIDE = "hide"


REPORT_STEPS: dict[ReportState, dict[ReportStep, ReportState]] = {
    ReportState.OPEN: {ReportStep.DISMISS: ReportState.DISMISSED, ReportStep.HIDE: ReportState.HIDDEN},
    ReportState.HIDDEN: {ReportStep.DISMISS: ReportState.DISMISSED},  # it was a mistake: shown again
    ReportState.DISMISSED: {},
}
_REPORT_STANDS = {
    ReportState.OPEN: "This report waits for its answer.",
    ReportState.DISMISSED: "This report was dismissed already.",
    ReportState.HIDDEN: "What this report is about is hidden already.",
}


class Subject(StrEnum):
    """What can be reported."""

    JOB = "job"
    PROPOSAL = "proposal"
    INVITATION = "invitation"
    ACCOUNT = "account"


class ReportReason(StrEnum):
    SPAM = "spam"
    FRAUD = "fraud"
    UNPAID = "unpaid"
    OFFENSIVE = "offensive"
    ILLEGAL = "illegal"
    OTHER = "other"


def next_report_state(state: ReportState, step: ReportStep) -> ReportState:
    """Return the state of a report after the operator's answer.

    Raises:
        Conflict: if the table has no such row; it says how the report stands.
    """
    try:
        return REPORT_STEPS[state][step]
    except KeyError:
        raise Conflict(_REPORT_STANDS[state]) from None
