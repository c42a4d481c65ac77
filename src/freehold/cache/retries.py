"""Answers whose client went away: whoever repeats the request in the same session soon gets that answer.

An agent whose stream is cut posts the same turn again, blindly; Claude Code does so without streaming. So the
request is recognised by its key, which does not look at streaming. Sessions without a name have no retries:
nothing tells them from another call. Pure bookkeeping; time is passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from freehold.cache.flights import Flight

WINDOW_MS = 10_000
"""Agents post a cut turn again at once, or after a pause of at most 8 s (the vendors' own clients). A person
who stops an answer leaves in the same way, and pays for so long at most."""
_MOST = 256


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """An answer without its client, under way or whole."""

    key: bytes
    session: str
    flight: Flight
    until_ms: int


class Retries:
    """The owner of the orphans. `waiting` is the only question on the hot path."""

    def __init__(self, *, window_ms: int = WINDOW_MS) -> None:
        self._window_ms = window_ms
        self._orphans: OrderedDict[tuple[bytes, str], Orphan] = OrderedDict()
        self._sessions: dict[str, int] = {}

    def waiting(self, session: str) -> bool:
        """Whether a call of this session could be a retry: only then is its key worth making."""
        return session in self._sessions

    def left(self, key: bytes, session: str, flight: Flight, now_ms: int) -> Orphan | None:
        """The client of a call is gone: keep its answer for the retry, running or whole. None when the call
        names no session; then nothing is kept and the upstream is to be stopped."""
        if not session:
            return None
        orphan = Orphan(key=key, session=session, flight=flight, until_ms=now_ms + self._window_ms)
        self._forget((key, session))
        self._orphans[key, session] = orphan
        self._sessions[session] = self._sessions.get(session, 0) + 1
        return orphan

    def claim(self, key: bytes, session: str, now_ms: int) -> Orphan | None:
        """The answer that this call asks for again. It belongs to the caller from now on."""
        orphan = self._forget((key, session))
        return orphan if orphan is not None and orphan.until_ms > now_ms else None

    def due(self, now_ms: int) -> list[Orphan]:
        """Those for whom nobody came in time (or that are too many): their upstreams are to be stopped. For
        the sweep."""
        over = [orphan for orphan in self._orphans.values() if orphan.until_ms <= now_ms]
        spare = len(self._orphans) - len(over) - _MOST
        if spare > 0:
            over += [one for one in self._orphans.values() if one.until_ms > now_ms][:spare]
        for orphan in over:
            self._forget((orphan.key, orphan.session))
        return over

    def under_way(self) -> Sequence[Orphan]:
        """Those whose upstream still works."""
        return [orphan for orphan in self._orphans.values() if not orphan.flight.ending]

    def drop(self, orphan: Orphan) -> None:
        """Nobody shall get it."""
        if self._orphans.get((orphan.key, orphan.session)) is orphan:
            self._forget((orphan.key, orphan.session))

    def __len__(self) -> int:
        return len(self._orphans)

    def _forget(self, at: tuple[bytes, str]) -> Orphan | None:
        orphan = self._orphans.pop(at, None)
        if orphan is not None:
            left = self._sessions[orphan.session] - 1
            if left:
                self._sessions[orphan.session] = left
            else:
                del self._sessions[orphan.session]
        return orphan
