"""What an answer tells about itself while it passes."""

from __future__ import annotations

import json

import pytest

from freehold.core.usage import Usage
from freehold.dialects.usage import usage_of
from freehold.gateway.tap import Tap


def told(dialect: str, *events: object) -> Tap:
    tap = Tap(dialect)
    for event in events:
        tap.event(event if isinstance(event, bytes) else json.dumps(event).encode())
    return tap


def usage(tap: Tap, dialect: str) -> Usage:
    assert tap.usage_raw is not None
    return usage_of(dialect, tap.usage_raw)


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        (
            "chat",
            {
                "id": "c1",
                "model": "m-1",
                "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
            },
            Usage(fresh_in=5, visible_out=2),
        ),
        (
            "messages",
            {"id": "c1", "model": "m-1", "usage": {"input_tokens": 5, "output_tokens": 2}},
            Usage(fresh_in=5, visible_out=2),
        ),
        (
            "responses",
            {"id": "c1", "model": "m-1", "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}},
            Usage(fresh_in=5, visible_out=2),
        ),
    ],
)
def test_a_whole_answer_tells_usage_model_and_id(dialect, body, expected):
    tap = Tap(dialect)
    tap.whole(json.dumps(body).encode())
    assert usage(tap, dialect) == expected
    assert (tap.model, tap.answer_id, tap.error) == ("m-1", "c1", "")


def test_the_usage_stays_as_it_stood_on_the_wire():
    tap = Tap("chat")
    tap.whole(b'{"usage": { "prompt_tokens" : 5,"odd":[1.50] } }')
    assert tap.usage_raw == b'{ "prompt_tokens" : 5,"odd":[1.50] }'


def test_a_chat_streams_usage_is_its_last():
    tap = told(
        "chat",
        {"id": "c1", "model": "m-1", "choices": [{}], "usage": None},
        {"choices": [{}], "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
    )
    assert usage(tap, "chat") == Usage(fresh_in=5, visible_out=2)
    assert (tap.model, tap.answer_id, tap.began) == ("m-1", "c1", True)


def test_a_messages_streams_usage_comes_in_two_parts():
    """The prompt's part stands in message_start, the answer's in message_delta."""
    tap = told(
        "messages",
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "model": "claude",
                "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
            },
        },
        {"type": "content_block_delta", "delta": {"text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
    )
    assert usage(tap, "messages") == Usage(fresh_in=9, cache_read=4, visible_out=7)
    assert (tap.model, tap.answer_id, tap.terminal) == ("claude", "msg_1", False)


def test_a_responses_streams_usage_stands_in_its_last_event():
    tap = told(
        "responses",
        {
            "type": "response.created",
            "response": {"id": "resp_1", "model": "gpt", "usage": None, "error": None},
        },
        {"type": "response.output_text.delta", "delta": "hi"},
        {
            "type": "response.completed",
            "response": {
                "id": "resp_1",
                "model": "gpt-5",
                "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
            },
        },
    )
    assert usage(tap, "responses") == Usage(fresh_in=3, visible_out=4)
    assert (tap.model, tap.answer_id, tap.terminal, tap.error) == ("gpt-5", "resp_1", True, "")


SEARCHED = {
    "object": "response",
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    "tool_usage": {"web_search": {"num_requests": 2}},
}


@pytest.mark.parametrize("body", [SEARCHED, {"type": "response.completed", "response": SEARCHED}])
def test_searches_that_openai_counts_beside_its_usage_are_part_of_it(body):
    expected = Usage(fresh_in=3, visible_out=4, web_searches=2)
    assert usage(told("responses", body), "responses") == expected


@pytest.mark.parametrize("odd", [None, 7, [], {}, {"web_search": 7}, {"web_search": {"num_requests": "x"}}])
def test_odd_counts_of_searches_hide_no_usage(odd):
    assert usage(told("responses", SEARCHED | {"tool_usage": odd}), "responses") == Usage(
        fresh_in=3, visible_out=4
    )


@pytest.mark.parametrize(
    ("dialect", "last"),
    [
        ("messages", "message_stop"),
        ("responses", "response.completed"),
        ("responses", "response.incomplete"),
        ("responses", "response.failed"),
        ("responses", "response.cancelled"),
        ("messages", "error"),
        ("responses", "error"),
    ],
)
def test_a_stream_has_ended_when_its_dialect_says_so(dialect, last):
    assert told(dialect, {"type": last}).terminal


@pytest.mark.parametrize(
    ("dialect", "event", "word"),
    [
        ("chat", {"error": {"message": "busy"}}, "busy"),
        ("messages", {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "busy"),
        ("responses", {"type": "error", "message": "busy", "code": None}, "busy"),
        ("responses", {"type": "response.failed", "response": {"error": {"message": "busy"}}}, "busy"),
    ],
)
def test_an_error_inside_a_stream_is_remembered(dialect, event, word):
    assert word in told(dialect, event).error


@pytest.mark.parametrize(
    ("dialect", "events", "word"),
    [
        ("chat", [{"choices": [{"message": {"content": "hi"}, "finish_reason": "length"}]}], "length"),
        (
            "chat",
            [
                {"choices": [{"delta": {}, "finish_reason": "tool_calls"}], "usage": None},
                {"choices": [], "usage": {"prompt_tokens": 1}},
            ],
            "tool_calls",
        ),
        ("chat", [b'{"choices":[{"delta":{"content":"x"},"finish_reason":null}]}'], ""),
        ("messages", [{"type": "message", "stop_reason": "refusal"}], "refusal"),
        (
            "messages",
            [
                {"type": "message_start", "message": {"stop_reason": None}},
                {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {}},
                {"type": "message_stop"},
            ],
            "max_tokens",
        ),
        ("responses", [{"object": "response", "status": "completed"}], "completed"),
        (
            "responses",
            [
                {"type": "response.created", "response": {"status": "in_progress"}},
                {
                    "type": "response.incomplete",
                    "response": {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
                },
            ],
            "content_filter",
        ),
    ],
)
def test_why_an_answer_ended_is_known_in_the_upstreams_word(dialect, events, word):
    assert told(dialect, *events).finish == word


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
@pytest.mark.parametrize("odd", [7, ["x"], {"a": 1}, [{"finish_reason": 7}]])
def test_an_odd_end_hides_no_usage(dialect, odd):
    members = ("choices", "stop_reason", "delta", "status", "incomplete_details")
    tap = told(dialect, {"usage": {"input_tokens": 1}} | dict.fromkeys(members, odd))
    assert (tap.finish, tap.usage_raw) == ("", b'{"input_tokens": 1}')


def test_a_null_error_is_none():
    assert told("responses", {"type": "response.completed", "response": {"error": None}}).error == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[DONE]",
        b"{",
        b"[1]",
        b"7",
        b'{"usage":',
        b'{"model":7,"usage":{"a":1}}',
        b'{"model":"\xff"}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda data: repr(data[:30]),
)
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_odd_data_tells_nothing_and_breaks_nothing(dialect, data):
    tap = told(dialect, data)
    assert (tap.usage_raw, tap.model, tap.error) == (None, "", "")


def test_a_member_of_another_shape_hides_nothing_beside_it():
    """`message` is an object in Messages streams and a text in Responses errors."""
    assert (
        told("responses", {"message": "text", "usage": {"input_tokens": 1}}).usage_raw
        == b'{"input_tokens": 1}'
    )


@pytest.mark.parametrize(
    "second", [b'{"usage":[1]}', b'{"usage":"x"}', b'{"usage":{"a":"\xff"}}', b'{"usage":null}']
)
def test_usage_that_was_learned_survives_odd_usage_after_it(second):
    tap = told("messages", b'{"usage":{"input_tokens":3,"output_tokens":1}}', second)
    assert usage(tap, "messages").fresh_in == 3
