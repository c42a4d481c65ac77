"""Requests and answers of the dialects, small, for the stories of the cache."""

from __future__ import annotations

import json
from typing import Any

from freehold.cache.answers import Ask, Said
from freehold.cache.keys import Asked, Keyed, key_of
from freehold.cache.parts import Unkept

SALT = b"s" * 32
Json = dict[str, Any]


def chat(question: Any = "Why is the sky blue?", **fields: Any) -> Json:
    return {"model": "fast", "messages": [{"role": "user", "content": question}], **fields}


def messages(question: Any = "Why is the sky blue?", **fields: Any) -> Json:
    return {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": question}],
        **fields,
    }


def responses(question: Any = "Why is the sky blue?", **fields: Any) -> Json:
    return {"model": "gpt", "input": question, **fields}


def keyed(document: Json | bytes, endpoint: str = "chat", **options: Any) -> Keyed | Unkept:
    """The key of a request; `route`, `headers`, `scope` go into what is asked, the rest to `key_of`."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    about = {name: options.pop(name) for name in ("route", "headers", "scope") if name in options}
    asked = Asked(endpoint=endpoint, body=body, **{"route": b"fast", **about})
    return key_of(asked, salt=SALT, **options)


def key(document: Json | bytes, endpoint: str = "chat", **options: Any) -> bytes:
    found = keyed(document, endpoint, **options)
    assert isinstance(found, Keyed), found
    return found.key


def why_not(document: Json | bytes, endpoint: str = "chat", **options: Any) -> str:
    found = keyed(document, endpoint, **options)
    assert isinstance(found, Unkept), "it is kept"
    return found.reason


def ask(document: Json, endpoint: str = "chat", **fields: Any) -> Ask:
    about = {"model": document["model"], "route": b"fast", **fields}
    return Ask(endpoint=endpoint, body=json.dumps(document).encode(), **about)


def chat_answer(text: str | None = "It scatters.", **choice: Any) -> bytes:
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    whole = {"index": 0, "message": message, "finish_reason": "stop", **choice}
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    return json.dumps({"id": "c1", "object": "chat.completion", "choices": [whole], "usage": usage}).encode()


def said(body: bytes, **fields: Any) -> Said:
    about: Json = {
        "status": 200,
        "headers": ((b"content-type", b"application/json"), (b"x-request-id", b"r-77")),
        "receipt": "01A",
        "deployment": "openai/gpt",
        "cost_nanos": 1500,
    }
    return Said(body=body, **{**about, **fields})


def events(*objects: Json, done: bool = True, named: bool = False) -> bytes:
    """Objects as server-sent events."""
    lines = [(f"event: {one['type']}\n" if named else "") + f"data: {json.dumps(one)}\n\n" for one in objects]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def chat_stream(*texts: str, end: str | None = "stop", usage: Json | None = None) -> bytes:
    chunks = [
        {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "gpt", "choices": [choice]}
        for choice in (
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
            *({"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts),
            {"index": 0, "delta": {}, "finish_reason": end},
        )
    ]
    if usage is not None:
        chunks.append({**chunks[0], "choices": [], "usage": usage})
    return events(*chunks)


def messages_stream(*blocks: Json, stop: str = "end_turn") -> bytes:
    """Each block as `{"start": {...}, "deltas": [...]}`."""
    start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude"}
    usage = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}
    said_events: list[Json] = [
        {"type": "message_start", "message": {**start, "stop_reason": None, "usage": usage}}
    ]
    for index, block in enumerate(blocks):
        said_events.append({"type": "content_block_start", "index": index, "content_block": block["start"]})
        for delta in block["deltas"]:
            said_events.append({"type": "content_block_delta", "index": index, "delta": delta})
        said_events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, "stop_sequence": None}
    said_events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 12}})
    said_events.append({"type": "message_stop"})
    return events(*said_events, done=False, named=True)


TEXT_BLOCK: Json = {
    "start": {"type": "text", "text": ""},
    "deltas": [{"type": "text_delta", "text": "It "}, {"type": "text_delta", "text": "scatters."}],
}
TOOL_BLOCK: Json = {
    "start": {"type": "tool_use", "id": "t1", "name": "look_up", "input": {}},
    "deltas": [
        {"type": "input_json_delta", "partial_json": '{"city": "O'},
        {"type": "input_json_delta", "partial_json": 'slo"}'},
    ],
}
