"""The tree against a naive transcription of RFC 6962 §2.1, and proofs that must not prove anything else."""

from __future__ import annotations

import contextlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.merkle import (
    EMPTY_ROOT,
    ProofError,
    check_consistency,
    complete_root,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    root_from_inclusion,
)

LEAVES = [leaf_hash(bytes([number % 256, number // 256])) for number in range(600)]
sizes = st.integers(1, len(LEAVES))


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def subtrees(height: int, k: int) -> bytes:
    return complete_root(LEAVES[k << height : (k + 1) << height])


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root(0, subtrees) == EMPTY_ROOT == naive_root([])


@given(sizes)
def test_the_root_is_the_one_of_the_rfc(size: int) -> None:
    assert root(size, subtrees) == naive_root(LEAVES[:size])


@given(sizes, st.data())
def test_every_leaf_is_proven_by_its_path(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, subtrees)
    assert root_from_inclusion(LEAVES[index], index, size, path) == naive_root(LEAVES[:size])


@given(sizes, st.data())
def test_a_path_proves_no_other_leaf_and_no_other_place(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(
        st.integers(0, size - 1).filter(lambda number: number != index) if size > 1 else st.none()
    )
    path = inclusion_proof(index, size, subtrees)
    assert root_from_inclusion(leaf_hash(b"forged"), index, size, path) != naive_root(LEAVES[:size])
    if other is not None:
        with contextlib.suppress(ProofError):
            assert root_from_inclusion(LEAVES[index], other, size, path) != naive_root(LEAVES[:size])


@given(sizes, st.data())
def test_a_longer_tree_continues_a_shorter_one(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    proof = consistency_proof(old, new, subtrees)
    check_consistency((old, naive_root(LEAVES[:old])), (new, naive_root(LEAVES[:new])), proof)


@given(sizes.filter(lambda size: size > 1), st.data())
def test_a_changed_history_is_not_a_continuation(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    forged = [leaf_hash(b"forged"), *LEAVES[1:old]]
    proof = consistency_proof(old, new, subtrees)
    with pytest.raises(ProofError):
        check_consistency((old, naive_root(forged)), (new, naive_root(LEAVES[:new])), proof)


@pytest.mark.parametrize("change", [lambda path: path[:-1], lambda path: [*path, path[0]]])
def test_proofs_of_the_wrong_length_are_refused(change: object) -> None:
    path = inclusion_proof(5, 100, subtrees)
    with pytest.raises(ProofError):
        root_from_inclusion(LEAVES[5], 5, 100, change(path))  # type: ignore[operator]
    both = ((37, naive_root(LEAVES[:37])), (100, naive_root(LEAVES[:100])))
    with pytest.raises(ProofError):
        check_consistency(*both, change(consistency_proof(37, 100, subtrees)))  # type: ignore[operator]


def test_there_is_no_proof_for_what_is_not_in_the_tree() -> None:
    with pytest.raises(ProofError, match="leaf 7"):
        inclusion_proof(7, 7, subtrees)
    with pytest.raises(ProofError, match="no earlier tree"):
        consistency_proof(8, 7, subtrees)
    with pytest.raises(ProofError, match="smaller"):
        check_consistency((8, b""), (7, b""), [])
