"""A call that sets no limit for its answer is not refused over what no answer needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.testing.standin import Standin
from tests.house import MODELS, House, provider
from tests.walks.priced import ask, house_with, priced

SMALL = {"budgets": [{"scope": "all", "limit_usd": 0.05, "window": "total"}]}
FIELDS = {"chat": "max_tokens", "responses": "max_output_tokens"}


@pytest.mark.parametrize("dialect", FIELDS)
def test_the_answer_is_limited_to_what_can_be_paid_and_that_is_said(tmp_path: Path, dialect: str) -> None:
    with Standin(MODELS[:2]) as upstream:
        house = house_with(tmp_path, upstream, **SMALL)
        try:
            answer = ask(house, dialect=dialect)
            assert answer.status == 200
            limit = int(answer.header("x-freehold-output-limit") or 0)
            sent = upstream.seen[0].json()
            told = sent.get(FIELDS[dialect]) or sent["max_tokens"]
            assert 256 <= limit == told < 131_072
            assert "limited to" in house.receipt().route
            stated = ask(house, dialect=dialect, **{FIELDS[dialect]: 20})
            assert stated.header("x-freehold-output-limit") is None
        finally:
            house.stop()


def test_a_limit_that_was_only_ours_gives_way(tmp_path: Path) -> None:
    """Anthropic demands a limit: where the client sets none, ours is no reason to refuse."""
    with Standin(MODELS[:2]) as upstream:
        config = {
            "providers": {"claude": provider(upstream, "anthropic")},
            "prices": priced(upstream, "claude"),
        }
        house = House(tmp_path, config | SMALL)
        try:
            answer = ask(house, "claude/m0")
            assert answer.status == 200, answer.body
            assert upstream.seen[0].json()["max_tokens"] == int(answer.header("x-freehold-output-limit") or 0)
        finally:
            house.stop()


CHEAP_AND_DEAR = {
    "tiers": {"local": ["alpha/m0"], "premium": ["alpha/m1"]},
    "routing": {"tasks": {"heartbeat": "local", "review": "premium"}},
    "prices": {"alpha/m0": {"input": 0.25, "output": 2}, "alpha/m1": {"input": 1.25, "output": 10}},
}


@pytest.mark.parametrize("action", ["degrade", "refuse"])
@pytest.mark.parametrize("usd", [0.01, 0.002])
def test_a_cheap_place_is_asked_for_a_shorter_answer_before_a_dearer_one(
    tmp_path: Path, action: str, usd: float
) -> None:
    budget = {"scope": "agent:claw", "limit_usd": usd, "window": "day", "on_limit": action}
    with Standin(MODELS[:2]) as upstream:
        config = {"providers": {"alpha": provider(upstream)}, "budgets": [budget]} | CHEAP_AND_DEAR
        house = House(tmp_path, config)
        try:
            said = {"x-freehold-agent": "claw", "x-freehold-task": "heartbeat"}
            answer = ask(house, "auto", headers=said)
            assert answer.status == 200, answer.body
            receipt = house.receipt()
            assert receipt.deployment == "alpha/m0"
            assert len(receipt.attempts) == 1
            assert "limited to" in receipt.route
        finally:
            house.stop()


def test_a_budget_that_degrades_has_the_cheaper_place_asked_before_a_short_answer(tmp_path: Path) -> None:
    budget = {"scope": "agent:claw", "limit_usd": 0.01, "window": "day", "on_limit": "degrade"}
    with Standin(MODELS[:2]) as upstream:
        config = {"providers": {"alpha": provider(upstream)}, "budgets": [budget]} | CHEAP_AND_DEAR
        house = House(tmp_path, config)
        try:
            said = {"x-freehold-agent": "claw", "x-freehold-task": "review"}
            assert ask(house, "auto", headers=said).status == 200
            assert house.receipt().deployment == "alpha/m0"
        finally:
            house.stop()
