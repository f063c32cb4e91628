"""Checkpoints and receipts as text: signed note v1, tlog-checkpoint v1, tlog-proof v1 (C2SP). Pure: no key, no signing.

Rule 1: the origin of a room is `<server origin>/room/<room id>`, and is the name of the key that signs it.
Rule 2: a checkpoint is origin, size and root, and no extension lines.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from app.domain.errors import ProofError
from app.domain.merkle import HASH_BYTES

ED25519 = b"\x01"  # the note signature type
DECIMAL_DIGITS_MAX = 16  # 2^53 - 1 has that many
_SIGNATURE = "— "


class Checkpoint(msgspec.Struct, frozen=True):
    """A parsed checkpoint. `signatures` are (key name, key id, signature bytes); none is verified yet."""

    origin: str
    size: int
    root: bytes
    text: bytes  # what the signatures sign
    signatures: tuple[tuple[str, bytes, bytes], ...]


def room_origin(server_origin: str, room: str) -> str:
    """Return the origin line of a room's checkpoints."""
    return f"{server_origin}/room/{room}"


def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """Return the text that is signed."""
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n".encode()


def key_id(name: str, public_key: bytes) -> bytes:
    """Return the four bytes by which a note names a key."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """Return a key as verifiers are given it: `<name>+<key id>+<base64>`."""
    return f"{name}+{key_id(name, public_key).hex()}+{b64encode(ED25519 + public_key).decode()}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """Return name and public key of a verifier key.

    Raises:
        ProofError: if it is malformed.
    """
    name, _, rest = text.partition("+")
    identifier, _, encoded = rest.partition("+")
    key = _base64(encoded)
    if not name or key[:1] != ED25519 or len(key) != 33 or key_id(name, key[1:]).hex() != identifier:
        raise ProofError("This is no Ed25519 verifier key.")
    return name, key[1:]


def signed_note(text: bytes, name: str, public_key: bytes, signature: bytes) -> bytes:
    """Return the note of `text` with one signature."""
    line = b64encode(key_id(name, public_key) + signature).decode()
    return text + f"\n{_SIGNATURE}{name} {line}\n".encode()


def parse_checkpoint(note: bytes) -> Checkpoint:
    """Take a checkpoint apart.

    Raises:
        ProofError: if it is malformed.
    """
    text, separator, tail = note.rpartition(b"\n\n")
    try:
        lines = text.decode().split("\n")
        signature_lines = tail.decode().splitlines()
    except UnicodeDecodeError:
        raise ProofError("A checkpoint is UTF-8 text.") from None
    if not separator or len(lines) != 3 or not signature_lines or not note.endswith(b"\n"):
        raise ProofError("A checkpoint has origin, size, root, an empty line and signatures.")
    origin, size_text, root_text = lines
    root = _base64(root_text)
    size = _decimal(size_text)
    if not origin or size is None:
        raise ProofError("The size of a checkpoint is a decimal number.")
    if len(root) != HASH_BYTES:
        raise ProofError("The root of a checkpoint has 32 bytes.")
    return Checkpoint(origin, size, root, text + b"\n", tuple(_signature(line) for line in signature_lines))


def receipt_text(index: int, leaf: bytes, proof: Sequence[bytes], note: bytes) -> str:
    """Return the receipt of an entry, a tlog-proof whose extra data is the leaf itself."""
    hashes = "".join(f"{b64encode(value).decode()}\n" for value in proof)
    head = f"c2sp.org/tlog-proof@v1\nextra {b64encode(leaf).decode()}\nindex {index}\n"
    return f"{head}{hashes}\n{note.decode()}"


def parse_receipt(text: str) -> tuple[int, bytes, list[bytes], bytes]:
    """Return index, leaf, proof and checkpoint note of a receipt.

    Raises:
        ProofError: if it is malformed.
    """
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise ProofError("This is no receipt: it must begin with c2sp.org/tlog-proof@v1.")
    extra, named = lines[1].partition(" "), lines[2].partition(" ")
    index = _decimal(named[2])
    if extra[0] != "extra" or named[0] != "index" or index is None:
        raise ProofError("A receipt names its leaf and its index.")
    return index, _base64(extra[2]), [_base64(line) for line in lines[3:]], note.encode()


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_SIGNATURE).rpartition(" ")
    data = _base64(encoded)
    if not line.startswith(_SIGNATURE) or not name or len(data) < 5:
        raise ProofError("A signature line names a key and holds its signature.")
    return name, data[:4], data[4:]


def _decimal(text: str) -> int | None:
    """Return the number, or None for what is not its one way of writing. A longer one would be no size of a tree."""
    if not (text.isascii() and text.isdecimal() and len(text) <= DECIMAL_DIGITS_MAX):
        return None
    return int(text) if str(int(text)) == text else None


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ProofError("This is not base64.") from None
