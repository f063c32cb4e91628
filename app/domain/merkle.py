"""The Merkle tree of a record: hashes, proofs and their verification (RFC 6962 section 2.1, RFC 9162 section 2.1).

Rule 1: leaves are hashed behind 0x00 and nodes behind 0x01, so that neither passes for the other.
Rule 2: the left subtree is the largest power of two smaller than the size.
Rule 3: a verifier trusts nothing: every malformed proof raises ProofError.
All hashes are SHA-256, 32 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from app.domain.errors import ProofError

HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root_hash(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over `leaf_hashes`; of none, the hash of nothing."""
    peaks: tuple[bytes, ...] = ()
    for size, leaf in enumerate(leaf_hashes):
        peaks = append_peak(peaks, size, leaf)
    return root_of_peaks(peaks)


# The compact range: the roots of the perfect subtrees from left to right, one per set bit of the size.


def append_peak(peaks: tuple[bytes, ...], size: int, leaf: bytes) -> tuple[bytes, ...]:
    """Return the compact range of `size + 1` leaves from that of `size`: O(log size) hashes."""
    carried = leaf
    kept = len(peaks)
    while size & 1:
        kept -= 1
        carried = node_hash(peaks[kept], carried)
        size >>= 1
    return (*peaks[:kept], carried)


def root_of_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the root that a compact range stands for."""
    if not peaks:
        return sha256(b"").digest()
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of leaf `index`, from the leaf's sibling up (RFC 9162 section 2.1.3.1).

    Raises:
        ProofError: if the tree has no such leaf.
    """
    if not 0 <= index < len(leaf_hashes):
        raise ProofError("There is no leaf with this index in the tree.")
    path: list[bytes] = []
    start, size = 0, len(leaf_hashes)
    while size > 1:
        split = _split(size)
        if index < split:
            path.append(root_hash(leaf_hashes[start + split : start + size]))
            size = split
        else:
            path.append(root_hash(leaf_hashes[start : start + split]))
            start, size, index = start + split, size - split, index - split
    path.reverse()
    return path


def consistency_proof(size1: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Return the proof that the first `size1` leaves are a prefix of all (RFC 9162 section 2.1.4.1).

    Raises:
        ProofError: if `size1` is 0 or larger than the tree.
    """
    size = len(leaf_hashes)
    if not 0 < size1 <= size:
        raise ProofError("The earlier size must lie between 1 and the size of the tree.")
    path: list[bytes] = []
    start, whole = 0, True
    while size1 != size:
        split = _split(size)
        if size1 <= split:
            path.append(root_hash(leaf_hashes[start + split : start + size]))
            size = split
        else:
            path.append(root_hash(leaf_hashes[start : start + split]))
            start, size, size1, whole = start + split, size - split, size1 - split, False
    if not whole:
        path.append(root_hash(leaf_hashes[start : start + size]))
    path.reverse()
    return path


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with this hash stands at `index` in the tree of `size` leaves under `root`.

    Raises:
        ProofError: if it does not, or if anything is malformed (RFC 9162 section 2.1.3.2).
    """
    if not 0 <= index < size:
        raise ProofError("The index lies outside the tree.")
    _check_hashes(leaf_hash, root, *proof)
    fn, sn, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if sn == 0:
            raise ProofError("The proof is too long.")
        if fn & 1 or fn == sn:
            computed = node_hash(sibling, computed)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            computed = node_hash(computed, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("The proof is too short.")
    if computed != root:
        raise ProofError("The proof leads to another root.")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Check that the tree of `size2` leaves continues the tree of `size1`.

    Raises:
        ProofError: if it does not, or if anything is malformed; `size1 == 0` is an error (RFC 9162 section 2.1.4.2).
    """
    if not 0 < size1 <= size2:
        raise ProofError("The earlier size must lie between 1 and the later one.")
    _check_hashes(root1, root2, *proof)
    if size1 == size2:
        if proof:
            raise ProofError("Equal sizes need no proof.")
        if root1 != root2:
            raise ProofError("Two roots for the same size: the record was rewritten.")
        return
    path = list(proof)
    if size1 & (size1 - 1) == 0:
        path.insert(0, root1)
    if not path:
        raise ProofError("The proof is too short.")
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if sn == 0:
            raise ProofError("The proof is too long.")
        if fn & 1 or fn == sn:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("The proof is too short.")
    if first != root1 or second != root2:
        raise ProofError("The later record does not continue the earlier one.")


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError("A hash has 32 bytes.")
