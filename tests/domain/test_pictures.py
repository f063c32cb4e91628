"""Headers of pictures: what is read, what is refused, and that nothing but a refusal can come out."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.domain.errors import BadImage, TooLarge
from app.domain.pictures import PictureHeader, check_picture, read_header


def picture(form: str, size: tuple[int, int] = (64, 40), **options: object) -> bytes:
    """Return an encoded picture, of noise so that there is something to encode."""
    noise = random.Random(1).randbytes(size[0] * size[1] * 3)
    target = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(target, form, **options)
    return target.getvalue()


def animated(form: str) -> bytes:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    target = io.BytesIO()
    frames[0].save(target, form, save_all=True, append_images=frames[1:], duration=100)
    return target.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """Return a tiny PNG that announces huge dimensions."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


VP8X = {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"}  # metadata needs the extended form


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (picture("PNG"), "image/png"),
        (picture("JPEG"), "image/jpeg"),
        (picture("JPEG", progressive=True), "image/jpeg"),
        (picture("JPEG", **VP8X), "image/jpeg"),
        (picture("WEBP", quality=80), "image/webp"),
        (picture("WEBP", lossless=True), "image/webp"),
        (picture("WEBP", lossless=True, **VP8X), "image/webp"),
        (picture("WEBP", quality=80, **VP8X), "image/webp"),
    ],
)
def test_each_format_that_trackers_send_is_read(data: bytes, media: str) -> None:
    assert read_header(data) == PictureHeader(media, 64, 40)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (16383, 1)])
def test_extreme_dimensions_are_read_exactly(size: tuple[int, int]) -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        header = read_header(picture(form, size))
        assert (header.width, header.height) == size


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_an_animation_is_refused(form: str) -> None:
    with pytest.raises(BadImage):
        read_header(animated(form))


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_a_second_picture_behind_the_first_is_refused(form: str) -> None:
    with pytest.raises(BadImage):
        read_header(picture(form) + picture(form))


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(50), b"<svg/>", b"RIFF\x00\x00\x00\x00WEBP", bytes(100)])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        read_header(data)


def test_a_picture_that_lies_about_size_or_format_is_refused() -> None:
    data = picture("PNG")
    for media, width, height in (("image/png", 65, 40), ("image/png", 64, 41), ("image/webp", 64, 40)):
        with pytest.raises(BadImage):
            check_picture(data, media, width, height)
    with pytest.raises(BadImage):
        check_picture(data, "image/gif", 64, 40)
    assert check_picture(data, "image/png", 64, 40) == PictureHeader("image/png", 64, 40)


def test_a_bomb_is_refused_without_decoding_it() -> None:
    with pytest.raises(TooLarge):
        check_picture(png_bomb(40_000, 40_000), "image/png", 40_000, 40_000)
    with pytest.raises(TooLarge):
        check_picture(picture("PNG") + bytes(4 * 1024 * 1024), "image/png", 64, 40)


def test_a_truncated_picture_is_left_to_the_decoder_unless_its_header_is_gone() -> None:
    for form in ("PNG", "JPEG", "WEBP"):
        data = picture(form)
        assert read_header(data[: len(data) // 2]).width == 64
        with pytest.raises(BadImage):
            read_header(data[:14])


SAMPLES = [
    picture("PNG"), picture("JPEG"), picture("WEBP", quality=80), picture("WEBP", lossless=True),
    picture("WEBP", lossless=True, **VP8X), animated("WEBP"), animated("PNG"),
]  # fmt: skip


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WEBP"]))
def test_any_bytes_give_a_header_or_bad_image(tail: bytes, start: bytes) -> None:
    try:
        header = read_header(start + tail)
    except BadImage:
        return
    assert header.width >= 1 and header.height >= 1


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=8),
    st.integers(0, 20_000),
)
def test_a_damaged_picture_gives_a_header_or_bad_image(
    sample: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    with contextlib.suppress(BadImage):
        read_header(bytes(data[:length]))
