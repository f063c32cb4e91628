"""Pairing by a short code against a server that makes one wait, slows down, refuses and expires."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tracker import pairing
from tracker.pairing import PairingFailed, pair


class PairingServer(ThreadingHTTPServer):
    """Answers `/pair/token` with `answers` in turn, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.expires_in = 60.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: PairingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        if self.path == "/pair/start":
            status, answer = 200, {
                "device_code": "dc", "user_code": "BDFK-3791", "verification_uri": f"{self.server.address}/pair",
                "interval": 0.01, "expires_in": self.server.expires_in,
            }  # fmt: skip
        else:
            answers = self.server.answers
            status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def pairing_server() -> Iterator[PairingServer]:
    server = PairingServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


PENDING = (400, {"error": "authorization_pending"})


async def test_the_code_is_shown_and_the_token_comes_once_it_is_confirmed(pairing_server: PairingServer):
    pairing_server.answers = [PENDING, PENDING, (200, {"token": "the-token"})]
    said: list[str] = []
    assert await asyncio.to_thread(pair, pairing_server.address, "desk", said.append) == "the-token"
    assert pairing_server.asked[0] == ("/pair/start", {"device": "desk"})
    assert pairing_server.asked[1] == ("/pair/token", {"device_code": "dc"})
    assert said == [f"Open {pairing_server.address}/pair and enter the code BDFK-3791"]


@pytest.mark.parametrize(
    ("error", "sentence"), [("access_denied", "refused in the browser"), ("expired_token", "has expired")]
)
async def test_a_code_that_is_refused_or_expired_gives_no_token(
    pairing_server: PairingServer, error: str, sentence: str
):
    pairing_server.answers = [PENDING, (400, {"error": error})]
    with pytest.raises(PairingFailed, match=sentence):
        await asyncio.to_thread(pair, pairing_server.address, "desk", print)


async def test_asking_ends_when_the_code_expires(pairing_server: PairingServer):
    pairing_server.answers, pairing_server.expires_in = [PENDING], 0.05
    with pytest.raises(PairingFailed, match="expired"):
        await asyncio.to_thread(pair, pairing_server.address, "desk", print)


async def test_a_server_that_says_slow_down_is_asked_less_often(
    pairing_server: PairingServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pairing, "SLOW_DOWN_SECONDS", 0.05)
    pairing_server.answers = [(400, {"error": "slow_down"}), (200, {"token": "t"})]
    assert await asyncio.to_thread(pair, pairing_server.address, "desk", print) == "t"


async def test_a_server_that_is_not_there_is_named():
    with pytest.raises(PairingFailed, match="cannot be reached"):
        await asyncio.to_thread(pair, "http://127.0.0.1:9", "desk", print)
