"""The vendors' own packages accumulate our translated streams to the answer that the upstream gave."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.dialects.context import ToolOrigin
from freehold.dialects.streams import stream_translator
from tests.dialects.streamkit import (
    anthropic_client,
    called,
    chat,
    context,
    message,
    named,
    openai_client,
    run,
    said,
    used,
)

CALL: dict[str, Any] = {
    "type": "function_call",
    "id": "fc",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":1}',
}
UPSTREAMS: dict[Dialect, bytes] = {
    "chat": chat(
        said(reasoning_content="hm"),
        said(content="Hello "),
        said(content="wörld"),
        called(0, '{"a"', id="call_1", name="f"),
        called(0, ":1}"),
        said("tool_calls"),
        used(
            prompt_tokens=100,
            completion_tokens=20,
            total_tokens=120,
            prompt_tokens_details={"cached_tokens": 60},
        ),
    ),
    "messages": message(
        [{"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "hm"}],
        [{"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello wörld"}],
        [
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a":1}'},
        ],
        stop="tool_use",
        usage={"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 20},
    ),
    "responses": named(
        {"type": "response.created", "response": {"id": "r"}},
        {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": 0,
            "delta": "hm",
        },
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Hello wörld"},
        {"type": "response.output_item.added", "output_index": 2, "item": {**CALL, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a":1}'},
        {"type": "response.output_item.done", "output_index": 2, "item": CALL},
        {
            "type": "response.completed",
            "response": {
                "id": "r",
                "usage": {
                    "input_tokens": 100,
                    "output_tokens": 20,
                    "total_tokens": 120,
                    "input_tokens_details": {"cached_tokens": 60},
                },
            },
        },
    ),
}


def stream_for(client: Dialect, upstream: Dialect, **changes: Any) -> bytes:
    return run(stream_translator(context(client, upstream, **changes)), [UPSTREAMS[upstream]])


@pytest.mark.parametrize("upstream", ["chat", "responses"])
def test_anthropic_package_accumulates_the_message(upstream: Dialect) -> None:
    client = anthropic_client(stream_for("messages", upstream))
    with client.messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
    ) as stream:
        final = stream.get_final_message()
    thinking, text, tool = final.content
    assert thinking.type == "thinking"
    assert thinking.thinking == "hm"
    assert text.type == "text"
    assert text.text == "Hello wörld"
    assert tool.type == "tool_use"
    assert (tool.id, tool.name, tool.input) == ("call_1", "f", {"a": 1})
    assert final.stop_reason == "tool_use"
    assert (final.usage.input_tokens, final.usage.cache_read_input_tokens) == (40, 60)
    assert final.usage.output_tokens == 20
    assert final.model == "asked"


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_openai_package_accumulates_the_response(upstream: Dialect) -> None:
    client = openai_client(stream_for("responses", upstream))
    with client.responses.stream(model="m", input="x") as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_response()
    reasoning, answer, call = final.output
    assert reasoning.type == "reasoning"
    assert reasoning.summary[0].text == "hm"
    assert answer.type == "message"
    assert final.output_text == "Hello wörld"
    assert call.type == "function_call"
    assert (call.call_id, call.name, call.arguments) == ("call_1", "f", '{"a":1}')
    assert final.usage is not None
    assert (final.usage.input_tokens, final.usage.output_tokens, final.usage.total_tokens) == (100, 20, 120)
    assert final.usage.input_tokens_details.cached_tokens == 60
    assert (seen[0], seen[-1]) == ("response.created", "response.completed")


@pytest.mark.parametrize("upstream", ["messages", "responses"])
def test_openai_package_accumulates_the_chat_completion(upstream: Dialect) -> None:
    client = openai_client(stream_for("chat", upstream, include_usage=True))
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "x"}]) as stream:
        final = stream.get_final_completion()
    choice = final.choices[0]
    assert choice.message.content == "Hello wörld"
    assert (
        choice.message.model_extra == {"parsed": None, "reasoning_content": "hm"}
        or (choice.message.model_extra or {}).get("reasoning_content") == "hm"
    )
    (call,) = choice.message.tool_calls or []
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "f", '{"a":1}')
    assert choice.finish_reason == "tool_calls"
    assert final.usage is not None
    assert final.usage.total_tokens == 120
    assert final.usage.prompt_tokens_details is not None
    assert final.usage.prompt_tokens_details.cached_tokens == 60


def test_openai_package_understands_custom_and_namespace_calls() -> None:
    tools = {
        "patch": ToolOrigin(kind="custom", name="patch"),
        "files__read": ToolOrigin(kind="namespace", name="read", namespace="files"),
    }
    upstream = chat(
        called(0, '{"input":"a\\nb"}', id="c1", name="patch"),
        called(1, "{}", id="c2", name="files__read"),
        said("tool_calls"),
    )
    body = run(stream_translator(context("responses", "chat", tools=tools)), [upstream])
    with openai_client(body).responses.stream(model="m", input="x") as stream:
        patch, read = stream.get_final_response().output
    assert patch.type == "custom_tool_call"
    assert (patch.input, patch.name, patch.call_id) == ("a\nb", "patch", "c1")
    assert read.type == "function_call"
    assert (read.name, read.namespace) == ("read", "files")


def test_openai_package_sees_a_failed_response_with_its_reason() -> None:
    translator = stream_translator(context("responses", "chat"))
    body = translator.feed(chat(said(content="a"), done=False))
    body += translator.fail(CallError(kind="upstream", status=502, message="cut", source="upstream"))
    with openai_client(body).responses.stream(model="m", input="x") as stream:
        last = list(stream)[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message == "cut"


def test_openai_package_raises_when_a_chat_stream_fails() -> None:
    translator = stream_translator(context("chat", "messages"))
    body = translator.feed(UPSTREAMS["messages"][:300])
    body += translator.fail(CallError(kind="upstream", status=502, message="cut", source="upstream"))
    stream = openai_client(body).chat.completions.create(model="m", messages=[], stream=True)
    with pytest.raises(openai.APIError, match="cut"):
        list(stream)
