"""What people call a browser, and its place in a list of sessions."""

from __future__ import annotations

# What a User-Agent header holds, and what people call it; the first that fits, since most claim to be others too.
_BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "CriOS/": "Chrome", "Safari/": "Safari"
}  # fmt: skip
_SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS X": "macOS",
    "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip
_PHONES = ("Android", "iPhone", "iPad")


def browser_name(user_agent: str) -> str:
    """Return what people call a browser, like "Firefox on Linux"; an unknown one by its own words."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or user_agent[:60] or "A browser that did not say which"


def is_phone(user_agent: str) -> bool:
    """Whether a browser runs on something that is held in the hand."""
    return any(mark in user_agent for mark in _PHONES)
