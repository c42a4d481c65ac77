"""Trees that sort prompts into groups of prompts that are alike: a forest as a value, grown or looked up.

A tree asks one number of a prompt's vector at every branch and ends in a leaf. Each leaf is a group of
prompts; what is known of a deployment's success in a group is kept elsewhere (`estimator`). One walk per
prompt serves any number of deployments.

Growing follows extremely randomised trees (Geurts, Ernst and Wehenkel 2006, Machine Learning 63): at every
branch some numbers of the vector with a random cut each, the best of them taken. What chance is needed
comes from a seed, so the same samples grow the same forest.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from sys import byteorder
from typing import Literal

import msgspec


class Forest(msgspec.Struct, frozen=True):
    """Branches and leaves of all trees in one row. At node i: `asks[i]` < 0 is a leaf with number
    `next[i]`; else the vector's place `asks[i]` is compared with `cuts[i]`: go to `next[i]`, or one
    further when greater."""

    roots: tuple[int, ...] = ()
    asks: tuple[int, ...] = ()
    cuts: tuple[float, ...] = ()
    next: tuple[int, ...] = ()
    leaves: int = 0

    def groups(self, vector: Sequence[float]) -> tuple[int, ...]:
        """The leaf that the vector comes to, one per tree."""
        asks, cuts, following = self.asks, self.cuts, self.next
        found: list[int] = []
        for root in self.roots:
            node = root
            while (ask := asks[node]) >= 0:
                node = following[node] + (vector[ask] > cuts[node])
            found.append(following[node])
        return tuple(found)


class PackedForest(msgspec.Struct, frozen=True):
    """A forest as bytes, little endian: 8 bits per question, 32 per cut and per place."""

    roots: bytes
    asks: bytes
    cuts: bytes
    next: bytes
    leaves: int


def pack(forest: Forest) -> PackedForest:
    return PackedForest(
        to_bytes("i", forest.roots),
        to_bytes("b", forest.asks),
        to_bytes("f", forest.cuts),
        to_bytes("i", forest.next),
        forest.leaves,
    )


def unpack(packed: PackedForest) -> Forest:
    return Forest(
        tuple(whole("i", packed.roots)),
        tuple(whole("b", packed.asks)),
        tuple(floats(packed.cuts)),
        tuple(whole("i", packed.next)),
        packed.leaves,
    )


def to_bytes(kind: Literal["b", "i", "f"], numbers: Iterable[float]) -> bytes:
    """Numbers as bytes, little endian: b 8 bits, i 32 bits, f 32 bits with a point."""
    row = array("f", numbers) if kind == "f" else array(kind, map(int, numbers))
    if byteorder == "big":
        row.byteswap()
    return row.tobytes()


def whole(kind: Literal["b", "i"], data: bytes) -> Sequence[int]:
    row = array(kind, data)
    if byteorder == "big":
        row.byteswap()
    return row


def floats(data: bytes) -> Sequence[float]:
    row = array("f", data)
    if byteorder == "big":
        row.byteswap()
    return row


class Growth(msgspec.Struct, frozen=True):
    """How a forest is grown. `tried`: places of the vector looked at per branch; `most_rows`: samples per
    tree (drawn anew for each); `smallest`: the fewest samples in a leaf."""

    trees: int = 48
    tried: int = 24
    smallest: int = 6
    most_rows: int = 2000
    deepest: int = 14


GROUPS = 3
"""Residuals are kept apart for weak, middling and strong deployments, so that a branch may also part the
prompts where only some deployments fail."""

_STEP_BITS = 32
_MASK = (1 << _STEP_BITS) - 1
_SCALE = 1 << 10


class Residual(msgspec.Struct, frozen=True):
    """How much better or worse than expected the answers to one prompt were: per group of deployments the
    sum of (quality - expected) and how many there were."""

    sums: tuple[float, float, float]
    counts: tuple[int, int, int]


def grow(
    vectors: Sequence[Sequence[float]], residuals: Sequence[Residual], growth: Growth, seed: int
) -> Forest:
    """A forest over the samples. `vectors` and `residuals` go together. No samples: no trees."""
    if not vectors:
        return Forest()
    return _Grower(vectors, [_packed(r) for r in residuals], growth, seed).forest()


def _packed(residual: Residual) -> int:
    """All six numbers in one integer (each in its own 32 bits), so that a branch adds them up at once."""
    packed = 0
    for total, count in zip(residual.sums, residual.counts, strict=True):
        packed = packed << _STEP_BITS | round((total + count) * _SCALE)
        packed = packed << _STEP_BITS | count
    return packed


def _scores(packed: int) -> float:
    """Sum over the groups of (sum of residuals)^2 / count: what is explained by giving these samples a mean
    of their own."""
    score = 0.0
    for _ in range(GROUPS):
        count = packed & _MASK
        packed >>= _STEP_BITS
        if count:
            total = (packed & _MASK) / _SCALE - count
            score += total * total / count
        packed >>= _STEP_BITS
    return score


class _Grower:
    """Grows one forest. Everything it keeps ends with the growing."""

    def __init__(
        self, vectors: Sequence[Sequence[float]], packed: list[int], growth: Growth, seed: int
    ) -> None:
        self._columns = [list(column) for column in zip(*vectors, strict=True)]
        self._packed, self._growth = packed, growth
        self._chance = chances(seed)
        self._asks: list[int] = []
        self._cuts: list[float] = []
        self._next: list[int] = []
        self._leaves = 0

    def forest(self) -> Forest:
        roots: list[int] = []
        for _ in range(self._growth.trees):
            roots.append(self._room(1))
            self._tree(roots[-1], self._drawn())
        return Forest(tuple(roots), tuple(self._asks), tuple(self._cuts), tuple(self._next), self._leaves)

    def _room(self, nodes: int) -> int:
        """Where that many new nodes begin."""
        first = len(self._asks)
        self._asks += [-1] * nodes
        self._cuts += [0.0] * nodes
        self._next += [0] * nodes
        return first

    def _drawn(self) -> list[int]:
        """Samples of one tree: all, or as many different ones as allowed."""
        rows = list(range(len(self._packed)))
        most = self._growth.most_rows
        if len(rows) <= most:
            return rows
        for place in range(most):
            other = place + int(next(self._chance) * (len(rows) - place))
            rows[place], rows[other] = rows[other], rows[place]
        return rows[:most]

    def _tree(self, root: int, rows: list[int]) -> None:
        waiting = [(root, rows, 0)]
        while waiting:
            node, rows, depth = waiting.pop()
            parted = self._parted(rows) if depth < self._growth.deepest else None
            if parted is None:
                self._next[node] = self._leaves
                self._leaves += 1
                continue
            ask, cut, low, high = parted
            first = self._room(2)
            self._asks[node], self._cuts[node], self._next[node] = ask, cut, first
            waiting += [(first, low, depth + 1), (first + 1, high, depth + 1)]

    def _parted(self, rows: list[int]) -> tuple[int, float, list[int], list[int]] | None:
        """The best of the branches tried, or None: too few samples, or nothing parts them."""
        smallest, packed, columns = self._growth.smallest, self._packed, self._columns
        if len(rows) < 2 * smallest:
            return None
        whole = sum(map(packed.__getitem__, rows))
        best, chosen = _scores(whole) + 1e-9, None
        for _ in range(self._growth.tried):
            ask = int(next(self._chance) * len(columns))
            column = columns[ask]
            values = [column[row] for row in rows]
            least, most = min(values), max(values)
            if least == most:
                continue
            cut = least + next(self._chance) * (most - least)
            low = [row for row, value in zip(rows, values, strict=True) if value <= cut]
            if not smallest <= len(low) <= len(rows) - smallest:
                continue
            part = sum(map(packed.__getitem__, low))
            score = _scores(part) + _scores(whole - part)
            if score > best:
                best, chosen = score, (ask, cut, low)
        if chosen is None:
            return None
        ask, cut, low = chosen
        column = columns[ask]
        return ask, cut, low, [row for row in rows if column[row] > cut]


def chances(seed: int) -> Iterator[float]:
    """Evenly spread numbers in [0, 1) that follow from the seed (splitmix64, Steele et al. 2014)."""
    whole = (1 << 64) - 1
    state = seed & whole
    while True:
        state = (state + 0x9E3779B97F4A7C15) & whole
        mixed = state
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & whole
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & whole
        yield ((mixed ^ mixed >> 31) >> 11) / (1 << 53)
