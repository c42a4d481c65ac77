"""Spans of ours as an OTLP traces request, in both encodings: the way back of `otlp_protobuf` and
`otlp_json`. Pure.

Field numbers are those of opentelemetry-proto (trace/v1/trace.proto, common/v1/common.proto).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

import msgspec

from freehold.adapters.telemetry.signals import Value
from freehold.adapters.telemetry.wire import blob, double, fixed64, varint
from freehold.core.config_telemetry import OtlpProtocol

Kind = Literal["internal", "client"]
_KINDS: Mapping[Kind, int] = {"internal": 1, "client": 3}
_ERROR = 2
Sent = Value | tuple[str, ...]
Attributes = Mapping[str, Sent]


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One span that leaves. Ids are lower-case hex; a parent may be empty."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    name: str
    kind: Kind
    start_ns: int
    end_ns: int
    attributes: Attributes
    failed: bool = False
    message: str = ""
    """Of its status, when it failed."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends: resource, instrumentation, and the version of the names where they have one."""

    resource: Attributes
    scope: str
    version: str
    schema_url: str = ""


def span_bytes(span: Outgoing, protocol: OtlpProtocol) -> bytes:
    """One span as `request_bytes` takes it."""
    if protocol == "http/json":
        return msgspec.json.encode(_json_span(span))
    return blob(2, _span(span))


def request_bytes(origin: Origin, spans: Sequence[bytes], protocol: OtlpProtocol) -> bytes:
    """An `ExportTraceServiceRequest` of what `span_bytes` made. As OTLP/JSON it has ids in hex, 64-bit
    numbers as texts, field names in lowerCamelCase."""
    return _json_request(origin, spans) if protocol == "http/json" else _request(origin, spans)


def _request(origin: Origin, spans: Sequence[bytes]) -> bytes:
    scope = blob(1, _text(1, origin.scope) + _text(2, origin.version))
    inner = scope + b"".join(spans) + _schema(origin)
    resource = blob(1, _attributes(1, origin.resource))
    return blob(1, resource + blob(2, inner) + _schema(origin))


def _json_request(origin: Origin, spans: Sequence[bytes]) -> bytes:
    schema = {"schemaUrl": origin.schema_url} if origin.schema_url else {}
    inner = {
        "scope": {"name": origin.scope, "version": origin.version},
        "spans": [msgspec.Raw(span) for span in spans],
    }
    whole = {"resource": {"attributes": _json_attributes(origin.resource)}, "scopeSpans": [inner | schema]}
    return msgspec.json.encode({"resourceSpans": [whole | schema]})


def _span(span: Outgoing) -> bytes:
    status = (_text(2, span.message) if span.message else b"") + varint(3, _ERROR)
    return (
        blob(1, bytes.fromhex(span.trace_id))
        + blob(2, bytes.fromhex(span.span_id))
        + (blob(4, bytes.fromhex(span.parent_id)) if span.parent_id else b"")
        + _text(5, span.name)
        + varint(6, _KINDS[span.kind])
        + fixed64(7, span.start_ns)
        + fixed64(8, span.end_ns)
        + _attributes(9, span.attributes)
        + (blob(15, status) if span.failed else b"")
    )


def _attributes(number: int, found: Attributes) -> bytes:
    return b"".join(blob(number, _name(name) + blob(2, _value(value))) for name, value in found.items())


@cache
def _name(name: str) -> bytes:
    """The names are ours, and few."""
    return _text(1, name)


def _value(value: Sent) -> bytes:
    if isinstance(value, tuple):
        return blob(5, b"".join(blob(1, _value(each)) for each in value))
    if isinstance(value, bool):
        return varint(2, value)
    if isinstance(value, int):
        return varint(3, value)
    return double(4, value) if isinstance(value, float) else _text(1, value)


def _text(number: int, value: str) -> bytes:
    return blob(number, value.encode("utf-8", "replace"))


def _schema(origin: Origin) -> bytes:
    return _text(3, origin.schema_url) if origin.schema_url else b""


def _json_span(span: Outgoing) -> dict[str, object]:
    made: dict[str, object] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": _clean(span.name),
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _json_attributes(span.attributes),
    }
    if span.parent_id:
        made["parentSpanId"] = span.parent_id
    if span.failed:
        made["status"] = {"code": _ERROR} | ({"message": _clean(span.message)} if span.message else {})
    return made


def _json_attributes(found: Attributes) -> list[dict[str, object]]:
    return [{"key": name, "value": _json_value(value)} for name, value in found.items()]


def _json_value(value: Sent) -> dict[str, object]:
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_json_value(each) for each in value]}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": _clean(value)}


def _clean(text: str) -> str:
    """Without lone surrogates, which no encoding has a place for."""
    return text.encode("utf-8", "replace").decode()
