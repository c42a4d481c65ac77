"""A stream that is over says the same as the whole answer would have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.gather import gathered
from freehold.cache.keeping import objection
from tests.cache.asking import TEXT_BLOCK, TOOL_BLOCK, chat_stream, events, messages_stream

NAMES = (
    *(
        "choices",
        "delta",
        "tool_calls",
        "index",
        "function",
        "arguments",
        "finish_reason",
        "logprobs",
        "message",
    ),
    *("content_block", "input", "text", "partial_json", "usage", "citations", "citation", "response", "done"),
)


def test_a_chat_stream() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    assert gathered("chat", chat_stream("It ", "scatters.", usage=usage)) == {
        "id": "c1",
        "object": "chat.completion",
        "created": 7,
        "model": "gpt",
        "usage": usage,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "It scatters."}, "finish_reason": "stop"}
        ],
    }


def test_tool_calls_come_together_from_their_pieces() -> None:
    def delta(index: int, **call: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, **call}]}}]}

    body = events(
        delta(0, id="a", type="function", function={"name": "f", "arguments": ""}),
        delta(1, id="b", type="function", function={"name": "g", "arguments": ""}),
        delta(1, function={"arguments": "{}"}),
        delta(0, function={"arguments": '{"x":'}),
        delta(0, function={"arguments": "1}"}),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    found = gathered("chat", body)
    assert found is not None
    calls = found["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]) for call in calls] == [
        ("a", {"name": "f", "arguments": '{"x":1}'}),
        ("b", {"name": "g", "arguments": "{}"}),
    ]


def test_a_call_of_the_old_kind_comes_together_too() -> None:
    def delta(**call: str) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"function_call": call}, "finish_reason": None}]}

    body = events(
        delta(name="f", arguments=""),
        delta(arguments='{"x":'),
        delta(arguments="1}"),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "function_call"}]},
    )
    found = gathered("chat", body)
    assert found is not None
    assert found["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}


def test_several_choices_and_their_logprobs() -> None:
    def chunk(index: int, text: str, end: str | None = None) -> dict[str, Any]:
        logprobs = {"content": [{"token": text}]}
        return {
            "choices": [
                {"index": index, "delta": {"content": text}, "finish_reason": end, "logprobs": logprobs}
            ]
        }

    found = gathered(
        "chat", events(chunk(1, "b"), chunk(0, "a"), chunk(0, "a", "stop"), chunk(1, "b", "stop"))
    )
    assert found is not None
    assert [choice["message"]["content"] for choice in found["choices"]] == ["aa", "bb"]
    assert found["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "a"}]}


def test_a_messages_stream() -> None:
    thinking = {
        "start": {"type": "thinking", "thinking": "", "signature": ""},
        "deltas": [
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig=="},
        ],
    }
    found = gathered("messages", messages_stream(thinking, TEXT_BLOCK, TOOL_BLOCK, stop="tool_use"))
    assert found is not None
    assert found["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig=="},
        {"type": "text", "text": "It scatters."},
        {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"city": "Oslo"}},
    ]
    assert found["stop_reason"] == "tool_use"
    assert found["usage"] == {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 12}


def test_a_responses_stream_repeats_itself_at_the_end() -> None:
    response = {"id": "r", "status": "completed", "output": []}
    body = events(
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.completed", "response": response},
        done=False,
        named=True,
    )
    assert gathered("responses", body) == response


def test_lines_of_ollama() -> None:
    lines: list[dict[str, Any]] = [
        {"model": "q", "message": {"role": "assistant", "content": "It "}, "done": False},
        {"model": "q", "message": {"role": "assistant", "content": "scatters."}, "done": False},
        {"model": "q", "message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 3},
    ]
    found = gathered("ollama.chat", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert found == {
        "model": "q",
        "message": {"role": "assistant", "content": "It scatters."},
        "done": True,
        "eval_count": 3,
    }


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat", chat_stream("It", end=None)),
        ("chat", events({"error": {"message": "x"}})),
        ("chat", b""),
        ("messages", messages_stream(TEXT_BLOCK).replace(b"message_stop", b"ping")),
        ("messages", events({"type": "error", "error": {}}, done=False)),
        ("responses", events({"type": "response.failed", "response": {}}, done=False)),
        ("ollama.chat", b'{"message":{"content":"x"},"done":false}\n'),
        ("embeddings", b"{}"),
    ],
)
def test_what_came_to_no_good_end_is_nothing(endpoint: str, body: bytes) -> None:
    assert gathered(endpoint, body) is None


@given(st.lists(st.text(), min_size=1, max_size=20))
def test_the_text_is_what_the_pieces_are(texts: list[str]) -> None:
    body = chat_stream(*(text.encode("utf-8", "replace").decode() for text in texts))
    found = gathered("chat", body)
    assert found is not None
    assert found["choices"][0]["message"]["content"] == "".join(
        text.encode("utf-8", "replace").decode() for text in texts
    )


ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(["chat", "completions", "messages", "responses", "ollama.chat"]),
    st.lists(st.dictionaries(st.sampled_from(NAMES), ODD, max_size=5), max_size=4),
)
def test_odd_events_break_nothing(endpoint: str, objects: list[dict[str, Any]]) -> None:
    types = ("message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop")
    body = events(*(one | {"type": kind} for one, kind in zip(objects, types, strict=False)))
    if endpoint == "ollama.chat":
        body = body.replace(b"data: ", b"").replace(b"[DONE]", b"")
    objection(endpoint, "stream", 200, body, ())


@given(st.integers(), st.text(max_size=5))
def test_odd_indexes_break_nothing(index: int, name: str) -> None:
    delta = {"tool_calls": [{"index": index, "function": {"name": name}}]}
    body = events({"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]})
    assert gathered("chat", body) is not None
