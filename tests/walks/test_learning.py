"""What is said of answers, asked again or sent up moves later choices of a house, also after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.walks.priced import ask, priced

TASK = {"x-freehold-task": "summarise"}
TEXT = "Summarise the minutes of the meeting"


@pytest.fixture
def places() -> Iterator[tuple[Standin, Standin]]:
    with Standin(("m",)) as cheap, Standin(("m",)) as dear:
        yield cheap, dear


def config(places: tuple[Standin, Standin], **routing: Any) -> dict[str, Any]:
    cheap, dear = places
    return {
        "providers": {"cheap": provider(cheap), "dear": provider(dear)},
        "prices": priced(cheap, "cheap", 0.01, 0.02) | priced(dear, "dear"),
        "tiers": {"local": ["cheap/m"], "premium": ["dear/m"]},
        "routing": {"explore": 0} | routing,
    }


@pytest.fixture
def house(tmp_path: Path, places: tuple[Standin, Standin]) -> Iterator[House]:
    running = House(tmp_path, config(places))
    yield running
    running.stop()


def placed(house: House, text: str = TEXT, **headers: str) -> tuple[str, str]:
    """Who answered, and the receipt."""
    answer = ask(house, "auto", text, headers=TASK | headers)
    assert answer.status == 200, answer
    return answer.header("x-freehold-deployment") or "", answer.header("x-freehold-receipt") or ""


def trials(house: House) -> float:
    with house.wire() as wire:
        rows = json.loads(wire.call("/api/v1/outcomes").body)
    return sum(row["trials"] for row in rows if row["deployment"] == "cheap/m")


def fail(house: House, receipt: str) -> None:
    with house.wire() as wire:
        answer = wire.call("/api/v1/outcomes", {"receipt": receipt, "score": "fail", "source": "validator"})
    assert answer.status == 200, answer


def test_bad_outcomes_move_calls_up_and_are_known_after_a_kill(house: House) -> None:
    where, receipt = placed(house)
    assert where == "cheap/m"
    for number in range(12):
        fail(house, receipt)
        where, receipt = placed(house, f"{TEXT} number {number}")
        if where == "dear/m":
            break
    assert where == "dear/m"
    house.kill()
    house.restart()
    assert placed(house)[0] == "dear/m"


def test_one_bad_word_more_of_the_same_answer_is_not_counted_twice(house: House) -> None:
    _, receipt = placed(house)
    fail(house, receipt)
    before = trials(house)
    fail(house, receipt)
    assert trials(house) == before == 1.0


def test_asking_the_same_again_goes_up_and_counts_against_the_first_answer(house: House) -> None:
    session = {"x-freehold-session": "s1"}
    assert placed(house, **session)[0] == "cheap/m"
    assert placed(house, **session)[0] == "dear/m"
    assert trials(house) == 0.1
    assert placed(house, f"{TEXT} of yesterday")[0] == "cheap/m", "one retry moves no kind of task"
    for day in ("Monday", "Tuesday"):
        placed(house, f"{TEXT} of {day}", **{"x-freehold-session": "s2"})
    assert trials(house) == 0.11, "a session that goes on says a little, too"


def test_an_answer_that_was_sent_up_counts_against_who_gave_it(
    house: House, places: tuple[Standin, Standin]
) -> None:
    places[0].script(Behaviour(pieces=("",)))
    assert placed(house)[0] == "dear/m"
    assert trials(house) == 1.0


def test_critical_calls_never_explore(tmp_path: Path, places: tuple[Standin, Standin]) -> None:
    house = House(tmp_path, config(places, explore=1, escalate=False))
    try:
        _, receipt = placed(house)
        for number in range(4):
            fail(house, receipt)
            _, receipt = placed(house, f"{TEXT} number {number}")
        found = [placed(house, f"{TEXT} of day {n}", **{"x-freehold-critical": "1"})[0] for n in range(8)]
        assert found == ["dear/m"] * 8
    finally:
        house.stop()
