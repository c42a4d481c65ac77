"""Which answers are kept: whole, said in full, and without a tool that may change something."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.cache.keeping import LARGEST_BYTES, objection
from freehold.cache.keys import Form
from tests.cache.asking import TEXT_BLOCK, TOOL_BLOCK, chat_answer, chat_stream, events, messages_stream

CALL = {"id": "t", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def against(
    body: bytes, endpoint: str = "chat", form: Form = "whole", tools: Any = (), status: int = 200
) -> str:
    return objection(endpoint, form, status, body, tools)


def whole(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def message(**fields: Any) -> bytes:
    return whole(**{"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", **fields})


def response(**fields: Any) -> bytes:
    text = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    return whole(**{"status": "completed", "output": [text], **fields})


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat", chat_answer()),
        ("messages", message()),
        ("messages", message(stop_reason="stop_sequence")),
        ("responses", response()),
        ("completions", whole(choices=[{"text": "x", "finish_reason": "stop"}])),
        ("embeddings", whole(data=[{"embedding": [1]}])),
        ("rerank", whole(results=[{"index": 0}])),
        ("ollama.chat", whole(message={"content": "x"}, done=True, done_reason="stop")),
    ],
)
def test_a_full_answer_is_kept(endpoint: str, body: bytes) -> None:
    assert against(body, endpoint) == ""


@pytest.mark.parametrize(
    ("endpoint", "body", "reason"),
    [
        ("chat", chat_answer(finish_reason="length"), "cut"),
        ("chat", chat_answer(finish_reason="content_filter"), "refused"),
        ("chat", chat_answer(None, message={"refusal": "No."}), "refused"),
        ("chat", chat_answer(""), "empty"),
        ("chat", chat_answer(finish_reason=None), "did not end"),
        ("chat", chat_answer(None, message={"tool_calls": [CALL]}, finish_reason="tool_calls"), "look_up"),
        ("chat", whole(error={"message": "x"}), "error"),
        ("chat", b"<html>", "read"),
        ("chat", b"", "empty"),
        ("messages", message(stop_reason="max_tokens"), "cut"),
        ("messages", message(stop_reason="refusal"), "refused"),
        ("messages", message(stop_reason="pause_turn"), "did not end"),
        ("messages", message(content=[{"type": "tool_use", "name": "rm", "input": {}}]), "rm"),
        ("messages", message(content=[{"type": "thinking", "thinking": "hm"}]), "empty"),
        ("responses", response(status="incomplete"), "cut"),
        ("responses", response(output=[{"type": "function_call", "name": "rm"}]), "rm"),
        ("responses", response(output=[{"type": "web_search_call"}]), "web_search"),
        ("responses", response(output=[{"type": "message", "content": [{"type": "refusal"}]}]), "refused"),
        ("embeddings", whole(data=[]), "empty"),
    ],
)
def test_what_is_not_kept_says_why(endpoint: str, body: bytes, reason: str) -> None:
    assert reason in against(body, endpoint)


def test_one_bad_choice_of_several_spoils_the_answer() -> None:
    good, bad = (
        {"index": i, "message": {"content": "x"}, "finish_reason": end}
        for i, end in ((0, "stop"), (1, "length"))
    )
    assert "cut" in against(whole(choices=[good, bad]))


def test_status_and_size_count() -> None:
    assert "429" in against(chat_answer(), status=429)
    assert "206" in against(chat_answer(), status=206)
    assert "large" in against(b"x" * (LARGEST_BYTES + 1))


def test_a_tool_that_changes_nothing_may_be_called() -> None:
    body = chat_answer(None, message={"tool_calls": [CALL]}, finish_reason="tool_calls")
    assert against(body, tools=("look_up",)) == ""
    assert against(body, tools="*") == ""
    assert "look_up" in against(body, tools=("another",))


@pytest.mark.parametrize(
    ("endpoint", "body", "reason"),
    [
        ("chat", chat_stream("It ", "scatters."), ""),
        ("chat", chat_stream("It ", end="length"), "cut"),
        ("chat", chat_stream("It ", end=None), "no end"),
        ("chat", chat_stream(), "empty"),
        ("chat", chat_stream("It").removesuffix(b"data: [DONE]\n\n"), "no end"),
        ("chat", events({"error": {"message": "x"}}), "error"),
        ("messages", messages_stream(TEXT_BLOCK), ""),
        ("messages", messages_stream(TEXT_BLOCK, stop="max_tokens"), "cut"),
        ("messages", messages_stream(TOOL_BLOCK, stop="tool_use"), "look_up"),
        ("messages", messages_stream(TEXT_BLOCK).replace(b"message_stop", b"ping"), "no end"),
        (
            "responses",
            events({"type": "response.completed", "response": json.loads(response())}, done=False),
            "",
        ),
        ("responses", events({"type": "response.failed", "response": {}}, done=False), "read"),
    ],
)
def test_streams_are_judged_alike(endpoint: str, body: bytes, reason: str) -> None:
    found = against(body, endpoint, "stream")
    assert (found == "") if not reason else (reason in found)


def test_a_text_that_quotes_an_end_does_not_end_a_stream() -> None:
    text = 'the field is "finish_reason": "length", then [DONE]'
    assert against(chat_stream(text), form="stream") == ""


def test_calls_in_a_stream_are_judged_by_name() -> None:
    delta = {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "look_up", "arguments": "{}"}}]}
    body = events(
        {"choices": [{"index": 0, "delta": delta}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    assert "look_up" in against(body, form="stream")
    assert against(body, form="stream", tools=("look_up",)) == ""


def test_a_stream_of_which_one_choice_never_ended_is_not_kept() -> None:
    def delta(index: int, end: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": "x"}, "finish_reason": end}]}

    assert against(events(delta(0), delta(1), delta(0, "stop")), form="stream") != ""
    assert against(events(delta(0), delta(1), delta(0, "stop"), delta(1, "stop")), form="stream") == ""
