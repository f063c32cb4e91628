"""Digests as mails: a sentence a line, by workroom, with the newest checkpoint of each, and nothing restricted (6.4).

Rule 1: the text and the HTML say the same.
Rule 2: a signed checkpoint stands in every mail, so that what was signed lies where the server cannot change it.
"""

from __future__ import annotations

from typing import Any

from app.config import Settings
from app.domain.notices import Reason
from app.services.digests import Digest, DigestRoom, Letter, Write
from app.views.notices import shown_notice
from app.views.rendering import ENVIRONMENT
from app.views.sentences import sentence

_TEXT = ENVIRONMENT.get_template("email/digest.txt")
_HTML = ENVIRONMENT.get_template("email/digest.html")
_WAITING = frozenset({Reason.WAITING, Reason.DUE_SOON, Reason.REPORT_DUE})


def digest_writer(settings: Settings) -> Write:
    """Return what writes digests on this server."""

    def write(digest: Digest) -> Letter:
        subject = subject_of(digest)
        context = {
            "subject": subject,
            "first_name": digest.name.split(" ")[0],
            "rooms": [_room(room, settings.base_url) for room in digest.rooms],
            "more": digest.more,
            "counted_all": digest.counted_all,
            "at_once": digest.at_once,
            "unsubscribe": digest.unsubscribe,
            "operator": settings.operator,
            "base_url": settings.base_url,
        }
        return Letter(subject, _TEXT.render(context), _HTML.render(context))

    return write


def subject_of(digest: Digest) -> str:
    """Return what a mail is about, without a word of any entry."""
    titles = [room.info.title for room in digest.rooms]
    where = f" in {titles[0]}" if len(titles) == 1 else f" in {len(titles)} workrooms"
    waiting = sum(notice.row.reason in _WAITING for room in digest.rooms for notice in room.notices)
    total = digest.told + digest.more
    if waiting:
        rest = total - waiting
        more = f", and {rest} more" if rest else ""
        return f"{_number(waiting)} {'waits' if waiting == 1 else 'wait'} for you{where}{more}"
    if total == 1 and digest.at_once:
        [notice] = [notice for room in digest.rooms for notice in room.notices]
        return shown_notice(notice).word + where
    return f"{total if digest.counted_all else f'More than {total}'} new{where}"


def _number(count: int) -> str:
    return "Something" if count == 1 else f"{count} things"


def _room(room: DigestRoom, base_url: str) -> dict[str, Any]:
    lines = [
        {"word": shown.word, "said": shown.said, "address": base_url + shown.path}
        for shown in (shown_notice(notice, withhold=True) for notice in room.notices)
    ]
    lines += [
        {
            "word": "",
            "said": sentence(entry, room.info, withhold=True),
            "address": f"{base_url}/rooms/{room.info.id}/entries/{entry.seq}",
        }
        for entry in room.entries
    ]
    return {
        "title": room.info.title,
        "address": f"{base_url}/rooms/{room.info.id}",
        "lines": lines,
        "more": room.more,
        "checkpoint": room.checkpoint.decode().strip(),
    }
