"""The terminal: lines that stay, and below them, on a real terminal, one line that is kept up to date.

Rule 1: without a terminal (a log file, a service) only plain lines are written, one for each thing that happens.
Rule 2: text from the network is printed without control characters, so that it cannot move the cursor.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from contextlib import suppress
from typing import TextIO


def printable(text: str) -> str:
    """Return text without control characters; line ends become spaces."""
    return "".join(" " if c in "\n\t" else c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


class Terminal:
    """Writes to `out`. `is_live` says whether there is a status line."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self.is_live = self._out.isatty()
        self._line = ""

    def say(self, text: str) -> None:
        """Write a line that stays."""
        text = printable(text) + "\n"
        self._write(f"\r\x1b[2K{text}{self._line}" if self.is_live else text)

    def show(self, line: str) -> None:
        """Put `line` in the place of the status line; nothing happens without a terminal."""
        if not self.is_live:
            return
        width = shutil.get_terminal_size().columns - 1
        line = printable(line)
        line = line if len(line) <= width else line[: width - 1] + "…"
        if line != self._line:
            self._line = line
            self._write(f"\r\x1b[2K{line}")

    def clear(self) -> None:
        """Remove the status line."""
        if self.is_live and self._line:
            self._line = ""
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a terminal that was closed must not keep the session from ending cleanly
            self._out.write(text)
            self._out.flush()
