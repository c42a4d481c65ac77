"""When a second place is asked because the first one is slow. Pure.

The delay is a quantile of how long the place usually takes to begin (Dean and Barroso, "The Tail at Scale",
2013): asking twice only the slowest few calls costs little and cuts the tail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

LEAST_SEEN = 20
"""With fewer measurements nobody knows what is slow."""


class HedgeRules(msgspec.Struct, frozen=True, kw_only=True):
    """`share` 0: never. Only `hedged` of `calls` so far may be asked twice."""

    share: float = 0.0
    quantile: float = 0.95
    least_s: float = 0.5


def hedge_after_s(
    history: Sequence[float], rules: HedgeRules, *, calls: int = 0, hedged: int = 0
) -> float | None:
    """Seconds after which to ask the next candidate, too; None: not at all.

    `history` are seconds to the first byte, of this place, the newest in any order.
    """
    if rules.share <= 0 or len(history) < LEAST_SEEN or hedged > rules.share * calls:
        return None
    at = math.ceil(rules.quantile * len(history)) - 1
    return max(rules.least_s, sorted(history)[min(max(at, 0), len(history) - 1)])
