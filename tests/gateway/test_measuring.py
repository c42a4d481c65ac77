"""What an answer has cost by what it tells of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.overrides import RateOverride
from freehold.receipts.entries import Receipt
from tests.gateway.calls import JSON, PATHS, WHOLE, asking
from tests.gateway.rooms import House

MILLION = 1_000_000
CHEAP = RateOverride(input=1 * MILLION, output=5 * MILLION)
DEAR = RateOverride(input=10 * MILLION, output=50 * MILLION)
"""One and five nano-USD a token, and ten times that."""
ADVICE = {"type": "advisor_message", "model": "wise", "input_tokens": 100, "output_tokens": 10}
TURN = {"type": "message", "input_tokens": 20, "output_tokens": 3}
MESSAGE = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": []}


async def receipt_of(dialect: str, model: str, answer: dict[str, Any]) -> Receipt:
    async with House() as house:
        house.gateway.prices = PriceBook.empty({"claude/m": CHEAP, "claude/wise": DEAR, "alpha/m": CHEAP})
        house.ask(PATHS[dialect], asking(dialect, model, stream=False))
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, JSON)
        sent.say(json.dumps(answer).encode())
        sent.complete()
        (receipt,) = house.ledger.receipts
    return receipt


def advised(*iterations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return MESSAGE | {"usage": {"input_tokens": 20, "output_tokens": 3, "iterations": iterations, **more}}


async def test_an_advisor_is_paid_at_its_own_price() -> None:
    receipt = await receipt_of("messages", "claude/m", advised(TURN, ADVICE))
    assert receipt.cost_nanos == (20 + 3 * 5) + (100 * 10 + 10 * 50)


async def test_a_cost_with_advice_in_it_is_not_computed_from_the_usage_beside_it() -> None:
    receipt = await receipt_of("messages", "claude/m", advised(TURN, ADVICE))
    assert (receipt.cost_state, receipt.usage) == ("estimated", Usage(fresh_in=20, visible_out=3))


async def test_a_cost_of_turns_alone_is_computed() -> None:
    receipt = await receipt_of("messages", "claude/m", advised(TURN))
    assert (receipt.cost_nanos, receipt.cost_state) == (35, "computed")


async def test_an_advisor_without_a_price_makes_the_cost_unknown() -> None:
    receipt = await receipt_of("messages", "claude/m", advised(TURN, ADVICE | {"model": "nobody"}))
    assert (receipt.cost_nanos, receipt.cost_state) == (35, "unknown")


async def test_a_provider_s_own_figure_has_the_advice_in_it() -> None:
    receipt = await receipt_of("messages", "claude/m", advised(TURN, ADVICE, cost=0.5))
    assert (receipt.cost_nanos, receipt.cost_state) == (500_000_000, "billed")


@pytest.mark.parametrize(("named", "nanos"), [({"cost": 0.5}, 500_000_000), ({"cost_in_usd_ticks": 20}, 2)])
async def test_what_a_provider_says_it_charged_is_billed(named: dict[str, float], nanos: int) -> None:
    receipt = await receipt_of("chat", "alpha/m", WHOLE | {"usage": WHOLE["usage"] | named})
    assert (receipt.cost_nanos, receipt.cost_state) == (nanos, "billed")
