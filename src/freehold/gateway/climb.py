"""What a call remembers for which the router chose: its words, and the answers that were not good enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.routing.router import Routed
from freehold.routing.shadow import ShadowPlan

if TYPE_CHECKING:
    from freehold.gateway.checking import Checking
    from freehold.routing.learn.answers import GivenAnswer


class Climb:
    """`failed`: whose answers were not good enough."""

    __slots__ = ("checking", "failed", "final", "given", "routed", "shadow")

    def __init__(self, routed: Routed) -> None:
        self.routed = routed
        self.final = False
        """There is no better answer to be had: the next one is passed on as it is."""
        self.failed: tuple[str, ...] = ()
        self.shadow: ShadowPlan | None = None
        """Its answer is wanted, to be compared."""
        self.given: tuple[GivenAnswer, ...] = ()
        """Answers that are held against each other."""
        self.checking: Checking | None = None
        """A whole answer is held until it has been checked."""
