"""Digests: mails of what an account was told of and has not read.

Rule 1: urgent things go out ten minutes after they were told, if they are still unread; everything else goes with the
digest of the day or the week, with what others wrote. Whoever wants neither gets none.
Rule 2: a mail is queued in the transaction that notes what it tells: nothing is mailed twice, whoever sends.
Rule 3: a mail says nothing that is restricted (rule 6.4), and carries the newest checkpoint of each workroom it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import WorkroomError
from app.domain.notices import AT_ONCE, AT_ONCE_AFTER_MS, NOTICES_MAX, SENTENCES_MAX, next_digest_at
from app.domain.record import Entry
from app.domain.timerange import DAY_MS
from app.domain.workrooms import RoomInfo
from app.services import mail, notices, workrooms
from app.services.access import Actor
from app.services.notices import Notice
from app.services.resources import Resources
from app.storage import notices as rows
from app.storage import record as entry_rows
from app.storage.notices import NoticeRow
from app.storage.writer import Tx

MAILS_AT_ONCE = 100  # in one sweep; the next one goes on
ENTRIES_COUNTED_MAX = 1_000  # of what others wrote: nobody reads more in a mail, and the next one goes on
ENTRIES_TOLD_MAX = 10  # of one workroom: a lively one leaves room for the others
MAILED_KNOWN_MS = 31 * DAY_MS  # digests are a week apart at most

log = structlog.get_logger()


class DigestRoom(Struct, frozen=True):
    """What a mail tells of a workroom: notices, then what others wrote; `more` were left out. `checkpoint` is its
    newest signed one, b"" before the first."""

    info: RoomInfo
    notices: list[Notice]
    entries: list[Entry]
    more: int
    checkpoint: bytes


class Digest(Struct, frozen=True):
    """A mail to be written. `at_once`: urgent things alone. `counted_all`: there is no more than it says."""

    name: str
    at_once: bool
    rooms: list[DigestRoom]
    counted_all: bool
    unsubscribe: str

    @property
    def told(self) -> int:
        """How many sentences there are."""
        return sum(len(room.notices) + len(room.entries) for room in self.rooms)

    @property
    def more(self) -> int:
        """How many were left out."""
        return sum(room.more for room in self.rooms)


class Letter(Struct, frozen=True):
    """A mail as it is read."""

    subject: str
    text: str
    html: str


Write = Callable[[Digest], Letter]


class _Found(Struct, frozen=True):
    """What there is to tell an account."""

    notices: list[NoticeRow]
    entries: list[tuple[str, int]]
    limited: bool


async def send_due(resources: Resources, write: Write) -> int:
    """Queue the mails that are due, written by `write`; return how many."""
    now = resources.clock.real_now()
    async with resources.database.read() as connection:
        urgent = await rows.select_at_once_due(connection, now - AT_ONCE_AFTER_MS, MAILS_AT_ONCE)
        periodic = await rows.select_digests_due(connection, now, MAILS_AT_ONCE)
    sent = 0
    for account in dict.fromkeys([*periodic, *urgent]):  # a digest tells what is urgent too
        try:
            sent += await _send(resources, write, account, account not in periodic, now)
        except WorkroomError as error:
            log.warning("digest not sent", account=account, code=error.code)
    if sent:
        await mail.hint(resources)
    return sent


async def _send(resources: Resources, write: Write, account: str, at_once: bool, now: int) -> bool:
    async with resources.database.read() as connection:
        settings = await rows.select_settings(connection, account)
        address = await rows.select_address(connection, account)
        if settings is None or address is None:
            return False
        found = await _find(connection, account, at_once, now)
        infos = await _infos(resources, account, address)
        digest = await _digest(resources, connection, account, address[1], at_once, found, infos)
    letter = write(digest) if digest.rooms else None
    following = settings.next_digest_at
    if not at_once:
        following = next_digest_at(settings.digest, settings.hour, settings.time_zone, now)
    unsubscribe = digest.unsubscribe

    async def work(tx: Tx) -> bool:
        if not await rows.update_turn(tx.conn, settings, following):
            return False  # another worker was faster, or the settings changed: the next sweep looks again
        if letter is None:
            return False
        await mail.queue_mail(
            tx, resources, address[0], letter.subject, letter.text, letter.html,
            purpose="notice" if at_once else "digest", unsubscribe=unsubscribe,
        )  # fmt: skip
        await rows.update_mailed(tx.conn, [notice.id for notice in found.notices], now)
        await rows.upsert_marks(tx.conn, account, dict(found.entries))  # the last seq of each room
        return True

    return await resources.database.writer.run(work)


async def _find(connection: AsyncConnection, account: str, at_once: bool, now: int) -> _Found:
    listed = await rows.select_unmailed(connection, account, NOTICES_MAX)
    if at_once:
        return _Found([row for row in listed if row.reason in AT_ONCE], [], False)
    behind = await rows.select_untold(connection, account, ENTRIES_COUNTED_MAX)
    return _Found(listed, behind, len(behind) == ENTRIES_COUNTED_MAX)


async def _infos(resources: Resources, account: str, address: tuple[str, str]) -> dict[str, RoomInfo]:
    summaries = await workrooms.my_rooms(resources, Actor(account, address[1], address[0]))
    return {summary.info.id: summary.info for summary in summaries}


async def _digest(
    resources: Resources,
    connection: AsyncConnection,
    account: str,
    name: str,
    at_once: bool,
    found: _Found,
    infos: Mapping[str, RoomInfo],
) -> Digest:
    known = {(row.room, row.seq) for row in found.notices}
    if found.entries:
        since = resources.clock.real_now() - MAILED_KNOWN_MS
        known |= await rows.select_mailed_places(connection, account, since)
    others = [place for place in found.entries if place not in known]
    shown, more = _shown(found.notices, others)
    told = await notices.with_entries(connection, infos, [row for row in found.notices if row.id in shown])
    places = [place for place in others if place in shown]
    entries = {(e.room, e.seq): e for e in await entry_rows.select_places(connection, places)} if places else {}
    named = [room for room in more if room in infos]
    notes = await rows.select_newest_checkpoints(connection, named) if named else {}
    return Digest(
        name=name,
        at_once=at_once,
        rooms=[
            DigestRoom(
                infos[room],
                [notice for notice in told if notice.row.room == room],
                [entries[place] for place in places if place[0] == room and place in entries],
                more[room],
                notes.get(room, b""),
            )
            for room in named
        ],
        counted_all=not found.limited,
        unsubscribe=notices.unsubscribe_address(resources, account),
    )


def _shown(
    told: Sequence[NoticeRow], others: Sequence[tuple[str, int]]
) -> tuple[set[str | tuple[str, int]], dict[str, int]]:
    """Return what a mail says, by id of the notice or by place, and by room how much it leaves out."""
    shown: set[str | tuple[str, int]] = {row.id for row in told[:SENTENCES_MAX]}
    more: dict[str, int] = {}
    for row in told:
        more[row.room] = more.get(row.room, 0) + (row.id not in shown)
    said: dict[str, int] = {}
    for place in others:
        room = place[0]
        if said.get(room, 0) < ENTRIES_TOLD_MAX and len(shown) < SENTENCES_MAX:
            said[room] = said.get(room, 0) + 1
            shown.add(place)
            more.setdefault(room, 0)
        else:
            more[room] = more.get(room, 0) + 1
    return shown, more
