"""Calls that wait a little for what others hold, instead of being refused with money left.

Bounded in number and in time. First come, first served on each budget, but for a call that does not fit yet,
which lets later, smaller ones pass for as long as it may wait. One thread, the book's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from freehold.costs.budgets.accounts import FREE, HELD, Account
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.scopes import Payer

WAITING = 1_000
PATIENCE_MS = 10_000
_LOOKED_AT = 32
"""Of those who wait for one budget, so many that stay are looked at when money comes back."""

Answer = Callable[[Hold | Denial], None]


class Waiting:
    """A call in the queue. `then` is called once, unless it is cancelled before."""

    __slots__ = ("call", "denial", "name", "nanos", "now_ms", "since_ms", "then", "who")

    def __init__(self, who: Payer, nanos: int, now_ms: int, call: str, denial: Denial, then: Answer) -> None:
        self.who = who
        self.nanos = nanos
        self.now_ms = now_ms
        self.call = call
        self.since_ms = now_ms
        self.then: Answer | None = then
        self.denial = denial
        self.name = (denial.budget, denial.subject)
        """Of the account that it waits for."""


class BudgetQueue:
    """Put before a book: `hold` as the book's, or a place in the queue."""

    def __init__(self, book: BudgetBook, waiting: int = WAITING, patience_ms: int = PATIENCE_MS) -> None:
        self._book = book
        self._most = waiting
        self._patience_ms = patience_ms
        self._lines: dict[tuple[str, str], deque[Waiting]] = {}
        self._due: deque[tuple[str, str]] = deque()
        self._serving = False
        self.waiting = 0

    def hold(
        self, who: Payer, worst_nanos: int | None, now_ms: int, call: str, then: Answer, since_ms: int = 0
    ) -> Hold | Denial | Waiting:
        """What the book says; but where calls under way may give enough back, a place in the queue, and
        `then` is told later. `then` may be called from within any change of the book. `now_ms`: the call's
        start; `since_ms`: since when it waits, where that is later."""
        answer = self._book.hold(who, worst_nanos, now_ms, call)
        if isinstance(answer, Hold) or not answer.may_free_up or self.waiting >= self._most:
            return answer
        waiting = Waiting(who, answer.need_nanos, now_ms, call, answer, then)
        waiting.since_ms = since_ms or now_ms
        self._stand(waiting)
        return waiting

    def cancel(self, waiting: Waiting) -> None:
        """It waits no longer, and is not told anything."""
        if waiting.then is None:
            return
        waiting.then = None
        self._leave(waiting)

    def tick(self, now_ms: int) -> None:
        """Deny those who have waited for long enough, or whose window is over. Call it now and then."""
        for line in list(self._lines.values()):
            # A clock that was set back must not keep anybody waiting.
            late = [one for one in line if not 0 <= now_ms - one.since_ms < self._patience_ms]
            for one in late:
                self._tell(one, one.denial)

    def look_again(self) -> None:
        """Other budgets are in force: who waits may have room now."""
        self._due.extend(self._lines)
        self._freed(())

    # -- inside

    def _stand(self, waiting: Waiting) -> None:
        self._lines.setdefault(waiting.name, deque()).append(waiting)
        self.waiting += 1
        self._book.freed = self._freed

    def _leave(self, waiting: Waiting) -> None:
        line = self._lines[waiting.name]
        line.remove(waiting)
        if not line:
            del self._lines[waiting.name]
        self.waiting -= 1
        if not self._lines:
            self._book.freed = None

    def _tell(self, waiting: Waiting, answer: Hold | Denial) -> None:
        then, waiting.then = waiting.then, None
        if then is not None:
            self._leave(waiting)
            then(answer)

    def _freed(self, accounts: tuple[Account, ...]) -> None:
        """Who is told may end its call at once, which frees again: that is seen to here, not deeper."""
        self._due.extend((account.rule.label, account.subject) for account in accounts)
        if self._serving:
            return
        self._serving = True
        try:
            while self._due:
                self._serve(self._due.popleft())
        finally:
            self._serving = False

    def _serve(self, name: tuple[str, str]) -> None:
        stayed = 0
        while stayed < min(_LOOKED_AT, len(line := self._lines.get(name, ()))):
            stayed += self._stays(line[stayed])

    def _stays(self, one: Waiting) -> bool:
        """Whether a call goes on waiting in its line; if not, it was told, or waits in another one."""
        blocking = self._book.blocked_by(one.who, one.nanos, one.now_ms)
        if blocking is not None and _waits_for(blocking, one):
            return True
        answer = self._book.hold(one.who, one.nanos, one.now_ms, one.call)
        if isinstance(answer, Hold) or not answer.may_free_up:
            self._tell(one, answer)
            return False
        name = (answer.budget, answer.subject)
        if name == one.name:
            return True
        self._leave(one)
        one.denial, one.name = answer, name
        self._stand(one)
        return False


def _waits_for(account: Account, one: Waiting) -> bool:
    """Still that one, and still not in vain."""
    same = (account.rule.label, account.subject) == one.name
    return same and account.balances[FREE] + account.balances[HELD] >= one.nanos
