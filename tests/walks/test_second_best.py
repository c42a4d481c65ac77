"""An answer that was not good enough is better than none: it comes back when nothing better does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.walks.priced import ask

SORRY = ("I'm sorry, ", "but I cannot help ", "with that ", "request at all. ")
QUESTION, TASK = "How do I sharpen a knife?", {"x-freehold-task": "chat"}
CHEAP, DEAR = 0.1, 15.0


@pytest.fixture
def upstream() -> Iterator[Standin]:
    with Standin(("small", "large")) as standin:
        standin.by_model["small"] = Behaviour(pieces=SORRY * 2)
        yield standin


def house_of(folder: Path, upstream: Standin, **more: object) -> House:
    prices = {
        "cloud/small": {"input": CHEAP, "output": CHEAP},
        "cloud/large": {"input": DEAR, "output": DEAR},
    }
    config = {
        "providers": {"cloud": provider(upstream, models=["small", "large"])},
        "tiers": {"balanced": ["cloud/small"], "premium": ["cloud/large"]},
        "prices": prices,
        "routing": {"explore": 0, "tasks": {"chat": "balanced"}},
    }
    return House(folder, config | more)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_after_a_failed_step_up_the_cheap_answer_comes_back(
    tmp_path: Path, upstream: Standin, stream: bool, dialect: str
) -> None:
    upstream.by_model["large"] = Behaviour(status=400)
    house = house_of(tmp_path, upstream)
    try:
        answer = ask(
            house,
            "auto",
            QUESTION,
            dialect,
            stream=stream,
            headers=TASK,
        )
        assert answer.status == 200, answer.body
        assert answer.header("x-freehold-deployment") == "cloud/small"
        assert b"sorry" in answer.body and b"request at all" in answer.body
        if stream:
            assert (b"[DONE]" if dialect == "chat" else b"message_stop") in answer.body
        receipt = house.receipt()
        assert (receipt.outcome, receipt.deployment) == ("ok", "cloud/small")
        assert [one.deployment for one in receipt.attempts] == ["cloud/large", "cloud/small"]
        assert "the answer of cloud/small after all" in receipt.route
        assert (receipt.usage_state, receipt.cost_state) == ("reported", "computed")
        assert 0 < receipt.cost_nanos < 100_000, "the cheap answer is paid once"
    finally:
        house.stop()


def test_a_step_up_that_the_budget_refuses_brings_it_back_too(tmp_path: Path, upstream: Standin) -> None:
    budgets = [{"scope": "model:cloud/large", "limit_usd": 0.000001, "window": "total"}]
    house = house_of(tmp_path, upstream, budgets=budgets)
    try:
        answer = ask(house, "auto", QUESTION, headers=TASK, max_tokens=500)
        assert (answer.status, answer.header("x-freehold-deployment")) == (200, "cloud/small")
        assert b"sorry" in answer.body
        assert [one.deployment for one in house.receipt().attempts] == ["cloud/small"]
        assert all("large" not in str(seen.json()["model"]) for seen in upstream.seen)
    finally:
        house.stop()


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_held_back_is_counted_when_the_better_answer_came(
    tmp_path: Path, upstream: Standin, stream: bool
) -> None:
    budgets = [{"scope": "all", "limit_usd": 1.0, "window": "total"}]
    house = house_of(tmp_path, upstream, budgets=budgets)
    try:
        answer = ask(
            house,
            "auto",
            QUESTION,
            stream=stream,
            headers=TASK,
            max_tokens=500,
        )
        assert answer.header("x-freehold-deployment") == "cloud/large"
        receipt = house.receipt()
        cheap, dear = receipt.attempts
        assert (cheap.deployment, dear.deployment) == ("cloud/small", "cloud/large")
        assert 0 < cheap.cost_nanos < receipt.cost_nanos
        assert cheap.error.startswith("not good enough")
    finally:
        house.stop()


def test_json_of_another_form_than_was_asked_for_goes_up(tmp_path: Path, upstream: Standin) -> None:
    schema = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
    upstream.by_model["small"] = Behaviour(pieces=('{"town": ', '"Linz"}'))
    upstream.by_model["large"] = Behaviour(pieces=('{"city": ', '"Linz"}'))
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    house = house_of(tmp_path, upstream)
    try:
        answer = ask(house, "auto", QUESTION, headers=TASK, response_format=form)
        assert answer.header("x-freehold-deployment") == "cloud/large"
        assert "JSON of another form than was asked for (city is missing)" in house.receipt().route
    finally:
        house.stop()
