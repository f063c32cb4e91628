"""Fragments: every kind and every state renders, live as on the page, and what people write stays text."""

from __future__ import annotations

import html
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import KINDS, checked_body
from app.domain.live import (
    AccountEvent,
    Appended,
    Cell,
    CellChanged,
    CellState,
    CheckpointReleased,
    Presence,
    Seen,
    TrackerChanged,
    Typing,
)
from app.domain.matters import SILENCE, TAKING_BACK, TRANSITIONS, MatterState
from app.domain.record import Entry
from app.views import live, text
from app.views.cells import WORDS, cell_html, cells_html
from app.views.entries import entry_json, entry_row, entry_rows
from app.views.matters import ICONS, NEEDS_WORDS, state_html
from app.views.matters import WORDS as STATE_WORDS
from app.views.presence import who_html
from app.views.samples import (
    FREELANCER,
    ROOM,
    SAMPLE_ENTRIES,
    SAMPLE_MATTERS,
    SAMPLE_ROOM,
    sample_cells,
    sample_trackers,
)
from app.views.sentences import sentence
from app.views.trackers import tracker_html
from app.web.patterns import patterns_html

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[a](javascript:alert(1))",
    "<a href='javascript:alert(1)'>x</a>",
    "</li></template><hx-partial hx-target='body'>x</hx-partial>",
    "![x](https://tracker.example/p.png)",
    '<https://example.org/" onmouseover="alert(1)>',
    "`<b>` **<i>x</i>** {{ 7 * 7 }}",
)


def _entry(kind: str) -> list[Entry]:
    return [entry for entry in SAMPLE_ENTRIES if entry.kind == kind]


def test_there_is_a_sample_of_every_kind_and_its_body_fits_its_schema() -> None:
    assert {entry.kind for entry in SAMPLE_ENTRIES} == set(KINDS)
    for entry in SAMPLE_ENTRIES:
        if entry.body is not None:
            checked_body(entry.kind, {k: v for k, v in entry.body.items() if k != "by_silence"})


def test_there_is_a_sample_of_every_state_of_a_matter_and_each_has_an_icon_and_a_word() -> None:
    assert {matter.state for matter in SAMPLE_MATTERS.values()} == set(MatterState)
    assert {matter.kind for matter in SAMPLE_MATTERS.values()} == set(TRANSITIONS)
    for matter in SAMPLE_MATTERS.values():
        html = state_html(matter, SAMPLE_ROOM)
        assert f"#{ICONS[matter.state]}" in html
        assert (
            SILENCE[matter.kind].means in html
            if matter.state is MatterState.OPEN
            else STATE_WORDS[matter.state] in html
        )


@pytest.mark.parametrize("kind", [kind for kind in TRANSITIONS if kind != "handover"])
def test_every_answer_to_an_open_matter_can_be_given_with_one_click_by_the_side_that_may(kind: str) -> None:
    matter = next(m for m in SAMPLE_MATTERS.values() if m.kind == kind and m.state is MatterState.OPEN)
    html = state_html(matter, SAMPLE_ROOM)
    for answer in TRANSITIONS[kind][MatterState.OPEN]:
        side = matter.side if answer in TAKING_BACK else matter.asked
        form = rf'data-for="{side}" data-answer><input type="hidden" name="kind" value="{re.escape(answer)}">'
        link = rf'data-for="{side}" data-compose href="/rooms/{ROOM}/compose/{re.escape(answer)}\?ref={matter.seq}"'
        assert re.search(link if answer in NEEDS_WORDS else form, html), answer


@pytest.mark.parametrize("entry", SAMPLE_ENTRIES, ids=lambda e: f"{e.kind}-{e.seq}")
def test_the_live_row_is_the_row_of_the_page(entry: Entry) -> None:
    own = SAMPLE_MATTERS.get(entry.seq)
    fragment = live.timeline_content(entry, SAMPLE_ROOM, matters=(own,) if own else ())
    found = re.match(
        rf'<hx-upsert hx-target="#log-{ROOM}" key="data-seq" sort>(<li .*?</li>)</hx-upsert>', fragment, re.S
    )
    assert found is not None
    assert found.group(1) == entry_rows([entry], SAMPLE_ROOM, matters=SAMPLE_MATTERS)[0]
    assert f'id="e-{ROOM}-{entry.seq}"' in found.group(1) and f'data-seq="{entry.seq}"' in found.group(1)


@pytest.mark.parametrize("entry", SAMPLE_ENTRIES, ids=lambda e: f"{e.kind}-{e.seq}")
def test_every_entry_is_a_sentence_and_json_too(entry: Entry) -> None:
    said = sentence(entry, SAMPLE_ROOM)
    assert said and "\n" not in said and len(said) < 250
    told = entry_json(entry)
    assert list(told)[:7] == ["seq", "kind", "by", "at", "ref", "cid", "body"]
    assert ("erased" in told) == (entry.body is None)
    msgspec.json.encode(told)


def test_what_happens_to_an_entry_later_shows_the_same_live_and_on_the_page() -> None:
    rows = entry_rows(SAMPLE_ENTRIES, SAMPLE_ROOM)
    for entry in SAMPLE_ENTRIES:
        if entry.kind in ("frame.deleted", "frame.replaced", "frame.unreadable", "correction"):
            later = live.timeline_content(entry, SAMPLE_ROOM).split("</hx-upsert>")[1]
            changed = re.sub(r'^<hx-upsert hx-target="[^"]*">', "", later)
            assert changed in rows[entry.ref or 0], entry.kind


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["message", "correction", "feedback", "comment", "tracking.started"])
def test_what_people_write_stays_text(attack: str, kind: str) -> None:
    entry = _entry(kind)[0]
    field = "comment" if kind == "tracking.started" else "text"
    html = entry_row(msgspec.structs.replace(entry, body={**(entry.body or {}), field: attack}), SAMPLE_ROOM)
    assert "<script" not in html and "<img" not in html and "<hx-" not in html
    assert "javascript:" not in re.sub(r">[^<]*<", "><", html), "only as text, never in an attribute"
    assert "49" not in html.replace("1495", "")
    assert not re.search(r"<[^>]*\son\w+=", html)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=80))
def test_plain_text_comes_out_as_markdown_would_make_it(written: str) -> None:
    if text._is_plain(written) and written.strip():
        made = text.nh3.clean(text._markdown().render(written), tags=text._TAGS).strip()
        assert html.unescape(text.rich_text(written)) == html.unescape(made)


@pytest.mark.parametrize("state", list(CellState))
def test_every_state_of_a_cell_has_an_icon_and_a_word(state: CellState) -> None:
    cell = next(c for c in sample_cells() if c.state is state)
    html = cell_html(cell, SAMPLE_ROOM)
    assert f'id="seg-{ROOM}-{FREELANCER}-{cell.segment}"' in html and f"seg {state.value}" in html
    if state is not CellState.EMPTY:
        icon, word = WORDS[state]
        assert f"#{icon}" in html or "#circle-dot" in html
        assert word.format(name="Ana") in html


@pytest.mark.parametrize("cell", sample_cells(), ids=lambda c: c.state.value)
def test_a_live_cell_is_the_cell_of_the_page(cell: Cell) -> None:
    fragment = live.live_content("workview", CellChanged(ROOM, cell), SAMPLE_ROOM)
    assert fragment.startswith(
        f'<hx-partial hx-target="#seg-{ROOM}-{FREELANCER}-{cell.segment}" hx-swap="outerMorph">'
        f"{cells_html([cell], SAMPLE_ROOM)[0]}</hx-partial>"
    )


def test_a_comment_shows_its_words_once_in_a_run() -> None:
    run = [c for c in sample_cells() if c.comment_seq is not None]
    html = cells_html(run, SAMPLE_ROOM)
    assert ["mid" in cell.split(">")[0] for cell in html] == [False, True, True]


@pytest.mark.parametrize("state", sample_trackers(), ids=["working", "silent", "off"])
def test_a_live_tracker_is_the_tracker_of_the_page(state: object) -> None:
    fragment = live.live_content("timeline", TrackerChanged(ROOM, state), SAMPLE_ROOM)  # type: ignore[arg-type]
    assert tracker_html(state, SAMPLE_ROOM) in fragment  # type: ignore[arg-type]
    assert f'hx-target="#now-{ROOM}-{FREELANCER}"' in fragment


def test_presence_typing_seen_and_checkpoints_go_to_the_views_that_show_them() -> None:
    assert who_html(SAMPLE_ROOM, ("p1",)) in live.live_content("home", Presence(ROOM, ("p1",)), SAMPLE_ROOM)
    assert "Ana is typing" in live.live_content("workview", Typing(ROOM, "p2"), SAMPLE_ROOM)
    assert live.live_content("home", Typing(ROOM, "p2"), SAMPLE_ROOM) == ""
    assert 'data-seq="7"' in live.live_content("timeline", Seen(ROOM, "p2", 7), SAMPLE_ROOM)
    assert live.live_content("workview", Seen(ROOM, "p2", 7), SAMPLE_ROOM) == ""
    assert "<b>29</b>" in live.live_content("timeline", CheckpointReleased(ROOM, 29, "note"), SAMPLE_ROOM)
    unread = AccountEvent("a", "unread", {"room": ROOM, "unread": 3})
    assert live.account_content(unread) == (
        f'<hx-partial hx-target="#unread-{ROOM}" hx-swap="innerHTML">3</hx-partial>'
    )


def test_an_entry_that_changes_no_cell_sends_nothing_to_work_view() -> None:
    paused = _entry("tracking.paused")[0]
    assert live.workview_content(Appended(paused), SAMPLE_ROOM) == ""
    assert live.home_content(Appended(paused), SAMPLE_ROOM) == ""


def test_a_closed_hour_brings_its_total_and_a_message_the_chat() -> None:
    closed, message = _entry("hour.closed")[0], _entry("message")[0]
    assert f'hx-target="#hour-{ROOM}-{FREELANCER}-' in live.workview_content(Appended(closed), SAMPLE_ROOM)
    assert f'hx-target="#chat-{ROOM}"' in live.workview_content(Appended(message), SAMPLE_ROOM)
    assert f'hx-target="#last-{ROOM}"' in live.home_content(Appended(message), SAMPLE_ROOM)


def test_a_snapshot_repairs_what_may_be_lost() -> None:
    cells, states = sample_cells(), sample_trackers()[:1]
    made = live.snapshot_content("workview", SAMPLE_ROOM, ("p1",), states, cells)
    assert made.count("outerMorph") == len(cells) + 2
    assert "thumbnail?ready" in live.snapshot_content("timeline", SAMPLE_ROOM, (), states, cells)
    assert f"who-{ROOM}" in live.snapshot_content("home", SAMPLE_ROOM, (), states, cells)


def test_rows_are_the_same_for_every_viewer() -> None:
    for entry in SAMPLE_ENTRIES:
        row = entry_row(entry, SAMPLE_ROOM, matter=SAMPLE_MATTERS.get(entry.seq))
        assert f'data-by="{entry.by}"' in row and "data-side=" in row
        assert not re.search(r"\b[Yy]ou\b", re.sub(r"<(\w+)[^>]* hx-ignore>.*?</\1>", "", row, flags=re.S))


def test_no_fragment_carries_style_or_script_of_its_own() -> None:
    html = patterns_html()
    assert not re.search(r"<[^>]*\s(style|on\w+)=", html)
    assert "hx-on" not in html and "javascript:" not in html
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
