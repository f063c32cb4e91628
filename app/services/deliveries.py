"""Deliveries: work handed over for a milestone, accepted, or sent back for changes (rules 5.2 and 5.3).

Rule 1: a milestone's state follows its deliveries; which step follows which is a table of `app.domain.terms`.
"""

from __future__ import annotations

from msgspec import structs

from app.domain.errors import InvalidBody
from app.domain.terms import next_milestone_state
from app.services.effects import Writing
from app.services.terms import answered
from app.storage import record as entry_rows
from app.storage import terms as rows


async def on_delivered(writing: Writing) -> None:
    """Deliver a milestone of the freelancer's own that is agreed, if the delivery names one."""
    key = writing.field("milestone")
    if key is not None:
        await _step(writing, writing.entry.by, key, "body.milestone")


async def on_answered(writing: Writing) -> None:
    """Accept the milestone of a delivery, or ask for changes in it."""
    matter = answered(writing)
    delivered = (await entry_rows.select_entries(writing.tx.conn, matter.room, [matter.seq]))[matter.seq]
    key = (delivered.body or {}).get("milestone")
    if key is not None:
        await _step(writing, matter.by, key, "ref")


async def _step(writing: Writing, freelancer: str, key: str, field: str) -> None:
    listed = await rows.select_milestones(writing.tx.conn, writing.info.id, freelancer)
    found = next((milestone for milestone in listed if milestone.key == key), None)
    if found is None:
        raise InvalidBody(f"There is no milestone `{key}` in your terms.", field=field)
    state = next_milestone_state(found.state, writing.entry.kind, field)
    changed = structs.replace(found, state=state, seq=writing.entry.seq)
    await rows.update_milestone_state(writing.tx.conn, writing.info.id, changed)
