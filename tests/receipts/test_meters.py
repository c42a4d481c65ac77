"""Meters count exactly what was projected since they began, however often they are asked."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from freehold.receipts import meters
from freehold.receipts.entries import Receipt, encode_receipt
from freehold.receipts.meters import OTHERS, MeterReader, newest_entry, paces
from freehold.receipts.projection import DATABASE, Projection
from freehold.receipts.query import open_readonly
from tests.receipts.story import make_receipt, write_ledger

BOUNDS_US = (1_000, 1_000_000)


def test_counters_are_the_sums_of_the_receipts_in_any_number_of_steps(tmp_path: Path) -> None:
    first, second = [make_receipt(n) for n in range(40)], [make_receipt(n) for n in range(40, 70)]
    write_ledger(tmp_path, first)
    reader = MeterReader(-1, BOUNDS_US)
    with open_readonly(tmp_path) as db:
        reader.catch_up(db)
        reader.catch_up(db)
    write_ledger(tmp_path, second)
    with open_readonly(tmp_path) as db:
        reader.catch_up(db)
    everything = first + second
    for name, meter in reader.meters.items():
        mine = [receipt for receipt in everything if receipt.deployment == name]
        assert meter.calls.total() == len(mine)
        assert meter.calls["ok"] == sum(receipt.outcome == "ok" for receipt in mine)
        assert meter.tokens["fresh_in"] == sum(receipt.usage.fresh_in for receipt in mine)
        assert meter.cost_nanos.total() == sum(receipt.cost_nanos for receipt in mine)
        assert meter.total.sum_us == sum(receipt.total_us for receipt in mine)
        assert meter.total.below == [sum(r.total_us <= bound for r in mine) for bound in BOUNDS_US]
        assert meter.first_byte.count == sum(receipt.first_byte_us > 0 for receipt in mine)
    assert sum(meter.calls.total() for meter in reader.meters.values()) == len(everything)


def test_answers_that_no_model_was_asked_for_are_counted_with_what_they_saved(tmp_path: Path) -> None:
    kinds = {1: "exact", 2: "exact", 3: "semantic"}
    calls = [make_receipt(n, cached=kind, saved_nanos=n * 100) for n, kind in kinds.items()]
    write_ledger(tmp_path, [*calls, make_receipt(4)])
    reader = MeterReader(-1, BOUNDS_US)
    with open_readonly(tmp_path) as db:
        reader.catch_up(db)
        reader.catch_up(db)
    assert reader.kept_calls == {"exact": 2, "semantic": 1}
    assert reader.kept_nanos == {"exact": 300, "semantic": 300}


def test_names_without_end_have_counters_in_common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MOST", 3)
    reader = MeterReader(-1, BOUNDS_US)
    for upto in (4, 6):
        named = [make_receipt(n, deployment=f"p/{n % upto}") for n in range(upto)]
        write_ledger(tmp_path, named)
        with open_readonly(tmp_path) as db:
            reader.catch_up(db)
    calls = {name: meter.calls.total() for name, meter in reader.meters.items()}
    assert len(calls) == 4
    assert sum(calls.values()) == 10
    assert calls.pop(OTHERS) == 4
    assert set(calls.values()) == {2}  # who has counters keeps them: they only rise


def test_counters_begin_where_they_are_told_to(tmp_path: Path) -> None:
    write_ledger(tmp_path, [make_receipt(n) for n in range(10)])
    with open_readonly(tmp_path) as db:
        reader = MeterReader(newest_entry(db), BOUNDS_US)
        reader.catch_up(db)
    assert reader.meters == {}


def test_a_servers_pace_is_that_of_the_last_minute(tmp_path: Path) -> None:
    def call(number: int, ended_ms: int, server: str = "glm") -> Receipt:
        return make_receipt(
            number, server=server, started_ms=ended_ms - 5, total_us=5_000, first_byte_us=2_000
        )

    now_ms = 10_000_000
    recent = [call(1, now_ms - 1_000), call(2, now_ms - 59_000)]
    write_ledger(tmp_path, [call(0, now_ms - 61_000), *recent, call(3, now_ms, server="")])
    with open_readonly(tmp_path) as db:
        found = paces(db, now_ms)
    assert set(found) == {"glm"}
    assert found["glm"].calls == 2
    assert found["glm"].tokens_in == sum(receipt.usage.input_total for receipt in recent)
    assert found["glm"].first_bytes_us == (2_000, 2_000, 2_000)


def test_what_came_before_the_start_is_not_counted_where_the_database_was_behind(tmp_path: Path) -> None:
    entries = [encode_receipt(make_receipt(number)) for number in range(20)]
    reader = MeterReader(9, (1_000,))  # ten entries were in the log at the start
    for part in (entries[:4], entries[4:]):
        with closing(Projection(tmp_path / DATABASE)) as projection:
            projection.add(part)
        with open_readonly(tmp_path) as db:
            reader.catch_up(db)
    assert sum(meter.calls.total() for meter in reader.meters.values()) == 10
