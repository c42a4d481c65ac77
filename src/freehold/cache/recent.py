"""Requests that came again byte for byte: recognised without reading them. Pure bookkeeping, in memory.

Canonical JSON and a keyed hash cost microseconds per kilobyte; comparing bytes costs a thousandth of that.
Who asks the same again mostly sends the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict

from freehold.cache.keys import Asked

_TAIL_BYTES = 96
_Mark = tuple[str, bytes, bytes, bytes, int, bytes]


class RecentBodies:
    """Bodies and the keys under which their answers are kept: the most recently used, bounded in bytes."""

    __slots__ = ("_bytes", "_known", "_most_bytes")

    def __init__(self, most_bytes: int = 8 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[_Mark, tuple[bytes, bytes]] = OrderedDict()

    def find(self, asked: Asked) -> bytes | None:
        """The key of these very bytes, asked for by the same caller of the same places."""
        mark = _mark(asked)
        known = self._known.get(mark)
        if known is None or known[0] != asked.body:
            return None
        self._known.move_to_end(mark)
        return known[1]

    def remember(self, asked: Asked, key: bytes) -> None:
        """These bytes have this key."""
        mark = _mark(asked)
        before = self._known.pop(mark, None)
        if before is not None:
            self._bytes -= len(before[0])
        if len(asked.body) > self._most_bytes:
            return
        self._known[mark] = (asked.body, key)
        self._bytes += len(asked.body)
        while self._bytes > self._most_bytes:
            _, (body, _) = self._known.popitem(last=False)
            self._bytes -= len(body)

    def clear(self) -> None:
        self._known.clear()
        self._bytes = 0


def _mark(asked: Asked) -> _Mark:
    """Where to look: not proof of anything, the bodies are compared."""
    body = asked.body
    return asked.endpoint, asked.scope, asked.route, asked.headers, len(body), body[-_TAIL_BYTES:]
