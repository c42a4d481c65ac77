"""What a good answer cost: the cost of all judged answers over the number of good ones. Pure.

Bad answers cost money too, so they are in it: a cheap model that fails every other time costs twice as much.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

GOOD_PPM = 500_000
"""A score from here on (of a million) is a good answer."""


class Judged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call in the group `name`, and what was said of it; None: nothing."""

    name: str
    cost_nanos: int
    score_ppm: int | None


class OutcomeCost(msgspec.Struct, kw_only=True):
    """One group. Costs are nano-USD, of judged calls."""

    name: str
    judged: int = 0
    good: int = 0
    unjudged: int = 0
    cost_nanos: int = 0

    @property
    def nanos_per_good(self) -> int | None:
        """Rounded half up; None when no answer was good."""
        return (2 * self.cost_nanos + self.good) // (2 * self.good) if self.good else None


def per_outcome(calls: Iterable[Judged]) -> tuple[OutcomeCost, ...]:
    """Groups in which something was judged, the dearest good answers first, those without any at the end."""
    groups: dict[str, OutcomeCost] = {}
    for call in calls:
        group = groups.setdefault(call.name, OutcomeCost(name=call.name))
        if call.score_ppm is None:
            group.unjudged += 1
            continue
        group.judged += 1
        group.good += call.score_ppm >= GOOD_PPM
        group.cost_nanos += call.cost_nanos
    found = [group for group in groups.values() if group.judged]
    return tuple(sorted(found, key=lambda each: (each.good == 0, -(each.nanos_per_good or 0), each.name)))
