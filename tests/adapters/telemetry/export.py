"""A writer of OTLP requests for tests, in both encodings: what the readers must give back."""

from __future__ import annotations

import gzip
import json
from typing import Any

from freehold.adapters.telemetry.signals import (
    Attributes,
    Batch,
    LogRecord,
    Point,
    Signal,
    Source,
    Span,
    Value,
)
from freehold.adapters.telemetry.wire import blob, double, fixed64, varint

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def text(number: int, value: str) -> bytes:
    return blob(number, value.encode())


# -- protobuf


def any_value(value: Value) -> bytes:
    if isinstance(value, bool):
        return varint(2, value)
    if isinstance(value, int):
        return varint(3, value)
    return double(4, value) if isinstance(value, float) else text(1, value)


def attributes(number: int, found: Attributes) -> bytes:
    return b"".join(blob(number, text(1, name) + blob(2, any_value(value))) for name, value in found.items())


def span(each: Span) -> bytes:
    status = (text(2, each.message) if each.message else b"") + (varint(3, 2) if each.failed else b"")
    event = text(2, "exception") + attributes(3, {"exception.type": each.exception})
    return (
        blob(1, bytes.fromhex(each.trace_id))
        + blob(2, bytes.fromhex(each.span_id))
        + blob(4, bytes.fromhex(each.parent_id))
        + text(5, each.name)
        + fixed64(7, each.start_ns)
        + fixed64(8, each.end_ns)
        + attributes(9, each.attributes)
        + (blob(11, event) if each.exception else b"")
        + blob(15, status)
    )


def log(each: LogRecord) -> bytes:
    return (
        fixed64(1, each.time_ns)
        + attributes(6, each.attributes)
        + blob(9, bytes.fromhex(each.trace_id))
        + blob(10, bytes.fromhex(each.span_id))
        + text(12, each.name)
    )


def point(each: Point) -> bytes:
    number = fixed64(2, each.start_ns) + fixed64(3, each.time_ns) + double(4, each.value)
    sum_ = blob(1, number + attributes(7, each.attributes)) + varint(2, 1 if each.delta else 2)
    return text(1, each.metric) + blob(7, sum_)


def protobuf(batch: Batch) -> bytes:
    writers = [(span, batch.spans), (log, batch.logs), (point, batch.points)]
    made = b""
    for write, items in writers:
        for each in items:
            scope = blob(1, text(1, each.source.scope)) + blob(2, write(each))
            made += blob(1, blob(1, attributes(1, each.source.resource)) + blob(2, scope))
    return made


# -- JSON


def json_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def json_attributes(found: Attributes) -> list[dict[str, Any]]:
    return [{"key": name, "value": json_value(value)} for name, value in found.items()]


def json_item(each: Span | LogRecord | Point) -> dict[str, Any]:
    said = json_attributes(each.attributes)
    if isinstance(each, Span):
        event = {"name": "exception", "attributes": json_attributes({"exception.type": each.exception})}
        return {
            "traceId": each.trace_id.upper(),
            "spanId": each.span_id,
            "parentSpanId": each.parent_id,
            "name": each.name,
            "startTimeUnixNano": str(each.start_ns),
            "endTimeUnixNano": each.end_ns,
            "attributes": said,
            "events": [event] if each.exception else [],
            "status": {"code": 2 if each.failed else 0, "message": each.message},
        }
    if isinstance(each, LogRecord):
        ids = {"traceId": each.trace_id, "spanId": each.span_id}
        return {"timeUnixNano": str(each.time_ns), "eventName": each.name, "attributes": said} | ids
    number = {"startTimeUnixNano": str(each.start_ns), "timeUnixNano": str(each.time_ns)}
    number |= {"asDouble": each.value, "attributes": said}
    temporality = 1 if each.delta else 2
    return {"name": each.metric, "sum": {"dataPoints": [number], "aggregationTemporality": temporality}}


def as_json(batch: Batch) -> bytes:
    names = (("Spans", "spans"), ("Logs", "logRecords"), ("Metrics", "metrics"))
    made: dict[str, list[Any]] = {}
    for (name, items), found in zip(names, (batch.spans, batch.logs, batch.points), strict=True):
        for each in found:
            scope = {"scope": {"name": each.source.scope}, items: [json_item(each)]}
            resource = {"resource": {"attributes": json_attributes(each.source.resource)}}
            made.setdefault(f"resource{name}", []).append(resource | {f"scope{name}": [scope]})
    return json.dumps(made).encode()


def packed(body: bytes) -> bytes:
    return gzip.compress(body)


# -- values


def of(signal: Signal, *items: Any) -> Batch:
    where = {"traces": "spans", "logs": "logs", "metrics": "points"}[signal]
    return Batch(**{where: tuple(items), "items": len(items)})


def call_span(attributes: Attributes, **facts: Any) -> Span:
    """A second long, 100 seconds after 2026 began, of the service `shop`."""
    start_ns = 1_767_225_700_000_000_000
    given = {"scope": "tests", "trace_id": "0a" * 16, "span_id": "0b" * 8, "name": "chat"} | facts
    resource = given.pop("resource", {"service.name": "shop"})
    source = Source(resource, given.pop("scope"))
    times = {"start_ns": start_ns, "end_ns": start_ns + 1_000_000_000}
    return Span(source=source, attributes=attributes, **(times | given))


def event(name: str, attributes: Attributes, **facts: Any) -> LogRecord:
    """A log record of 101 seconds after 2026 began."""
    source = Source(facts.pop("resource", {"service.name": "agent"}), facts.pop("scope", "tests"))
    return LogRecord(
        source=source, name=name, attributes=attributes, time_ns=1_767_225_701_000_000_000, **facts
    )
