"""What the tests of budgets share: rules by few words, a writer in memory, and the books checked."""

from __future__ import annotations

from typing import Any

from freehold.core.config_budgets import BudgetConfig
from freehold.costs.budgets.accounts import Account
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.postings import opening
from freehold.costs.budgets.rules import Rule, rules_of
from freehold.costs.budgets.scopes import Payer

T0 = 1_780_000_000_000
"""2026-05-28 20:26:40 UTC, a Thursday."""
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
USD = 10**9
CENT = USD // 100
ANNA = Payer(
    provider="openai", model="gpt-5", agent="anna", project="site", session="s1", task="t1", key="k1"
)
BERT = Payer(provider="groq", model="kimi", agent="bert", project="site", session="s2", task="t2")


def rules(*budgets: dict[str, Any]) -> tuple[Rule, ...]:
    return rules_of(BudgetConfig(**budget) for budget in budgets)


class Paper:
    """A `PostingsWriter` in memory. `full` refuses to write; `grown` asks for a new segment."""

    def __init__(self) -> None:
        self.segments: list[list[bytes]] = [opening([]).splitlines()]
        self.full = False
        self.grown = False
        self.writes = 0

    def write(self, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        assert data.endswith(b"\n")
        self.writes += 1
        self.segments[-1] += data.splitlines()

    def follow(self, first: bytes) -> None:
        self.grown = False
        self.segments = [self.segments[-1], first.splitlines()]


def written(*budgets: dict[str, Any]) -> tuple[BudgetBook, Paper]:
    book, paper = BudgetBook(rules(*budgets)), Paper()
    book.write_to(paper)
    return book, paper


def held(answer: Hold | Denial) -> Hold:
    assert isinstance(answer, Hold), answer
    return answer


def denied(answer: Hold | Denial) -> Denial:
    assert isinstance(answer, Denial), answer
    return answer


def only(book: BudgetBook) -> Account:
    (account,) = book.accounts()
    return account


def in_balance(book: BudgetBook) -> None:
    """Every posting had two sides, and no hard limit was passed."""
    for account in book.accounts():
        assert sum(account.balances) == 0, account.balances
        if account.rule.hard:
            assert min(account.balances[1:]) >= 0, account.balances
