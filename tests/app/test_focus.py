"""The charges of a month beside a Freehold that runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from freehold.app import focus
from freehold.app.spending import Spending
from freehold.core.config import Config
from freehold.core.config_prices import SubscriptionConfig
from freehold.core.usage import Usage
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.query import open_readonly
from freehold.receipts.sums import Between
from tests.cli.ledgers import FixedClock

NOW_MS = round(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
USD = 10**9


def record(home: Path, *numbers: int) -> None:
    with Ledger.open(home, clock=FixedClock()) as ledger:
        for number in numbers:
            ledger.append(
                Receipt(
                    id=f"r{number}",
                    outcome="ok",
                    started_ms=NOW_MS - 1000 + number,
                    cost_nanos=1000,
                    cost_state="computed",
                    provider="claude",
                    deployment="claude/m",
                    usage=Usage(fresh_in=1),
                )
            )


def test_a_fee_is_shared_to_the_nano_although_a_call_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, *range(5))
    calls = focus.calls

    def and_then_one_more(*asked: Any) -> Iterator[Any]:
        yield from calls(*asked)
        record(tmp_path, 9)

    monkeypatch.setattr(focus, "calls", and_then_one_more)
    config = Config(subscriptions=(SubscriptionConfig(provider="claude", usd_per_month=100),))
    with open_readonly(tmp_path) as db:
        spending = Spending(tmp_path, config, db, NOW_MS, UTC)
        rows = list(focus.charges(spending, Between(NOW_MS - 2000, NOW_MS)))
    assert sum(row.effective_nanos for row in rows) == sum(row.billed_nanos for row in rows) == 100 * USD
