"""Canonical JSON, leaf and disclosure; checkpoints and receipts as text."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.domain.checkpoint import (
    checkpoint_text,
    parse_checkpoint,
    parse_receipt,
    parse_verifier_key,
    receipt_text,
    signed_note,
    verifier_key,
)
from app.domain.errors import InvalidBody, ProofError, TooLarge
from app.domain.record import Draft, base64url, canonical, check_profile, commitment, disclosure_bytes, leaf_bytes

ROOM = "0" * 26
keys = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_within_the_profile_our_json_is_rfc_8785(value: Any) -> None:
    check_profile(value)
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [1.5, 2**53, -(2**53), {"Key": 1}, {"": 1}, {"a": {1, 2}}, [float("nan")], {"a": b"bytes"}]
)
def test_what_has_no_one_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidBody):
        check_profile(value)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidBody):
        canonical({"text": "\ud83d"})


def test_a_leaf_holds_what_a_verifier_needs_and_nothing_that_leaks() -> None:
    salt, body = bytes(32), {"text": "Hello"}
    disclosure = disclosure_bytes(ROOM, 17, salt, body)
    assert disclosure == f'["{base64url(salt)}","{ROOM}/17",{{"text":"Hello"}}]'.encode()
    leaf = leaf_bytes(
        Draft(ROOM, "message", "p2", body, ref=16, cid="abc"), 17, 1_791_965_730_123, commitment(disclosure)
    )
    assert json.loads(leaf) == {
        "at": "2026-10-14T08:15:30.123Z", "by": "p2", "cid": "abc", "commit": base64url(sha256(disclosure).digest()),
        "kind": "message", "ref": 16, "room": ROOM, "seq": 17, "v": 1,
    }  # fmt: skip
    assert b"Hello" not in leaf


def test_a_leaf_is_under_a_kibibyte() -> None:
    with pytest.raises(TooLarge):
        leaf_bytes(Draft(ROOM, "message", "p1", {}, cid="x" * 1000), 0, 0, "c" * 43)


ROOT = sha256(b"root").digest()
NAME = f"example.org/room/{ROOM}"
NOTE = signed_note(checkpoint_text(NAME, 12, ROOT), NAME, bytes(32), b"s" * 64)


def test_a_checkpoint_reads_as_it_was_written() -> None:
    checkpoint = parse_checkpoint(NOTE)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (NAME, 12, ROOT)
    assert checkpoint.text == checkpoint_text(NAME, 12, ROOT)
    assert [name for name, _, _ in checkpoint.signatures] == [NAME]


@pytest.mark.parametrize(
    "note",
    [
        b"", b"\n\n", NOTE[:-1], NOTE.replace(b"\n12\n", b"\n012\n"), NOTE.replace(b"\n12\n", b"\n-1\n"),
        NOTE.replace(b"\n12\n", b"\n12\nextension\n"), NOTE.partition(b"\n\n")[0] + b"\n", b"\xff" + NOTE,
        NOTE.replace("—".encode(), b"-"), NOTE.replace(b"\n12\n", b"\n12\nAAAA\n", 1),
    ],
)  # fmt: skip
def test_a_malformed_checkpoint_is_refused(note: bytes) -> None:
    with pytest.raises(ProofError):
        parse_checkpoint(note)


def test_a_verifier_key_names_its_key() -> None:
    text = verifier_key(NAME, bytes(range(32)))
    assert parse_verifier_key(text) == (NAME, bytes(range(32)))
    for wrong in ("", "name", text[:-4], text.replace("+", "-"), text.replace("example", "other")):
        with pytest.raises(ProofError):
            parse_verifier_key(wrong)


def test_a_receipt_reads_as_it_was_written() -> None:
    text = receipt_text(3, b'{"seq":3}', [ROOT, ROOT], NOTE)
    assert parse_receipt(text) == (3, b'{"seq":3}', [ROOT, ROOT], NOTE)
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
    for wrong in ("", text[5:], text.replace("index 3", "index x"), text.replace("extra ", "more ")):
        with pytest.raises(ProofError):
            parse_receipt(wrong)
