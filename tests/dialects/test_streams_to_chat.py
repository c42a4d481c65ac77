"""Messages and Responses upstreams for chat clients, and chat upstreams for Ollama clients."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.core.errors import CallError
from freehold.dialects.context import ToolOrigin
from freehold.dialects.streams import stream_translator
from tests.dialects.streamkit import (
    called,
    chat,
    check_chat,
    context,
    deltas,
    message,
    named,
    names,
    read,
    run,
    said,
    translated,
    used,
)

CUT = CallError(kind="upstream", status=502, message="cut off", source="upstream")
THOUGHT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "SIG=="},
]
TEXT: list[dict[str, Any]] = [{"type": "text", "text": ""}, {"type": "text_delta", "text": "hi"}]
TOOL: list[dict[str, Any]] = [
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    {"type": "input_json_delta", "partial_json": '{"a":'},
    {"type": "input_json_delta", "partial_json": "1}"},
]


def test_thinking_text_and_tools_become_deltas() -> None:
    events = translated("chat", "messages", message(THOUGHT, TEXT, TOOL, stop="tool_use"))
    check_chat(events)
    assert deltas(events) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "hi"},
        {
            "tool_calls": [
                {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {},
    ]


def test_a_signature_has_no_place_and_is_named_a_loss() -> None:
    translator = stream_translator(context("chat", "messages"))
    run(translator, [message(THOUGHT)])
    assert translator.losses == ("thinking.signature",)


def test_a_call_without_arguments_gets_an_object() -> None:
    events = translated("chat", "messages", message([TOOL[0]], stop="tool_use"))
    assert deltas(events)[2] == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}


def test_input_that_came_whole_with_the_blocks_start_is_told_once() -> None:
    events = translated("chat", "messages", message([{**TOOL[0], "input": {"a": 1}}], stop="tool_use"))
    assert deltas(events)[2]["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


def test_input_in_the_blocks_start_is_only_a_stand_in_for_deltas() -> None:
    start, *pieces = TOOL
    events = translated("chat", "messages", message([{**start, "input": {"a": 0}}, *pieces], stop="tool_use"))
    told = [
        delta["tool_calls"][0]["function"]["arguments"] for delta in deltas(events) if "tool_calls" in delta
    ]
    assert "".join(told) == '{"a":1}'


def test_usage_is_sent_only_when_asked_for() -> None:
    silent = translated("chat", "messages", message(TEXT))
    assert all("usage" not in event for _, event in silent)
    asked = translated("chat", "messages", message(TEXT), include_usage=True)
    check_chat(asked)
    assert asked[-2][1]["choices"] == []
    assert asked[-2][1]["usage"]["total_tokens"] == 16
    assert all(event["usage"] is None for _, event in asked[:-2])


def test_a_pause_is_not_told_as_a_finished_answer() -> None:
    events = translated("chat", "messages", message(TEXT, stop="pause_turn"))
    assert events[-2][1]["choices"][0]["finish_reason"] == "length"


def test_a_failure_is_an_error_line_without_done() -> None:
    translator = stream_translator(context("chat", "messages"))
    events = read("chat", translator.feed(message(TEXT)[:200]) + translator.fail(CUT))
    check_chat(events)
    assert events[-1][1]["error"]["message"] == "cut off"


def test_a_messages_stream_without_its_stop_is_told_as_broken() -> None:
    whole = message(TEXT)
    events = translated("chat", "messages", whole[: whole.index(b"event: message_delta")])
    assert "error" in events[-1][1]


def test_a_messages_stream_that_told_why_it_stops_needs_no_message_stop() -> None:
    whole = message(TEXT)
    check_chat(translated("chat", "messages", whole[: whole.index(b"event: message_stop")]))


def test_a_ping_is_a_comment() -> None:
    translator = stream_translator(context("chat", "messages"))
    assert translator.feed(b'event: ping\ndata: {"type": "ping"}\n\n') == b": keepalive\n\n"


def test_a_responses_refusal_stays_a_refusal() -> None:
    delta = {"type": "response.refusal.delta", "output_index": 0, "delta": "No."}
    done = {"type": "response.completed", "response": {"output": []}}
    events = translated("chat", "responses", named({"type": "response.created"}, delta, done))
    check_chat(events)
    assert deltas(events)[1] == {"refusal": "No."}


def test_a_chat_clients_custom_tool_gets_its_text() -> None:
    tools = {"grep": ToolOrigin(kind="custom", name="grep")}
    whole = [{**TOOL[0], "name": "grep"}, {"type": "input_json_delta", "partial_json": '{"input":"a\\n'}]
    whole.append({"type": "input_json_delta", "partial_json": 'b"}'})
    events = translated("chat", "messages", message(whole, stop="tool_use"), tools=tools)
    calls = [delta["tool_calls"][0] for delta in deltas(events) if "tool_calls" in delta]
    assert calls[0]["custom"] == {"name": "grep", "input": ""}
    assert "".join(call["custom"]["input"] for call in calls) == "a\nb"


# --- Ollama


def test_ollama_lines_hold_tool_calls_until_they_are_whole() -> None:
    stream = chat(
        said(reasoning="hm"),
        said(content="a"),
        called(0, '{"x"', id="i", name="f"),
        called(0, ":1}"),
        said("tool_calls"),
        used(prompt_tokens=3, completion_tokens=2),
    )
    lines = [line for _, line in translated("ollama", "chat", stream)]
    assert [line["message"].get("thinking") or line["message"]["content"] for line in lines] == [
        "hm",
        "a",
        "",
        "",
    ]
    assert lines[2]["message"]["tool_calls"] == [{"function": {"name": "f", "arguments": {"x": 1}}}]
    assert (lines[3]["done"], lines[3]["done_reason"]) == (True, "stop")
    assert (lines[3]["prompt_eval_count"], lines[3]["eval_count"]) == (3, 2)
    assert lines[0]["created_at"] == "2023-11-14T22:13:20Z"


def test_an_ollama_stream_ends_honestly() -> None:
    translator = stream_translator(context("ollama", "chat"))
    assert names(read("ollama", translator.fail(CUT))) == [""]
    assert translator.finished


def test_no_event_stream_comes_from_an_ollama_upstream() -> None:
    with pytest.raises(ValueError, match="ollama"):
        stream_translator(context("chat", "ollama"))
