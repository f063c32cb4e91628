"""The one Jinja environment, and what every template may use: icons, versioned addresses, clocks, durations.

Rule 1: everything is escaped; only `Markup` made here or by a template passes as it is.
Rule 2: templates are loaded once per process. A fragment for the socket is a macro called from Python (`macro`),
a page is `page`: both run the same templates.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.domain.accounts import initials
from app.domain.timerange import DAY_MS, HOUR_MS, MINUTE_MS, datetime_of, instant_text, segment_start
from app.views.files import shown_files

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
STATIC = ROOT / "static"
COUNTED_MAX = 999
HUES = 6  # colours of avatars in app.css
VERSIONS = {
    path.name: sha256(path.read_bytes()).hexdigest()[:10]
    for path in STATIC.iterdir()
    if path.suffix in (".css", ".svg")
}


@cache
def static(path: str) -> str:
    """Return the address of a file of `static/`, with a version that changes with its bytes.

    Modules that import each other go without: two addresses would be two modules.
    """
    if path.startswith("js/"):
        return f"/static/{path}"
    return f"/static/{path}?v={VERSIONS[path]}"


@cache
def icon(name: str) -> Markup:
    """Return an icon of the sprite, hidden from assistive technology: a word always stands beside it."""
    return Markup('<svg class="i" aria-hidden="true"><use href="{}#{}"/></svg>').format(static("icons.svg"), name)


@cache
def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name, read once."""
    return ZoneInfo(name)


@lru_cache(maxsize=8192)
def _clock(minute: int, zone: str) -> str:
    return datetime_of(minute * MINUTE_MS, zone_of(zone)).strftime("%H:%M")


def clock(instant: int, zone: str) -> str:
    """Return `09:02`: the text of a time before the page's own script puts it into the viewer's zone."""
    return _clock(instant // MINUTE_MS, zone)


def when(instant: int, zone: str) -> Markup:
    """Return a `<time>` that shows hours and minutes."""
    return Markup(f'<time datetime="{instant_text(instant)}">{_clock(instant // MINUTE_MS, zone)}</time>')


def day_text(instant: int, zone: str, *, year: bool = False) -> str:
    """Return `Thursday 19 November`."""
    moment = datetime_of(instant, zone_of(zone))
    return f"{moment:%A} {moment.day} {moment:%B}" + (f" {moment.year}" if year else "")


def days_text(first: str, last: str) -> str:
    """Return `12 to 25 Nov`, `29 Nov to 2 Dec` or `12 Nov` for days as the record writes them, `2026-11-12`."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    if start == end:
        return f"{end.day} {end:%b}"
    same = (start.year, start.month) == (end.year, end.month)
    return f"{start.day}{'' if same else f' {start:%b}'} to {end.day} {end:%b}"


def when_day(instant: int, zone: str) -> Markup:
    """Return a `<time>` that shows day and clock: `19 Nov, 10:41`."""
    moment = datetime_of(instant, zone_of(zone))
    text = f"{moment.day} {moment:%b}, {moment:%H:%M}"
    return Markup(f'<time datetime="{instant_text(instant)}" data-f="d">{text}</time>')


def hours(milliseconds: int) -> str:
    """Return hours with one decimal, `0.9 h`, as a timesheet shows them."""
    return f"{milliseconds / HOUR_MS:.1f} h"


def minutes(milliseconds: int) -> str:
    """Return whole minutes, `11 min`, or seconds under one."""
    if 0 < milliseconds < MINUTE_MS:
        return f"{milliseconds // 1000} s"
    return f"{milliseconds // MINUTE_MS} min"


def lasting(milliseconds: int) -> str:
    """Return a length of time in the largest two units: `1 h 24 min`, `3 days`."""
    if milliseconds >= 2 * DAY_MS:
        return f"{milliseconds // DAY_MS} days"
    if milliseconds >= HOUR_MS:
        rest = milliseconds % HOUR_MS // MINUTE_MS
        return f"{milliseconds // HOUR_MS} h" + (f" {rest} min" if rest else "")
    return minutes(milliseconds)


def counted(number: int) -> str:
    """Return a count as it is shown: nobody counts further than 999."""
    return str(number) if number <= COUNTED_MAX else f"{COUNTED_MAX}+"


def hue(by: str) -> int:
    """Return which of the avatar colours a pseudonym has."""
    digits = "".join(c for c in by if c.isdigit())
    return int(digits or 0) % HUES


def environment() -> Environment:
    """Return a fresh environment that has read nothing yet; the process uses the one of `ENVIRONMENT`."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        icon=icon, static=static, clock=clock, when=when, when_day=when_day, day_text=day_text, days_text=days_text,
        hue=hue, initials=lru_cache(maxsize=4096)(initials), instant_text=instant_text, segment_start=segment_start,
        shown_files=shown_files,
    )  # fmt: skip
    made.filters.update(counted=counted, hours=hours, minutes=minutes, lasting=lasting)
    return made


def _loaded() -> Environment:
    """Return the environment with every template compiled: no request reads a file."""
    made = environment()
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    return made


ENVIRONMENT = _loaded()


@cache
def macro(template: str, name: str) -> Callable[..., Markup]:
    """Return a macro as a function: the way in which a fragment is rendered for the socket."""
    made: Any = getattr(ENVIRONMENT.get_template(template).module, name)
    return made  # type: ignore[no-any-return]


def page(template: str, **context: Any) -> str:
    """Return a whole page, or a part that a page includes."""
    return ENVIRONMENT.get_template(template).render(**context)
