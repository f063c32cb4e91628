"""The canvas of drawn screens: fonts, colours and the shapes that every program window is made of.

Rule 1: everything is drawn at 1920x1080, large enough to be told apart when shown 480 pixels wide.
Rule 2: fonts are what the machine has; without any, Pillow's own is used, set like a typewriter where code is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1920, 1080
Colour = str
Box = tuple[float, float, float, float]
Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts", "C:/Windows/Fonts")
_FILES = {
    "sans": ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf"),
    "bold": ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "LiberationSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf"),
    "mono": (
        "DejaVuSansMono.ttf",
        "NotoSansMono-Regular.ttf",
        "LiberationMono-Regular.ttf",
        "Menlo.ttc",
        "consola.ttf",
    ),
    "monobold": ("DejaVuSansMono-Bold.ttf", "NotoSansMono-Bold.ttf", "LiberationMono-Bold.ttf", "consolab.ttf"),
    "serif": ("DejaVuSerif.ttf", "NotoSerif-Regular.ttf", "LiberationSerif-Regular.ttf", "Georgia.ttf", "georgia.ttf"),
    "serifbold": ("DejaVuSerif-Bold.ttf", "NotoSerif-Bold.ttf", "LiberationSerif-Bold.ttf", "georgiab.ttf"),
}
_PITCH = 0.602  # of a typewriter face: advance by size


@lru_cache
def _file(face: str) -> str | None:
    """Return the path of a face's file, or None if this machine has none."""
    for name in _FILES[face]:
        direct = Path("/usr/share/fonts/truetype/dejavu") / name
        if direct.is_file():
            return str(direct)
    for folder in _FOLDERS:
        for name in _FILES[face]:
            found = next(Path(folder).rglob(name), None) if Path(folder).is_dir() else None
            if found is not None:
                return str(found)
    return None


@lru_cache
def font(face: str, size: int) -> Font:
    """Return a font: faces are sans, bold, mono, monobold, serif, serifbold."""
    path = _file(face)
    if path is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache
def pitch(size: int) -> float:
    """Return how far the typewriter face advances with each character."""
    return size * _PITCH if _file("mono") is None else font("mono", size).getlength("0")


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a colour between two of the form `#rrggbb`; share 0 is the first."""
    a, b = (bytes.fromhex(colour[1:7]) for colour in (first, second))
    return "#" + bytes(round(x + (y - x) * share) for x, y in zip(a, b, strict=True)).hex()


class Canvas:
    """A picture and what one draws on it. Coordinates are pixels; boxes are left, top, right, bottom."""

    def __init__(self, background: Colour) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), background)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self, at: Point, text: str, colour: Colour, size: int = 20, face: str = "sans", anchor: str = "la"
    ) -> float:
        """Write a line; return where it ends."""
        if face.startswith("mono") and _file(face) is None:
            for index, character in enumerate(text):
                place = (at[0] + (index + 0.5) * pitch(size), at[1])
                self.draw.text(place, character, colour, font(face, size), "m" + anchor[1])
            return at[0] + len(text) * pitch(size)
        self.draw.text(at, text, colour, font(face, size), anchor)
        return at[0] + self.width(text, size, face) if anchor[0] == "l" else at[0]

    def width(self, text: str, size: int, face: str = "sans") -> float:
        """Return how wide a line is."""
        if face.startswith("mono"):
            return len(text) * pitch(size)
        return font(face, size).getlength(text)

    def paragraph(
        self, box: Box, text: str, colour: Colour, size: int = 20, face: str = "sans", leading: float = 1.5
    ) -> float:
        """Write text within a box, broken into lines; return the top of the line after it."""
        left, top, right, bottom = box
        line, y = "", top
        for word in [*text.split(), ""]:
            longer = f"{line} {word}".strip()
            if word and self.width(longer, size, face) <= right - left:
                line = longer
                continue
            if y + size > bottom:
                break
            self.text((left, y), line, colour, size, face)
            y += size * leading
            line = word
        return y

    def box(
        self, box: Box, fill: Colour | None, radius: int = 0, outline: Colour | None = None, width: int = 1
    ) -> None:
        """Draw a rectangle."""
        if radius:
            self.draw.rounded_rectangle(box, radius, fill, outline, width)
        else:
            self.draw.rectangle(box, fill, outline, width)

    def dot(self, centre: Point, radius: float, fill: Colour) -> None:
        """Draw a filled circle."""
        x, y = centre
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill)

    def line(self, points: Sequence[Point], colour: Colour, width: int = 2) -> None:
        """Draw a line through points."""
        self.draw.line(list(points), colour, width, joint="curve")

    def button(self, box: Box, label: str, fill: Colour, colour: Colour = "#ffffff", size: int = 18) -> None:
        """Draw a button."""
        self.box(box, fill, radius=8)
        self.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), label, colour, size, "bold", "mm")

    def field(self, box: Box, label: str, value: str, focused: bool = False) -> None:
        """Draw a labelled form field."""
        self.text((box[0], box[1] - 30), label, "#4b5a68", 17)
        self.box(box, "#ffffff", 8, "#2470c8" if focused else "#c4ced8", 3 if focused else 2)
        end = self.text((box[0] + 16, (box[1] + box[3]) / 2), value, "#16232f", 20, anchor="lm")
        if focused:
            self.line([(end + 3, box[1] + 12), (end + 3, box[3] - 12)], "#16232f", 2)

    def gradient(self, box: Box, top: Colour, bottom: Colour) -> None:
        """Fill a box from one colour to another, downwards."""
        left, first, right, last = (int(edge) for edge in box)
        strip = Image.linear_gradient("L").resize((right - left, last - first), Image.Resampling.BILINEAR)
        below, above = Image.new("RGB", strip.size, bottom), Image.new("RGB", strip.size, top)
        self.image.paste(Image.composite(below, above, strip), (left, first))

    def initials(self, centre: Point, letters: str, fill: Colour, radius: int = 18) -> None:
        """Draw a person as a disc with letters."""
        self.dot(centre, radius, fill)
        self.text(centre, letters, "#ffffff", int(radius * 0.85), "bold", "mm")

    def pointer(self, at: Point) -> None:
        """Draw the mouse pointer."""
        x, y = at
        shape = [(0, 0), (0, 26), (6, 20), (11, 30), (15, 28), (10, 18), (18, 18)]
        self.draw.polygon([(x + a, y + b) for a, b in shape], "#ffffff", "#101418")
