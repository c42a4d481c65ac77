"""Spans in the names of OpenTelemetry's GenAI conventions, old and new, and of those who mix their own into
them: OpenLLMetry (`traceloop.*`, `llm.*`), OpenLIT, pydantic-ai, LiteLLM, Vercel's AI SDK (`ai.*`). Pure.

Names: semantic-conventions v1.27 to v1.41, and semantic-conventions-genai, whose newest ones come first.
"""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.adapters.telemetry.counts import Names, Told, nanos, text, told
from freehold.adapters.telemetry.places import (
    microseconds,
    of_record,
    of_span,
    place_of,
    provider_of,
)
from freehold.adapters.telemetry.signals import Attributes, LogRecord, Span
from freehold.core.observed import Observed
from freehold.dialects.usage import usage_of

_USAGE = "gen_ai.usage."
NAMES: Names = {
    "input": (f"{_USAGE}input_tokens", f"{_USAGE}prompt_tokens", "llm.usage.prompt_tokens"),
    "output": (f"{_USAGE}output_tokens", f"{_USAGE}completion_tokens", "llm.usage.completion_tokens"),
    "total": (f"{_USAGE}total_tokens", "llm.usage.total_tokens", "ai.usage.tokens"),
    "cache_read": (
        f"{_USAGE}cache_read.input_tokens",
        f"{_USAGE}cache_read_input_tokens",
        f"{_USAGE}cached_input_tokens",
        f"{_USAGE}cached_tokens",
        f"{_USAGE}details.cache_read_tokens",
        "ai.usage.cachedInputTokens",
    ),
    "cache_write": (
        f"{_USAGE}cache_write.input_tokens",
        f"{_USAGE}cache_creation.input_tokens",
        f"{_USAGE}cache_creation_input_tokens",
        f"{_USAGE}cache_write_input_tokens",
        f"{_USAGE}details.cache_write_tokens",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
    ),
    "reasoning": (
        f"{_USAGE}reasoning.output_tokens",
        f"{_USAGE}reasoning_output_tokens",
        f"{_USAGE}reasoning_tokens",
        f"{_USAGE}details.reasoning_tokens",
        "ai.usage.reasoningTokens",
        "llm.usage.reasoning_tokens",
    ),
    "audio_in": (f"{_USAGE}audio.input_tokens", f"{_USAGE}details.input_audio_tokens"),
    "audio_out": (f"{_USAGE}audio.output_tokens", f"{_USAGE}details.output_audio_tokens"),
    "audio_read": (f"{_USAGE}audio.cache_read.input_tokens",),
    "image_in": (f"{_USAGE}image.input_tokens",),
    "image_out": (f"{_USAGE}image.output_tokens",),
}

EVENT = "gen_ai.client.inference.operation.details"
"""An event that repeats what the span of its call says."""
_NO_CALLS = frozenset(
    (
        *("create_agent", "invoke_agent", "invoke_workflow", "execute_task", "plan", "retrieval"),
        *("framework", "agent", "workflow", "task", "execution", "vectordb", "memory", "graph_execution"),
    )
)
"""Operations that are no model calls: the sums that they repeat are their children's."""
_LONGEST_WORD = 40
_TOOLS = ("execute_tool", "tools")
_COSTS = ("gen_ai.usage.cost", "operation.cost", "gen_ai.usage.total_cost", "gen_ai.cost.total_cost")
_OPENLIT = "openlit.instrumentation."
_VERCEL_CALLS = ("doGenerate", "doStream", "doEmbed")
_REQUEST_IDS = ("anthropic.request.id", "openai.request.id", "gen_ai.response.request_id")
_EXCLUDING = ("anthropic", "aws.bedrock")


def call_of(span: Span) -> Observed | None:
    """The model call or tool use that a span tells of; None when it is neither."""
    found = span.attributes
    if _is_tool(found):
        return _tool(span)
    facts = _call_facts(found, span.source.scope)
    if facts is None:
        return None
    return Observed(kind="call", **of_span(span), **facts)


def call_of_event(record: LogRecord) -> Observed | None:
    """The model call that an event of the conventions tells of."""
    facts = _call_facts(record.attributes, record.source.scope)
    if record.name != EVENT or facts is None:
        return None
    common = of_record(record) | {"span_id": record.span_id, "parent_id": ""}
    if not facts["provider"] and record.source.scope.startswith(_OPENLIT):
        facts["provider"] = record.source.scope.removeprefix(_OPENLIT)  # its events do not say
    return Observed(kind="call", repeats=True, **common, **facts)


def _call_facts(found: Attributes, scope: str) -> dict[str, Any] | None:
    """None where the attributes are not those of a model call."""
    operation = text(found, "gen_ai.operation.name").lower()
    vercel = text(found, "ai.operationId")
    if operation in _NO_CALLS or text(found, "traceloop.span.kind").lower() in _NO_CALLS:
        return None
    if vercel and not vercel.endswith(_VERCEL_CALLS):
        return None  # the span around the one that calls, with the same sums
    used = _of_anthropic(found) or told(found, NAMES, cache_beside=_cache_beside(found, scope))
    asked = text(found, "gen_ai.request.model", "ai.model.id")
    model = text(found, "gen_ai.response.model", "ai.response.model")
    if not asked and not model:
        return None
    if not (operation or vercel or used.raw or text(found, "llm.request.type")):
        return None
    return {
        "response_id": text(found, "gen_ai.response.id", "ai.response.id"),
        "request_id": text(found, *_REQUEST_IDS),
        "address": place_of(found),
        "provider": provider_of(found).partition(".")[0] if vercel else provider_of(found),
        "model": model or asked,
        "model_asked": asked or model,
        "stream": _streams(found),
        "finish": text(found, "gen_ai.response.finish_reasons", "ai.response.finishReason")[:_LONGEST_WORD],
        "usage": used.usage,
        "usage_raw": used.raw,
        "stated_nanos": nanos(next((found[name] for name in _COSTS if name in found), None)),
        "first_byte_us": microseconds(
            found,
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.client.operation.time_to_first_chunk",
            "gen_ai.server.time_to_first_token",
        )
        or microseconds(found, "ai.response.msToFirstChunk", per_s=1000),
    }


class _Anthropic(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()


class _Metadata(msgspec.Struct):
    anthropic: _Anthropic | None = None


def _of_anthropic(found: Attributes) -> Told | None:
    """Vercel's AI SDK passes Anthropic's own usage object on; its own counts, before version 6, forget what
    was cached where nothing was streamed."""
    try:
        said = msgspec.json.decode(str(found.get("ai.response.providerMetadata", "")), type=_Metadata)
    except (msgspec.DecodeError, RecursionError):
        return None
    raw = bytes(said.anthropic.usage) if said.anthropic is not None else b""
    if not raw.startswith(b"{"):
        return None
    return Told(usage_of("messages", raw), raw.decode("utf-8", "replace"))


def _streams(found: Attributes) -> bool:
    names = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
    said = [found.get(name) for name in names]
    return True in said or text(found, "ai.operationId").endswith("doStream")


def _cache_beside(found: Attributes, scope: str) -> bool:
    """Who passes on counts of Anthropic's kind: OpenLIT; Vercel's AI SDK before it broke inputs down (6)."""
    if provider_of(found).partition(".")[0] not in ("anthropic", "aws", "") and scope != "ai":
        return False
    if scope.startswith("openlit"):
        return provider_of(found) in _EXCLUDING or scope.endswith(("anthropic", "bedrock"))
    vercel = "ai.operationId" in found and "anthropic" in provider_of(found)
    return vercel and "ai.usage.inputTokenDetails.cacheReadTokens" not in found


def _is_tool(found: Attributes) -> bool:
    return (
        text(found, "gen_ai.operation.name").lower() in _TOOLS
        or text(found, "traceloop.span.kind").lower() == "tool"
        or found.get("ai.operationId") == "ai.toolCall"
        or (found.get("mcp.method.name") == "tools/call" and bool(text(found, "gen_ai.tool.name")))
    )


def _tool(span: Span) -> Observed | None:
    found = span.attributes
    name = text(found, "gen_ai.tool.name", "ai.toolCall.name", "traceloop.entity.name")
    if not name:
        return None
    return Observed(
        kind="tool",
        **of_span(span),
        tool=name,
        tool_call_id=text(found, "gen_ai.tool.call.id", "ai.toolCall.id"),
        tool_server=text(found, "mcp.server.name", "gen_ai.mcp.server.name"),
        arguments=_whole(found, "gen_ai.tool.call.arguments", "ai.toolCall.args", "traceloop.entity.input"),
        result=_whole(found, "gen_ai.tool.call.result", "ai.toolCall.result", "traceloop.entity.output"),
    )


def _whole(found: Attributes, *names: str) -> str:
    return next((str(found[name]) for name in names if found.get(name) not in (None, "")), "")
