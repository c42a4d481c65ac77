"""The Merkle tree of the log: hashes, roots and proofs as pure functions (RFC 6962 §2.1, RFC 9162 §2.1).

A *subtree* is complete and aligned: `(height, k)` covers the leaves `k * 2**height` up to
`(k + 1) * 2**height`. Every function that needs stored hashes takes a `Subtrees` function, so the same
code proves from tiles on disk, from memory, and in tests from a plain list. Tiles are in `tiles`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

Subtrees = Callable[[int, int], bytes]
"""`(height, k)` -> hash of that complete subtree."""


class ProofError(ValueError):
    """The proof does not prove what it claims; the text says which check failed."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The hash over 2**n sibling hashes, n >= 0."""
    level = list(hashes)
    while len(level) > 1:
        level = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]


def root(size: int, subtrees: Subtrees) -> bytes:
    """MTH of the first `size` leaves."""
    return _range_root(0, size, subtrees) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtrees: Subtrees) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 §2.1.1: from the leaf's sibling up to the root's child."""
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_root(middle, high, subtrees))
            high = middle
        else:
            path.append(_range_root(low, middle, subtrees))
            low = middle
    path.reverse()
    return path


def consistency_proof(old: int, new: int, subtrees: Subtrees) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962 §2.1.2; empty when `old` is 0 or equal to `new`."""
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves has no earlier tree of {old} leaves")
    path: list[bytes] = []
    if old in (0, new):
        return path
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_root(middle, high, subtrees))
            high = middle
        else:
            path.append(_range_root(low, middle, subtrees))
            low, whole = middle, False
    if not whole:
        path.append(_range_root(low, high, subtrees))
    path.reverse()
    return path


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that a proof implies (RFC 9162 §2.1.3.2). Raises ProofError when its shape is wrong."""
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    number, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if number & 1 or number == last:
            current = node_hash(sibling, current)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        number, last = number >> 1, last >> 1
    if last:
        raise ProofError("the inclusion proof is too short")
    return current


def check_consistency(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> None:
    """Check that the tree `new` (size, root) only appended to `old` (RFC 9162 §2.1.4.2).

    Raises ProofError when it did not, or when the proof's shape is wrong.
    """
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size > new_size:
        raise ProofError(f"the newer tree ({new_size}) is smaller than the older one ({old_size})")
    if old_size in (0, new_size):
        if proof or (old_size and old_root != new_root):
            raise ProofError("two trees of one size have different roots, or the proof is not empty")
        return
    hashes = list(proof)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofError("the consistency proof is empty")
    number, last = old_size - 1, new_size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old_implied = new_implied = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if number & 1 or number == last:
            old_implied, new_implied = node_hash(sibling, old_implied), node_hash(sibling, new_implied)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new_implied = node_hash(new_implied, sibling)
        number, last = number >> 1, last >> 1
    if last or old_implied != old_root or new_implied != new_root:
        raise ProofError("the newer tree does not continue the older one")


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (>= 2)."""
    return 1 << (count - 1).bit_length() - 1


def _range_root(low: int, high: int, subtrees: Subtrees) -> bytes:
    """MTH(D[low:high]) where the range is a right-ragged, aligned part of the tree, high > low."""
    parts: list[bytes] = []
    while low < high:
        height = (high - low).bit_length() - 1
        parts.append(subtrees(height, low >> height))
        low += 1 << height
    result = parts.pop()
    while parts:
        result = node_hash(parts.pop(), result)
    return result
