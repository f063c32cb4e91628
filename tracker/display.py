"""The display: grabbing screens with mss, and how long keyboard and pointer have been still. X11.

Rule 1: what cannot be read is said, with what to do about it; a black picture is never passed off as a screen.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


class DisplayUnreadable(Exception):
    """No picture of this display can be had; the sentence says why and what to do."""


def why_unreadable() -> str | None:
    """Return what stands in the way of capturing this session's screen, as far as the environment tells."""
    if os.environ.get("WAYLAND_DISPLAY") and os.environ.get("XDG_SESSION_TYPE", "wayland") == "wayland":
        return (
            "This is a Wayland session, which shows its screen to no X11 program. "
            "Sign in to an X11 session, or use the browser tracker."
        )
    if not os.environ.get("DISPLAY"):
        return "There is no display: DISPLAY is not set. Start the tracker in a terminal on your desktop."
    return None


def grab(screen: int) -> Image.Image:
    """Return the picture of a screen: 1 is the first, 0 all of them together.

    Raises:
        DisplayUnreadable: if there is no such screen, or no display that can be read.
    """
    problem = why_unreadable()
    if problem is not None:
        raise DisplayUnreadable(problem)
    import mss
    from PIL import Image

    try:
        with mss.MSS() as source:
            screens = source.monitors
            if not 0 <= screen < len(screens):
                known = len(screens) - 1
                raise DisplayUnreadable(f"There is no screen {screen}: this display has {known}. Choose with --screen.")
            shot = source.grab(screens[screen])
            return Image.frombytes("RGB", (shot.width, shot.height), shot.bgra, "raw", "BGRX")
    except mss.ScreenShotError as error:
        raise DisplayUnreadable(f"The display {os.environ['DISPLAY']} cannot be read: {error}.") from error


class _ScreenSaverInfo(ctypes.Structure):
    """XScreenSaverInfo of X11/extensions/scrnsaver.h; `idle` is in milliseconds."""

    _fields_ = [
        ("window", ctypes.c_ulong), ("state", ctypes.c_int), ("kind", ctypes.c_int),
        ("til_or_since", ctypes.c_ulong), ("idle", ctypes.c_ulong), ("event_mask", ctypes.c_ulong),
    ]  # fmt: skip


class IdleMeter:
    """Asks X for the time since the last key or pointer movement (XScreenSaver)."""

    def __init__(self) -> None:
        """Open the display.

        Raises:
            DisplayUnreadable: if this system does not tell how long it has been idle.
        """
        problem = why_unreadable()
        if problem is not None:
            raise DisplayUnreadable(problem)
        try:
            self._x11, self._xss = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXss.so.1")
        except OSError:
            raise DisplayUnreadable("libXss is not installed (Debian: libxss1).") from None
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XDefaultRootWindow.restype = ctypes.c_ulong
        self._x11.XDefaultRootWindow.argtypes = [ctypes.c_void_p]
        self._x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
        self._xss.XScreenSaverQueryInfo.argtypes = [
            ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(_ScreenSaverInfo),
        ]  # fmt: skip
        self._info = _ScreenSaverInfo()

    def idle_ms(self) -> int:
        """Return the milliseconds since the last input.

        Each question opens the display anew: Xlib ends the process that holds a connection when the display goes.

        Raises:
            DisplayUnreadable: if the display is gone or has no such extension.
        """
        display = self._x11.XOpenDisplay(None)
        if not display:
            raise DisplayUnreadable("The display is gone.")
        try:
            root = self._x11.XDefaultRootWindow(display)
            if not self._xss.XScreenSaverQueryInfo(display, root, ctypes.byref(self._info)):
                raise DisplayUnreadable("This display has no XScreenSaver extension.")
            return int(self._info.idle)
        finally:
            self._x11.XCloseDisplay(display)
