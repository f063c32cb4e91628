"""The reverse proxy as docs/operations.md sets it up: files come through it, in one piece and in several."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from pathlib import Path

import httpx
import pytest

from tests.builders import build_pair
from tests.live import Live

DOCS = Path(__file__).resolve().parents[2] / "docs"
MIB = 1024 * 1024
SIZE = 2 * MIB  # nginx by itself refuses what is over one


def documented(port: int, backend: str) -> str:
    """Return the documented server block, on a free port of this machine and without TLS."""
    text = (DOCS / "operations.md").read_text()
    found = re.search(r"^nginx:\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert found is not None
    block = re.sub(r"ssl_certificate\S* .*", "", found[1]).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    return block.replace("http://127.0.0.1:8000", backend)


def configuration(folder: Path, port: int, backend: str) -> str:
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off;\n{paths}{documented(port, backend)}}}\n"
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_the_documented_proxy_takes_files_as_they_arrive() -> None:
    block = documented(1, "")
    assert "client_max_body_size 0;" in block and "proxy_request_buffering off;" in block


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
async def test_a_file_comes_through_the_documented_proxy(live: Live, tmp_path: Path) -> None:
    pair = await build_pair(live.resources)
    port = free_port()
    (tmp_path / "nginx.conf").write_text(configuration(tmp_path, port, live.url))
    nginx = await asyncio.create_subprocess_exec(
        "nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        starting = httpx.AsyncHTTPTransport(retries=6)  # until it listens
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=starting, timeout=30) as http:
            http.headers["authorization"] = f"Bearer {await live.token(pair.freelancer)}"
            path = f"/api/rooms/{pair.room}/uploads"
            begun = (await http.post(path, json={"name": "large.bin", "bytes": SIZE})).json()
            sent = await http.patch(f"{path}/{begun['id']}", content=bytes(SIZE), headers={"upload-offset": "0"})
            assert (sent.status_code, sent.json()["received"]) == (200, SIZE)
            form = await http.post(
                path, files={"files": ("form.bin", b"\1" * SIZE)}, headers={"accept": "application/json"}
            )
            assert (form.status_code, form.json()["uploads"][0]["received"]) == (201, SIZE)
    finally:
        nginx.terminate()
        await nginx.wait()
