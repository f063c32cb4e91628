"""Sentences: every kind has one, and what is restricted is named and not told where it leaves the workroom (6.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.domain.bodies.fields import SystemBody
from app.domain.events import KINDS
from app.domain.matters import SILENCE
from app.domain.notices import Reason
from app.domain.record import Entry
from app.services.matters import title_of
from app.services.notices import Notice
from app.storage.notices import NoticeRow
from app.views.notices import shown_notice
from app.views.samples import ROOM, SAMPLE_ENTRIES, SAMPLE_ROOM, START
from app.views.sentences import SENTENCES, sentence

NAME = "tidal-prices.pdf"
FILE = {"name": NAME, "media": "application/pdf", "bytes": 9, "sha256": "A" * 43, "restricted": True}
WRITTEN = [
    entry for entry in SAMPLE_ENTRIES if entry.body is not None and not issubclass(KINDS[entry.kind], SystemBody)
]
ANY_TEXT = "tidal berth"


def described(entry: Entry) -> str:
    return f"{entry.seq} {entry.kind}"


def telling(value: Any) -> Any:
    """Return a body with every text of it replaced, so that whichever is told is found."""
    if isinstance(value, dict):
        return {name: telling(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [telling(inner) for inner in value]
    return ANY_TEXT if isinstance(value, str) else value


def restricted(entry: Entry) -> Iterator[Entry]:
    """Yield an entry with the mark: as it is, with files, and with nothing but what must not be told."""
    for body in (entry.body or {}, {**(entry.body or {}), "files": [FILE]}, telling(entry.body)):
        made = {name: value for name, value in body.items() if name != "by_silence"}
        yield msgspec.structs.replace(entry, body={**made, "restricted": True})


def row_of(entry: Entry, reason: Reason) -> NoticeRow:
    return NoticeRow("n" * 26, "a" * 26, ROOM, entry.seq, reason, START, START)


def test_every_kind_that_people_write_is_among_the_samples() -> None:
    people = {kind for kind, schema in KINDS.items() if not issubclass(schema, SystemBody)}
    assert {entry.kind for entry in WRITTEN} == people
    assert SENTENCES.keys() == KINDS.keys()


@pytest.mark.parametrize("entry", WRITTEN, ids=described)
def test_a_restricted_entry_of_any_kind_tells_its_author_and_nothing_else(entry: Entry) -> None:
    whom = SAMPLE_ROOM.members[entry.by].name.split()[0] if entry.by in SAMPLE_ROOM.members else ""
    for marked in restricted(entry):
        told = sentence(marked, SAMPLE_ROOM, withhold=True)
        assert told.endswith(": a restricted entry. Read it in the workroom.")
        assert told.startswith(whom) and ANY_TEXT not in told
        assert title_of(marked.kind, marked.body or {}) == ""


@pytest.mark.parametrize("entry", WRITTEN, ids=described)
def test_a_notice_of_a_restricted_entry_is_mailed_without_its_words_and_marked_on_its_page(entry: Entry) -> None:
    for marked in restricted(entry):
        for reason in (Reason.MENTION, Reason.DUE_SOON) if entry.kind in SILENCE else (Reason.MENTION,):
            notice = Notice(row_of(marked, reason), SAMPLE_ROOM, marked)
            mailed = shown_notice(notice, withhold=True)
            assert "a restricted entry" in mailed.said and ANY_TEXT not in mailed.said
            assert mailed.restricted and shown_notice(notice).restricted


@pytest.mark.parametrize("entry", WRITTEN, ids=described)
def test_no_sentence_tells_the_name_of_a_file(entry: Entry) -> None:
    with_file = msgspec.structs.replace(entry, body={**(entry.body or {}), "files": [FILE]})
    assert NAME not in sentence(with_file, SAMPLE_ROOM)
