"""Pictures: what the first bytes of a PNG, JPEG or WebP say, without decoding one pixel (rule 2.6). Pure.

Rule 1: a picture is one still image; animations and albums are refused.
Rule 2: whatever the bytes are, the only error is BadImage, or TooLarge for one over the limits.
Rule 3: only headers are judged here; whether the pixels can be decoded is for the worker to find out.

Sources: PNG (W3C, third edition) sections 5 and 11.2.1, ITU-T T.81 annex B, RFC 9649 (WebP), RFC 6386 section
9.1 (VP8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from app.domain.errors import BadImage, TooLarge
from app.domain.workview import FRAME_BYTES_MAX, FRAME_PIXELS_MAX, MEDIA_TYPES

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS_MAX = 20_000  # a 4 MiB picture in chunks of 256 bytes; more is made to keep us busy
_WEBP_CHUNKS_MAX = 1_000
_JPEG_SEGMENTS_MAX = 1_000
_VP8X_ANIMATION = 0x02
# Start-of-frame markers: baseline to lossless, Huffman and arithmetic; C4, C8 and CC are tables.
_JPEG_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


class PictureHeader(msgspec.Struct, frozen=True):
    """Format and dimensions in pixels, as the container's header says."""

    media: str
    width: int
    height: int


def check_picture(data: bytes, media: str, width: int, height: int) -> PictureHeader:
    """Check that `data` is the picture that was announced and may be stored.

    Raises:
        TooLarge: over 4 MiB or 40 megapixels.
        BadImage: if it is no single picture of the announced format and dimensions.
    """
    if len(data) > FRAME_BYTES_MAX:
        raise TooLarge("A frame may have 4 MiB. Send it smaller.", field="bytes")
    if media not in MEDIA_TYPES:
        raise BadImage("A frame is `image/webp`, `image/png` or `image/jpeg`.", field="media")
    header = read_header(data)
    if header.media != media:
        raise BadImage(f"The picture is {header.media}, not {media} as announced.", field="media")
    if (header.width, header.height) != (width, height):
        raise BadImage(
            f"The picture has {header.width} × {header.height} pixels, not {width} × {height} as announced.",
            field="width" if header.width != width else "height",
        )
    if width * height > FRAME_PIXELS_MAX:
        raise TooLarge("A frame may have 40 megapixels. Send it smaller.", field="width")
    return header


def read_header(data: bytes) -> PictureHeader:
    """Return what the header of a PNG, JPEG or WebP says.

    Raises:
        BadImage: for anything else, and for more than one image.
    """
    try:
        if data.startswith(_PNG_SIGNATURE):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        raise BadImage("The picture ends within its header.") from None
    raise BadImage()


def _sized(media: str, width: int, height: int) -> PictureHeader:
    if width < 1 or height < 1:
        raise BadImage("The picture has no width or height.")
    return PictureHeader(media, width, height)


def _png(data: bytes) -> PictureHeader:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if length != 13 or kind != b"IHDR":
        raise BadImage("The PNG does not begin with its header.")
    at, has_data = 8 + 12 + 13, False
    for _ in range(_PNG_CHUNKS_MAX):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"acTL", b"fcTL", b"fdAT"):
            raise BadImage("The PNG is animated. One still image is expected.")
        has_data = has_data or kind == b"IDAT"
        at += 12 + length
        if kind == b"IEND":
            if at < len(data):
                raise BadImage("Something follows the end of the PNG. One image is expected.")
            break
    if not has_data:
        raise BadImage("The PNG holds no image data.")
    return _sized("image/png", width, height)


def _jpeg(data: bytes) -> PictureHeader:
    at = 2
    for _ in range(_JPEG_SEGMENTS_MAX):
        if data[at] != 0xFF:
            raise BadImage("The JPEG is not made of markers.")
        while data[at] == 0xFF:  # fill bytes may stand before a marker
            at += 1
        marker = data[at]
        at += 1
        if marker in _JPEG_BARE:
            continue
        if marker in (0xD8, 0xD9, 0xDA):  # another start, the end, or the scan: before the frame's header
            break
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            break
        if marker == 0xE2 and data[at + 2 : at + 6] == b"MPF\x00":
            raise BadImage("The JPEG holds more than one picture. One is expected.")
        if marker in _JPEG_SOF:
            _precision, height, width = struct.unpack_from(">BHH", data, at + 2)
            return _sized("image/jpeg", width, height)
        at += length
    raise BadImage("The JPEG has no frame header.")


def _webp(data: bytes) -> PictureHeader:
    (riff_size,) = struct.unpack_from("<I", data, 4)
    if riff_size + 8 + (riff_size & 1) < len(data):
        raise BadImage("Something follows the end of the WebP. One image is expected.")
    canvas: tuple[int, int] | None = None
    image: tuple[int, int] | None = None
    for index, (kind, at) in enumerate(_webp_chunks(data)):
        if kind == b"VP8X" and index == 0:
            if data[at] & _VP8X_ANIMATION:
                raise BadImage("The WebP is animated. One still image is expected.")
            canvas = _uint24(data, at + 4) + 1, _uint24(data, at + 7) + 1
        elif kind in (b"ANIM", b"ANMF"):
            raise BadImage("The WebP is animated. One still image is expected.")
        elif kind in (b"VP8 ", b"VP8L"):
            if image is not None:
                raise BadImage("The WebP holds more than one image. One is expected.")
            image = _vp8(data, at) if kind == b"VP8 " else _vp8l(data, at)
            if canvas is None:
                break  # the simple form: nothing after the image matters
        elif index == 0:
            raise BadImage("The WebP does not begin with an image.")
    if image is None:
        raise BadImage("The WebP holds no image data.")
    if canvas is not None and canvas != image:
        raise BadImage("The WebP's canvas and its image differ in size.")
    return _sized("image/webp", *image)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Give name of each chunk and where its contents begin."""
    at = 12
    for _ in range(_WEBP_CHUNKS_MAX):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8
        at += 8 + length + (length & 1)
    raise BadImage("The WebP is made of too many parts.")


def _vp8(data: bytes, at: int) -> tuple[int, int]:
    if data[at] & 1 or data[at + 3 : at + 6] != b"\x9d\x01\x2a":
        raise BadImage("The WebP's image does not begin with a key frame.")
    width, height = struct.unpack_from("<HH", data, at + 6)
    return width & 0x3FFF, height & 0x3FFF  # the upper two bits are a scale for display


def _vp8l(data: bytes, at: int) -> tuple[int, int]:
    signature, bits = struct.unpack_from("<BI", data, at)
    if signature != 0x2F or bits >> 29:
        raise BadImage("The WebP's lossless image has an unknown version.")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _uint24(data: bytes, at: int) -> int:
    low, high = struct.unpack_from("<HB", data, at)
    return int(low | high << 16)
