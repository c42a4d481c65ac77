"""A byte-level BPE vocabulary: which tokens exist and in which order pairs are merged.

Learned from `words` as byte-pair encoding prescribes (Sennrich et al. 2016, on bytes as GPT-2 does it);
every tie is broken by text, so the same words always give the same merges. Nothing here knows GGUF.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import pairwise

from freehold.testing.tiny_model import words

MERGES = 3600
"""How many pairs are merged: the vocabulary's size is 256 bytes + these + what the scripts add."""

Pair = tuple[str, str]


def byte_letters() -> dict[int, str]:
    """The printable stand-in for each byte that byte-level vocabularies are spelled in (GPT-2's table):
    printable Latin-1 bytes stand for themselves, the rest for code points from 256 upward, in order."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in plain)
    table = {byte: chr(byte) for byte in plain}
    table.update({byte: chr(256 + n) for n, byte in enumerate(others)})
    return table


_LETTERS = byte_letters()


def spell(text: str) -> str:
    """`text` as the vocabulary writes it: one letter per UTF-8 byte."""
    return "".join(_LETTERS[byte] for byte in text.encode())


def weighted_units() -> Counter[str]:
    """The pieces to learn from, spelled, with weights that fall with rank (Zipf's law).

    A word counts most after a space; also bare (JSON keys), and capitalised (sentence starts).
    """
    units: Counter[str] = Counter()
    for rank, word in enumerate(dict.fromkeys(words.COMMON.split())):
        weight = 10_000_000 // (rank + 40)
        units[spell(" " + word)] += weight
        units[spell(word)] += weight // 3
        units[spell(" " + word.capitalize())] += weight // 12
        units[spell(word.capitalize())] += weight // 12
    for rank, run in enumerate(dict.fromkeys(words.PUNCTUATION.split())):
        weight = 10_000_000 // (rank + 20)
        units[spell(run)] += weight
        units[spell(" " + run)] += weight // 2
    for rank, run in enumerate(words.SPACES):
        units[spell(run)] += 1_000_000 // (rank + 1)
    return units


class _Learner:
    """Pair counts over all units, kept current while pairs are merged."""

    def __init__(self, units: Counter[str]) -> None:
        self.weights = list(units.values())
        self.spelling = [list(unit) for unit in units]
        self.counts: Counter[Pair] = Counter()
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)
        for unit in range(len(self.spelling)):
            self._count(unit, +1)
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def _count(self, unit: int, sign: int) -> set[Pair]:
        pairs = list(pairwise(self.spelling[unit]))
        for pair in pairs:
            self.counts[pair] += sign * self.weights[unit]
            if sign > 0:
                self.places[pair].add(unit)
        return set(pairs)

    def best(self) -> Pair | None:
        """The heaviest pair; of equals the first by text. The heap also holds outdated counts."""
        while self.heap:
            count, pair = heapq.heappop(self.heap)
            if count == -self.counts[pair] and count < 0:
                return pair
        return None

    def merge(self, pair: Pair) -> None:
        changed: set[Pair] = set()
        for unit in self.places.pop(pair):
            changed |= self._count(unit, -1)
            self.spelling[unit] = _joined(self.spelling[unit], pair)
            changed |= self._count(unit, +1)
        for other in changed - {pair}:
            heapq.heappush(self.heap, (-self.counts[other], other))


def _joined(letters: list[str], pair: Pair) -> list[str]:
    out: list[str] = []
    for letter in letters:
        if out and (out[-1], letter) == pair:
            out[-1] += letter
        else:
            out.append(letter)
    return out


def learn_merges(count: int = MERGES) -> list[Pair]:
    """Up to `count` merges, the most useful first. Deterministic."""
    learner = _Learner(weighted_units())
    merges: list[Pair] = []
    while len(merges) < count and (pair := learner.best()) is not None:
        learner.merge(pair)
        merges.append(pair)
    return merges


def base_tokens(merges: list[Pair]) -> list[str]:
    """The spelled tokens that a prompt can consist of: every byte, then the merged ones in order."""
    return list(dict.fromkeys([*(_LETTERS[b] for b in range(256)), *(a + b for a, b in merges)]))
