"""The desk around a program: the bar with the clock, and a browser's frame.

Rule 1: the clock shows the record's time, so that a picture can be told from the one before.
"""

from __future__ import annotations

from app.domain.timerange import datetime_of
from tracker.screens.canvas import HEIGHT, WIDTH, Canvas, Colour

BAR_HEIGHT = 36
TABS_HEIGHT = 48
ADDRESS_HEIGHT = 56
PAGE_TOP = BAR_HEIGHT + TABS_HEIGHT + ADDRESS_HEIGHT


def bar(canvas: Canvas, at: int, program: str, dark: bool) -> None:
    """Draw the bar on top of the screen."""
    back, ink = ("#11131a", "#d8dce6") if dark else ("#20262e", "#e8ecf2")
    canvas.box((0, 0, WIDTH, BAR_HEIGHT), back)
    canvas.text((24, BAR_HEIGHT / 2), program, ink, 17, "bold", "lm")
    canvas.text((WIDTH / 2, BAR_HEIGHT / 2), datetime_of(at).strftime("%a %d %b  %H:%M"), ink, 17, "bold", "mm")
    for index, height in enumerate((6, 10, 14)):  # signal
        x = WIDTH - 150 + index * 8
        canvas.box((x, 25 - height, x + 4, 25), ink)
    canvas.box((WIDTH - 108, 11, WIDTH - 76, 25), None, 4, ink, 2)  # battery
    canvas.box((WIDTH - 104, 15, WIDTH - 88, 21), ink)
    canvas.dot((WIDTH - 40, BAR_HEIGHT / 2), 7, "#e5534b")  # the tracker shows that it is on


def browser(canvas: Canvas, at: int, tabs: list[str], active: int, address: str, person: str) -> None:
    """Draw a browser with a white page below `PAGE_TOP`."""
    bar(canvas, at, "Browser", dark=False)
    canvas.box((0, BAR_HEIGHT, WIDTH, BAR_HEIGHT + TABS_HEIGHT), "#d3d9e0")
    marks: list[Colour] = ["#1f7a8c", "#e0853d", "#5c6ac4", "#3a9d5d"]
    for index, title in enumerate(tabs):
        left = 16 + index * 300
        top, bottom = BAR_HEIGHT + 8, BAR_HEIGHT + TABS_HEIGHT
        if index == active:
            canvas.box((left, top, left + 292, bottom + 10), "#f4f6f8", 10)
        canvas.dot((left + 26, (top + bottom) / 2), 9, marks[index % len(marks)])
        colour = "#1b2733" if index == active else "#53616e"
        canvas.text((left + 46, (top + bottom) / 2), title[:25], colour, 17, anchor="lm")
    top = BAR_HEIGHT + TABS_HEIGHT
    canvas.box((0, top, WIDTH, top + ADDRESS_HEIGHT), "#f4f6f8")
    for index, sign in enumerate(("‹", "›", "↻")):
        canvas.text((36 + index * 46, top + 27), sign, "#53616e", 28, anchor="mm")
    canvas.box((170, top + 8, WIDTH - 190, top + 48), "#ffffff", 20, "#cfd7df")
    canvas.text((200, top + 28), address, "#2c3a47", 19, anchor="lm")
    canvas.initials((WIDTH - 60, top + 28), person, "#5c6ac4", 17)
    canvas.box((0, PAGE_TOP, WIDTH, HEIGHT), "#ffffff")
    canvas.line([(0, PAGE_TOP), (WIDTH, PAGE_TOP)], "#d3d9e0", 1)
