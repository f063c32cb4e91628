"""The drawn code editor: a file that grows, its folder, a map of it, and sometimes a terminal below.

Rule 1: the highlighter knows just enough of Python, TypeScript and CSS for the files of `sources`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from tracker.screens.canvas import HEIGHT, WIDTH, Canvas, Colour, mix, pitch
from tracker.screens.desk import BAR_HEIGHT, bar
from tracker.screens.sources import FILES

SIZE, LEADING = 20, 29
TREE_LEFT, TREE_RIGHT = 64, 372
TABS_BOTTOM = BAR_HEIGHT + 50
STATUS_TOP = HEIGHT - 34
MAP_LEFT = WIDTH - 150

_TOKEN = re.compile(
    r"(?P<comment>#[^\n0-9a-f].*|//\s[A-Z].*)|(?P<string>\"\"\".*|f?\"[^\"]*\"|`[^`]*`)|(?P<decorator>@[\w.]+)"
    r"|(?P<number>#[0-9a-f]{6}\b|\b\d[\d_.]*(?:rem|px|ms|fr|dvh|%)?)|(?P<word>--[\w-]+|[A-Za-z_][\w-]*(?=:)|[A-Za-z_]\w*)"
    r"|(?P<space>\s+)|(?P<mark>.)"
)
_KEYWORDS = frozenset(
    {
        *("from", "import", "class", "def", "return", "if", "not", "in", "for", "is", "and", "or", "raise", "with"),
        *("as", "else", "None", "True", "False", "lambda", "assert", "export", "const", "private", "readonly"),
        *("constructor", "void", "new", "this", "null", "type", "interface", "var", "minmax"),
    }
)


@dataclass(frozen=True)
class Theme:
    back: Colour
    side: Colour
    edge: Colour
    ink: Colour
    faint: Colour
    line: Colour
    accent: Colour
    keyword: Colour
    string: Colour
    number: Colour
    comment: Colour
    call: Colour
    kind: Colour
    dark: bool


DARK = Theme(
    back="#1b1e2b", side="#151824", edge="#262b3d", ink="#cdd6f4", faint="#69708c", line="#24293b", accent="#89b4fa",
    keyword="#cba6f7", string="#a6e3a1", number="#fab387", comment="#717a98", call="#89b4fa", kind="#f9e2af", dark=True,
)  # fmt: skip
LIGHT = Theme(
    back="#fbfbfa", side="#f0f1f2", edge="#dcdfe3", ink="#24292f", faint="#8a939d", line="#eef3fa", accent="#0b67c2",
    keyword="#b3267a", string="#22743f", number="#9a5200", comment="#7b8791", call="#1559b3", kind="#6b3fb5",
    dark=False,
)  # fmt: skip


def tokens(line: str, in_text: bool, theme: Theme) -> list[tuple[str, Colour]]:
    """Return the pieces of a line with their colours; `in_text` says that it lies within a docstring."""
    if in_text:
        return [(line, theme.string)]
    pieces: list[tuple[str, Colour]] = []
    for match in _TOKEN.finditer(line):
        text, name = match.group(), match.lastgroup
        colour = theme.ink
        if name in ("comment", "string", "number"):
            colour = {"comment": theme.comment, "string": theme.string, "number": theme.number}[str(name)]
        elif name == "decorator":
            colour = theme.kind
        elif name == "word":
            following = line[match.end() : match.end() + 1]
            if text in _KEYWORDS:
                colour = theme.keyword
            elif text[0].isupper():
                colour = theme.kind
            elif following == "(" or text.startswith("--"):
                colour = theme.call
        elif name == "mark":
            colour = mix(theme.ink, theme.faint, 0.5)
        pieces.append((text, colour))
    return pieces


def draw_editor(at: int, name: str, progress: float, random: Random, theme: Theme, panel: bool) -> Canvas:
    """Draw the editor with the file `name` written so far: `progress` from 0 to 1."""
    canvas = Canvas(theme.back)
    lines = FILES[name].splitlines()
    written = max(12, round(len(lines) * progress))
    bottom = STATUS_TOP - (270 if panel else 0)
    visible = (bottom - TABS_BOTTOM - 16) // LEADING
    first = max(0, written - visible + random.randint(2, 5))
    shown = lines[first : min(written, first + visible)]
    _code(canvas, lines[:first], shown, first, theme, random)
    _minimap(canvas, lines[:written], first, int(visible), bottom, theme)
    if panel:
        _panel(canvas, bottom, theme, random)
    _folder(canvas, name, theme)
    _tabs(canvas, name, theme)
    _status(canvas, written, name, theme)
    bar(canvas, at, "Editor", theme.dark)
    return canvas


def _code(canvas: Canvas, above: list[str], shown: list[str], first: int, theme: Theme, random: Random) -> None:
    in_text = sum(line.count('"""') for line in above) % 2 == 1
    cursor = max(0, len(shown) - random.randint(1, 3))
    changed_from = max(0, len(shown) - random.randint(8, 18))
    for index, line in enumerate(shown):
        y = TABS_BOTTOM + 14 + index * LEADING
        if index == cursor:
            canvas.box((TREE_RIGHT + 1, y - 3, MAP_LEFT, y + LEADING - 4), theme.line)
        number = theme.ink if index == cursor else theme.faint
        canvas.text((TREE_RIGHT + 62, y + 2), str(first + index + 1), number, 17, "mono", "ra")
        if index >= changed_from:
            canvas.box((TREE_RIGHT + 76, y - 3, TREE_RIGHT + 80, y + LEADING - 4), "#4fb477")
        x, advance = TREE_RIGHT + 98.0, pitch(SIZE)
        for depth in range((len(line) - len(line.lstrip())) // 4):
            canvas.line([(x + depth * 4 * advance, y - 3), (x + depth * 4 * advance, y + LEADING - 4)], theme.edge, 1)
        starts_in_text, quotes = in_text, line.count('"""')
        in_text = in_text != (quotes % 2 == 1)
        for text, colour in tokens(line, starts_in_text, theme):
            if not text.isspace():
                canvas.text((x, y), text, colour, SIZE, "mono")
            x += len(text) * advance
        if index == cursor:
            canvas.box((x + 2, y - 1, x + 5, y + LEADING - 6), theme.accent)


def _minimap(canvas: Canvas, lines: list[str], first: int, visible: int, bottom: float, theme: Theme) -> None:
    top = TABS_BOTTOM + 8
    canvas.box((MAP_LEFT, top + first * 5 - 2, WIDTH, min(bottom, top + (first + visible) * 5)), theme.line)
    for index, line in enumerate(lines):
        y = top + index * 5
        if y > bottom - 6:
            break
        x = MAP_LEFT + 12.0
        for text, colour in tokens(line, False, theme):
            end = x + len(text) * 1.5
            if not text.isspace() and x < WIDTH - 10:
                canvas.box((x, y, min(end, WIDTH - 8), y + 2), mix(colour, theme.back, 0.35))
            x = end


def _folder(canvas: Canvas, name: str, theme: Theme) -> None:
    canvas.box((0, BAR_HEIGHT, TREE_LEFT, HEIGHT), mix(theme.side, theme.edge, 0.5))
    for index in range(5):
        y = BAR_HEIGHT + 44 + index * 62
        colour = theme.ink if index == 0 else theme.faint
        if index == 0:
            canvas.box((0, y - 24, 4, y + 24), theme.accent)
        canvas.box((20, y - 13, 44, y + 13), None, 5, colour, 3)
        canvas.box((27, y - 5, 37, y - 2), colour)
        canvas.box((27, y + 3, 37, y + 6), colour)
    canvas.box((TREE_LEFT, BAR_HEIGHT, TREE_RIGHT, HEIGHT), theme.side)
    canvas.text((TREE_LEFT + 24, BAR_HEIGHT + 18), "HARBOUR", theme.faint, 16, "bold")
    rows = [
        (0, "harbour", True), (1, "availability.py", False), (1, "berths.py", False), (1, "bookings.py", False),
        (1, "errors.py", False), (1, "pages.py", False), (0, "static", True), (1, "berth-map.ts", False),
        (1, "booking-form.ts", False), (1, "harbour.css", False), (0, "tests", True), (1, "builders.py", False),
        (1, "test_bookings.py", False), (1, "test_pages.py", False), (0, "migrations", True), (0, "Makefile", False),
        (0, "pyproject.toml", False), (0, "README.md", False),
    ]  # fmt: skip
    marks = {"py": "#6aa5e3", "ts": "#4f8fd0", "css": "#c678dd", "md": "#8fb573", "toml": "#d19a66"}
    for index, (depth, label, folder) in enumerate(rows):
        y = BAR_HEIGHT + 66 + index * 34
        x = TREE_LEFT + 24 + depth * 24
        if label == name:
            canvas.box((TREE_LEFT, y - 16, TREE_RIGHT, y + 16), theme.edge)
        if folder:
            canvas.text((x, y), "⌄", theme.faint, 18, anchor="lm")
        else:
            canvas.box((x, y - 7, x + 12, y + 7), marks.get(label.rpartition(".")[2], theme.faint), 3)
        colour = theme.ink if label == name or folder else mix(theme.ink, theme.faint, 0.5)
        canvas.text((x + 24, y), label, colour, 18, anchor="lm")


def _tabs(canvas: Canvas, name: str, theme: Theme) -> None:
    canvas.box((TREE_RIGHT, BAR_HEIGHT, WIDTH, TABS_BOTTOM), theme.side)
    others = [other for other in FILES if other != name][:2]
    x = TREE_RIGHT
    for label in (name, *others):
        width = 70 + int(canvas.width(label, 18))
        if label == name:
            canvas.box((x, BAR_HEIGHT, x + width, TABS_BOTTOM), theme.back)
            canvas.box((x, BAR_HEIGHT, x + width, BAR_HEIGHT + 3), theme.accent)
        colour = theme.ink if label == name else theme.faint
        canvas.text((x + 24, BAR_HEIGHT + 26), label, colour, 18, anchor="lm")
        canvas.dot((x + width - 24, BAR_HEIGHT + 27), 5, theme.faint)
        x += width + 2


def _status(canvas: Canvas, line: int, name: str, theme: Theme) -> None:
    canvas.box((0, STATUS_TOP, WIDTH, HEIGHT), theme.accent if theme.dark else "#22577a")
    ink = "#10131c" if theme.dark else "#ffffff"
    y = (STATUS_TOP + HEIGHT) / 2
    language = {"py": "Python", "ts": "TypeScript", "css": "CSS"}[name.rpartition(".")[2]]
    canvas.text((24, y), "⎇ booking-calendar", ink, 16, "bold", "lm")
    canvas.text((WIDTH - 24, y), f"Ln {line}, Col 5    Spaces: 4    UTF-8    {language}", ink, 16, anchor="rm")


def _panel(canvas: Canvas, top: float, theme: Theme, random: Random) -> None:
    canvas.box((TREE_RIGHT, top, WIDTH, STATUS_TOP), mix(theme.back, theme.side, 0.8))
    canvas.line([(TREE_RIGHT, top), (WIDTH, top)], theme.edge, 2)
    canvas.text((TREE_RIGHT + 30, top + 16), "TERMINAL", theme.ink, 16, "bold")
    canvas.text((TREE_RIGHT + 170, top + 16), "PROBLEMS", theme.faint, 16, "bold")
    passed = random.randint(36, 61)
    good = "#a6e3a1" if theme.dark else "#22743f"
    commit, lines = f"{random.getrandbits(28):07x}", random.randint(12, 80)
    rows = [
        ("$ pytest -q", theme.ink),
        ("." * passed + " " * 4 + "[100%]", good),
        (f"{passed} passed in {random.uniform(0.6, 2.4):.2f}s", good),
        ("$ git commit -am \"Suggest the berth nearest to the office\"", theme.ink),
        (f"[booking-calendar {commit}] 3 files changed, {lines} insertions(+)", theme.faint),
        ("$ █", theme.ink),
    ]  # fmt: skip
    for index, (text, colour) in enumerate(rows):
        canvas.text((TREE_RIGHT + 30, top + 56 + index * 32), text, colour, 19, "mono")
