"""The one exit door: usage becomes cost, the call becomes a receipt. Runs once per call, before the
last byte of the answer leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.dialects.usage import billed_nanos, usage_of
from freehold.gateway.record import NOTHING_USED, Measured, estimated_usage
from freehold.receipts.entries import Outcome, Receipt

if TYPE_CHECKING:
    from freehold.gateway.call import Call


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
    call.measured = measured = _measure(call, outcome)
    gateway.record(_receipt(call, outcome, error, measured), call, then)
    return measured


def _measure(call: Call, outcome: Outcome) -> Measured:
    target, relay = call.target, call.relay
    if target is None or relay is None or call.prepared is None:
        return NOTHING_USED
    raw = relay.tap.usage_raw
    deployment = target.deployment
    if raw is None:
        if outcome not in ("cancelled", "truncated"):
            state = "free" if deployment.server else "unknown"
            return Measured(cost_state=state)
        usage = estimated_usage(call.request_bytes, relay.events)
        cost = call.gateway.price(target, deployment.model_id, usage, call.started_ms, None)
        state = "estimated" if cost.state == "computed" else cost.state
        return Measured(
            usage=usage,
            usage_state="estimated",
            cost_nanos=cost.nanos,
            cost_state=state,
            price_snapshot=cost.snapshot,
        )
    usage = usage_of(call.prepared.dialect, raw)
    billed = billed_nanos(raw) if b'"cost"' in raw else None
    cost = call.gateway.price(target, deployment.model_id, usage, call.started_ms, billed)
    return Measured(
        usage=usage,
        usage_raw=raw.decode("utf-8", "replace"),
        usage_state="reported" if outcome == "ok" else "partial",
        cost_nanos=cost.nanos,
        cost_state=cost.state,
        price_snapshot=cost.snapshot,
    )


def _receipt(call: Call, outcome: Outcome, error: str, measured: Measured) -> Receipt:
    now_ns = time.perf_counter_ns()
    caller, target, relay, tries = call.facts.caller, call.target, call.relay, call.tries
    deployment = target.deployment if target is not None and tries else None
    started_ns = call.started_ns
    first_ns = tries[-1].first_byte_ns if tries else 0
    return Receipt(
        agent=caller.agent,
        attempts=tuple([tried.attempt(started_ns) for tried in tries]),
        client_dialect=call.dialect,
        cost_nanos=measured.cost_nanos,
        cost_state=measured.cost_state,
        deployment=deployment.name if deployment else "",
        endpoint=call.endpoint.name,
        error=error[:500],
        first_byte_us=(first_ns - started_ns) // 1000 if first_ns else 0,
        id=call.id,
        losses=call.losses,
        model=(relay.tap.model if relay is not None else "") or (deployment.model_id if deployment else ""),
        model_asked=(call.seen.model or "")[:200],
        outcome=outcome,
        price_snapshot=measured.price_snapshot,
        project=caller.project,
        provider=(deployment.provider or "") if deployment else "",
        request_bytes=call.request_bytes,
        request_commitment=call.request_commitment(),
        response_bytes=call.response_bytes,
        response_commitment=call.response.hexdigest(),
        route=call.route,
        server=(deployment.server or "") if deployment else "",
        session=caller.session,
        started_ms=call.started_ms,
        status=call.status,
        stream=call.seen.stream is True,
        task=caller.task,
        total_us=(now_ns - started_ns) // 1000,
        upstream_dialect=call.prepared.dialect if call.prepared is not None and deployment else "",
        upstream_request_id=call.upstream_request_id(),
        usage=measured.usage,
        usage_raw=measured.usage_raw,
        usage_state=measured.usage_state,
        via_key=call.key_name,
    )
