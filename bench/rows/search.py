"""Search: in a workroom of 1,000,000 entries, over a mix of what people type; milliseconds by kind of query.

Rule 1: through the API over loopback, with access checked and snippets made: what is measured is the whole answer.
Rule 2: every query is another one, so that nothing is kept from the one before, and some find nothing at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from bench.report import Figure, Row, percentile
from bench.rows.million import ENTRIES, ROOMS
from bench.servers.archive import COMMON, RARE, Asking, archive_server, vocabulary

REQUESTS = 60  # of each kind
WARM_REQUESTS = 20
GOAL_P99_MS = 50.0


def queries(entries: int) -> dict[str, Callable[[], str]]:
    """Return, by kind, what makes the next query."""
    chosen, words = random.Random(3), vocabulary()

    def common() -> str:
        return chosen.choice(COMMON)

    def rare() -> str:
        return chosen.choice([RARE, str(chosen.randrange(entries)), chosen.choice(words[5_000:]), "nowhere"])

    return {
        "a rare word": rare,
        "a common word": common,
        "two common words": lambda: f"{common()} {common()}",
        "a common and a rare word": lambda: f"{common()} {rare()}",
        "a phrase": lambda: f'"{common()} {chosen.choice([common(), rare(), words[chosen.randrange(200)]])}"',
        "a beginning": lambda: chosen.choice(words)[: chosen.randint(1, 5)] + "*",
        "a common word without another": lambda: f"{COMMON[0]} -{chosen.choice(COMMON[1:])}",
        "a word of a person": lambda: f"{common()} from:{chosen.choice(['ana', 'dana'])} kind:message",
        "a word before a day": lambda: f"{common()} before:{chosen.choice(['2020-01-01', '2099-01-01'])}",
    }


def run(folder: Path, entries: int = ENTRIES, requests: int = REQUESTS) -> Row:
    """Search the large room on our server, then all rooms."""
    row = Row("search")
    with archive_server(entries, ROOMS) as (server, made), Asking(server, made.cookie) as asking:
        kinds = queries(made.entries)
        for _ in range(WARM_REQUESTS):
            asking.get(f"/api/search?{urlencode({'q': COMMON[0], 'room': made.large})}", b'"results"', 1)
        by_kind: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(requests):
            for name, query in kinds.items():
                asked = urlencode({"q": query(), "room": made.large})
                by_kind[name].append(asking.get(f"/api/search?{asked}", b'"results"', 1))
        every = [value for values in by_kind.values() for value in values]
        worst = percentile(every, 0.99)
        row.figures = [
            Figure(f"{made.entries:,} entries, all queries, p50", "ms", round(percentile(every, 0.5), 2)),
            Figure(
                f"{made.entries:,} entries, all queries, p99", "ms", round(worst, 2), goal=f"≤ {GOAL_P99_MS:g}",
                is_reached=worst <= GOAL_P99_MS,
            ),
        ]  # fmt: skip
        for name, values in by_kind.items():
            details = {"p50_ms": round(percentile(values, 0.5), 2), "most_ms": round(max(values), 2)}
            row.figures.append(Figure(f"{name}, p99", "ms", round(percentile(values, 0.99), 2), details=details))
        all_rooms = [
            asking.get(f"/api/search?{urlencode({'q': query()})}", b'"results"', 1)
            for _ in range(requests // 4)
            for query in kinds.values()
        ]
        row.figures.append(Figure(f"all {made.rooms} rooms, p99", "ms", round(percentile(all_rooms, 0.99), 2)))
    return row
