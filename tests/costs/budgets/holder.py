"""A process that holds budgets until it is killed: `python -m tests.costs.budgets.holder HOME SEED`.

500 calls at once against 1.00 USD, as a running Freehold makes them: hold, write, send, settle, receipt. It
tells of each cost, on a line of its own, before anything of it is written.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

from freehold.app.budgets import HouseBudgets
from freehold.core.clock import SystemClock
from freehold.core.config_budgets import BudgetConfig
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.scopes import Payer
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger

BUDGETS = (BudgetConfig(scope="all", limit_usd=1.0, window="total"),)
CALLS = 500


async def main(home: Path, seed: int) -> None:
    chance = random.Random(seed)
    clock = SystemClock()
    with Ledger.open(home, clock=clock) as ledger:
        house = HouseBudgets.open(home, BUDGETS, clock.now_ms())
        print("ready", flush=True)
        calls = [call(house, ledger, f"r{seed:06x}-{n}", chance) for n in range(CALLS)]
        await asyncio.gather(*calls, ticking(house))


async def ticking(house: HouseBudgets) -> None:
    while True:
        await asyncio.sleep(0.01)
        house.tick(time.time_ns() // 1_000_000)


async def call(house: HouseBudgets, ledger: Ledger, name: str, chance: random.Random) -> None:
    """One client: call after call."""
    number = 0
    while True:
        number += 1
        await attempt(house, ledger, f"{name}-{number}", chance)


async def attempt(house: HouseBudgets, ledger: Ledger, name: str, chance: random.Random) -> None:
    loop = asyncio.get_running_loop()
    now_ms = time.time_ns() // 1_000_000
    told: asyncio.Future[Hold | Denial] = loop.create_future()
    worst = chance.randrange(10_000, 1_400_000)
    answer = house.queue.hold(Payer(agent="a"), worst, now_ms, name, told.set_result)
    if not isinstance(answer, (Hold, Denial)):
        answer = await told
    if isinstance(answer, Denial):
        await asyncio.sleep(0.01)
        return
    kind = chance.random()
    if kind < 0.1:
        house.book.release(answer)
        ledger.append(receipt(name, now_ms, 0))
        return
    await asyncio.sleep(chance.random() * 0.01)
    cost = chance.randrange(0, worst)
    print(cost, flush=True)
    house.book.settle(answer, cost, now_ms)
    if kind < 0.5:
        await asyncio.sleep(0)  # the receipt comes in a later step of the same moment
    ledger.append(receipt(name, now_ms, cost))


def receipt(name: str, now_ms: int, cost: int) -> Receipt:
    return Receipt(
        id=name, outcome="ok", started_ms=now_ms, agent="a", cost_nanos=cost, cost_state="computed"
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
