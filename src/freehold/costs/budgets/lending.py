"""One account's money for another: what is lent leaves the lender's FREE and is granted to the borrower.

Only between budgets for the same kind of thing and different ones of it (two tasks, two sessions), so that no
call is on both accounts and would be counted twice. Nothing is made: over all accounts, what is granted less
what is lent stays what the limits say, plus what somebody granted from outside. Pure.
"""

from __future__ import annotations

from freehold.core.errors import FreeholdError
from freehold.costs.budgets.accounts import FREE, GRANTED, LENT, Account, post
from freehold.costs.budgets.answers import usd


class LendingError(FreeholdError):
    """The money cannot be moved; the text says why."""


def refuse_to_lend(giver: Account, taker: Account, nanos: int) -> None:
    """Raises LendingError when the loan must not be made."""
    if nanos <= 0:
        raise LendingError("a loan is more than nothing")
    if giver.rule.scope.kind != taker.rule.scope.kind or giver.rule.scope.kind in ("all", "model"):
        raise LendingError(
            f"{giver.rule.label} and {taker.rule.label} can be for the same call, which would be counted "
            "twice: lend between two of a kind, such as two tasks"
        )
    if giver.subject == taker.subject:
        raise LendingError(f"{giver.subject or giver.rule.label} cannot lend to itself")
    if giver.balances[FREE] < nanos:
        raise LendingError(
            f"{giver.subject or giver.rule.label} has {usd(giver.balances[FREE])} USD free, not {usd(nanos)}"
        )


def move(giver: Account | None, taker: Account, nanos: int) -> None:
    """A posting on each account; without a giver, from outside. Of less than zero: the way back."""
    if giver is not None:
        post(giver.balances, FREE, LENT, nanos)
    post(taker.balances, GRANTED, FREE, nanos)
    taker.allowed_more()
