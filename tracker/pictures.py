"""Pictures: blurring and encoding. Imported only in the short-lived process that takes a frame.

Rule 1: the smaller of lossless WebP and lossy WebP at quality 80 is sent (rule 2.6).
Rule 2: blur happens here, before anything is stored or sent, and throws the detail away (rule 2.14).
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from app.domain.workview import FRAME_BYTES_MAX, FRAME_PIXELS_MAX

LOSSY_QUALITY = 80
# Measured on screens of 1920x1080: efforts above these cost two to four times the time for a tenth of the bytes.
LOSSLESS_METHOD, LOSSLESS_EFFORT = 1, 20
LOSSY_METHOD = 2
# Each block of this many pixels becomes one colour before it is smoothed: at 6 small text is unreadable,
# at 12 headings are, at 24 only the arrangement of windows is left.
BLUR_BLOCK_PIXELS = {1: 6, 2: 12, 3: 24}


def blurred(picture: Image.Image, strength: int) -> Image.Image:
    """Return the picture with its detail destroyed; strength 0 returns it as it is, 3 is the strongest."""
    if strength == 0:
        return picture
    return picture.reduce(BLUR_BLOCK_PIXELS[strength]).resize(picture.size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image) -> tuple[bytes, Image.Image]:
    """Return WebP bytes within the limits, and the picture that they hold: scaled down only if it would not fit."""
    if picture.width * picture.height > FRAME_PIXELS_MAX:
        scale = (FRAME_PIXELS_MAX / (picture.width * picture.height)) ** 0.5
        picture = picture.resize((int(picture.width * scale), int(picture.height * scale)), Image.Resampling.BOX)
    while True:
        lossless, lossy = BytesIO(), BytesIO()
        picture.save(lossless, "WEBP", lossless=True, quality=LOSSLESS_EFFORT, method=LOSSLESS_METHOD)
        picture.save(lossy, "WEBP", quality=LOSSY_QUALITY, method=LOSSY_METHOD)
        smaller = min(lossless.getvalue(), lossy.getvalue(), key=len)
        if len(smaller) <= FRAME_BYTES_MAX:
            return smaller, picture
        picture = picture.reduce(2)


def is_uniform(picture: Image.Image) -> bool:
    """Whether the whole picture is one colour: nothing was captured, or the display is off."""
    colours = picture.getcolors(maxcolors=1)
    return colours is not None
