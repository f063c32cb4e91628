"""The drawn screens: deterministic, varied, quick, and possible on a machine without fonts."""

from __future__ import annotations

import time

import pytest

from app.domain.timerange import SEGMENT_MS
from tracker import screens
from tracker.pictures import encoded
from tracker.screens import canvas

BASE = 2_490_240 * SEGMENT_MS
DRAW_AND_ENCODE_SECONDS_MAX = 0.25


@pytest.mark.parametrize("persona", ["ana", "tomas", "somebody else"])
def test_the_same_instant_gives_the_same_picture_and_another_segment_another(persona: str):
    first = screens.draw(persona, BASE).tobytes()
    assert screens.draw(persona, BASE).tobytes() == first
    assert screens.draw(persona, BASE + SEGMENT_MS).tobytes() != first


@pytest.mark.parametrize("persona", list(screens.SCENES))
def test_every_scene_can_be_drawn_at_every_stage(persona: str):
    rounds = len(screens.SCENES[persona]) * screens.ROUNDS
    seen = {screens.draw(persona, BASE + index * SEGMENT_MS).resize((48, 27)).tobytes() for index in range(rounds)}
    assert len(seen) > rounds * 0.9


@pytest.mark.parametrize("persona", list(screens.SCENES))
def test_a_screen_is_drawn_and_encoded_in_a_quarter_of_a_second(persona: str):
    screens.draw(persona, BASE)  # fonts are opened once
    spent = []
    for index in range(7):
        begun = time.process_time()
        encoded(screens.draw(persona, BASE + index * SEGMENT_MS))
        spent.append(time.process_time() - begun)
    assert sorted(spent)[3] < DRAW_AND_ENCODE_SECONDS_MAX


@pytest.mark.parametrize("persona", list(screens.SCENES))
def test_a_machine_without_fonts_draws_all_the_same(persona: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(canvas, "_file", lambda face: None)
    for cached in (canvas.font, canvas.pitch):
        cached.cache_clear()
    try:
        for index in range(len(screens.SCENES[persona])):
            assert screens.draw(persona, BASE + index * SEGMENT_MS).size == (1920, 1080)
    finally:
        for cached in (canvas.font, canvas.pitch):
            cached.cache_clear()
