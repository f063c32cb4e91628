"""Passwords outside of the tests are hashed as RFC 9106 recommends, however quickly tests hash theirs."""

from __future__ import annotations

import importlib.util

from app.services import passwords


def test_a_password_is_hashed_by_argon2id_with_64_mib_and_three_passes() -> None:
    spec = importlib.util.find_spec(passwords.__name__)
    assert spec is not None and spec.loader is not None
    real = importlib.util.module_from_spec(spec)  # as a server has it: the fixture changes the one that tests share
    spec.loader.exec_module(real)
    assert real._hasher.hash("correct horse").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
