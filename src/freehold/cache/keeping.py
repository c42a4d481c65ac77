"""Whether an answer may be kept. Pure: its bytes in, a reason against it out.

Kept is what a model said in full and of its own will: no errors, nothing cut short, no refusals, nothing
empty, and no call of a tool that may change something.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from freehold.cache.gather import gathered
from freehold.cache.keys import Form

JsonObject = dict[str, Any]
Tools = Collection[str] | Literal["*"]

LARGEST_BYTES = 8 * 1024 * 1024
"""A larger answer is not kept."""

_GOOD_ENDS: Mapping[str, frozenset[str]] = {
    "chat": frozenset(("stop", "tool_calls", "function_call")),
    "completions": frozenset(("stop",)),
    "messages": frozenset(("end_turn", "stop_sequence", "tool_use")),
    "responses": frozenset(("completed",)),
    "ollama.chat": frozenset(("stop",)),
}
_MORE_THAN_TEXT = (b'"tool_calls"', b'"function_call"', b'"tool_use"', b'_tool_use"', b'"refusal"')
"""What a stream of nothing but text has not."""
_END = re.compile(rb'"(?:finish_reason|stop_reason|done_reason)"\s*:\s*"([a-z_]+)"')
_INDEX = re.compile(rb'"index"\s*:\s*(\d+)')
_ANOTHER = re.compile(rb'"index"\s*:\s*[1-9]')
_ERROR = re.compile(rb'"error"\s*:\s*[{"]')
_SAYS = re.compile(rb'"(?:content|text)"\s*:\s*"[^"]')
_LAST_EVENT: Mapping[str, bytes] = {
    "chat": b"[DONE]",
    "completions": b"[DONE]",
    "messages": b"message_stop",
    "ollama.chat": b'"done":true',
}
"""Of streams that can be judged by their bytes; the last event of Responses says everything itself."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def objection(endpoint: str, form: Form, status: int, body: bytes, tools: Tools) -> str:
    """Why an answer is not kept; empty when it may be. `tools`: names of those that change nothing."""
    if status != 200:
        return f"its status was {status}"
    if not body:
        return "it was empty"
    if len(body) > LARGEST_BYTES:
        return "it is too large"
    if form != "whole" and (quick := _plain_stream(endpoint, body)) is not None:
        return quick
    document = _document(endpoint, form, body)
    if document is None:
        return "it cannot be read"
    if document.get("error"):
        return "it is an error"
    return _objection_to(endpoint, document, tools)


def _plain_stream(endpoint: str, body: bytes) -> str | None:
    """The verdict on a stream of nothing but text, without reading every event; None when there is more."""
    if endpoint not in _LAST_EVENT or any(mark in body for mark in _MORE_THAN_TEXT):
        return None
    if b'"error"' in body and _ERROR.search(body):
        return "it is an error"
    if _LAST_EVENT[endpoint] not in body[-800:].replace(b" ", b""):
        return "it has no end"
    ends = _END.findall(body)
    if _ANOTHER.search(body) and len(set(_INDEX.findall(body))) > len(ends):
        return None  # several choices: not all may have come to their end
    good = _GOOD_ENDS[endpoint]
    for end in ends:
        if end.decode() not in good:
            return _cut(end.decode())
    if not ends:
        return "it has no end"
    return "" if _SAYS.search(body) else "it was empty"


def _document(endpoint: str, form: Form, body: bytes) -> JsonObject | None:
    try:
        return _decode(body) if form == "whole" else gathered(endpoint, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _objection_to(endpoint: str, document: JsonObject, tools: Tools) -> str:
    if endpoint == "embeddings":
        return "" if _objects(document.get("data")) else "it was empty"
    if endpoint == "rerank":
        return "" if _objects(document.get("results")) or _objects(document.get("data")) else "it was empty"
    says = False
    for end, pieces in _turns(endpoint, document):
        if end not in _GOOD_ENDS[endpoint]:
            return _cut(end)
        for piece in pieces:
            if piece is _REFUSAL:
                return "the model refused"
            if isinstance(piece, str):
                says = says or bool(piece)
            elif tools == "*" or piece.name in tools:
                says = True
            else:
                return f"it calls a tool ({piece.name})"
    return "" if says else "it was empty"


class _Call(msgspec.Struct, frozen=True):
    name: str


_REFUSAL = _Call("")
_Piece = str | _Call


def _turns(endpoint: str, document: JsonObject) -> Iterator[tuple[str, Sequence[_Piece]]]:
    """(how it ended, what it holds) of each answer in an answer."""
    if endpoint in ("chat", "completions"):
        for choice in _objects(document.get("choices")):
            end = choice.get("finish_reason")
            pieces = [_text(choice.get("text"))] if endpoint == "completions" else _chat_pieces(choice)
            yield _text(end), pieces
    elif endpoint == "messages":
        yield _text(document.get("stop_reason")), _blocks(document.get("content"))
    elif endpoint == "responses":
        yield _text(document.get("status")), _items(document.get("output"))
    elif endpoint == "ollama.chat":
        yield _text(document.get("done_reason") or "stop"), _chat_pieces(document)


def _chat_pieces(choice: JsonObject) -> list[_Piece]:
    message = _object(choice.get("message"))
    pieces: list[_Piece] = [_text(message.get("content"))]
    if isinstance(message.get("content"), list):
        pieces += [_text(part.get("text")) for part in _objects(message.get("content"))]
    if message.get("refusal"):
        pieces.append(_REFUSAL)
    calls = _objects(message.get("tool_calls"))
    if message.get("function_call"):
        calls = [*calls, {"function": message["function_call"]}]
    return [*pieces, *(_Call(_call_name(call)) for call in calls)]


def _call_name(call: JsonObject) -> str:
    inner = _object(call.get("function")) or _object(call.get("custom")) or call
    return _text(inner.get("name")) or _text(call.get("type"))


def _blocks(content: object) -> list[_Piece]:
    pieces: list[_Piece] = []
    for block in _objects(content):
        kind = block.get("type")
        if kind == "text":
            pieces.append(_text(block.get("text")))
        elif kind not in ("thinking", "redacted_thinking"):
            pieces.append(_Call(_text(block.get("name")) or _text(kind)))
    return pieces


def _items(output: object) -> list[_Piece]:
    pieces: list[_Piece] = []
    for item in _objects(output):
        kind = item.get("type")
        if kind == "message":
            for part in _objects(item.get("content")):
                pieces.append(_REFUSAL if part.get("type") == "refusal" else _text(part.get("text")))
        elif kind != "reasoning":
            pieces.append(_Call(_text(item.get("name")) or _text(kind).removesuffix("_call")))
    return pieces


def _cut(end: str) -> str:
    if end in ("length", "max_tokens", "incomplete", "model_context_window_exceeded"):
        return "it was cut at its limit"
    if end in ("refusal", "content_filter"):
        return "the model refused"
    return f"it did not end ({end or 'nothing said'})"


def _object(value: object) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[JsonObject]:
    if not isinstance(value, list):
        return []
    return [cast(JsonObject, item) for item in cast(list[object], value) if isinstance(item, dict)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
