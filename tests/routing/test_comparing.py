"""The same request for another place, and what shows of two answers without a judge."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.catalog import Dialect
from freehold.routing.comparing import (
    comparable,
    judge_body,
    plain_verdict,
    question_of,
    read_whole,
    shadow_body,
    text_of,
)

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Is it sound?"}]}


def request(**more: Any) -> bytes:
    return json.dumps(HELLO | more).encode()


def answer(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()


def read(text: str):
    found = read_whole("chat", answer(text))
    assert found is not None
    return found


def test_the_same_request_goes_to_the_other_place_whole_and_is_kept_by_nobody() -> None:
    sent = request(stream=True, stream_options={"include_usage": True}, store=True, temperature=0.25)
    made = json.loads(shadow_body(sent, "qwen") or b"")
    assert made == HELLO | {"model": "qwen", "stream": False, "store": False, "temperature": 0.25}


def test_a_judge_is_asked_with_the_question_and_both_answers() -> None:
    system = {"role": "system", "content": "Be brief."}
    sent = json.dumps({"messages": [system, *HELLO["messages"]]}).encode()
    assert question_of(sent) == "system: Be brief.\n\nuser: Is it sound?"
    prompt = json.loads(judge_body("opus", sent, "Yes.", "No."))["messages"][0]["content"]
    assert all(words in prompt for words in ("Be brief.", "Is it sound?", "Yes.", "No."))


@pytest.mark.parametrize(
    ("one", "other", "wants", "score"),
    [
        ("It is sound.", "It  is\nsound.", {}, 1.0),
        ("It is sound.", "It is not.", {}, None),
        ("It is sound.", "", {}, 0.0),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', {"response_format": {"type": "json_object"}}, 1.0),
        ('{"a": 1}', "a is 1", {"response_format": {"type": "json_object"}}, 0.0),
    ],
)
def test_what_shows_without_a_judge(one: str, other: str, wants: dict[str, Any], score: float | None) -> None:
    verdict = plain_verdict(request(**wants), read(one), read(other))
    assert (None if verdict is None else verdict.score) == score


def test_only_an_answer_that_says_something_is_compared() -> None:
    assert comparable(request(), read("It is sound."))
    assert not comparable(request(), read("  "))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(answer), st.just(request())))
def test_bytes_of_any_kind_are_read_or_not_and_never_raise(data: bytes) -> None:
    shadow_body(data, "qwen")
    question_of(data)
    for dialect in get_args(Dialect):
        found = read_whole(dialect, data)
        if found is not None:
            comparable(data, found)
            plain_verdict(data, found, found)
            text_of(found)
