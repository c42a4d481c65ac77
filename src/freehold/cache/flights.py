"""Answers under way that others may share: identical requests have one upstream. Pure bookkeeping, no clock.

The first of equal requests leads: what its client gets is recorded. The others follow: each reads the record
at its own pace, so that a slow one holds up nobody. A follower is told when there is more, and of the end; if
the answer comes to nothing, it goes its own way. Requests of the same length are compared, byte by byte
first, so a request that nobody else makes costs one look into a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

from freehold.cache.keys import Form
from freehold.cache.stored import Header, Stored

About = tuple[object, ...]
"""What must be equal beside the body: whose request it is, and what its head asks for."""


class Follower(Protocol):
    """A call that takes part in another one's answer. It is called from within the leader's own."""

    def more(self) -> None:
        """The record has grown, or its head is there."""
        ...

    def ended(self) -> None:
        """There will be no more: `Flight.ending` says how it ended."""
        ...


class Leader(Protocol):
    """The call whose answer it is."""

    @property
    def answering(self) -> str:
        """The deployment that is asked."""
        ...

    @property
    def serving(self) -> str:
        """The server of ours that works on it now; empty when none does."""
        ...

    def replaced(self) -> None:
        """Its client has come again: the connection that it asked on is dead."""
        ...

    def nobody_waits(self) -> None:
        """Neither its own client nor a follower is there any more."""
        ...


class Flight:
    """One answer under way: what its client got so far, and who else reads it."""

    __slots__ = (
        "about",
        "body",
        "ending",
        "followers",
        "form",
        "headers",
        "key",
        "leader",
        "leading",
        "pieces",
        "reason",
        "receipt",
        "refusal",
        "status",
        "stored",
        "told",
    )

    def __init__(self, body: bytes, about: About, leader: Leader, receipt: str, pieces: list[bytes]) -> None:
        """`pieces` is the record, to which the leader appends. `receipt`: of the leader."""
        self.body = body
        self.about = about
        self.leader = leader
        self.receipt = receipt
        self.pieces = pieces
        self.key: bytes | None = None
        """Of the request, once somebody wanted to know it."""
        self.form: Form = "whole"
        """How the leader asked for it; set together with `key`."""
        self.status = 0
        self.headers: Sequence[Header] = ()
        self.leading = True
        """The call that leads still has a client of its own."""
        self.followers: list[Follower] = []
        self.ending: Literal["", "whole", "lost"] = ""
        self.reason = ""
        """Why it was lost."""
        self.told = False
        """The record says so itself."""
        self.refusal: Any = None
        """What the leader was told instead of an answer, where the same request would be told it again: the
        words of the gateway that made the flight."""
        self.stored: Stored | None = None
        """The answer, once it is whole."""

    def follow(self, follower: Follower) -> None:
        """From now on `follower` is told; what there is already it reads by itself."""
        if not self.ending:
            self.followers.append(follower)

    def leave(self, follower: Follower) -> None:
        """`follower` waits no longer. With nobody left the leader is told."""
        if follower in self.followers:
            self.followers.remove(follower)
            if not self.followers and not self.leading:
                self.leader.nobody_waits()

    def began(self, status: int, headers: Sequence[Header]) -> None:
        """The head is there. Only the first time counts."""
        if not self.status:
            self.status = status
            self.headers = headers

    def grown(self) -> None:
        """The record has more for those who read it."""
        for follower in tuple(self.followers):
            follower.more()

    def whole(self, stored: Stored) -> None:
        """The answer is complete."""
        self.stored = stored
        self._end("whole")

    def lost(self, reason: str, *, told: bool = False) -> None:
        """The answer will not be complete. `told`: the record ends with words that say so."""
        if not self.ending:
            self.reason, self.told = reason, told
        self._end("lost")

    def outgrew(self) -> None:
        """The answer is too large to be recorded."""
        self.lost("the answer is too large to be shared")

    def _end(self, how: Literal["whole", "lost"]) -> None:
        if self.ending:
            return
        self.ending = how
        followers, self.followers = self.followers, []
        for follower in followers:
            follower.ended()


class Flights:
    """The owner of all flights that can be joined; O(1) for a request that nobody else makes."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[Flight]] = {}

    def alike(self, body: bytes, about: About) -> Iterator[Flight]:
        """The flights whose request may be the same, those with the very same bytes first."""
        found = [one for one in self._by_length.get(len(body), ()) if one.about == about and not one.ending]
        yield from (one for one in found if one.body == body)
        yield from (one for one in found if one.body != body)

    def may_match(self, body: bytes) -> bool:
        """Whether a request of the same length is under way: the cheap question before the others."""
        return len(body) in self._by_length

    def open(self, flight: Flight) -> None:
        """From now on it can be joined."""
        self._by_length.setdefault(len(flight.body), []).append(flight)

    def close(self, flight: Flight) -> None:
        """Nobody can join it any more."""
        alike = self._by_length.get(len(flight.body))
        if alike and flight in alike:
            alike.remove(flight)
            if not alike:
                del self._by_length[len(flight.body)]

    def __len__(self) -> int:
        return sum(map(len, self._by_length.values()))
