"""Real 1080p screens, drawn and encoded as the tracker of the demo does it; kept in build/, because it takes long."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct, msgpack

from app.domain.timerange import SEGMENT_MS
from tracker import pictures
from tracker import screens as drawing

SCREENS = 20
PERSONAS = ("ana", "tomas")


class Screen(Struct, frozen=True):
    """An encoded picture and its size in pixels."""

    data: bytes
    width: int
    height: int


def screens(folder: Path = Path("build") / "bench-load") -> list[Screen]:
    """Return some screens of an editor, a terminal, a browser and a document."""
    sources = sorted(Path(drawing.__file__).parent.glob("*.py"))
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    kept = folder / f"screens-{version}"
    if kept.exists():
        return msgpack.decode(kept.read_bytes(), type=list[Screen])
    drawn = []
    for number in range(SCREENS):
        data, picture = pictures.encoded(drawing.draw(PERSONAS[number % 2], number * SEGMENT_MS))
        drawn.append(Screen(data, picture.width, picture.height))
    folder.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(".new")
    fresh.write_bytes(msgpack.encode(drawn))
    fresh.replace(kept)
    return drawn
