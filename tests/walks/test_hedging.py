"""The slowest few calls are asked twice, when that is wanted: whoever begins first answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.walks.priced import ask, priced

WARM = 20
"""With fewer calls nobody knows what is slow."""


@pytest.fixture
def places() -> Iterator[tuple[Standin, Standin]]:
    with Standin(("m0",)) as alpha, Standin(("m0",)) as beta:
        yield alpha, beta


def house_of(folder: Path, alpha: Standin, beta: Standin, **routing: object) -> House:
    config = {
        "providers": {"alpha": provider(alpha), "beta": provider(beta)},
        "prices": priced(alpha, "alpha") | priced(beta, "beta"),
        "models": {"both": ["alpha/m0", "beta/m0"]},
        "budgets": [{"scope": "all", "limit_usd": 1.0, "window": "total"}],
        "routing": routing,
    }
    return House(folder, config)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_slow_to_begin_is_answered_by_the_next_place(
    tmp_path: Path, places: tuple[Standin, Standin], stream: bool
) -> None:
    alpha, beta = places
    house = house_of(tmp_path, alpha, beta, hedge={"share": 0.5, "least": "20ms"})
    try:
        for _ in range(WARM):
            assert ask(house, "both", stream=stream, max_tokens=50).status == 200
        asked = len(beta.seen)
        alpha.by_model["m0"] = Behaviour(hold_head="g")
        answer = ask(house, "both", stream=stream, max_tokens=50)
        assert (answer.status, answer.header("x-freehold-deployment")) == (200, "beta/m0")
        assert len(beta.seen) == asked + 1
        receipt = house.new_receipts()[-1]
        assert [one.deployment for one in receipt.attempts] == ["alpha/m0", "beta/m0"]
        lost, won = receipt.attempts
        assert (lost.error, won.error) == ("another place began first", "")
        assert 0 < lost.cost_nanos < receipt.cost_nanos
        assert receipt.cost_state == "estimated"
        with house.wire() as wire:
            (budget,) = wire.call("/api/v1/budgets").json()
        spent = sum(one.cost_nanos for one in house.receipts() if one.kind == "call")
        assert (budget["held_nanos"], budget["spent_nanos"]) == (0, spent)
    finally:
        alpha.gate("g").open()
        house.stop()


def test_without_being_asked_for_nobody_is_asked_twice(
    tmp_path: Path, places: tuple[Standin, Standin]
) -> None:
    alpha, beta = places
    house = house_of(tmp_path, alpha, beta)
    try:
        for _ in range(WARM):
            ask(house, "both", max_tokens=50)
        alpha.by_model["m0"] = Behaviour(delay_head_s=0.3)
        assert ask(house, "both", max_tokens=50).header("x-freehold-deployment") == "alpha/m0"
        assert beta.seen == []
    finally:
        house.stop()
