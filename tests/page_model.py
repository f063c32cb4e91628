"""A page without a browser: html as a tree, to which the socket's messages are applied as htmx applies them.

Rule 1: only what our fragments use is modelled: `hx-partial` (inner and outer swaps, morphing or not) and `hx-upsert`
(replace what has the id; else insert by key, in order). The browser tests hold the model against the real thing.
Rule 2: two trees that read the same serialise the same: attributes in order, white space between elements left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import escape
from html.parser import HTMLParser
from typing import Any

VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})


class Node:
    """An element; its children are elements and texts."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Node | str] = []

    @property
    def id(self) -> str:
        return self.attributes.get("id", "")

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def elements(self) -> list[Node]:
        return [child for child in self.children if isinstance(child, Node)]

    def walk(self) -> Iterator[tuple[Node, Node]]:
        """Yield every element below this one, with its parent, in document order."""
        left = [(child, self) for child in reversed(self.children) if isinstance(child, Node)]
        while left:
            node, parent = left.pop()
            yield node, parent
            left += [(child, node) for child in reversed(node.children) if isinstance(child, Node)]

    def find(self, wanted: Callable[[Node], bool]) -> list[Node]:
        return [node for node, _ in self.walk() if wanted(node)]

    def html(self) -> str:
        """Return this element in one certain form."""
        said = "".join(f' {name}="{escape(value)}"' for name, value in sorted(self.attributes.items()))
        inner = "".join(
            child.html() if isinstance(child, Node) else escape(re.sub(r"\s+", " ", child), quote=False)
            for child in self.children
            if isinstance(child, Node) or child.strip()
        )
        return f"<{self.tag}{said}>" if self.tag in VOID else f"<{self.tag}{said}>{inner}</{self.tag}>"


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("#document", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Node:
    """Return the tree of a page or a fragment."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


class PageModel:
    """A page as a browser shows it, and what it has of each room: `seqs`, as its socket element says."""

    def __init__(self, html: str) -> None:
        self.root = parse(html)
        socket = self.by_id("live")
        assert socket is not None, "the page is not live"
        self.view = socket.attributes["data-view"]
        pairs = (pair.split(":") for pair in socket.attributes["data-rooms"].split())
        self.seqs = {room: int(seq) for room, seq in pairs}
        self.received: list[int] = []

    def by_id(self, id: str) -> Node | None:
        return next((node for node, _ in self.root.walk() if node.attributes.get("id", "") == id), None)

    def find(self, *classes: str) -> list[Node]:
        """Return the elements that have all of these classes."""
        return self.root.find(lambda node: set(classes) <= set(node.classes))

    def html_by(self, key: str, *classes: str) -> dict[str, str]:
        """Return the elements of these classes by an attribute."""
        return {node.attributes[key]: node.html() for node in self.find(*classes) if key in node.attributes}

    def take(self, text: str) -> None:
        """Apply one message of the socket, as `live.js` and htmx do: a seq that the page has is dropped."""
        message: dict[str, Any] = json.loads(text)
        seq = message.get("seq")
        if seq is not None:
            if seq <= self.seqs[message["room"]]:
                return
            self.seqs[message["room"]] = seq
            self.received.append(seq)
        for task in parse(message.get("content", "")).elements:
            target = self._select(task.attributes["hx-target"])
            if target is None:
                continue
            if task.tag == "hx-upsert":
                self._upsert(task, target)
            else:
                self._swap(task, target)

    def _select(self, selector: str) -> Node | None:
        """Return the element of `#id` or `#id>.class`."""
        id, _, child = selector.removeprefix("#").partition(">")
        found = self.by_id(id)
        if found is None or not child:
            return found
        return next((node for node in found.elements if child.removeprefix(".") in node.classes), None)

    def _swap(self, task: Node, target: Node) -> None:
        style = task.attributes["hx-swap"]
        if style in ("innerHTML", "innerMorph"):
            target.children = task.children
            return
        assert style == "outerMorph", style
        parent = self._parent(target)
        at = parent.children.index(target)
        parent.children[at : at + 1] = task.elements

    def _upsert(self, task: Node, target: Node) -> None:
        key = task.attributes.get("key", "id")
        for new in task.elements:
            known = self.by_id(new.id) if new.id else None
            if known is not None:
                parent = self._parent(known)
                parent.children[parent.children.index(known)] = new
                continue
            for at, child in enumerate(target.children):
                if isinstance(child, Node) and _key(child, key) > _key(new, key) != ():
                    target.children.insert(at, new)
                    break
            else:
                target.children.append(new)

    def _parent(self, wanted: Node) -> Node:
        return next(parent for node, parent in self.root.walk() if node is wanted)


def _key(node: Node, name: str) -> tuple[object, ...]:
    """Return a key that sorts numbers within texts as numbers; () for an element without one."""
    text = node.attributes.get(name) or node.id
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else part) for part in re.findall(r"\d+|\D+", text))
