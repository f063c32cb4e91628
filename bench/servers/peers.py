"""The peers of fan-out and idle: nginx with nchan, NATS over WebSocket, and `websockets.broadcast`.

Rule 1: each gets the settings that its documentation recommends for many quiet subscribers, and no access check.
Rule 2: none compresses, all listen on loopback, none writes to disk.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.process import Missing, Server, free_port, running

NCHAN_MODULES = ("/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so")


@dataclass
class Peer:
    """A running peer with the options by which `watch` joins it (`%r` is the room) and publishes to it."""

    server: Server
    join: list[str]
    publish: list[str]


NGINX = """
{module}
daemon off; master_process on; worker_processes 1; worker_rlimit_nofile 20000;
pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 18000; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000; keepalive_timeout 600s; tcp_nodelay on;
    nchan_shared_memory_size 256M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location ~ ^/watch/(\\w+)$ {{
            nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest;
        }}
        location ~ ^/pub/(\\w+)$ {{
            nchan_publisher http websocket; nchan_channel_id $1;
            nchan_message_buffer_length 2000; nchan_message_timeout 60s;
        }}
        location = /ready {{ return 204; }}
    }}
}}
"""

NATS = """
listen: 127.0.0.1:{port}
max_connections: 20000
write_deadline: "30s"
websocket {{ listen: "127.0.0.1:{websocket}", no_tls: true, compression: false }}
"""


@contextlib.contextmanager
def nchan(folder: Path) -> Iterator[Peer]:
    """Run nginx with nchan, one worker."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    module = next((path for path in NCHAN_MODULES if Path(path).exists()), None)
    if program is None or module is None:
        raise Missing("nchan is not installed (Debian: libnginx-mod-nchan)")
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    port = free_port()
    folder = folder / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(module=f"load_module {module};", folder=folder, port=port))
    command = [program, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    label = f"nginx {said.rpartition('/')[2].strip()}, nchan {_debian_version('libnginx-mod-nchan')}"
    with running("nchan", label, command, port, folder, whole=True) as server:
        yield Peer(server, ["--path", "/watch/%r"], ["--publish", "http", "--publish-path", "/pub/%r"])


@contextlib.contextmanager
def nats(folder: Path) -> Iterator[Peer]:
    """Run nats-server with its WebSocket listener."""
    program = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if program is None:
        raise Missing("NATS is not installed (Debian: nats-server)")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    port, websocket = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nats.conf"
    config.write_text(NATS.format(port=port, websocket=websocket))
    with running("nats", f"nats-server {said.split()[-1].lstrip('v')}", [program, "-c", str(config)], websocket, folder,
                 environment={"GOMAXPROCS": "1"}) as server:  # fmt: skip
        hello = 'CONNECT {"verbose":false,"pedantic":false,"echo":true}\r\nSUB %r 1\r\nPING\r\n'
        yield Peer(
            server,
            ["--path", "/", "--nats", "--hello", hello, "--ready", "PONG"],
            ["--publish", "nats", "--publish-port", str(port)],
        )


@contextlib.contextmanager
def broadcast(folder: Path) -> Iterator[Peer]:
    """Run the small server on `websockets.broadcast`."""
    port = free_port()
    command = [sys.executable, "-m", "bench.servers.broadcast", str(port)]
    label = f"websockets {version('websockets')}, uvloop {version('uvloop')}"
    with running("websockets.broadcast", label, command, port, folder) as server:
        yield Peer(server, ["--path", "/watch", "--ready", "joined"], ["--publish", "ws", "--publish-path", "/pub"])


def _debian_version(package: str) -> str:
    """Return the version of an installed Debian package, `unknown` elsewhere."""
    if shutil.which("dpkg-query") is None:
        return "unknown"
    found = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False)
    match = re.match(r"(?:\d+:)?([\w.+~]+)", found.stdout)
    return match.group(1) if match else "unknown"


PEERS: dict[str, Callable[[Path], AbstractContextManager[Peer]]] = {
    "nchan": nchan,
    "NATS": nats,
    "websockets.broadcast": broadcast,
}
