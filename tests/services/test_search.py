"""Search on both databases: what is found, in which order, for whom, and what leaves the index."""

from __future__ import annotations

import asyncio
import random
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import Malformed, NotFound
from app.domain.search import Query, matches, parse
from app.domain.timerange import DAY_MS
from app.services import record, search
from app.services.clock import ManualClock
from app.services.indexing import IndexTask, destroy_forgotten, index_missed
from app.services.resources import Resources
from app.storage import search as rows
from tests.builders import Pair, build_account, build_pair, erase

WORDS = [
    "harbour",
    "Hárbour",
    "berth",
    "berths",
    "be",
    "a",
    "the",
    "Ölwechsel",
    "naïve",
    "x1",
    "3.5",
    "don't",
    "東京",
    "Ω",
]


async def _say(resources: Resources, pair: Pair, *texts: str) -> list[int]:
    said = [
        (
            await record.append(
                resources, pair.client if n % 2 else pair.freelancer, pair.room, "message", {"text": text}
            )
        )
        for n, text in enumerate(texts)
    ]
    await index_missed(resources)
    return [entry.seq for entry in said]


async def _found(resources: Resources, pair: Pair, text: str) -> list[int]:
    found = await search.search(resources, pair.client, parse(text), room=pair.room, limit=100)
    return [hit.entry.seq for hit in found.hits]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("harbour", [0, 1]),
        ("HARBOUR berth", [0]),
        ('"berth one"', [0]),
        ('"one berth"', []),
        ('"harbour berth one"', [0]),
        ('"harbour one berth"', []),
        ("ber*", [0, 2]),
        ("harbour -one", [1]),
        ('harbour -"harbour berth one"', [1]),
        ("-harbour", [2, 3]),
        ("naive", [3]),
        ("from:ana", [0, 2]),
        ("from:me harbour", [1]),
        ("from:p1 from:p2 harbour", [0, 1]),
        ("from:nobody", []),
        ("kind:message berths", [2]),
        ("kind:comment", []),
        ("kind:nothing", []),
        ('" OR " NEAR(harbour) AND *', []),
        ("harbour) OR (berths", []),
        ("':*", []),
        ("%", []),
        ("har_our", []),
    ],
)
async def test_the_language_of_the_box_finds(resources: Resources, text: str, wanted: list[int]) -> None:
    pair = await build_pair(resources)
    seqs = await _say(resources, pair, "Harbour berth one.", "The harbour: two!", "berths", "Naïve")
    assert await _found(resources, pair, text) == [seqs[n] for n in reversed(wanted)]


def _queries() -> st.SearchStrategy[str]:
    word = st.sampled_from(WORDS)
    piece = st.one_of(
        word,
        word.map(lambda w: f"{w[:2]}*"),
        word.map(lambda w: f"{w[:4]}*"),
        st.lists(word, min_size=1, max_size=4).map(lambda ws: '"' + " ".join(ws) + '"'),
        st.text(max_size=6),
    )
    signed = st.tuples(st.sampled_from(["", "", "-"]), piece).map("".join)
    return st.lists(signed, min_size=1, max_size=4).map(" ".join)


@pytest.mark.parametrize("walk", [7, 1_000])
async def test_both_databases_find_what_the_language_means(
    resources: Resources, walk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "WALK_ROWS", {"sqlite": walk, "postgresql": walk})
    pair = await build_pair(resources)
    chosen = random.Random(4)
    texts = [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 8))) for _ in range(60)]
    seqs = dict(zip(await _say(resources, pair, *texts), texts, strict=True))
    drawn: list[str] = []

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(_queries())
    def draw(text: str) -> None:
        drawn.append(text)

    draw()
    for text in drawn:
        query = parse(text)
        wanted = [seq for seq in sorted(seqs, reverse=True) if not query.is_empty and matches(query, seqs[seq])]
        found = await search.search(resources, pair.client, query, room=pair.room, limit=100)
        assert [hit.entry.seq for hit in found.hits if hit.entry.seq in seqs] == wanted, text


async def test_a_page_goes_on_behind_the_last_entry_though_others_are_added(resources: Resources) -> None:
    pair = await build_pair(resources)
    seqs = await _say(resources, pair, *[f"berth {n}" for n in range(7)])
    first = await search.search(resources, pair.client, parse("berth"), room=pair.room, limit=3)
    await _say(resources, pair, "berth of later")
    assert first.more is not None
    rest = await search.search(
        resources, pair.client, parse("berth"), room=pair.room, limit=9, more=search.parsed_cursor(str(first.more))
    )
    assert [hit.entry.seq for hit in [*first.hits, *rest.hits]] == seqs[::-1] and rest.more is None


async def test_all_ones_rooms_are_searched_together_and_no_other(resources: Resources, clock: ManualClock) -> None:
    pairs = [await build_pair(resources, f"Room {n}") for n in range(4)]
    said = []
    for n in range(12):
        clock.now += 0 if n % 3 else 1000  # some at the same moment
        said.append((pairs[n % 4].room, (await _say(resources, pairs[n % 4], f"berth {n}"))[0]))
    stranger = await build_account(resources, "Sam Stranger")
    assert (await search.search(resources, stranger, parse("berth"))).hits == []
    with pytest.raises(NotFound):
        await search.search(resources, stranger, parse("berth"), room=pairs[0].room)
    found, more = [], None
    while True:
        page = await search.search(resources, pairs[0].client, parse("berth"), limit=5, more=more)
        found += [(hit.entry.at, hit.entry.room, hit.entry.seq) for hit in page.hits]
        more = page.more
        if more is None:
            break
    assert found == sorted(found, reverse=True)
    assert sorted((room, seq) for _, room, seq in found) == sorted(said)


async def test_days_are_those_of_the_agreed_zone(resources: Resources, clock: ManualClock) -> None:
    pair = await build_pair(resources, time_zone="Pacific/Auckland")  # 14:13 UTC is the next day there
    (one,) = await _say(resources, pair, "berth one")
    clock.now += DAY_MS
    (two,) = await _say(resources, pair, "berth two")
    assert await _found(resources, pair, "berth after:2026-09-22") == [two, one]
    assert await _found(resources, pair, "berth after:2026-09-23") == [two]
    assert await _found(resources, pair, "berth before:2026-09-23") == [one]
    assert await _found(resources, pair, "berth before:2026-09-22") == []
    assert await _found(resources, pair, "berth before:9999-12-31") == []  # no day that can be reckoned with: words


async def test_what_is_erased_leaves_the_index_in_the_same_commit(resources: Resources) -> None:
    pair = await build_pair(resources)
    gone, kept = await _say(resources, pair, "zebrasecret berth", "berth")
    await erase(resources, pair.room, gone)
    assert await _found(resources, pair, "zebrasecret") == []
    assert await _found(resources, pair, "berth") == [kept]
    await destroy_forgotten(resources)
    async with resources.database.read() as connection:
        assert await rows.select_forgotten(connection, 10) == []
    if resources.database.dialect == "sqlite":
        for file in resources.settings.data.glob("workroom.sqlite3*"):
            assert b"zebrasecret" not in file.read_bytes(), file


async def test_what_is_erased_before_its_turn_is_never_indexed(resources: Resources) -> None:
    pair = await build_pair(resources)
    entry = await record.append(resources, pair.client, pair.room, "message", {"text": "zebrasecret"})
    await erase(resources, pair.room, entry.seq)
    await index_missed(resources)
    assert await _found(resources, pair, "zebrasecret") == []


async def test_two_who_index_at_once_index_once(resources: Resources) -> None:
    pair = await build_pair(resources)
    for n in range(30):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"berth {n}"})
    await asyncio.gather(*(index_missed(resources) for _ in range(3)))
    assert len(await _found(resources, pair, "berth")) == 30
    assert await index_missed(resources) == 0


async def test_the_task_indexes_what_it_is_told_of(resources: Resources) -> None:
    pair = await build_pair(resources)
    task = IndexTask(resources)
    running = asyncio.create_task(task.run())
    await record.append(resources, pair.client, pair.room, "message", {"text": "berth"})
    async with asyncio.timeout(10):
        while not await _found(resources, pair, "berth"):
            await asyncio.sleep(0.02)
    task.stop()
    await running


def test_what_cannot_be_searched_is_refused_with_a_sentence() -> None:
    with pytest.raises(Malformed, match="300 characters"):
        parse("x" * 301)
    with pytest.raises(Malformed, match="16 words"):
        parse("x " * 17)
    with pytest.raises(Malformed):
        search.parsed_cursor("1.2.3")
    assert parse('kind:Message from:"Ana Novak" after:2026-01-01').after == date(2026, 1, 1)
    assert parse(' "" - * ') == Query()
