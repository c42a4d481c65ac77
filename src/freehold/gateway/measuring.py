"""What an attempt has used, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from freehold.core.usage import Usage
from freehold.costs.terms import terms_words
from freehold.dialects.sse import EventSplitter, EventTooLong, event_data
from freehold.dialects.usage import advisors_of, billed_nanos, usage_of
from freehold.gateway.parts import Cost
from freehold.gateway.prepared import Prepared
from freehold.gateway.record import (
    DOUBT,
    NOTHING_USED,
    Measured,
    at_own_cost,
    estimated_usage,
    unfinished_usage,
)
from freehold.gateway.tap import Tap
from freehold.gateway.targets import Target
from freehold.receipts.entries import CostState, Outcome

if TYPE_CHECKING:
    from freehold.gateway.beside import Beside
    from freehold.gateway.call_state import CallState

_CUT = ("cancelled", "truncated")


def measure(call: CallState, outcome: Outcome) -> Measured:
    """Usage and cost of the last attempt."""
    kept, stay = call.kept, call.stay
    if kept is not None and kept.hit is not None:
        return Measured(usage=kept.hit.stored.usage, cost_state="free")
    measured = _measure(call, outcome)
    own = stay.cost() if stay is not None else None
    if own is None:
        return measured
    deployment = None if call.target is None else call.target.deployment
    if deployment is None or deployment.server is None:
        _borne_before(call, own)
        return measured
    meter = call.gateway.meter
    if outcome == "ok" and measured.usage_state == "reported" and meter is not None:
        meter.tokens.learn(deployment.server, own.cost_nanos, measured.usage)
    return at_own_cost(measured, own)


def _borne_before(call: CallState, own: Measured) -> None:
    """Servers of ours worked for the call, and somebody else was asked then: that is a cost beside theirs."""
    call.earlier = (*call.earlier, own)
    for tried in reversed(call.tries):
        if call.gateway.place_named(tried.deployment).server is not None:
            tried.cost_nanos += own.cost_nanos
            return


def measure_beside(beside: Beside, body: bytes, *, sent: bool, whole: bool) -> Measured:
    """Of an attempt that was not the call's own in the end. `body` is as much of its answer as came."""
    call, target, prepared = beside.call, beside.target, beside.prepared
    if body:
        tap, events = _read(prepared, body, streamed=beside.streamed)
        measured = _told(call, target, prepared, tap, events, "ok" if whole else "cancelled")
    elif sent and target.deployment.provider:
        measured = _estimated(call, target, estimated_usage(call.request_bytes, 0))
    else:
        measured = NOTHING_USED
    own = beside.stay.cost() if beside.stay is not None else None
    return measured if own is None else at_own_cost(measured, own)


def measure_broken(call: CallState) -> Measured:
    """Of the attempt under way, which had begun to answer and came to nothing."""
    return _measure(call, "truncated")


def _measure(call: CallState, outcome: Outcome) -> Measured:
    target, relay, prepared = call.target, call.relay, call.prepared
    if target is None or prepared is None:
        return NOTHING_USED
    if relay is None:
        if outcome == "cancelled" and call.tries and not call.tries[-1].error and target.deployment.provider:
            usage = estimated_usage(call.request_bytes, 0)  # the prompt was on its way
            return _estimated(call, target, usage)
        return NOTHING_USED
    tap, events, judge = relay.tap, relay.events, relay.judge
    if judge is not None and judge.holds:  # the relay has not seen it yet
        tap, events = _read(prepared, judge.body, streamed=judge.streamed)
        events = 0 if judge.ended else events  # then its usage is all of it
    return _told(call, target, prepared, tap, events, outcome)


def _told(
    call: CallState, target: Target, prepared: Prepared, tap: Tap, events: int, outcome: Outcome
) -> Measured:
    """By what an answer told."""
    deployment, raw = target.deployment, tap.usage_raw
    if raw is None:
        if outcome in _CUT or (deployment.provider and call.endpoint.carriage == "dialect"):
            return _estimated(call, target, estimated_usage(call.request_bytes, events))
        return Measured(cost_state="free" if deployment.server else "unknown")
    usage = usage_of(prepared.dialect, raw)
    billed = billed_nanos(raw) if b'"cost' in raw else None
    cut = outcome in _CUT and not tap.terminal and usage.visible_out < events
    if cut and billed is None:  # Messages tell their input at the start, and one token of output
        usage = unfinished_usage(usage, events)
    terms = tap.terms()
    cost = call.price(target, usage, billed, terms)
    nanos: int = cost.nanos
    state: CostState = cost.state
    if billed is None and deployment.provider and b'"advisor_message"' in raw:
        nanos, state = _with_advice(call, target, cost, advisors_of(raw))
    return Measured(
        usage=usage,
        usage_raw=raw.decode("utf-8", "replace"),
        usage_state="reported" if outcome == "ok" else "partial",
        cost_nanos=nanos,
        cost_state="estimated" if cut and state == "computed" else state,
        price_snapshot=cost.snapshot,
        price_terms=terms_words(terms) if terms and billed is None else "",
    )


def _with_advice(
    call: CallState, target: Target, cost: Cost, advisors: list[tuple[str, Usage]]
) -> tuple[int, CostState]:
    """Plus what other models took that advised the one that answered. The usage that is told beside it leaves
    them out, so that it is no longer computed from that."""
    nanos: int = cost.nanos
    states: list[CostState] = [cost.state]
    for model, used in advisors:
        place = replace(target.deployment, model_id=model)
        advice = call.price(replace(target, deployment=place), used)
        nanos += advice.nanos
        states.extend(("estimated", advice.state))
    return nanos, max(states, key=DOUBT.index)


def _estimated(call: CallState, target: Target, usage: Usage) -> Measured:
    cost = call.price(target, usage)
    return Measured(
        usage=usage,
        usage_state="estimated",
        cost_nanos=cost.nanos,
        cost_state="estimated" if cost.state == "computed" else cost.state,
        price_snapshot=cost.snapshot,
    )


def _read(prepared: Prepared, body: bytes, *, streamed: bool) -> tuple[Tap, int]:
    """What an answer that nobody relays has told, and how many events it has."""
    tap = Tap(prepared.dialect)
    if not streamed:
        tap.whole(body)
        return tap, 0
    try:
        events = EventSplitter(limit=len(body)).feed(body)
    except EventTooLong:
        return tap, 0
    for event in events:
        tap.event(event_data(event))
    return tap, len(events)
