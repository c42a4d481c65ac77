"""Texts as vectors, so that likeness is an angle: the port for an embedding model, and what does without one.

Without a model a text becomes hashed word and letter groups: it finds the same words in another dress, never
another wording, which is why `guard` then asks for the same words, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from operator import mul
from typing import Protocol
from zlib import crc32

Vector = tuple[float, ...]
"""Of length 1, so that a scalar product is a cosine."""

DIMENSIONS = 256
_WORD = re.compile(r"\w+")
_WHOLE_WORD, _LETTERS = 1.0, 0.35
_GROUP = 3


class Embedder(Protocol):
    """What makes vectors of texts."""

    @property
    def meaning(self) -> bool:
        """Whether likeness of vectors is likeness of meaning, rather than of words."""
        ...

    @property
    def threshold(self) -> float:
        """Cosine from which two texts count as alike, where nothing else is said."""
        ...

    def embed(self, text: str, then: Callable[[Vector | None], None]) -> Callable[[], object]:
        """Call `then` once with the vector, now or later on the loop; None when none can be had (soon).
        Returns a function after which `then` is not called any more."""
        ...


class WordVectors:
    """The embedder that needs no model."""

    meaning = False
    threshold = 0.3

    def embed(self, text: str, then: Callable[[Vector | None], None]) -> Callable[[], object]:
        then(word_vector(text))
        return _nothing


def word_vector(text: str) -> Vector:
    """Hashed words and groups of three letters of `text`, of length 1; all zero for a text without words."""
    sums = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        _add(sums, word, _WHOLE_WORD)
        framed = f"<{word}>"
        for at in range(len(framed) - _GROUP + 1):
            _add(sums, framed[at : at + _GROUP], _LETTERS)
    return normalised(sums)


def normalised(values: Iterable[float]) -> Vector:
    """The same direction with length 1; zeros stay."""
    found = tuple(values)
    length = math.sqrt(sum(map(mul, found, found)))
    return tuple(value / length for value in found) if length else found


def cosine(one: Vector, other: Vector) -> float:
    """Of two vectors of length 1; 0 when they are not of one kind."""
    return sum(map(mul, one, other)) if len(one) == len(other) else 0.0


def _add(sums: list[float], feature: str, weight: float) -> None:
    found = crc32(feature.encode())
    sums[found % DIMENSIONS] += weight if found & 0x10000 else -weight


def _nothing() -> None:
    """There is nothing to cancel."""
