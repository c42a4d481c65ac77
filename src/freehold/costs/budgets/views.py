"""A budget as people and programs see it. Pure.

The forecast is the plainest one: what was spent in the window so far goes on at the same pace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from freehold.costs.budgets.accounts import EXPIRED, FREE, HELD, LENT, SPENT, Account
from freehold.costs.budgets.answers import named
from freehold.costs.budgets.rules import Action, Rule
from freehold.costs.budgets.scopes import EACH
from freehold.costs.budgets.windows import FOREVER_MS, since_ms, span_at
from freehold.costs.windows import DAY_MS

_SOONEST = 0.01
"""A pace is not told before this share of the window has passed (of a total: before a day), because one call
would decide it."""

_FURTHEST_MS = 366 * DAY_MS
"""Of a total, nothing is said about what is further away."""


class BudgetView(msgspec.Struct, frozen=True, kw_only=True):
    """One account in its present window. Money is integer nano-USD, times are UTC milliseconds.

    A budget for each of a kind has a row for everyone who has spent or holds something; one for nobody yet
    has a row with `subject` `*`.
    """

    budget: str
    """As in messages: `agent:writer per day`."""
    label: str
    """The configured budget that it is of: `agent:* per day`."""
    scope: str
    subject: str
    window: str
    hard: bool
    on_limit: Action | None
    limit_nanos: int
    """With what it has borrowed or was granted, without what it has lent."""
    spent_nanos: int
    expired_nanos: int
    """Taken to be spent: calls whose end nobody saw."""
    held_nanos: int
    """Put aside for calls under way."""
    lent_nanos: int
    left_nanos: int
    """What may still be held."""
    starts_ms: int | None
    resets_ms: int | None
    """None: never, or little by little."""
    used_up_ms: int | None
    """When it is used up at the present pace; None: not in this window."""


def views(rules: Iterable[Rule], accounts: Iterable[Account], now_ms: int) -> tuple[BudgetView, ...]:
    """In the order of the configuration; those who have used most first."""
    known: dict[str, list[Account]] = {}
    for account in accounts:
        if account.span.start_ms <= now_ms < account.span.end_ms:
            account.lapse(now_ms)
            known.setdefault(account.rule.label, []).append(account)
    return tuple(view for rule in rules for view in _rows(rule, known.get(rule.label, []), now_ms))


def _rows(rule: Rule, accounts: list[Account], now_ms: int) -> Iterator[BudgetView]:
    if not accounts:
        each = rule.scope.name == EACH
        nobody = Account(rule, EACH if each else rule.scope.name, span_at(rule.window, now_ms), now_ms)
        yield _view(nobody, now_ms)
    accounts.sort(key=lambda each: (-each.used - each.balances[HELD], each.subject))
    yield from (_view(account, now_ms) for account in accounts)


def _view(account: Account, now_ms: int) -> BudgetView:
    rule, span, balances = account.rule, account.span, account.balances
    bounded = span.end_ms != FOREVER_MS
    return BudgetView(
        budget=named(rule.label, account.subject),
        label=rule.label,
        scope=rule.scope.kind,
        subject=account.subject,
        window=rule.window_words,
        hard=rule.hard,
        on_limit=rule.action,
        limit_nanos=account.granted,
        spent_nanos=balances[SPENT],
        expired_nanos=balances[EXPIRED],
        held_nanos=balances[HELD],
        lent_nanos=balances[LENT],
        left_nanos=balances[FREE],
        starts_ms=since_ms(rule.window, now_ms) if bounded or rule.window.rolls else None,
        resets_ms=span.end_ms if bounded else None,
        used_up_ms=_used_up_ms(account, now_ms),
    )


def _used_up_ms(account: Account, now_ms: int) -> int | None:
    left = account.granted - account.used
    if left <= 0:
        return now_ms
    began_ms, soonest_ms, until_ms = _measured(account, now_ms)
    passed_ms = now_ms - began_ms
    if not account.used or passed_ms < soonest_ms:
        return None
    used_up_ms = now_ms + -(-left * passed_ms // account.used)
    return used_up_ms if used_up_ms < until_ms else None


def _measured(account: Account, now_ms: int) -> tuple[int, int, int]:
    """From when on the pace is measured, over how long at least, and until when it makes a forecast."""
    if account.slice_ms:
        length_ms = account.rule.window.length_ms
        return now_ms - length_ms, 0, now_ms + length_ms
    start_ms, end_ms = account.span
    if end_ms == FOREVER_MS:
        return min(account.first_ms, now_ms), DAY_MS, now_ms + _FURTHEST_MS
    return start_ms, round((end_ms - start_ms) * _SOONEST), end_ms
