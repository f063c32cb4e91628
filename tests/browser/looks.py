"""Looks: a page in both themes and layouts, checked with axe and for its width.

Rule 1: a page is loaded once; a second theme and layout change its contrast, the size of its targets and what scrolls,
    and the markup is the same: those rules alone are checked again.
"""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe-4.min.js").read_text()
RUN = """axe.run({rules: {'target-size': {enabled: true}}})
    .then(result => result.violations.map(v => [v.id, v.nodes.map(n => n.html + n.failureSummary)]))"""
AGAIN = RUN.replace("{rules", "{runOnly: ['color-contrast', 'target-size', 'scrollable-region-focusable'], rules")
WIDER = """document.documentElement.scrollWidth <= innerWidth ? [] : [
    document.documentElement.scrollWidth - innerWidth, ...[...document.body.querySelectorAll('*')]
    .filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 160))]"""
PHONE = 390
NARROW = 320  # the least that a page must fit into
HEIGHT = 800


async def look(page: Page, what: str = "", *, wide: int = 1280) -> None:
    """Check the page as it stands: no finding of axe in light and wide, nor in dark on a phone; nothing too wide.

    `wide` is the width of the first look, which is left as it was at the end.
    """
    what = what or page.url
    await page.emulate_media(reduced_motion="reduce")  # colours that are on their way to others are nobody's finding
    await page.evaluate(AXE)
    for scheme, width, run in (("light", wide, RUN), ("dark", min(PHONE, wide), AGAIN)):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        found = await page.evaluate(run)
        assert not found, (what, scheme, width, found)
        await fits(page, what)
    await page.set_viewport_size({"width": NARROW, "height": HEIGHT})
    await fits(page, what)
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": wide, "height": HEIGHT})


async def fits(page: Page, what: str) -> None:
    """Check that nothing is wider than the screen."""
    wider = await page.evaluate(WIDER)
    assert not wider, (what, wider)
