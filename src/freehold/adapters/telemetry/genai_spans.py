"""Calls of this house, and uses of tools that it was told of, as spans in the names of OpenTelemetry's
GenAI conventions, of the generation that is wanted. Pure.

`latest` are those of semantic-conventions-genai; `1.41` and `1.36` those of semantic-conventions of that
version. In all of them input tokens have those from and to a cache in them, and output tokens the reasoning.
What the conventions have no name for stands under `freehold.*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from freehold.adapters.telemetry.observe import RECEIPT
from freehold.adapters.telemetry.otlp_write import (
    Attributes,
    Origin,
    Outgoing,
    Sent,
    request_bytes,
    span_bytes,
)
from freehold.core.config_telemetry import Conventions, OtlpProtocol
from freehold.core.observed import CallSpan, ToolSpan, Try

SERVICE = "freehold"
_LONGEST_MESSAGE = 300
_SCHEMAS: Mapping[Conventions, str] = {
    "1.41": "https://opentelemetry.io/schemas/1.41.0",
    "1.36": "https://opentelemetry.io/schemas/1.36.0",
}
_OPERATIONS = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "ollama.chat": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "messages.count_tokens": "count_tokens",
    "responses.input_tokens": "count_tokens",
}
_PROVIDERS = {
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "x-ai": "x_ai",
    "xai": "x_ai",
}
"""Usual names of providers, where the conventions have another one."""
_OLD_PROVIDERS = _PROVIDERS | {"azure": "az.ai.openai", "x-ai": "xai", "xai": "xai"}


def encoded(each: CallSpan | ToolSpan, conventions: Conventions, protocol: OtlpProtocol) -> list[bytes]:
    """The spans of a call or of a tool's use as `traces` takes them."""
    spans = (span_of_tool(each),) if isinstance(each, ToolSpan) else spans_of(each, conventions)
    return [span_bytes(span, protocol) for span in spans]


def traces(
    spans: Sequence[bytes], conventions: Conventions, protocol: OtlpProtocol, version: str
) -> tuple[bytes, str]:
    """An OTLP traces request of encoded spans, and its content type. `version` is this program's."""
    origin = Origin(
        resource={"service.name": SERVICE, "service.version": version},
        scope=SERVICE,
        version=version,
        schema_url=_SCHEMAS.get(conventions, ""),
    )
    content_type = "application/json" if protocol == "http/json" else "application/x-protobuf"
    return request_bytes(origin, spans, protocol), content_type


def spans_of(call: CallSpan, conventions: Conventions) -> Iterator[Outgoing]:
    """The call's span, and one in it for each attempt where there were several."""
    operation = _OPERATIONS.get(call.endpoint, call.endpoint or "chat")
    model = call.model_asked or call.model
    failed = call.outcome != "ok"
    yield Outgoing(
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_id=call.parent_id,
        name=f"{operation} {model}".strip(),
        kind="client",
        start_ns=call.started_us * 1000,
        end_ns=(call.started_us + call.total_us) * 1000,
        attributes=_known(
            {
                "gen_ai.operation.name": operation,
                **_who(call, conventions),
                **_answer(call, conventions),
                **(_usage(call, conventions) if call.usage_known else {}),
                **_house(call),
            }
        ),
        failed=failed,
        message=call.error[:_LONGEST_MESSAGE] if failed else "",
    )
    if len(call.tries) > 1:
        for number, each in enumerate(call.tries):
            yield _attempt(call, number, each)


def _attempt(call: CallSpan, number: int, each: Try) -> Outgoing:
    """Without a model and without tokens, so that nobody counts it as a call."""
    start_us = call.started_us + each.start_us
    ok = not each.error and 200 <= each.status < 300
    return Outgoing(
        trace_id=call.trace_id,
        span_id=span_id_of(f"{call.receipt} {number}"),
        parent_id=call.span_id,
        name=f"attempt {each.deployment}",
        kind="internal",
        start_ns=start_us * 1000,
        end_ns=(start_us + each.total_us) * 1000,
        attributes=_known(
            {
                "error.type": "" if ok else str(each.status or "no_answer"),
                "http.response.status_code": each.status,
                "freehold.attempt": number + 1,
                "freehold.deployment": each.deployment,
            }
        ),
        failed=not ok,
        message="" if ok else each.error[:_LONGEST_MESSAGE],
    )


def span_of_tool(use: ToolSpan) -> Outgoing:
    """In a trace of its own: neither hooks nor programs tell in which one it was. Its session is that of the
    calls beside it."""
    failed = use.outcome != "ok"
    return Outgoing(
        trace_id=trace_id_of(use.receipt),
        span_id=span_id_of(use.receipt),
        name=f"execute_tool {use.tool}",
        kind="internal",
        start_ns=use.started_us * 1000,
        end_ns=(use.started_us + use.total_us) * 1000,
        attributes=_known(
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": use.tool,
                "gen_ai.tool.call.id": use.call_id,
                "gen_ai.conversation.id": use.session,
                "gen_ai.agent.name": use.agent,
                "error.type": "tool_error" if failed else "",
                RECEIPT: use.receipt,
                "freehold.outcome": use.outcome,
                "freehold.tool.server": use.server,
                "freehold.agent": use.agent,
                "freehold.project": use.project,
                "freehold.task": use.task,
            }
        ),
        failed=failed,
        message=use.error[:_LONGEST_MESSAGE],
    )


def _who(call: CallSpan, conventions: Conventions) -> dict[str, Sent]:
    """Who was asked, for whom."""
    old = conventions == "1.36"
    provider = call.provider.lower() or SERVICE  # a model server of ours
    names = _OLD_PROVIDERS if old else _PROVIDERS
    host, port = _host(call.address)
    return {
        "gen_ai.system" if old else "gen_ai.provider.name": names.get(provider, provider),
        "gen_ai.request.model": call.model_asked or call.model,
        "gen_ai.conversation.id": call.session,
        "gen_ai.agent.name": call.agent,
        "server.address": host,
        "server.port": port,
    }


def _answer(call: CallSpan, conventions: Conventions) -> dict[str, Sent]:
    error = ""
    if call.outcome != "ok":
        error = str(call.status) if call.status >= 400 else call.outcome
    told: dict[str, Sent] = {
        "gen_ai.response.model": call.model,
        "gen_ai.response.id": call.response_id,
        "gen_ai.response.finish_reasons": (call.finish,) if call.finish else "",
        "http.response.status_code": call.status,
        "error.type": error,
    }
    if conventions == "1.36":
        return told
    stream: dict[str, Sent] = {"gen_ai.request.stream": True} if call.stream else {}
    if call.stream and call.first_byte_us:
        stream["gen_ai.response.time_to_first_chunk"] = call.first_byte_us / 1_000_000
    return told | stream


def _usage(call: CallSpan, conventions: Conventions) -> dict[str, Sent]:
    usage = call.usage
    sums: dict[str, Sent] = {
        "gen_ai.usage.input_tokens": usage.input_total,
        "gen_ai.usage.output_tokens": usage.output_total,
    }
    if conventions == "1.36":
        return sums
    written = "cache_write" if conventions == "latest" else "cache_creation"
    parts = {
        "cache_read.input_tokens": usage.cache_read,
        f"{written}.input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "reasoning.output_tokens": usage.reasoning,
    }
    if conventions == "latest":
        parts |= {
            "audio.input_tokens": usage.audio_in,
            "audio.output_tokens": usage.audio_out,
            "image.input_tokens": usage.image_in,
            "image.output_tokens": usage.image_out,
        }
    return sums | {f"gen_ai.usage.{name}": count for name, count in parts.items() if count}


def _house(call: CallSpan) -> dict[str, Sent]:
    """What only this house knows. The cost also where others look for it, in dollars."""
    told: dict[str, Sent] = {
        RECEIPT: call.receipt,
        "freehold.outcome": call.outcome,
        "freehold.deployment": call.deployment,
        "freehold.server": call.server,
        "freehold.route": call.route,
        "freehold.cached": call.cached,
        "freehold.agent": call.agent,
        "freehold.project": call.project,
        "freehold.task": call.task,
        "freehold.request_id": call.request_id,
        "freehold.cost.state": call.cost_state,
    }
    if call.cost_state != "unknown":
        told |= {"freehold.cost.nano_usd": call.cost_nanos, "gen_ai.usage.cost": call.cost_nanos / 1e9}
    return told


_ALWAYS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cost",
    "freehold.cost.nano_usd",
)
"""Zero is a figure here."""


def _known(told: Mapping[str, Sent]) -> Attributes:
    return {name: value for name, value in told.items() if value not in ("", 0) or name in _ALWAYS}


def _host(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and not host.endswith(":"):
        return host.strip("[]"), int(port)
    return address.strip("[]"), 0


def trace_id_of(text: str) -> str:
    """A trace's id that is the same for the same text: for calls whose client sent none."""
    return sha256(f"trace {text}".encode("utf-8", "replace")).hexdigest()[:32]


def span_id_of(text: str) -> str:
    """A span's id that is the same for the same text, so that a span that is sent twice is the same span."""
    return sha256(f"span {text}".encode("utf-8", "replace")).hexdigest()[:16]
