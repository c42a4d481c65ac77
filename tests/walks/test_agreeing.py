"""Two local models are asked: where they agree the answer is given, where not, one tier up is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import STOP_S, House, provider
from tests.walks.priced import ask, priced
from tests.wire import Answer

TASK = {"x-freehold-task": "maths"}
Places = tuple[Standin, Standin, Standin]
LAST = {"chat": b"[DONE]", "messages": b"message_stop", "responses": b"response.completed"}


def says(*words: str) -> Behaviour:
    return Behaviour(pieces=words)


FOUR, FOUR_TOO, FIVE, SURE = says("4"), says("The answer is ", "4."), says("5"), says("It is certainly 4")
SORRY = says("I'm sorry, but I can't help with that.")


@pytest.fixture
def places() -> Iterator[Places]:
    with Standin(("a",)) as qwen, Standin(("b",)) as glm, Standin(("c",)) as dear:
        dear.default = SURE
        yield qwen, glm, dear


def config(places: Places, **routing: Any) -> dict[str, Any]:
    qwen, glm, dear = places
    return {
        "providers": {"qwen": provider(qwen), "glm": provider(glm), "dear": provider(dear)},
        "prices": priced(qwen, "qwen", 0.01, 0.02) | priced(glm, "glm", 0.02, 0.03) | priced(dear, "dear"),
        "tiers": {"local": ["qwen/a", "glm/b"], "premium": ["dear/c"]},
        "routing": {
            "explore": 0,
            "minute_usd": 0,  # how fast a stand-in happens to be decides nothing
            "tasks": {"maths": "local"},
            "agree": ["maths"],
            "hold_streams": True,
        }
        | routing,
    }


@pytest.fixture
def house(tmp_path: Path, places: Places) -> Iterator[House]:
    running = House(tmp_path, config(places))
    yield running
    running.stop()


def compared(house: House, places: Places, **more: Any) -> Answer:
    """The first call that was put to a second place: before, the house may still be reading its files."""
    deadline = time.monotonic() + STOP_S
    while True:
        answer = ask(house, "auto", f"What is 2 + 2? {time.monotonic()}", headers=TASK, **more)
        if places[1].seen:
            return answer
        house.new_receipts()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_where_both_agree_the_answer_is_given_and_both_are_paid(
    house: House, places: Places, dialect: str, stream: bool
) -> None:
    places[0].default, places[1].default = FOUR, FOUR_TOO
    answer = compared(house, places, dialect=dialect, stream=stream)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "qwen/a")
    assert b"4" in answer.body
    assert not stream or LAST[dialect] in answer.body
    receipt = house.receipt()
    assert (receipt.outcome, receipt.deployment, receipt.usage_state) == ("ok", "qwen/a", "reported")
    assert "qwen/a answered, asked glm/b too; glm/b agrees with qwen/a" in receipt.route
    peer, first = receipt.attempts
    assert (peer.deployment, first.deployment) == ("glm/b", "qwen/a")
    assert 0 < peer.cost_nanos < receipt.cost_nanos
    assert not places[2].seen


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_where_they_disagree_one_tier_up_is_asked(
    house: House, places: Places, dialect: str, stream: bool
) -> None:
    places[0].default, places[1].default = FOUR, FIVE
    answer = compared(house, places, dialect=dialect, stream=stream)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "dear/c")
    assert b"certainly" in answer.body
    receipt = house.receipt()
    assert "glm/b disagrees with qwen/a; asked dear/c" in receipt.route
    assert sorted(one.deployment for one in receipt.attempts) == ["dear/c", "glm/b", "qwen/a"]
    cheap = [one for one in receipt.attempts if one.deployment != "dear/c"]
    assert [one.error for one in cheap] == ["another place disagrees"] * 2
    assert all(one.cost_nanos > 0 for one in cheap)
    assert receipt.cost_nanos > sum(one.cost_nanos for one in cheap)


def test_what_all_of_it_cost_is_in_the_budget(tmp_path: Path, places: Places) -> None:
    places[0].default, places[1].default = FOUR, FIVE
    budgets = [{"scope": "all", "limit_usd": 1.0, "window": "total"}]
    house = House(tmp_path, config(places) | {"budgets": budgets})
    try:
        compared(house, places, max_tokens=500)
        paid = sum(one.cost_nanos for one in house.receipts())
        with house.wire() as wire:
            (view,) = wire.call("/api/v1/budgets").json()
        assert (view["spent_nanos"], view["held_nanos"]) == (paid, 0)
        assert paid > 0
    finally:
        house.stop()


def test_when_the_step_up_fails_the_more_probable_answer_comes_back(house: House, places: Places) -> None:
    places[0].default, places[1].default, places[2].default = FOUR, FIVE, Behaviour(status=400)
    answer = compared(house, places, stream=True)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "qwen/a")
    assert b"4" in answer.body and b"[DONE]" in answer.body
    assert "the answer of qwen/a after all" in house.receipt().route


@pytest.mark.parametrize("second", [SORRY, Behaviour(status=400)], ids=["refuses", "fails"])
def test_a_second_place_that_says_nothing_leaves_the_first_answer(
    house: House, places: Places, second: Behaviour
) -> None:
    places[0].default, places[1].default = FOUR, second
    answer = compared(house, places)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "qwen/a")
    assert sorted(one.deployment for one in house.receipt().attempts) == ["glm/b", "qwen/a"]
    assert not places[2].seen


def test_long_texts_tools_critical_calls_and_other_kinds_are_not_compared(
    house: House, places: Places
) -> None:
    qwen, glm, _ = places
    qwen.default, glm.default = FOUR, FOUR
    compared(house, places)
    before = len(glm.seen)
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    assert ask(house, "auto", "Two and two?", headers=TASK, tools=[tool]).status == 200
    assert ask(house, "auto", "Three?", headers=TASK | {"x-freehold-critical": "1"}).status == 200
    assert ask(house, "auto", "Hello?", headers={"x-freehold-task": "chat"}).status == 200
    qwen.default = says(" ".join(f"On day {day} they walked {day * 7} miles." for day in range(1, 40)))
    long = ask(house, "auto", "Tell me how it is.", headers=TASK)
    assert "not compared: the answer does not come down to something short" in (
        long.header("x-freehold-route") or ""
    )
    assert len(glm.seen) == before


def test_outcomes_of_compared_answers_teach_and_are_known_after_a_restart(
    house: House, places: Places
) -> None:
    places[0].default, places[1].default = FOUR, FOUR_TOO
    found = compared(house, places)
    for number in range(60):
        receipt = found.header("x-freehold-receipt")
        with house.wire() as wire:
            said = {"receipt": receipt, "score": "fail", "source": "person"}
            assert wire.call("/api/v1/outcomes", said).status == 200
        found = ask(house, "auto", f"What is 2 + {number}?", headers=TASK)
        if found.header("x-freehold-deployment") == "dear/c":
            break
    assert found.header("x-freehold-deployment") == "dear/c"
    assert house.stop() == 0
    assert (house.home / "routing" / "agreement.bin").exists()
