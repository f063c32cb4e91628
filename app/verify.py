"""Checking a receipt and the content it commits to, offline: what `python -m app verify` does (docs/record.md).

Rule 1: files and a key are all it needs: no server, no database, no settings.
Rule 2: one line for each check that holds; the first thing that is wrong ends it.
Rule 3: what was not checked is said, never passed over: without a key nothing is verified, since anybody can sign.
Rule 4: files come from strangers: nothing of theirs is printed that could steer a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.bodies.fields import Digest, Instant, Seq
from app.domain.checkpoint import (
    Checkpoint,
    parse_checkpoint,
    parse_receipt,
    parse_verifier_key,
    room_origin,
    verifier_key,
)
from app.domain.errors import ProofError
from app.domain.merkle import leaf_hash, verify_inclusion
from app.domain.record import base64url, base64url_bytes
from app.storage.keys import verify_note


class Leaf(msgspec.Struct, frozen=True):
    """The fixed part of an entry, as far as a verifier reads it."""

    v: int
    room: Annotated[str, Meta(pattern="^[0-9a-z]{26}$")]
    seq: Seq
    at: Instant
    by: Annotated[str, Meta(pattern="^(p|op)[0-9]{1,6}$|^sys$")]
    kind: Annotated[str, Meta(pattern="^[a-z_]+([.][a-z_]+)?$")]
    commit: Digest


def verify(receipt: bytes, content: bytes | None = None, key: str | None = None) -> Iterator[str]:
    """Check a receipt, and the disclosure and the verifier key where given; yield a line for each check that holds.

    Raises:
        ProofError: naming the first thing that is wrong; at the end, if no key was given.
    """
    index, leaf_as_stored, proof, note = _parsed(receipt)
    leaf = _leaf(leaf_as_stored)
    if leaf.seq != index:
        raise ProofError(f"receipt: its leaf is of entry {leaf.seq}, but it says {index}.")
    yield f"receipt: entry {leaf.seq} of workroom {leaf.room}, a `{leaf.kind}` by {leaf.by} at {leaf.at}"

    checkpoint = _checkpoint(note)
    if not checkpoint.origin.endswith(room_origin("", leaf.room)):
        raise ProofError(f"checkpoint: it is of {checkpoint.origin}, another workroom than the entry's.")
    yield f"checkpoint: {checkpoint.size} entries, of {checkpoint.origin}"

    try:
        verify_inclusion(index, checkpoint.size, leaf_hash(leaf_as_stored), proof, checkpoint.root)
    except ProofError as error:
        raise ProofError(f"inclusion: the entry is not in this checkpoint. {error}") from None
    yield f"inclusion: the leaf stands as number {index} under the checkpoint's root"

    yield _signature(checkpoint, note, key)
    if content is not None:
        yield _content(leaf, content)
    if key is None:
        raise ProofError("not verified: give --key with the verifier key that stands in the workroom's first entry.")


def _parsed(receipt: bytes) -> tuple[int, bytes, list[bytes], bytes]:
    try:
        return parse_receipt(receipt.decode())
    except UnicodeDecodeError:
        raise ProofError("receipt: a receipt is UTF-8 text.") from None
    except ProofError as error:
        raise ProofError(f"receipt: {error}") from None


def _leaf(stored: bytes) -> Leaf:
    try:
        leaf = msgspec.json.decode(stored, type=Leaf)
    except msgspec.DecodeError:  # a wrong field, too
        raise ProofError("receipt: its leaf is not that of an entry.") from None
    if leaf.v != 1:
        raise ProofError(f"receipt: its leaf is of format {leaf.v}, and this program knows format 1.")
    return leaf


def _checkpoint(note: bytes) -> Checkpoint:
    try:
        checkpoint = parse_checkpoint(note)
    except ProofError as error:
        raise ProofError(f"checkpoint: {error}") from None
    if not all(name.isprintable() for name in (checkpoint.origin, *(name for name, _, _ in checkpoint.signatures))):
        raise ProofError("checkpoint: a name in it holds characters that cannot be printed.")
    return checkpoint


def _signature(checkpoint: Checkpoint, note: bytes, key: str | None) -> str:
    if key is None:
        named = ", ".join(f"{name}+{identifier.hex()}" for name, identifier, _ in checkpoint.signatures)
        return f"signature: NOT checked against a known key, since none was given; the checkpoint names {named}"
    try:
        name, public_key = parse_verifier_key(key)
        if name != checkpoint.origin:
            raise ProofError(f"the key is of {name}, the checkpoint of {checkpoint.origin}.")
        verify_note(note, public_key)
    except ProofError as error:
        raise ProofError(f"signature: {error}") from None
    return f"signature: it is that of {verifier_key(name, public_key)}"


def _content(leaf: Leaf, content: bytes) -> str:
    if base64url(sha256(content).digest()) != leaf.commit:
        raise ProofError("content: it is not what the entry commits to; another entry's, or changed since.")
    try:
        salt, place, body = json.loads(content)
        base64url_bytes(salt)
    except (ValueError, TypeError, ProofError):
        raise ProofError("content: it is no disclosure of an entry.") from None
    if place != f"{leaf.room}/{leaf.seq}":
        raise ProofError("content: it says that it is of another entry.")
    told = json.dumps(body, ensure_ascii=False, sort_keys=True)
    return f"content: {told if told.isprintable() else json.dumps(body, sort_keys=True)}"
