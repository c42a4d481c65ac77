"""Balances, and the only ways in which they change: every posting takes from one what it gives to another.

An account is one budget for one subject in one window. Its balances, in nano-USD, always sum to zero:

    GRANTED   below zero: what the budget may spend in all, limit and borrowed
    FREE      what can still be held
    HELD      put aside for calls under way
    SPENT     what calls have cost
    EXPIRED   what calls are taken to have cost whose end nobody saw
    LENT      given to another account

A hard budget never lets FREE go below zero, but for a provider that charges more than its prices allow, or
a limit that was lowered. Pure.
"""

from __future__ import annotations

from freehold.costs.budgets.answers import BudgetEvent, EventKind
from freehold.costs.budgets.rules import Rule
from freehold.costs.budgets.windows import FOREVER_MS, Span, leaves_ms

GRANTED, FREE, HELD, SPENT, EXPIRED, LENT = range(6)

_LATE_MS = 7_200_000
"""For so long after its end a window is kept: no call waits longer than an hour before it is sent."""


def post(balances: list[int], source: int, target: int, nanos: int) -> None:
    """One posting: what `source` loses, `target` gains."""
    balances[source] -= nanos
    balances[target] += nanos


class Account:
    """One budget for one subject in one window. Owned by the book."""

    __slots__ = (
        "_refused",
        "_slices",
        "_told",
        "balances",
        "first_ms",
        "lapse_ms",
        "next_mark",
        "rule",
        "slice_ms",
        "span",
        "subject",
    )

    def __init__(self, rule: Rule, subject: str, span: Span, at_ms: int) -> None:
        self.rule = rule
        self.subject = subject
        self.span = span
        self.balances = [0, 0, 0, 0, 0, 0]
        self.slice_ms = rule.window.slice_ms if rule.window.rolls else 0
        """How finely a rolling window forgets; 0: it does not roll."""
        self._slices: dict[int, list[int]] = {}
        """Of a rolling window: what was spent and what has expired, by slice."""
        self.lapse_ms = FOREVER_MS
        """When the oldest slice leaves the window."""
        self.first_ms = at_ms
        """When the first call that is known of was on it."""
        self._told: dict[int, int] = {}
        """Percent -> when it was told."""
        self._refused: dict[bool, int] = {}
        """When a call without room was told: one that never fits, and one that does not any more."""
        post(self.balances, GRANTED, FREE, rule.limit_nanos)
        self.next_mark = self._next_mark(-FOREVER_MS)

    @property
    def used(self) -> int:
        """Spent, for certain or as a bound."""
        return self.balances[SPENT] + self.balances[EXPIRED]

    @property
    def granted(self) -> int:
        """What may be spent in all, less what was lent to others."""
        return -self.balances[GRANTED] - self.balances[LENT]

    @property
    def full(self) -> bool:
        """All that may be spent is spent; what is only held does not count."""
        return self.used >= self.granted

    @property
    def idle(self) -> bool:
        """Nothing has happened to it, or all is forgotten: a new one would be the same."""
        _, _, held, spent, expired, lent = self.balances
        untouched = not (held or spent or expired or lent) and self.granted == self.rule.limit_nanos
        return untouched and not self._told and not self._refused

    def is_over(self, now_ms: int) -> bool:
        """No call can be on it any more."""
        return self.span.end_ms + _LATE_MS <= now_ms and not self.balances[HELD]

    def follow(self, rule: Rule) -> None:
        """Another limit from now on, or other marks; what was spent stays."""
        post(self.balances, GRANTED, FREE, rule.limit_nanos - self.rule.limit_nanos)
        self.rule = rule
        self.next_mark = self._next_mark(self.first_ms)

    # -- what is spent

    def charge(self, at_ms: int, nanos: int, into: int) -> None:
        """Post what was never held."""
        post(self.balances, FREE, into, nanos)
        self.first_ms = min(self.first_ms, at_ms)
        if self.slice_ms:
            self.date(at_ms, nanos, into)

    def date(self, at_ms: int, nanos: int, into: int) -> None:
        """Remember, in a rolling window, when what is now in SPENT or EXPIRED was spent."""
        if not (self.slice_ms and nanos):
            return
        number = at_ms // self.slice_ms
        part = self._slices.get(number)
        if part is None:
            part = self._slices[number] = [0, 0]
            self.lapse_ms = min(self.lapse_ms, leaves_ms(self.rule.window, number))
        part[into - SPENT] += nanos

    def lapse(self, now_ms: int) -> None:
        """Forget the slices that have left the window."""
        if not self.slice_ms:
            return
        gone = [number for number in self._slices if leaves_ms(self.rule.window, number) <= now_ms]
        for number in gone:
            spent, expired = self._slices.pop(number)
            post(self.balances, SPENT, FREE, spent)
            post(self.balances, EXPIRED, FREE, expired)
        old_ms = now_ms - self.rule.window.length_ms
        self._told = {percent: at_ms for percent, at_ms in self._told.items() if at_ms > old_ms}
        self._refused = {large: at_ms for large, at_ms in self._refused.items() if at_ms > old_ms}
        oldest = min(self._slices, default=None)
        self.lapse_ms = FOREVER_MS if oldest is None else leaves_ms(self.rule.window, oldest)
        self.next_mark = self._next_mark(now_ms)

    def frees_ms(self, nanos: int) -> int | None:
        """When a call that costs so much fits because time has passed; None: never."""
        if not self.slice_ms:
            fits = nanos <= self.rule.limit_nanos and self.span.end_ms != FOREVER_MS
            return self.span.end_ms if fits else None
        missing = nanos - self.balances[FREE] - self.balances[HELD]
        for number in sorted(self._slices):
            missing -= sum(self._slices[number])
            if missing <= 0:
                return leaves_ms(self.rule.window, number)
        return None

    # -- what is told

    def reached(self, now_ms: int) -> tuple[BudgetEvent, ...]:
        """The highest of the marks that were reached since the last time, each once for a window."""
        if now_ms >= self.lapse_ms:
            self.lapse(now_ms)
        due = [percent for percent in self._untold(now_ms) if self._mark(percent) <= self.used]
        self._told |= dict.fromkeys(due, now_ms)
        self.next_mark = self._next_mark(now_ms)
        return (self.event("reached", now_ms, percent=due[-1]),) if due else ()

    def took_stock(self, now_ms: int) -> None:
        """After what earlier starts spent was posted, in no order of time: what has left the window is
        forgotten, and marks are taken for told that stand reached, no others."""
        self.lapse(now_ms)
        self._told = {
            percent: at_ms for percent, at_ms in self._told.items() if self._mark(percent) <= self.used
        }
        self.reached(now_ms)

    def refused(self, now_ms: int, need_nanos: int) -> tuple[BudgetEvent, ...]:
        """The first call in this window that did not fit; one that is larger than the whole limit says
        nothing about those that come after it."""
        large = need_nanos > self.granted
        if self._refused.get(large, -FOREVER_MS) > now_ms - (self.rule.window.length_ms or FOREVER_MS):
            return ()
        self._refused[large] = now_ms
        return (self.event("refused", now_ms, need_nanos=need_nanos),)

    def event(self, kind: EventKind, now_ms: int, *, percent: int = 0, need_nanos: int = 0) -> BudgetEvent:
        return BudgetEvent(
            kind=kind,
            budget=self.rule.label,
            subject=self.subject,
            percent=percent,
            used_nanos=self.used,
            limit_nanos=self.granted,
            need_nanos=need_nanos,
            at_ms=now_ms,
            asks=kind == "refused" and self.rule.action == "ask",
        )

    def allowed_more(self) -> None:
        """A limit that holds again is told again when it is reached."""
        self._refused.clear()

    def _untold(self, now_ms: int) -> list[int]:
        """A rolling window may tell a mark again once it is as old as the window is long."""
        again_ms = now_ms - (self.rule.window.length_ms or FOREVER_MS)
        return [percent for percent in self.rule.marks if self._told.get(percent, again_ms) <= again_ms]

    def _mark(self, percent: int) -> int:
        return -(-self.rule.limit_nanos * percent // 100)

    def _next_mark(self, now_ms: int) -> int:
        untold = self._untold(now_ms)
        return self._mark(untold[0]) if untold and self.rule.limit_nanos else FOREVER_MS
