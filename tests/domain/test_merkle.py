"""The tree: known roots, properties of proofs, and every malformed proof refused."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ProofError
from app.domain.merkle import (
    append_peak,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    root_of_peaks,
    verify_consistency,
    verify_inclusion,
)

# The tree of eight leaves that implementations of RFC 6962 test against.
LEAVES = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43",
          bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]  # fmt: skip
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 70)


def tree(size: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(size)]


def test_the_roots_are_those_of_the_standard() -> None:
    assert root_hash([]) == sha256(b"").digest()
    for size, root in enumerate(ROOTS, start=1):
        assert root_hash(HASHES[:size]).hex() == root


def test_a_leaf_never_passes_for_a_node() -> None:
    left, right = HASHES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


@given(st.data(), sizes)
def test_every_leaf_is_proved(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = tree(size)
    verify_inclusion(index, size, hashes[index], inclusion_proof(index, hashes), root_hash(hashes))


@given(st.data(), sizes)
def test_every_prefix_is_proved(data: st.DataObject, size: int) -> None:
    earlier = data.draw(st.integers(1, size))
    hashes = tree(size)
    proof = consistency_proof(earlier, hashes)
    verify_consistency(earlier, size, proof, root_hash(hashes[:earlier]), root_hash(hashes))


@given(sizes)
def test_the_compact_range_leads_to_the_same_root(size: int) -> None:
    peaks: tuple[bytes, ...] = ()
    for count, value in enumerate(tree(size)):
        peaks = append_peak(peaks, count, value)
    assert len(peaks) == size.bit_count()
    assert root_of_peaks(peaks) == root_hash(tree(size))


@given(st.data(), st.integers(2, 70))
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = tree(size)
    root, proof = root_hash(hashes), inclusion_proof(index, hashes)
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    wrong: list[tuple[int, int, bytes, list[bytes], bytes]] = [
        (other, size, hashes[index], proof, root),
        (index, size, hashes[other], proof, root),
        (index, size, hashes[index], proof[:-1], root),
        (index, size, hashes[index], [*proof, proof[0]], root),
        (index, size, hashes[index], [proof[0][:-1], *proof[1:]], root),
        (index, size, hashes[index][:-1], proof, root),
        (index, size, hashes[index], proof, root[:-1]),
        (index, size, hashes[index], proof, hashes[0]),
        (size, size, hashes[index], proof, root),
        (-1, size, hashes[index], proof, root),
        (index, 0, hashes[index], proof, root),
    ]
    if len(proof) > 1 and proof[0] != proof[-1]:
        wrong.append((index, size, hashes[index], proof[::-1], root))
    for arguments in wrong:
        with pytest.raises(ProofError):
            verify_inclusion(*arguments)


@given(st.data(), st.integers(2, 70))
def test_a_changed_consistency_proof_is_refused(data: st.DataObject, size: int) -> None:
    earlier = data.draw(st.integers(1, size - 1))
    hashes = tree(size)
    first, second = root_hash(hashes[:earlier]), root_hash(hashes)
    proof = consistency_proof(earlier, hashes)
    for arguments in (
        (0, size, proof, first, second),
        (size + 1, size, proof, first, second),
        (earlier, size, proof[:-1], first, second),
        (earlier, size, [*proof, hashes[0]], first, second),
        (earlier, size, [proof[0][:-1], *proof[1:]], first, second),
        (earlier, size, proof, second, second),
        (earlier, size, proof, first, first),
        (earlier, size, proof, first[:-1], second),
        (size, size, [hashes[0]], second, second),
        (size, size, [], first, second),
        (earlier, size, [], first, second),
    ):
        with pytest.raises(ProofError):
            verify_consistency(*arguments)


def test_proofs_of_what_is_not_there_are_refused() -> None:
    with pytest.raises(ProofError):
        inclusion_proof(8, HASHES)
    with pytest.raises(ProofError):
        consistency_proof(0, HASHES)
    with pytest.raises(ProofError):
        consistency_proof(9, HASHES)
