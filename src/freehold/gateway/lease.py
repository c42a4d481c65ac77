"""How a call comes to a slot of a model server of ours, and gives it back exactly once.

A slot belongs to one attempt. It is given back when the attempt's upstream is over (answered, broken or
abandoned), or at the exit door when the call never came so far; never while the server still works on it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from freehold.core.catalog import Deployment
from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ServerState
from freehold.gateway import refusals
from freehold.gateway.signs import Signs
from freehold.gateway.stay import Stay

if TYPE_CHECKING:
    from freehold.gateway.call import Call


def seek(call: Call, deployment: Deployment) -> None:
    """Try this deployment's server: with a slot at once, after a wait, or not at all."""
    server = deployment.server
    assert server is not None
    barred = call.barred
    if barred is not None:
        call.pass_over(barred, "refuses this request")
        return
    ask = ask_of(call)
    try:
        found = call.gateway.servers.lease(server, ask)
    except KeyError:
        call.pass_over(refusals.gone(deployment.name), "is gone")
        return
    if found is None:
        _wait(call, server, ask)
    elif isinstance(found, LeaseRefusal):
        _refused(call, found)
    else:
        _granted(call, found)


def ask_of(call: Call) -> LeaseAsk:
    """What the call says when it wants a slot."""
    ask = call.ask
    if ask is None:
        ask = call.ask = LeaseAsk(call.id, _asker(call), call.lease_body(), call.facts.priority)
    return ask


def answered(call: Call, answer: Lease | LeaseRefusal) -> None:
    """The wait is over, one way or the other."""
    call.deadline_s = 0.0
    if call.signs is not None:
        waited_s = (time.perf_counter_ns() - call.signs.since_ns) / 1e9
        call.route = f"{call.route}; waited {waited_s:.1f} s for {call.signs.waits_for}"
    if isinstance(answer, LeaseRefusal):
        _refused(call, answer)
    else:
        _granted(call, answer)


def deadline_left_s(call: Call) -> float | None:
    """How long the caller still waits for an answer to begin; None: it has not said."""
    allowed_s = call.facts.deadline_s
    return None if allowed_s is None else allowed_s - (time.perf_counter_ns() - call.started_ns) / 1e9


def allowed_wait_s(call: Call) -> float | None:
    """How long the call may still wait for the current candidate; None: as long as the server lets it.

    The caller's own deadline holds everywhere. The alias' bound means "rather the next one", so it holds only
    while there is a next one.
    """
    allowed_s = deadline_left_s(call)
    max_wait_s = call.candidates.max_wait_s
    if max_wait_s is not None and call.candidates.more:
        allowed_s = max_wait_s if allowed_s is None else min(allowed_s, max_wait_s)
    return allowed_s


def _wait(call: Call, server: str, ask: LeaseAsk) -> None:
    """Stand in the server's queue, giving signs of life; or go on at once when that would take too long."""
    gateway = call.gateway
    allowed_s = allowed_wait_s(call)
    if allowed_s is not None:
        expected_s = gateway.servers.estimated_wait_s(server)
        if allowed_s <= 0 or (expected_s is not None and expected_s > allowed_s):
            call.pass_over(refusals.too_late(server, expected_s, max(0.0, allowed_s)), "is busy")
            return
    ask.max_wait_s = allowed_s
    ready = gateway.servers.view(server).state is ServerState.READY
    limits = gateway.limits
    call.deadline_s = gateway.loop.time() + limits.load_wait_s
    signs = call.signs
    if signs is None:
        signs = call.signs = Signs(call, first_s=limits.first_sign_s, every_s=limits.sign_of_life_s)
    signs.waits_for = f"a slot of {server}" if ready else f"{server} to load"
    signs.since_ns = time.perf_counter_ns()
    signs.wait(server, ask)


def _granted(call: Call, lease: Lease) -> None:
    call.lease = lease
    meter = call.gateway.meter
    if meter is not None:
        if call.stay is None:
            call.stay = Stay(meter, call.gateway.clock)
        call.stay.enter()
    call.send_to(call.gateway.server_target(call.candidates.current, lease.base_url))


def _refused(call: Call, refusal: LeaseRefusal) -> None:
    error = refusals.no_lease(refusal)
    if refusal.code == "quarantined":  # wherever it runs here, it would do the same again
        call.barred = error
    call.pass_over(error, refusals.LEASE_WORDS[refusal.code])


def _asker(call: Call) -> str:
    """Whom the call is for, as far as is known: fairness is between these."""
    return call.facts.asker or call.conn.address
