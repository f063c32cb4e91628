"""The drawn browser: the harbour's booking site with its map, its form and its calendar."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from tracker.screens.canvas import HEIGHT, WIDTH, Canvas, Colour
from tracker.screens.desk import PAGE_TOP, browser

DEEP, INK, FAINT, SAND = "#17697a", "#14252f", "#667885", "#f6f2ea"
FREE, HELD, TAKEN = "#3fb68b", "#f0b429", "#d9605a"
HEAD_BOTTOM = PAGE_TOP + 76
LIST_RIGHT = 620

_TABS = ["Harbour bookings", "Pull request 48", "Tide tables", "MDN: SVG rect"]


def _page(at: int, path: str, active: str) -> Canvas:
    canvas = Canvas("#ffffff")
    browser(canvas, at, _TABS, 0, f"localhost:8000/{path}", "AR")
    canvas.box((0, PAGE_TOP + 1, WIDTH, HEAD_BOTTOM), DEEP)
    canvas.draw.polygon([(48, PAGE_TOP + 54), (64, PAGE_TOP + 18), (64, PAGE_TOP + 54)], "#ffffff")
    canvas.draw.polygon([(69, PAGE_TOP + 54), (69, PAGE_TOP + 26), (86, PAGE_TOP + 54)], "#bfe3ea")
    canvas.text((104, PAGE_TOP + 39), "Porto Sereno", "#ffffff", 28, "serifbold", "lm")
    x = 420.0
    for label in ("Map", "Book a berth", "Calendar", "Tides", "Arrivals"):
        strong = label == active
        end = canvas.text((x, PAGE_TOP + 39), label, "#ffffff" if strong else "#c3e2e8", 20,
                          "bold" if strong else "sans", "lm")  # fmt: skip
        if strong:
            canvas.box((x, HEAD_BOTTOM - 6, end, HEAD_BOTTOM), "#ffffff")
        x = end + 48
    canvas.button((WIDTH - 190, PAGE_TOP + 18, WIDTH - 40, PAGE_TOP + 60), "Sign in", "#0f4855")
    return canvas


def _berths(random: Random) -> list[tuple[str, str, Colour]]:
    return [
        (f"{jetty}{number}", f"{length} m · {depth} m deep", random.choices((FREE, HELD, TAKEN), (5, 1, 4))[0])
        for jetty, length, depth in (("A", 10, 2.4), ("B", 12, 2.8), ("C", 15, 3.5), ("D", 18, 4.0))
        for number in range(1, 19)
    ]


def draw_map(at: int, random: Random) -> Canvas:
    """Draw the map of the harbour beside the list of berths."""
    canvas = _page(at, "map?arrival=2026-05-01&nights=4", "Map")
    berths = _berths(random)
    _water(canvas, berths, random)
    free = [berth for berth in berths if berth[2] == FREE]
    canvas.box((0, HEAD_BOTTOM, LIST_RIGHT, HEIGHT), SAND)
    canvas.text((40, HEAD_BOTTOM + 30), f"{len(free)} berths are free", INK, 32, "serifbold")
    canvas.text((40, HEAD_BOTTOM + 80), "1 to 5 May · boat of 9.80 m, draught 1.70 m", FAINT, 19)
    for index, (name, size, _) in enumerate(free[:: max(1, len(free) // 6)][:6]):
        top = HEAD_BOTTOM + 124 + index * 114
        chosen = index == 1
        canvas.box(
            (36, top, LIST_RIGHT - 36, top + 100), "#ffffff", 14, DEEP if chosen else "#e4ddcf", 4 if chosen else 1
        )
        canvas.box((56, top + 20, 116, top + 80), FREE, 12)
        canvas.text((86, top + 50), name, "#ffffff", 24, "bold", "mm")
        canvas.text((138, top + 24), size, INK, 21, "bold")
        canvas.text((138, top + 56), random.choice(("water, power", "water, power, Wi-Fi", "water")), FAINT, 18)
        canvas.text((LIST_RIGHT - 60, top + 38), f"€ {random.randint(28, 64)}", INK, 26, "bold", "rm")
        canvas.text((LIST_RIGHT - 60, top + 70), "a night", FAINT, 16, anchor="rm")
    canvas.pointer((LIST_RIGHT + random.randint(200, 900), random.randint(420, 900)))
    return canvas


def _water(canvas: Canvas, berths: list[tuple[str, str, Colour]], random: Random) -> None:
    canvas.gradient((LIST_RIGHT, HEAD_BOTTOM, WIDTH, HEIGHT), "#cfe8f0", "#8cc3d6")
    coast = [(LIST_RIGHT, HEAD_BOTTOM), (1920, HEAD_BOTTOM), (1920, 300), (1760, 330), (1500, 296), (1240, 326),
             (980, 300), (800, 330), (LIST_RIGHT, 310)]  # fmt: skip
    canvas.draw.polygon(coast, "#e9dfc6")
    canvas.line(coast[2:], "#cdbf9d", 6)
    for x, label in ((700, "Office"), (1010, "Chandlery"), (1330, "Café"), (1640, "Crane")):
        canvas.box((x, 236, x + 130, 288), "#ffffff", 8, "#cdbf9d", 2)
        canvas.text((x + 65, 262), label, "#7a6a45", 18, "bold", "mm")
    canvas.draw.polygon([(1920, 1010), (1200, 1040), (700, 1010), (690, 1036), (1200, 1066), (1920, 1044)], "#b6ab93")
    for jetty in range(4):
        x = 760 + jetty * 290
        canvas.box((x - 9, 310, x + 9, 960), "#8a7454")
        canvas.text((x, 984), "ABCD"[jetty], "#2d5563", 26, "bold", "mm")
        for index in range(18):
            name, _, colour = berths[jetty * 18 + index]
            side, row = (-1, 1)[index % 2], index // 2
            top, near = 350 + row * 67, x + side * 12
            length = 78 + jetty * 7
            left, right = sorted((near, near + side * length))
            canvas.box((left, top, right, top + 50), colour, 8, "#ffffff", 3)
            if colour == TAKEN:
                hull = [(near + side * 8, top + 10), (near + side * (length - 30), top + 10),
                        (near + side * (length - 6), top + 25), (near + side * (length - 30), top + 40),
                        (near + side * 8, top + 40)]  # fmt: skip
                canvas.draw.polygon(hull, "#fdf8ee")
            else:
                canvas.text(((left + right) / 2, top + 25), name, "#ffffff", 17, "bold", "mm")
    for _ in range(26):
        x, y = random.randint(660, 1880), random.randint(975, 1070)
        canvas.line([(x, y), (x + 12, y - 4), (x + 24, y), (x + 36, y - 4)], "#eaf6fa", 2)


def draw_form(at: int, random: Random, progress: float) -> Canvas:
    """Draw the booking form, filled in up to `progress`, beside a summary."""
    canvas = _page(at, "book/B7", "Book a berth")
    canvas.box((0, HEAD_BOTTOM, WIDTH, HEIGHT), SAND)
    canvas.box((140, HEAD_BOTTOM + 50, 1180, HEIGHT - 50), "#ffffff", 18, "#e4ddcf")
    canvas.text((200, HEAD_BOTTOM + 92), "Book berth B7", INK, 40, "serifbold")
    for index, label in enumerate(("Stay", "Boat", "Skipper", "Payment")):
        x = 200 + index * 240
        done = index < progress * 4
        canvas.dot((x + 16, HEAD_BOTTOM + 186), 17, DEEP if done else "#d5dde3")
        canvas.text((x + 16, HEAD_BOTTOM + 186), str(index + 1), "#ffffff", 18, "bold", "mm")
        canvas.text((x + 46, HEAD_BOTTOM + 186), label, INK if done else FAINT, 20, "bold" if done else "sans", "lm")
    fields = (
        ("Arrival", "Friday, 1 May 2026"), ("Departure", "Tuesday, 5 May 2026"), ("Name of the boat", "Maré Alta"),
        ("Length over all", "9.80 m"), ("Beam", "3.20 m"), ("Draught", "1.70 m"), ("Skipper", "Inês Carvalho"),
        ("Telephone", "+351 912 555 014"),
    )  # fmt: skip
    filled = 2 + round(progress * 6)
    for index, (label, value) in enumerate(fields):
        left, top = 200 + index % 2 * 480, HEAD_BOTTOM + 276 + index // 2 * 118
        shown = value if index < filled else ""
        canvas.field((left, top, left + 440, top + 58), label, shown, focused=index == min(filled, 7))
    canvas.button((200, HEIGHT - 132, 460, HEIGHT - 74), "Continue", DEEP, size=22)
    canvas.text((490, HEIGHT - 103), "The berth is held for 9:12", FAINT, 19, anchor="lm")
    canvas.box((1240, HEAD_BOTTOM + 50, 1780, HEAD_BOTTOM + 590), "#ffffff", 18, "#e4ddcf")
    canvas.gradient((1241, HEAD_BOTTOM + 51, 1779, HEAD_BOTTOM + 210), "#8cc3d6", "#2c8296")
    for index in range(9):
        colour = HELD if index == 6 else random.choice((FREE, TAKEN))
        canvas.box((1290 + index * 50, HEAD_BOTTOM + 96, 1328 + index * 50, HEAD_BOTTOM + 176), colour, 6, "#ffffff", 2)
    rows = [("4 nights × 9.80 m", "€ 117.60"), ("Harbour dues", "€ 8.40"), ("Power", "€ 12.00"), ("In all", "€ 138.00")]
    for index, (label, amount) in enumerate(rows):
        y, strong = HEAD_BOTTOM + 262 + index * 62, index == 3
        if strong:
            canvas.line([(1290, y - 32), (1730, y - 32)], "#d8d0bf", 2)
        canvas.text(
            (1290, y), label, INK if strong else FAINT, 24 if strong else 21, "bold" if strong else "sans", "lm"
        )
        canvas.text((1730, y), amount, INK, 26 if strong else 21, "bold" if strong else "sans", "rm")
    canvas.paragraph((1290, HEAD_BOTTOM + 496, 1730, HEAD_BOTTOM + 590), "Free of charge to cancel until two days "
                     "before arrival.", FAINT, 18)  # fmt: skip
    return canvas


def draw_calendar(at: int, random: Random) -> Canvas:
    """Draw the calendar of bookings: a row for each berth, a bar for each stay."""
    canvas = _page(at, "calendar/2026-05", "Calendar")
    canvas.text((48, HEAD_BOTTOM + 28), "May 2026", INK, 38, "serifbold")
    canvas.button((WIDTH - 250, HEAD_BOTTOM + 26, WIDTH - 48, HEAD_BOTTOM + 76), "New booking", DEEP)
    left, top, day_width, row_height = 140, HEAD_BOTTOM + 108, 55, 46
    first = date(2026, 5, 1)
    for day in range(31):
        x = left + day * day_width
        weekend = (first + timedelta(days=day)).weekday() >= 5
        if weekend:
            canvas.box((x, top, x + day_width, HEIGHT), "#f6f2ea")
        canvas.text((x + day_width / 2, top + 18), str(day + 1), DEEP if weekend else FAINT, 18, "bold", "mm")
    skippers = ("Carvalho", "Nilsen", "Moreau", "Petrov", "Keane", "Rossi", "Okafor", "Lindqvist", "Vance", "Haddad")
    colours = ("#2f8fa3", "#e0853d", "#5c79c4", "#4aa36c", "#b8608f", "#8a7454")
    for row in range(15):
        y = top + 40 + row * row_height
        canvas.line([(0, y), (WIDTH, y)], "#e6eaee", 1)
        canvas.text((72, y + row_height / 2), f"{'ABCD'[row // 4]}{row % 4 * 2 + 1}", INK, 20, "bold", "mm")
        day = random.randint(0, 4)
        while day < 29:
            nights = min(random.randint(2, 8), 31 - day)
            box = (left + day * day_width + 6, y + 6, left + (day + nights) * day_width - 6, y + row_height - 6)
            canvas.box(box, random.choice(colours), 9)
            canvas.text((box[0] + 14, y + row_height / 2), random.choice(skippers), "#ffffff", 17, "bold", "lm")
            day += nights + random.randint(0, 4)
    canvas.pointer((random.randint(400, 1700), random.randint(420, 980)))
    return canvas
