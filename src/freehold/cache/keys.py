"""By what a request is recognised: a keyed hash of everything that changes its answer. Pure.

In the key: the endpoint, the model asked for and the places that it stands for, the body as canonical JSON
(key order, white space and number spelling do not matter), the headers that switch features, and whose
answers these are. Not in the key: whether it streams (the same answer, kept apart by its `Form`), who the
user is, ids and tags for the provider's books, cache marks, Claude Code's attribution line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, cast

import msgspec

from freehold.cache.parts import Unkept, uncacheable
from freehold.core.catalog import Deployment
from freehold.dialects.messages.attribution import without_attribution

Form = Literal["whole", "stream", "counted"]
"""How an answer is framed: one JSON body; events; events with the usage that a chat client asked for."""
JsonObject = dict[str, Any]

KEY_BYTES = 20

_IGNORED: Mapping[str, frozenset[str]] = {
    "chat": frozenset(
        (
            *("stream", "stream_options", "user", "metadata", "store", "service_tier"),
            *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier"),
        )
    ),
    "messages": frozenset(("stream", "metadata", "service_tier", "cache_control")),
    "responses": frozenset(
        (
            *("stream", "stream_options", "user", "store", "service_tier", "client_metadata"),
            *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier"),
        )
    ),
    "ollama.chat": frozenset(("stream", "keep_alive")),
    "completions": frozenset(("stream", "stream_options", "user")),
    "embeddings": frozenset(("user",)),
    "rerank": frozenset(("user",)),
}
"""By endpoint: top-level fields that do not change the answer. Other endpoints are not kept at all."""

_FEATURE_HEADERS = (b"anthropic-beta", b"anthropic-version", b"openai-beta", b"x-freehold-strict")
_CACHE_MARK = b'"cache_control"'
_ESCAPED = b"\\u00"

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the cache sees it. `endpoint` is its name in receipts (`chat`, `messages`, ...)."""

    endpoint: str
    body: bytes
    route: bytes
    """From `route_label`: what the model asked for stands for now."""
    headers: bytes = b""
    """From `feature_headers`."""
    scope: bytes = b""
    """From `scope_of`."""


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """A recognised request: same `key`, same answer."""

    key: bytes
    form: Form
    document: JsonObject
    """The body without what does not matter; for reading only."""


def key_of(
    asked: Asked, *, salt: bytes, tools: Collection[str] | Literal["*"] = (), strict: bool = False
) -> Keyed | Unkept:
    """The request's key, or why its answer is never kept.

    `salt` (up to 64 bytes) makes keys of this house differ from all others'. `tools`: those that may be
    answered from the cache. `strict` also refuses bodies that name a key twice, of which servers may take
    either: who shares answers with others must not be able to say one thing and store another.
    """
    ignored = _IGNORED.get(asked.endpoint)
    if ignored is None:
        return Unkept("answers of this endpoint are not kept")
    body = asked.body
    try:
        document = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Unkept("the body is not a JSON object")
    if strict and _names_twice(body, document):
        return Unkept("the body names a key twice")
    why = uncacheable(asked.endpoint, document, tools)
    if why is not None:
        return why
    form = _form(asked.endpoint, document)
    kept = {
        name: _plain(value) for name, value in document.items() if name not in ignored and value is not None
    }
    if asked.endpoint == "messages" and "system" in kept:
        kept["system"] = without_attribution(kept["system"])
    if _CACHE_MARK in body:
        _drop_marks(kept)
    digest = blake2b(digest_size=KEY_BYTES, key=salt)
    for part in (asked.endpoint.encode(), asked.scope, asked.route, asked.headers):
        digest.update(b"%d:" % len(part) + part)
    digest.update(_encode(kept))
    return Keyed(key=digest.digest(), form=form, document=kept)


def route_label(asked: str, candidates: Iterable[Deployment], said: Sequence[str] = ()) -> bytes:
    """What a model's name stands for: another list of places is another key, and so is what else was `said`
    that moves the choice among them."""
    places = ([place.name, place.model_id, place.provider, place.server] for place in candidates)
    return _encode([asked, *said, *places])


def feature_headers(headers: Mapping[bytes, bytes]) -> bytes:
    """The headers that change answers, in one spelling; `anthropic-beta` is a set."""
    found: list[bytes] = []
    for name in _FEATURE_HEADERS:
        value = headers.get(name)
        if value is not None:
            words = sorted({word.strip() for word in value.split(b",")})
            found.append(name + b"=" + b",".join(words))
    return b";".join(found)


def scope_of(key_name: str, project: str, *, shared: bool) -> bytes:
    """Whose answers a call may get: those of its own API key and project, or everybody's."""
    return b"" if shared else _encode([key_name, project])


def without_chance(endpoint: str, document: Mapping[str, Any]) -> bool:
    """Whether the same request would get the same answer anyway: nothing is drawn, or from a fixed seed."""
    if endpoint in ("embeddings", "rerank"):
        return True
    if endpoint == "ollama.chat":
        options: object = document.get("options")
        document = cast(Mapping[str, Any], options) if isinstance(options, dict) else {}
    return document.get("temperature") == 0 or document.get("seed") is not None


def _form(endpoint: str, document: JsonObject) -> Form:
    if endpoint == "ollama.chat":
        return "whole" if document.get("stream") is False else "stream"
    if document.get("stream") is not True:
        return "whole"
    options: object = document.get("stream_options")
    if endpoint in ("chat", "completions") and isinstance(options, dict):
        return "counted" if cast(JsonObject, options).get("include_usage") is True else "stream"
    return "stream"


def _plain(value: object) -> object:
    """`1.0` and `1` are the same parameter."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _drop_marks(document: JsonObject) -> None:
    """Cache marks stand on tools, messages and pieces of content, and nowhere else: a tool's own argument may
    well be called `cache_control`."""
    for name in ("tools", "system", "messages", "input"):
        value: object = document.get(name)
        if isinstance(value, list):
            document[name] = [_unmarked(item) for item in cast(list[object], value)]


def _unmarked(value: object) -> object:
    if not isinstance(value, dict):
        return value
    item = cast(JsonObject, value)
    inner: object = item.get("content")
    if "cache_control" not in item and not isinstance(inner, list):
        return item
    item = {name: part for name, part in item.items() if name != "cache_control"}
    if isinstance(inner, list):
        item["content"] = [_unmarked(part) for part in cast(list[object], inner)]
    return item


def _names_twice(body: bytes, document: JsonObject) -> bool:
    """Decoding keeps the last of two equal keys: then quotes are missing when it is written again."""
    again = _encode(document)
    if _ESCAPED not in body:  # every quote inside a text is written in the one way that we write it
        return body.count(b'"') != again.count(b'"')
    return _strings_in(body) != _strings_in(again)


def _strings_in(body: bytes) -> int:
    """Quotes in valid JSON that are not part of a text."""
    plain = body.replace(b"\\\\", b"")
    return plain.count(b'"') - plain.count(b'\\"')
