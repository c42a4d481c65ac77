"""Whole answers in every direction, read by the SDKs that will receive them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from freehold.core.catalog import Dialect
from freehold.dialects.answers import translate_answer
from freehold.dialects.context import ToolOrigin, TranslationContext, TranslationError
from freehold.dialects.seals import unsealed
from tests.dialects.requestkit import Object, answered, call, translated


def as_chat(answer: Object) -> ChatCompletion:
    return ChatCompletion.model_validate(answer)


def as_message(answer: Object) -> Message:
    return Message.model_validate(answer)


def as_response(answer: Object) -> Response:
    return Response.model_validate(answer)


def chat(finish: str = "stop", **message: Any) -> Object:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": None, **message},
    }
    return {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}


def message(*content: Object, stop: str = "end_turn", **more: Any) -> Object:
    usage = {
        "input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 5,
        "output_tokens": 30,
    }
    head = {"id": "m", "type": "message", "role": "assistant", "stop_reason": stop, "stop_sequence": None}
    return {**head, "content": list(content), "usage": usage, **more}


def response(*output: Object, status: str = "completed", **more: Any) -> Object:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 130,
    }
    return {"id": "r", "object": "response", "status": status, "output": list(output), "usage": usage, **more}


def spoken(text: str) -> Object:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}


THOUGHT = chat(content="Hi.", reasoning_content="Let me see.")
TWO_CALLS = chat("tool_calls", tool_calls=[call("a", "f", '{"x":1}'), call("b", "g", "{}")])


def test_chat_to_messages() -> None:
    got = as_message(answered("messages", "chat", THOUGHT))
    assert (got.id, got.model, got.stop_reason) == ("msg_A1", "asked", "end_turn")
    assert [block.type for block in got.content] == ["thinking", "text"]
    assert answered("messages", "chat", THOUGHT)["content"][0] == {
        "type": "thinking",
        "thinking": "Let me see.",
        "signature": "",
    }
    assert (got.usage.input_tokens, got.usage.cache_read_input_tokens, got.usage.output_tokens) == (
        40,
        60,
        30,
    )


def test_chat_to_responses() -> None:
    got = as_response(answered("responses", "chat", THOUGHT, echo={"instructions": "Be kind."}))
    assert (got.id, got.status, got.output_text, got.instructions) == (
        "resp_A1",
        "completed",
        "Hi.",
        "Be kind.",
    )
    assert [item.type for item in got.output] == ["reasoning", "message"]
    assert got.usage is not None
    assert got.usage.input_tokens_details.cached_tokens == 60
    assert got.usage.output_tokens_details.reasoning_tokens == 10


def test_responses_objects_are_complete_for_the_sdk() -> None:
    """Every field that the SDK's type requires is there and of its type, whatever the request said."""
    asked = {
        "input": "x",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    }
    context = translated("responses", "chat", asked).context
    got = as_response(json.loads(translate_answer(json.dumps(THOUGHT).encode(), context)))
    assert got.tools[0].type == "function"
    assert (got.metadata, got.temperature, got.parallel_tool_calls) == ({"a": "b"}, 0.5, True)
    assert (got.error, got.incomplete_details, got.truncation) == (None, None, "disabled")


def test_parallel_tool_calls_reach_every_client() -> None:
    got = as_message(answered("messages", "chat", TWO_CALLS))
    assert got.stop_reason == "tool_use"
    assert [(block.id, block.name, block.input) for block in got.content if block.type == "tool_use"] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {}),
    ]
    items = as_response(answered("responses", "chat", TWO_CALLS)).output
    assert [item.arguments for item in items if item.type == "function_call"] == ['{"x":1}', "{}"]
    ollama = answered("ollama", "chat", TWO_CALLS)
    assert ollama["message"]["tool_calls"][0] == {"function": {"name": "f", "arguments": {"x": 1}}}
    use = [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    back = as_chat(answered("chat", "messages", message(*use, stop="tool_use"))).choices[0]
    assert back.finish_reason == "tool_calls"
    assert [one.id for one in back.message.tool_calls or []] == ["a", "b"]


def test_messages_to_chat() -> None:
    blocks = (
        {"type": "thinking", "thinking": "hm", "signature": "SIG"},
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B"},
    )
    raw = answered("chat", "messages", message(*blocks))
    got = as_chat(raw)
    assert (got.id, got.created, got.model) == ("chatcmpl-A1", 1_700_000_000, "asked")
    assert got.choices[0].message.content == "AB"
    assert raw["choices"][0]["message"]["reasoning_content"] == "hm"
    assert got.usage is not None
    assert got.usage.prompt_tokens == 105
    assert got.usage.prompt_tokens_details is not None
    assert got.usage.prompt_tokens_details.cached_tokens == 60


def test_messages_to_responses_carries_the_signature_in_the_encrypted_content() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "SIG"}
    got = as_response(answered("responses", "messages", message(thinking, {"type": "text", "text": "A"})))
    item = got.output[0]
    assert item.type == "reasoning"
    kept = unsealed(item.encrypted_content or "", "hm")
    assert kept is not None
    assert (kept.signature, kept.text) == ("SIG", "hm")


def test_responses_to_messages_and_to_chat() -> None:
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "plan"}],
        "encrypted_content": "gAAA",
    }
    use = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    answer = response(reasoning, spoken("Well."), use)
    got = as_message(answered("messages", "responses", answer))
    assert [block.type for block in got.content] == ["thinking", "text", "tool_use"]
    assert got.stop_reason == "tool_use"
    block = got.content[0]
    assert block.type == "thinking"
    assert block.signature == "freehold.responses.rs_1.gAAA"
    choice = as_chat(answered("chat", "responses", answer)).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Well.")
    assert (choice.message.tool_calls or [])[0].id == "c"


def test_codexs_tools_come_back_as_what_they_were() -> None:
    tools = {
        "apply_patch": ToolOrigin(kind="custom", name="apply_patch"),
        "mcp__docs__find": ToolOrigin(kind="namespace", name="find", namespace="mcp__docs"),
    }
    calls = [call("a", "apply_patch", '{"input":"*** Begin"}'), call("b", "mcp__docs__find", "{}")]
    answer = answered("responses", "chat", chat("tool_calls", tool_calls=calls), tools=tools)
    first, second = as_response(answer).output
    assert first.type == "custom_tool_call"
    assert (first.name, first.input) == ("apply_patch", "*** Begin")
    assert second.type == "function_call"
    assert (second.name, second.namespace) == ("find", "mcp__docs")


def test_free_form_input_that_is_not_wrapped_is_taken_as_it_is() -> None:
    tools = {"p": ToolOrigin(kind="custom", name="p")}
    answer = answered("responses", "chat", chat(tool_calls=[call("a", "p", "*** Begin")]), tools=tools)
    assert answer["output"][0]["input"] == "*** Begin"


def test_a_chat_client_gets_its_free_form_call_back() -> None:
    tools = {"p": ToolOrigin(kind="custom", name="p")}
    native = {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": '{"input": "as it is"}'}
    got = as_chat(answered("chat", "responses", response(native), tools=tools)).choices[0].message
    made = (got.tool_calls or [])[0]
    assert made.type == "custom"
    assert made.custom.input == '{"input": "as it is"}'


@pytest.mark.parametrize(
    ("finish", "stop_reason", "status", "why"),
    [
        ("stop", "end_turn", "completed", None),
        ("length", "max_tokens", "incomplete", "max_output_tokens"),
        ("content_filter", "refusal", "incomplete", "content_filter"),
    ],
)
def test_why_an_answer_ended(finish: str, stop_reason: str, status: str, why: str | None) -> None:
    answer = chat(finish, content="x")
    assert as_message(answered("messages", "chat", answer)).stop_reason == stop_reason
    got = as_response(answered("responses", "chat", answer))
    assert got.status == status
    assert (got.incomplete_details.reason if got.incomplete_details else None) == why
    item = got.output[0]
    assert item.type == "message"
    assert item.status == status


def test_a_finish_reason_that_contradicts_the_content_is_corrected() -> None:
    called = chat("stop", tool_calls=[call("a", "f", "{}")])
    assert answered("messages", "chat", called)["stop_reason"] == "tool_use"
    silent = chat("tool_calls", content="done", tool_calls=[])
    assert answered("messages", "chat", silent)["stop_reason"] == "end_turn"


def test_stop_sequences_are_told_to_messages_clients() -> None:
    answer = message({"type": "text", "text": "x"}, stop="stop_sequence", stop_sequence="END")
    assert answered("chat", "messages", answer)["choices"][0]["finish_reason"] == "stop"


def test_refusals() -> None:
    got = as_message(answered("messages", "chat", chat(refusal="I will not.")))
    assert (got.stop_reason, answered("messages", "chat", chat(refusal="No."))["content"][0]["text"]) == (
        "refusal",
        "No.",
    )
    item = as_response(answered("responses", "chat", chat(refusal="No."))).output[0]
    assert item.type == "message"
    assert item.content[0].type == "refusal"
    stopped = message(stop="refusal", stop_details={"type": "refusal", "explanation": "Policy."})
    choice = as_chat(answered("chat", "messages", stopped)).choices[0]
    assert (choice.finish_reason, choice.message.refusal) == ("content_filter", "Policy.")


def test_habits_of_chat_servers() -> None:
    vllm = chat(content="x", reasoning="hm", tool_calls=[])
    assert [block["type"] for block in answered("messages", "chat", vllm)["content"]] == ["thinking", "text"]
    mistral = chat(
        content=[{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "x"}]
    )
    assert [block["type"] for block in answered("messages", "chat", mistral)["content"]] == [
        "thinking",
        "text",
    ]
    nameless = chat(tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}])
    del nameless["usage"]
    got = as_message(answered("messages", "chat", nameless))
    assert got.usage.input_tokens == 0
    assert [(block.id, block.input) for block in got.content if block.type == "tool_use"] == [
        ("call_A1_0", {"a": 1})
    ]


def test_arguments_that_broke_off_stay_visible_and_parseable() -> None:
    broken = chat("length", tool_calls=[call("a", "f", '{"x": "unfin')])
    got = as_message(answered("messages", "chat", broken))
    assert got.stop_reason == "max_tokens"
    assert [block.input for block in got.content if block.type == "tool_use"] == [{"_raw": '{"x": "unfin'}]
    item = answered("responses", "chat", broken)["output"][0]
    assert (item["arguments"], item["status"]) == ('{"x": "unfin', "incomplete")


def test_an_empty_answer_is_an_answer() -> None:
    assert as_message(answered("messages", "chat", chat())).content == []
    assert as_response(answered("responses", "chat", chat())).output == []
    assert as_chat(answered("chat", "messages", message())).choices[0].message.content == ""


def test_logprobs_between_chat_and_responses() -> None:
    entry = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    answer = chat(content="Hi")
    answer["choices"][0]["logprobs"] = {"content": [entry]}
    part = as_response(answered("responses", "chat", answer)).output[0]
    assert part.type == "message"
    assert part.content[0].type == "output_text"
    assert (part.content[0].logprobs or [])[0].token == "Hi"
    told = spoken("Hi")
    told["content"][0]["logprobs"] = [entry]
    logprobs = as_chat(answered("chat", "responses", response(told))).choices[0].logprobs
    assert logprobs is not None
    assert (logprobs.content or [])[0].logprob == -0.1


def test_ollama() -> None:
    got = answered("ollama", "chat", THOUGHT)
    assert got["message"] == {"role": "assistant", "content": "Hi.", "thinking": "Let me see."}
    assert (got["done"], got["done_reason"], got["created_at"]) == (True, "stop", "2023-11-14T22:13:20Z")
    assert (got["prompt_eval_count"], got["eval_count"]) == (100, 30)


def refused(client: Dialect, upstream: Dialect, body: bytes) -> Any:
    context = TranslationContext(
        client=client, upstream=upstream, model_asked="m", answer_id="a", created_s=1
    )
    with pytest.raises(TranslationError) as failure:
        translate_answer(body, context)
    return failure.value.error


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}'])
def test_what_is_no_answer_is_the_upstreams_fault(body: bytes) -> None:
    error = refused("messages", "chat", body)
    assert (error.kind, error.status, error.source) == ("upstream", 502, "upstream")


def test_an_error_behind_a_status_of_success_is_an_error() -> None:
    error = refused("messages", "chat", b'{"error": {"message": "out of memory", "code": 500}}')
    assert (error.source, error.message) == ("upstream", "out of memory")


def test_a_response_that_failed_or_is_not_over_is_an_error() -> None:
    failed = response(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"})
    error = refused("chat", "responses", json.dumps(failed).encode())
    assert (error.source, error.message) == ("upstream", "slow down")
    waiting = refused("chat", "responses", json.dumps(response(status="queued")).encode())
    assert (waiting.status, "queued" in waiting.message) == (502, True)
