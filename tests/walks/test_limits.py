"""What a provider says of its limits is believed: another place goes first before a refusal comes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.walks.priced import ask


@pytest.fixture
def places():
    with Standin(("m",)) as alpha, Standin(("m",)) as beta:
        yield alpha, beta


def test_a_window_that_is_used_up_is_left_for_another_place(tmp_path: Path, places) -> None:
    alpha, beta = places
    house = House(
        tmp_path,
        {
            "providers": {"alpha": provider(alpha), "beta": provider(beta)},
            "models": {"both": ["alpha/m", "beta/m"]},
        },
    )
    alpha.default = Behaviour(
        headers={
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "2m",
        }
    )
    try:
        first = ask(house, "both")
        assert first.header("x-freehold-deployment") == "alpha/m"
        assert first.header("x-ratelimit-remaining-requests") == "0", "the client may read it, too"
        assert ask(house, "both").header("x-freehold-deployment") == "beta/m"
        assert ask(house, "alpha/m").status == 200, "who names a place gets it"
        assert house.stop() == 0
        told = house.run("limits", "--home", str(house.home), "--json")
        windows = json.loads(told.stdout)
        assert any(window["provider"] == "alpha" and window["left"] == 0 for window in windows), told.stdout
        house.restart()
        assert ask(house, "both").header("x-freehold-deployment") == "beta/m", "it is remembered"
    finally:
        house.stop()


def test_a_refusal_that_names_a_wait_is_kept_to(tmp_path: Path, places) -> None:
    alpha, beta = places
    house = House(
        tmp_path,
        {
            "providers": {"alpha": provider(alpha), "beta": provider(beta)},
            "models": {"both": ["alpha/m", "beta/m"]},
        },
    )
    alpha.default = Behaviour(status=429, headers={"retry-after": "30"})
    try:
        for _ in range(3):
            assert ask(house, "both").header("x-freehold-deployment") == "beta/m"
        assert len(alpha.seen) == 1
    finally:
        house.stop()
