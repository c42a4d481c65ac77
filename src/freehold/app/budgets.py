"""Budgets of a running Freehold: made from the configuration, the receipts and the postings; kept; shown.

The gateway asks `queue` of each call; where no budget was ever configured there is no `HouseBudgets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from freehold.core.clock import Clock
from freehold.core.config_budgets import BudgetConfig
from freehold.core.errors import FreeholdError
from freehold.costs.budgets.answers import BudgetEvent, named, subject_in, usd
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.journal import FOLDER, PostingsFile, read_segments
from freehold.costs.budgets.postings import Standing, call_of, expire, standing_of
from freehold.costs.budgets.queue import BudgetQueue
from freehold.costs.budgets.rules import Rule, rules_of
from freehold.costs.budgets.scopes import EACH, Kind, Payer, subject_of
from freehold.costs.budgets.views import BudgetView, views
from freehold.costs.budgets.windows import FOREVER_MS, since_ms
from freehold.receipts.entries import Receipt
from freehold.receipts.spend import Spending, Spent, Wanted, cost_known, read_spending

TICK_S = 0.5


def _nobody(_: str) -> None:
    """Listens."""


class HouseBudgets:
    """Owns the book, its queue and its files. Use `open`; `keep` runs beside the calls, `close` ends it.
    Implements `gateway.parts.Budgets`."""

    def __init__(self, home: Path, book: BudgetBook, file: PostingsFile, say: Callable[[str], None]) -> None:
        self._home = home
        self._say = say
        self.book = book
        self.queue = BudgetQueue(book)
        self._file = file

    @classmethod
    def open(
        cls, home: Path, budgets: Sequence[BudgetConfig], now_ms: int, say: Callable[[str], None] = _nobody
    ) -> HouseBudgets:
        """Blocks: reads sums of receipts. What happens to budgets is told to `say`, at once what the end of
        the last run has come to.

        What calls of the last run held is settled by their receipts, or has expired. Raises PostingsError,
        LedgerError.
        """
        rules = rules_of(budgets)
        standing = standing_of(read_segments(home / FOLDER))
        spending = read_spending(home, wanted_of(rules, now_ms))
        book = book_of(rules, spending, standing, now_ms)
        told: tuple[BudgetEvent, ...] = ()
        for posting in expire(standing, _receipted(home, standing, spending)):
            told += book.expired(posting, now_ms)
        file = PostingsFile(home / FOLDER, book.opening())
        book.write_to(file)
        opened = cls(home, book, file, say)
        opened.tell(told)
        return opened

    def tell(self, events: Iterable[BudgetEvent]) -> None:
        """What a person may want to know."""
        for event in events:
            self._say(event.text)

    def use(self, budgets: Sequence[BudgetConfig], now_ms: int) -> None:
        """The configuration was read again. A changed limit is in force at once; for a budget that is new the
        receipts are read, which blocks for a moment. Raises OSError, LedgerError."""
        rules, before = rules_of(budgets), {rule.label: rule.window for rule in self.book.rules}
        fresh = tuple(rule for rule in rules if before.get(rule.label) != rule.window)
        # What may fail comes first: a budget that does not know what was spent must not be in force.
        spending = read_spending(self._home, wanted_of(fresh, now_ms)) if fresh else Spending((), ())
        self.book.use(rules)
        for rule, sums in zip(fresh, spending.sums, strict=True):
            _fill(self.book, rule, sums)
            for receipt in spending.newer:
                for payer, nanos in payments(receipt):
                    subject = subject_of(rule.scope, payer)
                    if subject is not None:
                        self.book.spent_by(rule.label, subject, nanos, receipt.started_ms)
        self.queue.look_again()

    async def keep(self, clock: Clock, every_s: float = TICK_S) -> None:
        """Write down and forget what has ended, and let nobody wait for too long; until it is cancelled."""
        complained = False
        while True:
            await asyncio.sleep(every_s)
            try:
                self.tick(clock.now_ms())
                complained = False
            except OSError as error:
                if not complained:
                    self._say(f"what budgets hold cannot be written down: {error.strerror or error}")
                complained = True

    def tick(self, now_ms: int) -> None:
        """One step of `keep`. Raises OSError."""
        self.queue.tick(now_ms)
        self.book.tick(now_ms)

    def views(self, now_ms: int) -> tuple[BudgetView, ...]:
        """How all budgets stand."""
        self.book.lapse(now_ms)
        return views(self.book.rules, self.book.accounts(), now_ms)

    def spent(self, receipt: Receipt) -> None:
        """A call that did not come through here has cost money."""
        for payer, nanos in payments(receipt):
            self.tell(self.book.spent(payer, nanos, receipt.started_ms))

    def grant(self, name: str, nanos: int, now_ms: int) -> BudgetView:
        """Allow a budget more than its limit, in its present window; below zero takes back. `name` as views
        have it. Raises KeyError for no budget of ours, FreeholdError when it cannot be written down."""
        rule, subject = _named(self.book.rules, name)
        account = self.book.account(rule.label, subject, now_ms)
        if account.granted + nanos < 0:
            raise FreeholdError(f"{name} has a limit of {usd(account.granted)} USD: that is too much to take")
        try:
            self.book.grant(account, nanos, now_ms)
        except OSError as error:
            raise FreeholdError(f"the grant cannot be written down: {error.strerror or error}") from error
        seen = views((rule,), self.book.accounts(), now_ms)
        return next(view for view in seen if view.subject == account.subject)

    def close(self) -> None:
        """Let the file go; what has ended is in the receipts."""
        self._file.close()


def _named(rules: Iterable[Rule], name: str) -> tuple[Rule, str]:
    """The budget, and whom of it a name of a view is about."""
    for rule in rules:
        subject = subject_in(rule.label, name)
        if subject is not None:
            return rule, subject if rule.scope.name == EACH else rule.scope.name
        if name == rule.label:
            one = named(name, f"{rule.scope.kind}-1")
            raise FreeholdError(f"{name} is a limit for each: say for whom, as in {one!r}")
    raise KeyError(name)


def look(home: Path, budgets: Sequence[BudgetConfig], now_ms: int) -> tuple[BudgetView, ...]:
    """How budgets stand in a state folder, beside a running Freehold or without one; changes nothing.

    Held is only what was written down: calls under hard budgets. Raises PostingsError, LedgerError.
    """
    rules = rules_of(budgets)
    standing = standing_of(read_segments(home / FOLDER))
    spending = read_spending(home, wanted_of(rules, now_ms))
    book = book_of(rules, spending, standing, now_ms)
    receipted = _receipted(home, standing, spending)
    for posting in standing.open.values():
        if call_of(posting.key) not in receipted:
            book.held(posting)
    return views(rules, book.accounts(), now_ms)


def wanted_of(rules: Sequence[Rule], now_ms: int) -> list[Wanted]:
    """Which sums of receipts tell how the budgets stand."""
    return [_wanted(rule, now_ms) for rule in rules]


def _wanted(rule: Rule, now_ms: int) -> Wanted:
    since = since_ms(rule.window, now_ms)
    return Wanted(
        rule.scope.kind,
        None if since == -FOREVER_MS else since,
        rule.window.slice_ms if rule.window.rolls else None,
    )


def book_of(rules: Sequence[Rule], spending: Spending, standing: Standing, now_ms: int) -> BudgetBook:
    """What was spent, what has expired before, and loans; holds are left to the caller."""
    book = BudgetBook(rules)
    for rule, sums in zip(rules, spending.sums, strict=True):
        _fill(book, rule, sums)
    for receipt in spending.newer:
        for payer, nanos in payments(receipt):
            book.spent(payer, nanos, receipt.started_ms)
    for posting in standing.expired:
        book.expired(posting, now_ms)
    for posting in standing.moved:
        book.moved(posting)
    book.took_stock(now_ms)
    return book


def _fill(book: BudgetBook, rule: Rule, sums: Iterable[Spent]) -> None:
    for spent in sums:
        subject = subject_of(rule.scope, _payer_of_sum(rule.scope.kind, spent))
        if subject is not None:
            book.spent_by(rule.label, subject, spent.nanos, spent.at_ms)


def payments(receipt: Receipt) -> Iterator[tuple[Payer, int]]:
    """What was paid to providers, and whose accounts it is on: for the answer that was given, and for those
    that were not. Electricity and wear of our own machine are no matter of budgets."""
    rest = receipt.cost_nanos
    for each in receipt.attempts:
        rest -= each.cost_nanos
        if each.cost_nanos and each.provider:
            yield payer_of(receipt, each.provider, each.deployment), each.cost_nanos
    if rest and (receipt.provider or not receipt.deployment):
        yield payer_of(receipt, receipt.provider, receipt.deployment), rest


def payer_of(receipt: Receipt, provider: str, deployment: str) -> Payer:
    """Whom an attempt there is by, as the budgets see it."""
    return Payer(
        provider=provider,
        model=_model_id(provider, deployment),
        project=receipt.project,
        agent=receipt.agent,
        session=receipt.session,
        task=receipt.task,
        key=receipt.via_key,
    )


def _payer_of_sum(kind: Kind, spent: Spent) -> Payer:
    if kind == "all":
        return Payer()
    if kind == "model":
        return Payer(provider=spent.name, model=_model_id(spent.name, spent.deployment))
    return Payer(**{kind: spent.name})


def _model_id(provider: str, deployment: str) -> str:
    """A deployment at a provider is called `PROVIDER/model-id`."""
    return deployment.removeprefix(f"{provider}/") if provider else deployment


def _receipted(home: Path, standing: Standing, spending: Spending) -> dict[str, bool]:
    ids = (call_of(key) for key in (*standing.open, *standing.unsure))
    return cost_known(home, ids, spending.newer)
