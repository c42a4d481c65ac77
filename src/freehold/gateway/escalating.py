"""An answer that was not good enough goes one tier up, as long as the client has seen nothing of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from freehold.gateway.climb import Climb
from freehold.gateway.failing import unheard
from freehold.gateway.judge import Judge
from freehold.gateway.payer import budget_left
from freehold.gateway.settle import measure
from freehold.routing.escalate import ways_up

if TYPE_CHECKING:
    from freehold.core.catalog import Deployment
    from freehold.gateway.call import Call
    from freehold.gateway.relay import Relay
    from freehold.routing.router import Router


def judge_for(call: Call, *, streamed: bool) -> Judge | None:
    """Who judges the answer that has just begun; None: it goes to the client in any case."""
    climb, router, prepared = call.climb, call.gateway.router, call.prepared
    if climb is None or router is None or prepared is None or call.endpoint.carriage != "dialect":
        return None
    if not router.rules.escalate or climb.routed.ask.critical or not call.signs_silent():
        return None
    if not _higher(call, climb, router):
        return None
    return Judge(call.request.body, prepared.dialect, prepared.context, streamed=streamed)


def passes(call: Call, relay: Relay, data: bytes) -> bool:
    """A piece of an answer that is judged; False when the call has gone up instead."""
    judge = relay.judge
    assert judge is not None
    why = judge.feed(data)
    if why and _go_up(call, why):
        return False
    if judge.over:
        relay.judge = None
    return True


def passes_whole(call: Call, relay: Relay) -> bool:
    """The judged answer has come to its end; False when the call has gone up instead."""
    judge, relay.judge = relay.judge, None
    assert judge is not None
    why = judge.whole()
    return not (why and _go_up(call, why))


def _higher(call: Call, climb: Climb, router: Router) -> tuple[Deployment, ...]:
    """Whom to ask after the current candidate, the cheapest good one first."""
    failed = (*climb.failed, call.candidates.current.name)
    names = ways_up(climb.routed.decision.considered, failed, budget_left(call))
    known = {place.name: place.deployment for place in router.places}
    return tuple([known[name] for name in names if name in known])


def _go_up(call: Call, why: str) -> bool:
    """Ask one tier up. False when nobody is left there: the answer has to do."""
    climb, router = call.climb, call.gateway.router
    if climb is None or router is None or unheard(call):
        return False
    higher = _higher(call, climb, router)
    if not higher:
        return False
    tried, name = call.tries[-1], call.candidates.current.name
    spent = measure(call, "ok")
    tried.ended_ns = tried.ended_ns or time.perf_counter_ns()
    tried.error = f"not good enough: {why}"
    tried.cost_nanos = spent.cost_nanos
    climb.earlier.append(spent)
    climb.failed = (*climb.failed, name)
    if call.money is not None:
        call.money.spent(spent)
    router.insufficient(climb.routed, name, call.id)
    call.drop_upstream()
    _forget_answer(call)
    call.candidates.follow_with(higher)
    call.go_on(why)
    return True


def _forget_answer(call: Call) -> None:
    """What has come is not given to the client."""
    call.relay = None
    call.response = call.gateway.ledger.commitment(call.id, "response")
    call.response_bytes = 0
    if call.captured is not None:
        call.captured = []
        if call.flight is not None:
            call.flight.pieces = call.captured
