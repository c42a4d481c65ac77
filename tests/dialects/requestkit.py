"""Saying requests and answers in one line, and the rules that upstreams' requests obey."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from freehold.core.catalog import Dialect
from freehold.dialects.answers import translate_answer
from freehold.dialects.context import TranslatedRequest, TranslationContext
from freehold.dialects.requests import RequestFacts, translate_request

Object = dict[str, Any]


def translated(client: Dialect, upstream: Dialect, request: Object, **facts: Any) -> TranslatedRequest:
    settled = {"model": "upstream-model", "answer_id": "A1", "created_s": 1_700_000_000}
    return translate_request(
        json.dumps({"model": "asked", **request}).encode(),
        client=client,
        upstream=upstream,
        facts=RequestFacts(**{**settled, **facts}),
    )


def body(client: Dialect, upstream: Dialect, request: Object, **facts: Any) -> Object:
    return json.loads(translated(client, upstream, request, **facts).body)


def losses(client: Dialect, upstream: Dialect, request: Object, **facts: Any) -> tuple[str, ...]:
    return translated(client, upstream, request, **facts).losses


def answered(client: Dialect, upstream: Dialect, answer: Object, **changes: Any) -> Object:
    settled: Object = {"model_asked": "asked", "answer_id": "A1", "created_s": 1_700_000_000}
    context = TranslationContext(client=client, upstream=upstream, **{**settled, **changes})
    return json.loads(translate_answer(json.dumps(answer).encode(), context))


def check_messages(request: Object) -> None:
    """What Anthropic's API refuses with a 400, as far as its users report."""
    ids: set[str] = set()
    roles = [message["role"] for message in request["messages"] if message["role"] != "system"]
    assert roles[0] == "user"
    assert all(one != other for one, other in itertools.pairwise(roles)), roles
    waiting: list[str] = []
    for message in request["messages"]:
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        assert results == waiting
        kinds = [block["type"] for block in message["content"]]
        assert "tool_result" not in kinds[len(results) :]
        waiting = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        for call_id in waiting:
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", call_id)
            assert call_id not in ids
            ids.add(call_id)
        for block in message["content"]:
            assert block["type"] != "text" or block["text"].strip()
            assert block["type"] != "tool_use" or isinstance(block["input"], dict)
    assert not waiting


def check_chat(request: Object) -> None:
    """What OpenAI and strict chat templates refuse."""
    messages = request["messages"]
    assert [message["role"] for message in messages].count("system") == (messages[0]["role"] == "system")
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            assert isinstance(message["content"], str)
            continue
        assert not waiting
        waiting = [call["id"] for call in message.get("tool_calls", [])]
        for call in message.get("tool_calls", []):
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
    assert not waiting


def check_responses(request: Object) -> None:
    """Every call has its output, and every output its call."""
    waiting: list[str] = []
    for item in request["input"]:
        if item["type"].endswith("_call_output"):
            waiting.remove(item["call_id"])
        elif item["type"] in ("function_call", "custom_tool_call"):
            waiting.append(item["call_id"])
        else:
            assert not waiting or item["type"] == "reasoning"
    assert not waiting


def function(name: str, **properties: Any) -> Object:
    """A chat tool."""
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def tool(name: str, **properties: Any) -> Object:
    """A messages tool."""
    return {"name": name, "input_schema": {"type": "object", "properties": properties}}


def call(call_id: str, name: str, arguments: str) -> Object:
    """A chat tool call."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
