"""Building upstream streams, reading client streams, and the grammars that every client stream obeys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import anthropic
import httpx2
import openai

from freehold.core.catalog import Dialect
from freehold.dialects.context import TranslationContext
from freehold.dialects.sse import EventSplitter, event_data, event_name
from freehold.dialects.streams import StreamTranslator, stream_translator

Event = dict[str, Any]


def context(client: Dialect, upstream: Dialect, **changes: Any) -> TranslationContext:
    settled = {"model_asked": "asked", "answer_id": "A1", "created_s": 1_700_000_000, "stream": True}
    return TranslationContext(client=client, upstream=upstream, **{**settled, **changes})


# --- upstream


def chat(*chunks: Event | bytes, done: bool = True) -> bytes:
    lines = [
        chunk if isinstance(chunk, bytes) else f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
        for chunk in chunks
    ]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def said(finish: str | None = None, **delta: Any) -> Event:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def called(
    index: int | None, arguments: Any = None, *, id: str | None = None, name: str | None = None
) -> Event:
    call: Event = {"function": {}}
    if index is not None:
        call["index"] = index
    if id is not None:
        call["id"] = id
    if name is not None:
        call["function"]["name"] = name
    if arguments is not None:
        call["function"]["arguments"] = arguments
    return said(tool_calls=[call])


def used(**usage: Any) -> Event:
    return {"choices": [], "usage": usage}


def named(*events: Event) -> bytes:
    """Messages and Responses events: the name is the type."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


def message(*blocks: Sequence[Event], stop: str = "end_turn", usage: Event | None = None) -> bytes:
    """A whole Messages stream; a block is its start followed by its deltas."""
    events: list[Event] = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
    ]
    for index, (start, *deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": usage or {"output_tokens": 9}})
    return named(*events, {"type": "message_stop"})


# --- client


def translated(client: Dialect, upstream: Dialect, data: bytes, **changes: Any) -> list[tuple[str, Event]]:
    return read(client, run(stream_translator(context(client, upstream, **changes)), [data]))


def run(translator: StreamTranslator, chunks: Iterable[bytes]) -> bytes:
    return b"".join([*(translator.feed(chunk) for chunk in chunks), translator.end()])


def read(client: Dialect, data: bytes) -> list[tuple[str, Event]]:
    """(event name, JSON) pairs; chat's `[DONE]` is ("done", {}), comments are left out."""
    if client == "ollama":
        return [("", json.loads(line)) for line in data.splitlines()]
    splitter = EventSplitter()
    found = [(event_name(event).decode(), event_data(event)) for event in splitter.feed(data)]
    assert not splitter.rest
    return [("done", {}) if body == b"[DONE]" else (name, json.loads(body)) for name, body in found if body]


def names(events: list[tuple[str, Event]]) -> list[str]:
    return [name for name, _ in events]


def blocks(events: list[tuple[str, Event]]) -> list[tuple[str, str]]:
    """(kind, content) of every block in a Messages stream."""
    found: list[tuple[str, str]] = []
    for name, event in events:
        if name == "content_block_start":
            found.append((event["content_block"]["type"], ""))
        elif name == "content_block_delta" and event["delta"]["type"] != "signature_delta":
            delta = event["delta"]
            piece = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            found[-1] = (found[-1][0], found[-1][1] + piece)
    return found


def items(events: list[tuple[str, Event]]) -> list[Event]:
    """The finished output items of a Responses stream."""
    return [event["item"] for name, event in events if name == "response.output_item.done"]


def deltas(events: list[tuple[str, Event]]) -> list[Event]:
    """The deltas of a chat stream."""
    return [event["choices"][0]["delta"] for _, event in events if event.get("choices")]


# --- grammars


def check_messages(events: list[tuple[str, Event]]) -> None:
    """message_start, blocks one at a time with rising indexes, message_delta, message_stop; or an error."""
    assert all(name == event["type"] for name, event in events)
    events = [(name, event) for name, event in events if name != "ping"]
    assert names(events)[-1] in ("message_stop", "error")
    if names(events) == ["error"]:
        return
    assert names(events)[0] == "message_start"
    open_block: int | None = None
    next_index = 0
    for name, event in events[1:]:
        if name == "content_block_start":
            assert open_block is None
            assert event["index"] == next_index
            open_block, next_index = next_index, next_index + 1
        elif name == "content_block_delta":
            assert event["index"] == open_block
        elif name == "content_block_stop":
            assert event["index"] == open_block
            open_block = None
    if events[-1][0] == "message_stop":
        assert open_block is None
        assert names(events).count("message_delta") == 1
        assert names(events)[-2] == "message_delta"


def check_responses(events: list[tuple[str, Event]]) -> None:
    """Numbers rise by one, added and done in pairs, done repeats the deltas, one terminal event."""
    assert all(name == event["type"] for name, event in events)
    assert [event["sequence_number"] for _, event in events] == list(range(len(events)))
    assert names(events)[:2] == ["response.created", "response.in_progress"]
    terminal = {"response.completed", "response.incomplete", "response.failed"}
    assert [name in terminal for name in names(events)].count(True) == 1
    assert events[-1][0] in terminal
    assert len({event["response"]["id"] for _, event in events if "response" in event}) == 1
    current: Event | None = None
    spoken = ""
    finished = 0
    for name, event in events[2:-1]:
        if name == "response.output_item.added":
            assert current is None
            current, spoken = event["item"], ""
            assert event["output_index"] == finished
        elif name == "response.output_item.done":
            assert current is not None
            assert event["item"]["id"] == current["id"]
            assert spoken == _content(event["item"])
            current, finished = None, finished + 1
        elif name == "response.in_progress":
            continue
        else:
            assert current is not None
            assert event["item_id"] == current["id"]
            assert event["output_index"] == finished
            if name.endswith(".delta"):
                spoken += event["delta"]
    if events[-1][0] != "response.failed":
        assert current is None
    assert events[-1][1]["response"]["output"] == items(events)


def _content(item: Event) -> str:
    if item["type"] == "function_call":
        return "" if item["arguments"] == "{}" else item["arguments"]
    if item["type"] == "custom_tool_call":
        return item["input"]
    parts = item.get("content") or item.get("summary") or []
    return "".join(part.get("text", "") + part.get("refusal", "") for part in parts)


def check_chat(events: list[tuple[str, Event]]) -> None:
    """The role first, one finish reason, then usage and `[DONE]`; or an error and nothing after it."""
    chunks = [event for name, event in events if name != "done"]
    if "error" in chunks[-1]:
        assert names(events)[-1] != "done"
        return
    assert names(events)[-1] == "done"
    assert names(events).count("done") == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [bool(reason) for reason in reasons] == [False] * (len(reasons) - 1) + [True]
    assert len({chunk["id"] for chunk in chunks}) == 1


# --- the vendors' own readers


def openai_client(body: bytes) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="k", base_url="http://freehold.test/v1", max_retries=0, http_client=_answering(body)
    )


def anthropic_client(body: bytes) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="k", base_url="http://freehold.test", max_retries=0, http_client=_answering(body)
    )


def _answering(body: bytes) -> httpx2.Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    return httpx2.Client(transport=httpx2.MockTransport(answer))
