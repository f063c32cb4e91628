"""Drawn screens: what made-up people work on in the demo, so that real pictures travel where there is no display.

Rule 1: a picture follows from the persona and the instant alone; the same instant gives the same picture.
Rule 2: work goes on: files and texts grow from segment to segment, and two pictures in a row never look alike.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image

from app.domain.timerange import segment_of
from tracker.screens import editor, report, shell, site
from tracker.screens.canvas import Canvas

Scene = Callable[[int, Random, float], Canvas]

ROUNDS = 7  # a file is written within so many rounds through the scenes


def _editor(name: str, theme: editor.Theme, panel: bool = False) -> Scene:
    return lambda at, random, progress: editor.draw_editor(at, name, progress, random, theme, panel)


# One for each kind of work, in an order that looks like a day: write, look, write, test.
SCENES: dict[str, tuple[Scene, ...]] = {
    "ana": (
        _editor("availability.py", editor.DARK),
        lambda at, random, progress: site.draw_map(at, random),
        _editor("test_bookings.py", editor.DARK, panel=True),
        lambda at, random, progress: shell.draw_tests(at, random),
        _editor("berth-map.ts", editor.LIGHT),
        site.draw_form,
        _editor("harbour.css", editor.DARK),
        lambda at, random, progress: site.draw_calendar(at, random),
        _editor("availability.py", editor.LIGHT, panel=True),
        lambda at, random, progress: shell.draw_history(at, random),
    ),
    "tomas": (
        report.draw_text,
        report.draw_layout,
        report.draw_sheet,
        lambda at, random, progress: report.draw_palette(at, random),
        report.draw_layout,
        report.draw_text,
        report.draw_sheet,
    ),
}


def draw(persona: str, at: int) -> Image.Image:
    """Return the screen of a persona at an instant; an unknown name works like one of the known, by its letters."""
    scenes = SCENES.get(persona) or list(SCENES.values())[sum(persona.encode()) % len(SCENES)]
    segment = segment_of(at)
    turn, index = divmod(segment, len(scenes))
    progress = (turn % ROUNDS + (index + 1) / len(scenes)) / ROUNDS
    return scenes[index](at, Random(f"{persona} {segment}"), progress).image
