"""Calls and tool uses that others made and told of, as entries of the ledger: made here.

A call has the kind `call` like one of ours, so lists, sums and costs have it; its endpoint is `otlp`. Of what
was said and answered nothing is kept. Whether an entry is there already is for `recognise` to say.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from freehold.core.observed import Observed
from freehold.receipts.entries import CostState, Receipt
from freehold.receipts.tools import ToolUse, hash_of, tool_id, tool_receipt

ENDPOINT = "otlp"
"""Of a call that did not come through here."""
_YEARS_MS = 10 * 366 * 86_400_000
_HOUR_MS = 3_600_000
_LONGEST_US = 10**13
_LONGEST_RAW = 4_000
_STRONG = 12
"""Characters after the prefix of an id."""
_PREFIX = re.compile(r"[-_]")
_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")


class Charge(msgspec.Struct, frozen=True):
    """What a call cost, as far as that is known."""

    nanos: int = 0
    state: CostState = "unknown"
    snapshot: str = ""
    provider: str = ""
    """Whose prices those are, as the configuration or the exporter names it."""


def observed_receipt(seen: Observed, charge: Charge, receipt_id: str, now_ms: int) -> Receipt:
    """The entry of a call or a tool use. A time that cannot be is taken as now."""
    if seen.kind == "tool":
        if seen.session and is_strong(seen.tool_call_id):
            receipt_id = tool_id(seen.session, seen.tool_call_id)  # a hook that tells of it too finds it
        use = tool_receipt(_use(seen, now_ms), receipt_id)
        return msgspec.structs.replace(use, trace=trace_of(seen))  # by it the same span is known again
    model = seen.model or seen.model_asked
    provider = charge.provider or seen.provider
    return Receipt(
        id=receipt_id,
        agent=seen.agent,
        cost_nanos=charge.nanos,
        cost_state=charge.state,
        deployment=f"{provider}/{model}" if provider and model else "",
        endpoint=ENDPOINT,
        error=seen.error,
        finish=seen.finish,
        first_byte_us=min(seen.first_byte_us, _LONGEST_US),
        model=model,
        model_asked=seen.model_asked,
        outcome="error" if seen.error else "ok",
        price_snapshot=charge.snapshot,
        project=seen.project,
        provider=provider,
        response_id=seen.response_id,
        route=_route(seen),
        session=seen.session,
        started_ms=_started_ms(seen, now_ms),
        stream=seen.stream,
        task=seen.task,
        total_us=min(seen.duration_us or 0, _LONGEST_US),
        trace=trace_of(seen),
        upstream_request_id=seen.request_id,
        usage=seen.usage,
        usage_raw=seen.usage_raw[:_LONGEST_RAW],
        usage_state=_usage_state(seen),
    )


def hashed(seen: Observed) -> Observed:
    """The same without what a tool was given and gave: hashes stand for it."""
    if not seen.arguments and not seen.result:
        return seen
    arguments, result = _hash(seen.arguments), _hash(seen.result)
    return msgspec.structs.replace(
        seen, arguments="", result="", arguments_sha256=arguments, result_sha256=result
    )


def is_strong(identity: str) -> bool:
    """Whether an id is long enough that nothing else ever has it (`chatcmpl-123` is not)."""
    return len(_PREFIX.split(identity, maxsplit=1)[-1]) >= _STRONG


def _use(seen: Observed, now_ms: int) -> ToolUse:
    return ToolUse(
        tool=seen.tool,
        call_id=seen.tool_call_id,
        server=seen.tool_server,
        session=seen.session,
        agent=seen.agent,
        project=seen.project,
        task=seen.task,
        started_ms=_started_ms(seen, now_ms),
        duration_us=min(seen.duration_us or 0, _LONGEST_US),
        ok=not seen.error,
        error=seen.error,
        arguments_sha256=seen.arguments_sha256 or _hash(seen.arguments),
        result_sha256=seen.result_sha256 or _hash(seen.result),
        source=ENDPOINT,
    )


def _hash(text: str) -> str:
    """Of the value where the text is JSON, so that it is the same hash from whoever tells of it."""
    if text[:1] in ("{", "["):
        try:
            return hash_of(msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError):
            pass
    return hash_of(text)


def trace_of(seen: Observed) -> str:
    """`TRACEID-SPANID`; empty where there is no such span."""
    known = _TRACE.fullmatch(seen.trace_id) and _SPAN.fullmatch(seen.span_id)
    return f"{seen.trace_id}-{seen.span_id}" if known else ""


def _usage_state(seen: Observed) -> Literal["reported", "none"]:
    return "reported" if seen.usage_raw else "none"


def _route(seen: Observed) -> str:
    what = "sums of a session, told by" if seen.of_many else "told by"
    return f"{what} {seen.exporter or seen.service or 'OpenTelemetry'}"


def _started_ms(seen: Observed, now_ms: int) -> int:
    return seen.started_ms if now_ms - _YEARS_MS < seen.started_ms < now_ms + _HOUR_MS else now_ms
