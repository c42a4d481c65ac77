"""What was saved: every call at the price that one model, the baseline, has for the same tokens. Pure.

Call by call, because tiers and hours of the day price calls and not sums. Tokens are taken as they were
counted; another model's tokenizer would count somewhat differently, and its answers have other lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from freehold.core.usage import Usage

Kind = Literal["cached", "local", "paid"]
"""An answer that was kept; a model server of ours; a provider."""


class Spent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call: when it began, who answered, what it cost and who says so."""

    at_ms: int
    provider: str
    deployment: str
    cost_nanos: int
    cost_state: str
    usage: Usage
    of_house: bool = False
    """The house made it for itself (to compare answers): it costs, and spares nobody a call."""

    @property
    def kind(self) -> Kind:
        """A provider's call that is free was answered by the cache: providers give nothing away unpriced."""
        if not self.provider:
            return "local"
        return "cached" if self.cost_state == "free" else "paid"


class Saved(msgspec.Struct, kw_only=True):
    """What one deployment's calls cost, and would have cost."""

    deployment: str
    kind: Kind
    calls: int = 0
    cost_nanos: int = 0
    baseline_nanos: int = 0

    @property
    def saved_nanos(self) -> int:
        """Negative when the baseline would have been cheaper."""
        return self.baseline_nanos - self.cost_nanos


class Savings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, the most saved first. Calls that cannot be compared are in no sum."""

    baseline: str
    rows: tuple[Saved, ...]
    unknown_calls: int = 0
    """Nobody knows what they cost."""

    @property
    def cost_nanos(self) -> int:
        return sum(row.cost_nanos for row in self.rows)

    @property
    def baseline_nanos(self) -> int:
        return sum(row.baseline_nanos for row in self.rows)

    @property
    def saved_nanos(self) -> int:
        return self.baseline_nanos - self.cost_nanos

    @property
    def share(self) -> float:
        """Of what the baseline would have cost; 0 when that is nothing."""
        return self.saved_nanos / self.baseline_nanos if self.baseline_nanos else 0.0


def savings(calls: Iterable[Spent], baseline: str, price: Callable[[Usage, int], int | None]) -> Savings:
    """`price` says what the baseline takes for a usage at a time; None when it has no price for it."""
    rows: dict[tuple[str, Kind], Saved] = {}
    unknown = 0
    for call in calls:
        if not (call.usage.input_total or call.usage.output_total):
            continue
        instead = 0 if call.of_house else price(call.usage, call.at_ms)
        if call.cost_state == "unknown" or instead is None:
            unknown += 1
            continue
        key = call.deployment, call.kind
        row = rows.get(key)
        if row is None:
            row = rows[key] = Saved(deployment=call.deployment, kind=call.kind)
        row.calls += 1
        row.cost_nanos += call.cost_nanos
        row.baseline_nanos += instead
    ordered = sorted(rows.values(), key=lambda row: (-row.saved_nanos, row.deployment, row.kind))
    return Savings(baseline=baseline, rows=tuple(ordered), unknown_calls=unknown)
