"""Who may answer a call, in the order in which they are tried, and how far the call has come with them."""

from __future__ import annotations

from freehold.core.catalog import Deployment


class Candidates:
    """`tries_here`: attempts at the current one. `max_wait_s`: how long the name that was asked for waits for
    a candidate while there is another one."""

    __slots__ = ("_at", "_places", "max_wait_s", "tries_here")

    def __init__(self, places: tuple[Deployment, ...], max_wait_s: float | None = None) -> None:
        self._places = places
        self._at = 0
        self.max_wait_s = max_wait_s
        self.tries_here = 0

    @property
    def current(self) -> Deployment:
        """The one that is being tried."""
        return self._places[self._at]

    @property
    def following(self) -> Deployment:
        """The next one; there must be `more`."""
        return self._places[self._at + 1]

    @property
    def more(self) -> bool:
        """Whether another one is left behind it."""
        return self._at + 1 < len(self._places)

    @property
    def has_ours(self) -> bool:
        """Whether a server of ours is left behind it."""
        return any(place.server is not None for place in self._places[self._at + 1 :])

    def go_on(self) -> None:
        """To the next one; there must be `more`."""
        self._at += 1
        self.tries_here = 0

    def follow_with(self, places: tuple[Deployment, ...]) -> None:
        """From now on these come behind the current one, and no others."""
        self._places = (*self._places[: self._at + 1], *places)

    def tried(self) -> tuple[str, ...]:
        """The names up to the current one."""
        return tuple([place.name for place in self._places[: self._at + 1]])
