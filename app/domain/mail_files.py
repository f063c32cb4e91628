"""E-mails as files (`.eml`): sender, date, subject and text of one message (RFC 5322, RFC 2045).

Rule 1: what a mail says is kept as text: replies inside it, signatures and all. Markup becomes text, never html.
Rule 2: a broken header costs that header; a mail is refused only if nothing in it says that it is one.
"""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import default
from email.utils import parseaddr, parsedate_to_datetime
from html import unescape

from app.domain.errors import Malformed
from app.domain.transcripts import (
    AT_CHARS_MAX,
    TITLE_CHARS_MAX,
    UNKNOWN,
    WHO_CHARS_MAX,
    Line,
    Parsed,
    clean,
    clean_line,
    decoded,
    parts_of,
)

ATTACHMENTS_NAMED_MAX = 50
TAG_CHARS_MAX = 4_096  # of a tag that are looked at
PARTS_MAX = 200  # of one message; a mail has a handful
_BLOCKS = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "ul", "ol", "hr"}
    | {"section", "article", "header", "footer"}
)
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_HEADER = re.compile(rb"^[ \t\r\n]*(?:>?From [^\r\n]*\r?\n)?[!-9;-~]+:[ \t]?", re.ASCII)
_TAG = re.compile(r"<(?P<end>/?)(?P<tag>[a-z][a-z0-9]{0,19})")
_ATTRIBUTE = re.compile(
    r"[\s/](?P<name>[A-Za-z]{1,20})\s{0,9}=\s{0,9}(?:\"(?P<quoted>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+))"
)
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, MessageError, RecursionError)  # what the parsers raise


def looks_like_mail(data: bytes) -> bool:
    """Whether a file begins with the headers of a mail."""
    head = data[:16_384].lstrip(b"\xef\xbb\xbf \t\r\n")
    names = {
        line.split(b":")[0].strip().lower() for line in re.split(rb"\r?\n", head.split(b"\n\n")[0]) if b":" in line
    }
    return (
        bool(_HEADER.match(head)) and len(names & {b"from", b"date", b"subject", b"message-id", b"mime-version"}) >= 2
    )


def parse_mail(data: bytes) -> Parsed:
    """Return a mail as a transcript.

    Raises:
        Malformed: if it is none: neither a sender nor a date nor a subject.
    """
    try:
        message: Message = message_from_bytes(data.lstrip(b"\xef\xbb\xbf\r\n"), policy=default)
    except _BROKEN:
        raise _no_mail() from None
    sender, subject, sent = _header(message, "from"), _header(message, "subject"), _header(message, "date")
    if not sender and not subject and not sent:
        raise _no_mail()
    name, address = parseaddr(sender)
    who = clean_line(name or address or sender, WHO_CHARS_MAX) or UNKNOWN
    at = _instant(sent)
    text, from_html = _text(message)
    lines = parts_of(who, text, at)
    names = _attachments(message)
    if names:
        listed = ", ".join(names[:ATTACHMENTS_NAMED_MAX])
        more = f" and {len(names) - ATTACHMENTS_NAMED_MAX} more" if names[ATTACHMENTS_NAMED_MAX:] else ""
        lines.append(Line(who, f"(attached: {listed}{more})", at))
    if not lines:
        lines.append(Line(who, "(no text)", at))
    notes = []
    if to := _header(message, "to"):
        notes.append(f"Sent by {clean_line(sender, 200)} to {clean_line(to, 200)}.")
    if from_html:
        notes.append("This mail has a formatted text only; its words were taken. The original is attached.")
    if names:
        notes.append("Files of the mail are named, not taken out; they are in the original.")
    return Parsed("email", clean_line(subject, TITLE_CHARS_MAX), lines, notes)


def _no_mail() -> Malformed:
    return Malformed(
        "This is no e-mail that can be read. Save it from your mail program as .eml, or paste its text.", field="file"
    )


def _header(message: Message, name: str) -> str:
    """Return a header as text; one that the strict parser cannot read as the lenient one does."""
    try:
        return clean(str(message.get(name, "")))
    except _BROKEN:
        raw = next((str(value) for key, value in message.raw_items() if key.lower() == name), "")
        try:
            return clean(str(make_header(decode_header(raw))))
        except _BROKEN:
            return clean(raw)


def _instant(sent: str) -> str | None:
    """Return RFC 3339 with the zone that the mail names; where it names none, its local time."""
    if not sent:
        return None
    try:
        moment = parsedate_to_datetime(sent)
        text = moment.isoformat(timespec="seconds")
    except (*_BROKEN, OverflowError):
        return clean_line(sent, AT_CHARS_MAX)
    if moment.tzinfo is None:
        return text.replace("T", " ")
    return text.replace("+00:00", "Z") if moment.utcoffset() == timedelta(0) else text


def _text(message: Message) -> tuple[str, bool]:
    """Return the text of a mail, and whether it was made of html."""
    plain, html = [], []
    for part in _leaves(message):
        if _is_attached(part):
            continue
        kind = part.get_content_type()
        if kind == "text/plain":
            plain.append(_content(part))
        elif kind == "text/html":
            html.append(_content(part))
    said = clean("\n\n".join(text for text in map(clean, plain) if text))
    if said or not html:
        return said, False
    return clean("\n\n".join(html_text(text) for text in html)), True


def _leaves(message: Message) -> list[Message]:
    """Return the parts of a mail that hold something; a mail inside it counts as one."""
    found: list[Message] = []
    waiting: list[Message] = [message]
    while waiting and len(found) < PARTS_MAX:
        part = waiting.pop()
        payload = part.get_payload()
        inside = part is not message and part.get_content_maintype() == "message"
        if isinstance(payload, list) and not inside:
            waiting += [each for each in reversed(payload[:PARTS_MAX]) if isinstance(each, Message)]
        else:
            found.append(part)
    return found


def _content(part: Message) -> str:
    try:
        if isinstance(part, EmailMessage):
            content = part.get_content()
            if isinstance(content, str):
                return content
    except _BROKEN:
        pass  # an unknown charset, say: its bytes are there
    payload = part.get_payload(decode=True)
    return decoded(payload) if isinstance(payload, bytes) else ""


def _is_attached(part: Message) -> bool:
    try:
        return part.get_content_disposition() == "attachment" or bool(part.get_filename())
    except _BROKEN:
        return False


def _attachments(message: Message) -> list[str]:
    names = []
    for part in _leaves(message):
        if part.get_content_maintype() == "message":
            inner = part.get_payload()
            first = inner[0] if isinstance(inner, list) and inner else None
            subject = _header(first, "subject") if isinstance(first, Message) else ""
            names.append(clean_line(subject or "a mail", WHO_CHARS_MAX))
        elif _is_attached(part) or part.get_content_maintype() not in ("text", "multipart"):
            try:
                name = part.get_filename() or ""
            except _BROKEN:
                name = ""
            names.append(clean_line(name, WHO_CHARS_MAX) or "a file without a name")
    return names


def html_text(html: str) -> str:
    """Return what a person reads of html, as text: block by block, links with where they lead.

    Read from left to right, once: what never ends (a tag, a comment, a script) ends the text.
    """
    pieces: list[str] = []
    links: list[str] = []
    lowered = html.lower()
    place = 0
    while place < len(html):
        start = html.find("<", place)
        start = len(html) if start < 0 else start
        pieces.append(re.sub(r"\s+", " ", unescape(html[place:start])))
        if start == len(html):
            break
        if not lowered[start + 1 : start + 2].isalpha() and html[start + 1 : start + 2] not in ("/", "!", "?"):
            pieces.append("<")
            place = start + 1
            continue
        is_comment = html.startswith("<!--", start)
        end = html.find("-->" if is_comment else ">", start + 1)
        if end < 0:
            break
        place = end + (3 if is_comment else 1)
        named = _TAG.match(lowered, start, end)
        if is_comment or named is None:
            continue
        tag, is_end = named["tag"], bool(named["end"])
        if tag in _SILENT and not is_end:
            closing = lowered.find(f"</{tag}", place)
            if closing < 0:
                break
            place = closing
            continue
        _take(tag, is_end, html[start:end], pieces, links)
    rows = [row.strip() for row in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(rows)).strip()


def _take(tag: str, is_end: bool, told: str, pieces: list[str], links: list[str]) -> None:
    """Put what a tag means into the text."""
    if tag in _BLOCKS:
        pieces.append("\n")
    if tag == "li" and not is_end:
        pieces.append("- ")
    elif tag == "a" and not is_end:
        links.append(_attribute(told, "href"))
    elif tag == "a" and links:
        target = links.pop()
        if target.startswith(("http://", "https://")) and target not in "".join(pieces[-3:]):
            pieces.append(f" <{target}>")
    elif tag == "img" and (shown := _attribute(told, "alt")):
        pieces.append(f"[{shown}]")


def _attribute(told: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(told[:TAG_CHARS_MAX]):
        if match["name"].lower() == name:
            return " ".join(unescape(match["quoted"] or match["single"] or match["bare"] or "").split())
    return ""
