"""Chat and Messages upstreams for Responses clients: what Codex and openai-python demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.errors import CallError
from freehold.dialects.context import ToolOrigin
from freehold.dialects.streams import stream_translator
from tests.dialects.streamkit import (
    called,
    chat,
    check_responses,
    context,
    items,
    message,
    names,
    read,
    run,
    said,
    translated,
    used,
)

CUT = CallError(kind="upstream", status=502, message="cut off", source="upstream")


def test_text_has_every_added_and_done_of_the_grammar() -> None:
    events = translated("responses", "chat", chat(said(content="a"), said(content="b"), said("stop")))
    check_responses(events)
    assert names(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert items(events)[0]["content"][0]["text"] == "ab"


def test_lifecycle_events_carry_the_whole_object_and_echo_the_request() -> None:
    echo = {"instructions": "Be brief.", "tools": [{"type": "function", "name": "f"}], "temperature": None}
    events = translated("responses", "chat", chat(said(content="a"), said("stop")), echo=echo)
    for name, event in events:
        if name in ("response.created", "response.in_progress", "response.completed"):
            response = event["response"]
            assert (response["id"], response["model"]) == ("resp_A1", "asked")
            assert response["instructions"] == "Be brief."
            assert response["tools"] == [{"type": "function", "name": "f"}]
            assert response["parallel_tool_calls"] is True
    assert events[0][1]["response"]["status"] == "in_progress"
    assert events[-1][1]["response"]["status"] == "completed"


def test_reasoning_is_a_summary_before_the_message() -> None:
    events = translated("responses", "chat", chat(said(reasoning="hm"), said(content="a"), said("stop")))
    check_responses(events)
    thought, answer = items(events)
    assert (thought["type"], thought["summary"]) == ("reasoning", [{"type": "summary_text", "text": "hm"}])
    assert answer["type"] == "message"


def test_interleaved_parallel_calls_are_items_one_after_the_other() -> None:
    events = translated(
        "responses",
        "chat",
        chat(
            called(0, "", id="a", name="f"),
            called(1, '{"x"', id="b", name="g"),
            called(0, '{"y":2}'),
            called(1, ":1}"),
            said("tool_calls"),
        ),
    )
    check_responses(events)
    assert [(item["call_id"], item["arguments"]) for item in items(events)] == [
        ("a", '{"y":2}'),
        ("b", '{"x":1}'),
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = translated(
        "responses", "messages", message([{"type": "tool_use", "id": "t", "name": "f", "input": {}}])
    )
    check_responses(events)
    assert items(events)[0]["arguments"] == "{}"


def test_a_namespace_function_gets_its_namespace_back() -> None:
    tools = {"mcp__files__read": ToolOrigin(kind="namespace", name="read", namespace="mcp__files")}
    stream = chat(called(0, "{}", id="a", name="mcp__files__read"), said("stop"))
    (item,) = items(translated("responses", "chat", stream, tools=tools))
    assert (item["type"], item["name"], item["namespace"]) == ("function_call", "read", "mcp__files")


@pytest.mark.parametrize("width", [1, 2, 3, 7, 1000])
def test_a_custom_tools_text_is_streamed_decoded_whatever_the_pieces(width: int) -> None:
    text = '*** Begin\n+"quoted" \\ tab\t \u20ac \U0001f600 end'
    for arguments in (json.dumps({"input": text}), json.dumps({"input": text}, ensure_ascii=False)):
        pieces = [arguments[start : start + width] for start in range(0, len(arguments), width)]
        chunks = [
            called(0, pieces[0], id="a", name="apply_patch"),
            *(called(0, piece) for piece in pieces[1:]),
        ]
        tools = {"apply_patch": ToolOrigin(kind="custom", name="apply_patch")}
        events = translated("responses", "chat", chat(*chunks, said("tool_calls")), tools=tools)
        check_responses(events)
        (item,) = items(events)
        assert (item["type"], item["input"], item["name"]) == ("custom_tool_call", text, "apply_patch")
        said_in = [
            event["delta"] for name, event in events if name == "response.custom_tool_call_input.delta"
        ]
        assert "".join(said_in) == text
        assert len(said_in) > 1 or width == 1000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("plain text, no JSON", "plain text, no JSON"),
        ('{"input":"cut of', "cut of"),
        ('{"input": ""}', ""),
        ('{"a": 1, "input": "late"}', "late"),
    ],
)
def test_a_custom_tool_call_that_ignores_the_wrapping_keeps_its_text(arguments: str, text: str) -> None:
    tools = {"p": ToolOrigin(kind="custom", name="p")}
    events = translated(
        "responses", "chat", chat(called(0, arguments, id="a", name="p"), said("stop")), tools=tools
    )
    check_responses(events)
    assert items(events)[0]["input"] == text


def test_a_length_cut_is_incomplete_and_so_is_its_last_item() -> None:
    events = translated("responses", "chat", chat(said(content="a"), said("length")))
    check_responses(events)
    assert names(events)[-1] == "response.incomplete"
    assert events[-1][1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert items(events)[0]["status"] == "incomplete"


def test_truncated_arguments_are_marked_incomplete_not_repaired() -> None:
    stream = chat(called(0, '{"path":', id="a", name="f"), said("length"))
    (item,) = items(translated("responses", "chat", stream))
    assert (item["status"], item["arguments"]) == ("incomplete", '{"path":')


def test_usage_is_told_with_its_details() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}
    events = translated("responses", "chat", chat(said(content="a"), said("stop"), used(**usage)))
    assert events[-1][1]["response"]["usage"] == {
        "input_tokens": 10,
        "output_tokens": 4,
        "total_tokens": 14,
        "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


def test_a_cut_stream_ends_in_failed_with_the_same_id_and_no_done_for_the_open_call() -> None:
    translator = stream_translator(context("responses", "chat"))
    begun = translator.feed(chat(said(content="a"), called(0, '{"x', id="a", name="f"), done=False))
    events = read("responses", begun + translator.fail(CUT))
    check_responses(events)
    response = events[-1][1]["response"]
    assert (events[-1][0], response["status"]) == ("response.failed", "failed")
    assert response["error"]["message"] == "cut off"
    assert [item["type"] for item in response["output"]] == ["message"]


def test_a_failure_before_the_first_event_still_opens_the_stream() -> None:
    translator = stream_translator(context("responses", "chat"))
    events = read("responses", translator.fail(CUT))
    check_responses(events)


def test_a_sign_of_life_from_the_upstream_is_a_real_event() -> None:
    translator = stream_translator(context("responses", "messages"))
    events = read("responses", translator.feed(b'event: ping\ndata: {"type":"ping"}\n\n'))
    assert names(events)[-1] == "response.in_progress"
    assert [event["sequence_number"] for _, event in events] == [0, 1, 2]


# --- Messages upstream


SIGNED: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "SIG=="},
]
TOOL: list[dict[str, Any]] = [
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"a":'},
    {"type": "input_json_delta", "partial_json": "1}"},
]


def test_a_signature_travels_as_encrypted_content_of_its_own_thought() -> None:
    redacted = [{"type": "redacted_thinking", "data": "OPAQUE"}]
    events = translated("responses", "messages", message(SIGNED, SIGNED, redacted, TOOL, stop="tool_use"))
    check_responses(events)
    first, second, third, call = items(events)
    assert "SIG==" in first["encrypted_content"]
    assert first["summary"] == second["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "OPAQUE" in third["encrypted_content"]
    assert (third["summary"], call["call_id"], call["arguments"]) == ([], "toolu_1", '{"a":1}')


def test_messages_usage_is_the_cumulative_one_and_caches_are_inside_the_input() -> None:
    translator = stream_translator(context("responses", "messages"))
    usage = {"input_tokens": 7, "cache_read_input_tokens": 90, "output_tokens": 20}
    events = read("responses", run(translator, [message([{"type": "text", "text": "hi"}], usage=usage)]))
    told = events[-1][1]["response"]["usage"]
    assert (told["input_tokens"], told["output_tokens"]) == (97, 20)
    assert told["input_tokens_details"]["cached_tokens"] == 90
    assert json.loads(translator.usage_raw or b"{}")["output_tokens"] == 20


def test_a_refusal_of_the_upstream_is_an_incomplete_answer() -> None:
    events = translated("responses", "messages", message(stop="refusal"))
    assert events[-1][1]["response"]["incomplete_details"] == {"reason": "content_filter"}


def test_server_tools_and_citations_are_named_losses() -> None:
    translator = stream_translator(context("responses", "messages"))
    search = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]
    cited = [{"type": "text", "text": "a"}, {"type": "citations_delta", "citation": {"type": "x"}}]
    check_responses(read("responses", run(translator, [message(search, cited)])))
    assert translator.losses == ("content.server_tool_use", "citations")


def test_a_messages_error_after_200_ends_in_failed() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    events = read("responses", run(stream_translator(context("responses", "messages")), [error]))
    check_responses(events)
    assert events[-1][1]["response"]["error"]["code"] == "server_is_overloaded"


def test_half_an_emoji_in_a_custom_tools_text_does_not_end_the_stream() -> None:
    tools = {"p": ToolOrigin(kind="custom", name="p")}
    stream = chat(called(0, r'{"input":"a\ud83d', id="i", name="p"), called(0, r'b\ude00c"}'), said("stop"))
    events = translated("responses", "chat", stream, tools=tools)
    check_responses(events)
    assert items(events)[0]["input"] == "a?b?c"
