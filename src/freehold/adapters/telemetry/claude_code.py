"""What Claude Code exports: events, its own spans, and counters of tokens. Pure.

As of 2.1.329: an event `claude_code.api_request` for each call and `claude_code.tool_result` for each tool
use; the same calls as spans `claude_code.llm_request`; `claude_code.token.usage` as sums of a session. Its
counts are Anthropic's: input excludes the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from freehold.adapters.telemetry.counts import Names, nanos, text, told
from freehold.adapters.telemetry.places import microseconds, of_record, of_span, payer_of
from freehold.adapters.telemetry.signals import Attributes, LogRecord, Point, Span, Value
from freehold.core.observed import Observed

SCOPE = "com.anthropic.claude_code"
EVENTS = "claude_code."
NAMES: Names = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "cache_read": ("cache_read_tokens",),
    "cache_write": ("cache_creation_tokens",),
    "cache_write_5m": ("cache_creation_5m_tokens",),
    "cache_write_1h": ("cache_creation_1h_tokens",),
}
_TYPES = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cacheRead": "cache_read_tokens",
    "cacheCreation": "cache_creation_tokens",
}
_PROVIDERS = {"bedrock": "aws.bedrock", "vertex": "gcp.vertex_ai"}


def call_of_event(record: LogRecord) -> Observed | None:
    """The call or the tool use that an event tells of."""
    name, found = _name(record), record.attributes
    if name == "api_request":
        return _call(of_record(record), found)
    if name in ("api_error", "api_refusal"):
        words = text(found, "status_code", "error_code") or name
        refused = {"repeats": True} if name == "api_refusal" else {}  # its `api_request` has the counts
        return _call(of_record(record) | {"error": f"{name} {words}".strip()[:200]} | refused, found)
    if name == "tool_result" and text(found, "tool_name"):
        failed = text(found, "success").lower() == "false"
        return _tool(of_record(record) | {"error": "error" if failed else ""}, found)
    return None


def call_of_span(span: Span) -> Observed | None:
    """The call or the tool use that one of its spans tells of."""
    found = span.attributes
    kind = text(found, "span.type") or span.name.removeprefix(EVENTS)
    if kind == "llm_request":
        failed = found.get("success") is False and not span.failed
        return _call(of_span(span) | ({"error": "error"} if failed else {}), found)
    if kind == "tool" and text(found, "tool_name", "gen_ai.tool.name"):
        return _tool(of_span(span), found)
    return None


def calls_of_points(points: Iterable[Point]) -> Iterator[Observed]:
    """The sums that counters tell, one for each session and model. Only those since the point before."""
    sums: dict[tuple[str, ...], dict[str, Value]] = {}
    firsts: dict[tuple[str, ...], Point] = {}
    for point in points:
        found = point.attributes
        if not point.delta or not point.metric.startswith(EVENTS):
            continue
        key = (
            text(found, "session.id"),
            text(found, "model"),
            text(found, "query_source"),
            str(point.time_ns),
        )
        counts = sums.setdefault(key, {})
        name = _TYPES.get(text(found, "type")) if point.metric == "claude_code.token.usage" else None
        if name is not None and 0 <= point.value < 2**53:
            counts[name] = int(point.value) + int(counts.get(name, 0))
        elif point.metric == "claude_code.cost.usage":
            counts["cost_usd"] = point.value
        if name is not None:
            firsts.setdefault(key, point)
    for key, point in firsts.items():
        if any(sums[key].get(name) for name in _TYPES.values()):
            yield _sum(point, sums[key])


def _sum(point: Point, counts: Attributes) -> Observed:
    used = told(counts, NAMES, cache_beside=True)
    model = text(point.attributes, "model")
    started_ms, ended_ms = point.start_ns // 1_000_000, point.time_ns // 1_000_000
    return Observed(
        kind="call",
        **payer_of(point.source, point.attributes),
        of_many=True,
        provider=_provider(point.attributes),
        model=model,
        model_asked=model,
        started_ms=min(started_ms, ended_ms) or ended_ms,
        duration_us=max(0, ended_ms - started_ms) * 1000,
        usage=used.usage,
        usage_raw=used.raw,
        stated_nanos=nanos(counts.get("cost_usd")),
    )


def _call(common: dict[str, Any], found: Attributes) -> Observed:
    used = told(found, NAMES, cache_beside=True)
    model = text(found, "model", "gen_ai.request.model")
    speed = text(found, "speed")
    facts: dict[str, Any] = {
        "request_id": text(found, "request_id"),
        "provider": _provider(found),
        "model": model,
        "model_asked": model,
        "stream": True,
        "speed": "" if speed == "normal" else speed,
        "usage": used.usage,
        "usage_raw": used.raw,
        "stated_nanos": nanos(found.get("cost_usd"), found.get("cost_usd_micros")),
        "first_byte_us": microseconds(found, "ttft_ms", per_s=1000),
    }
    return Observed(kind="call", **common, **facts)


def _tool(common: dict[str, Any], found: Attributes) -> Observed:
    facts: dict[str, Any] = {
        "tool": text(found, "tool_name", "gen_ai.tool.name"),
        "tool_call_id": text(found, "tool_use_id", "gen_ai.tool.call.id"),
        "tool_server": text(found, "mcp_server_name", "mcp_server"),
        "arguments": str(found.get("tool_input", "") or found.get("tool_parameters", "")),
    }
    return Observed(kind="tool", **common, **facts)


def _provider(found: Attributes) -> str:
    return _PROVIDERS.get(text(found, "anthropic.provider"), "anthropic")


def _name(record: LogRecord) -> str:
    said = text(record.attributes, "event.name") or record.name
    return said.removeprefix(EVENTS)
