"""What a call remembers for which the router chose: its words, and the answers that were not good enough."""

from __future__ import annotations

from freehold.gateway.record import Measured
from freehold.routing.router import Routed
from freehold.routing.shadow import ShadowPlan


class Climb:
    """`earlier` is what the answers cost that were not good enough, `failed` whose they were."""

    __slots__ = ("earlier", "failed", "routed", "shadow")

    def __init__(self, routed: Routed) -> None:
        self.routed = routed
        self.earlier: list[Measured] = []
        self.failed: tuple[str, ...] = ()
        self.shadow: ShadowPlan | None = None
        """Its answer is wanted, to be compared."""
