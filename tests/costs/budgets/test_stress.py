"""500 calls at once against one dollar: nothing is overrun, next to nothing is left, and no kill leaks."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import pytest

from freehold.app.budgets import HouseBudgets
from freehold.costs.budgets.accounts import EXPIRED, HELD, SPENT
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.queue import BudgetQueue
from freehold.costs.budgets.scopes import Payer
from tests.costs.budgets.budgeting import T0, USD, in_balance, only, rules
from tests.costs.budgets.holder import BUDGETS

SEND_S = 0.0002
SMALLEST = 2_000_000
LONGEST_S = 2.0


@pytest.mark.parametrize("seed", range(3))
async def test_500_calls_at_once_use_all_of_a_dollar_and_no_more(seed: int) -> None:
    """Mixed sizes, cancelled calls, real costs of 1 to 100 % of the worst case."""
    chance = random.Random(seed)
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "total"}))
    queue = BudgetQueue(book)
    spent = refused = 0

    async def client() -> None:
        nonlocal spent, refused
        for _ in range(1_000):
            worst = chance.choice([SMALLEST, 10_000_000, 40_000_000])
            answer = await ask(worst)
            if isinstance(answer, Denial):
                refused += 1
                if worst == SMALLEST:
                    return
                continue
            await asyncio.sleep(SEND_S * chance.random())
            if chance.random() < 0.1:
                book.release(answer)
                continue
            cost = worst * chance.randrange(1, 101) // 100
            spent += cost
            book.settle(answer, cost, T0)
            in_balance(book)

    async def ask(worst: int) -> Hold | Denial:
        told: asyncio.Future[Hold | Denial] = asyncio.get_running_loop().create_future()
        answer = queue.hold(Payer(), worst, T0, "c", told.set_result)
        return answer if isinstance(answer, (Hold, Denial)) else await told

    await asyncio.gather(*(client() for _ in range(500)))
    assert refused >= 500
    assert only(book).balances[HELD] == 0
    assert only(book).balances[SPENT] == spent
    assert 0.95 * USD <= spent <= USD


@pytest.mark.slow
def test_killed_in_mid_call_again_and_again_nothing_is_overrun_and_every_hold_is_resolved(
    tmp_path: Path,
) -> None:
    """Real processes, real kills. What a process told that it cost is the truth; what it told last may not
    have been taken down by anybody."""
    told: list[int] = []
    for seed in range(4):
        told += run_and_kill(tmp_path, seed, lines=150)
        house = HouseBudgets.open(tmp_path, BUDGETS, T0)
        account = only(house.book)
        in_balance(house.book)
        assert account.balances[HELD] == 0
        assert account.balances[SPENT] + account.balances[EXPIRED] >= sum(told)
        assert account.used <= USD
        house.close()
        again = HouseBudgets.open(tmp_path, BUDGETS, T0)
        assert only(again.book).balances == account.balances
        again.close()


def run_and_kill(home: Path, seed: int, lines: int) -> list[int]:
    """Kills after so many lines, or when nothing has come for longer than calls take: all is spent."""
    command = [sys.executable, "-m", "tests.costs.budgets.holder", str(home), str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    giving_up = threading.Timer(LONGEST_S, process.kill)
    try:
        assert process.stdout.readline() == "ready\n"
        giving_up.start()
        told = [int(line) for line in islice(process.stdout, lines)]
    finally:
        giving_up.cancel()
        process.kill()
    told += [int(line) for line in process.stdout.read().splitlines()]
    process.stdout.close()
    process.wait(10)
    return told
