"""The one exit door: usage becomes cost, the call becomes a receipt. Runs once per call, before the
last byte of the answer leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.gateway import cached, deciding, shadowing
from freehold.gateway.landing import WENT_ON, landed
from freehold.gateway.measuring import measure
from freehold.gateway.payer import payer_of
from freehold.gateway.record import Measured, together
from freehold.receipts.entries import Outcome, Receipt

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_END_S = 5.0
"""So long may the end of a body come behind its last event."""


def settle(call: Call, outcome: Outcome, error: str = "", then: Callable[[], None] | None = None) -> Measured:
    """Write the call's receipt. A second time does nothing but repeat what was measured.

    With `then` the receipt may be written together with others of this turn of the loop; `then` runs
    after that, and sends what must not leave before.
    """
    if call.settled:
        if then is not None:
            then()
        return call.measured
    call.settled = True
    call.stop_waiting()
    if call.upstream is None:
        call.give_back(failed=False)
    gateway = call.gateway
    gateway.active.discard(call)
    if call.beside is not None:
        call.beside.drop("")
    measured = last = measure(call, outcome)
    if call.earlier:
        measured = together((*call.earlier, last))
    climb = call.climb
    if climb is not None and outcome == "ok" and gateway.router is not None:
        deciding.answered(call, climb, gateway.router, last.usage)
        if climb.shadow is not None and gateway.shadow is not None:
            shadowing.end(call, climb, gateway.shadow)
    call.measured = measured
    if gateway.budgets is not None:  # before others go on, who may want the money
        _post(call, last, measured)
    if call.flight is not None:
        went_on = outcome == "ok" and not call.flight.leading
        landed(call, outcome, error, measured)
        if went_on:
            outcome, error = "cancelled", WENT_ON
    if outcome == "ok" and call.kept is not None:
        cached.keep(call, measured)
    gateway.record(_receipt(call, outcome, error, measured), call, then)
    if call.upstream is not None:
        gateway.ending[call] = gateway.now_s + _END_S
    return measured


def end_without(call: Call) -> None:
    """The last event has come and the body has no end: that is not waited for for ever."""
    relay = call.relay
    if call.upstream is not None and relay is not None:
        call.drop_attempt()
        relay.cut("the upstream did not end its answer")


def _post(call: Call, last: Measured, measured: Measured) -> None:
    """What the call has cost goes into the budgets, as its receipt says it: what was held for its attempts,
    and what was not. A call that a server of ours answered was paid to nobody."""
    budgets, money, target = call.gateway.budgets, call.money, call.target
    posted = 0 if money is None else money.settle(last, call.gateway.clock.now_ms())
    if budgets is None or target is None:
        return
    if money is None:  # there were no budgets when it was asked: each place gets its own
        for tried in call.tries:
            place = call.gateway.place_named(tried.deployment)
            if tried.cost_nanos and place.provider:
                posted += tried.cost_nanos
                budgets.tell(budgets.book.spent(payer_of(call, place), tried.cost_nanos, call.started_ms))
    if not target.deployment.provider:
        return
    rest = measured.cost_nanos - measured.own_nanos - posted
    if rest > 0:
        budgets.tell(budgets.book.spent(payer_of(call, target.deployment), rest, call.started_ms))


def _receipt(call: Call, outcome: Outcome, error: str, measured: Measured) -> Receipt:
    now_ns = time.perf_counter_ns()
    caller, target, relay, tries = call.facts.caller, call.target, call.relay, call.tries
    hit = call.kept.hit if call.kept is not None else None
    deployment = target.deployment if target is not None and tries else None
    if hit is not None:
        deployment = call.gateway.place_named(hit.stored.deployment)
    started_ns = call.started_ns
    first_ns = tries[-1].first_byte_ns if tries else 0
    model = relay.tap.model if relay is not None else hit.stored.model if hit is not None else ""
    return Receipt(
        agent=caller.agent,
        attempts=tuple([tried.attempt(started_ns) for tried in tries]),
        cached=hit.kind if hit is not None else "",
        client_dialect=call.dialect,
        cost_nanos=measured.cost_nanos,
        cost_state=measured.cost_state,
        deployment=deployment.name if deployment else "",
        endpoint=call.endpoint.name,
        error=error[:500],
        finish=relay.tap.finish if relay is not None else hit.stored.finish if hit is not None else "",
        first_byte_us=(first_ns - started_ns) // 1000 if first_ns else 0,
        id=call.id,
        losses=call.losses,
        model=model or (deployment.model_id if deployment else ""),
        model_asked=(call.seen.model or "")[:200],
        outcome=outcome,
        price_snapshot=measured.price_snapshot,
        price_terms=measured.price_terms,
        project=caller.project,
        provider=(deployment.provider or "") if deployment else "",
        request_bytes=call.request_bytes,
        request_commitment=call.request_commitment(),
        response_bytes=call.response_bytes,
        response_commitment=call.response.hexdigest(),
        response_id=relay.tap.answer_id[:200] if relay is not None else "",
        route=call.route,
        saved_nanos=hit.saved_nanos if hit is not None else 0,
        server=(deployment.server or "") if deployment else "",
        session=caller.session,
        started_ms=call.started_ms,
        status=call.status,
        stream=call.seen.stream is True,
        task=caller.task,
        total_us=(now_ns - started_ns) // 1000,
        trace=call.facts.trace,
        upstream_dialect=call.prepared.dialect if call.prepared is not None and deployment else "",
        upstream_request_id=call.upstream_request_id(),
        usage=measured.usage,
        usage_raw=measured.usage_raw,
        usage_state=measured.usage_state,
        via_key=call.key_name,
    )
