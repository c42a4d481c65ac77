from __future__ import annotations

from typing import get_args

import pytest

from freehold.core.catalog import Dialect
from freehold.dialects.finish import Finish, finish_from, finish_to, responses_status


@pytest.mark.parametrize("finish", get_args(Finish))
def test_messages_can_say_every_finish_and_read_it_back(finish: Finish) -> None:
    assert finish_from("messages", finish_to("messages", finish)) == finish


@pytest.mark.parametrize("dialect", get_args(Dialect))
@pytest.mark.parametrize("finish", get_args(Finish))
def test_a_cut_answer_is_told_as_cut_in_every_dialect(dialect: Dialect, finish: Finish) -> None:
    back = finish_from(dialect, finish_to(dialect, finish))
    cut = {"length", "pause", "context_window"}
    assert (back in cut) == (finish in cut)


@pytest.mark.parametrize(
    ("dialect", "word", "finish"),
    [
        ("chat", "function_call", "tool_calls"),
        ("chat", "content_filter", "refusal"),
        ("chat", "insufficient_system_resource", "length"),
        ("chat", "STOP", "stop"),
        ("chat", "end_turn", "stop"),
        ("chat", "something new", "stop"),
        ("chat", None, "stop"),
        ("responses", "max_output_tokens", "length"),
        ("responses", "incomplete", "length"),
        ("responses", "content_filter", "refusal"),
        ("messages", "model_context_window_exceeded", "context_window"),
    ],
)
def test_words_of_upstreams(dialect: Dialect, word: str | None, finish: Finish) -> None:
    assert finish_from(dialect, word) == finish


def test_responses_tells_status_and_reason() -> None:
    assert responses_status("tool_calls") == ("completed", None)
    assert responses_status("context_window") == ("incomplete", "max_output_tokens")
    assert responses_status("refusal") == ("incomplete", "content_filter")
