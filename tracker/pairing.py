"""Pairing: how this computer gets its device token, with a short code confirmed in the browser (RFC 8628 in shape).

Rule 1: the token is asked for at the interval that the server names, until the code expires.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

ANSWER_SECONDS_MAX = 15
SLOW_DOWN_SECONDS = 5  # RFC 8628 section 3.5
ANSWER_BYTES_MAX = 64 * 1024


class PairingFailed(Exception):
    """The server gave no token; the sentence says why."""


def checked_server(text: str) -> str:
    """Return `http(s)://host[:port][/path]` without a slash at the end; https is meant if no scheme is given.

    Raises:
        PairingFailed: if that is no address.
    """
    if "://" not in text:
        host = text.split("/")[0].split(":")[0]
        text = ("http://" if host in ("localhost", "127.0.0.1") else "https://") + text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PairingFailed(f"{text} is no address of a server. Write it like https://workroom.example.org.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def pair(server: str, device: str, say: Callable[[str], None]) -> str:
    """Return a device token, once the freelancer has confirmed the code that `say` shows.

    Raises:
        PairingFailed: if the code was refused or expired, or the server cannot be reached.
    """
    status, begun = _post(server, "/pair/start", {"device": device})
    if status != 200:
        raise PairingFailed(f"{server} does not pair devices (it answered {status}).")
    code, interval = str(begun["user_code"]), float(begun.get("interval") or 5)
    say(f"Open {begun['verification_uri']} and enter the code {code}")
    if begun.get("verification_uri_complete"):
        say(f"or open {begun['verification_uri_complete']} and compare the code.")
    deadline = time.monotonic() + float(begun.get("expires_in") or 600)
    while time.monotonic() < deadline:
        time.sleep(interval)
        try:
            status, answer = _post(server, "/pair/token", {"device_code": begun["device_code"]})
        except PairingFailed:
            continue  # the network may come back before the code expires
        if status == 200:
            return str(answer["token"])
        match answer.get("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                interval += SLOW_DOWN_SECONDS
            case "access_denied":
                raise PairingFailed("The code was refused in the browser.")
            case "expired_token":
                break
            case error:
                raise PairingFailed(f"The server refused ({error or status}).")
    raise PairingFailed("The code has expired. Run pair again.")


def _opener(server: str) -> OpenerDirector:
    local = urlsplit(server).hostname in ("localhost", "127.0.0.1", "::1")
    return build_opener(ProxyHandler({})) if local else build_opener()


def _post(server: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = Request(
        server + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        with _opener(server).open(request, timeout=ANSWER_SECONDS_MAX) as response:
            return int(response.status), _object(response.read(ANSWER_BYTES_MAX))
    except HTTPError as error:
        return error.code, _object(error.read(ANSWER_BYTES_MAX))
    except (URLError, OSError) as error:
        raise PairingFailed(f"{server} cannot be reached: {error}.") from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
