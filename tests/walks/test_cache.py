"""The same request again is answered without a model, whole or as the stream that it was; when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.testing.standin import Behaviour, Standin, ToolCall
from tests.house import MODELS
from tests.walks.priced import ask, house_with

EXACT = {"cache": {"exact": {}}}


@pytest.fixture
def upstream():
    with Standin(MODELS[:4]) as standin:
        yield standin


@pytest.mark.parametrize("dialect", ["chat", "messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_same_request_again_needs_no_model(
    tmp_path: Path, upstream: Standin, stream: bool, dialect: str
) -> None:
    house = house_with(tmp_path, upstream, **EXACT)
    try:
        first = ask(house, stream=stream, dialect=dialect)
        again = ask(house, stream=stream, dialect=dialect)
        assert (first.header("x-freehold-cache"), again.header("x-freehold-cache")) == ("miss", "hit")
        assert again.status == 200
        assert again.body == first.body
        assert again.header("content-type") == first.header("content-type")
        assert len(upstream.seen) == 1
        paid, free = house.new_receipts()
        assert paid.cost_nanos > 0 and (paid.cached, paid.saved_nanos) == ("", 0)
        assert (free.outcome, free.cached, free.cost_nanos, free.cost_state) == ("ok", "exact", 0, "free")
        assert (free.saved_nanos, free.route) == (
            paid.cost_nanos,
            f"cached (exact), the answer of {paid.id}",
        )
        assert paid.finish and free.finish == paid.finish
        assert (free.deployment, free.provider, free.usage) == (paid.deployment, paid.provider, paid.usage)
        assert house.run("receipts", "verify", "--home", str(house.home)).returncode == 0
    finally:
        house.stop()


def test_nothing_is_kept_unless_it_is_said(tmp_path: Path, upstream: Standin) -> None:
    house = house_with(tmp_path, upstream)
    try:
        answers = [ask(house) for _ in range(2)]
        assert [answer.header("x-freehold-cache") for answer in answers] == [None, None]
        assert len(upstream.seen) == 2
        only = ask(house, headers={"x-freehold-cache": "only"})
        assert (only.status, only.json()["error"]["code"]) == (504, "not_cached")
    finally:
        house.stop()


def test_a_caller_may_say_otherwise(tmp_path: Path, upstream: Standin) -> None:
    house = house_with(tmp_path, upstream, **EXACT)
    try:
        assert ask(house, headers={"x-freehold-cache": "only"}).status == 504
        assert ask(house).status == 200
        assert ask(house, headers={"x-freehold-cache": "only"}).header("x-freehold-cache") == "hit"
        assert ask(house, headers={"x-freehold-cache": "off"}).header("x-freehold-cache") is None
        assert ask(house, headers={"x-freehold-cache": "refresh"}).header("x-freehold-cache") == "miss"
        assert ask(house, headers={"x-freehold-cache": "perhaps"}).status == 400
        assert len(upstream.seen) == 3
    finally:
        house.stop()


def test_errors_and_calls_of_tools_are_not_kept(tmp_path: Path, upstream: Standin) -> None:
    house = house_with(tmp_path, upstream, **EXACT)
    tool = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]
    upstream.by_model["m1"] = Behaviour(status=400)
    upstream.by_model["m2"] = Behaviour(tool_calls=(ToolCall(name="pay"),))
    try:
        for _ in range(2):
            assert ask(house, "alpha/m1").status == 400
            assert ask(house, "alpha/m2", tools=tool).header("x-freehold-cache") == "miss"
    finally:
        house.stop()


def test_a_question_that_means_the_same_gets_the_answer_where_that_is_wanted(
    tmp_path: Path, upstream: Standin
) -> None:
    house = house_with(tmp_path, upstream, cache={"semantic": {"models": ["alpha/m0"]}})
    try:
        ask(house, text="What is the capital of France?")
        alike = ask(house, text="what is the capital of France")
        other = ask(house, text="What is the capital of Spain?")
        elsewhere = ask(house, "alpha/m1", text="What is the capital of France?")
        assert alike.header("x-freehold-cache") == "hit"
        assert (alike.header("x-freehold-route") or "").startswith("cached (semantic), the answer of r")
        assert other.header("x-freehold-cache") == "miss"
        assert elsewhere.header("x-freehold-cache") is None
        assert [receipt.cached for receipt in house.new_receipts()] == ["", "semantic", "", ""]
    finally:
        house.stop()
