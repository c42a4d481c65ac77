"""Rooms that a house does without cost it nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from freehold.app.money_control import HouseMoney
from freehold.app.rooms import OptionalRooms
from freehold.core.config import Config
from freehold.core.config_budgets import BudgetConfig
from freehold.core.config_routing import RoutingConfig
from freehold.costs.book import PriceBook
from freehold.gateway.ids import ReceiptIds
from freehold.receipts.ledger import Ledger
from freehold.routing.explain import ExplainIn
from freehold.routing.world import RoutingRules
from tests.cli.ledgers import FixedClock
from tests.gateway.rooms import Clock, House
from tests.gateway.test_gateway import reply
from tests.gateway.test_money import PRICE
from tests.gateway.test_sharing import Client
from tests.routing.worlds import BEST
from tests.supervisor.keeping import until

_ONLY_WHERE_CONFIGURED = (
    "freehold.app.budgets",
    "freehold.app.cache",
    "freehold.app.energy",
    "freehold.app.telemetry",
    "freehold.app.control",
    "freehold.web",
    "freehold.adapters.telemetry",
    "freehold.adapters.power",
    "freehold.routing.learn.estimator",
    "fastapi",
)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_what_is_not_configured_is_not_imported() -> None:
    program = f"""
import sys
import freehold.app.serve
print([name for name in {_ONLY_WHERE_CONFIGURED!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


async def test_a_house_without_any_makes_no_files(tmp_path: Path) -> None:
    rooms = OptionalRooms(Config(), tmp_path, tmp_path, FixedClock(), lambda stage, text: None)
    async with rooms:
        assert (rooms.budgets, rooms.cache, rooms.energy, rooms.telemetry) == (None, None, None, None)
    assert files(tmp_path) == []


async def test_a_new_budget_knows_of_calls_that_have_ended_in_this_turn(tmp_path: Path) -> None:
    """Their receipts are only just on their way to the journal, where it reads what was spent."""
    clock, budget = Clock(), BudgetConfig(scope="all", limit_usd=1, window="total")
    async with House() as house, OptionalRooms(Config(), tmp_path, tmp_path, clock, print) as rooms:
        with Ledger.open(tmp_path, clock=clock) as ledger:
            house.gateway.ledger = ledger
            house.gateway.use_prices(PriceBook.empty({"alpha/m": PRICE}))
            rooms.parts(house.parts)
            ending, other = Client(house), Client(house)
            ending.ask()
            other.ask()
            reply(house.upstreams.open[0])
            assert not ending.written
            await rooms.use_section("budgets", Config(budgets=(budget,)), house.gateway)
            assert rooms.budgets is not None
            (view,) = rooms.budgets.views(clock.now_ms())
            (call,) = house.gateway.active
            call.client_gone()
            receipts = [receipt for _, receipt in ledger.tail(0)]
    assert view.spent_nanos == receipts[0].cost_nanos > 0


async def test_prompts_are_read_where_kinds_of_task_are_bound_though_no_tier_is_named(tmp_path: Path) -> None:
    config = Config(routing=RoutingConfig(tasks={"code": "premium"}))
    clock = Clock()
    async with House() as house, OptionalRooms(config, tmp_path, tmp_path, clock, print) as rooms:
        with Ledger.open(tmp_path, clock=clock) as ledger:
            rooms.parts(house.parts)
            rooms.serve(house.gateway, ledger, ReceiptIds().next, lambda: (), 1)
            keeping = asyncio.create_task(rooms.keep())
            await until(lambda: rooms.router.learner is not None)
            keeping.cancel()
            await asyncio.wait((keeping,))


async def test_a_choice_is_explained_with_what_the_budget_leaves(tmp_path: Path) -> None:
    budget = BudgetConfig(scope="agent:poor", limit_usd=0.00001, window="day")
    clock = Clock()
    config = Config(budgets=(budget,))
    async with House() as house, OptionalRooms(config, tmp_path, tmp_path, clock, print) as rooms:
        rooms.router.use(RoutingRules(), (BEST,))
        money = HouseMoney(rooms, house.gateway, tmp_path, clock, "key")
        poor = await money.explain(ExplainIn(prompt="Is this plan sound? " * 10, agent="poor"))
        rich = await money.explain(ExplainIn(prompt="Is this plan sound? " * 10, agent="rich"))
    assert [row.order for row in poor.candidates] == [None]
    assert [row.order for row in rich.candidates] != [None]
