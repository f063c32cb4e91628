"""Capture on a virtual display with a real program on it, and what is done with the picture."""

from __future__ import annotations

import subprocess
import sys
import time
from io import BytesIO

import pytest
from PIL import Image, ImageChops

from app.domain.workview import FRAME_BYTES_MAX, FRAME_PIXELS_MAX
from tests.tracker.fake_server import now_ms, until
from tracker import screens
from tracker.capture import CaptureFailed, Picture, Request, take
from tracker.display import IdleMeter
from tracker.pictures import blurred, encoded, is_uniform


def opened(picture: Picture) -> Image.Image:
    image = Image.open(BytesIO(picture.data))
    image.load()
    return image.convert("RGB")


async def shown(display: str, request: Request) -> Picture:
    """Take pictures until the program has drawn itself."""
    deadline = time.monotonic() + 10
    while (picture := await take(request)).uniform:
        assert time.monotonic() < deadline
    return picture


async def test_a_frame_shows_what_is_on_the_display(display: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", display)
    before = now_ms()
    picture = await shown(display, Request())
    assert (picture.width, picture.height, picture.media) == (1280, 800, "image/webp")
    assert before <= picture.grabbed_at <= now_ms()
    image = opened(picture)
    assert image.size == (1280, 800)
    colours = {colour for _, colour in image.getcolors(2**20) or []}
    assert (0, 0, 128) in colours  # the terminal's navy, without loss
    assert len(colours) > 2


async def test_all_screens_together_can_be_taken_and_a_missing_one_is_named(
    display: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DISPLAY", display)
    assert (await take(Request(screen=0))).width == 1280
    with pytest.raises(CaptureFailed, match="no screen 7"):
        await take(Request(screen=7))


async def test_without_a_display_the_reason_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(CaptureFailed, match="DISPLAY is not set"):
        await take(Request())
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(CaptureFailed, match="4711"):
        await take(Request())
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    with pytest.raises(CaptureFailed, match="Wayland"):
        await take(Request())


async def test_blur_happens_before_the_picture_leaves_the_child(display: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", display)
    sharp, strong = await shown(display, Request()), await take(Request(blur=3))
    assert (strong.width, strong.height) == (sharp.width, sharp.height)
    assert len(strong.data) < len(sharp.data)


def test_blur_cannot_be_undone_because_each_block_is_one_colour_of_many():
    picture = screens.draw("ana", now_ms())
    for strength, block in ((1, 6), (2, 12), (3, 24)):
        small = blurred(picture, strength).reduce(block)
        assert small.size == picture.reduce(block).size
        assert blurred(picture, strength).size == picture.size
    assert blurred(picture, 0) is picture


def test_text_is_stored_without_loss_where_that_is_smaller_and_photographs_are_not():
    text = screens.draw("ana", 720_000 * 2_490_240)
    data, stored = encoded(text)
    assert ImageChops.difference(Image.open(BytesIO(data)).convert("RGB"), stored).getbbox() is None
    noise = Image.effect_noise((640, 480), 60).convert("RGB")
    data, stored = encoded(noise)
    lossless = BytesIO()
    noise.save(lossless, "WEBP", lossless=True)
    assert len(data) < len(lossless.getvalue())


def test_a_display_that_is_too_large_is_scaled_until_it_fits():
    data, stored = encoded(Image.new("RGB", (9_000, 5_000), "navy"))
    assert stored.width * stored.height <= FRAME_PIXELS_MAX
    assert len(data) <= FRAME_BYTES_MAX
    assert Image.open(BytesIO(data)).size == stored.size


def test_a_picture_of_one_colour_is_known_as_such():
    assert is_uniform(Image.new("RGB", (1920, 1080)))
    assert not is_uniform(screens.draw("tomas", 0))


async def test_x_tells_how_long_keyboard_and_pointer_were_still(display: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", display)
    meter = IdleMeter()
    first = meter.idle_ms()
    await until(lambda: meter.idle_ms() > first)
    assert meter.idle_ms() < 600_000


def test_the_waiting_process_has_no_picture_library():
    check = "import sys, tracker.running, tracker.cli; sys.exit(any(m in sys.modules for m in ('PIL', 'mss')))"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
