"""The chart of accounts: which there are, and which of them a call is on. Made as calls come; no clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from freehold.costs.budgets.accounts import Account
from freehold.costs.budgets.matching import Matched, matched_of
from freehold.costs.budgets.rules import Rule
from freehold.costs.budgets.scopes import Payer, subject_of
from freehold.costs.budgets.windows import EVER, Span, span_at

_REMEMBERED = 4096
"""Payers whose accounts are looked up once; their names come from clients, so there is an end to them."""


class Chart:
    """Accounts by budget, subject and window. The book's."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.matched: dict[Payer, Matched] = {}
        """What `find` has found; look here first, and at the times that it is for."""
        self._accounts: dict[tuple[str, str, int], Account] = {}
        self._spans: dict[str, Span] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def find(self, who: Payer, at_ms: int) -> Matched:
        """The accounts that a call is on that began then."""
        matched = self.matched.get(who)
        if matched is not None and matched.from_ms <= at_ms < matched.until_ms:
            return matched
        accounts = self.accounts_for(self.rules, who, at_ms)
        span = Span(
            max((account.span.start_ms for account in accounts), default=EVER.start_ms),
            min((account.span.end_ms for account in accounts), default=EVER.end_ms),
        )
        if len(self.matched) >= _REMEMBERED:
            self.matched.clear()
        matched = self.matched[who] = matched_of(who, accounts, span)
        return matched

    def accounts_for(self, rules: Sequence[Rule], who: Payer, at_ms: int) -> list[Account]:
        """Those of some of the budgets."""
        subjects = ((rule, subject_of(rule.scope, who)) for rule in rules)
        return [self._account(rule, subject, at_ms) for rule, subject in subjects if subject is not None]

    def account(self, label: str, subject: str, at_ms: int) -> Account | None:
        """The one in whose window a moment lies; None when no such budget is configured."""
        rule = next((rule for rule in self.rules if rule.label == label), None)
        return self._account(rule, subject, at_ms) if rule else None

    def use(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Other rules from now on. What is only changed (its limit, what happens at it) goes on with what was
        spent; returned are those that are new here, and have nothing on their accounts."""
        before = {rule.label: rule.window for rule in self.rules}
        kept = {rule.label: rule for rule in rules if before.get(rule.label) == rule.window}
        self._accounts = {name: each for name, each in self._accounts.items() if name[0] in kept}
        for account in self:
            account.follow(kept[account.rule.label])
        self.rules = tuple(rules)
        self.matched.clear()
        self._spans.clear()
        return tuple(rule for rule in rules if rule.label not in kept)

    def lapse(self, now_ms: int) -> None:
        """What has left windows that roll."""
        for account in self:
            if now_ms >= account.lapse_ms:
                account.lapse(now_ms)

    def forget(self, now_ms: int) -> None:
        """Windows that are over, and accounts to which nothing has happened."""
        self.lapse(now_ms)
        gone = [name for name, each in self._accounts.items() if each.is_over(now_ms) or each.idle]
        for name in gone:
            del self._accounts[name]
        if gone:
            self.matched.clear()

    def _account(self, rule: Rule, subject: str, at_ms: int) -> Account:
        span = self._spans.get(rule.label)
        if span is None or not span.start_ms <= at_ms < span.end_ms:
            span = self._spans[rule.label] = span_at(rule.window, at_ms)
        name = (rule.label, subject, span.start_ms)
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account(rule, subject, span, at_ms)
        return account
