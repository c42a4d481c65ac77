"""Who should answer a call: by its name, by its path, or by the router where the choice is left to us."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from freehold.core.catalog import Deployment
from freehold.core.config_routing import AUTO
from freehold.core.usage import Usage
from freehold.gateway import refusals, shadowing
from freehold.gateway.candidates import Candidates
from freehold.gateway.climb import Climb
from freehold.gateway.payer import budget_left
from freehold.gateway.targets import default_deployment
from freehold.routing.choose import NoSuchModel
from freehold.routing.reading import Said, read_ask
from freehold.routing.router import Answered, Routed, Router
from freehold.routing.standing import standing_of
from freehold.routing.tiers import rank
from freehold.routing.world import Rates, Standing

if TYPE_CHECKING:
    from freehold.gateway.call import Call
    from freehold.gateway.gateway import Gateway

_CRITICAL = b"x-freehold-critical"


def choose(call: Call) -> bool:
    """Fill in the candidates; False when the call was refused because there are none."""
    gateway, asked = call.gateway, call.seen.model
    if not asked:
        return _by_path(call)
    router = gateway.router
    if router is not None and router.takes(asked):
        if asked == AUTO and call.endpoint.carriage == "openai" and call.endpoint.name != "completions":
            return call.refuse(refusals.no_talk(call.endpoint.name))
        return _by_router(call, router)
    choice = gateway.choice_of(asked)
    if isinstance(choice, NoSuchModel):
        return call.refuse(refusals.no_such_model(choice))
    waits = gateway.catalog.max_waits
    call.candidates = Candidates(gateway.best_first(choice.candidates), waits.get(asked) if waits else None)
    call.route = choice.reason
    return True


def _by_path(call: Call) -> bool:
    gateway = call.gateway
    deployment = gateway.stored_place(call.request.path) or default_deployment(gateway.catalog)
    if deployment is None:
        return call.refuse(refusals.no_place(call.request.path.decode("latin-1")))
    call.candidates = Candidates((deployment,))
    call.route = "default provider" if not deployment.model_id else "where it is stored"
    return True


def _by_router(call: Call, router: Router) -> bool:
    gateway = call.gateway
    now_ms, left, chance = gateway.clock.now_ms(), budget_left(call), random.random()  # noqa: S311 - which of two places, no secret
    ask = read_ask(call.request.body, call.dialect, _said(call))

    def standing(deployment: Deployment) -> Standing:
        return standing_now(gateway, deployment, now_ms)

    routed = router.route(ask, standing, now_ms, chance, left)
    if not routed.decision.candidates and left is not None:
        # Without the budget there may be somebody: then its own words say why not, when the money is held.
        world = router.world(routed.ask, standing, now_ms, None)
        routed = Routed(routed.ask, router.judge(routed.ask, world, chance))
    decision = routed.decision
    if not decision.candidates:
        return call.refuse(refusals.nobody(decision))
    climb = call.climb = Climb(routed)
    if gateway.shadow is not None:
        shadowing.begin(call, climb, gateway.shadow)
    call.candidates = Candidates(decision.candidates, gateway.catalog.max_waits.get(call.seen.model or ""))
    call.route = decision.reason
    return True


def _said(call: Call) -> Said:
    caller = call.facts.caller
    return Said(
        model=call.seen.model or "",
        task=caller.task,
        agent=caller.agent,
        session=_session(call),
        critical=_CRITICAL in call.request.lookup,
        streamed=call.seen.stream is True,
        max_wait_s=call.facts.deadline_s,
    )


def _session(call: Call) -> str:
    """Sessions of two keys or projects are two, whatever they are called."""
    caller = call.facts.caller
    whose = (call.key_name, caller.project)
    return "\0".join((caller.session, *whose)) if caller.session and any(whose) else caller.session


def standing_now(gateway: Gateway, deployment: Deployment, now_ms: int) -> Standing:
    """How a place is doing, as far as the gateway knows."""
    server = deployment.server
    if server is None:
        return Standing(barred=gateway.barred(deployment, now_ms))
    servers = gateway.servers
    try:
        view, load = servers.view(server), servers.load(server)
        wait_s = servers.estimated_wait_s(server)
    except KeyError:
        return Standing(barred="is gone")
    own = None if gateway.meter is None else gateway.meter.tokens.of(server)
    rates = None if own is None else Rates(fresh_in=own.fresh_in, out=own.out)
    return standing_of(view, load, wait_s, gateway.clock.monotonic_s(), rates)


def cheaper(call: Call, left_nanos: int | None) -> bool:
    """Give a call that a budget has turned down the cheaper places that could take it, in the order in which
    the router would ask them; False when there are none."""
    gateway, router = call.gateway, call.gateway.router
    if router is None or call.endpoint.carriage != "dialect":
        return False
    places = {place.name: place for place in router.places}
    here = places.get(call.candidates.current.name)
    now_ms = gateway.clock.now_ms()
    ask = router.read(read_ask(call.request.body, call.dialect, Said(max_wait_s=call.facts.deadline_s)))
    world = router.world(ask, lambda one: standing_now(gateway, one, now_ms), now_ms, left_nanos)
    tried = call.candidates.tried()
    below = [
        one
        for one in router.judge(ask, world, 1.0).candidates
        if one.name not in tried and (here is None or rank(places[one.name].tier) < rank(here.tier))
    ]
    call.candidates.follow_with(tuple(below))
    return bool(below)


def answered(call: Call, climb: Climb, router: Router, usage: Usage) -> None:
    """Tell the router how the call went that it chose for: it was answered whole."""
    tried = call.tries[-1]
    first_ns = tried.first_byte_ns or tried.started_ns
    ended_ns = tried.ended_ns or time.perf_counter_ns()
    how = Answered(
        deployment=tried.deployment,
        receipt=call.id,
        input_tokens=usage.input_total,
        output_tokens=usage.output_total,
        first_s=(first_ns - tried.started_ns) / 1e9,
        total_s=max(0, ended_ns - tried.started_ns) / 1e9,
    )
    router.answered(climb.routed, how, call.gateway.clock.now_ms())
