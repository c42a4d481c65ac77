"""What the words of a prompt say, as a few numbers: hashed words, pairs and pieces looked up in a table.

A row of the table holds one small whole number per lane: directions in which prompts differ (found by
training) and the leaning to each kind of task. All lanes of a row are packed into one Python integer, so
that the rows of a prompt are added up by adding integers: a few hundred rows in some tens of microseconds,
without any array library. How the table comes about: `benchmarks/router/train.py`.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from sys import byteorder
from zlib import crc32

import msgspec

SLOT_BITS = 14
SLOTS = 1 << SLOT_BITS
ZERO = 8
"""A lane's number is 0..15 (four bits on disk); this one stands for nothing."""
_LANE_BYTES = 2
"""Room for 4,095 rows of at most 15 in every lane; a sample of `signs.sample` has fewer tokens."""

MOST_WORDS = 640
_FRAME_HEAD, _FRAME_TAIL = 24, 12
_MOST_PIECES = 24
_MOST_KNOWN = 40_000
_SPLIT = re.compile(r"\w+|[^\w\s]")


def split(text: str) -> list[str]:
    """Words in small letters, numbers and single signs, in order."""
    return _SPLIT.findall(text.lower())[:MOST_WORDS]


def frame(words: list[str]) -> list[str]:
    """The first and the last words: there the task is told, between them stands the material."""
    if len(words) <= _FRAME_HEAD + _FRAME_TAIL:
        return words
    return words[:_FRAME_HEAD] + words[-_FRAME_TAIL:]


def slot(token: str) -> int:
    """Where a token's row stands. The same on every machine and in every run, unlike `hash`."""
    return crc32(token.encode("utf-8", "surrogatepass")) & (SLOTS - 1)


def pair_slot(first: int, second: int) -> int:
    """Where the row of two neighbouring words stands, from the rows of the words."""
    return (first * 0x9E37 + second * 31 + 7) & (SLOTS - 1)


def pieces(word: str) -> list[str]:
    """Pieces of four and five characters with the word's edges marked, for words unlike any seen."""
    if len(word) < 4:
        return []
    edged = f"<{word}>"
    inner = [edged[i : i + 5] for i in range(0, min(len(edged) - 4, 2 * _MOST_PIECES), 2)]
    return [edged[:4], edged[-4:], *inner]


def slots_of(words: Sequence[str]) -> list[int]:
    """Every row that these words touch, as `Lexicon.read` adds them up: what training counts."""
    own = [slot(word) for word in words]
    found = [row for word in set(words) for row in _touched(word)]
    found.extend({pair_slot(a, b) for a, b in pairwise(own)})
    return found


def _touched(word: str) -> set[int]:
    return {slot(word), *(slot(f"#{piece}") for piece in pieces(word))}


class Table(msgspec.Struct, frozen=True):
    """The table as it is shipped. `rows`: SLOTS x lanes half bytes; the last lane is the row's weight."""

    lanes: int
    scales: list[float]
    """Per lane: how much one step means."""
    rows: bytes


class Lexicon:
    """A table made ready to be added up. Not changed by use, but for the memory of words met before."""

    def __init__(self, table: Table) -> None:
        self.lanes = table.lanes
        self._scales = table.scales
        self._rows = _packed(table)
        self._known: dict[str, tuple[int, int, int]] = {}

    def read(self, words: Sequence[str]) -> list[float]:
        """The lanes' sums, each in its scale, divided by the length of the weights: one float per lane."""
        known = self._known
        found = [known.get(word) or self._meet(word) for word in words]
        own = [entry[0] for entry in found]
        pairs = {(a * 0x9E37 + b * 31 + 7) & (SLOTS - 1) for a, b in pairwise(own)}
        distinct = set(found)
        total = sum([entry[1] for entry in distinct])
        count = sum([entry[2] for entry in distinct]) + len(pairs)
        total += sum(map(self._rows.__getitem__, pairs))
        lanes = array("H", total.to_bytes(self.lanes * _LANE_BYTES, byteorder))
        weight = max(lanes[-1] * self._scales[-1], 1.0)
        unit = 1.0 / sqrt(weight)
        nothing = ZERO * count
        return [
            (lane - nothing) * scale * unit for lane, scale in zip(lanes[:-1], self._scales, strict=False)
        ]

    def _meet(self, word: str) -> tuple[int, int, int]:
        """Own row number, the sum of the word's rows, and how many they are."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        touched = _touched(word)
        entry = (slot(word), sum(map(self._rows.__getitem__, touched)), len(touched))
        self._known[word] = entry
        return entry


def _packed(table: Table) -> list[int]:
    """One integer per row, a lane every two bytes. Equal rows (most are empty) share one integer."""
    half, size = table.lanes // 2, _LANE_BYTES * table.lanes
    made: dict[bytes, int] = {}
    rows: list[int] = []
    for start in range(0, len(table.rows), half):
        row = table.rows[start : start + half]
        number = made.get(row)
        if number is None:
            spread = bytearray(size)
            spread[0 if byteorder == "little" else 1 :: 4] = bytes(byte & 15 for byte in row)
            spread[2 if byteorder == "little" else 3 :: 4] = bytes(byte >> 4 for byte in row)
            number = made[row] = int.from_bytes(spread, byteorder)
        rows.append(number)
    return rows
