"""A budget as it was configured, ready to be used. Pure, apart from reading the machine's time zones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from freehold.core.config_budgets import BudgetConfig, nanos_of, window_ms
from freehold.costs.budgets.scopes import Scope, parse_scope
from freehold.costs.budgets.windows import Window, WindowKind

Action = Literal["refuse", "degrade", "ask"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One budget. Money is integer nano-USD; `action` None: it is only watched."""

    label: str
    """What it is called, and how postings name it: no two have the same."""
    scope: Scope
    window: Window
    window_words: str = ""
    """The window as it was configured."""
    limit_nanos: int
    hard: bool = True
    action: Action | None = "refuse"
    marks: tuple[int, ...] = (50, 80, 100)
    """Percent, rising."""
    ceiling_nanos: int | None = None


def rules_of(budgets: Iterable[BudgetConfig]) -> tuple[Rule, ...]:
    """What a valid configuration says."""
    return tuple(map(_rule, budgets))


def _rule(budget: BudgetConfig) -> Rule:
    ceiling = budget.ceiling_usd_per_call
    return Rule(
        label=budget.label,
        scope=parse_scope(budget.scope),
        window=_window(budget),
        window_words=budget.window,
        limit_nanos=nanos_of(budget.limit_usd),
        hard=budget.hard,
        action=budget.on_limit or ("refuse" if budget.hard else None),
        marks=tuple(sorted(set(budget.notify))),
        ceiling_nanos=None if ceiling is None else nanos_of(ceiling),
    )


def _window(budget: BudgetConfig) -> Window:
    length_ms = window_ms(budget.window)
    zone = ZoneInfo(budget.time_zone)
    if length_ms is not None:
        return Window(kind="rolling", zone=zone, length_ms=length_ms)
    return Window(kind=msgspec.convert(budget.window, WindowKind), zone=zone)
