"""Outcomes in groups of alike prompts: how much better than expected, and how often."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import msgspec

from freehold.routing.learn.forest import floats, to_bytes


class Tally:
    """One sum and one count per group. Changed in place by its owner."""

    __slots__ = ("counts", "sums")

    def __init__(self, sums: array[float], counts: array[float]) -> None:
        self.sums, self.counts = sums, counts

    @classmethod
    def empty(cls, groups: int) -> Tally:
        return cls(array("d", bytes(8 * groups)), array("d", bytes(8 * groups)))

    def add(self, groups: Sequence[int], residual: float) -> None:
        """One outcome, in every group that its prompt belongs to."""
        sums, counts = self.sums, self.counts
        for group in groups:
            sums[group] += residual
            counts[group] += 1.0

    def shift(self, groups: Sequence[int], trust: float) -> float:
        """Mean over the groups of how much better than expected it went there, drawn towards nothing as if
        `trust` outcomes had been just as expected."""
        sums, counts = self.sums, self.counts
        return sum([sums[group] / (trust + counts[group]) for group in groups]) / max(len(groups), 1)

    def shift_beyond(self, groups: Sequence[int], trust: float, others: Tally, others_trust: float) -> float:
        """The same, beyond what `others` show there."""
        sums, counts, their_sums, their_counts = self.sums, self.counts, others.sums, others.counts
        found = [
            (sums[group] - counts[group] * their_sums[group] / (others_trust + their_counts[group]))
            / (trust + counts[group])
            for group in groups
        ]
        return sum(found) / max(len(groups), 1)

    def trials(self, groups: Sequence[int]) -> float:
        """Outcomes per group, the mean of these groups."""
        return sum(map(self.counts.__getitem__, groups)) / max(len(groups), 1)


class PackedTally(msgspec.Struct, frozen=True):
    """A tally as bytes, 32 bits per number."""

    sums: bytes
    counts: bytes


def pack_tally(tally: Tally) -> PackedTally:
    return PackedTally(to_bytes("f", tally.sums), to_bytes("f", tally.counts))


def unpack_tally(packed: PackedTally) -> Tally:
    return Tally(array("d", floats(packed.sums)), array("d", floats(packed.counts)))
