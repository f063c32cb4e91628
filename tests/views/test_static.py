"""Static files: what is vendored is what was fetched, and the page stays within its budgets (UI, "Means")."""

from __future__ import annotations

import gzip
import json
import re
from hashlib import sha256
from pathlib import Path

from app.views.rendering import STATIC, TEMPLATES

SCRIPTS_BYTES_MAX = 25_000
STYLE_BYTES_MAX = 8_000
VENDOR = STATIC / "vendor"


def _packed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9))


def _workroom_scripts() -> list[Path]:
    """Return what the workroom page loads at once: the list of its template, and vendored scripts."""
    template = (TEMPLATES / "_live.html").read_text()
    modules = re.search(r'\["times", "keys"\] \+ modules \+ \["live"\]', template)
    own = re.search(r"live\.scripts\((\[.*?\])", (TEMPLATES / "room.html").read_text())
    assert modules is not None and own is not None
    vendored = [VENDOR / name for name in re.findall(r"/static/vendor/([\w.-]+\.js)", template)]
    return vendored + [STATIC / "js" / f"{n}.js" for n in ["times", "keys", *json.loads(own.group(1)), "live"]]


def test_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    for name, told in manifest.items():
        assert sha256((VENDOR / name).read_bytes()).hexdigest() == told["sha256"], name
        assert told["version"] and told["source"] and told["licence"]
        assert (VENDOR / told["licence_file"]).is_file()
    listed = {(VENDOR / name).resolve() for name in manifest}
    for path in VENDOR.iterdir():
        if path.suffix in (".js", ".woff2"):
            assert path.resolve() in listed, f"{path.name} is not in the manifest"


def test_the_scripts_of_the_workroom_stay_within_their_budget() -> None:
    scripts = _workroom_scripts()
    assert len(scripts) == 8
    assert sum(map(_packed, scripts)) <= SCRIPTS_BYTES_MAX


def test_the_style_of_the_workroom_stays_within_its_budget() -> None:
    own = re.search(r"{% block sheets %}(.*?){% endblock %}", (TEMPLATES / "room.html").read_text(), re.DOTALL)
    assert own is not None
    sheets = ["app.css", *re.findall(r'static\("([\w-]+\.css)"\)', own.group(1))]
    assert sum(_packed(STATIC / sheet) for sheet in sheets) <= STYLE_BYTES_MAX


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    ids = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    named: set[str] = set()
    for path in TEMPLATES.rglob("*.html"):
        named.update(re.findall(r'icon\("([\w-]+)"', path.read_text()))
    assert named and named <= ids


def test_no_script_evaluates_text() -> None:
    for path in (STATIC / "js").glob("*.js"):
        source = path.read_text()
        assert not re.search(r"\beval\(|new Function|\.style\b|cssText", source), path.name
