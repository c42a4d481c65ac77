"""Which tier a deployment is in: as the configuration says, else by what it costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from freehold.core.catalog import Deployment
from freehold.core.config_routing import TIERS, Tier, TiersConfig
from freehold.routing.world import Rates

PREMIUM_NANOS = 2_500_000_000
"""From 2.5 USD for a million tokens on (`blended`), what is not sorted by anybody counts as premium."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that might take part."""

    deployment: Deployment
    rates: Rates | None = None
    in_house: bool = False
    """A server of ours, or a provider on our own machines."""


def sorted_out(configured: TiersConfig, offers: Iterable[Offer]) -> Mapping[str, Tier]:
    """By deployment: its tier; who is in none takes no part. Configured tiers are the whole truth: then only
    what they name takes part, in their order."""
    by_name = {offer.deployment.name: offer for offer in offers}
    named: dict[str, Tier] = {name: tier for tier, _, name in configured.named()}
    if named:
        return {name: tier for name, tier in named.items() if name in by_name}
    found: dict[str, Tier] = {name: _derived(offer) for name, offer in by_name.items()}
    return _with_a_top(found, by_name)


def _derived(offer: Offer) -> Tier:
    if offer.in_house:
        return "local"
    cost = blended(offer.rates)
    return "premium" if cost is not None and cost >= PREMIUM_NANOS else "balanced"


def _with_a_top(found: dict[str, Tier], offers: Mapping[str, Offer]) -> dict[str, Tier]:
    """Where nothing is dear, the dearest is the best that there is."""
    costs = {name: blended(offers[name].rates) or 0 for name, tier in found.items() if tier == "balanced"}
    if costs and "premium" not in found.values():
        most = max(costs.values())
        found |= {name: "premium" for name, cost in costs.items() if cost == most and len(costs) > 1}
    return found


def blended(rates: Rates | None) -> int | None:
    """Nano-USD for a million tokens, three of input to one of output: the usual mix of agents and talk."""
    return None if rates is None else (3 * rates.fresh_in + rates.out) // 4


def above(tier: Tier) -> Tier | None:
    """The next one up; None at the top."""
    at = TIERS.index(tier) + 1
    return TIERS[at] if at < len(TIERS) else None


def highest(tiers: Iterable[Tier]) -> Tier:
    """The dearest of them; `local` of none."""
    return TIERS[max((rank(tier) for tier in tiers), default=0)]


def lowest(tiers: Iterable[Tier]) -> Tier:
    """The cheapest of them; `local` of none."""
    return TIERS[min((rank(tier) for tier in tiers), default=0)]


def rank(tier: Tier) -> int:
    """0 for local, rising with cost."""
    return TIERS.index(tier)
