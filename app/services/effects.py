"""Effects: what an entry of a person does beyond standing in the record.

Rule 1: an effect runs in the transaction that appends its entry, and awaits nothing but the database; if it refuses,
the entry is not written either.
Rule 2: which effect a kind has is a row of `EFFECTS` in `app.services.writing`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.domain.matters import Matter
from app.domain.record import Body, Entry
from app.domain.workrooms import Member, RoomInfo
from app.services.resources import Resources
from app.storage.writer import Tx


@dataclass(frozen=True, slots=True)
class Writing:
    """An entry that was just appended. `member` is None where silence answered; `matter` is what it answers, as it
    stands now; `others` are the further workrooms whose records the unit may append to."""

    resources: Resources
    tx: Tx
    info: RoomInfo
    member: Member | None
    entry: Entry
    matter: Matter | None = None
    others: tuple[str, ...] = ()

    @property
    def body(self) -> Body:
        """The body of the entry; it has one: nothing erases what is being written."""
        assert self.entry.body is not None
        return self.entry.body

    def field(self, name: str, otherwise: Any = None) -> Any:
        """Return a field of the body, or what stands for it where it is left out."""
        return self.body.get(name, otherwise)


Effect = Callable[[Writing], Awaitable[None]]
