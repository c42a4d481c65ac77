"""Who answers a call that leaves the choice to us. Pure: `decide` is a function of its arguments.

1. the task: said by the call, by its agent, or recognised; the configuration may bind it to a tier
2. what cannot, does not fit or may not is excluded, each with its reason
3. of the rest, those whose chance of a good answer is near enough to the best one's
4. of these, the cheapest: tokens, the cache that would be left behind, the waiting
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from freehold.core.config_routing import AUTO, TIERS, Route, Tier
from freehold.routing.abilities import doubts, lacks
from freehold.routing.balance import balanced
from freehold.routing.outcomes import CHECKED, COMPARED, FOUND, cautious, kind_of, usual
from freehold.routing.tiers import above, highest, lowest, rank
from freehold.routing.validating import check_for
from freehold.routing.world import (
    PER,
    Ask,
    Considered,
    Decision,
    Place,
    Rates,
    RoutingRules,
    Standing,
    Sticky,
    World,
    about,
    dollars,
)

_DOUBT = 0.97
"""Of a chance, for each thing that the call needs and nobody knows of the place, until it was tried."""
_TRIED = 5.0
WIDTH = 2.0
"""Exploring is optimism in the face of uncertainty (Auer, Cesa-Bianchi and Fischer, 2002): a place counts as
good as it may be, so what is little known is tried until enough is known against it."""
_NEAR = 1e-9
_UNKNOWN = Standing()


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is for, and where it begins therefore."""

    task: str = ""
    said_by: str = ""
    route: Route = "auto"
    floor: Tier = "local"
    """No lower tier is asked."""
    bound: bool = False
    """The tier was named: a higher one is only asked when this one cannot."""
    named: tuple[str, ...] = ()
    """The deployments that were named for this kind of task."""


def decide(ask: Ask, world: World, rules: RoutingRules, chance: float = 1.0) -> Decision:
    """Choose. `chance` is a random number in 0..1: below `rules.explore`, what is little known counts as
    good as it may be, unless the call is critical."""
    aim = aim_of(ask, world, rules)
    places = _scope(ask, world, rules, aim)
    explores = chance < rules.explore and not ask.critical and aim.route == "auto"
    looked = [_look(place, ask, world, rules, aim) for place in places]
    allowed = [one for one in looked if not one.excluded]
    if not allowed and ask.failed:  # nobody else is left: better the same again than nothing
        return decide(replace(ask, failed=()), world, rules, chance)
    if not allowed:
        return Decision(
            candidates=(), reason=_nobody(ask, looked), task=aim.task, quality=0.0, considered=tuple(looked)
        )
    if rules.escalate and not ask.critical:
        allowed = [_with_second_try(one, allowed, _noticed(one, allowed, ask, rules, aim)) for one in allowed]
    ordered, bar = _ordered(allowed, ask, world, rules, aim, WIDTH if explores else 0.0)
    explored = explores and ordered[0].chance < bar - _NEAR
    final = {one.name: one for one in ordered}
    by_name = {place.name: place.deployment for place in places}
    return Decision(
        candidates=tuple(by_name[one.name] for one in ordered),
        reason=_words(ordered[0], ask, world, aim, explored, sum(one.passes for one in ordered)),
        task=aim.task,
        quality=bar,
        considered=tuple(final.get(one.name, one) for one in looked),
        explored=explored,
    )


def aim_of(ask: Ask, world: World, rules: RoutingRules) -> Aim:
    """The kind of task and where it begins: what the call says goes before what its agent is for, and that
    before what was recognised. A question that is asked again begins above who failed."""
    alias = rules.aliases.get(ask.model)
    route: Route = "auto" if alias is None or alias.route == "order" else alias.route
    task, said_by, target = ask.guess, "recognised" if ask.guess else "", ""
    for name, words in ((ask.task, "said"), (ask.agent, "agent"), (ask.guess, "recognised")):
        bound = rules.tasks.get(name) or rules.tasks.get(kind_of(name)) if name else None
        if words == "said" and name:
            task, said_by = name, words
        if bound and not target:
            target = bound
            if words == "agent" and not ask.task:
                task, said_by = ask.guess or name, words
    tiers: dict[str, Tier] = {place.name: place.tier for place in world.places}
    wanted = rules.aliases[target].candidates if target in rules.aliases else (target,)
    named = tuple(name for name in wanted if name in tiers)
    floor: Tier = _tier(target) or lowest(tiers[name] for name in named)
    failed: list[Tier] = [tiers[name] for name in ask.failed if name in tiers]
    if failed and rules.escalate:
        top = highest(failed)
        floor = highest((floor, above(top) or top))
    return Aim(
        task=kind_of(task),
        said_by=said_by,
        route=route,
        floor=floor,
        bound=_tier(target) is not None,
        named=named,
    )


def _tier(target: str) -> Tier | None:
    return next((tier for tier in TIERS if tier == target), None)


def _scope(ask: Ask, world: World, rules: RoutingRules, aim: Aim) -> Sequence[Place]:
    alias = rules.aliases.get(ask.model)
    by_name = {place.name: place for place in world.places}
    if alias is None or alias.route == "order":
        return [place for place in world.places if place.auto or place.name in aim.named]
    return [by_name[name] for name in alias.candidates if name in by_name]


def _look(place: Place, ask: Ask, world: World, rules: RoutingRules, aim: Aim) -> Considered:
    """One place by itself: its chance, its price, and why not."""
    standing = world.standings.get(place.name, _UNKNOWN)
    belief = world.beliefs.get(place.name) or usual(aim.task, place.tier)
    unsure = doubts(ask.needs, place.able) if belief.trials < _TRIED else ()
    chance = cautious(belief) if ask.critical else belief.mean
    cached = _cached(place, ask, world)
    price = price_nanos(standing.rates or place.rates, ask, cached)
    wait_s = _wait_s(standing, ask, cached)
    cannot = _excluded(place, standing, price, ask, world)
    below = _below(place, ask, aim)
    return Considered(
        name=place.name,
        tier=place.tier,
        chance=chance * _DOUBT ** len(unsure),
        belief=belief.mean * _DOUBT ** len(unsure),
        deviation=belief.deviation,
        trials=belief.trials,
        price_nanos=price,
        wait_s=wait_s,
        weight=(price or 0) + wait_s * rules.second_nanos,
        excluded=cannot or below,
        never=_never(place, ask),
        unwanted=bool(below) and not cannot,
        doubts=unsure,
    )


def price_nanos(rates: Rates | None, ask: Ask, cached: int = 0) -> int | None:
    """What the call would cost at these rates, with `cached` tokens of its prompt still known."""
    if rates is None:
        return None
    fresh = ask.input_tokens - cached
    tokens = fresh * rates.fresh_in + cached * rates.cache_read + ask.output_tokens * rates.out
    return rates.per_call + (tokens + PER // 2) // PER


def _cached(place: Place, ask: Ask, world: World) -> int:
    """Tokens of the prompt that the place still knows: what leaving it loses."""
    sticky = world.sticky
    if sticky is None or sticky.deployment != place.name:
        return 0
    if world.now_ms - sticky.at_ms > place.cache_s * 1000:
        return 0
    return min(sticky.tokens, ask.input_tokens)


def _wait_s(standing: Standing, ask: Ask, cached: int) -> float:
    """Until the whole answer is there. What nobody has measured counts nothing; a known beginning is not
    read again."""
    first_s = standing.first_s or 0.0
    if cached and ask.input_tokens:
        first_s *= 1.0 - 0.8 * cached / ask.input_tokens
    speed = standing.tokens_per_s
    return standing.wait_s + first_s + (ask.output_tokens / speed if speed else 0.0)


def _excluded(place: Place, standing: Standing, price: int | None, ask: Ask, world: World) -> str:
    """Why this place may not answer this call; empty when it may."""
    if place.name in ask.failed:
        return "its answer to this was not good enough"
    if words := lacks(ask.needs, place.able, ask.input_tokens):
        return words
    if standing.barred:
        return standing.barred
    if ask.max_wait_s is not None and standing.wait_s > ask.max_wait_s:
        return f"begins in about {standing.wait_s:.0f} s, {ask.max_wait_s:g} s are allowed"
    left = world.budget_left_nanos
    if left is not None and place.deployment.server is None:  # ours is paid to nobody
        if price is None:
            return "has no known price, and there is a hard budget"
        if price > left:
            return f"would cost about {dollars(price)}, the budget has {dollars(max(0, left))} left"
    return ""


def _never(place: Place, ask: Ask) -> Literal["", "unable", "too long"]:
    """Whether it will not take this call another time either."""
    if not lacks(ask.needs, place.able, ask.input_tokens):
        return ""
    return "unable" if lacks(ask.needs, place.able, 0) else "too long"


def _below(place: Place, ask: Ask, aim: Aim) -> str:
    """That its tier is not wanted, in words; empty when it is."""
    if rank(place.tier) >= rank(aim.floor):
        return ""
    words = "was asked again" if ask.failed else f"begins {aim.floor}"
    return f"is {place.tier}, and {aim.task or 'this'} {words}"


def compares(ask: Ask, task: str, rules: RoutingRules) -> bool:
    """Whether the answers of two local places to this call are to be held against each other."""
    agree = rules.agree
    if not agree or ask.critical or ask.needs.tools:
        return False
    return "*" in agree or task in agree or ask.model in agree


def _noticed(
    one: Considered, allowed: Sequence[Considered], ask: Ask, rules: RoutingRules, aim: Aim
) -> float:
    """The share of its bad answers that are seen to be bad before the client has them."""
    if ask.needs.tools or (ask.streamed and not rules.hold_streams):
        return FOUND
    if check_for(rules.checks, aim.task) is not None:
        return CHECKED
    local = [other for other in allowed if other.tier == "local"]
    return COMPARED if one in local and len(local) > 1 and compares(ask, aim.task, rules) else FOUND


def _with_second_try(one: Considered, allowed: Sequence[Considered], noticed: float) -> Considered:
    """An answer that is seen to be bad is asked again one tier up: that adds to the chance of beginning
    below."""
    higher = [other.chance for other in allowed if rank(other.tier) > rank(one.tier)]
    if not higher:
        return one
    return replace(one, chance=one.chance + (1.0 - one.chance) * noticed * max(higher))


def _ordered(
    allowed: Sequence[Considered], ask: Ask, world: World, rules: RoutingRules, aim: Aim, width: float
) -> tuple[list[Considered], float]:
    """All of them in the order in which they are to be tried, and the chance that was demanded. `width`: so
    many deviations above its chance count as possible."""
    models = {place.name: place.model for place in world.places}
    if aim.route in ("fastest", "cheapest", "balance"):
        marked = [replace(one, passes=True) for one in allowed]
        return _by_route(marked, ask, world, aim.route), 0.0
    first = _first_group(allowed, aim)
    bar = rules.quality * max(one.chance for one in first)
    dearest = max((one.weight for one in allowed), default=0.0)
    marked = [
        replace(
            one,
            passes=one in first and one.chance + width * one.deviation >= bar - _NEAR,
            weight=_weighed(one, dearest),
        )
        for one in allowed
    ]
    good = sorted((one for one in marked if one.passes), key=lambda one: _rank_key(one, world.sticky))
    good = _spread(good, models, ask, world)
    names = {one.name for one in first}
    rest = sorted(
        (one for one in marked if not one.passes),
        key=lambda one: (one.name not in names, rank(one.tier) if aim.bound else 0, -one.chance),
    )
    return [*good, *rest], bar


def _first_group(allowed: Sequence[Considered], aim: Aim) -> Sequence[Considered]:
    """Those among which the choice is made: the place, or the tier, that the task is bound to; else all."""
    if aim.named:
        return [one for one in allowed if one.name in aim.named] or allowed
    if not aim.bound:
        return allowed
    lowest = min(rank(one.tier) for one in allowed)
    return [one for one in allowed if rank(one.tier) == lowest]


def _weighed(one: Considered, dearest: float) -> float:
    """A price that nobody knows is taken for the dearest."""
    return one.weight + dearest if one.price_nanos is None else one.weight


def _rank_key(one: Considered, sticky: Sticky | None) -> tuple[float, bool, bool, float]:
    here = sticky is not None and sticky.deployment == one.name
    return (one.weight, one.price_nanos is None, not here, -one.chance)


def _spread(good: list[Considered], models: Mapping[str, str], ask: Ask, world: World) -> list[Considered]:
    """The first one's model may be had at several places for the same price, or on several servers of ours,
    whose power is only measured: then the load decides."""
    model = models.get(good[0].name) if good else ""
    if not model:
        return good
    price = good[0].price_nanos
    sticky = world.sticky
    if sticky is not None and sticky.deployment == good[0].name:
        return good
    ours = {name for name, standing in world.standings.items() if standing.rates is not None}
    alike = {
        one.name: one
        for one in good
        if models.get(one.name) == model
        and (one.price_nanos == price or (one.name in ours and good[0].name in ours))
    }
    if len(alike) < 2:
        return good
    order = balanced(tuple(alike), world.standings, ask.prefix)
    return [*(alike[name] for name in order), *(one for one in good if one.name not in alike)]


def _by_route(allowed: list[Considered], ask: Ask, world: World, route: Route) -> list[Considered]:
    if route == "balance":
        by_name = {one.name: one for one in allowed}
        return [by_name[name] for name in balanced(tuple(by_name), world.standings, ask.prefix)]
    if route == "fastest":
        return sorted(allowed, key=lambda one: (not _measured(one, world), one.wait_s))
    return sorted(allowed, key=lambda one: (one.price_nanos is None, one.price_nanos or 0, one.wait_s))


def _measured(one: Considered, world: World) -> bool:
    return world.standings.get(one.name, _UNKNOWN).first_s is not None


def _words(first: Considered, ask: Ask, world: World, aim: Aim, explored: bool, good: int) -> str:
    """The decision in one line, for the receipt and a header."""
    name = ask.model or AUTO
    if aim.route == "fastest":
        if not _measured(first, world):
            return f"{name}: {first.name} stands first, and nobody's speed is known"
        return f"{name}: {first.name} is the fastest, about {first.wait_s:.1f} s"
    if aim.route == "cheapest":
        return f"{name}: {first.name} is the cheapest, {about(first.price_nanos)}"
    if aim.route == "balance":
        return f"{name}: {first.name} has the least to do, or knows the beginning"
    told = [f"{name}: {first.name} ({first.tier})"]
    if aim.task:
        begins = f" begins {aim.floor}" if aim.bound or ask.failed else ""
        told.append(f"{aim.task} ({aim.said_by}){begins}")
    told.append(f"chance {first.chance:.2f}, {about(first.price_nanos)}")
    if explored:
        told.append("tried to learn")
    elif not first.passes:
        told.append("the best there is")
    else:
        told.append("the only one good enough" if good == 1 else f"cheapest of {good} good enough")
    if world.sticky is not None and world.sticky.deployment == first.name:
        told.append("where the session is")
    if ask.failed:
        told.append(f"after {', '.join(ask.failed)}")
    return "; ".join(told)


def _nobody(ask: Ask, looked: Sequence[Considered]) -> str:
    name = ask.model or AUTO
    if not looked:
        return f"{name}: no model takes part; name some under tiers"
    reasons = "; ".join(f"{one.name} {one.excluded}" for one in looked[:6])
    more = f"; {len(looked) - 6} more" if len(looked) > 6 else ""
    return f"{name}: nobody can take this call: {reasons}{more}"
