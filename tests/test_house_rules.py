"""House rules that can be measured: shape of modules, what the domain may know, what must not stand in tracked files.

Rule 1: only what is tracked by git is looked at, as it is in the working tree.
Rule 2: an exception to a rule is listed here, with its reason.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINES_MAX = 500  # 100 to 400 is the aim
FUNCTION_LINES_MAX = 80  # 70 is the aim
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc"}
PRINTING = {
    "app/cli.py": "its results",
    "app/main.py": "the address, once it answers",
    "app/demo/run.py": "what a visitor of the demo needs",
    "tracker/cli.py": "its results",
    "tracker/terminal.py": "what the tracker does",
    "bench/": "tables of figures",
}
SQL_WITH_PARTS = {
    "app/storage/guards.py": "one constant, repeated in the text of triggers",
    "tracker/spool.py": "pragmas, and one of two tables: constants of the module",
}
GENERATED = ("app/storage/migrations/",)  # written by Alembic, read by nobody
STYLED_INLINE = {"templates/email/": "mail programs read no style sheets"}
PATHS_NAMED = {"tests/test_house_rules.py": "the rule itself"}
PURE_IMPORTS = set(sys.stdlib_module_names) - {
    "os",
    "time",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "asyncio",
    "threading",
}


@cache
def tracked() -> tuple[str, ...]:
    """Return the names of all tracked files that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def modules(*folders: str) -> list[str]:
    """Return the Python modules, of these folders or all, that are not empty."""
    return [
        name
        for name in tracked()
        if name.endswith(".py") and name.startswith(folders or ("",)) and (ROOT / name).stat().st_size > 0
    ]


@cache
def source(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(source(name), name)


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(name)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_in(name: str, listed: dict[str, str]) -> bool:
    return any(name == entry or (entry.endswith("/") and name.startswith(entry)) for entry in listed)


# Shape


def test_every_module_says_what_it_is() -> None:
    assert [name for name in modules() if ast.get_docstring(tree(name)) is None] == []


def test_no_module_is_longer_than_can_be_held_in_mind() -> None:
    counted = {name: source(name).count("\n") for name in modules() if not name.startswith(GENERATED)}
    assert {name: lines for name, lines in counted.items() if lines > LINES_MAX} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for name in modules()
        if not name.startswith(GENERATED)
        for function in functions(name)
    }
    assert {place: lines for place, lines in long.items() if lines > FUNCTION_LINES_MAX} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name for name in modules() if Path(name).stem in VAGUE_NAMES] == []


def test_every_public_function_of_a_service_says_what_it_does() -> None:
    silent = [
        f"{name}:{node.name}"
        for name in modules("app/services/")
        for node in tree(name).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []


def test_whoever_catches_everything_says_which_edge_it_is() -> None:
    unexplained = []
    for name in modules("app/", "realtime/", "workers/", "tracker/", "bench/"):
        lines = source(name).splitlines()
        for node in ast.walk(tree(name)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            everything = node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
            if everything and "edge" not in lines[node.lineno - 1]:
                unexplained.append(f"{name}:{node.lineno}")
    assert unexplained == []


def test_nothing_is_left_open_in_the_code() -> None:
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b|pytest\.mark\.(skip|xfail)\b")
    looked_at = [n for n in tracked() if n.endswith((".py", ".html", ".js", ".css", ".toml")) and "vendor/" not in n]
    found = [name for name in looked_at if name != "tests/test_house_rules.py" and pattern.search(source(name))]
    assert found == []


def test_only_command_lines_print() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name in modules("app/", "realtime/", "workers/", "tracker/", "bench/")
        if not is_in(name, PRINTING)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_skipped_test_gives_its_reason() -> None:
    bare = [
        f"{name}:{node.lineno}"
        for name in modules("tests/")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.skip" and not (node.args or node.keywords)
    ]
    assert bare == []


# Layers, beyond what import-linter sees


def imported(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


@pytest.mark.parametrize("name", modules("app/domain/"))
def test_the_domain_knows_the_standard_library_and_msgspec_only(name: str) -> None:
    foreign = {m for m in imported(name) if not m.startswith("app.domain") and m.split(".")[0] not in PURE_IMPORTS}
    assert foreign <= {"msgspec"}
    assert not [f.name for f in functions(name) if isinstance(f, ast.AsyncFunctionDef)], "the domain awaits nothing"
    clocks = {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}
    assert not clocks & {"datetime.now", "datetime.utcnow", "date.today", "open", "uuid.uuid4", "uuid4"}


def test_the_tracker_shares_only_the_domain_with_the_server() -> None:
    ours = {
        m for name in modules("tracker/") for m in imported(name) if m.split(".")[0] in ("app", "realtime", "workers")
    }
    assert {module for module in ours if not module.startswith("app.domain")} == set()


def test_only_the_roots_read_the_environment_s_settings() -> None:
    roots = {"app/cli.py", "app/config.py"}
    reading = {name for name in modules("app/", "realtime/", "workers/") if "read_settings" in source(name)}
    assert reading <= roots


def test_sql_is_never_put_together_from_parts() -> None:
    statement = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|VACUUM|WITH)\s", re.IGNORECASE)
    built = []
    for name in modules("app/", "realtime/", "workers/", "tracker/"):
        if is_in(name, SQL_WITH_PARTS):
            continue
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
                told = str(node.values[0].value)
                if statement.match(told) and told.split()[0].isupper():
                    built.append(f"{name}:{node.lineno}")
            elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("text", "exec_driver_sql"):
                built += [f"{name}:{part.lineno}" for part in node.args[:1] if isinstance(part, ast.JoinedStr)]
    assert built == []


# Templates and static files


@pytest.mark.parametrize("name", [n for n in tracked() if n.startswith("templates/") and n.endswith(".html")])
def test_a_template_carries_no_inline_script_or_style(name: str) -> None:
    html = re.sub(r"\{#.*?#\}", "", source(name), flags=re.DOTALL)
    tags = re.findall(r"<[a-zA-Z][^<>]*>", html)
    styled = r"on\w+" if is_in(name, STYLED_INLINE) else r"style|on\w+"
    assert [tag for tag in tags if re.search(rf"\s({styled})\s*=", tag)] == []
    assert [tag for tag in tags if re.search(r"\shx-(on|vals=.js:)", tag)] == []
    assert re.findall(r"<style\b", html) == []
    assert [body for body in re.findall(r"<script\b[^>]*>(.*?)</script>", html, re.DOTALL) if body.strip()] == []
    assert "|safe" not in html.replace(" ", ""), "what is safe is made Markup where it is made"


def test_the_vendored_files_are_the_ones_that_the_manifest_names() -> None:
    folder = ROOT / "static" / "vendor"
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, entry in manifest.items():
        assert sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"], name
        assert (folder / entry["licence_file"]).is_file(), name
        assert entry["version"] in entry["source"] and entry["licence"]
    licences = {entry["licence_file"] for entry in manifest.values()}
    there = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert there == licences | {name for name in manifest if "/" not in name}


# What stays on this machine


def test_no_tracked_file_names_this_machine_or_a_package_index() -> None:
    machine = re.compile(
        "|".join([re.escape(f"{ROOT}/"), r"(?<![\w.])/(root|home/\w+|Users/\w+|work|workspace)/(?=[\w.])"])
    )
    index = re.compile(r'https?://[^ "\n]*/(simple|packages|-)/')
    found = []
    for name in tracked():
        if name.startswith("static/vendor/") or is_in(name, PATHS_NAMED):
            continue
        data = (ROOT / name).read_bytes()
        if b"\0" in data:
            continue
        told = data.decode(errors="replace")
        found += [f"{name}: {match.group()}" for match in (*machine.finditer(told), *index.finditer(told))]
    assert found == []


def test_the_constraints_pin_every_direct_dependency_and_name_no_index() -> None:
    lines = [line for line in source("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+]+( ; .+)?", line)] == []
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    wanted = re.findall(r'^    "([\w-]+)(?:\[[\w,]+\])?[><=]', source("pyproject.toml"), re.MULTILINE)
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in wanted} - {"workroom"} <= pinned
