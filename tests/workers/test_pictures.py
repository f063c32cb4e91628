"""Pictures: what comes out of good ones, what becomes of bad ones, and that a bad one harms nothing else."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from workers.picture_pool import (
    PictureMissing,
    PicturePool,
    PictureProcessDied,
    PictureUnreadable,
    open_pictures,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def pool() -> AsyncIterator[PicturePool]:
    async with open_pictures(size=1) as opened:
        yield opened


def screen(width: int = 1920, height: int = 1080) -> Image.Image:
    picture = Image.new("RGB", (width, height), (30, 30, 36))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width // 2, height), fill=(200, 40, 40))
    for y in range(0, height, 20):
        draw.text((10, y), "the quick brown fox jumps over the lazy dog " * 3, fill=(230, 230, 230))
    return picture


def saved(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def png(width: int, height: int, body: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.webp", {"lossless": True, "method": 0}), ("b.webp", {"quality": 80}), ("a.png", {}), ("a.jpg", {})],
)
async def test_every_allowed_format_becomes_a_webp_of_480_pixels_width(
    pool: PicturePool, tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    thumbnail = opened(await pool.thumbnail(saved(screen(), tmp_path / name, **options)))
    assert (thumbnail.format, thumbnail.size, thumbnail.mode) == ("WEBP", (480, 270), "RGB")
    red, green, blue = thumbnail.getpixel((200, 265))  # type: ignore[misc]
    assert red > 150 and green < 90 and blue < 90


async def test_a_small_picture_is_not_enlarged_and_a_tall_one_stays_within_bounds(
    pool: PicturePool, tmp_path: Path
) -> None:
    small = await pool.thumbnail(saved(screen(120, 90), tmp_path / "small.png"))
    assert opened(small).size == (120, 90)
    tall = await pool.thumbnail(saved(screen(30, 9000), tmp_path / "tall.png"))
    assert opened(tall).size == (6, 1920)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
async def test_unusual_colour_modes_are_shown(pool: PicturePool, tmp_path: Path, mode: str) -> None:
    value: object = {"1": 1, "L": 200, "LA": (200, 255), "P": 0, "RGBA": (200, 200, 200, 255), "I;16": 200 * 256}[mode]
    picture = Image.new(mode, (960, 540), value)  # type: ignore[arg-type]
    if mode == "P":
        picture.putpalette([200, 200, 200] * 256)
    thumbnail = opened(await pool.thumbnail(saved(picture, tmp_path / "picture.png")))
    assert thumbnail.mode == "RGB"
    expected = 255 if mode == "1" else 200
    assert all(abs(sample - expected) < 8 for sample in thumbnail.getpixel((100, 100)))  # type: ignore[union-attr]


async def test_a_bomb_is_refused_before_it_is_decoded_and_the_next_picture_is_not_affected(
    pool: PicturePool, tmp_path: Path
) -> None:
    before = pool.process_ids
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png(40_000, 40_000, b"\0" * 1_000_000))
    with pytest.raises(PictureUnreadable, match="too_large"):
        await pool.thumbnail(bomb)
    assert await pool.thumbnail(saved(screen(), tmp_path / "good.png"))
    assert pool.process_ids == before


async def test_the_largest_allowed_picture_fits_into_the_memory_limit(pool: PicturePool, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8000, 5000), (3, 4, 5, 200))
    path = saved(picture, tmp_path / "large.webp", lossless=True, quality=0, method=0)
    assert opened(await pool.thumbnail(path)).size == (480, 300)


async def test_broken_files_are_unreadable(pool: PicturePool, tmp_path: Path) -> None:
    whole = {
        "a.webp": saved(screen(), tmp_path / "whole.webp", lossless=True, method=0).read_bytes(),
        "a.png": saved(screen(), tmp_path / "whole.png").read_bytes(),
        "a.jpg": saved(screen(), tmp_path / "whole.jpg").read_bytes(),
    }
    broken = {name: data[: len(data) // 2] for name, data in whole.items()}
    broken |= {"text.png": b"no picture at all", "empty.png": b"", "lie.png": png(1920, 1080, b"\0" * 99)}
    broken["gif.png"] = saved(screen(50, 50), tmp_path / "x.gif").read_bytes()
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PictureUnreadable, match="broken"):
            await pool.thumbnail(tmp_path / name)


async def test_an_animation_is_refused(pool: PicturePool, tmp_path: Path) -> None:
    path = tmp_path / "moving.webp"
    screen(64, 64).save(path, save_all=True, append_images=[Image.new("RGB", (64, 64))])
    with pytest.raises(PictureUnreadable, match="animated"):
        await pool.thumbnail(path)


async def test_a_picture_that_is_not_there_is_missing(pool: PicturePool, tmp_path: Path) -> None:
    with pytest.raises(PictureMissing):
        await pool.thumbnail(tmp_path / "gone.webp")


async def test_ctrl_c_does_not_reach_the_processes(pool: PicturePool, tmp_path: Path) -> None:
    path = saved(screen(), tmp_path / "good.png")
    await pool.thumbnail(path)
    (process,) = pool.process_ids
    assert os.getpgid(process) == process
    os.kill(process, signal.SIGINT)
    assert await pool.thumbnail(path)
    assert pool.process_ids == [process]


async def test_a_process_that_is_killed_is_replaced_and_others_go_on(tmp_path: Path) -> None:
    path = saved(screen(), tmp_path / "good.png")
    async with open_pictures(size=1) as pool:
        await pool.thumbnail(path)
        (killed,) = pool.process_ids
        os.kill(killed, signal.SIGSTOP)
        waiting = asyncio.create_task(pool.thumbnail(path))
        behind = asyncio.create_task(pool.thumbnail(path))
        await asyncio.sleep(0)
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(PictureProcessDied, match="killed"):
            await waiting
        assert opened(await behind).size == (480, 270)
        assert pool.process_ids != [killed]


async def test_a_process_that_is_too_slow_is_killed_and_replaced(tmp_path: Path) -> None:
    path = saved(screen(), tmp_path / "good.png")
    async with open_pictures(size=1, seconds_max=0.5) as pool:
        await pool.thumbnail(path)
        (slow,) = pool.process_ids
        os.kill(slow, signal.SIGSTOP)
        with pytest.raises(PictureProcessDied, match="time"):
            await pool.thumbnail(path)
        assert opened(await pool.thumbnail(path)).size == (480, 270)


async def test_a_caller_that_is_cancelled_leaves_the_process_in_order(pool: PicturePool, tmp_path: Path) -> None:
    first = saved(screen(), tmp_path / "first.png")
    second = saved(screen(100, 100), tmp_path / "second.png")
    for _ in range(3):
        cancelled = asyncio.create_task(pool.thumbnail(first))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert opened(await pool.thumbnail(second)).size == (100, 100)


async def test_the_process_can_neither_write_nor_connect_nor_start_others(tmp_path: Path) -> None:
    attempts = f"""
import os, socket, subprocess
from workers.pictures import confine
confine(os.getppid())
def attempt(what):
    try:
        what()
    except (OSError, MemoryError) as error:
        print(type(error).__name__)
    else:
        print("done")
def write():
    with open({str(tmp_path / "new")!r}, "wb", buffering=0) as file:
        file.write(b"x" * 10)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
attempt(write)
attempt(lambda: bytearray(2 << 30))
attempt(lambda: os.unlink({str(tmp_path / "kept")!r}))
attempt(socket.socket)
attempt(os.fork)
"""
    (tmp_path / "kept").write_bytes(b"picture")
    ended = subprocess.run([sys.executable, "-c", attempts], cwd=ROOT, capture_output=True, text=True, timeout=20)
    expected = ["OSError", "MemoryError"]
    if sys.platform == "linux":
        expected += ["PermissionError"] * 3
    assert ended.stdout.split()[: len(expected)] == expected, ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal of a parent is Linux's")
async def test_picture_processes_die_with_the_server_even_when_it_is_killed() -> None:
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import asyncio\nfrom workers.picture_pool import open_pictures\n"
            "async def main():\n"
            "    async with open_pictures(size=1) as pool:\n"
            "        print(pool.process_ids[0], flush=True)\n"
            "        await asyncio.Event().wait()\n"
            "asyncio.run(main())",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    child = int(server.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    server.kill()
    server.wait()
    deadline = asyncio.get_running_loop().time() + 5
    while _lives(child):
        assert asyncio.get_running_loop().time() < deadline, "the picture process outlived its server"
        await asyncio.sleep(0.02)


def _lives(process_id: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False
