"""Where a call went and for whom, as attributes of a span say: the parts that all dialects share. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from freehold.adapters.telemetry.counts import number, text, whole
from freehold.adapters.telemetry.signals import Attributes, LogRecord, Source, Span

_URLS = ("url.full", "http.url", "gen_ai.openai.api_base", "gen_ai.request.base_url", "llm.request.base_url")
_HOSTS = ("server.address", "net.peer.name", "http.host", "net.peer.ip")
_PORTS = ("server.port", "net.peer.port")
_LONGEST_NS = 10 * 86_400 * 10**9
"""What took longer than ten days was measured with a clock that was set meanwhile."""
_TRACELOOP = "traceloop.association.properties."
_NO_SERVICE = "unknown_service"
"""What the SDKs call a program that was given no name; something may follow."""


def place_of(found: Attributes) -> str:
    """`host` or `host:port`; empty where nothing is said."""
    for name in _URLS:
        if url := text(found, name):
            return _host(url)
    host = text(found, *_HOSTS)
    if "://" in host:
        return _host(host)
    port = next((port for name in _PORTS if (port := whole(found.get(name)))), 0)
    bare = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
    return f"{bare}:{port}" if host and port and not bare.endswith(f":{port}") else bare


def _host(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").netloc.rpartition("@")[2][:200]
    except ValueError:
        return ""


def provider_of(found: Attributes) -> str:
    """As `gen_ai.provider.name` has it, in lower case."""
    return text(
        found, "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"
    ).lower()


def payer_of(source: Source, found: Attributes) -> dict[str, Any]:
    """Whom it is attributed to: by what stands under our own name first."""
    resource = source.resource
    service = source.service
    named = "" if service.startswith(_NO_SERVICE) else service[:200]
    return {
        "service": service[:200],
        "exporter": source.scope[:200],
        "agent": _own(found, resource, "agent") or text(found, "gen_ai.agent.name") or named,
        "project": _own(found, resource, "project"),
        "session": _own(found, resource, "session")
        or text(found, "session.id", "gen_ai.conversation.id", f"{_TRACELOOP}session_id", "conversation.id"),
        "task": _own(found, resource, "task"),
    }


def _own(found: Attributes, resource: Attributes, name: str) -> str:
    return text(found, f"freehold.{name}", f"{_TRACELOOP}{name}") or text(resource, f"freehold.{name}")


def of_span(span: Span) -> dict[str, Any]:
    """What every span says of itself."""
    took_ns = span.end_ns - span.start_ns
    return {
        **payer_of(span.source, span.attributes),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "started_ms": span.start_ns // 1_000_000,
        "duration_us": took_ns // 1000 if span.start_ns > 0 and 0 <= took_ns <= _LONGEST_NS else None,
        "error": error_of(span),
    }


def of_record(record: LogRecord) -> dict[str, Any]:
    """What every log record says of itself: it is made when a call ends, in the span around it."""
    took_ms = number(record.attributes.get("duration_ms"))
    ended_ms = record.time_ns // 1_000_000
    known = took_ms is not None and 0 <= took_ms < 10**9
    return {
        **payer_of(record.source, record.attributes),
        "trace_id": record.trace_id,
        "parent_id": record.span_id,
        "started_ms": ended_ms - (int(took_ms or 0) if known else 0),
        "duration_us": int((took_ms or 0) * 1000) if known else None,
    }


def error_of(span: Span) -> str:
    """What kind of error ended it; empty when none did. Never its words: those may be the prompt's."""
    kind = text(span.attributes, "error.type")
    if not span.failed and not kind:
        return ""
    return kind or span.exception.split("\n")[0][:100] or "error"


def microseconds(found: Attributes, *names: str, per_s: int = 1_000_000) -> int:
    """The first of `names`, from seconds (or thousandths with `per_s` 1000)."""
    for name in names:
        if (value := number(found.get(name))) is not None and 0 < value < 10**9:
            return int(value * per_s)
    return 0
