"""What people write, as html: a small Markdown, made harmless.

Rule 1: no html of the author's passes: Markdown is parsed with html off, and nh3 allows a short list of tags.
Rule 2: pictures and headings are not made; a link says `nofollow noopener` and leaves no referrer.
Rule 3: plain text, which most messages are, takes a way without the parser and comes out the same.
Rule 4: a member who is named is marked, the same for every viewer; code and links are left alone.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from app.domain.mentions import Names, mention_spans

_MARKED = re.compile(r"[*_`~\[<&\\\r\n\t]")  # a character that Markdown might read as more than text
_BEGINNING = re.compile(r"[-+=#>\s]|\d{1,9}[.)]")  # and what makes a list, a rule or a quotation of a line
_TAGS = {"p", "br", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr"}
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}}


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False, "maxNesting": 12})
    parser.enable("strikethrough").disable(["image", "heading", "lheading", "html_block", "html_inline"])
    return parser


def _is_plain(text: str) -> bool:
    return (
        _MARKED.search(text) is None
        and _BEGINNING.match(text) is None
        and not text[-1:].isspace()
        and "://" not in text
        and "  " not in text
    )


def rich_text(text: str, names: Names = ()) -> Markup:
    """Return the html of a text that a person wrote; `names` are those of the members who can be named in it."""
    made = _rich_text(text)
    return _with_mentions(made, names) if names and "@" in text else made


def _rich_text(text: str) -> Markup:
    if _is_plain(text):
        return Markup(f"<p>{escape(text)}</p>")
    made = _markdown().render(_linked(text))
    return Markup(
        nh3.clean(
            made,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            url_schemes={"http", "https", "mailto"},
            link_rel="nofollow noopener noreferrer",
        ).strip()
    )


_PARTS = re.compile(r"(<[^>]*>)")
_LEFT_ALONE = re.compile(r"<(/?)(?:code|a)[ >]")


def _with_mentions(made: Markup, names: Names) -> Markup:
    """Return html of ours with the names in its text marked."""
    parts, inside = _PARTS.split(made), 0
    for number, part in enumerate(parts):
        if part.startswith("<"):
            tag = _LEFT_ALONE.match(part)
            inside += 0 if tag is None else -1 if tag[1] else 1
        elif "@" in part and not inside:
            parts[number] = _marked(unescape(part), names) or part
    return Markup("".join(parts))


def _marked(text: str, names: Names) -> str:
    """Return a piece of text as html with marks; "" where it names nobody."""
    made, last = "", 0
    for start, end, _ in mention_spans(text, names):
        made += f'{escape(text[last:start])}<b class="at-name">{escape(text[start:end])}</b>'
        last = end
    return made + str(escape(text[last:])) if last else ""


_BARE = re.compile(r"(?<![\w(<\[\"'`=])(https?://[^\s<>`\"'\])]+[^\s<>`\"'\]).,;:!?])")


def _linked(text: str) -> str:
    """Return the text with bare addresses as autolinks, outside of code."""
    if "://" not in text:
        return text
    parts = re.split(r"(```.*?```|`[^`\n]*`)", text, flags=re.S)
    return "".join(part if index % 2 else _BARE.sub(r"<\1>", part) for index, part in enumerate(parts))


def one_line(text: str, characters_max: int = 140) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= characters_max else line[: characters_max - 1].rstrip() + "…"
