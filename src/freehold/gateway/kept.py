"""What a call remembers of kept answers: that it looks for one, which one it got, or how its own is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freehold.cache.answers import Hit, Ticket


class Kept:
    """`ticket` keeps the answer of a model; `hit` is the answer that no model was asked for."""

    __slots__ = ("_stop", "hit", "searching", "ticket")

    def __init__(self, ticket: Ticket | None, hit: Hit | None) -> None:
        self.ticket = ticket
        self.hit = hit
        self.searching = False
        """An answer may still turn up."""
        self._stop: Callable[[], object] | None = None

    def search(self, stop: Callable[[], object]) -> None:
        """The search goes on; `stop` ends it."""
        if self.searching:
            self._stop = stop

    def found(self) -> None:
        """The search is over."""
        self.searching = False
        self._stop = None

    def stop(self) -> None:
        """Nobody waits for the search any more."""
        stop, self._stop = self._stop, None
        self.searching = False
        if stop is not None:
            stop()
