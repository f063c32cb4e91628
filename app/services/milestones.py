"""Milestones: proposed and agreed one by one, and moved by delays (rules 1.4 and 5.1).

Rule 1: what is agreed about a milestone is a new version of the terms.
Rule 2: a date that is new or changed does not lie in the past; a delay only moves dates to later ones.
Rule 3: what was delivered or accepted keeps its name, amount and date; only a delay moves the date of a delivered one.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from app.domain.bodies.agreements import TermsMilestone, TermsProposed
from app.domain.bodies.fields import MILESTONES_MAX
from app.domain.errors import InvalidBody, OthersToAnswer
from app.domain.matters import Matter
from app.domain.record import Body
from app.domain.terms import Milestone, MilestoneState, Terms, next_key
from app.domain.workrooms import Side
from app.services import matters
from app.services.effects import Writing
from app.services.terms import (
    add_version,
    answered,
    asked_body,
    check_dates,
    check_for_freelancer,
    check_own,
    freelancer_of,
    open_about,
)  # fmt: skip
from app.storage import record as entry_rows
from app.storage import terms as rows


async def on_proposed(writing: Writing) -> None:
    """Check a proposal; it takes the place of an open one of the same side for the same milestone."""
    check_for_freelancer(writing)
    present = await _check_proposal(writing, writing.body, "body.")
    standing = next((m.due_on for m in present.milestones if m.key == writing.body["key"]), None)
    check_dates(writing, [("body.due_on", writing.body["due_on"], standing)])
    side = writing.info.members[writing.entry.by].side.value
    older = [m for m in await _open_for_key(writing, writing.body) if m.side == side]
    await matters.give_way(writing.tx, older, writing.entry)


async def on_accepted(writing: Writing) -> None:
    """Agree on a milestone: other open proposals for it give way."""
    body = await asked_body(writing)
    present = await _check_proposal(writing, body, "")
    named = TermsMilestone(body["key"], body["name"], body["amount_minor"], body["due_on"])
    others = [m for m in await _open_for_key(writing, body) if m.seq != answered(writing).seq]
    await add_version(writing, _with_milestone(present, named), answered(writing).seq)
    await matters.give_way(writing.tx, others, writing.entry)


async def on_withdrawn(writing: Writing) -> None:
    """Let a freelancer take back their own proposal only."""
    check_own(writing)


async def on_delay(writing: Writing) -> None:
    """Check that a delay names milestones that can still be late."""
    await _delayed(writing, writing.body)


async def on_delay_accepted(writing: Writing) -> None:
    """Move the dates that a delay names; a milestone that was accepted or dropped meanwhile keeps its own."""
    body = await asked_body(writing)
    moves = {move["milestone"]: move["due_on"] for move in body.get("moves", [])}
    if not moves:
        return
    matter, tx = answered(writing), writing.tx
    freelancer = matter.by if matter.side == Side.FREELANCER else writing.entry.by
    versions = await rows.select_versions(tx.conn, matter.room, freelancer)
    listed = await rows.select_milestones(tx.conn, matter.room, freelancer)
    waiting = {m.key for m in listed if m.state is not MilestoneState.ACCEPTED}
    if not versions or not any(m.key in moves for m in versions[-1].what.milestones):
        if matter.side == Side.CLIENT:
            raise OthersToAnswer("This delay moves another freelancer’s dates: they answer it.")
        return
    moved = [
        structs.replace(m, due_on=moves[m.key]) if m.key in moves and m.key in waiting else m
        for m in versions[-1].what.milestones
    ]
    if moved == versions[-1].what.milestones:
        return
    await rows.replace_milestones(tx.conn, matter.room, freelancer, _moved(listed, moves, writing.entry.seq))
    await add_version(writing, structs.replace(versions[-1].what, milestones=moved), matter.seq)


def _moved(listed: Sequence[Milestone], moves: dict[str, str], seq: int) -> list[Milestone]:
    return [
        structs.replace(m, due_on=moves[m.key], seq=seq)
        if m.key in moves and m.state is not MilestoneState.ACCEPTED
        else m
        for m in listed
    ]


async def _check_proposal(writing: Writing, body: Body, place: str) -> TermsProposed:
    """Return the last version of the terms, if a milestone can be added to them or changed.

    Raises:
        InvalidBody: naming the field.
    """
    conn, room = writing.tx.conn, writing.info.id
    versions = await rows.select_versions(conn, room, body["member"])
    if not versions or versions[-1].what.pay != "fixed":
        raise InvalidBody(
            "Milestones belong to a fixed price. Propose terms with a fixed price first.", field=f"{place}member"
        )
    present = versions[-1].what
    if body.get("currency", present.currency) != present.currency:
        raise InvalidBody(
            f"The terms are in {present.currency}. Name the amount in it, or propose other terms.",
            field=f"{place}currency",
        )
    standing = {m.key: m for m in await rows.select_milestones(conn, room, body["member"])}
    known = standing.get(body["key"])
    if known is None:
        free = next_key([*standing, *_keys(versions)])
        if body["key"] != free:
            raise InvalidBody(f"There is no milestone `{body['key']}`; a new one is `{free}`.", field=f"{place}key")
        if len(present.milestones) >= MILESTONES_MAX:
            raise InvalidBody(f"Terms have up to {MILESTONES_MAX} milestones.", field=f"{place}key")
    elif known.state is not MilestoneState.AGREED:
        raise InvalidBody(
            f"The milestone “{known.name}” was {known.state.value}: it stays as it is.", field=f"{place}key"
        )
    return present


async def _delayed(writing: Writing, body: Body) -> None:
    """Check the milestones that a delay names, and their new dates.

    Raises:
        InvalidBody: naming the first one that there is not, that was accepted, or that several freelancers have; or
            whose new date has passed or lies before the one that stands.
    """
    moves = body.get("moves", [])
    if not moves:
        return
    author = writing.info.members[writing.entry.by]
    mine = author.by if author.side is Side.FREELANCER else None
    listed = await rows.select_milestones(writing.tx.conn, writing.info.id, mine)
    owners: set[str] = set()
    for number, move in enumerate(moves):
        field = f"body.moves.{number}.milestone"
        found = [m for m in listed if m.key == move["milestone"]]
        if not found:
            raise InvalidBody(f"There is no milestone `{move['milestone']}` in the terms.", field=field)
        owners |= {m.member for m in found}
        if len(owners) > 1:
            raise InvalidBody("Several freelancers have milestones here: let each announce their own.", field=field)
        if found[0].state is MilestoneState.ACCEPTED:
            raise InvalidBody(f"The milestone “{found[0].name}” was accepted: it cannot be late.", field=field)
        day = f"body.moves.{number}.due_on"
        check_dates(writing, [(day, move["due_on"], None)])
        if move["due_on"] <= found[0].due_on:
            raise InvalidBody(
                f"“{found[0].name}” is due on {found[0].due_on}: a delay names a later day. Propose the milestone anew "
                "for an earlier one.",
                field=day,
            )


async def _open_for_key(writing: Writing, body: Body) -> list[Matter]:
    """Return the other open proposals for the same milestone of the same freelancer."""
    found = await open_about(writing.tx, writing.info.id, writing.entry, body["member"])
    asked = await entry_rows.select_entries(writing.tx.conn, writing.info.id, [m.seq for m in found])
    bodies = {seq: entry.body or {} for seq, entry in asked.items()}
    return [m for m in found if bodies[m.seq].get("key") == body["key"] and freelancer_of(m) == body["member"]]


def _with_milestone(present: TermsProposed, named: TermsMilestone) -> TermsProposed:
    kept = [named if m.key == named.key else m for m in present.milestones]
    return structs.replace(present, milestones=kept if named in kept else [*kept, named])


def _keys(versions: Sequence[Terms]) -> list[str]:
    return [milestone.key for version in versions for milestone in version.what.milestones]
