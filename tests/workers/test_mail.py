"""The worker sends mail by itself: from the transaction to the mail server, and to the folder where there is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.config import Settings
from app.services import mail
from app.services.accounts import Client
from app.services.addresses import ask_sign_up
from tests.live import live_server
from tests.services.test_mail import MailServer, listening

SECONDS_MAX = 10.0


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "the mail did not come in time"
        await asyncio.sleep(0.01)


async def test_a_mail_leaves_by_itself(tmp_path: Path) -> None:
    handler = MailServer()
    async with listening(handler):
        settings = Settings(data=tmp_path / "data", port=0, smtp_url=f"smtp://127.0.0.1:{handler.port}")
        async with live_server(settings) as live:
            await ask_sign_up(live.resources, "ana@example.org", Client())
            await until(lambda: len(handler.taken) == 1)
            assert handler.taken[0]["Subject"] == "Finish signing up"


async def test_without_a_mail_server_it_is_a_file_and_leaves_once_there_is_one(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=0)
    folder = settings.data / mail.MAIL_FOLDER
    async with live_server(settings) as live:
        await ask_sign_up(live.resources, "ana@example.org", Client())
        await until(lambda: len(list(folder.glob("*.eml"))) == 1)
    handler = MailServer()
    async with listening(handler):
        settings = replace(settings, smtp_url=f"smtp://127.0.0.1:{handler.port}")
        async with live_server(settings) as live:
            await ask_sign_up(live.resources, "ben@example.org", Client())
            await until(lambda: len(handler.taken) == 1)
            assert handler.taken[0]["To"] == "ben@example.org"
