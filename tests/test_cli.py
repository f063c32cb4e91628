"""The operator's command line, with and without a server beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.config import Settings
from app.control import NoServer, ask_server, serve_control
from app.domain.live import AccessRevoked
from app.opening import open_resources
from app.services import accounts, record, second_factor
from app.services.accounts import Client, Credential
from app.services.checkpoints import sign_checkpoints
from app.services.resources import Resources
from tests.builders import build_pair
from tests.published import Published
from tests.services.test_second_factor import code_at

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def result(self) -> str:
        """The last word of the last line."""
        return self.out.split()[-1]


async def run(data: Path, *arguments: str) -> Done:
    """Run a command as an operator's script does."""
    environment = {"PATH": os.environ["PATH"], "WORKROOM_DATA": str(data), "WORKROOM_ORIGIN": "test.example"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", *arguments,
        cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def server(sqlite_settings: Settings, published: Published) -> AsyncIterator[Resources]:
    """What a server holds while it runs: the data folder, and the control socket in it."""
    async with (
        open_resources(sqlite_settings, publish=published.publish) as resources,
        serve_control(resources, sqlite_settings.data / "control.sock"),
    ):
        yield resources


async def test_accounts_rooms_and_tokens_are_made_without_a_server(tmp_path: Path) -> None:
    dana = await run(tmp_path, "account", "create", "dana@example.org", "--name", "Dana Keller")
    assert dana.status == 0 and dana.result.startswith("http://127.0.0.1:8000/link/")
    await run(tmp_path, "account", "create", "ana@example.org", "--name", "Ana Novak")
    room = await run(
        tmp_path, "room", "create", "dana@example.org", "ana@example.org", "A logo",
        "--zone", "Europe/Lisbon", "--work-view", "off",
    )  # fmt: skip
    assert room.status == 0 and len(room.result) == 26
    assert (await run(tmp_path, "token", "dana@example.org")).result.startswith("wr_api_")
    device = await run(tmp_path, "device", "ana@example.org", "--label", "laptop")
    assert device.result.startswith("wr_dev_")
    with closing(sqlite3.connect(tmp_path / "workroom.sqlite3")) as connection:
        assert connection.execute("SELECT time_zone, work_view FROM rooms").fetchall() == [("Europe/Lisbon", 0)]
        assert connection.execute("SELECT label FROM tokens WHERE purpose = 'device'").fetchall() == [("laptop",)]
    checked = await run(tmp_path, "fsck")
    assert (checked.status, checked.result) == (0, "clean")


async def test_the_same_commands_go_through_a_server_that_runs(server: Resources, published: Published) -> None:
    data = server.settings.data
    made = await run(data, "account", "create", "Ana@Example.org", "--name", "Ana Novak")
    assert made.status == 0, made.err
    signed = await accounts.sign_in_with_link(server, made.result.rpartition("/")[2], Client())
    assert signed.credential.actor.email == "ana@example.org"
    api = await run(data, "token", "ana@example.org")
    assert await accounts.actor_of_token(server, api.result, "api") == signed.credential.actor
    [token] = await accounts.tokens_of(server, signed.credential.actor)
    reset = await run(data, "account", "reset", "ana@example.org")
    assert "/link/" in reset.result
    assert published.of(AccessRevoked) == [AccessRevoked(signed.credential.id), AccessRevoked(token.id)]


async def test_a_lost_second_factor_is_taken_away(server: Resources) -> None:
    data = server.settings.data
    await run(data, "account", "create", "ana@example.org", "--name", "Ana Novak")
    none = await run(data, "account", "second-factor", "ana@example.org")
    assert none.status == 1 and "has no second factor" in none.err
    ana = await accounts.account_of_email(server, "ana@example.org")
    await second_factor.begin(server, ana)
    set_up = (await second_factor.factor_of(server, ana)).set_up
    assert set_up is not None
    code = code_at(set_up.secret, server.clock.real_now())
    await second_factor.confirm(server, Credential("none", ana), code)
    gone = await run(data, "account", "second-factor", "ana@example.org")
    assert (gone.status, gone.result) == (0, "ana@example.org")
    assert (await accounts.own_account(server, ana)).factor_at is None


async def test_a_workroom_for_one_is_opened_and_the_other_side_invited(server: Resources) -> None:
    data = server.settings.data
    await run(data, "account", "create", "dana@example.org", "--name", "Dana")
    room = (await run(data, "room", "create", "dana@example.org", "-", "A logo")).result
    invited = await run(data, "room", "invite", room)
    assert invited.result.startswith("http://127.0.0.1:0/invitation/") and "freelancer" in invited.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("token", "nobody@example.org"), "There is no account with the address nobody@example.org."),
        (("account", "create", "nobody", "--name", "N"), "This is no e-mail address."),
        (("account", "create", "dana@example.org", "--name", "Again"), "There is an account with this e-mail address"),
        (
            ("room", "create", "dana@example.org", "dana@example.org", "T"),
            "Client and freelancer must be two accounts.",
        ),
        (("room", "create", "dana@example.org", "-", "T", "--zone", "Moon/Base"), "`Moon/Base` is no time zone."),
        (("room", "create", "-", "-", "T"), "A workroom begins with a client or a freelancer."),
        (("room", "invite", "nonsense"), "There is nothing here that you may see."),
        (("room", "rewound", "0" * 26, "--reason", "None"), "This workroom is not rewound: it holds all"),
        (("room", "rewound", "0" * 26), "The following arguments are required: --reason"),
        (("account", "create", "x@example.org"), "The following arguments are required: --name"),
        (("nonsense",), "Argument COMMAND: invalid choice"),
    ],
)
async def test_a_refusal_is_one_sentence_and_status_1(
    server: Resources, arguments: tuple[str, ...], sentence: str
) -> None:
    await accounts.create_account(server, "dana@example.org", "Dana")
    done = await run(server.settings.data, *arguments)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(sentence) and done.err.count("\n") == 1


async def test_fsck_and_backup_work_beside_a_server_that_writes(server: Resources, tmp_path: Path) -> None:
    pair = await build_pair(server)
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await record.append(server, pair.client, pair.room, "message", {"text": "more"})
            await sign_checkpoints(server, [pair.room])

    writing = asyncio.create_task(write())
    try:
        checked = await run(server.settings.data, "fsck")
        saved = await run(server.settings.data, "backup", str(tmp_path / "backup"))
    finally:
        stop.set()
        await writing
    assert (checked.status, checked.result) == (0, "clean"), checked.out
    assert (saved.status, saved.result) == (0, str(tmp_path / "backup")), saved.out + saved.err
    assert "It does not hold the signing key" in saved.out
    with closing(sqlite3.connect(tmp_path / "backup" / "workroom.sqlite3")) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone()[0] >= 5


async def test_fsck_lists_damage_and_exits_1(sqlite_settings: Settings) -> None:
    async with open_resources(sqlite_settings) as resources:
        pair = await build_pair(resources)
    with closing(sqlite3.connect(sqlite_settings.data / "workroom.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM disclosures WHERE seq = 1")
    checked = await run(sqlite_settings.data, "fsck")
    assert (checked.status, checked.result) == (1, "1")
    assert f"{pair.room}/1: its contents are missing" in checked.out


async def test_fsck_of_an_empty_folder_says_so_and_creates_nothing(tmp_path: Path) -> None:
    checked = await run(tmp_path / "nothing", "fsck")
    assert checked.status == 1 and checked.err.startswith("There is no database in")
    assert not (tmp_path / "nothing").exists()


async def test_settings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "fsck",
        cwd=ROOT, env={"WORKROOM_PORT": "many", "WORKROOM_PROT": "1"}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"WORKROOM_PORT must be a whole number" in err and b"WORKROOM_PROT is no setting" in err


async def test_the_control_socket_is_private_and_goes_with_the_server(sqlite_settings: Settings) -> None:
    path = sqlite_settings.data / "control.sock"
    async with open_resources(sqlite_settings) as resources:
        path.write_text("left by a server that was killed")
        async with serve_control(resources, path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            answer = await ask_server(path, "no such command", {})
            assert answer.refusal is not None and "no command" in answer.refusal
            wrong = await ask_server(path, "token", {"email": 5})
            assert wrong.refusal is not None
    assert not path.exists()
    with pytest.raises(NoServer):
        await ask_server(path, "token", {})


async def test_a_data_folder_with_a_long_name_has_a_control_socket_too(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    async with (
        open_resources(Settings(data=data, origin="test.example")) as resources,
        serve_control(resources, data / "control.sock"),
    ):
        done = await run(data, "account", "create", "ana@example.org", "--name", "Ana")
        assert done.status == 0
        assert (await accounts.account_of_email(resources, "ana@example.org")).name == "Ana"


async def test_nonsense_on_the_control_socket_does_not_end_it(server: Resources) -> None:
    path = server.settings.data / "control.sock"
    for nonsense in (b"nonsense\n", b"x" * 100_000 + b"\n", b""):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(nonsense)
        writer.close()
    answer = await ask_server(path, "account create", {"email": "ana@example.org", "name": "Ana"})
    assert answer.refusal is None
