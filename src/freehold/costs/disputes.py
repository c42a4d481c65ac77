"""Where two price tables disagree: the same calls, priced by each, differ by more than half a percent. Pure.

A price that is in dispute is not wrong; it is one to look at. Sources are the table in use, older tables, the
prices of the configuration, and what the receipts say was computed then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from freehold.core.usage import Usage
from freehold.costs.terms import STANDARD, Terms

TOLERANCE = 200
"""One part in so many (0.5 %) is not worth a dispute: rounding, and tables with fewer digits."""


class Charged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call whose cost was computed from a price."""

    at_ms: int
    provider: str
    model: str
    cost_nanos: int
    usage: Usage
    terms: Terms = STANDARD


Price = Callable[[Charged], int | None]
"""In nano-USD; None when the source has no price for such a call."""


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A model whose price two sources give differently, over the same calls."""

    provider: str
    model: str
    calls: int
    receipts_nanos: int
    source: str
    source_nanos: int

    @property
    def ratio(self) -> float:
        """The source's figure over the receipts'; infinite where those say nothing."""
        return self.source_nanos / self.receipts_nanos if self.receipts_nanos else float("inf")


def differ(one_nanos: int, other_nanos: int) -> bool:
    """Whether two figures for the same are more than half a percent of the larger apart."""
    return abs(one_nanos - other_nanos) * TOLERANCE > max(one_nanos, other_nanos)


class _Sums(msgspec.Struct):
    calls: int = 0
    receipts: int = 0
    other: int = 0


def disputes(calls: Iterable[Charged], sources: Mapping[str, Price]) -> tuple[Dispute, ...]:
    """Every disagreement of a source with the receipts, the largest amounts first.

    A model that a source does not know is not in dispute with it.
    """
    sums: dict[tuple[str, str, str], _Sums] = {}
    for call in calls:
        for name, price in sources.items():
            other = price(call)
            if other is None:
                continue
            row = sums.setdefault((call.provider, call.model, name), _Sums())
            row.calls += 1
            row.receipts += call.cost_nanos
            row.other += other
    found = [
        Dispute(
            provider=provider,
            model=model,
            calls=row.calls,
            receipts_nanos=row.receipts,
            source=name,
            source_nanos=row.other,
        )
        for (provider, model, name), row in sums.items()
        if differ(row.receipts, row.other)
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.receipts_nanos - each.source_nanos)))
