"""Spans in OpenInference's names (`openinference.span.kind`, `llm.token_count.*`). Pure.

github.com/Arize-ai/openinference/spec: `prompt` is the whole prompt, its details are parts of it; so say its
instrumentations of OpenAI and Anthropic alike.
"""

from __future__ import annotations

import re

from freehold.adapters.telemetry.counts import Names, nanos, text, told
from freehold.adapters.telemetry.places import of_span, place_of, provider_of
from freehold.adapters.telemetry.signals import Attributes, Span
from freehold.core.observed import Observed

KIND = "openinference.span.kind"
_COUNT = "llm.token_count."
NAMES: Names = {
    "input": (f"{_COUNT}prompt",),
    "output": (f"{_COUNT}completion",),
    "total": (f"{_COUNT}total",),
    "cache_read": (f"{_COUNT}prompt_details.cache_read", f"{_COUNT}prompt_details.cache_input"),
    "cache_write": (f"{_COUNT}prompt_details.cache_write",),
    "audio_in": (f"{_COUNT}prompt_details.audio",),
    "audio_out": (f"{_COUNT}completion_details.audio",),
    "reasoning": (f"{_COUNT}completion_details.reasoning",),
}
_CALLS = ("LLM", "EMBEDDING", "RERANKER")
_MODELS = ("llm.model_name", "embedding.model_name", "reranker.model_name")
_ID = re.compile(r'\A\s*\{\s*"id"\s*:\s*"([^"\\]{1,200})"')
_STREAMS = re.compile(r'"stream"\s*:\s*true')


def call_of(span: Span) -> Observed | None:
    """The model call or tool use that a span tells of; None when it is neither."""
    found = span.attributes
    kind = text(found, KIND).upper()
    if kind == "TOOL":
        return _tool(span)
    used = told(found, NAMES)
    model = text(found, *_MODELS)
    if kind not in _CALLS or not (model or used.raw):
        return None  # agents and chains may repeat their children's counts
    return Observed(
        kind="call",
        **of_span(span),
        response_id=_response_id(found),
        address=place_of(found),
        provider=provider_of(found),
        model=model,
        model_asked=model,
        stream=_STREAMS.search(text_of(found, "llm.invocation_parameters")) is not None,
        usage=used.usage,
        usage_raw=used.raw,
        stated_nanos=nanos(found.get("llm.cost.total")),
    )


def _tool(span: Span) -> Observed:
    found = span.attributes
    return Observed(
        kind="tool",
        **of_span(span),
        tool=text(found, "tool.name") or span.name[:200],
        tool_call_id=text(found, "tool_call.id", "tool.id"),
        arguments=text_of(found, "tool.parameters") or text_of(found, "input.value"),
        result=text_of(found, "output.value"),
    )


def _response_id(found: Attributes) -> str:
    """Where the output is the answer's body, the id that it begins with."""
    said = _ID.match(text_of(found, "output.value"))
    return said[1] if said else ""


def text_of(found: Attributes, name: str) -> str:
    """An attribute's whole text."""
    return str(found.get(name, ""))
