"""The signing key, and the sizes that were signed: two files outside the database (docs/record.md).

Rule 1: the key is created at the first start, mode 0600, and never leaves its file.
Rule 2: a released size is on disk before the checkpoint leaves the server.
Rule 3: a size gets smaller only by `reset`, which replaces the whole file: a torn line can never do it.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.domain.checkpoint import Checkpoint, checkpoint_text, key_id, parse_checkpoint, signed_note, verifier_key
from app.domain.checkpoint import room_origin as _room_origin
from app.domain.errors import ProofError, Unavailable


class Signer:
    """Signs checkpoints for `origin`, the name that was fixed when the key was made."""

    def __init__(self, key: Ed25519PrivateKey, origin: str) -> None:
        self.origin = origin
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    def derived_key(self, purpose: str) -> bytes:
        """Return 32 bytes for a purpose, by which what must be read again is encrypted (HKDF, RFC 5869).

        Whoever has the database alone cannot read it; a server that gets another key file cannot either.
        """
        secret = self._key.private_bytes_raw()
        return HKDF(SHA256(), 32, salt=None, info=f"workroom {purpose}".encode()).derive(secret)

    def verifier_key(self, room: str) -> str:
        """Return the key by which anybody can check a room's checkpoints."""
        return verifier_key(_room_origin(self.origin, room), self.public_key)

    def sign(self, room: str, size: int, root: bytes) -> bytes:
        """Return the signed checkpoint of a room."""
        name = _room_origin(self.origin, room)
        text = checkpoint_text(name, size, root)
        return signed_note(text, name, self.public_key, self._key.sign(text))

    def verify(self, note: bytes) -> tuple[str, int, bytes]:
        """Return origin, size and root of a checkpoint that this key signed.

        Raises:
            ProofError: if it is malformed or the signature does not hold.
        """
        checkpoint = verify_note(note, self.public_key)
        return checkpoint.origin, checkpoint.size, checkpoint.root


def verify_note(note: bytes, public_key: bytes) -> Checkpoint:
    """Return a checkpoint whose signature by `public_key`, named like its origin, holds.

    Raises:
        ProofError: if it is malformed or there is no such signature.
    """
    checkpoint = parse_checkpoint(note)
    wanted = (checkpoint.origin, key_id(checkpoint.origin, public_key))
    for name, identifier, signature in checkpoint.signatures:
        if (name, identifier) == wanted:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature, checkpoint.text)
            except InvalidSignature:
                break
            return checkpoint
    raise ProofError("The checkpoint is not signed by this server's key.")


def load_signer(path: Path, origin: str) -> Signer:
    """Read the key file, or make one for `origin`. A key that exists keeps the origin it was made for.

    Raises:
        ProofError: if the file holds no key.
    """
    if not path.exists():
        private = os.urandom(32)
        _write_private(path, f"{origin}\n{private.hex()}\n")
    name, _, encoded = path.read_text().strip().partition("\n")
    try:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(encoded))
    except ValueError:
        raise ProofError(f"{path} holds no signing key. Restore it from a backup.") from None
    return Signer(key, name)


class ReleasedSizes:
    """The largest size signed for each room, in an append-only file beside the key. One line a release."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = Lock()  # a line appended to a file that is being replaced would be lost
        self.sizes: dict[str, int] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                room, _, size = line.partition(" ")
                if size.isdecimal():  # a line torn by a crash was never released
                    self.sizes[room] = max(self.sizes.get(room, 0), int(size))
            _write_private(path, self._lines(self.sizes))  # compact: one line a room

    def release(self, sizes: dict[str, int]) -> None:
        """Write sizes durably; blocks for one fsync, so call it in a thread.

        Raises:
            Unavailable: if the disk does not take them; a torn line counts for nothing.
        """
        lines = self._lines(sizes).encode()
        with self._writing:
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    if os.write(descriptor, lines) != len(lines):
                        os.write(descriptor, b"\n")  # what follows begins a line of its own
                        raise Unavailable()
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise Unavailable() from error
            self.sizes.update(sizes)

    def reset(self, room: str, size: int) -> None:
        """Go on from a smaller size, as the room's record says; blocks likewise."""
        with self._writing:
            changed = {**self.sizes, room: size}
            _write_private(self._path, self._lines(changed))
            self.sizes = changed

    @staticmethod
    def _lines(sizes: dict[str, int]) -> str:
        return "".join(f"{room} {size}\n" for room, size in sizes.items())


def _write_private(path: Path, text: str) -> None:
    """Replace a file by one that only we can read, durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
