"""What `budgets:` may say, and what is told about what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.core.config_budgets import BudgetConfig, nanos_of, window_ms
from freehold.core.config_file import read_config
from tests.core.test_config_file import written


def read(folder: Path, text: str) -> tuple[BudgetConfig, ...]:
    config, problems = read_config(written(folder, f"budgets:\n{text}"), {})
    assert problems == []
    assert config is not None
    return config.budgets


def test_a_budget_is_hard_and_for_a_month_where_nothing_else_is_said(tmp_path: Path) -> None:
    (budget,) = read(tmp_path, "  - {scope: all, limit_usd: 30}\n")
    assert budget == BudgetConfig(scope="all", limit_usd=30)
    assert (budget.hard, budget.window, budget.on_limit, budget.notify) == (
        True,
        "month",
        None,
        (50, 80, 100),
    )
    assert budget.label == "all per month"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{limit_usd: 30}", "budgets[0]: scope is missing"),
        ("{scope: all}", "budgets[0]: limit_usd is missing"),
        ("{scope: all, limit_usd: -1}", "limit_usd: expected a number of at least 0"),
        ("{scope: everybody, limit_usd: 1}", "'everybody' is no scope; write all, or KIND:NAME with one of"),
        ("{scope: 'team:a', limit_usd: 1}", "'team:a' is no scope"),
        ("{scope: 'agent:', limit_usd: 1}", "names no agent; write agent:NAME, or agent:* for each one"),
        ("{scope: all, limit_usd: 1, window: year}", "'year' is no window; write total, hour, day, week"),
        ("{scope: all, limit_usd: 1, window: '30'}", "'30' has no unit; write it like 30h or 30d"),
        ("{scope: all, limit_usd: 1, window: 5s}", "a window is a minute at least and 366 days at most"),
        ("{scope: all, limit_usd: 1, window: 400d}", "write total for no end"),
        ("{scope: all, limit_usd: 1, time_zone: Wien}", "is no time zone that this machine knows"),
        ("{scope: all, limit_usd: 1, time_zone: ../etc}", "is no time zone that this machine knows"),
        ("{scope: all, limit_usd: 0.0000000001}", "1e-10 USD has more than 9 decimals"),
        ("{scope: all, limit_usd: 1, ceiling_usd_per_call: 0.12345678901}", "more than 9 decimals"),
        ("{scope: all, limit_usd: 1, on_limit: stop}", "on_limit: expected"),
        ("{scope: all, limit_usd: 1, notify: [0]}", "notify"),
        ("{scope: all, limit_usd: 1, hart: true}", "unknown key. Did you mean 'hard'?"),
        (
            "{scope: all, limit_usd: 1}\n  - {scope: all, limit_usd: 2}",
            "is for the same as budgets[0]: all per month; keep one of them",
        ),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path: Path, text: str, told: str) -> None:
    config, problems = read_config(written(tmp_path, f"budgets:\n  - {text}\n"), {})
    assert config is None
    assert told in "\n".join(map(str, problems))


def test_dollars_are_taken_as_they_are_written() -> None:
    assert [nanos_of(usd) for usd in (0.1, 0.3, 30, 1e-9, 1e9)] == [10**8, 3 * 10**8, 3 * 10**10, 1, 10**18]


def test_windows_are_names_or_durations() -> None:
    assert [window_ms(window) for window in ("month", "total", "24h", "30d", "90m")] == [
        None,
        None,
        86_400_000,
        30 * 86_400_000,
        5_400_000,
    ]
