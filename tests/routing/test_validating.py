"""What a validator is told, and what its end means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.dialects.conversation import Answer, Text, ToolCall
from freehold.routing.validating import (
    Verdict,
    calls_tools,
    check_for,
    document_of,
    verdict_of,
    words_of,
)
from freehold.routing.world import Check

CODE, REST = Check(command=("a",)), Check(command=("b",))


def test_a_kind_has_its_own_check_or_that_of_all_others() -> None:
    assert check_for({"code": CODE, "*": REST}, "code") is CODE
    assert check_for({"code": CODE, "*": REST}, "chat") is REST
    assert check_for({"code": CODE}, "chat") is None
    assert check_for({}, "code") is None
    assert check_for({"*": REST}, "") is REST


def test_it_reads_the_question_and_the_answer() -> None:
    request = json.dumps(
        {
            "model": "auto",
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "1 + 1?"}],
        }
    ).encode()
    answer = Answer(parts=(Text("It is "), Text("2.")), finish="stop", usage=Usage())
    found = json.loads(document_of(request, answer, task="maths", deployment="qwen", receipt="r1"))
    assert found == {
        "v": 1,
        "task": "maths",
        "model": "qwen",
        "receipt": "r1",
        "messages": [{"role": "system", "text": "Be short."}, {"role": "user", "text": "1 + 1?"}],
        "answer": "It is 2.",
        "finish": "stop",
    }


@pytest.mark.parametrize(
    ("status", "said", "verdict", "words"),
    [
        (0, b"all well", Verdict(True), "passed the check"),
        (1, b"", Verdict(False), "failed the check"),
        (
            1,
            b"\n  two tests\x1b fail \nmore",
            Verdict(False, "two tests fail"),
            "failed the check (two tests fail)",
        ),
        (2, b"usage", Verdict(None, "ended with status 2"), "was not checked (ended with status 2)"),
        (-9, b"", Verdict(None, "ended by signal 9"), "was not checked (ended by signal 9)"),
    ],
)
def test_its_end_is_the_verdict(status: int, said: bytes, verdict: Verdict, words: str) -> None:
    assert verdict_of(status, said) == verdict
    assert words_of(verdict) == words


@given(st.binary(max_size=4096))
def test_a_reason_is_one_short_line_that_can_be_printed(said: bytes) -> None:
    why = verdict_of(1, said).why
    assert len(why) <= 163
    assert why.isprintable()


def test_steps_on_the_way_are_known() -> None:
    step = Answer(parts=(ToolCall(id="1", name="a", arguments="{}"),), finish="tool_calls", usage=Usage())
    assert calls_tools(step)
    assert not calls_tools(Answer(parts=(Text("a"),), finish="stop", usage=Usage()))
