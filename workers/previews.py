"""The preview process: draws one file that nobody vouches for, and answers with a picture of at most 960 pixels.

Run as `python -m workers.previews` by `workers.picture_pool`, in the same confinement and with the same messages as
`workers.pictures` (see there for its rules). A picture is shrunk; of a PDF the first page is drawn, by PDFium.

Rule 1: PDFium is loaded before the process is confined, and draws without scripts, forms or annotations.
Rule 2: what is drawn is no larger than the preview, however large the page says it is.
"""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
import warnings
from pathlib import Path

import pypdfium2
from PIL import Image, ImageFile, ImageOps

from workers.pictures import (
    PIXELS_MAX,
    QUALITY,
    Unreadable,
    confine,
    serve,
)

SIDE_MAX = 960
FORMATS = ("WEBP", "PNG", "JPEG", "GIF", "BMP")
PDF_SIGNATURE = b"%PDF-"
POINTS_MAX = 1_000_000.0  # a page of 350 m; what is larger is no page


def preview(path: str) -> bytes:
    """Return a picture of the file at `path`, as WebP.

    Raises:
        Unreadable: with the reason `missing`, `broken`, `too_large` or `memory`.
    """
    try:
        with Path(path).open("rb") as file:
            is_pdf = file.read(len(PDF_SIGNATURE)) == PDF_SIGNATURE
        image = _page(path) if is_pdf else _picture(path)
        out = io.BytesIO()
        image.save(out, "WEBP", quality=QUALITY, method=2)
        return out.getvalue()
    except FileNotFoundError:
        raise Unreadable("missing") from None
    except MemoryError:
        raise Unreadable("memory") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("too_large") from None
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, RuntimeError, struct.error):
        raise Unreadable("broken") from None  # whatever parsers raise on a file that is not what it says


def _picture(path: str) -> Image.Image:
    with Image.open(path, formats=FORMATS) as picture:
        if picture.width * picture.height > PIXELS_MAX:
            raise Unreadable("too_large")
        picture.draft("RGB", (SIDE_MAX, SIDE_MAX))
        picture.load()  # of an animation the first frame
        image: Image.Image = picture
        if image.mode.startswith("I"):  # 16 bits a sample
            image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        elif image.mode not in ("RGB", "RGBA", "L"):
            image = image.convert("RGBA" if image.mode in ("LA", "PA") or "transparency" in image.info else "RGB")
        image.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.BICUBIC, reducing_gap=2.0)
        turned = ImageOps.exif_transpose(image)
        return _opaque(turned)


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, (255, 255, 255))
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _page(path: str) -> Image.Image:
    document = pypdfium2.PdfDocument(path)  # type: ignore[no-untyped-call]
    try:
        page = document[0]
        width, height = page.get_size()
        longest = max(width, height)
        if not 0 < longest <= POINTS_MAX or min(width, height) <= 0:
            raise Unreadable("too_large")
        bitmap = page.render(scale=SIDE_MAX / longest, may_draw_forms=False, draw_annots=False)
        made: Image.Image = bitmap.to_pil().convert("RGB")
        bitmap.close()
        page.close()
        return made
    finally:
        document.close()  # type: ignore[no-untyped-call]


def main() -> None:
    """Serve the parent whose process id is the only argument."""
    os.setpgid(0, 0)  # see `workers.pictures`
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.init()
    pypdfium2.PdfDocument.new().close()  # type: ignore[no-untyped-call]  # initialises PDFium
    confine(int(sys.argv[1]))
    serve(sys.stdin.buffer, answers, preview)


if __name__ == "__main__":
    main()
