"""Answers that are held back: kept beside the call, let go, or forgotten. When is decided in `escalating`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.gateway.beside import Beside
from freehold.gateway.payer import budget_left
from freehold.routing.escalate import ways_up

if TYPE_CHECKING:
    from freehold.core.catalog import Deployment
    from freehold.gateway.call import Call
    from freehold.gateway.climb import Climb
    from freehold.gateway.judge import Judge
    from freehold.gateway.relay import Relay
    from freehold.routing.router import Router


def higher(call: Call, climb: Climb, router: Router) -> tuple[Deployment, ...]:
    """Whom to ask after the current candidate, the cheapest good one first."""
    failed = (*climb.failed, call.candidates.current.name)
    names = ways_up(climb.routed.decision.considered, failed, budget_left(call))
    known = {place.name: place.deployment for place in router.places}
    return tuple([known[name] for name in names if name in known])


def let_go(call: Call, relay: Relay) -> bool:
    """Give the client what was held. False: the answer has come to its end by that."""
    judge, relay.judge = relay.judge, None
    assert judge is not None
    for piece in judge.pieces:
        relay.feed(piece)
        if call.relay is not relay:  # it could not be read: that is told
            return False
    return True


def hold(call: Call, relay: Relay, judge: Judge) -> None:
    """Keep the answer, which may still be coming, until there is a better one."""
    if call.beside is not None:  # one that was no better
        call.beside.drop("")
    assert call.target is not None and call.prepared is not None
    held = Beside(call, "held", call.target, call.prepared, call.tries[-1])
    held.has_said(relay.status, relay.headers, judge.body)
    held.lease, held.stay, held.upstream = call.lease, call.stay, call.upstream
    held.hold = call.money.hand_over() if call.money is not None else None
    held.over = call.upstream is None
    if call.upstream is not None:
        call.upstream.hand_over(held)
    call.lease, call.stay, call.upstream = None, None, None
    call.beside = held


def forget_answer(call: Call) -> None:
    """What has come is not given to the client."""
    call.relay = None
    call.response = call.gateway.ledger.commitment(call.id, "response")
    call.response_bytes = 0
    if call.captured is not None:
        call.captured = []
        if call.flight is not None:
            call.flight.pieces = call.captured


def first_stands(call: Call) -> bool:
    """Whether the current answer is the second one, to be held against one that was good enough by itself."""
    return call.climb is not None and len(call.climb.given) == 1 and call.beside is not None
