"""The documentation against the code: what can be set, sent, refused or run is described; what is described runs."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from app import cli
from app.config import Settings, SettingsError, read_settings
from app.domain import errors, wire
from app.domain.bodies.fields import AnswerBody, PersonBody, SystemBody
from app.domain.events import KINDS, REF_REQUIRED
from app.domain.live import CellState
from app.domain.matters import ANSWERS, SILENCE, TRANSITIONS
from app.domain.workrooms import MAY_WRITE, NEEDS_TERMS, PARTIES, Side
from app.domain.workview import FrameMark
from app.services import record
from app.services.resources import Resources
from app.web.api import API_ROUTES
from app.web.errors import status_of
from app.web.workview import api_routes
from tests.builders import build_pair
from tracker import cli as tracker_cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
_SEPARATOR = re.compile(r"\|[ :|-]+\|")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """Return the cells of the tables below a heading, by the first cell of each row."""
    level = heading.split(" ")[0]
    below = page.split(f"\n{heading}\n", 1)[1]
    section = re.split(rf"^#{{1,{len(level)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line.startswith("|") and not _SEPARATOR.fullmatch(line):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            for name in re.findall(r"`([^`]+)`", cells[0]) or [cells[0]]:
                found[name] = cells[1:]
    return found


# Settings


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default(setting: object) -> None:
    name, default = setting.name, setting.default  # type: ignore[attr-defined]
    documented = rows_of(text_of("docs/operations.md"), "## Settings")
    variable = f"WORKROOM_{name.upper()}"
    assert variable in documented, f"{variable} is not in the table of docs/operations.md"
    shown, reason = documented[variable][:2]
    assert shown == ("empty" if default == "" else f"`{default}`")
    assert len(reason) > 20, "say what it does and why it has this default"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    documented = set(rows_of(text_of("docs/operations.md"), "## Settings"))
    assert documented - {f"WORKROOM_{setting.name.upper()}" for setting in fields(Settings)} == {"setting"}


def test_every_variable_in_the_docs_is_a_setting_or_the_tracker_s() -> None:
    known = {f"WORKROOM_{setting.name.upper()}" for setting in fields(Settings)}
    tracker = set(
        re.findall(r'"(WORKROOM_TRACKER_\w+)"', "".join(p.read_text() for p in (ROOT / "tracker").glob("*.py")))
    )
    for page in PAGES:
        named = set(re.findall(r"WORKROOM_[A-Z_]*[A-Z]", page.read_text()))
        assert named <= known | tracker, page.name


def test_a_setting_of_each_type_is_read_and_all_problems_are_told_together() -> None:
    settings = read_settings(
        {"WORKROOM_PORT": "9000", "WORKROOM_DATA": "elsewhere", "WORKROOM_OPERATOR": "Olga", "HOME": "x"}
    )
    assert (settings.port, settings.data, settings.operator) == (9000, Path("elsewhere"), "Olga")
    wrong = {"WORKROOM_PORT": "many", "WORKROOM_PROT": "9000", "WORKROOM_CONNECTIONS_MAX": "-1"}
    with pytest.raises(SettingsError) as caught:
        read_settings(wrong)
    assert all(variable in str(caught.value) for variable in wrong)
    with pytest.raises(SettingsError, match="WORKROOM_DATABASE_URL"):
        read_settings({"WORKROOM_DATABASE_URL": "mysql://x"})


# Errors, messages, kinds


def refusals() -> list[type[errors.WorkroomError]]:
    """Return every refusal of app/domain/errors.py."""
    found, waiting = [], [errors.WorkroomError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__ == errors.__name__:
            found.append(kind)
    return found


@pytest.mark.parametrize("refusal", refusals(), ids=lambda refusal: refusal.code)
def test_every_error_code_is_documented_with_its_status(refusal: type[errors.WorkroomError]) -> None:
    documented = rows_of(text_of("docs/protocol.md"), "## Error codes")
    assert documented[refusal.code][0] == str(status_of(refusal()))
    if refusal.temporary:
        assert "Temporary" in documented[refusal.code][1]


def test_no_error_code_is_documented_that_does_not_exist() -> None:
    documented = set(rows_of(text_of("docs/protocol.md"), "## Error codes"))
    assert documented == {refusal.code for refusal in refusals()} | {"code"}


def tag_and_fields(message: type[msgspec.Struct]) -> tuple[str, list[str]]:
    config = message.__struct_config__
    return str(config.tag), [field.encode_name for field in msgspec.structs.fields(message)]


@pytest.mark.parametrize(
    ("message", "heading"),
    [(message, "### What a viewer sends") for message in get_args(wire.ViewerMessage)]
    + [(message, "### What a tracker sends") for message in get_args(wire.AgentMessage)],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_message_to_the_server_is_documented_with_its_fields(message: type[msgspec.Struct], heading: str) -> None:
    tag, names = tag_and_fields(message)
    cells = rows_of(text_of("docs/protocol.md"), heading)[tag]
    named = set(re.findall(r"`([a-z_0-9]+)`", " ".join(cells)))
    assert set(names) - {"n"} <= named


def test_every_field_of_a_frame_s_header_is_documented() -> None:
    documented = rows_of(text_of("docs/protocol.md"), "### What a tracker sends")
    assert {field.name for field in msgspec.structs.fields(wire.FrameHeader)} <= documented.keys()


@pytest.mark.parametrize(
    ("sources", "pattern", "heading"),
    [
        (["realtime/protocol.py"], r'"t": "(\w+)"', "### What the server sends"),
        (["realtime/protocol.py"], r'"event": "(\w+)"', "### Live events"),
        (
            ["realtime/agents.py", "realtime/agent_session.py", "realtime/agent_protocol.py"],
            r'message_text\(\s*"(\w+)"',
            "### What the server answers",
        ),
    ],
)
def test_every_message_of_the_server_is_documented(sources: list[str], pattern: str, heading: str) -> None:
    sent = set(re.findall(pattern, "".join(text_of(name) for name in sources)))
    assert len(sent) > 5
    assert sent <= rows_of(text_of("docs/protocol.md"), heading).keys()


def test_every_event_for_one_account_is_documented() -> None:
    modules = [*(ROOT / "app/services").glob("*.py"), *(ROOT / "realtime").glob("*.py")]
    sent = set(re.findall(r'AccountEvent\(\s*[\w.]+, "(\w+)"', "".join(path.read_text() for path in modules)))
    assert len(sent) > 1
    told = rows_of(text_of("docs/protocol.md"), "### What the server sends")["me"][1]
    assert sent <= set(re.findall(r"`(\w+)`", told))


def test_every_state_of_a_cell_and_every_mark_is_documented() -> None:
    page = text_of("docs/protocol.md")
    assert [word for word in (*CellState, *FrameMark) if f"`{word}`" not in page] == []


def test_every_close_code_is_documented() -> None:
    codes = {str(value) for name, value in vars(wire.ClosedByServer).items() if name.isupper()}
    listed = rows_of(text_of("docs/protocol.md"), "## Close codes")
    assert codes <= {code for cell in listed for code in cell.split(", ")}


def test_every_address_of_the_api_is_documented() -> None:
    listed = " ".join(rows_of(text_of("docs/protocol.md"), "## JSON API"))
    for route in [*API_ROUTES, *api_routes]:
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        assert f"{method} {route.path.replace(':int', '')}" in listed


def kinds_of(*headings: str) -> dict[str, list[str]]:
    """Return the rows of the tables of kinds below these headings."""
    page = text_of("docs/record.md")
    listed = [rows_of(page, heading) for heading in headings]
    return {kind: cells for rows in listed for kind, cells in rows.items() if kind != "kind"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_entry_is_documented_with_its_fields(kind: str) -> None:
    body, said = kinds_of("### What people write", "### What the system writes")[kind][:2]
    everybody_s = {"files", "restricted"} if issubclass(KINDS[kind], PersonBody) else set()  # told above the table
    everybody_s |= {"restricted"} if issubclass(KINDS[kind], AnswerBody) else set()
    wanted = [
        field.name + ("" if field.required else "?")
        for field in msgspec.structs.fields(KINDS[kind])
        if field.name not in everybody_s
    ]
    assert re.findall(r"`([^`]+)`", body) == wanted
    assert len(said) > 15


def test_the_kinds_that_people_write_are_listed_with_who_may() -> None:
    listed = kinds_of("### What people write")
    people = {kind for kind, schema in KINDS.items() if not issubclass(schema, SystemBody)}
    assert listed.keys() == people == frozenset().union(*MAY_WRITE.values())
    assert kinds_of("### What the system writes").keys() == KINDS.keys() - people
    for kind, cells in listed.items():
        sides = {side for side, kinds in MAY_WRITE.items() if kind in kinds}
        told = {"client": {Side.CLIENT}, "freelancer": {Side.FREELANCER}}.get(cells[2], set(PARTIES))
        assert sides == told, kind
    told_refs = text_of("docs/record.md").split("always have a `ref`")[0].split("\n\n")[-1]
    assert set(re.findall(r"`([^`]+)`", told_refs)) | set(ANSWERS) == REF_REQUIRED | set(ANSWERS)
    needs_terms = text_of("docs/record.md").split(" need terms that hold")[0].split("\n\n")[-1]
    assert set(re.findall(r"`([^`]+)`", needs_terms)) == NEEDS_TERMS


@pytest.mark.parametrize("kind", TRANSITIONS)
def test_every_entry_that_needs_an_answer_is_documented_with_what_silence_means(kind: str) -> None:
    answers, days, means = rows_of(text_of("docs/record.md"), "### What needs an answer")[kind][:3]
    assert set(re.findall(r"`([^`]+)`", answers)) == {answer for answer, asked in ANSWERS.items() if asked == kind}
    assert (days, means) == (str(SILENCE[kind].days or "never"), SILENCE[kind].means)


# Commands


def commands_of(parser: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    """Yield the full name of every command that a parser knows."""
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not actions:
        yield name
    for action in actions:
        for word, inner in action.choices.items():
            yield from commands_of(inner, f"{name} {word}".strip())


@pytest.mark.parametrize("command", list(commands_of(cli._parser())))
def test_every_command_is_documented_with_its_arguments(command: str) -> None:
    listed = rows_of(text_of("docs/operations.md"), "## Command line")
    matching = [key for key in listed if key == command or key.startswith(f"{command} ")]
    assert matching, f"`{command}` is not in the table of docs/operations.md"
    parser: argparse.ArgumentParser = cli._parser()
    for word in command.split():
        (choices,) = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        parser = choices[word]
    for action in parser._actions:
        named = action.option_strings[-1] if action.option_strings else str(action.metavar)
        assert named in matching[0] + " ".join(listed[matching[0]]) or named == "--help", f"{command}: {named}"


@pytest.mark.parametrize("command", list(commands_of(tracker_cli._parser())))
def test_every_command_of_the_tracker_is_documented(command: str) -> None:
    assert re.search(rf"^\| `{command}\b", text_of("docs/operations.md"), re.MULTILINE)


def test_the_two_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ +)make ([a-z-]+)", "".join(page.read_text() for page in PAGES), re.MULTILINE))
    assert {"run", "test"} <= set(re.findall(r"^ +make ([a-z-]+)", text_of("README.md"), re.MULTILINE))
    assert named <= targets


# Links, pictures, programs


def anchors_of(page: Path) -> set[str]:
    """Return what the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_docs_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors_of(found), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_the_docs_name_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:app|realtime|workers|tracker|templates|static|tests|bench|docs)/[\w./-]*)`", page.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_decision_has_its_context_and_consequences_and_is_listed() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        told = page.read_text()
        assert re.match(rf"# {int(page.name[:4])}\. ", told), page.name
        assert re.findall(r"^## (.+)$", told, re.MULTILINE)[:4] == ["Status", "Context", "Decision", "Consequences"]
        assert page.name in text_of("docs/adr/README.md")


def test_the_examples_in_the_docs_that_are_json_are_json() -> None:
    for page in PAGES:
        for block in re.findall(r"^```json\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            json.loads(block)


def verifier() -> str:
    """Return the program of docs/record.md that checks a receipt."""
    (program,) = re.findall(r"^```python\n(.*?)^```", text_of("docs/record.md"), re.MULTILINE | re.DOTALL)
    return str(program)


def verified(folder: Path, receipt: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run that program, alone, on a receipt."""
    (folder / "verify_receipt.py").write_text(verifier())
    (folder / "receipt").write_text(receipt)
    return subprocess.run(
        [sys.executable, "-I", "verify_receipt.py", "receipt", key], cwd=folder, capture_output=True, text=True
    )


async def test_the_program_in_the_docs_accepts_real_receipts_and_no_others(
    resources: Resources, tmp_path: Path
) -> None:
    pair = await build_pair(resources)
    for number in range(8):
        await record.append(resources, pair.client, pair.room, "message", {"text": f"Message {number}"})
    opened = (await record.page(resources, pair.client, pair.room, after=-1, limit=1)).entries[0]
    assert opened.body is not None
    key = opened.body["verifier_key"]
    for seq in (0, 5, 7, 12):
        receipt = await record.receipt(resources, pair.client, pair.room, seq)
        done = verified(tmp_path, receipt, key)
        assert done.returncode == 0, done.stderr
        leaf = json.loads(done.stdout.removeprefix("in the record: "))
        assert (leaf["room"], leaf["seq"]) == (pair.room, seq)
    lines = receipt.split("\n")
    note = lines.index("")
    changes = {
        "another leaf": receipt.replace(lines[1], lines[1][:-8] + "AAAAAAA="),
        "another place": receipt.replace("index 12", "index 11"),
        "outside": receipt.replace("index 12", "index 13"),
        "a hash more": "\n".join([*lines[:note], lines[3], *lines[note:]]),
        "a hash less": "\n".join([*lines[: note - 1], *lines[note:]]),
        "another size": receipt.replace(f"\n{lines[note + 2]}\n", "\n14\n", 1),
        "another room": receipt.replace(pair.room, "0" * 26),
    }
    for name, changed in changes.items():
        assert changed != receipt, name
        assert verified(tmp_path, changed, key).returncode != 0, name
    other = key.replace(key.split("+")[1], "00000000")
    assert verified(tmp_path, receipt, other).returncode != 0
