"""Calls that went up are put to a cheaper place, too: compared, counted, paid within the day's budget, and
never in the way of anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.receipts.entries import Receipt
from freehold.routing.shadow import AGENT
from freehold.testing.standin import Behaviour, Standin
from tests.house import CLIENT_KEY, STOP_S, House, provider
from tests.walks.priced import ask, priced

REVIEW = {"x-freehold-task": "review", "x-freehold-agent": "editor"}
ANSWER = Behaviour(pieces=("The plan ", "has a hole ", "in the middle."))
USEFUL = Behaviour(pieces=("There is a hole in the plan.",))
NINE, TWO = Behaviour(pieces=("9",)), Behaviour(pieces=("2",))


@pytest.fixture
def places() -> Iterator[tuple[Standin, Standin]]:
    with Standin(("m",)) as cheap, Standin(("m",)) as dear:
        yield cheap, dear


def config(places: tuple[Standin, Standin], **shadow: Any) -> dict[str, Any]:
    cheap, dear = places
    return {
        "providers": {"cheap": provider(cheap), "dear": provider(dear)},
        "prices": priced(cheap, "cheap", 0.01, 0.02) | priced(dear, "dear"),
        "tiers": {"local": ["cheap/m"], "premium": ["dear/m"]},
        "routing": {
            "tasks": {"review": "premium"},
            "explore": 0,
            "escalate": False,
            "shadow": {"share": 1} | shadow,
        },
    }


@pytest.fixture
def house(tmp_path: Path, places: tuple[Standin, Standin]) -> Iterator[House]:
    running = House(tmp_path, config(places))
    at_work(running)
    yield running
    running.stop()


def view(house: House) -> dict[str, Any]:
    with house.wire() as wire:
        return json.loads(wire.call("/api/v1/shadow").body)


def at_work(house: House) -> None:
    """Calls of the first moments are not compared: what was found and paid before is being read."""
    deadline = time.monotonic() + STOP_S
    while not view(house)["at_work"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def compared(house: House, count: int) -> dict[str, Any]:
    """What the house says once so many calls were compared, or given up."""
    deadline = time.monotonic() + STOP_S
    while True:
        found = view(house)
        done = sum(place["compared"] for task in found["tasks"] for place in task.get("places", ()))
        if done + found["dropped"] >= count and not found["waiting"]:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def review(house: House, text: str = "Is this plan sound?", **more: Any) -> str:
    answer = ask(house, "auto", text, headers=REVIEW | more.pop("headers", {}), **more)
    assert answer.header("x-freehold-deployment") == "dear/m", answer
    return answer.header("x-freehold-receipt") or ""


def own(house: House) -> list[Receipt]:
    return [one for one in house.receipts() if one.agent == AGENT]


def test_the_share_that_could_have_been_local_is_told(house: House, places: tuple[Standin, Standin]) -> None:
    cheap, dear = places
    dear.script(ANSWER, NINE, ANSWER, TWO)
    cheap.script(USEFUL, USEFUL)
    review(house)
    compared(house, 1)
    review(house, "And this one?")
    found = compared(house, 2)
    assert found["at_work"]
    (task,) = found["tasks"]
    assert (task["task"], task["compared"], task["good"]) == ("review", 2, 1)
    assert task["places"] == [{"deployment": "cheap/m", "tier": "local", "compared": 2, "good": 1}]
    told = house.run("outcomes")
    assert "review: could have been local: 50 % (1 of 2 compared)" in told.stdout, told


def test_its_calls_have_receipts_of_their_own_and_are_not_shadowed_or_chosen(
    house: House, places: tuple[Standin, Standin]
) -> None:
    cheap, dear = places
    dear.script(ANSWER, NINE)
    cheap.script(USEFUL)
    review(house, "Is the secret plan sound?")
    found = compared(house, 1)
    shadow, judge = own(house)
    assert (shadow.deployment, shadow.model_asked, shadow.task) == ("cheap/m", "cheap/m", "shadow")
    assert (judge.deployment, judge.model_asked) == ("dear/m", "dear/m")
    assert found["spent_nanos"] == shadow.cost_nanos + judge.cost_nanos > 0
    assert len(house.receipts()) == 3
    asked = dear.seen[1].json()["messages"][0]["content"]
    assert "Is the secret plan sound?" in asked
    assert "There is a hole in the plan." in asked
    assert "The plan has a hole in the middle." in asked
    house.stop()
    assert not [
        path for path, data in house.written().items() if b"secret plan" in data or b"hole in the" in data
    ]


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_streams_are_compared_in_every_dialect(
    house: House, places: tuple[Standin, Standin], dialect: str
) -> None:
    cheap, dear = places
    dear.script(ANSWER, NINE)
    cheap.script(USEFUL)
    review(house, dialect=dialect, stream=True)
    (task,) = compared(house, 1)["tasks"]
    assert (task["compared"], task["good"]) == (1, 1)


def test_what_is_plainly_the_same_or_plainly_no_answer_needs_no_judge(
    house: House, places: tuple[Standin, Standin]
) -> None:
    cheap, dear = places
    dear.script(ANSWER, ANSWER)
    cheap.script(Behaviour(pieces=("The plan has a hole\n", "in the middle.")), Behaviour(pieces=("",)))
    review(house)
    compared(house, 1)
    review(house, "And this one?")
    (task,) = compared(house, 2)["tasks"]
    assert (task["compared"], task["good"]) == (2, 1)
    assert len(dear.seen) == 2


def test_critical_calls_and_calls_with_tools_are_left_alone(
    house: House, places: tuple[Standin, Standin]
) -> None:
    cheap, _ = places
    tool = {"type": "function", "function": {"name": "buy", "parameters": {"type": "object"}}}
    review(house, headers={"x-freehold-critical": "1"})
    review(house, tools=[tool])
    found = view(house)
    assert (found["waiting"], found["tasks"]) == (0, [])
    assert not cheap.seen


def test_a_broken_shadow_harms_nobody(house: House, places: tuple[Standin, Standin]) -> None:
    cheap, dear = places
    dear.script(ANSWER, ANSWER, NINE)
    cheap.script(Behaviour(status=400), USEFUL)
    review(house)
    assert compared(house, 1)["dropped"] == 1
    review(house, "And this one?")
    found = compared(house, 2)
    assert (found["dropped"], found["tasks"][0]["compared"]) == (1, 1)


def test_what_was_found_and_paid_is_known_again_after_a_kill(
    house: House, places: tuple[Standin, Standin]
) -> None:
    cheap, dear = places
    dear.script(ANSWER, NINE)
    cheap.script(USEFUL)
    review(house)
    before = compared(house, 1)
    house.kill()
    house.restart()
    at_work(house)
    after = compared(house, 1)
    assert after["tasks"] == before["tasks"]
    assert after["spent_nanos"] == before["spent_nanos"] > 0


def test_the_days_budget_ends_it(tmp_path: Path, places: tuple[Standin, Standin]) -> None:
    cheap, dear = places
    house = House(tmp_path, config(places, budget_usd=0.06))
    try:
        at_work(house)
        dear.default = Behaviour(input_tokens=2000, pieces=("It is sound: ", "7"))
        cheap.default = Behaviour(input_tokens=2000, pieces=("It is not.",))
        for number in range(12):
            review(house, f"Is plan {number} sound? " + "word " * 1600)
            deadline = time.monotonic() + STOP_S
            while view(house)["waiting"]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        found = view(house)
        spent = sum(one.cost_nanos for one in own(house))
        assert 0 < spent <= 60_000_000
        assert found["spent_nanos"] <= found["budget_nanos"] == 60_000_000
        assert 0 < len(cheap.seen) < 12 < len(dear.seen)
    finally:
        house.stop()


def test_without_shadow_in_the_configuration_nothing_is_compared(
    tmp_path: Path, places: tuple[Standin, Standin]
) -> None:
    cheap, _ = places
    house = House(tmp_path, config(places, share=0))
    try:
        review(house)
        assert view(house) == {
            "at_work": False, "spent_nanos": 0, "budget_nanos": 0, "waiting": 0, "dropped": 0, "tasks": []
        }  # fmt: skip
        assert not cheap.seen
        house.write_config(config(places))
        assert house.run("config", "reload").returncode == 0
        at_work(house)
        review(house)
        assert compared(house, 1)["at_work"]
    finally:
        house.stop()


def test_where_keys_are_needed_it_has_one_of_its_own(tmp_path: Path, places: tuple[Standin, Standin]) -> None:
    cheap, dear = places
    dear.script(ANSWER, ANSWER, NINE)
    cheap.script(USEFUL)
    keyed = {"auth": {"keys": [CLIENT_KEY]}}
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    house = House(tmp_path, config(places, share=0) | keyed)
    try:
        review(house, headers=headers)
        house.write_config(config(places) | keyed)
        with house.wire() as wire:
            assert wire.call("/api/v1/config/reload", {}, headers=headers).status == 200
            while not wire.call("/api/v1/shadow", headers=headers).json()["at_work"]:
                time.sleep(0.02)
        review(house, headers=headers)
        house.wait_receipts(4)
        assert [receipt.via_key for receipt in own(house)] == [AGENT, AGENT]
    finally:
        house.stop()
