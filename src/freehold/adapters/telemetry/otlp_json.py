"""OTLP/JSON: protobuf's JSON with ids in hex and enums as numbers. Pure.

opentelemetry.io/docs/specs/otlp "JSON Protobuf Encoding": camelCase names, 64-bit numbers as texts (or
numbers), unknown fields ignored. What a general protobuf reader takes for base64 (ids) is hex here.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from freehold.adapters.telemetry.signals import (
    LONGEST_TEXT,
    Attributes,
    Batch,
    LogRecord,
    Point,
    Signal,
    Source,
    Span,
    TooMany,
    Value,
    hash_of_body,
    is_span,
)

_TRACE_ID, _SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_Number = int | float | str | None
_DEEPEST = 8
_NO_TEXT = msgspec.Raw()


_decode_text = msgspec.json.Decoder(str).decode


class _Any(msgspec.Struct, rename="camel", gc=False):
    string_value: msgspec.Raw = _NO_TEXT
    """Read when it is wanted: to decode a batch as a whole holds up all else, most of all for its prompts."""
    bool_value: bool | None = None
    int_value: _Number = None
    double_value: _Number = None
    array_value: _Array | None = None


class _Array(msgspec.Struct, rename="camel", gc=False):
    values: list[_Any] | None = None


_decode_any = msgspec.json.Decoder(_Any).decode


class _KeyValue(msgspec.Struct, rename="camel", gc=False):
    key: str = ""
    value: _Any | None = None


_Attributes = list[_KeyValue] | None


class _Resource(msgspec.Struct, rename="camel", gc=False):
    attributes: _Attributes = None


class _Scope(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None


class _Event(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    attributes: _Attributes = None


class _Status(msgspec.Struct, rename="camel", gc=False):
    code: int | str = 0
    message: str | None = None


class _Span(msgspec.Struct, rename="camel", gc=False):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: _Number = 0
    end_time_unix_nano: _Number = 0
    attributes: _Attributes = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _ScopeSpans(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Traces(msgspec.Struct, rename="camel", gc=False):
    resource_spans: list[_ResourceSpans] | None = None


class _Log(msgspec.Struct, rename="camel", gc=False):
    time_unix_nano: _Number = 0
    observed_time_unix_nano: _Number = 0
    event_name: str | None = None
    body: msgspec.Raw = _NO_TEXT
    attributes: _Attributes = None
    trace_id: str | None = None
    span_id: str | None = None


class _ScopeLogs(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    log_records: list[_Log] | None = None


class _ResourceLogs(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None


class _Logs(msgspec.Struct, rename="camel", gc=False):
    resource_logs: list[_ResourceLogs] | None = None


class _NumberPoint(msgspec.Struct, rename="camel", gc=False):
    attributes: _Attributes = None
    start_time_unix_nano: _Number = 0
    time_unix_nano: _Number = 0
    as_double: _Number = None
    as_int: _Number = None


class _Numbers(msgspec.Struct, rename="camel", gc=False):
    data_points: list[_NumberPoint] | None = None
    aggregation_temporality: int | str = 0


class _Histogram(msgspec.Struct, rename="camel", gc=False):
    data_points: list[dict[str, Any]] | None = None


class _Metric(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    gauge: _Numbers | None = None
    sum: _Numbers | None = None
    histogram: _Histogram | None = None
    exponential_histogram: _Histogram | None = None
    summary: _Histogram | None = None


class _ScopeMetrics(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    metrics: list[_Metric] | None = None


class _ResourceMetrics(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_metrics: list[_ScopeMetrics] | None = None


class _Metrics(msgspec.Struct, rename="camel", gc=False):
    resource_metrics: list[_ResourceMetrics] | None = None


def read_json(signal: Signal, data: bytes, most: int = 1 << 62) -> Batch:
    """The batch in the JSON of an `Export...ServiceRequest`. Raises msgspec.DecodeError, RecursionError, and
    TooMany for more than `most` items."""
    if signal == "traces":
        return _spans(msgspec.json.decode(data, type=_Traces), most)
    if signal == "logs":
        return _log_records(msgspec.json.decode(data, type=_Logs), most)
    return _points(msgspec.json.decode(data, type=_Metrics), most)


def _bound(items: int, most: int) -> int:
    if items > most:
        raise TooMany
    return items


def _spans(request: _Traces, most: int) -> Batch:
    spans: list[Span] = []
    items = 0
    for resource in request.resource_spans or ():
        for scope in resource.scope_spans or ():
            source = _source(resource.resource, scope.scope)
            items = _bound(items + len(scope.spans or ()), most)
            spans.extend(span for each in scope.spans or () if (span := _span(source, each)))
    return Batch(spans=tuple(spans), items=items, rejected=items - len(spans))


def _span(source: Source, said: _Span) -> Span | None:
    trace_id, span_id = (said.trace_id or "").lower(), (said.span_id or "").lower()
    if not (_TRACE_ID.fullmatch(trace_id) and _SPAN_ID.fullmatch(span_id) and is_span(trace_id, span_id)):
        return None
    status = said.status or _Status()
    return Span(
        source=source,
        trace_id=trace_id,
        span_id=span_id,
        parent_id=(said.parent_span_id or "").lower(),
        name=said.name or "",
        start_ns=_whole(said.start_time_unix_nano),
        end_ns=_whole(said.end_time_unix_nano),
        attributes=_attributes(said.attributes),
        failed=status.code in (2, "STATUS_CODE_ERROR"),
        message=_bounded(status.message or ""),
        exception=_exception(said.events or []),
    )


def _exception(events: list[_Event]) -> str:
    for event in events:
        if event.name == "exception":
            found = _attributes(event.attributes)
            return str(found.get("exception.type") or "exception")
    return ""


def _log_records(request: _Logs, most: int) -> Batch:
    _bound(
        sum(len(s.log_records or ()) for r in request.resource_logs or () for s in r.scope_logs or ()), most
    )
    records = [
        _log_record(_source(resource.resource, scope.scope), said)
        for resource in request.resource_logs or ()
        for scope in resource.scope_logs or ()
        for said in scope.log_records or ()
    ]
    return Batch(logs=tuple(records), items=len(records))


def _log_record(source: Source, said: _Log) -> LogRecord:
    raw = bytes(said.body)
    text = _text(_decode_any(raw).string_value) if raw not in (b"", b"null") else ""
    name = said.event_name or text
    return LogRecord(
        source=source,
        trace_id=(said.trace_id or "").lower(),
        span_id=(said.span_id or "").lower(),
        name=name,
        body=hash_of_body(name, text, raw),
        time_ns=_whole(said.time_unix_nano) or _whole(said.observed_time_unix_nano),
        attributes=_attributes(said.attributes),
    )


def _points(request: _Metrics, most: int) -> Batch:
    points: list[Point] = []
    unread: list[int] = []
    for resource in request.resource_metrics or ():
        for scope in resource.scope_metrics or ():
            source = _source(resource.resource, scope.scope)
            for metric in scope.metrics or ():
                for numbers in (metric.sum, metric.gauge):
                    _bound(len(points) + len(unread) + len(_each(numbers)), most)
                    points.extend(_point(source, metric, numbers, each) for each in _each(numbers))
                for others in (metric.histogram, metric.exponential_histogram, metric.summary):
                    found = (others.data_points if others else None) or []
                    _bound(len(points) + len(unread) + len(found), most)
                    unread += [
                        hash((metric.name, source.service, msgspec.json.encode(each))) for each in found
                    ]
    return Batch(points=tuple(points), others=tuple(unread), items=len(points) + len(unread))


def _each(numbers: _Numbers | None) -> list[_NumberPoint]:
    return (numbers.data_points if numbers else None) or []


def _point(source: Source, metric: _Metric, numbers: _Numbers | None, said: _NumberPoint) -> Point:
    kind = numbers.aggregation_temporality if numbers else 0
    return Point(
        source=source,
        metric=metric.name or "",
        delta=kind in (1, "AGGREGATION_TEMPORALITY_DELTA"),
        start_ns=_whole(said.start_time_unix_nano),
        time_ns=_whole(said.time_unix_nano),
        value=_float(said.as_double if said.as_double is not None else said.as_int),
        attributes=_attributes(said.attributes),
    )


def _source(resource: _Resource | None, scope: _Scope | None) -> Source:
    return Source(
        _attributes(resource.attributes if resource else None), (scope.name if scope else None) or ""
    )


def _attributes(said: _Attributes) -> Attributes:
    return {each.key: value for each in said or () if (value := _value(each.value)) is not None}


def _value(said: _Any | None, depth: int = 0) -> Value | None:
    """Lists stand for their first item, as in the protobuf reader."""
    if said is None:
        return None
    if said.string_value and said.string_value != b"null":
        return _text(said.string_value)
    if said.bool_value is not None:
        return said.bool_value
    if said.int_value is not None:
        return _whole(said.int_value)
    if said.double_value is not None:
        return _float(said.double_value)
    if said.array_value is not None and said.array_value.values and depth < _DEEPEST:
        return _value(said.array_value.values[0], depth + 1)
    return ""


def _text(raw: msgspec.Raw) -> str:
    """Raises msgspec.DecodeError when it is none."""
    if len(raw) > 6 * LONGEST_TEXT or not raw or raw == b"null":  # six: an escaped letter
        return ""
    return _bounded(_decode_text(raw))


def _bounded(text: str) -> str:
    return text if len(text.encode("utf-8", "replace")) <= LONGEST_TEXT else ""


def _whole(said: _Number) -> int:
    """A 64-bit number, written as a number or a text; 0 when it is none."""
    try:
        value = int(said or 0)
    except (ValueError, OverflowError):
        return 0
    return value if abs(value) < 1 << 64 else 0


def _float(said: _Number) -> float:
    try:
        return float(said or 0)
    except (ValueError, OverflowError):
        return 0.0
