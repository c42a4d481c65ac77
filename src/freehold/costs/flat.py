"""What is paid by the month whatever is used: subscriptions, and machines rented by the hour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from freehold.core.config_budgets import nanos_of
from freehold.core.config_prices import SubscriptionConfig
from freehold.costs.windows import Span


class FlatCost(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription in one month, in nano-USD."""

    label: str
    provider: str
    server: str
    month_nanos: int
    """What is paid for the month: of a rented machine, for the hours until now."""
    until_now_nanos: int
    """The part of it that belongs to the time until now."""
    capped: bool
    """Its cap has been reached."""
    at_list_nanos: int
    """What the calls that it pays for would have cost at their prices."""


def flat_cost(
    subscription: SubscriptionConfig, month: Span, now_ms: int, hours: int, at_list_nanos: int
) -> FlatCost:
    """`hours`: those of the month in which the account or machine answered calls."""
    rent = hours * nanos_of(subscription.usd_per_hour)
    fee = nanos_of(subscription.usd_per_month)
    cap = None if subscription.cap_usd is None else nanos_of(subscription.cap_usd)
    passed = min(max(now_ms, month.start_ms), month.end_ms) - month.start_ms
    until_now = fee * passed // (month.end_ms - month.start_ms) + rent
    return FlatCost(
        label=subscription.label,
        provider=subscription.provider or "",
        server=subscription.server or "",
        month_nanos=_capped(fee + rent, cap),
        until_now_nanos=_capped(until_now, cap),
        capped=cap is not None and fee + rent >= cap,
        at_list_nanos=at_list_nanos,
    )


def shares(amount: int, weights: Iterable[int], total: int) -> Iterator[int]:
    """`amount` shared out by weights that add up to `total`, so that the shares add up to `amount`."""
    given = reached = 0
    for weight in weights:
        reached += weight
        until = amount * reached // total if total else 0
        yield until - given
        given = until


def _capped(nanos: int, cap: int | None) -> int:
    return nanos if cap is None else min(nanos, cap)
