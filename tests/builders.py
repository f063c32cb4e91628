"""Builders: people and workrooms, made through the services as users make them."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import NotFound
from app.domain.record import Draft
from app.services import accounts, workrooms
from app.services.access import Actor
from app.services.resources import Resources
from app.storage.writer import Tx


@dataclass(frozen=True)
class Pair:
    """A workroom with both its people."""

    room: str
    client: Actor
    freelancer: Actor


async def build_account(resources: Resources, name: str) -> Actor:
    """Create an account whose address follows from its name; its password is "correct horse"."""
    email = f"{name.lower().replace(' ', '.')}@example.org"
    return await accounts.create_account(resources, email, name, "correct horse")


async def build_pair(resources: Resources, title: str = "Harbour booking site", **options: object) -> Pair:
    """Open a workroom of Dana, the client, and Ana, the freelancer; both are made if need be."""
    people = []
    for name in ("Dana Keller", "Ana Novak"):
        email = f"{name.lower().replace(' ', '.')}@example.org"
        try:
            people.append(await accounts.account_of_email(resources, email))
        except NotFound:
            people.append(await build_account(resources, name))
    client, freelancer = people
    room = await workrooms.open_room(resources, client.account, freelancer.account, title, **options)  # type: ignore[arg-type]
    return Pair(room, client, freelancer)


async def erase(resources: Resources, room: str, seq: int) -> int:
    """Erase the content of an entry, as the tombstones of frames do; return the seq of the tombstone."""

    async def work(tx: Tx) -> int:
        tombstone = await tx.append(Draft(room, "correction", "p1", {"text": "It is gone."}, ref=seq))
        await tx.erase(room, seq, tombstone.seq)
        return tombstone.seq

    return await resources.database.writer.run(work, rooms=(room,))
