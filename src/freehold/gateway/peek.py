"""The few fields of a JSON body that the gateway acts on, and changing them in place.

Everything else in a body stays the bytes that the client sent. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import msgspec

from freehold.core.errors import CallError
from freehold.gateway import refusals
from freehold.gateway.endpoints import Endpoint
from freehold.gateway.shapes import Peek, StreamOptions

NOTHING_SEEN = Peek()
_NO_DICE = frozenset(("embeddings", "rerank"))

# Possessive: a plain repeat would keep a frame per character, some hundred bytes each.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb"|[{}\[\],:]", re.DOTALL)
_FIRST = re.compile(rb'\s*+\{\s*+"model"\s*+:\s*+(' + _STRING + rb")", re.DOTALL)
_STRING_VALUE = re.compile(rb"\s*+:\s*+(" + _STRING + rb")", re.DOTALL)
_MODEL = b'"model"'
_ESCAPE = b"\\u00"
_SHORT_BYTES = 8192
_OPENING, _CLOSING = b"{[", b"}]"
_QUOTE, _COLON, _COMMA, _BACKSLASH = b'":,\\'


_decode_peek = msgspec.json.Decoder(Peek).decode
_decode_members = cast(
    "Callable[[bytes], dict[str, msgspec.Raw] | None]",
    msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode,
)


def peek(body: bytes) -> Peek:
    """Raises msgspec.DecodeError when the body is not a JSON object, msgspec.ValidationError on a
    `model` that is no string."""
    return _decode_peek(body)


def look_into(body: bytes, endpoint: Endpoint, *, has_default: bool) -> Peek | CallError:
    """What a request's body says, or why it cannot be taken. What goes to a place that its path names, or to
    the default provider (`has_default`), need not be JSON, or name a model."""
    free = endpoint.carriage in ("relay", "stored")
    if not body and free:
        return NOTHING_SEEN
    try:
        seen = peek(body)
    except msgspec.ValidationError as error:
        return refusals.bad_body(f"the request body is not as expected: {error}")
    except RecursionError:
        return refusals.bad_body("the request body is nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return NOTHING_SEEN if free else refusals.bad_body(f"the request body is not valid JSON: {error}")
    if not seen.model and not (endpoint.model_optional and has_default):
        return refusals.bad_body('the request names no model: set "model"', param="model")
    return seen


def may_be_fixed(seen: Peek, endpoint: str) -> bool:
    """Whether the same request might get the very same answer again: the cheap question before the body is
    read as a whole."""
    if seen.temperature == 0 or seen.seed is not None or endpoint in _NO_DICE:
        return True
    return endpoint == "ollama.chat" and len(bytes(seen.options)) > 2


def wants_usage(options: msgspec.Raw) -> bool:
    """Whether the client itself asked for usage in its chat stream."""
    try:
        return msgspec.json.decode(bytes(options), type=StreamOptions).include_usage is True
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def replace_model(body: bytes, old: str, new: str) -> bytes:
    """The same body with the top-level `model`, which `peek` read as `old`, set to `new`; every other
    byte as it was. A second `model` is set too: which of them an upstream takes must not matter. (One
    with the same value behind an escaped key is not looked for: the upstream then gets what was asked.)"""
    span = _plain_span(body, b'"%b"' % old.encode())
    value = msgspec.json.encode(new)
    if span is None:
        return _replace_top_level(body, "model", value)
    return body[: span[0]] + value + body[span[1] :]


def _plain_span(body: bytes, value: bytes) -> tuple[int, int] | None:
    """Where `value` stands when the key stands once in the whole body, written plainly: the usual case,
    found by one search instead of a walk through everything."""
    match = _FIRST.match(body)
    if match is None:
        at = body.find(_MODEL)
        match = _STRING_VALUE.match(body, at + len(_MODEL)) if at > 0 else None
        if match is None or not (_must_be_it(body) or _is_outermost(body, at)):
            return None
    if match[1] != value or body.find(_MODEL, match.end()) >= 0:
        return None
    return match.span(1)


def _must_be_it(body: bytes) -> bool:
    """Whether a plain `"model"` that stands once can only be the one that `peek` has read: no key hides
    behind escapes. Only for short bodies: in long ones the walk to the nearer end is the cheaper proof."""
    return len(body) < _SHORT_BYTES and _ESCAPE not in body


def _is_outermost(body: bytes, at: int) -> bool:
    """Whether the bytes before or behind `at`, the fewer of them, leave only the outermost object open."""
    if body[at - 1] == _BACKSLASH:  # the end of a string that has a quote in it
        return False
    early = at < len(body) // 2
    depth = 0
    for match in _TOKEN.finditer(body, 0, at) if early else _TOKEN.finditer(body, at):
        first = body[match.start()]
        depth += (first in _OPENING) - (first in _CLOSING)
    return depth == (1 if early else -1)


def ask_for_usage(body: bytes, options: msgspec.Raw) -> bytes:
    """The same body with `stream_options.include_usage` true; the very same where `options` are no object."""
    stated = bytes(options)
    if not stated:
        start = body.index(b"{") + 1
        return body[:start] + b'"stream_options":{"include_usage":true},' + body[start:]
    try:
        merged = _decode_members(stated) or {}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body  # the upstream will say what is wrong with it
    merged["include_usage"] = msgspec.Raw(b"true")
    return _replace_top_level(body, "stream_options", msgspec.json.encode(merged))


def _replace_top_level(body: bytes, key: str, value: bytes) -> bytes:
    pieces: list[bytes] = []
    last = 0
    for name, start, end in top_level_values(body):
        if _is_key(name, key):
            pieces += (body[last:start], value)
            last = end
    pieces.append(body[last:])
    return b"".join(pieces)


def top_level_values(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(key with its quotes, start, end) of each value of the outermost object, in order.

    `body` must be valid JSON; spans exclude surrounding white space.
    """
    depth, key, value_start = 0, b"", -1
    expecting_key = True
    for match in _TOKEN.finditer(body):
        at = match.start()
        first = body[at]
        if first in _OPENING:
            depth += 1
        elif first in _CLOSING:
            depth -= 1
            if depth == 0 and value_start >= 0:
                yield key, *_trimmed(body, value_start, at)
        elif depth == 1:
            if first == _QUOTE and expecting_key:
                key = match.group()
                expecting_key = False
            elif first == _COLON and value_start < 0:
                value_start = match.end()
            elif first == _COMMA:
                yield key, *_trimmed(body, value_start, at)
                value_start, expecting_key = -1, True


def _is_key(written: bytes, key: str) -> bool:
    """`written` with its quotes; `\\u006dodel` is the same key as `model`."""
    if _BACKSLASH not in written:
        return written == b'"%b"' % key.encode()
    try:
        return msgspec.json.decode(written) == key
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _trimmed(body: bytes, start: int, end: int) -> tuple[int, int]:
    piece = body[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
