"""Jobs and proposals as pages and programs show them.

Rule 1: what people wrote goes through `rich_text`; everything else is escaped by the templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from app.domain.blocks import ReportReason
from app.domain.jobs import JobState, Offer, Pay, ProposalState, Soon, Visibility
from app.domain.money import DECIMALS, amount_text
from app.domain.timerange import instant_text
from app.storage.blocks import ReportedRow
from app.storage.jobs import JobRow, JobSummaryRow
from app.storage.proposals import ListedProposal, ProposalRow
from app.views.money import money_text, range_text
from app.views.text import one_line

SOON = {
    Soon.NOW: "at once",
    Soon.WEEK: "within a week",
    Soon.FORTNIGHT: "within two weeks",
    Soon.MONTH: "within a month",
    Soon.LATER: "later",
}
REASONS = {
    ReportReason.SPAM: "Advertising, or the same text everywhere",
    ReportReason.FRAUD: "Fraud: asks for money, data or an account",
    ReportReason.UNPAID: "Asks for work without pay",
    ReportReason.OFFENSIVE: "Offensive, or discriminates",
    ReportReason.ILLEGAL: "Asks for something illegal",
    ReportReason.OTHER: "Something else",
}
VISIBLE = {
    Visibility.EVERYBODY: "Everybody with an account",
    Visibility.INVITED: "Only those you invite",
}
JOB_STATES = {JobState.OPEN: "open", JobState.AWARDED: "awarded", JobState.CLOSED: "closed"}
PROPOSAL_STATES = {
    ProposalState.SENT: "waits for an answer",
    ProposalState.WITHDRAWN: "withdrawn",
    ProposalState.DECLINED: "declined",
    ProposalState.OPENED: "messages open",
}
USUAL_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "CAD", "AUD", "INR", "JPY", "PLN", "SEK", "BRL", "UAH")
CURRENCIES = (*USUAL_CURRENCIES, *(code for code in sorted(DECIMALS) if code not in USUAL_CURRENCIES))
# What the field for a time zone suggests; any other name that the machine knows is taken too.
_ZONES = (
    "UTC Africa/Cairo Africa/Johannesburg Africa/Lagos Africa/Nairobi America/Bogota America/Chicago "
    "America/Denver America/Halifax America/Los_Angeles America/Mexico_City America/New_York America/Santiago "
    "America/Sao_Paulo America/Toronto Asia/Bangkok Asia/Dhaka Asia/Dubai Asia/Ho_Chi_Minh Asia/Hong_Kong "
    "Asia/Jakarta Asia/Karachi Asia/Kolkata Asia/Manila Asia/Riyadh Asia/Seoul Asia/Shanghai Asia/Singapore "
    "Asia/Tashkent Asia/Tbilisi Asia/Tehran Asia/Tokyo Asia/Yerevan Atlantic/Reykjavik Australia/Brisbane "
    "Australia/Perth Australia/Sydney Europe/Amsterdam Europe/Athens Europe/Belgrade Europe/Berlin "
    "Europe/Brussels Europe/Bucharest Europe/Budapest Europe/Copenhagen Europe/Dublin Europe/Helsinki "
    "Europe/Istanbul Europe/Kyiv Europe/Lisbon Europe/London Europe/Madrid Europe/Oslo Europe/Paris Europe/Prague "
    "Europe/Rome Europe/Sofia Europe/Stockholm Europe/Vienna Europe/Vilnius Europe/Warsaw Europe/Zurich "
    "Pacific/Auckland"
)
ZONES = tuple(_ZONES.split())
SNIPPET_CHARS = 220
_LINE_MARK = re.compile(r"^\s*(?:[-*+>]|\d{1,9}[.)])\s+")  # of a list or a quotation
_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\s]*\)")


def pay_text(offer: Offer) -> str:
    """Return `€40 to €55.50 an hour` or `€900 in all`."""
    unit = "an hour" if offer.pay is Pay.HOURLY else "in all"
    return f"{range_text(offer.low, offer.high)} {unit}"


def start_text(offer: Offer) -> str:
    """Return the day on which the work begins, or that it may begin at once."""
    if offer.start_on is None:
        return "As soon as possible"
    day = date.fromisoformat(offer.start_on)
    return f"{day.day} {day:%B} {day.year}"


def hours_text(offer: Offer) -> str:
    """Return how many hours a week are wanted; empty for a fixed price."""
    if offer.pay is not Pay.HOURLY:
        return ""
    return "not said" if offer.weekly_hours is None else f"up to {offer.weekly_hours} a week"


def amount_of(proposal: ProposalRow, offer: Offer) -> str:
    """Return what a freelancer asks for: `€48 an hour`."""
    return f"{money_text(proposal.amount)} {'an hour' if offer.pay is Pay.HOURLY else 'in all'}"


def snippet(offer: Offer) -> str:
    """Return the beginning of a description, for lists."""
    lines = (_LINE_MARK.sub("", line) for line in offer.description.split("\n"))
    plain = _LINK.sub(r"\1", " ".join(line.strip() for line in lines if line.strip()))
    return one_line(plain.replace("**", "").replace("`", ""), SNIPPET_CHARS)


def form_of(offer: Offer) -> dict[str, str]:
    """Return an offer as the fields of its form: what `offer_of_form` reads back."""
    hourly = offer.pay is Pay.HOURLY
    return {
        "title": offer.title,
        "description": offer.description,
        "pay": offer.pay.value,
        "currency": offer.currency,
        "low": amount_text(offer.low) if hourly else "",
        "high": amount_text(offer.high) if hourly and offer.high != offer.low else "",
        "budget": "" if hourly else amount_text(offer.low),
        "weekly_hours": str(offer.weekly_hours or ""),
        "start_on": offer.start_on or "",
        "time_zone": offer.time_zone,
        "skills": ", ".join(offer.skills),
        "work_view": "on" if offer.work_view else "",
        "visible_to": offer.visible_to.value,
    }


EMPTY_FORM: Mapping[str, str] = {
    "title": "", "description": "", "pay": Pay.HOURLY.value, "currency": "EUR", "low": "", "high": "", "budget": "",
    "weekly_hours": "", "start_on": "", "time_zone": "UTC", "skills": "", "work_view": "on",
    "visible_to": Visibility.EVERYBODY.value,
}  # fmt: skip


# For programs


def offer_json(offer: Offer) -> dict[str, Any]:
    """Return an offer as the API shows it; amounts are in minor units."""
    return {
        "title": offer.title,
        "description": offer.description,
        "pay": offer.pay.value,
        "currency": offer.currency,
        "low_minor": offer.low_minor,
        "high_minor": offer.high_minor,
        "weekly_hours": offer.weekly_hours,
        "start_on": offer.start_on,
        "time_zone": offer.time_zone,
        "skills": list(offer.skills),
        "work_view": offer.work_view,
        "visible_to": offer.visible_to.value,
    }


def job_json(job: JobRow, mine: str | None) -> dict[str, Any]:
    """Return a job as the API shows it; `mine` is the state of one's own proposal."""
    return {
        "id": job.id,
        "client": job.client_name,
        "state": job.state.value,
        "version": job.version,
        "offer": offer_json(job.offer),
        "posted_at": instant_text(job.posted_at),
        "edited_at": None if job.edited_at is None else instant_text(job.edited_at),
        "proposal": mine,
    }


def summary_json(found: JobSummaryRow) -> dict[str, Any]:
    """Return a job of a list as the API shows it."""
    return job_json(found.job, found.mine)


def proposal_json(listed: ListedProposal) -> dict[str, Any]:
    """Return a proposal as the API shows it to the client."""
    row = listed.proposal
    return {
        "id": row.id,
        "freelancer": listed.freelancer_name,
        "version": row.version,
        "state": row.state.value,
        "text": row.text,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "soon": row.soon.value,
        "sent_at": instant_text(row.sent_at),
        "note": row.note,
        "room": row.room,
    }


def report_answer(row: ReportedRow) -> str:
    """Return how a report stands, as a sentence for the one who made it."""
    if row.report.state == "open":
        return "The operator has not answered yet."
    return "It was hidden from everybody but its author." if row.report.state == "hidden" else "It was dismissed."
