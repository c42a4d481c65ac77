"""Which earlier question means the same as this one: by vectors, under guard. In memory, bounded, no clock.

Only questions with the same surroundings and the same hard facts (`guard.signature`) are compared at all, so
the lists are short and a plain loop over them is fast.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import msgspec

from freehold.cache.guard import Reading, conflict, signature
from freehold.cache.vectors import Vector, cosine

_Place = tuple[bytes, tuple[object, ...]]


class Alike(NamedTuple):
    """The kept answer of a question that means the same. `likeness` is a cosine."""

    key: bytes
    likeness: float


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    reading: Reading
    vector: Vector
    expires_ms: int


class QuestionIndex:
    """The owner of the remembered questions."""

    def __init__(self, *, entries: int, threshold: float, meaning: bool) -> None:
        """`meaning`: the vectors come from a model; without one the words themselves must agree."""
        self._entries = entries
        self._threshold = threshold
        self._meaning = meaning
        self._places: dict[_Place, dict[bytes, _Entry]] = {}
        self._order: OrderedDict[bytes, _Place] = OrderedDict()
        """Where each key's question stands; the least recently used first."""

    def __len__(self) -> int:
        return len(self._order)

    def may_find(self, context: bytes, reading: Reading, now_ms: int) -> bool:
        """Whether any question is comparable at all: else no vector needs to be made."""
        entries = self._places.get(self._place(context, reading), {})
        return any(entry.expires_ms > now_ms for entry in entries.values())

    def find(self, context: bytes, reading: Reading, vector: Vector, now_ms: int) -> Alike | None:
        """The most similar question above the threshold, whose time is not over and which does not differ in
        anything that matters."""
        best: Alike | None = None
        for key, entry in list(self._places.get(self._place(context, reading), {}).items()):
            if entry.expires_ms <= now_ms:
                self.forget(key)
                continue
            likeness = min(cosine(vector, entry.vector), 1.0)
            if likeness < self._threshold or (best is not None and likeness <= best.likeness):
                continue
            if not conflict(reading, entry.reading, meaning=self._meaning):
                best = Alike(key, likeness)
        if best is not None:
            self._order.move_to_end(best.key)
        return best

    def put(self, context: bytes, reading: Reading, vector: Vector, key: bytes, expires_ms: int) -> None:
        """Remember a question whose answer is kept under `key`."""
        self.forget(key)
        place = self._place(context, reading)
        entry = _Entry(reading=reading, vector=vector, expires_ms=expires_ms)
        self._places.setdefault(place, {})[key] = entry
        self._order[key] = place
        while len(self._order) > self._entries:
            self.forget(next(iter(self._order)))

    def forget(self, key: bytes) -> None:
        """Drop a question, if there."""
        place = self._order.pop(key, None)
        if place is None:
            return
        entries = self._places[place]
        del entries[key]
        if not entries:
            del self._places[place]

    def clear(self) -> None:
        self._places.clear()
        self._order.clear()

    def _place(self, context: bytes, reading: Reading) -> _Place:
        return context, signature(reading, meaning=self._meaning)
