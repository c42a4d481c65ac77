"""What Codex exports as log events. Pure.

As of 0.169.0: of the `codex.sse_event`s (`codex.websocket_event` over a socket) the last, of kind
`response.completed`, has the counts of its call; `codex.tool_result` tells of a tool use. Input includes what
was cached, output the reasoning, as in the Responses API. Its spans repeat the counts and name no model, so
they are not read.
"""

from __future__ import annotations

from typing import Any

from freehold.adapters.telemetry.counts import Names, text, told
from freehold.adapters.telemetry.places import microseconds, of_record
from freehold.adapters.telemetry.signals import LogRecord
from freehold.core.observed import Observed

EVENTS = "codex."
NAMES: Names = {
    "input": ("input_token_count",),
    "output": ("output_token_count",),
    "cache_read": ("cached_token_count",),
    "cache_write": ("cache_write_token_count",),
    "reasoning": ("reasoning_token_count",),
}
_FAILED = ("response.failed", "response.incomplete")


def call_of_event(record: LogRecord) -> Observed | None:
    """The call or the tool use that an event tells of."""
    found = record.attributes
    name = text(found, "event.name") or record.name
    if name == "codex.tool_result" and text(found, "tool_name"):
        return Observed(
            kind="tool",
            **of_record(record),
            error="error" if text(found, "success").lower() == "false" else "",
            tool=text(found, "tool_name"),
            tool_call_id=text(found, "call_id"),
            tool_server=text(found, "mcp_server"),
            arguments=str(found.get("arguments", "")),
            result=str(found.get("output", "")),
        )
    kind = text(found, "event.kind")
    if name not in ("codex.sse_event", "codex.websocket_event"):
        return None
    used = told(found, NAMES)
    if kind not in _FAILED and not (kind == "response.completed" and used.raw):
        return None  # a call's completion is told twice, once without its counts
    model = text(found, "model", "slug")
    # `duration_ms` is that of reading the last event, not of the call.
    timing: dict[str, Any] = {"duration_us": None, "started_ms": record.time_ns // 1_000_000}
    common = of_record(record) | timing
    return Observed(
        kind="call",
        **common,
        error=kind if kind in _FAILED else "",
        provider="openai",
        model=model,
        model_asked=model,
        stream=True,
        usage=used.usage,
        usage_raw=used.raw,
        first_byte_us=microseconds(found, "ttft_ms", per_s=1000),
    )
