"""The few fields of a JSON body that the gateway acts on, and changing them in place.

Everything else in a body stays the bytes that the client sent. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)
_STRING_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)


class Peek(msgspec.Struct):
    """What is read of a request. Absent fields keep their defaults."""

    model: str | None = None
    stream: object = None
    stream_options: msgspec.Raw = msgspec.Raw()
    """Its JSON; empty when absent."""

    @property
    def streamed(self) -> bool:
        return self.stream is True


_decode_peek = msgspec.json.Decoder(Peek).decode


def peek(body: bytes) -> Peek:
    """Raises msgspec.DecodeError when the body is not a JSON object, msgspec.ValidationError on a
    `model` that is no string."""
    return _decode_peek(body)


class _StreamOptions(msgspec.Struct):
    include_usage: object = None


def wants_usage(options: msgspec.Raw) -> bool:
    """Whether the client itself asked for usage in its chat stream."""
    try:
        return msgspec.json.decode(bytes(options), type=_StreamOptions).include_usage is True
    except msgspec.MsgspecError:
        return False


def replace_model(body: bytes, new: str) -> bytes:
    """The same body with the top-level `model` set to `new`; every other byte as it was."""
    value = msgspec.json.encode(new)
    if body.count(b'"model"') == 1:  # the usual case: the key stands once in the whole body
        match = _STRING_VALUE.match(body, body.find(b'"model"') + 7)
        if match is not None:
            return body[: match.start(1)] + value + body[match.end(1) :]
    return _replace_top_level(body, b'"model"', value)


def ask_for_usage(body: bytes, options: msgspec.Raw) -> bytes:
    """The same body with `stream_options.include_usage` true."""
    stated = bytes(options)
    if not stated:
        start = body.index(b"{") + 1
        return body[:start] + b'"stream_options":{"include_usage":true},' + body[start:]
    try:
        merged = msgspec.json.decode(stated, type=dict[str, object] | None) or {}
    except msgspec.MsgspecError:
        return body  # the upstream will say what is wrong with it
    merged["include_usage"] = True
    return _replace_top_level(body, b'"stream_options"', msgspec.json.encode(merged))


def _replace_top_level(body: bytes, key: bytes, value: bytes) -> bytes:
    pieces: list[bytes] = []
    last = 0
    for name, start, end in top_level_values(body):
        if name == key:
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
        token = match.group()
        first = token[:1]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
            if depth == 0 and value_start >= 0:
                yield key, *_trimmed(body, value_start, match.start())
        elif depth == 1:
            if first == b'"' and expecting_key:
                key = token
                expecting_key = False
            elif first == b":" and value_start < 0:
                value_start = match.end()
            elif first == b",":
                yield key, *_trimmed(body, value_start, match.start())
                value_start, expecting_key = -1, True


def _trimmed(body: bytes, start: int, end: int) -> tuple[int, int]:
    piece = body[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
