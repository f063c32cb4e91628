"""Previews of files: drawn in a process of their own, refused with a reason, written once."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from app.domain.live import PreviewReady
from app.services import files, record, uploads
from app.services.resources import Resources
from app.views.files import ref_of
from tests.builders import build_pair
from tests.published import Published
from workers import tasks
from workers.picture_pool import PicturePool, PictureUnreadable, open_previews
from workers.queue import Queue


@pytest.fixture
async def pool() -> AsyncIterator[PicturePool]:
    async with open_previews(seconds_max=30.0) as opened:
        yield opened


def pdf(width: float = 595, height: float = 842) -> bytes:
    """A PDF of one page with a black bar."""
    content = b"40 700 475 60 re f"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %g %g]/Contents 4 0 R>>" % (width, height),
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    made, places = b"%PDF-1.4\n", []
    for number, told in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%sendobj\n" % (number, told)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(made)
    return made + b"xref\n0 5\n0000000000 65535 f \n%strailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table, start,
    )  # fmt: skip


def saved(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path


def picture(form: str, size: tuple[int, int] = (2000, 1000), **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(out, form, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image.convert("RGB")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
async def test_a_picture_is_shrunk_to_960_pixels(pool: PicturePool, tmp_path: Path, form: str) -> None:
    drawn = opened(await pool.thumbnail(saved(picture(form), tmp_path / "file")))
    assert drawn.size == (960, 480)


async def test_a_photograph_is_turned_as_its_camera_says(pool: PicturePool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright
    path = saved(picture("JPEG", (400, 200), exif=exif), tmp_path / "file")
    assert opened(await pool.thumbnail(path)).size == (200, 400)


@pytest.mark.parametrize(("width", "height", "size"), [(595, 842, (679, 960)), (100_000, 50_000, (960, 480))])
async def test_the_first_page_of_a_pdf_is_drawn(
    pool: PicturePool, tmp_path: Path, width: float, height: float, size: tuple[int, int]
) -> None:
    drawn = opened(await pool.thumbnail(saved(pdf(width, height), tmp_path / "file")))
    assert all(abs(have - want) <= 1 for have, want in zip(drawn.size, size, strict=True))
    assert drawn.convert("L").getextrema()[0] < 40 or width > 1000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\nnothing of a document", "broken"),
        (pdf(10_000_000, 10_000_000)[:-40], "broken"),
        (b"<svg/>", "broken"),
        (picture("PNG")[:300], "broken"),
        (picture("PNG", (8000, 6000)), "too_large"),
    ],
)
async def test_what_cannot_be_drawn_is_refused_with_a_word(
    pool: PicturePool, tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(PictureUnreadable) as caught:
        await pool.thumbnail(saved(data, tmp_path / "file"))
    assert caught.value.reason in (reason, "too_large")


async def test_the_process_starts_with_the_first_file_and_is_confined(pool: PicturePool, tmp_path: Path) -> None:
    assert pool.process_ids == []
    await pool.thumbnail(saved(pdf(), tmp_path / "file"))
    (process,) = pool.process_ids
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "1")
    limits = Path(f"/proc/{process}/limits").read_text()
    assert f"Max address space         {1 << 30}" in limits


async def test_a_job_draws_a_file_once_and_says_so(
    resources: Resources, published: Published, pool: PicturePool
) -> None:
    pair = await build_pair(resources)
    queue = Queue("redis://localhost:1/0")
    work = tasks.Work(resources, queue, PicturePool(0, 1.0), previews=pool)
    seqs = []
    for data in (pdf(), b"%PDF-1.7\nbroken"):

        async def pieces(data: bytes = data) -> AsyncIterator[bytes]:
            yield data

        row = await uploads.receive_whole(resources, pair.client, pair.room, "plan.pdf", pieces())
        body = {"text": "The plan.", "files": [ref_of(row)]}
        seqs.append((await record.append(resources, pair.client, pair.room, "message", body)).seq)
        for _ in range(2):
            await tasks.make_preview({"work": work}, sha256(data).hexdigest())
    assert published.of(PreviewReady) == [
        PreviewReady(pair.room, seqs[0], 0), PreviewReady(pair.room, seqs[1], 0, ok=False),
    ]  # fmt: skip
    states = [(await files.preview(resources, pair.client, pair.room, seq, 0)).state for seq in seqs]
    assert states == ["ready", "failed"]
    await queue.close()
