"""A choice laid open: every place with its chance, price and wait, why it was not taken, and what it would
have cost. Pure; the values are what commands print and the control API answers.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from freehold.core.config_routing import Tier
from freehold.core.usage import Usage
from freehold.routing.auto import compares, decide
from freehold.routing.tiers import rank
from freehold.routing.validating import check_for
from freehold.routing.world import PER, Ask, Considered, Decision, Rates, RoutingRules, World


class ExplainIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that might be made: the body of POST /api/v1/route/explain."""

    prompt: str = ""
    receipt: str = ""
    """Instead of a prompt: a past call."""
    model: str = "auto"
    task: str = ""
    agent: str = ""
    session: str = ""
    critical: bool = False
    output_tokens: int | None = None
    """Expected of the answer; None: as usual."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One place in an explanation."""

    name: str
    tier: Tier
    order: int | None = None
    """1: asked first, 2: if that fails, ...; None: not at all."""
    chance: float
    trials: float
    """Outcomes that the chance rests on; 0: it is what is usual for the tier."""
    price_nanos: int | None = None
    """None: nobody knows."""
    wait_s: float = 0.0
    why: str = ""
    """Why it is not the first, in words; empty for the first."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The decision, and everything that was weighed."""

    asked: str
    task: str
    reason: str
    demanded: float
    """The chance of a good answer that was demanded."""
    input_tokens: int
    output_tokens: int
    """As expected, or as they were."""
    candidates: tuple[Candidate, ...]
    """In the order in which they are asked, then those that are not."""
    before_given: str = ""
    """What becomes of the first one's answer before it is given, in words; empty: nothing."""
    baseline: str = ""
    baseline_nanos: int | None = None
    """What the baseline model would cost for the same tokens."""
    receipt: str = ""
    """Of the past call that this is about."""
    deployment: str = ""
    """Who answered it."""
    cost_nanos: int | None = None
    """What it cost."""
    cached: str = ""
    """How, where the answer had been kept (`exact`, `semantic`) or was another call's."""
    live: bool = True
    """A running Freehold said so; False: how servers are doing is not known."""


def explain(ask: Ask, world: World, rules: RoutingRules, chance: float = 1.0) -> Explanation:
    """What `decide` would do with this call, and why."""
    return explained(ask, decide(ask, world, rules, chance), world, rules)


def explained(ask: Ask, decision: Decision, world: World, rules: RoutingRules) -> Explanation:
    """A decision laid open."""
    order = {one.name: number for number, one in enumerate(decision.candidates, 1)}
    seen = {one.name: one for one in decision.considered}
    first = seen[decision.candidates[0].name] if decision.candidates else None
    rows = [
        Candidate(
            name=one.name,
            tier=one.tier,
            order=order.get(one.name),
            chance=one.chance,
            trials=one.trials,
            price_nanos=one.price_nanos,
            wait_s=one.wait_s,
            why=_why(one, first, decision, world),
        )
        for one in decision.considered
    ]
    rows.sort(key=lambda row: (row.order is None, row.order or 0))
    rates = _rates(world)
    usage = Usage(fresh_in=ask.input_tokens, visible_out=ask.output_tokens)
    return Explanation(
        asked=ask.model,
        task=decision.task,
        reason=decision.reason,
        demanded=decision.quality,
        input_tokens=ask.input_tokens,
        output_tokens=ask.output_tokens,
        candidates=tuple(rows),
        before_given=_before_given(ask, decision, first, rules),
        baseline=rules.baseline,
        baseline_nanos=cost_nanos(rates.get(rules.baseline), usage),
    )


def _before_given(ask: Ask, decision: Decision, first: Considered | None, rules: RoutingRules) -> str:
    """Whether the first answer is checked, or compared: only where somebody higher could be asked."""
    higher = first is not None and any(
        rank(one.tier) > rank(first.tier) and not one.excluded for one in decision.considered
    )
    if first is None or not higher or not rules.escalate or ask.critical:
        return ""
    check = check_for(rules.checks, decision.task)
    if check is not None:
        return f"it is checked by {' '.join(check.command)}"
    if first.tier == "local" and compares(ask, decision.task, rules):
        return "it is compared with that of another local model, if one is loaded and free"
    return ""


def _rates(world: World) -> Mapping[str, Rates | None]:
    """By deployment, as `decide` takes them."""
    standings = world.standings
    measured = {name: standing.rates for name, standing in standings.items() if standing.rates is not None}
    return {place.name: place.rates for place in world.places} | measured


def _why(one: Considered, first: Considered | None, decision: Decision, world: World) -> str:
    """Why this place is not asked first."""
    if one.excluded:
        return one.excluded
    if first is None or one.name == first.name:
        return ""
    if not decision.quality:
        return "comes after"
    if not one.passes and decision.quality and one.chance < decision.quality:
        digits = 2 if f"{one.chance:.2f}" != f"{decision.quality:.2f}" else 3
        words = f"chance {one.chance:.{digits}f} is below {decision.quality:.{digits}f}"
    elif not one.passes:
        words = "only if those before it cannot"
    elif one.price_nanos is None:
        words = "its price is unknown"
    elif first.price_nanos is not None and one.price_nanos > first.price_nanos:
        words = "dearer"
    elif one.wait_s > first.wait_s:
        words = f"slower by about {one.wait_s - first.wait_s:.1f} s"
    elif world.sticky is not None and world.sticky.deployment == first.name:
        words = "the session is elsewhere"
    else:
        words = "no better"
    if one.doubts:
        words += f"; nobody knows whether it takes {', '.join(one.doubts)}"
    return words


def cost_nanos(rates: Rates | None, usage: Usage) -> int | None:
    """What measured tokens cost at these rates, nano-USD: cached ones as cached, all others of the input as
    fresh. None where the rates are unknown."""
    if rates is None:
        return None
    fresh = usage.input_total - usage.cache_read
    tokens = fresh * rates.fresh_in + usage.cache_read * rates.cache_read + usage.output_total * rates.out
    return rates.per_call + (tokens + PER // 2) // PER


class PastCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says of a call."""

    receipt: str
    asked: str
    deployment: str
    route: str
    task: str = ""
    agent: str = ""
    usage: Usage = Usage()
    cost_nanos: int | None = None
    """None: unknown."""
    cached: str = ""


def explain_past(call: PastCall, world: World, rules: RoutingRules) -> Explanation:
    """A past call: what it cost, what every other place would have cost for the same tokens, and what would
    be decided about it today.

    The receipt's own reason stands; chances are today's. The prompt is not in a receipt, so its needs (tools,
    pictures) are not known here.
    """
    ask = Ask(
        task=call.task,
        agent=call.agent,
        model="auto" if call.asked not in rules.aliases else call.asked,
        input_tokens=call.usage.input_total,
        output_tokens=call.usage.output_total,
    )
    now = explained(ask, decide(ask, world, rules), world, rules)
    prices = {name: cost_nanos(rates, call.usage) for name, rates in _rates(world).items()}
    rows = [replace(row, price_nanos=prices.get(row.name), why=_then(row, call)) for row in now.candidates]
    rows.sort(key=lambda row: row.name != call.deployment)
    baseline = prices.get(rules.baseline)
    return replace(
        now,
        asked=call.asked,
        reason=call.route,
        candidates=tuple(rows),
        baseline_nanos=baseline,
        before_given="",
        receipt=call.receipt,
        deployment=call.deployment,
        cost_nanos=call.cost_nanos,
        cached=call.cached,
    )


def _then(row: Candidate, call: PastCall) -> str:
    if row.name == call.deployment:
        return "its answer was given again" if call.cached else "answered"
    return row.why or "would be asked first today"
