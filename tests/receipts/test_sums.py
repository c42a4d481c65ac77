"""Sums by any dimensions agree with the calls they are sums of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from freehold.core.usage import Usage
from freehold.receipts.query import open_readonly
from freehold.receipts.sums import Between, Dimension, calls, earliest_ms, entries_between, sums
from tests.receipts.story import HOUR_MS, START_MS, make_receipt, write_ledger

COUNT = 300
EVER = Between(0, 1 << 50)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    receipts = [
        make_receipt(
            number,
            provider=("", "openai")[number % 2],
            deployment=("qwen", "openai/gpt")[number % 2],
            task=f"task{number % 7}",
            usage=Usage(**{name: number + at for at, name in enumerate(Usage.__struct_fields__)}),
        )
        for number in range(COUNT)
    ]
    write_ledger(folder, receipts)
    return folder


@pytest.mark.parametrize(
    "by",
    [(), ("project",), ("provider", "model"), ("server",), ("task", "session"), ("hour", "agent", "key")],
)
def test_every_grouping_adds_up_to_all_calls(home: Path, by: tuple[Dimension, ...]) -> None:
    with open_readonly(home) as db:
        rows = sums(db, by, EVER)
        single = list(calls(db, EVER))
    assert len(single) == COUNT
    assert sum(row.calls for row in rows) == COUNT
    assert sum(row.cost_nanos for row in rows) == sum(call.cost_nanos for call in single)
    for name in Usage.__struct_fields__:
        assert sum(getattr(row.usage, name) for row in rows) == sum(
            getattr(call.usage, name) for call in single
        )
    assert len({(row.by, row.cost_state) for row in rows}) == len(rows)
    assert all(len(row.by) == len(by) for row in rows)


def test_servers_are_told_from_providers(home: Path) -> None:
    with open_readonly(home) as db:
        found = Counter({row.by: 0 for row in sums(db, ("server",), EVER)})
        for row in sums(db, ("server",), EVER):
            found[row.by] += row.calls
    assert found == {("qwen",): COUNT // 2, ("",): COUNT // 2}


def test_only_what_matches_is_counted(home: Path) -> None:
    with open_readonly(home) as db:
        (row,) = {row.by for row in sums(db, ("task",), EVER, {"task": "task3", "server": "qwen"})}
        matching = list(calls(db, EVER, {"task": "task3", "server": "qwen"}))
    assert row == ("task3",)
    assert len(matching) == len([number for number in range(COUNT) if number % 7 == 3 and number % 2 == 0])


def test_a_span_counts_whole_hours_in_sums_and_moments_in_calls(home: Path) -> None:
    hour_ms = START_MS - START_MS % HOUR_MS + HOUR_MS
    between = Between(hour_ms, hour_ms + HOUR_MS)
    with open_readonly(home) as db:
        summed = sum(row.calls for row in sums(db, (), between))
        assert summed == len(list(calls(db, between))) == 60
        assert earliest_ms(db) == hour_ms - HOUR_MS


def test_whole_entries_come_from_the_log(home: Path) -> None:
    between = Between(START_MS + 10 * 60_000, START_MS + 20 * 60_000)
    with open_readonly(home) as db:
        found = list(entries_between(db, home, between))
    assert [receipt.id for receipt in found] == [f"rc_{number:06d}" for number in range(10, 20)]
    assert found[0].usage_raw
    with open_readonly(home) as db:
        assert list(entries_between(db, home, Between(5, 6))) == []
