"""The command line: `python -m app …`.

Rule 1: each command prints its result as the last word of the last line, for scripts; it exits 0, or 1 with one
sentence on standard error.
Rule 2: what writes goes through the server that runs on the data folder; without one it works on the database itself.
Rule 3: `fsck` and `backup` only read, so they run beside the server and never hold it up; `verify` needs
no server at all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import structlog
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.config import Settings, SettingsError, read_settings
from app.control import Answer, NoServer, ask_server
from app.domain.errors import WorkroomError
from app.opening import database_url, open_resources
from app.services import operator
from app.storage.backup import back_up
from app.storage.blobs import Blobs
from app.storage.fsck import Report, check, open_for_reading, read_released
from app.storage.keys import Signer, load_signer
from app.storage.migrate import migrate
from app.verify import verify

STARTING_SECONDS_MAX = 10  # how long to wait for the socket of a server that has just taken the folder
RETRY_SECONDS = 0.1


class Refused(Exception):
    """A command that could not be carried out; the sentence says why."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in one sentence (rule 1)."""

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{message[:1].upper()}{message[1:]}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run a command; return the status to exit with."""
    given = _parser().parse_args(arguments)
    try:
        settings = _settings(given, os.environ if environment is None else environment)
        _log_to_stderr(settings)
        status: int = given.run(settings, given)
        return status
    except KeyboardInterrupt:
        return 130
    except (Refused, SettingsError, WorkroomError, OSError, SQLAlchemyError) as error:
        print(_sentence(error), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m app", description="Workroom: the server and what its operator does.")
    parser.add_argument("--data", type=Path, help="the data folder (WORKROOM_DATA)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    for name, runner, text in (
        ("serve", _serve, "run the server"),
        ("demo", _demo, "run the server with two demo workrooms, live"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--host", help="the address to listen on (WORKROOM_HOST)")
        command.add_argument("--port", type=int, help="the port to listen on (WORKROOM_PORT)")
        command.set_defaults(run=runner)
        if name == "demo":
            command.add_argument("--screen", action="store_true", help="capture your own display as one freelancer's")

    _add_account(commands)
    _add_room(commands)
    _add_report(commands)
    for name, text in (("token", "make a bearer token for /ws and /api"), ("device", "make a device token for /agent")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("email", metavar="EMAIL")
        command.add_argument("--label", default="", help="what the list of tokens calls it")
        command.set_defaults(run=_operate, command=name, takes=("email", "label"))

    command = commands.add_parser("backup", help="copy database and pictures into a folder, and check the copy")
    command.add_argument("target", metavar="TARGET", type=Path)
    command.set_defaults(run=_backup)
    commands.add_parser("fsck", help="derive every digest, root and signature again").set_defaults(run=_fsck)
    text = "check a receipt, and the content it commits to, without a server"
    command = commands.add_parser("verify", help=text, description=text)
    command.add_argument("receipt", metavar="RECEIPT", type=Path)
    command.add_argument("--content", metavar="DISCLOSURE", type=Path, help="the file that holds the entry's content")
    command.add_argument("--key", metavar="VERIFIER_KEY", help="the key that must have signed, from the first entry")
    command.set_defaults(run=_verify)
    commands.add_parser("worker", help="run a worker beside servers on PostgreSQL").set_defaults(run=_worker)
    commands.add_parser("migrate", help="bring the tables to this version").set_defaults(run=_migrate)
    return parser


def _add_account(commands: Any) -> None:
    account = commands.add_parser("account", help="accounts: create, link, reset, second-factor")
    actions = account.add_subparsers(required=True, metavar="ACTION", parser_class=Parser)
    create = actions.add_parser("create", help="make an account; prints a one-time sign-in link")
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--name", required=True)
    create.add_argument("--operator", action="store_true", help="the account administers this server")
    create.set_defaults(run=_operate, command="account create", takes=("email", "name", "operator"))
    for name, text in (
        ("link", "print one more one-time sign-in link"),
        ("reset", "take password and sessions away; prints a one-time sign-in link"),
        ("second-factor", "take a lost second factor away, so that its owner can sign in and set up another"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("email", metavar="EMAIL")
        action.set_defaults(run=_operate, command=f"account {name}", takes=("email",))


def _add_room(commands: Any) -> None:
    room = commands.add_parser("room", help="workrooms: create, invite, rewound")
    actions = room.add_subparsers(required=True, metavar="ACTION", parser_class=Parser)
    create = actions.add_parser("create", help="open a workroom; prints its id")
    create.add_argument("client", metavar="CLIENT", help="an e-mail address, or - for somebody to be invited")
    create.add_argument("freelancer", metavar="FREELANCER", help="likewise")
    create.add_argument("title", metavar="TITLE")
    create.add_argument("--zone", default="UTC", help="the time zone of its days, like Europe/Lisbon")
    create.add_argument("--work-view", choices=("on", "off"), default="on")
    create.set_defaults(
        run=_operate, command="room create", takes=("client", "freelancer", "title", "zone", "work_view")
    )
    invite = actions.add_parser("invite", help="print an invitation to the side of a workroom that has nobody")
    invite.add_argument("room", metavar="ROOM")
    invite.set_defaults(run=_operate, command="room invite", takes=("room",))
    text = "let a workroom that lost entries go on; its record says so"
    rewound = actions.add_parser("rewound", help=text, description=text)
    rewound.add_argument("room", metavar="ROOM")
    rewound.add_argument("--reason", required=True, help="why entries are missing; its members read it")
    rewound.set_defaults(run=_operate, command="room rewound", takes=("room", "reason"))


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="reports of users: list, dismiss, hide")
    actions = report.add_subparsers(required=True, metavar="ACTION", parser_class=Parser)
    text = "print the reports that wait for an answer, with their ids"
    listing = actions.add_parser("list", help=text, description=text)
    listing.add_argument("--all", action="store_true", help="answered ones too")
    listing.set_defaults(run=_operate, command="report list", takes=("all",))
    for name, text, needed in (
        ("dismiss", "dismiss a report; what was hidden because of it is shown again", False),
        ("hide", "hide the job, proposal or invitation that a report is about", True),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("report", metavar="REPORT", help="the id that `report list` prints")
        action.add_argument("--answer", required=needed, default="", help="why; those concerned read it")
        action.set_defaults(run=_operate, command=f"report {name}", takes=("report", "answer"))


# Commands


def _serve(settings: Settings, given: argparse.Namespace) -> int:
    from app import main as server  # the server's dependencies are not loaded for `token`

    server.serve(settings)
    return 0


def _demo(settings: Settings, given: argparse.Namespace) -> int:
    from app.demo.run import run_demo

    run_demo(settings, screen=given.screen)
    return 0


def _worker(settings: Settings, given: argparse.Namespace) -> int:
    from workers.main import run_worker

    run_worker(settings)
    return 0


def _operate(settings: Settings, given: argparse.Namespace) -> int:
    """Run one of the operator's commands, inside the server if one runs."""
    arguments = {name: getattr(given, name) for name in given.takes}
    if "work_view" in arguments:
        arguments["work_view"] = arguments["work_view"] == "on"
    answer = asyncio.run(_ask_or_work(settings, given.command, arguments))
    if answer.refusal is not None:
        raise Refused(answer.refusal)
    print("\n".join(answer.lines))
    return 0


async def _ask_or_work(settings: Settings, command: str, arguments: dict[str, Any]) -> Answer:
    """Ask the server; without one, work here. One that is just starting or stopping is waited for."""
    deadline = asyncio.get_running_loop().time() + STARTING_SECONDS_MAX
    while True:
        try:
            return await ask_server(settings.data / "control.sock", command, arguments)
        except NoServer:
            pass
        try:
            async with open_resources(settings) as resources:
                return Answer(await operator.run(resources, command, arguments))
        except SettingsError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)


def _backup(settings: Settings, given: argparse.Namespace) -> int:
    target: Path = given.target
    if target.resolve() == settings.data.resolve():
        raise Refused("The backup must lie outside the data folder.")

    async def work() -> tuple[list[str], Report]:
        url, signer, key = _existing(settings)
        released = read_released(_released_file(key))
        blobs = Blobs(settings.data / "blobs")
        try:
            holding = await back_up(url, blobs, target)
        finally:
            blobs.close()
        report = await _checked(holding.url, target / "blobs", signer, released)
        told = [
            f"It holds workrooms: {holding.rooms}, entries: {holding.entries}, pictures: {holding.pictures}.",
            f"It does not hold the signing key: keep a copy of {key} elsewhere.",
        ]
        return told, report

    told, report = asyncio.run(work())
    print("\n".join(report.lines()))
    if not report.clean:
        raise Refused(f"The copy in {target} does not prove itself; the lines above say where.")
    print("\n".join([*told, f"The backup is in {target}"]))
    return 0


def _fsck(settings: Settings, given: argparse.Namespace) -> int:
    async def work() -> Report:
        url, signer, key = _existing(settings)
        return await _checked(url, settings.data / "blobs", signer, read_released(_released_file(key)))

    report = asyncio.run(work())
    print("\n".join(report.lines()))
    return 0 if report.clean else 1


def _verify(settings: Settings, given: argparse.Namespace) -> int:
    content = given.content.read_bytes() if given.content is not None else None
    for line in verify(given.receipt.read_bytes(), content, given.key):
        print(line)
    print("verified")
    return 0


def _migrate(settings: Settings, given: argparse.Namespace) -> int:
    settings.data.mkdir(parents=True, exist_ok=True)
    migrate(database_url(settings))
    place = make_url(database_url(settings)).render_as_string(hide_password=True)
    print(f"The tables are of this version: {place}")
    return 0


# Parts


async def _checked(url: str, blobs_folder: Path, signer: Signer, released: Mapping[str, int]) -> Report:
    blobs = Blobs(blobs_folder)
    try:
        async with open_for_reading(url) as engine:
            return await check(engine, blobs, signer.verify, origin=signer.origin, released=released)
    finally:
        blobs.close()


def _existing(settings: Settings) -> tuple[str, Signer, Path]:
    """Return database, signer and key file of a server that was started before; nothing is created."""
    url = database_url(settings)
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        raise Refused(f"There is no database in {settings.data}. Set WORKROOM_DATA to the server's data folder.")
    key = Path(settings.key_file) if settings.key_file else settings.data / "key"
    if not key.exists():
        raise Refused(f"There is no signing key at {key}. Restore it, or set WORKROOM_KEY_FILE.")
    return url, load_signer(key, settings.origin_name), key


def _released_file(key: Path) -> Path:
    return key.with_name(key.name + ".released")


def _settings(given: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    named = {name: getattr(given, name, None) for name in ("data", "host", "port")}
    return read_settings(environment, **{name: value for name, value in named.items() if value is not None})


def _log_to_stderr(settings: Settings) -> None:
    """Keep standard output for results."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    # Plain tracebacks: the rich ones show local variables, and with them passwords and messages.
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
    )


class _Stderr(io.TextIOBase):
    """Standard error that loses a line rather than raise: a full disk under the log must not end what logs that."""

    def write(self, text: str) -> int:
        """Write, if that can be done."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be done."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def _sentence(error: BaseException) -> str:
    if isinstance(error, SQLAlchemyError):
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return f"The database cannot be used: {cause}"
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}"
    return str(error)
