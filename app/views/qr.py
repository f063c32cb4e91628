"""QR codes as SVG, drawn on the server: a secret is never sent elsewhere to become a picture."""

from __future__ import annotations

import segno
from markupsafe import Markup


def qr_svg(text: str, label: str) -> Markup:
    """Return a QR code that grows with its place; dark on light in every theme, as scanners want it."""
    drawn = segno.make(text, error="m", micro=False).svg_inline(
        omitsize=True, border=3, svgclass="qr", lineclass=None, title=label
    )
    return Markup(drawn)
