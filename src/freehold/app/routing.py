"""What a choice is made from, put together: configuration, catalog, servers and prices become places.

Called when one of them changes, never on the way of a call. Choosing itself is `routing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from freehold.adapters.providers.known import LOCAL_SERVERS
from freehold.core.catalog import Catalog, Deployment, Dialect
from freehold.core.config import AliasConfig, Config, candidates_of
from freehold.core.config_routing import Tier, TiersConfig
from freehold.core.listen import is_loopback
from freehold.core.servers import ServerSpec
from freehold.core.usage import Usage
from freehold.routing.abilities import NOT_FOR_TALK, known_abilities, server_abilities
from freehold.routing.hedge import HedgeRules
from freehold.routing.outcomes import kind_of
from freehold.routing.shadow import ShadowRules
from freehold.routing.tiers import Offer, blended, rank, sorted_out
from freehold.routing.world import Abilities, AliasRule, Check, Place, Rates, RoutingRules

_TOKENS = 10_000
"""Rates are read off the price of so many tokens: few enough to be below every step of a price table."""


class Priced(Protocol):
    @property
    def nanos(self) -> int: ...
    @property
    def state(self) -> str: ...


class Prices(Protocol):
    """`costs.book.PriceBook`."""

    def price(
        self,
        provider_price_id: str | None,
        provider_name: str | None,
        model_id: str,
        usage: Usage,
        at_ms: int,
        billed_nanos: int | None = None,
    ) -> Priced: ...


def routing_rules(config: Config, places: Sequence[Place] = ()) -> RoutingRules:
    """The configuration as choices need it. `places` are only for the usual baseline: the dearest one."""
    routing = config.routing
    return RoutingRules(
        quality=routing.quality,
        tasks={kind_of(kind): target for kind, target in routing.tasks.items()} | routing.tasks,
        aliases={
            name: AliasRule(alias.route if isinstance(alias, AliasConfig) else "order", candidates_of(alias))
            for name, alias in config.models.items()
        },
        explore=routing.explore,
        escalate=routing.escalate,
        checks={
            kind_of(kind): Check(command=one.command, timeout_s=one.timeout_s)
            for kind, one in routing.validators.items()
        },
        agree=frozenset([*routing.agree, *map(kind_of, routing.agree)]),
        hold_streams=routing.hold_streams,
        second_nanos=round(routing.minute_usd * 1e9 / 60),
        sticky_s=routing.sticky_s,
        baseline=routing.baseline or _dearest(places),
    )


def hedge_rules(config: Config) -> HedgeRules:
    hedge = config.routing.hedge
    return HedgeRules(share=hedge.share, quantile=hedge.quantile, least_s=hedge.least_s)


def shadow_rules(config: Config, places: Sequence[Place]) -> ShadowRules:
    """Without a judge in the configuration, the baseline is it, or the dearest place."""
    shadow = config.routing.shadow
    return ShadowRules(
        share=shadow.share,
        judge=shadow.judge or config.routing.baseline or _dearest(places),
        budget_nanos=round(shadow.budget_usd * 1e9),
    )


def places_of(
    config: Config,
    catalog: Catalog,
    specs: Sequence[ServerSpec],
    prices: Prices,
    at_ms: int,
) -> tuple[Place, ...]:
    """Everything that may be chosen, in the order of the configuration.

    With `tiers:`, that is what they name. Without: servers of ours, models that a provider of the
    configuration lists by name, those in names of the user's own, and what runs in the house. What
    tokens of our own servers cost (power and wear) is measured: it is in `Standing.rates`.
    """
    by_spec = {spec.name: spec for spec in specs}
    offers = {
        one.name: Offer(
            deployment=one,
            rates=Rates() if one.server else rates_of(prices, catalog, one, at_ms),
            in_house=bool(one.server) or _in_house(catalog, one),
        )
        for one in _taking_part(config, catalog)
    }
    tiers = sorted_out(config.tiers, offers.values())
    derived = sorted_out(TiersConfig(), offers.values())
    others: dict[str, Tier] = {name: tier for name, tier in derived.items() if name not in tiers}
    return tuple(
        Place(
            deployment=offers[name].deployment,
            tier=tier,
            able=_abilities(catalog, offers[name].deployment, by_spec),
            rates=offers[name].rates,
            model=_model(offers[name].deployment, by_spec),
            auto=name in tiers,
        )
        for name, tier in [*tiers.items(), *others.items()]
    )


def _taking_part(config: Config, catalog: Catalog) -> Iterator[Deployment]:
    """Deployments that configuration or discovery put forward, each once."""
    by_tiers = [name for _, _, name in config.tiers.named()]
    in_names = [name for alias in config.models.values() for name in candidates_of(alias)]
    for_tasks = [name for name in config.routing.tasks.values() if name not in config.models]
    listed = [
        f"{provider}/{model}"
        for provider, section in config.providers.items()
        if section.models != "*"
        for model in section.models
        if not NOT_FOR_TALK.search(model)
    ]
    found = [one.name for one in catalog.deployments.values() if one.server or _in_house(catalog, one)]
    found = [name for name in found if not NOT_FOR_TALK.search(name)]
    wanted = [*by_tiers, *in_names, *for_tasks] if by_tiers else [*found, *listed, *in_names, *for_tasks]
    for name in dict.fromkeys(wanted):
        if deployment := _deployment(catalog, name):
            yield deployment


def _deployment(catalog: Catalog, name: str) -> Deployment | None:
    provider, _, model = name.partition("/")
    if name in catalog.deployments:
        return catalog.deployments[name]
    if model and provider in catalog.wildcards:
        return Deployment(name=name, model_id=model, provider=provider)
    return None


def rates_of(prices: Prices, catalog: Catalog, one: Deployment, at_ms: int) -> Rates | None:
    """A provider's model at its price of this moment; None when nobody knows it."""
    provider = catalog.providers.get(one.provider or "")
    if provider is None:
        return None

    def price(usage: Usage) -> int | None:
        cost = prices.price(provider.price_as, provider.name, one.model_id, usage, at_ms)
        return None if cost.state == "unknown" else cost.nanos

    per_call = price(Usage())
    each = [price(Usage(**{bucket: _TOKENS})) for bucket in ("fresh_in", "cache_read", "visible_out")]
    if per_call is None or each[0] is None or each[2] is None:
        return Rates() if _in_house(catalog, one) else None
    fresh, read, out = ((nanos or 0) - per_call for nanos in each)
    scale = 1_000_000 // _TOKENS
    cached = fresh if each[1] is None else read
    return Rates(fresh_in=fresh * scale, cache_read=cached * scale, out=out * scale, per_call=per_call)


def _in_house(catalog: Catalog, one: Deployment) -> bool:
    """Whether a provider is a program on this machine."""
    provider = catalog.providers.get(one.provider or "")
    if provider is None:
        return False
    host = provider.base_url.partition("://")[2].partition("/")[0].rpartition(":")[0].strip("[]")
    return is_loopback(host) or provider.name in {known.name for known in LOCAL_SERVERS}


def _abilities(catalog: Catalog, one: Deployment, specs: Mapping[str, ServerSpec]) -> Abilities:
    spec = specs.get(one.server or "")
    if spec is not None:
        return server_abilities(spec)
    known = known_abilities(one.model_id)
    provider = catalog.providers.get(one.provider or "")
    if provider is None:
        return known
    native: set[Dialect] = {"messages"} if provider.dialect == "anthropic" else {"chat"}
    if provider.responses:
        native.add("responses")
    return Abilities(
        tools=known.tools,
        vision=known.vision,
        audio=known.audio,
        json=known.json,
        context=known.context,
        native=frozenset(native),
    )


def _model(one: Deployment, specs: Mapping[str, ServerSpec]) -> str:
    """One name for all places that have a model loaded: its file, or the id under which vendors sell it."""
    spec = specs.get(one.server or "")
    return (spec.model or one.name) if spec is not None else one.model_id.rpartition("/")[2]


def _dearest(places: Sequence[Place]) -> str:
    """The dearest place of the highest tier; empty when there is none."""
    top = max(places, key=lambda one: (rank(one.tier), blended(one.rates) or 0), default=None)
    return top.name if top is not None else ""
