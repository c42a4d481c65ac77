"""Chat and Responses upstreams for Messages clients: the defects that Claude Code meets elsewhere."""

from __future__ import annotations

import json

import pytest

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import ToolOrigin
from freehold.dialects.streams import stream_translator
from freehold.dialects.usage import usage_of
from tests.dialects.streamkit import (
    blocks,
    called,
    chat,
    check_messages,
    context,
    named,
    names,
    read,
    run,
    said,
    translated,
    used,
)

CUT = CallError(kind="upstream", status=502, message="cut off", source="upstream")


def test_message_start_is_sent_with_the_first_event_not_when_thinking_ends() -> None:
    translator = stream_translator(context("messages", "chat"))
    first = read("messages", translator.feed(chat(said(role="assistant"), done=False)))
    assert names(first) == ["message_start"]
    assert first[0][1]["message"]["usage"]["output_tokens"] == 0
    thought = read("messages", translator.feed(chat(said(reasoning_content="hm"), done=False)))
    assert names(thought) == ["content_block_start", "content_block_delta"]


def test_thinking_after_text_opens_a_new_thinking_block() -> None:
    events = translated(
        "messages", "chat", chat(said(content="a"), said(reasoning="b"), said(content="c"), said("stop"))
    )
    check_messages(events)
    assert blocks(events) == [("text", "a"), ("thinking", "b"), ("text", "c")]


def test_the_same_thought_under_two_names_is_told_once() -> None:
    events = translated("messages", "chat", chat(said(reasoning="b", reasoning_content="b"), said("stop")))
    assert blocks(events) == [("thinking", "b")]


def test_an_empty_tool_calls_list_beside_text_opens_no_block() -> None:
    events = translated(
        "messages", "chat", chat(said(content="a", tool_calls=[]), said("stop", tool_calls=[]))
    )
    check_messages(events)
    assert blocks(events) == [("text", "a")]
    assert events[-2][1]["delta"]["stop_reason"] == "end_turn"


def test_interleaved_parallel_calls_are_told_one_after_the_other() -> None:
    events = translated(
        "messages",
        "chat",
        chat(
            called(0, "", id="a", name="f"),
            called(1, '{"x"', id="b", name="g"),
            called(0, '{"y"'),
            called(1, ":1}"),
            called(0, ":2}"),
            said("tool_calls"),
        ),
    )
    check_messages(events)
    assert blocks(events) == [("tool_use", '{"y":2}'), ("tool_use", '{"x":1}')]


def test_a_second_call_streams_as_soon_as_the_first_is_complete() -> None:
    translator = stream_translator(context("messages", "chat"))
    translator.feed(chat(called(0, '{"x":1}', id="a", name="f"), done=False))
    events = read("messages", translator.feed(chat(called(1, '{"y', id="b", name="g"), done=False)))
    assert names(events) == ["content_block_stop", "content_block_start", "content_block_delta"]


def test_text_between_two_halves_of_a_call_waits_for_its_end() -> None:
    events = translated(
        "messages",
        "chat",
        chat(called(0, '{"x', id="a", name="f"), said(content="hm"), called(0, '":1}'), said("stop")),
    )
    check_messages(events)
    assert blocks(events) == [("tool_use", '{"x":1}'), ("text", "hm")]


def test_stop_although_tools_were_called_becomes_tool_use() -> None:
    events = translated("messages", "chat", chat(called(0, "{}", id="a", name="f"), said("stop")))
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"


def test_tool_calls_without_a_call_becomes_end_turn() -> None:
    events = translated("messages", "chat", chat(said(content="a"), said("tool_calls")))
    assert events[-2][1]["delta"]["stop_reason"] == "end_turn"


def test_calls_that_all_claim_index_zero_are_told_apart_by_their_ids() -> None:
    events = translated(
        "messages",
        "chat",
        chat(
            called(0, '{"a":1}', id="x", name="f"), called(0, '{"b":2}', id="y", name="f"), said("tool_calls")
        ),
    )
    check_messages(events)
    assert blocks(events) == [("tool_use", '{"a":1}'), ("tool_use", '{"b":2}')]


def test_calls_without_index_or_id_and_with_object_arguments_are_understood() -> None:
    events = translated("messages", "chat", chat(called(None, {"a": 1}, name="f"), said("stop")))
    start = events[1][1]["content_block"]
    assert (start["name"], start["id"]) == ("f", "call_A1_0")
    assert blocks(events) == [("tool_use", '{"a":1}')]


def test_a_name_that_comes_after_the_arguments_begins_the_call_late_but_whole() -> None:
    events = translated(
        "messages", "chat", chat(called(0, '{"a"', id="x"), called(0, ":1}", name="f"), said("tool_calls"))
    )
    assert blocks(events) == [("tool_use", '{"a":1}')]


def test_a_call_that_repeats_id_and_name_in_every_chunk_is_one_call() -> None:
    events = translated(
        "messages",
        "chat",
        chat(called(0, '{"a"', id="x", name="f"), called(0, ":1}", id="x", name="f"), said("stop")),
    )
    assert blocks(events) == [("tool_use", '{"a":1}')]


def test_usage_in_the_last_chunk_is_in_message_delta_with_the_cache_apart() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 6},
    }
    events = translated("messages", "chat", chat(said(content="a"), said("stop"), used(**usage)))
    told = events[-2][1]["usage"]
    assert (told["input_tokens"], told["cache_read_input_tokens"], told["output_tokens"]) == (4, 6, 4)


def test_usage_in_the_chunk_with_the_finish_reason_counts_too() -> None:
    last = {**said("length", content="a"), "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    translator = stream_translator(context("messages", "chat"))
    events = read("messages", run(translator, [chat(last)]))
    assert events[-2][1]["usage"]["output_tokens"] == 2
    assert events[-2][1]["delta"]["stop_reason"] == "max_tokens"
    assert usage_of("chat", translator.usage_raw or b"") == Usage(fresh_in=3, visible_out=2)


def test_a_missing_finish_reason_ends_the_turn_when_done_was_said() -> None:
    events = translated("messages", "chat", chat(said(content="a")))
    check_messages(events)
    assert events[-2][1]["delta"]["stop_reason"] == "end_turn"


def test_a_missing_done_is_made_up_for_by_the_finish_reason() -> None:
    events = translated("messages", "chat", chat(said(content="a"), said("stop"), done=False))
    check_messages(events)
    assert names(events)[-1] == "message_stop"


def test_the_last_event_may_lack_its_empty_line() -> None:
    stream = chat(said(content="a")).removesuffix(b"\n\n")
    assert names(translated("messages", "chat", stream))[-1] == "message_stop"


def test_a_stream_without_any_sign_of_its_end_is_told_as_broken() -> None:
    events = translated("messages", "chat", chat(said(content="a"), done=False))
    check_messages(events)
    assert names(events)[-2:] == ["content_block_stop", "error"]
    assert events[-1][1]["error"]["source"] == "upstream"


def test_an_error_in_mid_stream_ends_honestly_and_nothing_follows() -> None:
    error = {"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}}
    translator = stream_translator(context("messages", "chat"))
    events = read("messages", run(translator, [chat(said(content="a"), error, said(content="b"))]))
    check_messages(events)
    assert events[-1][1]["error"]["message"] == "CUDA out of memory"
    assert translator.finished
    assert translator.fail(CUT) == b""


def test_a_call_that_broke_off_is_not_closed_as_if_it_were_complete() -> None:
    translator = stream_translator(context("messages", "chat"))
    translator.feed(chat(called(0, '{"path": "/', id="a", name="rm"), done=False))
    assert names(read("messages", translator.fail(CUT))) == ["error"]


def test_what_is_no_json_ends_honestly() -> None:
    events = translated("messages", "chat", chat(said(content="a"), b"data: {oops\n\n"))
    assert "cannot be read" in events[-1][1]["error"]["message"]


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_an_answer_that_the_engine_dropped_is_not_told_as_complete(reason: str) -> None:
    events = translated("messages", "chat", chat(said(content="a"), said(reason)))
    check_messages(events)
    assert reason in events[-1][1]["error"]["message"]


def test_a_refusal_is_text_with_its_stop_reason() -> None:
    events = translated("messages", "chat", chat(said(refusal="No."), said("stop")))
    check_messages(events)
    assert blocks(events) == [("text", "No.")]
    assert events[-2][1]["delta"]["stop_reason"] == "refusal"


def test_an_upstreams_comment_is_a_ping() -> None:
    translator = stream_translator(context("messages", "chat"))
    assert names(read("messages", translator.feed(b": PROCESSING\n\n"))) == ["ping"]


def test_mistral_parts_are_text_and_thinking() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
    ]
    assert blocks(translated("messages", "chat", chat(said(content=parts), said("stop")))) == [
        ("thinking", "hm"),
        ("text", "a"),
    ]


def test_second_choices_and_logprobs_are_named_losses() -> None:
    translator = stream_translator(context("messages", "chat"))
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": []}}
    run(translator, [chat({"choices": [choice, {"index": 1, "delta": {"content": "b"}}]}, said("stop"))])
    assert translator.losses == ("logprobs", "choices")


def test_renamed_tools_get_their_name_back() -> None:
    tools = {"mcp__files_read": ToolOrigin(name="mcp files.read")}
    events = translated(
        "messages", "chat", chat(called(0, "{}", id="a", name="mcp__files_read"), said("stop")), tools=tools
    )
    assert events[1][1]["content_block"]["name"] == "mcp files.read"


# --- Responses upstream


def item_events(index: int, item: dict[str, object], *deltas: dict[str, object]) -> list[dict[str, object]]:
    place = {"output_index": index, "item_id": item["id"]}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}},
        *({**place, **delta} for delta in deltas),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def responses(*events: dict[str, object], kind: str = "response.completed", **response: object) -> bytes:
    return named(
        {"type": "response.created", "response": {"id": "r"}},
        *events,
        {"type": kind, "response": {"id": "r", **response}},
    )


REASONING = item_events(
    0,
    {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "SEALED"},
    {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "one"},
    {"type": "response.reasoning_summary_text.delta", "summary_index": 1, "delta": "two"},
)
CALL = item_events(
    1,
    {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
    {"type": "response.function_call_arguments.delta", "delta": '{"a"'},
    {"type": "response.function_call_arguments.delta", "delta": ":1}"},
)


def test_responses_reasoning_call_and_usage_become_blocks() -> None:
    usage = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
    events = translated("messages", "responses", responses(*REASONING, *CALL, usage=usage))
    check_messages(events)
    assert blocks(events) == [("thinking", "one\n\ntwo"), ("tool_use", '{"a":1}')]
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"
    assert events[-2][1]["usage"]["input_tokens"] == 9


def test_a_summary_beside_the_full_reasoning_is_not_a_second_thought() -> None:
    both = item_events(
        0,
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {"type": "response.reasoning_text.delta", "content_index": 0, "delta": "long"},
        {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "short"},
    )
    assert blocks(translated("messages", "responses", responses(*both))) == [("thinking", "long")]


def test_encrypted_reasoning_travels_as_the_blocks_signature() -> None:
    events = translated("messages", "responses", responses(*REASONING))
    signature = next(
        e["delta"]["signature"] for _, e in events if e.get("delta", {}).get("type") == "signature_delta"
    )
    assert "SEALED" in signature
    assert "rs_1" in signature


def test_items_without_deltas_are_read_from_their_end() -> None:
    done = [event for event in (*REASONING, *CALL) if not str(event["type"]).endswith(".delta")]
    text = {"id": "m", "type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    events = translated("messages", "responses", responses(*done, *item_events(2, text)))
    check_messages(events)
    assert blocks(events) == [("thinking", ""), ("tool_use", '{"a":1}'), ("text", "hi")]


def test_an_answer_that_came_only_in_completed_is_still_told() -> None:
    text = {"id": "m", "type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    assert blocks(translated("messages", "responses", responses(output=[text]))) == [("text", "hi")]


def test_a_completed_answer_is_not_told_twice() -> None:
    call = CALL[-1]["item"]
    events = translated("messages", "responses", responses(*CALL, output=[REASONING[-1]["item"], call]))
    assert blocks(events) == [("tool_use", '{"a":1}')]


def test_incomplete_and_failed_responses_keep_their_reason() -> None:
    cut = responses(kind="response.incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert translated("messages", "responses", cut)[-2][1]["delta"]["stop_reason"] == "max_tokens"
    failed = responses(kind="response.failed", error={"code": "rate_limit_exceeded", "message": "slow down"})
    assert translated("messages", "responses", failed)[-1][1]["error"] == {
        "type": "rate_limit_error",
        "message": "slow down",
        "source": "upstream",
    }


def test_a_responses_stream_closed_before_completed_is_told_as_broken() -> None:
    events = translated("messages", "responses", named({"type": "response.created", "response": {"id": "r"}}))
    assert names(events) == ["message_start", "error"]


def test_a_custom_tool_call_becomes_json_input_whatever_its_characters() -> None:
    text = 'a "quoted"\nline \u20ac'
    custom = item_events(
        0,
        {"id": "ctc", "type": "custom_tool_call", "call_id": "c", "name": "patch", "input": text},
        *({"type": "response.custom_tool_call_input.delta", "delta": piece} for piece in text),
    )
    ((kind, content),) = blocks(translated("messages", "responses", responses(*custom)))
    assert (kind, json.loads(content)) == ("tool_use", {"input": text})


def test_half_an_emoji_is_replaced_and_does_not_end_the_stream() -> None:
    halves = rb'data: {"choices":[{"index":0,"delta":{"content":"a\ud83d"}}]}' + b"\n\n"
    invalid = b'data: {"choices":[{"index":0,"delta":{"content":"b\xf0\x9f"}}]}' + b"\n\n"
    events = translated("messages", "chat", chat(halves, invalid, said("stop")))
    check_messages(events)
    assert blocks(events) == [("text", "a\ufffdb\ufffd")]
