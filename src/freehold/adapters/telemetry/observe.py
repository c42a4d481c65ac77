"""What a batch tells: model calls, tool uses, and the passages by which a call may have come to us. Pure.

Each dialect is a module beside this one; a span belongs to the first that knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from freehold.adapters.telemetry import claude_code, codex, spans_genai, spans_openinference
from freehold.adapters.telemetry.counts import text
from freehold.adapters.telemetry.places import of_span, place_of
from freehold.adapters.telemetry.signals import Attributes, Batch, LogRecord, Span
from freehold.core.observed import Observed

SpanKey = tuple[str, str]
"""Trace and span."""
RECEIPT = "freehold.receipt"
"""What our own spans call the receipt that they are made of."""
_RECEIPT_HEADERS = ("http.response.header.x-freehold-receipt", "http.response.header.x_freehold_receipt")
_REQUEST_HEADERS = (
    "http.response.header.x-request-id",
    "http.response.header.x_request_id",
    "http.response.header.request-id",
    "http.response.header.request_id",
)


class Told(msgspec.Struct, frozen=True):
    """`parents` is of all spans, also of those that tell nothing themselves: calls nest through them."""

    observed: tuple[Observed, ...]
    parents: Mapping[SpanKey, str]
    unread: int = 0
    """Counters that would have been receipts, had they been sums since the point before."""


def observe(batch: Batch, *, from_metrics: bool = False) -> Told:
    """Everything that a batch tells of. Counters only where asked for: they repeat what events say."""
    found: list[Observed] = [each for span in batch.spans if (each := _of_span(span))]
    found += [each for record in batch.logs if (each := _of_record(record))]
    unread = 0
    if from_metrics:
        found += claude_code.calls_of_points(batch.points)
        unread = sum(point.metric == "claude_code.token.usage" and not point.delta for point in batch.points)
    parents = {(span.trace_id, span.span_id): span.parent_id for span in batch.spans if span.parent_id}
    return Told(tuple(found), parents, unread)


def _of_span(span: Span) -> Observed | None:
    found = span.attributes
    if found.get("logfire.span_type") == "pending_span":
        return None  # a span that has only begun; it comes again when it has ended
    if RECEIPT in found or text(found, *_RECEIPT_HEADERS):
        receipt = text(found, RECEIPT, *_RECEIPT_HEADERS)
        return Observed(kind="passage", **of_span(span), receipt=receipt)
    if spans_openinference.KIND in found:
        return spans_openinference.call_of(span)
    if span.source.scope.startswith(claude_code.SCOPE) or span.name.startswith(claude_code.EVENTS):
        return claude_code.call_of_span(span)
    return spans_genai.call_of(span) or _passage(span)


def _passage(span: Span) -> Observed | None:
    found = span.attributes
    if not text(found, "http.request.method", "http.method"):
        return None
    request_id = text(found, *_REQUEST_HEADERS)
    return Observed(kind="passage", **of_span(span), address=place_of(found), request_id=request_id)


def _of_record(record: LogRecord) -> Observed | None:
    name = text(record.attributes, "event.name") or record.name
    if record.name == spans_genai.EVENT:
        return spans_genai.call_of_event(record)
    if name.startswith(codex.EVENTS):
        return codex.call_of_event(record)
    if record.name.startswith(claude_code.EVENTS) or record.source.scope.startswith(claude_code.SCOPE):
        return claude_code.call_of_event(record)
    return None


def identities(batch: Batch) -> Iterator[int]:
    """A number for each item, the same whenever and however it comes again."""
    for span in batch.spans:
        yield hash((span.trace_id, span.span_id))
    for record in batch.logs:
        yield hash(
            (
                record.time_ns,
                record.name,
                record.body,
                record.span_id,
                record.source.service,
                _all(record.attributes),
            )
        )
    for point in batch.points:
        series = (point.metric, point.source.service, _all(point.attributes))
        yield hash((point.start_ns, point.time_ns, point.value, series))
    yield from batch.others


def _all(found: Attributes) -> frozenset[tuple[str, object]]:
    return frozenset(found.items())
