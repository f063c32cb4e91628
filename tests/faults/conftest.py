"""Fixtures of the fault tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Watch nothing: here the server is another process, and the loop is the tests' own."""
