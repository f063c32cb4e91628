"""What no client of ours sends: broken pictures and broken messages. Seeded, so that a failure repeats."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from PIL import Image

# Values that fit nowhere; those that JSON cannot say stand as text in `RAW`.
VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**53, 2**63, -(2**63), 0.5, 1e308, "", " ", "\0", "x" * 70_000, "\u202e", "é" * 40_000,
    "../../etc/passwd", "'; DROP TABLE entries; --", "<script>alert(1)</script>", "{{7*7}}", "%00", "NaN",
    [], [None], [[[[]]]], {}, {"": None}, {"t": "say"}, "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z",
    "2026-10-14T08:15:30.123+14:00",
]  # fmt: skip
RAW = (
    b"NaN", b"1e999", b"-0", b"99999999999999999999999999", b'"\\ud800"', b'"\\u0000"', b"[" * 900 + b"]" * 900,
    b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":1,"a":2}',
)  # fmt: skip
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def spoiled(messages: list[dict[str, Any]], count: int, seed: int, *, raw: bool = False) -> Iterator[bytes]:
    """Give `count` messages with one thing wrong in each; with `raw` some are no JSON."""
    chance = random.Random(seed)
    for number in range(count):
        message = msgspec.json.decode(msgspec.json.encode(chance.choice(messages)))
        place = message
        while chance.random() < 0.4 and (inner := [v for v in place.values() if isinstance(v, dict) and v]):
            place = chance.choice(inner)
        field = chance.choice(sorted(place))
        match number % (4 if raw else 3):
            case 0:
                del place[field]
            case 1:
                place[chance.choice(["extra", "type", "v", "__class__", field + "x"])] = chance.choice(VALUES)
            case 2:
                place[field] = chance.choice(VALUES)
            case _:
                place[field] = "PLACE"
                yield msgspec.json.encode(message).replace(b'"PLACE"', chance.choice(RAW))
                continue
        yield msgspec.json.encode(message)


def png(width: int, height: int, pixels: bytes | None = None, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG whose header says these dimensions, in grey; `pixels` is what its data holds, unpacked."""
    data = zlib.compress(bytes(64) if pixels is None else pixels, 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    listed = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(_chunk(kind, body) for kind, body in listed)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def text_bomb(mib: int) -> tuple[bytes, bytes]:
    """Return a chunk of a PNG whose text has this many MiB once unpacked."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(mib)) + packer.flush()
    return b"zTXt", b"Comment\0\0" + packed


def picture_of(media: str, size: tuple[int, int] = (160, 90)) -> bytes:
    """Return a whole picture."""
    target = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(target, {"image/jpeg": "JPEG"}.get(media, media[6:].upper()))
    return target.getvalue()


def flipped(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Give copies of a picture with bytes changed, cut off, doubled or put in; mostly near the beginning."""
    chance = random.Random(seed)
    for number in range(count):
        copy = bytearray(data)
        at = int(len(copy) * chance.random() ** 4)
        match number % 5:
            case 0:
                del copy[at:]
            case 1:
                copy[at:at] = chance.randbytes(chance.randint(1, 64))
            case 2:
                copy += copy[at:]
            case _:
                for _ in range(chance.randint(1, 8)):
                    copy[int(len(copy) * chance.random() ** 4)] = chance.randrange(256)
        yield bytes(copy)
