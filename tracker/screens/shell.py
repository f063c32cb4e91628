"""The drawn terminal: a run of tests, and the history of a repository."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from app.domain.timerange import datetime_of
from tracker.screens.canvas import HEIGHT, WIDTH, Canvas, Colour, pitch
from tracker.screens.desk import BAR_HEIGHT, bar

BACK, INK, FAINT = "#10151c", "#d5dde6", "#77859a"
GREEN, RED, YELLOW, BLUE, CYAN, MAGENTA = "#7fd88f", "#f07178", "#ffd479", "#7aa8ff", "#6fd6d6", "#d49aff"
SIZE, LEADING = 21, 31

Piece = tuple[str, Colour]

_TEST_FILES = (
    ("tests/test_availability.py", 14), ("tests/test_berths.py", 9), ("tests/test_bookings.py", 17),
    ("tests/test_calendar.py", 11), ("tests/test_forms.py", 12), ("tests/test_pages.py", 8),
    ("tests/test_prices.py", 15), ("tests/test_tides.py", 6),
)  # fmt: skip
_COMMITS = (
    "Suggest the berth nearest to the harbour office", "Count nights half-open, as harbour masters do",
    "Show tide and depth beside each berth", "Refuse stays of more than 28 nights", "Draw jetties from the survey plan",
    "Hold a berth for ten minutes while the form is filled", "Send the confirmation in the guest's language",
    "Make the map usable with the keyboard", "Test prices at the eighth night", "Move colours into custom properties",
    "Ask for the length of the boat first", "Cache the tide table for a day", "Fix departure on the day clocks change",
    "Print the arrival sheet for the office", "Add a waiting list for full weekends", "Start the booking calendar",
)  # fmt: skip


def _window(at: int, title: str) -> Canvas:
    canvas = Canvas(BACK)
    canvas.box((0, BAR_HEIGHT, WIDTH, BAR_HEIGHT + 44), "#1a222d")
    for index, colour in enumerate(("#f26d5f", "#f2bd4b", "#62c554")):
        canvas.dot((32 + index * 28, BAR_HEIGHT + 22), 8, colour)
    canvas.text((WIDTH / 2, BAR_HEIGHT + 22), title, FAINT, 17, "mono", "mm")
    bar(canvas, at, "Terminal", dark=True)
    return canvas


def _rows(canvas: Canvas, rows: list[list[Piece]]) -> None:
    top = BAR_HEIGHT + 66
    fit = (HEIGHT - top - 10) // LEADING
    for index, row in enumerate(rows[-fit:]):
        x = 36.0
        for text, colour in row:
            canvas.text((x, top + index * LEADING), text, colour, SIZE, "mono")
            x += len(text) * pitch(SIZE)


def _prompt(command: str) -> list[Piece]:
    return [("ana@quay ", GREEN), ("~/harbour ", BLUE), ("(booking-calendar) ", MAGENTA), (f"$ {command}", INK)]


def draw_tests(at: int, random: Random) -> Canvas:
    """Draw a run of the tests; sometimes one fails."""
    canvas = _window(at, "harbour — tests")
    failing = random.choice((None, None, 2, 6))
    rows = [_prompt("make test"), [("ruff check . && mypy harbour && pytest", FAINT)], [("All checks passed!", GREEN)],
            [("Success: no issues found in 24 source files", GREEN)], []]  # fmt: skip
    rows.append([("=" * 30 + " test session starts " + "=" * 30, INK)])
    done, total = 0, sum(count for _, count in _TEST_FILES)
    for index, (name, count) in enumerate(_TEST_FILES):
        done += count
        dots: list[Piece] = [("." * count, GREEN)]
        if index == failing:
            dots = [("." * (count - 4), GREEN), ("F", RED), ("...", GREEN)]
        gap = " " * (22 - count)
        rows.append([(f"{name} ".ljust(32), INK), *dots, (gap + f"[{done * 100 // total:3d}%]", CYAN)])
    rows.append([])
    if failing is not None:
        name = _TEST_FILES[failing][0]
        rows += [
            [("_" * 22 + " test_the_eighth_night_costs_a_fifth_less " + "_" * 22, RED)], [],
            [("    assert ", INK), ("price_cents", BLUE), ("(berth, stay, boat) == cents", INK)],
            [("E   assert 28800 == 28080", RED)],
            [("E    +  where 28800 = price_cents(Berth('A4', rate_cents=300), Stay(8 nights))", RED)], [],
            [(f"{name}:31: ", INK), ("AssertionError", RED)],
            [("=" * 28 + f" 1 failed, {total - 1} passed in {random.uniform(1, 3):.2f}s " + "=" * 28, RED)],
        ]  # fmt: skip
    else:
        rows.append([("=" * 30 + f" {total} passed in {random.uniform(1, 3):.2f}s " + "=" * 30, GREEN)])
        rows += [[], _prompt("git push"), [("To forge.example.org:quay/harbour.git", FAINT)],
                 [(f"   {random.getrandbits(28):07x}..HEAD  booking-calendar", INK)]]  # fmt: skip
    rows += [[], [*_prompt(""), ("█", INK)]]
    _rows(canvas, rows)
    return canvas


def draw_history(at: int, random: Random) -> Canvas:
    """Draw the log of a repository as a graph."""
    canvas = _window(at, "harbour — git log")
    rows = [_prompt("git log --graph --oneline --decorate")]
    moment = datetime_of(at)
    first = random.randrange(4)
    for index, subject in enumerate(_COMMITS[first:] + _COMMITS[:first]):
        moment -= timedelta(minutes=random.randint(20, 400))
        graph = "│ * " if index % 5 in (2, 3) else "* │ " if index % 5 == 4 else "*   "
        row: list[Piece] = [(graph, RED), (f"{random.getrandbits(28):07x} ", YELLOW)]
        if index == 0:
            row += [("(", YELLOW), ("HEAD -> ", CYAN), ("booking-calendar", GREEN), (") ", YELLOW)]
        if index == 3:
            row += [("(", YELLOW), ("origin/main", RED), (") ", YELLOW)]
        rows.append(
            [*row, (subject.ljust(72 - sum(len(text) for text, _ in row)), INK), (f"{moment:%d %b %H:%M}", FAINT)]
        )
        if index % 5 == 1:
            rows.append([("├─╮", RED)])
        if index % 5 == 4:
            rows.append([("├─╯", RED)])
    rows += [[], _prompt("git diff --stat main"),
             [(" harbour/availability.py   | 64 ", INK), ("+" * 38, GREEN), ("-" * 6, RED)],
             [(" static/berth-map.ts       | 41 ", INK), ("+" * 24, GREEN), ("-" * 9, RED)],
             [(" tests/test_bookings.py    | 52 ", INK), ("+" * 33, GREEN)],
             [(f" 3 files changed, {random.randint(120, 160)} insertions(+), 15 deletions(-)", INK)],
             [], [*_prompt(""), ("█", INK)]]  # fmt: skip
    _rows(canvas, rows)
    return canvas
