"""What people write, as html: a small Markdown, made harmless.

Rule 1: no html of the author's passes: Markdown is parsed with html off, and nh3 allows a short list of tags.
Rule 2: pictures and headings are not made; a link says `nofollow noopener` and leaves no referrer.
Rule 3: plain text, which most messages are, takes a way without the parser and comes out the same.
"""

from __future__ import annotations

import re
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

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


def rich_text(text: str) -> Markup:
    """Return the html of a text that a person wrote."""
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
