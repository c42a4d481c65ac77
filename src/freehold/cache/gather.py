"""A stream that is over, as the whole answer that the same dialect would have given. Pure.

Needed when a client that lost a stream asks again without streaming, and to judge what a stream said.
Whatever a dialect does not define is kept as it last stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from freehold.dialects.sse import EventSplitter, event_data
from freehold.dialects.usage import merge_usage

JsonObject = dict[str, Any]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def gathered(endpoint: str, body: bytes) -> JsonObject | None:
    """The whole answer that the events in `body` add up to; None when they come to no good end.

    Raises msgspec.DecodeError or UnicodeDecodeError for events that cannot be read.
    """
    gather = _GATHER.get(endpoint)
    if gather is None:
        return None
    pieces = body.split(b"\n") if endpoint == "ollama.chat" else map(event_data, _events(body))
    return gather(_objects(pieces))


def _events(body: bytes) -> list[bytes]:
    splitter = EventSplitter(limit=len(body))
    return [*splitter.feed(body), splitter.rest]


def _objects(pieces: Iterable[bytes]) -> Iterator[JsonObject]:
    for piece in pieces:
        if piece.strip() and piece != b"[DONE]":
            yield _decode(piece)


# -- chat and completions


def _chat(chunks: Iterator[JsonObject]) -> JsonObject | None:
    return _choices(chunks, "chat.completion", _add_chat)


def _completions(chunks: Iterator[JsonObject]) -> JsonObject | None:
    return _choices(chunks, "text_completion", _add_text)


def _choices(
    chunks: Iterator[JsonObject], kind: str, add: Callable[[JsonObject, JsonObject], None]
) -> JsonObject | None:
    answer: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    for chunk in chunks:
        if chunk.get("error"):
            return None
        answer.update(
            {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        )
        for piece in _list(chunk.get("choices")):
            choice = choices.setdefault(_index(piece), {"index": _index(piece)})
            add(choice, piece)
            if piece.get("finish_reason") or "finish_reason" not in choice:
                choice["finish_reason"] = piece.get("finish_reason")
            _add_logprobs(choice, piece.get("logprobs"))
    if not choices or not all(choice["finish_reason"] for choice in choices.values()):
        return None
    answer.pop("obfuscation", None)
    said = [_joined(choices[index]) for index in sorted(choices)]
    return {**answer, "object": kind, "choices": said}


def _add_chat(choice: JsonObject, piece: JsonObject) -> None:
    message: JsonObject = choice.setdefault("message", {"role": "assistant", "content": None})
    for name, value in _object(piece.get("delta")).items():
        if name == "tool_calls":
            _add_calls(message, _list(value))
        elif name == "function_call" and isinstance(value, dict):
            inner: JsonObject = message.setdefault(name, {})
            for part, text in cast(JsonObject, value).items():
                _add(inner, part, text)
        else:
            _add(message, name, value)


def _add_text(choice: JsonObject, piece: JsonObject) -> None:
    text: object = piece.get("text")
    _add(choice, "text", text if isinstance(text, str) else "")


def _add_calls(message: JsonObject, deltas: list[JsonObject]) -> None:
    if not deltas:
        return
    calls: list[JsonObject] = message.setdefault("tool_calls", [])
    for delta in deltas:
        at = _index(delta, len(calls))
        while len(calls) <= at < _MOST_CALLS:
            calls.append({"type": "function"})
        if not 0 <= at < len(calls):
            continue
        for name, value in delta.items():
            if name in ("function", "custom") and isinstance(value, dict):
                inner: JsonObject = calls[at].setdefault(name, {})
                for part, text in cast(JsonObject, value).items():
                    _add(inner, part, text)
            elif name != "index" and value:
                calls[at][name] = value


_MOST_CALLS = 1024
_ONCE = frozenset(("role", "name", "id", "type"))
"""Texts that are said once, or again as a whole."""


class _Pieces(list[str]):
    """A text that is still coming; joined once, at the end."""


def _add(into: JsonObject, name: str, value: object) -> None:
    if value is None:
        into.setdefault(name, None)
        return
    before: object = into.get(name)
    if isinstance(value, str) and name not in _ONCE:
        if isinstance(before, _Pieces):
            before.append(value)
        else:
            into[name] = _Pieces([before, value] if isinstance(before, str) else [value])
    elif isinstance(before, list) and isinstance(value, list):
        cast(list[object], before).extend(cast(list[object], value))
    else:
        into[name] = value


def _joined(value: Any) -> Any:
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(part) for name, part in cast(JsonObject, value).items()}
    if isinstance(value, list):
        return [_joined(part) for part in cast(list[object], value)]
    return value


def _add_logprobs(choice: JsonObject, value: object) -> None:
    if isinstance(value, dict):
        kept: JsonObject = choice.setdefault("logprobs", {})
        for name, part in cast(JsonObject, value).items():
            _add(kept, name, part)


# -- messages


def _messages(events: Iterator[JsonObject]) -> JsonObject | None:
    message: JsonObject | None = None
    blocks: dict[int, JsonObject] = {}
    ended = False
    for event in events:
        kind = event.get("type")
        if kind == "error":
            return None
        if kind == "message_start":
            message = _object(event.get("message"))
        elif kind == "content_block_start":
            blocks[_index(event)] = _object(event.get("content_block"))
        elif kind == "content_block_delta":
            _add_delta(blocks.get(_index(event)), _object(event.get("delta")))
        elif kind == "message_delta" and message is not None:
            message.update(_object(event.get("delta")))
            earlier = msgspec.json.encode(_object(message.get("usage")))
            later = msgspec.json.encode(_object(event.get("usage")))
            message["usage"] = _decode(merge_usage(earlier, later))
        elif kind == "message_stop":
            ended = True
    if message is None or not ended:
        return None
    return {**message, "content": [_finished(blocks[index]) for index in sorted(blocks)]}


_JSON = "\0json"
"""Where the pieces of a tool's input are gathered; no block has such a key."""
_DELTAS: Mapping[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("partial_json", _JSON),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


def _add_delta(block: JsonObject | None, delta: JsonObject) -> None:
    if block is None:
        return
    if delta.get("type") == "citations_delta":
        block["citations"] = [*_list(block.get("citations")), *_list([delta.get("citation")])]
        return
    source, target = _DELTAS.get(str(delta.get("type")), ("", ""))
    if target:
        _add(block, target, delta.get(source))


def _finished(block: JsonObject) -> JsonObject:
    whole: JsonObject = _joined(block)
    said: object = whole.pop(_JSON, "")
    return {**whole, "input": _decode(said.encode())} if isinstance(said, str) and said else whole


# -- responses, ollama


def _responses(events: Iterator[JsonObject]) -> JsonObject | None:
    for event in events:
        if event.get("type") in ("response.completed", "response.incomplete"):
            return _object(event.get("response"))
    return None


def _ollama(lines: Iterator[JsonObject]) -> JsonObject | None:
    answer: JsonObject = {}
    message: JsonObject = {}
    for line in lines:
        if line.get("error"):
            return None
        for name, value in _object(line.get("message")).items():
            _add(message, name, value)
        answer.update(line)
    return {**answer, "message": _joined(message)} if answer.get("done") is True else None


_GATHER: Mapping[str, Callable[[Iterator[JsonObject]], JsonObject | None]] = {
    "chat": _chat,
    "completions": _completions,
    "messages": _messages,
    "responses": _responses,
    "ollama.chat": _ollama,
}


def _index(piece: JsonObject, otherwise: int = 0) -> int:
    found = piece.get("index")
    return found if isinstance(found, int) else otherwise


def _object(value: object) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def _list(value: object) -> list[JsonObject]:
    if not isinstance(value, list):
        return []
    return [cast(JsonObject, item) for item in cast(list[object], value) if isinstance(item, dict)]
