"""Answers in memory: the most recently used ones, bounded in number and in bytes. Never waits, never forgets
to forget: nothing older than its time is given out. Time is passed in."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from freehold.cache.stored import Stored

_TICK_MS = 60_000


class MemoryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How full it is, and what became of what was asked for and put in."""

    entries: int
    bytes: int
    hits: int
    misses: int
    stored: int
    evicted: int
    expired: int


class AnswerMemory:
    """The owner of the answers in memory."""

    def __init__(self, *, entries: int, most_bytes: int) -> None:
        self._entries = entries
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[bytes, Stored] = OrderedDict()
        self._hits = self._misses = self._stored = self._evicted = self._expired = 0

    def get(self, key: bytes, now_ms: int) -> Stored | None:
        """The answer kept under `key`, if its time is not over."""
        found = self._answers.get(key)
        if found is None:
            self._misses += 1
            return None
        if found.expires_ms <= now_ms or found.stored_ms > now_ms + _TICK_MS:  # the clock was set back
            self._drop(key)
            self._expired += 1
            self._misses += 1
            return None
        self._answers.move_to_end(key)
        self._hits += 1
        return found

    def put(self, key: bytes, answer: Stored) -> bool:
        """Keep an answer in the place of an older one; False when it alone is larger than all may be."""
        self._drop(key)
        if answer.size_bytes > self._most_bytes:
            return False
        self._answers[key] = answer
        self._bytes += answer.size_bytes
        self._stored += 1
        while len(self._answers) > self._entries or self._bytes > self._most_bytes:
            self._drop(next(iter(self._answers)))
            self._evicted += 1
        return True

    def forget(self, key: bytes) -> None:
        """Drop one answer, if there."""
        self._drop(key)

    def clear(self) -> int:
        """Drop all; returns how many there were."""
        count = len(self._answers)
        self._answers.clear()
        self._bytes = 0
        return count

    def counts(self) -> MemoryCounts:
        return MemoryCounts(
            entries=len(self._answers),
            bytes=self._bytes,
            hits=self._hits,
            misses=self._misses,
            stored=self._stored,
            evicted=self._evicted,
            expired=self._expired,
        )

    def _drop(self, key: bytes) -> None:
        found = self._answers.pop(key, None)
        if found is not None:
            self._bytes -= found.size_bytes
