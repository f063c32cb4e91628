"""Capture: one picture of the display, or of a drawn screen, taken in a short-lived process.

Rule 1: the process that waits for twelve minutes holds no picture and no picture library; a child grabs, blurs,
encodes and ends, so memory between frames stays small and a display that hangs cannot hang the tracker.
Rule 2: the child answers with one line of JSON and the bytes of the picture, on its standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import msgspec

CAPTURE_SECONDS_MAX = 20.0  # a loaded machine takes 3 s for two 4K screens
SCREEN_VARIABLE = "WORKROOM_TRACKER_SCREEN"
DRAWN_PREFIX = "drawn:"
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


class CaptureFailed(Exception):
    """No picture could be taken; the sentence says why and what to do."""


class Request(msgspec.Struct, frozen=True):
    """What to take. `screen` 0 is all screens together, 1 the first; `drawn` names a persona instead of the display.

    `at` is the record's instant in Unix ms, which a drawn screen shows.
    """

    screen: int = 1
    blur: int = 0
    drawn: str | None = None
    at: int = 0


class Answer(msgspec.Struct, frozen=True):
    """The line before the picture. `grabbed_at` is real Unix ms; `problem` is set if there is no picture."""

    width: int = 0
    height: int = 0
    grabbed_at: int = 0
    uniform: bool = False
    problem: str = ""


class Picture(msgspec.Struct, frozen=True):
    """An encoded picture. `grabbed_at` is real Unix ms; `uniform` says that it is all one colour."""

    data: bytes
    width: int
    height: int
    grabbed_at: int
    uniform: bool
    media: str = "image/webp"


def drawn_from_environment() -> str | None:
    """Return the persona whose screens are drawn, if the environment names one (`drawn:ana`)."""
    named = os.environ.get(SCREEN_VARIABLE, "")
    return named.removeprefix(DRAWN_PREFIX) if named.startswith(DRAWN_PREFIX) else None


async def take(request: Request) -> Picture:
    """Take one picture.

    Raises:
        CaptureFailed: if the display cannot be read, or the child does not answer in time.
    """
    paths = [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracker.capture",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        start_new_session=True,  # Ctrl-C in the terminal must not kill a frame that is being taken
    )  # fmt: skip
    try:
        async with asyncio.timeout(CAPTURE_SECONDS_MAX):
            out, err = await child.communicate(msgspec.json.encode(request))
    except TimeoutError:
        child.kill()
        await child.wait()
        raise CaptureFailed("The display did not answer within 20 s.") from None
    line, _, data = out.partition(b"\n")
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.MsgspecError:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or [f"it ended with {child.returncode}"]
        raise CaptureFailed(f"Taking a picture failed: {last[0]}.") from None
    if answer.problem:
        raise CaptureFailed(answer.problem)
    return Picture(data, answer.width, answer.height, answer.grabbed_at, answer.uniform)


def _taken(request: Request) -> tuple[Answer, bytes]:
    """Grab or draw, blur and encode; runs in the child."""
    from tracker.pictures import blurred, encoded, is_uniform

    if request.drawn is not None:
        from tracker.screens import draw

        grabbed_at, picture = _real_now(), draw(request.drawn, request.at)
    else:
        from tracker.display import DisplayUnreadable, grab

        try:
            grabbed_at, picture = _real_now(), grab(request.screen)
        except DisplayUnreadable as error:
            return Answer(problem=str(error)), b""
    uniform = is_uniform(picture)
    data, stored = encoded(blurred(picture, request.blur))
    return Answer(stored.width, stored.height, grabbed_at, uniform), data


def _real_now() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    """Answer one request from standard input."""
    answer, data = _taken(msgspec.json.decode(sys.stdin.buffer.read(), type=Request))
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n" + data)


if __name__ == "__main__":
    main()
