"""Spans that Freehold exports, read by OpenTelemetry's own code: the classes of opentelemetry-proto."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest

from freehold.adapters.telemetry.genai_spans import encoded, spans_of, traces
from freehold.core.config_telemetry import Conventions, OtlpProtocol
from freehold.core.observed import CallSpan, Try
from freehold.core.usage import Usage
from tests.compat import otel

pytestmark = pytest.mark.foreign

PROGRAM = """
import sys
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
told, request = sys.stdin.buffer.read(), ExportTraceServiceRequest()
if sys.argv[1] == "http/json":
    json_format.Parse(told, request)
else:
    request.ParseFromString(told)
    request.DiscardUnknownFields()
    assert request.SerializeToString() == told, "these are not the bytes that the library would write"
print(json_format.MessageToJson(request))
"""
CALL = CallSpan(
    receipt="r1",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    parent_id="00f067aa0ba902b7",
    endpoint="chat",
    provider="openai",
    model="m-1",
    model_asked="m",
    deployment="openai/m-1",
    stream=True,
    started_us=1_790_000_000_000_001,
    total_us=1_500_000,
    first_byte_us=250_000,
    status=502,
    outcome="error",
    error="Größe € 🙂",
    usage=Usage(fresh_in=2**40, cache_read=5, visible_out=7),
    usage_known=True,
    cost_nanos=-5,
    cost_state="billed",
    address="[::1]:8080",
    tries=(
        Try(deployment="groq/m", start_us=0, total_us=10, status=503, error="full"),
        Try(deployment="openai/m-1", start_us=20, total_us=10, status=502),
    ),
)


def read(data: bytes, protocol: OtlpProtocol) -> Any:
    """The request as the library's JSON; its ids are base64, as in all protobuf JSON but OTLP's."""
    if protocol == "http/json":
        told = json.loads(data)
        for span in told["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in span:
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        data = json.dumps(told).encode()
    done = subprocess.run(
        (str(otel.python("opentelemetry")), "-c", PROGRAM, protocol),
        input=data,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def value_of(told: dict[str, Any]) -> object:
    ((kind, value),) = told.items()
    return int(value) if kind == "intValue" else value


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("conventions", ["latest", "1.41", "1.36"])
def test_the_library_reads_every_field_that_we_wrote(
    conventions: Conventions, protocol: OtlpProtocol
) -> None:
    if not otel.python("opentelemetry").exists():
        pytest.skip("not fetched: python -m tests.compat")
    data, _ = traces(encoded(CALL, conventions, protocol), conventions, protocol, "9.9")
    (whole,) = read(data, protocol)["resourceSpans"]
    (scope,) = whole["scopeSpans"]
    assert scope["scope"] == {"name": "freehold", "version": "9.9"}
    assert {each["key"]: value_of(each["value"]) for each in whole["resource"]["attributes"]} == {
        "service.name": "freehold",
        "service.version": "9.9",
    }
    assert scope.get("schemaUrl", "").removeprefix("https://opentelemetry.io/schemas/") == (
        "" if conventions == "latest" else f"{conventions}.0"
    )
    wrote = list(spans_of(CALL, conventions))
    assert len(scope["spans"]) == len(wrote) == 3
    for found, span in zip(scope["spans"], wrote, strict=True):
        ids = [base64.b64decode(found[name]).hex() for name in ("traceId", "spanId", "parentSpanId")]
        assert ids == [span.trace_id, span.span_id, span.parent_id]
        assert (found["name"], found["kind"]) == (span.name, f"SPAN_KIND_{span.kind.upper()}")
        assert found["startTimeUnixNano"] == str(span.start_ns)
        assert found["endTimeUnixNano"] == str(span.end_ns)
        assert {each["key"]: value_of(each["value"]) for each in found["attributes"]} == dict(span.attributes)
        assert found["status"]["code"] == "STATUS_CODE_ERROR"
        assert found["status"].get("message", "") == span.message
