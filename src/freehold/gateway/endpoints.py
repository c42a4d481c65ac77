"""What each path means: its dialect, whether its body names a model, how it is carried. A table."""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.core.catalog import Dialect

Carriage = Literal[
    "dialect",  # chat, messages, responses, ollama: may be translated
    "openai",  # a JSON body that names its model, OpenAI-like upstreams only
    "upload",  # multipart: streamed through
    "count",  # token counting
    "stored",  # something kept upstream, found by its id
    "relay",  # anything else: by its model, else to the default provider
]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`name` stands in receipts; `dialect` is the client's grammar for errors and translation."""

    name: str
    carriage: Carriage
    dialect: Dialect
    model_optional: bool = False
    """OpenAI's own API takes these without a model (a stored prompt names it, or there is a default)."""


def _endpoint(
    name: str, carriage: Carriage, dialect: Dialect = "chat", *, optional: bool = False
) -> Endpoint:
    return Endpoint(name=name, carriage=carriage, dialect=dialect, model_optional=optional)


_POST: dict[bytes, Endpoint] = {
    b"/v1/chat/completions": _endpoint("chat", "dialect", "chat"),
    b"/v1/messages": _endpoint("messages", "dialect", "messages"),
    b"/v1/responses": _endpoint("responses", "dialect", "responses", optional=True),
    b"/api/chat": _endpoint("ollama.chat", "dialect", "ollama"),
    b"/v1/completions": _endpoint("completions", "openai"),
    b"/v1/embeddings": _endpoint("embeddings", "openai"),
    b"/v1/rerank": _endpoint("rerank", "openai"),
    b"/v1/moderations": _endpoint("moderations", "openai", optional=True),
    b"/v1/images/generations": _endpoint("images.generations", "openai", optional=True),
    b"/v1/images/edits": _endpoint("images.edits", "upload"),
    b"/v1/images/variations": _endpoint("images.variations", "upload"),
    b"/v1/audio/speech": _endpoint("audio.speech", "openai"),
    b"/v1/audio/transcriptions": _endpoint("audio.transcriptions", "upload"),
    b"/v1/audio/translations": _endpoint("audio.translations", "upload"),
    b"/v1/messages/count_tokens": _endpoint("messages.count_tokens", "count", "messages"),
    b"/v1/responses/input_tokens": _endpoint("responses.input_tokens", "count", "responses", optional=True),
}

_TELEMETRY = (b"/v1/traces", b"/v1/metrics", b"/v1/logs")
"""What is told us over OTLP, and no call."""
_VERSIONED = frozenset((b"/v1/models", *(path for path in _POST if path.startswith(b"/v1/"))))
_RELAY = _endpoint("relay", "relay", optional=True)
_STORED = _endpoint("responses.stored", "stored", "responses", optional=True)
_RELAY_MESSAGES = _endpoint("relay", "relay", "messages", optional=True)


def endpoint_of(method: bytes, path: bytes) -> Endpoint | None:
    """The endpoint of a call, or None when the path is not a model call's (local or control)."""
    if method == b"POST":
        found = _POST.get(path)
        if found is not None:
            return found
    if not path.startswith(b"/v1/") or path in _TELEMETRY:
        return None
    if path.startswith(b"/v1/responses/"):
        return _STORED
    if path.startswith(b"/v1/messages"):
        return _RELAY_MESSAGES
    return _RELAY


def meant(path: bytes) -> bytes:
    """The path that a client means whose base URL has `/v1` once too often, or not at all, or that adds a
    slash: those are the ways in which base URLs are mistaken, and nothing else is at such paths. `/metrics`
    is Prometheus's."""
    path = path.removeprefix(b"/v1") if path.startswith(b"/v1/v1/") else path
    bare = path.removesuffix(b"/")
    if bare in _VERSIONED or bare in _TELEMETRY:
        return bare
    return b"/v1" + bare if b"/v1" + bare in _VERSIONED else path


def allowed_methods(path: bytes) -> tuple[bytes, ...] | None:
    """The methods of a path that does not take all of them. OpenAI lists stored chat completions at the
    very path that makes them."""
    if path == b"/v1/chat/completions":
        return (b"POST", b"GET")
    return (b"POST",) if path in _POST else None
