"""Calls under way that others may share: identical requests have one upstream. Pure bookkeeping, no clock.

The first of equal requests leads: its answer is recorded as it goes to its client. The others follow: they
get what was recorded so far, then every piece as it comes. A follower is told of the end; if there is none,
it goes its own way. Requests are equal when their bytes are, which costs one comparison with those of the
same length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from freehold.cache.stored import Header


class Follower(Protocol):
    """A call that takes part in another one's answer. All calls come from within the leader's own."""

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        """Once, before any piece."""
        ...

    def answer_piece(self, data: bytes) -> None:
        """More of the body, as the leader's client gets it."""
        ...

    def answer_whole(self) -> None:
        """That was all, and it was a good answer."""
        ...

    def answer_lost(self, reason: str) -> None:
        """There will be no more. Before `answer_began` the follower may do its own call."""
        ...


class Sameness(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal beside the body: whose it is, and what the head asks for."""

    target: bytes
    scope: bytes
    route: bytes
    headers: bytes
    session: str = ""
    """Empty where calls of different sessions may share."""


class Flight:
    """One answer under way: what its client got so far, and who else listens."""

    __slots__ = (
        "_followers",
        "_pieces",
        "body",
        "bytes",
        "ended",
        "headers",
        "leading",
        "sameness",
        "status",
    )

    def __init__(self, body: bytes, sameness: Sameness) -> None:
        self.body = body
        self.sameness = sameness
        self.status = 0
        self.headers: tuple[Header, ...] = ()
        self.leading = True
        """The call that leads still has a client of its own."""
        self.ended = False
        self.bytes = 0
        self._pieces: list[bytes] = []
        self._followers: list[Follower] = []

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for more: as long as this is so, the upstream goes on."""
        return self.leading or bool(self._followers)

    @property
    def shared(self) -> int:
        """How many follow."""
        return len(self._followers)

    def recorded(self) -> bytes:
        """The body so far."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def follow(self, follower: Follower) -> None:
        """Give `follower` what there is, and what will come."""
        self._followers.append(follower)
        if self.status:
            follower.answer_began(self.status, self.headers)
            if self._pieces:
                follower.answer_piece(self.recorded())

    def leave(self, follower: Follower) -> bool:
        """`follower` waits no longer. Returns whether anybody still does."""
        if follower in self._followers:
            self._followers.remove(follower)
        return self.wanted

    def began(self, status: int, headers: Sequence[Header]) -> None:
        self.status = status
        self.headers = tuple(headers)
        for follower in tuple(self._followers):
            follower.answer_began(status, self.headers)

    def piece(self, data: bytes) -> None:
        self._pieces.append(data)
        self.bytes += len(data)
        for follower in tuple(self._followers):
            follower.answer_piece(data)

    def whole(self) -> None:
        """The answer is complete."""
        for follower in self._end():
            follower.answer_whole()

    def lost(self, reason: str) -> None:
        """The answer will not be complete."""
        for follower in self._end():
            follower.answer_lost(reason)

    def _end(self) -> list[Follower]:
        self.ended = True
        followers, self._followers = self._followers, []
        return followers


class Flights:
    """The owner of all flights; O(1) for a request that nobody else makes."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[Flight]] = {}

    def find(self, body: bytes, sameness: Sameness) -> Flight | None:
        """The flight of an equal request, if one is under way."""
        for flight in self._by_length.get(len(body), ()):
            if not flight.ended and flight.body == body and flight.sameness == sameness:
                return flight
        return None

    def may_match(self, body: bytes) -> bool:
        """Whether a request of the same length is under way: the cheap question before the others."""
        return len(body) in self._by_length

    def open(self, body: bytes, sameness: Sameness) -> Flight:
        """A new flight, led by the caller."""
        flight = Flight(body, sameness)
        self._by_length.setdefault(len(body), []).append(flight)
        return flight

    def close(self, flight: Flight) -> None:
        """The flight is over: nobody can join any more."""
        alike = self._by_length.get(len(flight.body))
        if alike and flight in alike:
            alike.remove(flight)
            if not alike:
                del self._by_length[len(flight.body)]

    def __len__(self) -> int:
        return sum(map(len, self._by_length.values()))
