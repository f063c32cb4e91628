"""The drawn desk of someone who writes and designs an annual report: text, figures, layout, palette, outline."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

from tracker.screens.canvas import HEIGHT, WIDTH, Canvas, Colour, mix
from tracker.screens.desk import BAR_HEIGHT, PAGE_TOP, bar, browser

INK, FAINT, PAPER = "#22262b", "#7b838c", "#ffffff"
SEA, MOSS, CLAY, SUN, NIGHT = "#1d6a74", "#6f8f4e", "#c65b3c", "#e6a532", "#1c2f3f"
PALETTE: list[Colour] = [SEA, SUN, CLAY, MOSS, NIGHT]

CHAPTERS = (
    ("A year on the river", "Three hundred and twelve volunteers walked the banks between March and October. They "
     "counted birds, cleared four tonnes of plastic, and planted willows where the flood of 2024 had taken the slope. "
     "What follows is their year, told in their words and in the numbers that they brought home."),
    ("What we measured", "Oxygen has risen at nine of eleven stations. The two that fell lie below the old paper "
     "mill, where work on the weir held the water back in August. We expect both to recover by spring, and we will "
     "publish the readings of every week as before."),
    ("Where the money went", "Of every euro that was given to us, seventy-eight cents went into the field: boots, "
     "boats, laboratory fees, trees. Eleven paid for the office, seven for this report and the school visits, and "
     "four are kept for a bad year."),
    ("The schools", "Forty-one classes came to the river. A child who has held a mayfly larva in the palm of a hand "
     "does not forget it, and neither do the parents who hear of it in the evening."),
    ("What comes next", "The fish ladder at Arbel opens in May. We need sixty people with strong arms in April, and "
     "somebody who can drive a tractor."),
)  # fmt: skip


def draw_text(at: int, random: Random, progress: float) -> Canvas:
    """Draw the report in a word processor, written up to `progress`, with remarks beside it."""
    canvas = Canvas("#e9ebee")
    bar(canvas, at, "Writer — Annual report.odt", dark=False)
    canvas.box((0, BAR_HEIGHT, WIDTH, BAR_HEIGHT + 70), "#f8f9fa")
    x = 40.0
    for label, face in (("Body text", "sans"), ("Serif 12", "serif"), ("B", "bold"), ("I", "serif"), ("U", "sans")):
        width = 56 + canvas.width(label, 20, face)
        canvas.box((x, BAR_HEIGHT + 14, x + width, BAR_HEIGHT + 56), "#ffffff", 8, "#d3d8de")
        canvas.text((x + width / 2, BAR_HEIGHT + 35), label, INK, 20, face, "mm")
        x += width + 14
    left, right, top = 390, 1330, BAR_HEIGHT + 100
    canvas.box((left + 8, top + 8, right + 8, HEIGHT), "#d5d9de")
    canvas.box((left, top, right, HEIGHT), PAPER)
    shown = min(len(CHAPTERS) - 1, 1 + int(progress * (len(CHAPTERS) - 1)))
    first = max(0, shown - 3)
    y = top + 66.0
    if first == 0:
        canvas.text((left + 90, y), "Friends of the River Arn", SEA, 20, "bold")
        y += 46
    for index, (title, text) in enumerate(CHAPTERS[first : shown + 1]):
        last = first + index == shown
        canvas.text((left + 90, y), title, NIGHT, 36, "serifbold")
        share = len(text) if not last else round(len(text) * random.uniform(0.3, 0.9))
        y = canvas.paragraph((left + 90, y + 62, right - 90, HEIGHT), text[:share], INK, 22, "serif", 1.62)
        if last:
            canvas.box((left + 92, y - 6, left + 95, y + 26), CLAY)
        y += 30
        if index == 0 and y < HEIGHT - 420:
            _bars(canvas, (left + 90, y, right - 90, y + 230), Random("birds"))
            y += 268
    _outline(canvas, shown)
    _remarks(canvas, random, right)
    return canvas


def _outline(canvas: Canvas, shown: int) -> None:
    canvas.text((36, BAR_HEIGHT + 108), "OUTLINE", FAINT, 16, "bold")
    for index, (title, _) in enumerate(CHAPTERS):
        y = BAR_HEIGHT + 158 + index * 48
        if index == shown:
            canvas.box((20, y - 22, 350, y + 22), "#d5e4e6", 8)
        canvas.text((40, y), f"{index + 1}  {title}", SEA if index <= shown else FAINT, 19, anchor="lm")


def _remarks(canvas: Canvas, random: Random, page_right: int) -> None:
    remarks = (("MK", "Could this be a chart?", CLAY), ("TB", "Checked against the bank.", MOSS),
               ("MK", "Lovely. Keep it short.", CLAY), ("TB", "Photo from June fits here.", MOSS))  # fmt: skip
    for index, (person, text, colour) in enumerate(random.sample(remarks, 2)):
        top = BAR_HEIGHT + 210 + index * 260 + random.randint(0, 60)
        canvas.box((page_right + 60, top, WIDTH - 60, top + 130), "#ffffff", 14, "#d3d8de")
        canvas.box((page_right + 60, top + 14, page_right + 66, top + 116), colour)
        canvas.initials((page_right + 106, top + 44), person, colour, 20)
        canvas.text((page_right + 144, top + 32), {"MK": "Mara Kent", "TB": "Tomas Brandt"}[person], INK, 19, "bold")
        canvas.text((page_right + 92, top + 80), text, INK, 19)


def _bars(canvas: Canvas, box: tuple[float, float, float, float], random: Random) -> None:
    """Draw a bar chart of twelve months."""
    left, top, right, bottom = box
    step = (right - left) / 12
    for index, month in enumerate("JFMAMJJASOND"):
        height = (0.35 + 0.5 * sin(pi * (index + 1) / 13) + random.uniform(-0.08, 0.08)) * (bottom - top - 30)
        x = left + index * step
        canvas.box((x + 8, bottom - 30 - height, x + step - 8, bottom - 30), SEA if index != 7 else CLAY, 4)
        canvas.text((x + step / 2, bottom - 12), month, FAINT, 17, "bold", "mm")


def draw_sheet(at: int, random: Random, progress: float) -> Canvas:
    """Draw the report's figures in a spreadsheet with a chart."""
    canvas = Canvas("#ffffff")
    bar(canvas, at, "Calc — Figures 2026.ods", dark=False)
    top, left, row_height, column = BAR_HEIGHT + 96, 70, 39, 150
    canvas.box((0, BAR_HEIGHT, WIDTH, top), "#f1f3f5")
    canvas.box((120, BAR_HEIGHT + 14, WIDTH - 40, BAR_HEIGHT + 52), "#ffffff", 6, "#ccd2d8")
    row, figures = 3 + round(progress * 17), Random("figures")  # the same in every picture
    canvas.text((60, BAR_HEIGHT + 33), f"F{row}", INK, 19, "bold", "mm")
    canvas.text((140, BAR_HEIGHT + 33), f"=SUM(B{row}:E{row})", INK, 20, "mono", "lm")
    heads = ("Station", "Spring", "Summer", "Autumn", "Winter", "Year")
    names = ("Arbel weir", "Old mill", "Stone ford", "Lime wood", "Sluice 4", "Kestrel bend", "Upper bridge",
             "Fish ladder", "Alder isle", "Ferry house", "Salt steps", "Donations", "Grants", "Boats", "Laboratory",
             "Trees", "Schools", "Office", "Report", "Reserve", "Insurance")  # fmt: skip
    for index in range(12):
        x = left + index * column
        canvas.line([(x, top - 34), (x, HEIGHT)], "#e3e7eb", 1)
        canvas.text((x + column / 2, top - 18), chr(65 + index), FAINT, 17, "bold", "mm")
    for index in range(25):
        line = top + index * row_height
        canvas.line([(0, line), (WIDTH, line)], "#e3e7eb", 1)
        canvas.text((left / 2, line + row_height / 2), str(index + 1), FAINT, 17, anchor="mm")
    canvas.box((left, top, left + 6 * column, top + row_height), SEA)
    for index, head in enumerate(heads):
        canvas.text((left + index * column + 12, top + row_height / 2), head, "#ffffff", 19, "bold", "lm")
    for index in range(min(row, len(names))):
        y = top + (index + 1) * row_height + row_height / 2
        if index % 2:
            canvas.box((left + 1, y - row_height / 2 + 1, left + 6 * column, y + row_height / 2), "#f2f7f7")
        values = [figures.randint(120, 4800) for _ in range(4)]
        canvas.text((left + 12, y), names[index], INK, 18, anchor="lm")
        for place, value in enumerate([*values, sum(values)]):
            face = "bold" if place == 4 else "sans"
            canvas.text((left + (place + 2) * column - 14, y), f"{value:,}".replace(",", " "), INK, 18, face, "rm")
    under = top + (row - 1) * row_height
    canvas.box((left + 5 * column, under, left + 6 * column, under + row_height), None, outline="#1a73c8", width=4)
    canvas.box((1040, top + 70, WIDTH - 50, top + 480), "#ffffff", 10, "#ccd2d8", 2)
    canvas.text((1076, top + 96), "Oxygen by station, mg per litre", INK, 22, "bold")
    _lines(canvas, (1080, top + 150, WIDTH - 90, top + 440), figures)
    _ring(canvas, (1180, top + 690), 130, Random("shares"))
    return canvas


def _lines(canvas: Canvas, box: tuple[float, float, float, float], random: Random) -> None:
    left, top, right, bottom = box
    for index in range(5):
        y = top + index * (bottom - top) / 4
        canvas.line([(left, y), (right, y)], "#e3e7eb", 1)
    for colour in PALETTE[:3]:
        level, points = random.uniform(0.3, 0.7), []
        for index in range(13):
            level = min(0.95, max(0.08, level + random.uniform(-0.14, 0.15)))
            points.append((left + index * (right - left) / 12, bottom - level * (bottom - top)))
        canvas.line(points, colour, 5)
        for point in points:
            canvas.dot(point, 6, colour)


def _ring(canvas: Canvas, centre: tuple[float, float], radius: float, random: Random) -> None:
    """Draw where the money went, as a ring with its legend."""
    x, y = centre
    shares = [random.randint(30, 44), random.randint(18, 26), random.randint(8, 16), random.randint(6, 12)]
    shares.append(100 - sum(shares))
    start = -90.0
    for share, colour in zip(shares, PALETTE, strict=True):
        end = start + share * 3.6
        canvas.draw.pieslice((x - radius, y - radius, x + radius, y + radius), start, end, colour, "#ffffff", 3)
        start = end
    canvas.dot(centre, radius * 0.56, "#ffffff")
    canvas.text(centre, "€ 214 k", INK, 26, "bold", "mm")
    for index, (label, share) in enumerate(
        zip(("Field", "Trees", "Schools", "Office", "Reserve"), shares, strict=True)
    ):
        top = y - 110 + index * 50
        canvas.box((x + 190, top, x + 216, top + 26), PALETTE[index], 5)
        canvas.text((x + 232, top + 13), f"{label}  {share} %", INK, 20, anchor="lm")


def draw_layout(at: int, random: Random, progress: float) -> Canvas:
    """Draw a double page of the report in a layout program."""
    canvas = Canvas("#2a2d33")
    bar(canvas, at, "Layout — Arn 2026, spread 4", dark=True)
    canvas.box((0, BAR_HEIGHT, 62, HEIGHT), "#212429")
    for index in range(9):
        y = BAR_HEIGHT + 46 + index * 58
        canvas.box((17, y - 14, 45, y + 14), None, 6, "#e6a532" if index == 2 else "#8b9199", 3)
    left, top, right, bottom = 120, BAR_HEIGHT + 70, 1560, HEIGHT - 70
    middle = (left + right) / 2
    canvas.box((left + 10, top + 10, right + 10, bottom + 10), "#1b1d21")
    canvas.box((left, top, right, bottom), PAPER)
    mood = PALETTE[random.randrange(5)]
    _river(canvas, (left, top, int(middle), int(bottom - 200)), mood, random)
    canvas.text((left + 60, top + 70), "2026", "#ffffff", 110, "serifbold")
    canvas.text((left + 66, top + 200), "A year on the river", "#ffffff", 34, "serif")
    canvas.paragraph(
        (left + 60, bottom - 176, middle - 60, bottom - 20), CHAPTERS[0][1].partition(" What")[0], INK, 19, "serif", 1.5
    )
    chapter = 1 + min(3, int(progress * 4))
    (title, text), (_, more) = CHAPTERS[chapter], CHAPTERS[(chapter + 1) % 5]
    canvas.text((middle + 60, top + 60), title, mood, 44, "serifbold")
    canvas.box((middle + 60, top + 124, middle + 160, top + 130), SUN)
    column = (right - middle - 160) / 2
    canvas.paragraph((middle + 60, top + 164, middle + 60 + column, bottom - 330), text, INK, 19, "serif", 1.55)
    canvas.paragraph((middle + 100 + column, top + 164, right - 60, bottom - 330), more, INK, 19, "serif", 1.55)
    _bars(canvas, (middle + 60, bottom - 300, right - 60, bottom - 70), Random("birds"))
    canvas.line([(middle, top), (middle, bottom)], "#d8dce0", 2)
    for guide in (middle + 60 + column, middle + 100 + column):
        canvas.line([(guide, top), (guide, bottom)], "#57c7e3", 1)
    chosen = (middle + 54, bottom - 306, right - 54, bottom - 60)
    canvas.box(chosen, None, outline="#3aa0ff", width=3)
    for x in (chosen[0], chosen[2]):
        for y in (chosen[1], chosen[3]):
            canvas.box((x - 7, y - 7, x + 7, y + 7), "#ffffff", outline="#3aa0ff", width=3)
    _inspector(canvas, random, mood)
    canvas.pointer((random.randint(900, 1500), random.randint(500, 950)))
    return canvas


def _river(canvas: Canvas, box: tuple[int, int, int, int], mood: Colour, random: Random) -> None:
    """Draw a landscape: sky, sun, hills one behind the other, a river."""
    left, top, right, bottom = box
    canvas.gradient(box, mix(mood, "#ffffff", 0.15), mix(SUN, "#ffffff", 0.45))
    canvas.dot((left + random.randint(420, 600), top + 300), 70, "#fff3d0")
    for layer in range(5):
        base, height = top + 330 + layer * 78, 70 - layer * 8
        shift = random.uniform(0, 6)
        points: list[tuple[float, float]] = [
            (x, base + height * (sin(x / 130 + shift) + 0.5 * sin(x / 47 + shift * 2)))
            for x in range(left, right + 1, 8)
        ]
        colour = mix(mix(mood, "#dfe9df", 0.62), NIGHT, layer * 0.2)
        canvas.draw.polygon([*points, (right, bottom), (left, bottom)], colour)
    bend = random.uniform(0, 6)
    banks: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for y in range(bottom - 190, bottom + 1, 5):
        depth = (y - bottom + 190) / 190
        x, half = left + 380 + (40 + 90 * depth) * sin(depth * 5 + bend), 3 + 66 * depth**1.7
        banks[0].append((x - half, y))
        banks[1].append((x + half, y))
    canvas.draw.polygon([*banks[0], *reversed(banks[1])], "#d8ecef")


def _inspector(canvas: Canvas, random: Random, mood: Colour) -> None:
    left = 1620
    canvas.box((left, BAR_HEIGHT, WIDTH, HEIGHT), "#212429")
    canvas.text((left + 28, BAR_HEIGHT + 26), "COLOURS", "#9aa1aa", 16, "bold")
    for index, colour in enumerate(PALETTE):
        x = left + 28 + index * 50
        canvas.box((x, BAR_HEIGHT + 60, x + 42, BAR_HEIGHT + 102), colour, 8, "#ffffff" if colour == mood else None, 3)
    canvas.text((left + 28, BAR_HEIGHT + 140), "FRAME", "#9aa1aa", 16, "bold")
    for index, label in enumerate(("X", "Y", "W", "H")):
        x, y = left + 28 + index % 2 * 130, BAR_HEIGHT + 176 + index // 2 * 56
        canvas.box((x, y, x + 116, y + 42), "#2d3138", 6)
        canvas.text((x + 12, y + 21), f"{label}  {random.randint(12, 280)} mm", "#dfe3e8", 17, anchor="lm")
    canvas.text((left + 28, BAR_HEIGHT + 320), "LAYERS", "#9aa1aa", 16, "bold")
    for index, label in enumerate(("Guides", "Chart", "Text right", "Headline", "Text left", "Landscape", "Paper")):
        y = BAR_HEIGHT + 372 + index * 52
        if index == 1:
            canvas.box((left + 12, y - 24, WIDTH - 12, y + 24), "#33414f", 8)
        canvas.dot((left + 40, y), 7, "#57c7e3" if index != 4 else "#4a4f57")
        canvas.text((left + 64, y), label, "#dfe3e8", 18, anchor="lm")


def draw_palette(at: int, random: Random) -> Canvas:
    """Draw the collection of colours and type that the report is to use."""
    canvas = Canvas(PAPER)
    browser(canvas, at, ["Arn 2026 — style", "Map of the Arn", "Paper samples"], 0, "notes.example.org/arn/style", "TB")
    canvas.text((100, PAGE_TOP + 60), "Colours and type", NIGHT, 54, "serifbold")
    order = random.sample(PALETTE, 5)
    names = {SEA: "Sea", MOSS: "Moss", CLAY: "Clay", SUN: "Sun", NIGHT: "Night"}
    for index, colour in enumerate(order):
        left = 100 + index * 348
        canvas.gradient((left, PAGE_TOP + 160, left + 320, PAGE_TOP + 420), mix(colour, "#ffffff", 0.12), colour)
        canvas.text((left, PAGE_TOP + 440), names[colour], INK, 24, "bold")
        canvas.text((left, PAGE_TOP + 476), colour, FAINT, 20, "mono")
    canvas.text((100, PAGE_TOP + 560), "Aa", order[0], 190, "serifbold")
    canvas.paragraph((440, PAGE_TOP + 590, 1060, HEIGHT - 40), CHAPTERS[0][1], INK, 23, "serif", 1.6)
    centre, turn = (1470, PAGE_TOP + 730), random.uniform(0, 1)
    for index in range(30):
        angle = 2 * pi * index / 30 + turn
        x, y = centre[0] + 180 * cos(angle), centre[1] + 130 * sin(angle)
        canvas.dot((x, y), 10 + 22 * abs(sin(angle * 1.5)), order[index % 5])
    return canvas
