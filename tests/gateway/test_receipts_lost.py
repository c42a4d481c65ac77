"""Receipts that cannot be written: what their calls have cost counts all the same, also after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from freehold.app.budgets import HouseBudgets
from freehold.core.config_budgets import BudgetConfig
from freehold.costs.book import PriceBook
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import JournalWriter, LedgerError
from freehold.receipts.ledger import Ledger
from tests.cli.ledgers import FixedClock
from tests.gateway.calls import PATHS, asking, turns
from tests.gateway.rooms import NOW_MS, House, ListLedger
from tests.gateway.test_hedging import ask as ask_two
from tests.gateway.test_hedging import hedging, receipt_of, serve, slow
from tests.gateway.test_money import PRICE
from tests.gateway.test_sharing import Client, whole

CENT = 10**7


def opened(home: Path, **more: object) -> HouseBudgets:
    fields: dict[str, object] = {"scope": "all", "limit_usd": 1, "window": "total", **more}
    return HouseBudgets.open(home, [BudgetConfig(**fields)], NOW_MS)  # type: ignore[arg-type]


def used(budgets: HouseBudgets) -> int:
    return sum(account.used for account in budgets.book.accounts())


def paying(budgets: HouseBudgets) -> House:
    house = House()
    house.gateway.prices = PriceBook.empty({"alpha/m": PRICE})
    house.gateway.budgets = budgets
    return house


async def test_what_was_spent_is_the_same_before_and_after_a_restart(tmp_path: Path) -> None:
    budgets = opened(tmp_path)
    async with paying(budgets) as house:
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=False))
        house.ledger.broken = True
        serve(house.upstreams.sent[0])
        await turns()
        assert (house.answer[0], house.ledger.receipts) == (200, [])
        assert used(budgets) == 1_000_000
    assert used(opened(tmp_path)) == 1_000_000, "killed at once"
    for at_ms in (500, 1000, 1500):
        budgets.tick(NOW_MS + at_ms)
    for _ in range(2):
        assert used(opened(tmp_path)) == 1_000_000


class HalfLedger(ListLedger):
    """Stores one receipt of several, and then the disk is full."""

    def append_lines(self, lines: Sequence[bytes]) -> None:
        super().append_lines(lines[:1])
        error = LedgerError("the disk is full")
        error.stored = 1
        raise error


async def test_of_calls_that_end_together_those_with_a_receipt_count_by_it(tmp_path: Path) -> None:
    budgets = opened(tmp_path)
    async with paying(budgets) as house:
        house.gateway.ledger = ledger = HalfLedger()
        clients = [Client(house) for _ in range(3)]
        for client in clients:
            client.ask()
        for sent in house.upstreams.sent[:2]:
            whole(sent)
        await turns()
        (stored,) = ledger.receipts
        with Ledger.open(tmp_path, clock=FixedClock()) as real:
            real.append(stored)
        clients[2].leave()
    assert used(opened(tmp_path)) == used(budgets)


async def test_a_kill_right_after_the_receipt_counts_no_attempt_twice(tmp_path: Path) -> None:
    """What the attempt that was given up has cost is not known; what the other has, is."""
    budgets = opened(tmp_path, ceiling_usd_per_call=0.3)
    house = hedging()
    house.gateway.prices = PriceBook.empty({"alpha/m": PRICE})
    house.gateway.budgets = budgets
    async with house:
        ask_two(house)
        first = house.upstreams.sent[0]
        first.connect()
        slow(house)
        house.upstreams.sent[1].connect()
        serve(first)
        receipt = await receipt_of(house)
        assert receipt.cost_state == "unknown"
        with Ledger.open(tmp_path, clock=FixedClock()) as real:
            real.append(receipt)
        assert used(opened(tmp_path)) == used(budgets) == 30 * CENT + 1_000_000


def test_the_ledger_is_well_again_once_a_receipt_could_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LedgerError("the disk is full")

    with Ledger.open(tmp_path, clock=FixedClock()) as ledger:
        with monkeypatch.context() as broken, pytest.raises(LedgerError):
            broken.setattr(JournalWriter, "append", full)
            ledger.append(Receipt(id="r1", outcome="ok", started_ms=NOW_MS))
        assert ledger.health().error == "the disk is full"
        ledger.append(Receipt(id="r2", outcome="ok", started_ms=NOW_MS))
        assert ledger.health().error == ""
